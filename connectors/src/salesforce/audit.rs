//! The audit: a list job that asks the organisation what it changed, and compares that with what came
//! by the stream.
//!
//! A change that is on the list and did not come sends the stream back: the bus keeps events for
//! days, and what it delivers again carries its own version and history. Only what does not come
//! even then is read as it stands. The list knows a record's last change alone, so where one was
//! missed others may have been that nobody can see: all that is remembered is delivered again, and
//! for some time every stretch is read twice before it is believed. A list without misses proves
//! that nothing up to its time is missing, which keeps a quiet source fresh.
//!
//! Of two changes of a record the first may be lost for good, and the second alone carries the time
//! that the list shows. So the list tells contents as well, and the hub is asked whether they would
//! change anything. The list has whole seconds: what it shows is the last word about its second, and
//! is read to stand at its end, above every event of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use ontology::{Millis, System};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::answer::RestError;
use super::fetched::Fetched;
use super::long_id;
use super::refetch::Refetch;
use super::resync::Resyncs;
use super::select::Records;
use crate::contract::{Decoded, Delivery, Sink, SinkError, Submission};
use crate::edge::liveness::heartbeat;
use crate::edge::retry::Backoff;
use crate::value::parse_instant;

/// How long the audit waits for a stream that is behind before it reads what is missing.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much longer than the list what came is remembered, in milliseconds.
const REMEMBERED_MS: i64 = 600_000;

/// How long before the first event that came the first audit begins, in milliseconds.
const BEFORE_MS: i64 = 3_600_000;

/// Stretches with changes that are read twice after something was missed.
const DOUBTED_STRETCHES: u32 = 60;

/// Records that one query asks for.
const IDS_MAX: usize = 100;

/// Records of a list that the hub is asked about at once.
const COMPARED_MAX: usize = 200;

/// When the audit runs.
#[derive(Debug, Clone, Copy)]
pub struct AuditConfig {
    /// Time between two runs.
    pub interval: Duration,
    /// How long a change may be under way before it counts as missing.
    pub settle: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        AuditConfig { interval: Duration::from_secs(60), settle: Duration::from_secs(60) }
    }
}

/// Name of the audit's position in the store.
#[must_use]
pub fn position_name(topic: &str) -> String {
    format!("{topic}#audit")
}

/// Up to when the list was compared with what came, by what is stored under [`position_name`].
#[must_use]
pub fn compared_until(position: &[u8]) -> Option<Millis> {
    Place::decode(position).map(|place| place.since)
}

/// Where an audit goes on: from when, and a position of the stream before that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    since: Millis,
    position: Vec<u8>,
}

impl Place {
    fn encode(&self) -> Vec<u8> {
        [&self.since.0.to_be_bytes()[..], &self.position].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (since, position) = bytes.split_first_chunk::<8>()?;
        Some(Place { since: Millis(i64::from_be_bytes(*since)), position: position.to_vec() })
    }
}

/// Why a run did not come to its end.
enum AuditError {
    Closed,
    Rest(RestError),
}

impl From<RestError> for AuditError {
    fn from(error: RestError) -> Self {
        AuditError::Rest(error)
    }
}

impl From<SinkError> for AuditError {
    fn from(_: SinkError) -> Self {
        AuditError::Closed
    }
}

/// A change that the organisation lists.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    object: String,
    id: String,
    modified_ms: i64,
    /// Whether it came by the stream and the hub holds something else all the same.
    differs: bool,
}

impl Listed {
    /// The record as it stood at the end of the second that the list shows.
    fn at_its_end(&self) -> Refetch {
        /// Above every commit of the second; a number that JSON carries exactly as an `i64`.
        const LAST_COMMIT: u64 = i64::MAX.unsigned_abs();
        let end = u64::try_from(self.modified_ms.saturating_add(Millis::SECOND_MS - 1)).unwrap_or(0);
        Refetch { object: self.object.clone(), record_id: self.id.clone(), version: (end, LAST_COMMIT, 0) }
    }
}

#[derive(Deserialize)]
struct ListedRow {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "SystemModstamp")]
    modified: String,
}

struct Audit<S> {
    records: Records<S>,
    resyncs: Resyncs,
    since: Millis,
    /// Changes for which the stream was sent back already.
    tried: HashMap<(String, String), i64>,
    /// Stretches that are still not believed at the first reading.
    doubted: u32,
    /// Whether no audit ever came to its end: then it begins where the stream did.
    is_first: bool,
    /// Runs that found the stream behind, one after another, and after how many it is not waited for.
    behind: (u128, u128),
    /// Up to where the stream is being read for the second time.
    read_twice_until: Option<Millis>,
}

/// Where an audit that has no position yet begins, and what else it was given.
pub(super) struct Begin {
    /// When it runs.
    pub config: AuditConfig,
    /// What was stored under [`position_name`].
    pub position: Option<Vec<u8>>,
    /// When the connector began: what changed since, it answers for.
    pub at: Millis,
}

