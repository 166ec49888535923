//! The list job over the Search API, which closes what webhooks lost.
//!
//! A run asks for contacts created, and for contacts ended, since the last one, with an overlap
//! because reports lag; for those that go on, which were neither; and once a day for everything of
//! the last two days. Up to the time that the answers vouch for nothing is missing, so that is the
//! watermark. The first run reaches back as far as is configured.

use std::collections::BTreeMap;

use bytes::Bytes;
use ontology::{Millis, System};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::api::{Api, WxccAuth};
use super::subscriptions::{Subscriptions, WxccSubscriptionsConfig};
use super::{task, transcripts};
use crate::contract::{Decoded, Framing, Sink, Submission};
use crate::edge::Context;
use crate::edge::http::{CallError, Seen, server_time};
use crate::edge::list_job::{ListJob, every};
use crate::edge::liveness::heartbeat;
use crate::edge::portions::portions;
use crate::json::Json;

/// Name of the list job's position.
pub const POSITION: &str = "wxcc/search";

/// How far a window reaches back before the last one's end: reports lag the live state by minutes.
const OVERLAP_MS: i64 = 15 * Millis::MINUTE_MS;

/// Longest window of one query. With activities the vendor takes at most 30 days.
const WINDOW_MS: i64 = 7 * Millis::DAY_MS;

/// Shortest window that is still halved when a query finds too much.
const WINDOW_MS_MIN: i64 = 1_000;

/// How far back contacts that go on are looked for at least; as far as the oldest that is known does,
/// and once a day as far as the first run reaches.
const ACTIVE_MS: i64 = Millis::DAY_MS;

/// How far the daily pass reaches back: variables of a contact may change for two days.
const DEEP_MS: i64 = 2 * Millis::DAY_MS;

/// How far back Search knows contacts: 36 months.
const REACH_MS: i64 = 36 * 30 * Millis::DAY_MS;

/// Most records of one query, by the vendor's rules.
pub const RECORDS_MAX: usize = 100_000;

/// How the list job reaches the Search API.
#[derive(Debug, Clone)]
pub struct WxccSearchConfig {
    /// Base address, for example `https://api.wxcc-us1.cisco.com`.
    pub base_url: String,
    /// Organisation id.
    pub org_id: String,
    /// What proves who we are.
    pub auth: WxccAuth,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: std::time::Duration,
    /// Known reporting lag in milliseconds, taken off the watermark.
    pub lag_ms: i64,
    /// How far the first run reaches back, in milliseconds.
    pub first_ms: i64,
    /// Most records of one query; a window with more is halved.
    pub records_max: usize,
    /// Whether the transcripts of chats are read too.
    pub with_transcripts: bool,
    /// Subscriptions that are kept right; none leaves them to people.
    pub subscriptions: Option<WxccSubscriptionsConfig>,
}

impl WxccSearchConfig {
    /// Ninety days back at first, a run every minute, two minutes of reporting lag.
    #[must_use]
    pub fn new(base_url: &str, org_id: &str, auth: WxccAuth, partition: &str) -> Self {
        WxccSearchConfig {
            base_url: base_url.to_owned(),
            org_id: org_id.to_owned(),
            auth,
            partition: partition.to_owned(),
            interval: std::time::Duration::from_secs(60),
            lag_ms: 2 * Millis::MINUTE_MS,
            first_ms: 90 * Millis::DAY_MS,
            records_max: RECORDS_MAX,
            with_transcripts: false,
            subscriptions: None,
        }
    }
}

/// The list job with what it remembers between runs.
struct Searcher<S> {
    context: Context<S>,
    config: WxccSearchConfig,
    api: Api,
    subscriptions: Option<Subscriptions>,
    /// Contacts up to this instant are known.
    known_until: Millis,
    /// When everything of the last days was last read.
    deep_at: Option<Millis>,
    /// When the oldest contact was created that goes on.
    oldest: Option<Millis>,
    seen: Seen,
    /// Chats that are over and whose transcript is still to be read, with how often was asked.
    untold: BTreeMap<String, u32>,
}

/// What a query asks for.
#[derive(Debug, Clone, Copy)]
struct Ask {
    from: Millis,
    to: Millis,
    by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Created,
    Ended,
    /// Created, and not over yet.
    Active,
}

/// How a query ended.
enum Read {
    /// Everything in the window was read; the answers are complete up to here.
    Whole(Millis),
    /// The window holds more than one query gives.
    TooMuch,
}

/// Runs the list job until `stop`. `position` is what an earlier run stored under [`POSITION`].
pub async fn search<S: Sink>(
    context: Context<S>,
    config: WxccSearchConfig,
    position: Option<Vec<u8>>,
    stop: CancellationToken,
) {
    let known_until = position.and_then(|p| p.try_into().ok()).map(|bytes| Millis(i64::from_be_bytes(bytes)));
    let known_until = known_until.unwrap_or_else(|| context.clock.now() - config.first_ms);
    let interval = config.interval;
    let (status, clock) = (context.status.clone(), context.clock.clone());
    let api = Api::new(&config.base_url, &config.org_id, config.auth.clone(), clock.clone());
    let subscriptions = config.subscriptions.clone().map(Subscriptions::new);
    let job = Searcher {
        context,
        config,
        api,
        subscriptions,
        known_until,
        deep_at: None,
        oldest: None,
        seen: Seen::default(),
        untold: BTreeMap::new(),
    };
    every(job, interval, status, clock, stop).await;
}

