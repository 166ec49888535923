//! The list job: what capture missed, and the proof that nothing is missing.
//!
//! A run asks for the rows whose row SCN is above the last run's; they come in as images, and the
//! time of the first answer is the watermark. Now and then, and when a change asks for it, a table is
//! read whole: rows that the hub holds and the table does not get a tombstone at the SCN at which
//! the reading began, so that a row that came meanwhile outlives it.
//!
//! Pages follow the last row seen, by row SCN and id, and not an offset: a row that changes between
//! two pages moves to the end, and with offsets every row behind it would slip past unseen.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, Fields, LogPos, Millis, Op, System, Version};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::ords::{Ords, OrdsConfig};
use super::relist::{Cause, Relist};
use crate::contract::{Decoded, Framing, KnownRecord, Sink, SinkError, Submission};
use crate::edge::Context;
use crate::edge::http::{CallError, Seen, escaped};
use crate::edge::liveness::heartbeat;
use crate::edge::retry::Backoff;
use crate::edge::status::ConnectorState;
use crate::json::Json;
use crate::mapping::ObjectMap;
use crate::value::parse_instant;

/// Name of the list job's position.
pub const POSITION: &str = "oracle/list";

/// Name under which it is kept when all tables were read whole.
const FULL_POSITION: &str = "oracle/list/full";

/// Rows per page; the service gives at most 500.
const PAGE_ROWS: usize = 500;

/// Tombstones in one submission.
const TOMBSTONES_MAX: usize = 1_000;

/// Fewer known rows than this may all be gone without anybody wondering.
const ABSENT_FREE: usize = 10;

/// How the list job reaches the REST views.
#[derive(Debug, Clone)]
pub struct OracleListConfig {
    /// The REST side.
    pub ords: OrdsConfig,
    /// Tables to ask for, as they are called in the mapping.
    pub tables: Vec<String>,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: Duration,
    /// Whether the first run ever reads all tables whole, instead of what changes from then on.
    pub is_full_read_first: bool,
    /// Time between whole readings of all tables; none reads whole only when asked.
    pub full_interval: Option<Duration>,
    /// Whether the views show wall time of the mapping's zone, though a `Z` stands behind it.
    pub is_wall_time: bool,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A table was not read; the others were.
    #[error("the list of {0} was not read: {1}")]
    Table(String, String),
}

#[derive(Deserialize)]
struct Current {
    current_scn: String,
    current_time: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    #[serde(rename = "hasMore")]
    has_more: bool,
}

/// What the source knew before the pages were read: the most that they can prove.
#[derive(Debug, Clone, Copy)]
struct Now {
    scn: u64,
    until: Millis,
}

/// The last row of a page.
#[derive(Debug, Clone)]
struct Cursor {
    scn: u64,
    /// Its id as it stands in the answer; none before the first row.
    id: Option<String>,
}

struct Lister<S> {
    context: Context<S>,
    config: OracleListConfig,
    relist: Relist,
    ords: Ords,
    /// Rows up to this SCN are known.
    known_scn: Option<u64>,
    /// When all tables were last read whole.
    full_at: Option<Millis>,
    seen: Seen,
}

/// Runs the list job until `stop`. `position` gives what earlier runs stored under the names of
/// positions; `relist` is what the other paths ask it for.
pub async fn list<S: Sink>(
    context: Context<S>,
    config: OracleListConfig,
    position: impl Fn(&str) -> Option<Vec<u8>>,
    relist: Relist,
    stop: CancellationToken,
) {
    let number = |name: &str| position(name).and_then(|p| String::from_utf8(p).ok()).and_then(|text| text.parse().ok());
    let known_scn = number(POSITION);
    let full_at = number(FULL_POSITION).and_then(|ms| i64::try_from(ms).ok()).map(Millis);
    let ords = Ords::new(config.ords.clone());
    let mut lister = Lister { context, config, relist, ords, known_scn, full_at, seen: Seen::default() };
    let mut backoff = Backoff::default();
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = lister.run() => ended,
        };
        let delay = match ended {
            Ok(()) => {
                backoff.reset();
                lister.config.interval
            }
            Err(RunError::Sink(_)) => return,
            Err(error) => {
                let status = &lister.context.status;
                status.failed(&error.to_string(), lister.context.clock.now());
                status.enter(ConnectorState::Retrying);
                backoff.next_delay().min(lister.config.interval)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
            () = lister.relist.news() => {}
        }
    }
}