/// Runs the audit until `stop`.
pub(super) async fn run<S: Sink>(records: Records<S>, resyncs: Resyncs, begin: Begin, stop: CancellationToken) {
    let Begin { config, position, at } = begin;
    let settle_ms = i64::try_from(config.settle.as_millis()).unwrap_or(i64::MAX);
    let place = position.as_deref().and_then(Place::decode);
    let since = place.as_ref().map_or(Millis(at.0 - settle_ms), |place| place.since);
    let runs_max = PATIENCE.as_millis() / config.interval.as_millis().max(1);
    let mut audit = Audit {
        records,
        resyncs,
        since,
        tried: HashMap::new(),
        doubted: 0,
        is_first: place.is_none(),
        behind: (0, runs_max),
        read_twice_until: None,
    };
    let mut backoff = Backoff::default();
    loop {
        let delay = match audit.run_once(settle_ms).await {
            Ok(()) => {
                backoff.reset();
                config.interval
            }
            Err(AuditError::Closed) => return,
            Err(AuditError::Rest(error)) => {
                audit.records.context.status.failed(&error.to_string(), audit.records.now());
                backoff.next_delay().min(config.interval).max(error.wait())
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Takes up the position of the stream that an audit stored, before the stream opens.
pub(super) fn take_up<S: Sink>(records: &Records<S>, position: Option<&[u8]>) {
    if let Some(place) = position.and_then(Place::decode).filter(|place| !place.position.is_empty()) {
        records.lately.stands(&place.position, place.since);
    }
}

impl<S: Sink> Audit<S> {
    async fn run_once(&mut self, settle_ms: i64) -> Result<(), AuditError> {
        let is_behind = !self.records.lately.is_caught_up();
        self.behind.0 = if is_behind { self.behind.0 + 1 } else { 0 };
        if (is_behind && self.behind.0 <= self.behind.1) || !self.resyncs.is_done() {
            // What is missing may just be on its way.
            return Ok(());
        }
        if std::mem::take(&mut self.is_first) {
            self.since =
                self.records.lately.earliest().map_or(self.since, |at| self.since.min(Millis(at.0 - BEFORE_MS)));
        }
        let (listed, until) = self.list(settle_ms).await?;
        let has_changes = !listed.is_empty();
        let (differing, listed): (Vec<Listed>, Vec<Listed>) = listed.into_iter().partition(|row| row.differs);
        let missing: Vec<Listed> = listed.into_iter().filter(|row| !self.has(row)).collect();
        if !missing.is_empty() && !is_behind && self.is_sent_back(&missing) {
            return Ok(());
        }
        if !differing.is_empty() {
            tracing::warn!(records = differing.len(), "records are not what came by the stream: they are read");
        }
        self.read(missing.iter().chain(&differing)).await?;
        let is_second_reading = self.read_twice_until.is_some();
        if !is_behind && has_changes && self.doubted > 0 && !is_second_reading && self.go_back(self.since) {
            self.doubted -= 1;
            self.read_twice_until = Some(until);
            return Ok(());
        }
        let until = self.read_twice_until.take().unwrap_or(until);
        // An overflow may have come meanwhile.
        if self.resyncs.is_done() { self.prove(until).await } else { Ok(()) }
    }

    /// What changed since the last proof, but for what may still be under way, and until when.
    async fn list(&self, settle_ms: i64) -> Result<(Vec<Listed>, Millis), RestError> {
        let objects: Vec<String> =
            self.records.context.connectors.salesforce().mapping().objects.iter().map(|o| o.name.clone()).collect();
        let (mut listed, mut until) = (Vec::new(), Millis(i64::MAX));
        for object in objects {
            let mut page = match self.records.changed_since(&object, self.since).await {
                Err(error) if error.is_no_object() => continue,
                page => page?,
            };
            until = until.min(Millis(page.at.0 - settle_ms));
            loop {
                for records in page.records.chunks(COMPARED_MAX) {
                    listed.extend(self.compared(&object, records, Millis(page.at.0 - settle_ms)).await?);
                }
                let Some(next) = page.next.take() else { break };
                page = self.records.rest.more(&next).await?;
            }
        }
        let until = if until.0 == i64::MAX { self.since } else { until.max(self.since) };
        listed.retain(|row| row.modified_ms <= until.0);
        Ok((listed, until))
    }

    /// Records as they are listed; of those that changed up to `settled` and came by the stream, whether
    /// the hub holds what they say.
    async fn compared(
        &self,
        object: &str,
        records: &[Box<RawValue>],
        settled: Millis,
    ) -> Result<Vec<Listed>, RestError> {
        let rows: Result<Vec<Listed>, RestError> = records.iter().map(|row| read_row(object, row.get())).collect();
        let mut rows = rows?;
        let came = rows.iter().filter(|row| row.modified_ms <= settled.0 && self.has(row));
        let gaps: Vec<Refetch> = came.map(Listed::at_its_end).collect();
        if gaps.is_empty() {
            return Ok(rows);
        }
        let read_at = self.records.now();
        let raw = Fetched { object, read_at, gaps: &gaps, records, ..Fetched::default() }.delivery();
        let context = &self.records.context;
        // What the hub cannot read of a record it cannot compare either; its event is in quarantine.
        let facts = context.connectors.decode(System::Salesforce, &Delivery::document(&raw, read_at)).facts;
        let ids: Vec<_> = facts.iter().map(|fact| fact.record_id.clone()).collect();
        let differ = context.known.would_change(facts).await;
        let differing: HashSet<CompactString> =
            ids.into_iter().zip(differ).filter_map(|(id, differs)| differs.then_some(id)).collect();
        for row in &mut rows {
            row.differs = differing.contains(row.id.as_str());
        }
        Ok(rows)
    }

    /// Whether a change that is listed has come by the stream.
    fn has(&self, row: &Listed) -> bool {
        self.records.lately.has(&row.object, &row.id, row.modified_ms)
    }

    /// Sends the stream back, unless that was tried for all that is missing: as far as is remembered
    /// where nothing was missed lately, else to where the last proof ends.
    fn is_sent_back(&mut self, missing: &[Listed]) -> bool {
        let mut is_new = false;
        for row in missing {
            let tried = self.tried.insert((row.object.clone(), row.id.clone()), row.modified_ms);
            is_new |= tried.is_none_or(|tried| tried < row.modified_ms);
        }
        if !is_new {
            return false;
        }
        tracing::warn!(changes = missing.len(), "changes did not come by the stream: it is sent back");
        let at = if self.doubted > 0 { self.since } else { Millis::MIN };
        self.doubted = DOUBTED_STRETCHES;
        self.go_back(at)
    }

    /// Sends the stream back to before `at`, or to the oldest position that is remembered.
    fn go_back(&self, at: Millis) -> bool {
        let lately = &self.records.lately;
        let Some(position) = lately.mark_before(at).or_else(|| lately.oldest_mark()) else { return false };
        metrics::counter!("opshub_connector_rewinds_total", "system" => "salesforce").increment(1);
        lately.go_back(position);
        true
    }

    /// Reads what is missing as it stands.
    async fn read(&self, missing: impl Iterator<Item = &Listed>) -> Result<(), AuditError> {
        let mut by_object: BTreeMap<&str, Vec<&Listed>> = BTreeMap::new();
        for row in missing {
            by_object.entry(&row.object).or_default().push(row);
        }
        for (object, rows) in by_object {
            for rows in rows.chunks(IDS_MAX) {
                let read_at = self.records.now();
                let page = self.records.by_ids(object, rows.iter().map(|row| row.id.as_str())).await?;
                let gaps: Vec<Refetch> = rows.iter().map(|row| row.at_its_end()).collect();
                let fetched = Fetched { object, read_at, gaps: &gaps, records: &page.records, ..Fetched::default() };
                self.records.submit(&fetched).await?;
                // Also what is gone meanwhile, or in quarantine, has been looked at.
                for row in rows {
                    self.records.lately.note(object, &row.id, row.modified_ms);
                }
            }
        }
        Ok(())
    }

    /// Writes that nothing up to `until` is missing, and where to go on.
    async fn prove(&mut self, until: Millis) -> Result<(), AuditError> {
        let context = &self.records.context;
        let (partition, now) = (&self.records.partition, self.records.now());
        let position = self.records.lately.mark_before(until).unwrap_or_default();
        let place = Place { since: until, position };
        let mut submission = Submission::new(System::Salesforce, partition, Decoded::default(), Bytes::new(), now)
            .at(&position_name(partition), &place.encode());
        submission.facts.push(heartbeat(System::Salesforce, partition, until, now));
        context.submit_until_taken(submission).await?;
        context.status.watermark(until);
        self.since = until;
        self.tried.retain(|_, modified_ms| *modified_ms >= until.0);
        self.records.lately.forget_before(Millis(until.0 - REMEMBERED_MS));
        Ok(())
    }
}

fn read_row(object: &str, row: &str) -> Result<Listed, RestError> {
    let broken = RestError::Answer("an id and the time of change");
    let ListedRow { id, modified } = serde_json::from_str(row).map_err(|_| broken.clone())?;
    let modified = parse_instant(&modified, &jiff::tz::TimeZone::UTC).ok_or(broken)?;
    Ok(Listed { object: object.to_owned(), id: long_id(&id), modified_ms: modified.0, differs: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back() {
        let place = Place { since: Millis(-5), position: vec![1, 2] };
        assert_eq!(compared_until(&place.encode()), Some(Millis(-5)));
        assert_eq!(Place::decode(&place.encode()), Some(place));
        assert_eq!(Place::decode(b"short"), None);
    }

    #[test]
    fn a_row_names_its_record_and_its_change() {
        let row = "{\"Id\":\"0014H00002LbR7Q\",\"SystemModstamp\":\"1970-01-01T00:00:05.000+0000\"}";
        let listed = read_row("Account", row);
        let (object, id) = ("Account".to_owned(), "0014H00002LbR7QQAV".to_owned());
        let expected = Listed { object, id, modified_ms: 5_000, differs: false };
        assert_eq!(expected.at_its_end().version, (5_999, 9_223_372_036_854_775_807, 0));
        assert_eq!(listed, Ok(expected));
        assert!(read_row("Account", "{\"Id\":\"1\"}").is_err());
    }
}