impl<S: Sink> ListJob for Searcher<S> {
    async fn run(&mut self) -> Result<(), CallError> {
        let now = self.context.clock.now();
        // Broken subscriptions lose webhooks, which Search brings back: their trouble must not stop it.
        let kept = match &mut self.subscriptions {
            Some(subscriptions) => subscriptions.keep(&mut self.api, now).await,
            None => Ok(()),
        };
        let is_deep = self.deep_at.is_none_or(|at| now.since(at) >= Millis::DAY_MS);
        let overlapping = self.known_until - OVERLAP_MS;
        let from = if is_deep { overlapping.min(now - DEEP_MS) } else { overlapping };
        let mut told = Ok(());
        for (from, to) in windows(from.max(now - REACH_MS), now) {
            let created = self.whole(Ask { from, to, by: By::Created }).await?;
            let ended = self.whole(Ask { from, to, by: By::Ended }).await?;
            // Behind the source's own clock nothing is told yet, and what begins there is not proven.
            let (until, is_ahead) = (created.min(ended), created.min(ended) < to);
            if to == now || is_ahead {
                self.active(to, is_deep).await?;
            }
            // Before it is said that nothing up to there is missing; but it is said without them, too.
            if told.is_ok() {
                told = transcripts::read(&self.context, &mut self.api, &self.config.partition, &mut self.untold).await;
            }
            self.proven(until - self.config.lag_ms).await?;
            if is_ahead {
                break;
            }
        }
        if is_deep {
            self.deep_at = Some(now);
        }
        told.and(kept)
    }
}

/// Parts of a stretch of time, oldest first, each short enough for one query.
fn windows(from: Millis, to: Millis) -> Vec<(Millis, Millis)> {
    let mut parts = Vec::new();
    let mut start = from;
    while to.since(start) > WINDOW_MS {
        parts.push((start, start + WINDOW_MS));
        start = start + WINDOW_MS;
    }
    parts.push((start, to));
    parts
}

impl<S: Sink> Searcher<S> {
    /// Stores that nothing up to `until` is missing.
    async fn proven(&mut self, until: Millis) -> Result<(), CallError> {
        if until < self.known_until {
            // An older stretch was read again: the watermark stays where it is.
            return Ok(());
        }
        let now = self.context.clock.now();
        let partition = &self.config.partition;
        let mut submission = Submission::new(System::Wxcc, partition, Decoded::default(), Bytes::new(), now)
            .at(POSITION, &until.0.to_be_bytes());
        submission.facts.push(heartbeat(System::Wxcc, partition, until, now));
        self.submit(submission).await?;
        self.known_until = until;
        self.context.status.watermark(until);
        Ok(())
    }