impl<S: Sink> Lister<S> {
    async fn run(&mut self) -> Result<(), RunError> {
        let now = self.now().await?;
        let asked = self.relist.asked();
        let is_full = self.is_full_due();
        let mut failed = None;
        for table in self.config.tables.clone() {
            let ask = asked.get(&table).copied();
            let read = match (self.object(&table), ask) {
                (None, _) => continue,
                (Some(object), Some((cause, number))) => match self.read_whole(&object, now, cause).await {
                    Ok(()) => self.relist.done(&self.context, &table, number).await.map_err(RunError::from),
                    failed => failed,
                },
                (Some(object), None) if is_full => self.read_whole(&object, now, Cause::Doubt).await,
                (Some(object), None) => self.read_changed(&object).await,
            };
            match read {
                Ok(()) => {}
                Err(error @ RunError::Sink(_)) => return Err(error),
                // One view that is missing keeps no other table waiting.
                Err(error @ (RunError::Call(_) | RunError::Table(..))) => {
                    failed = failed.or(Some(RunError::Table(table, error.to_string())));
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.prove(now, is_full).await
    }

    async fn now(&mut self) -> Result<Now, CallError> {
        let current: Current = serde_json::from_slice(&self.ords.get("current").await?)
            .map_err(|_| CallError::Answer("the current position"))?;
        let scn = current.current_scn.parse().map_err(|_| CallError::Answer("the current scn"))?;
        let until = parse_instant(&current.current_time, &jiff::tz::TimeZone::UTC);
        Ok(Now { scn, until: until.ok_or(CallError::Answer("the current time"))? })
    }

    fn is_full_due(&self) -> bool {
        match (self.full_at, self.config.full_interval) {
            (None, _) if self.known_scn.is_none() => self.config.is_full_read_first,
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(at), Some(interval)) => {
                self.context.clock.now().0.saturating_sub(at.0)
                    >= i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
            }
        }
    }

    fn object(&self, table: &str) -> Option<ObjectMap> {
        self.context.connectors.mapping(System::Oracle)?.object(table).cloned()
    }

    /// Rows that changed since the last run.
    async fn read_changed(&mut self, object: &ObjectMap) -> Result<(), RunError> {
        let Some(known) = self.known_scn else { return Ok(()) };
        self.pages(object, known, |_| {}).await
    }

    /// All rows, and tombstones for those that are gone.
    async fn read_whole(&mut self, object: &ObjectMap, now: Now, cause: Cause) -> Result<(), RunError> {
        metrics::counter!("opshub_connector_resyncs_total", "system" => "oracle").increment(1);
        let mut found = HashSet::new();
        let mut nameless = 0_usize;
        self.pages(object, 0, |id| match id {
            Some(id) => {
                found.insert(object.id_form.apply(id).into_owned());
            }
            None => nameless += 1,
        })
        .await?;
        let known = self.context.known.records(System::Oracle, &object.name).await;
        let absent: Vec<_> = known.iter().filter(|record| !found.contains(record.record_id.as_str())).collect();
        let is_plausible = cause == Cause::Emptied || absent.len() <= ABSENT_FREE.max(known.len() / 2);
        if absent.is_empty() {
            return Ok(());
        }
        if nameless > 0 || !is_plausible {
            let text = format!(
                "it does not show {} of {} known rows ({nameless} rows have no id); nothing was deleted: check the view",
                absent.len(),
                known.len()
            );
            return Err(RunError::Table(object.name.clone(), text));
        }
        for some in absent.chunks(TOMBSTONES_MAX) {
            let observed_at = self.context.clock.now();
            let mut submission = self.submission();
            let mapping = self.context.connectors.mapping(System::Oracle).map_or(0, |mapping| mapping.version);
            submission.facts = some.iter().map(|record| tombstone(object, record, now, mapping, observed_at)).collect();
            self.context.submit_until_taken(submission).await?;
        }
        Ok(())
    }

    /// Hands over the rows of a table above `scn`, page by page, and tells the id of each.
    async fn pages(
        &mut self,
        object: &ObjectMap,
        scn: u64,
        mut each: impl FnMut(Option<&str>),
    ) -> Result<(), RunError> {
        let mut cursor = Cursor { scn, id: None };
        loop {
            let page = self.page(object, &cursor).await?;
            for item in &page.items {
                let row = Json::parse(item.get().as_bytes()).map_err(|_| CallError::Answer("a row"))?;
                let id = row.get_any_case(&object.record).and_then(Json::scalar);
                each(id);
                let scn = row.get_any_case("ora_rowscn").and_then(Json::scalar).and_then(|scn| scn.trim().parse().ok());
                let scn = scn.ok_or(CallError::Answer("a row without ora_rowscn"))?;
                cursor = Cursor { scn, id: id.map(|_| raw_id(&row, &object.record)) };
            }
            let is_last = !page.has_more || page.items.is_empty();
            self.take(object, &page.items).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn page(&mut self, object: &ObjectMap, cursor: &Cursor) -> Result<Page, CallError> {
        let id = object.record.to_lowercase();
        let above = match &cursor.id {
            None => format!("\"ora_rowscn\":{{\"$gt\":{}}}", cursor.scn),
            Some(last) => format!(
                "\"$or\":[{{\"ora_rowscn\":{{\"$gt\":{0}}}}},{{\"$and\":[{{\"ora_rowscn\":{{\"$eq\":{0}}}}},{{\"{id}\":{{\"$gt\":{last}}}}}]}}]",
                cursor.scn
            ),
        };
        let query = format!("{{{above},\"$orderby\":{{\"ora_rowscn\":\"ASC\",\"{id}\":\"ASC\"}}}}");
        let path = format!("{}/?q={}&limit={PAGE_ROWS}", object.name.to_lowercase(), escaped(&query));
        serde_json::from_slice(&self.ords.get(&path).await?).map_err(|_| CallError::Answer("a page of rows"))
    }

    /// Hands over a page, in parts that are small enough to be decoded.
    async fn take(&mut self, object: &ObjectMap, items: &[Box<RawValue>]) -> Result<(), SinkError> {
        const PART_BYTES: usize = 512 << 10;
        let mut part = String::new();
        for item in items {
            part.push_str(if part.is_empty() { "[" } else { "," });
            let wall = if self.config.is_wall_time { ",\"wall\":true" } else { "" };
            part.push_str(&format!("{{\"table\":\"{}\"{wall},\"row\":{}}}", object.name, item.get()));
            if part.len() >= PART_BYTES {
                self.take_part(std::mem::take(&mut part)).await?;
            }
        }
        if part.is_empty() { Ok(()) } else { self.take_part(part).await }
    }

    async fn take_part(&mut self, mut part: String) -> Result<(), SinkError> {
        part.push(']');
        let raw = Bytes::from(part);
        let mut decoding =
            self.context.decode(System::Oracle, &self.config.partition, &raw, Framing::Document).submission;
        self.relist.learn(&decoding.facts);
        decoding.facts.retain(|fact| self.seen.is_new(fact.event_id.to_string()));
        self.context.submit_until_taken(decoding).await.map(|_| ())
    }

    fn submission(&self) -> Submission {
        let now = self.context.clock.now();
        Submission::new(System::Oracle, &self.config.partition, Decoded::default(), Bytes::new(), now)
    }

    /// Nothing up to the time of the first answer is missing.
    async fn prove(&mut self, now: Now, is_full: bool) -> Result<(), RunError> {
        let clock = self.context.clock.now();
        if is_full {
            let submission = self.submission().at(FULL_POSITION, clock.0.to_string().as_bytes());
            self.context.submit_until_taken(submission).await?;
            self.full_at = Some(clock);
        }
        let mut submission = self.submission().at(POSITION, now.scn.to_string().as_bytes());
        submission.facts.push(heartbeat(System::Oracle, &self.config.partition, now.until, clock));
        self.context.submit_until_taken(submission).await?;
        self.known_scn = Some(now.scn);
        self.context.status.watermark(now.until);
        Ok(())
    }
}

/// An id as it is written in the answer, text or number, for the next question.
fn raw_id(row: &Json<'_>, column: &str) -> String {
    match row.get_any_case(column) {
        Some(Json::Number(digits)) => (*digits).to_owned(),
        Some(other) => serde_json::Value::from(other.scalar().unwrap_or_default()).to_string(),
        None => "\"\"".to_owned(),
    }
}

/// The row is gone, as of when the reading began.
fn tombstone(object: &ObjectMap, record: &KnownRecord, now: Now, mapping_version: u32, observed_at: Millis) -> Fact {
    let version = if object.ordered_by.is_empty() {
        Version::new(now.scn, 0, 0)
    } else {
        Version::new(u64::try_from(now.until.0).unwrap_or(0), 0, 0)
    };
    Fact {
        event_id: format_compact!("{}/{}/{version}/absent/d", object.name, record.record_id),
        system: System::Oracle,
        object: CompactString::new(&object.name),
        record_id: record.record_id.clone(),
        entity: EntityKey::new(record.entity.kind, record.entity.id.clone()),
        op: Op::Delete,
        version,
        changed_at: now.until,
        observed_at,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: object.contract,
        mapping_version,
        read_at: Some(observed_at),
        key_slot: 0,
        fields: Fields::default(),
    }
}
