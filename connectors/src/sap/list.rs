//! The list job over OData: what changed since the last run, and at first everything. Where a row has
//! no time of change before it first changes, what was created since is asked for as well.
//!
//! Pages follow the order of change, each beginning behind the last row of the one before. Counting
//! rows instead would miss some: a row that changes meanwhile moves to the end, and those behind it
//! move up. The server's own time at the first page is the watermark.

use bytes::Bytes;
use ontology::{Millis, System};
use reqwest::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::address::{Begin, SapAccess, SapSet, behind, page_address};
use crate::contract::{Decoded, Framing, Sink, Submission};
use crate::edge::Context;
use crate::edge::http::{CallError, Seen, client, server_time};
use crate::edge::list_job::{ListJob, every};
use crate::edge::liveness::heartbeat;
use crate::edge::portions::portions;
use crate::json::Json;

/// Name of the list job's position.
pub const POSITION: &str = "sap/list";

/// How far a window reaches back before the last one's end: a change is told when it is committed,
/// which is later than the time that it carries.
const OVERLAP_MS: i64 = 2 * Millis::MINUTE_MS;

/// Rows per page.
pub(super) const PAGE_ROWS: usize = 200;

/// Most pages of one run of one set, against a server that never comes to an end.
const PAGES_MAX: usize = 100_000;

/// How the list job works.
#[derive(Debug, Clone)]
pub struct SapListConfig {
    /// The interface.
    pub access: SapAccess,
    /// The sets that are asked for.
    pub sets: Vec<SapSet>,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: std::time::Duration,
    /// Known reporting lag in milliseconds, taken off the watermark.
    pub lag_ms: i64,
    /// Whether the first run of all reads every row.
    pub is_full_read_first: bool,
}

impl SapListConfig {
    /// Every row at first, then a run each minute.
    #[must_use]
    pub fn new(access: SapAccess, partition: &str) -> Self {
        SapListConfig {
            access,
            sets: SapSet::usual(),
            partition: partition.to_owned(),
            interval: std::time::Duration::from_secs(60),
            lag_ms: 0,
            is_full_read_first: true,
        }
    }
}

/// The list job with what it remembers between runs.
struct Lister<S> {
    context: Context<S>,
    config: SapListConfig,
    client: Client,
    /// Changes up to this instant are known; none before the first run.
    known_until: Option<Millis>,
    seen: Seen,
}

/// Runs the list job until `stop`. `position` is what an earlier run stored under [`POSITION`].
pub async fn list<S: Sink>(
    context: Context<S>,
    config: SapListConfig,
    position: Option<Vec<u8>>,
    stop: CancellationToken,
) {
    let known_until = position.and_then(|p| p.try_into().ok()).map(|bytes| Millis(i64::from_be_bytes(bytes)));
    let known_until = if config.is_full_read_first { known_until } else { known_until.or(Some(context.clock.now())) };
    let interval = config.interval;
    let (status, clock) = (context.status.clone(), context.clock.clone());
    let job = Lister { context, config, client: client(), known_until, seen: Seen::default() };
    every(job, interval, status, clock, stop).await;
}

impl<S: Sink> ListJob for Lister<S> {
    async fn run(&mut self) -> Result<(), CallError> {
        let mut proven: Option<Millis> = None;
        for set in self.config.sets.clone() {
            let until = self.set(&set).await?;
            proven = Some(proven.map_or(until, |p| p.min(until)));
            // The first read of all asks for no time.
            if self.known_until.is_some()
                && let Some(created) = set.by_creation()
            {
                self.set(&created).await?;
            }
        }
        let Some(until) = proven.map(|until| until - self.config.lag_ms) else { return Ok(()) };
        if self.known_until.is_some_and(|known| until < known) {
            return Ok(());
        }
        let now = self.context.clock.now();
        let partition = &self.config.partition;
        let mut submission = Submission::new(System::Sap, partition, Decoded::default(), Bytes::new(), now)
            .at(POSITION, &until.0.to_be_bytes());
        submission.facts.push(heartbeat(System::Sap, partition, until, now));
        self.submit(submission).await?;
        self.known_until = Some(until);
        self.context.status.watermark(until);
        Ok(())
    }
}

/// How a page ended.
struct Read {
    rows: usize,
    /// Whether the server says that there are more.
    has_more: bool,
    /// When the last row changed, and its key.
    last: Option<(Option<Millis>, String)>,
}

impl<S: Sink> Lister<S> {
    /// Reads what changed in one set; the server's time at the first page.
    async fn set(&mut self, set: &SapSet) -> Result<Millis, CallError> {
        let mut begin = self.known_until.map_or(Begin::First, |known| Begin::Since(known - OVERLAP_MS));
        let mut proven = None;
        for _ in 0..PAGES_MAX {
            let address = page_address(&self.config.access.base_url, set, &begin, PAGE_ROWS)?;
            let (headers, body) = self.config.access.get(&self.client, &address).await?;
            let now = self.context.clock.now();
            proven = proven.or_else(|| server_time(&headers).map(|time| time.min(now)));
            let Read { rows, has_more, last } = self.hand_over(set, &body).await?;
            if rows == 0 || (rows < PAGE_ROWS && !has_more) {
                return proven.ok_or(CallError::Answer("an answer without the server's time"));
            }
            let (changed, key) = last.ok_or(CallError::Answer("a row without key"))?;
            begin = behind(&begin, changed, key);
        }
        Err(CallError::Answer("more pages than are read in one run"))
    }

    /// Stores a page.
    async fn hand_over(&mut self, set: &SapSet, body: &[u8]) -> Result<Read, CallError> {
        let page: Page<'_> = serde_json::from_slice(body).map_err(|_| CallError::Answer("a page of rows"))?;
        let head = format!("{{\"set\":{},\"d\":{{\"results\":[", serde_json::json!(set.name));
        for raw in portions(&head, &page.d.results, "]}}") {
            let mut submission =
                self.context.decode(System::Sap, &self.config.partition, &raw, Framing::Document).submission;
            let seen = &mut self.seen;
            submission.facts.retain(|fact| {
                let content = hex::encode(Sha256::digest(fact.fields.as_bytes()));
                seen.is_new(format!("{}/{content}", fact.event_id))
            });
            self.submit(submission).await?;
        }
        let last = page.d.results.last().and_then(|row| {
            let row = Json::parse(row.get().as_bytes()).ok()?;
            let key = row.get(&set.key).and_then(Json::scalar)?.to_owned();
            Some((super::odata::time_of(&row, &set.changed), key))
        });
        Ok(Read { rows: page.d.results.len(), has_more: page.d.next.is_some(), last })
    }

    async fn submit(&self, submission: Submission) -> Result<(), CallError> {
        let result = self.context.submit_until_taken(submission).await;
        result.map(|_| ()).map_err(|_| CallError::Answer("the log is closed"))
    }
}

/// A page with its rows as they were written.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    d: PageData<'a>,
}

#[derive(Deserialize)]
struct PageData<'a> {
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
    #[serde(rename = "__next")]
    next: Option<String>,
}