    /// Reads the contacts that go on: e-mails and callbacks wait for days.
    async fn active(&mut self, to: Millis, is_deep: bool) -> Result<(), CallError> {
        let known = self.oldest.take();
        let oldest = if is_deep { Some(to - self.config.first_ms.min(REACH_MS)) } else { known };
        let from = oldest.map_or(to, |oldest| oldest.min(to)).min(to - ACTIVE_MS);
        for (from, to) in windows(from, to) {
            if let Err(error) = self.whole(Ask { from, to, by: By::Active }).await {
                // What was not asked for is as old as it was.
                self.oldest = [self.oldest, known].into_iter().flatten().min();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads a window, in halves where it holds more than one query gives.
    async fn whole(&mut self, ask: Ask) -> Result<Millis, CallError> {
        let mut proven = ask.to;
        let mut left = vec![ask];
        while let Some(ask) = left.pop() {
            match self.window(ask).await? {
                Read::Whole(until) => proven = proven.min(until),
                Read::TooMuch => {
                    let half = ask.to.since(ask.from) / 2;
                    if half < WINDOW_MS_MIN {
                        return Err(CallError::Answer("more contacts in a second than a query gives"));
                    }
                    let middle = ask.from + half;
                    left.push(Ask { from: middle, ..ask });
                    left.push(Ask { to: middle, ..ask });
                }
            }
        }
        Ok(proven)
    }

    /// Reads one window page by page.
    async fn window(&mut self, ask: Ask) -> Result<Read, CallError> {
        let mut cursor = "NA".to_owned();
        let mut proven = ask.to;
        let mut count = 0;
        loop {
            let body = serde_json::json!({ "query": query(ask, &cursor) });
            let org_id = self.api.org_id.clone();
            let sent = self
                .api
                .send(|client, base| client.post(format!("{base}/search")).query(&[("orgId", &org_id)]).json(&body));
            let (headers, raw) = sent.await?;
            if let Some(time) = server_time(&headers) {
                proven = proven.min(time);
            }
            let page = self.page(&raw, ask.by)?;
            count += page.tasks;
            self.hand_over(&raw).await?;
            match page.next {
                // At the bound more may exist, whether the answer says so or not.
                _ if count >= self.config.records_max => return Ok(Read::TooMuch),
                // The cursor goes back into a query: nothing in it may end the string.
                Some(next) if next != cursor && !next.contains(['"', '\\']) => cursor = next,
                Some(_) => return Err(CallError::Answer("a page that leads nowhere")),
                None => return Ok(Read::Whole(proven)),
            }
        }
    }

    /// What a page says of itself; chats that are over are noted for their transcripts.
    fn page(&mut self, raw: &[u8], by: By) -> Result<Page, CallError> {
        let json = Json::parse(raw).map_err(|_| CallError::Answer("a search answer"))?;
        let details = json.path("data.taskDetails").filter(|details| matches!(details, Json::Object(_)));
        // The vendor answers 200 to a query that it does not take, with errors and no data.
        let details = details.ok_or(CallError::Answer("a search answer without tasks"))?;
        let tasks = details.get("tasks").map(Json::elements).unwrap_or_default();
        if by == By::Active {
            let created = tasks.iter().filter_map(|task| task.get("createdTime").and_then(Json::integer)).min();
            self.oldest = [self.oldest, created.map(Millis)].into_iter().flatten().min();
        }
        if self.config.with_transcripts {
            transcripts::note(tasks, &mut self.seen, &mut self.untold);
        }
        let page = details.get("pageInfo");
        let has_next = page.and_then(|p| p.get("hasNextPage")) == Some(&Json::Bool(true));
        let end = page.and_then(|p| p.get("endCursor")).and_then(Json::text).map(str::to_owned);
        if has_next && end.is_none() {
            return Err(CallError::Answer("a page without a cursor"));
        }
        Ok(Page { tasks: tasks.len(), next: end.filter(|_| has_next) })
    }

    async fn hand_over(&mut self, raw: &[u8]) -> Result<(), CallError> {
        let answer: Answer<'_> = serde_json::from_slice(raw).map_err(|_| CallError::Answer("a search answer"))?;
        for raw in portions("{\"data\":{\"taskDetails\":{\"tasks\":[", &answer.data.details.tasks, "]}}}") {
            let partition = &self.config.partition;
            let mut submission = self.context.decode(System::Wxcc, partition, &raw, Framing::Document).submission;
            // What a contact says may change without a time that tells so: the content counts as well.
            let seen = &mut self.seen;
            submission.facts.retain(|fact| {
                let content = hex::encode(Sha256::digest(fact.fields.as_bytes()));
                seen.is_new(format!("{}/{}/{content}", fact.object, fact.event_id))
            });
            self.submit(submission).await?;
        }
        Ok(())
    }

    async fn submit(&self, submission: Submission) -> Result<(), CallError> {
        let result = self.context.submit_until_taken(submission).await;
        result.map(|_| ()).map_err(|_| CallError::Answer("the log is closed"))
    }
}

/// A page with its contacts as they were written.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: AnswerData<'a>,
}

#[derive(Deserialize)]
struct AnswerData<'a> {
    #[serde(borrow, rename = "taskDetails")]
    details: AnswerDetails<'a>,
}

#[derive(Deserialize)]
struct AnswerDetails<'a> {
    #[serde(borrow, default)]
    tasks: Vec<&'a RawValue>,
}

/// What a page says of itself.
struct Page {
    tasks: usize,
    next: Option<String>,
}

fn query(ask: Ask, cursor: &str) -> String {
    let (comparator, filter) = match ask.by {
        By::Created => ("createdTime", ""),
        By::Ended => ("endedTime", ""),
        By::Active => ("createdTime", ", filter: { isActive: { equals: true } }"),
    };
    format!(
        "{{ taskDetails(from: {}, to: {}, timeComparator: {comparator}{filter}, pagination: {{ cursor: \"{cursor}\" }}) \
         {{ tasks {{ {} }} pageInfo {{ hasNextPage endCursor }} }} }}",
        ask.from.0.max(0),
        ask.to.0,
        task::FIELDS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_stretches_are_read_in_parts_without_gaps() {
        assert_eq!(windows(Millis(5), Millis(9)), [(Millis(5), Millis(9))]);
        assert_eq!(windows(Millis(0), Millis(WINDOW_MS)), [(Millis(0), Millis(WINDOW_MS))]);
        let parts = windows(Millis(0), Millis(2 * WINDOW_MS + 1));
        assert_eq!(parts.len(), 3);
        assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0));
        assert_eq!(parts[2].1, Millis(2 * WINDOW_MS + 1));
    }

    #[test]
    fn a_query_asks_for_one_window() {
        let ask = Ask { from: Millis(-5), to: Millis(9), by: By::Active };
        let text = query(ask, "NA");
        assert!(text.starts_with("{ taskDetails(from: 0, to: 9, timeComparator: createdTime, filter: { isActive"));
        assert!(text.contains("pagination: { cursor: \"NA\" }"));
        let depth = |c| text.matches(c).count();
        assert_eq!((depth('{'), depth('(')), (depth('}'), depth(')')));
    }
}
