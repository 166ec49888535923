//! Business events: stored as gaps before they are acknowledged, then the records are read.
//!
//! Each event names a record that changed. The gap is durable first; after a restart the hub knows
//! which are still open. A record is asked for until it is read, and rests between two attempts: what is
//! read stands at the version of the gap at least, so that it closes it. A record that is not there for
//! ten minutes, while another one of its set can be read by its key, was deleted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use ontology::{Fact, Millis, Op, System};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::address::{Begin, SapAccess, SapSet, page_address, record_address};
use crate::Connectors;
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::http::{CallError, client};
use crate::edge::retry::Backoff;
use crate::json::Json;
use crate::mapping::Form;

/// Most records that wait for a place; beyond it they are found again among the open gaps.
const WAITING_MAX: usize = 1_000;

/// How often the hub is asked for gaps that are open, beside those that come through the queue.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Most records that are being read at a time.
const READING_MAX: usize = 16;

/// How long a record has to be absent before it counts as deleted.
const ABSENT_MS_MIN: i64 = 10 * Millis::MINUTE_MS;

/// The finding of records that are not there.
const ABSENT: &str = "records_absent";

/// A record to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refetch {
    /// The source row that it fills, as facts name it.
    pub row: String,
    /// Its key.
    pub record_id: String,
    /// The version of the gap: the time of the event in milliseconds.
    pub at_ms: u64,
}

impl Refetch {
    fn key(self) -> Key {
        (self.row, self.record_id)
    }

    /// The refetch that a gap asks for.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        let is_gap = fact.op == Op::Gap && fact.system == System::Sap;
        is_gap.then(|| Refetch {
            row: fact.object.to_string(),
            record_id: fact.record_id.to_string(),
            at_ms: fact.version.major,
        })
    }
}

/// Where gaps are handed in.
#[derive(Debug, Clone)]
pub struct Refetches {
    sender: mpsc::Sender<Refetch>,
    /// Rows that some set fills.
    rows: BTreeSet<String>,
}

impl Refetches {
    /// Whether a set fills the row that a fact is of. A gap of any other row would stay open for ever.
    #[must_use]
    pub fn fills(&self, fact: &Fact) -> bool {
        self.rows.contains(fact.object.as_str())
    }

    /// Hands a gap in. Without a place in the queue it waits until the reader looks for open gaps.
    pub fn push(&self, refetch: Refetch) {
        drop(self.sender.try_send(refetch));
    }
}

/// The queue for records of `sets`, and its reader.
#[must_use]
pub fn queue(connectors: &Connectors, sets: &[SapSet]) -> (Refetches, mpsc::Receiver<Refetch>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let rows = connectors.mapping(System::Sap).map(|mapping| {
        let objects = sets.iter().filter_map(|set| mapping.object(&set.name));
        objects.map(|object| object.row_name().to_owned()).collect()
    });
    (Refetches { sender, rows: rows.unwrap_or_default() }, receiver)
}

/// How records are read.
#[derive(Debug, Clone)]
pub struct RefetchConfig {
    /// The interface.
    pub access: SapAccess,
    /// The sets that records are read from.
    pub sets: Vec<SapSet>,
    /// Partition that they belong to.
    pub partition: String,
}

/// Row and key of a record.
type Key = (String, String);

/// A record that is to be read.
#[derive(Debug, Default)]
struct Wanted {
    /// The newest gap that its reading closes.
    at_ms: u64,
    backoff: Backoff,
    /// Since when the source answers that there is no such record.
    absent_since: Option<Millis>,
}

/// How an attempt to read a record ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// What the source holds of it is stored.
    Read,
    /// It is not there.
    Absent(Millis),
    /// Nobody knows.
    Failed,
}

/// The records that are to be read. Each is due, being read, or resting after an attempt that failed;
/// one that rests holds no place, so that many that cannot be read keep none of the others out.
#[derive(Debug, Default)]
struct Records {
    wanted: BTreeMap<Key, Wanted>,
    /// Those that may be read now, in the order in which they became due.
    due: VecDeque<Key>,
}

impl Records {
    /// Takes a gap in. One reading answers every event of a record that came before it.
    fn want(&mut self, key: Key, at_ms: u64) {
        let wanted = self.wanted.entry(key).or_insert_with_key(|key| {
            self.due.push_back(key.clone());
            Wanted::default()
        });
        wanted.at_ms = wanted.at_ms.max(at_ms);
    }

    /// The next record to read, with since when it is known to be absent.
    fn next(&mut self) -> Option<(Refetch, Option<Millis>)> {
        let (row, record_id) = self.due.pop_front()?;
        let Wanted { at_ms, absent_since, .. } = *self.wanted.get(&(row.clone(), record_id.clone()))?;
        Some((Refetch { row, record_id, at_ms }, absent_since))
    }

    /// An attempt ended; how long the record rests before the next one.
    fn ended(&mut self, key: Key, at_ms: u64, ended: Ended) -> Option<Duration> {
        match ended {
            Ended::Read => {
                self.read(key, at_ms);
                return None;
            }
            Ended::Absent(now) => {
                if let Some(wanted) = self.wanted.get_mut(&key) {
                    wanted.absent_since.get_or_insert(now);
                }
            }
            Ended::Failed => {}
        }
        self.failed(&key)
    }

    /// How many records are not there, in words.
    fn absent(&self) -> Option<String> {
        let count = self.wanted.values().filter(|wanted| wanted.absent_since.is_some()).count();
        (count > 0).then(|| {
            format!(
                "{count} records that events told of are not there: each counts as deleted once it was not there \
                 for ten minutes"
            )
        })
    }

    /// A record was read as of `at_ms`: a gap that came meanwhile is another reading.
    fn read(&mut self, key: Key, at_ms: u64) {
        match self.wanted.get_mut(&key) {
            Some(wanted) if wanted.at_ms > at_ms => {
                wanted.backoff.reset();
                wanted.absent_since = None;
                self.due.push_back(key);
            }
            Some(_) | None => {
                self.wanted.remove(&key);
            }
        }
    }

    /// A record could not be read: how long it rests. Beyond the bound it is forgotten until the next
    /// look at the open gaps.
    fn failed(&mut self, key: &Key) -> Option<Duration> {
        if self.wanted.len() > WAITING_MAX {
            self.wanted.remove(key);
        }
        Some(self.wanted.get_mut(key)?.backoff.next_delay())
    }
}

/// Reads records until the queue closes or `stop`, those first whose gaps are still open from an
/// earlier run. Each is tried again for ever, with longer and longer waits.
pub async fn run<S: Sink>(
    context: Context<S>,
    config: RefetchConfig,
    mut queue: mpsc::Receiver<Refetch>,
    stop: CancellationToken,
) {
    let mut records = Records::default();
    // The first tick comes at once: what was open when the hub stopped is read first.
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut reading: JoinSet<(Key, u64, Ended)> = JoinSet::new();
    let mut resting: JoinSet<Key> = JoinSet::new();
    loop {
        while reading.len() < READING_MAX
            && let Some((refetch, absent_since)) = records.next()
        {
            reading.spawn(read(context.clone(), config.clone(), refetch, absent_since));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Some(Ok((key, at_ms, ended))) = reading.join_next(), if !reading.is_empty() => {
                if let Some(delay) = records.ended(key.clone(), at_ms, ended) {
                    resting.spawn(async move {
                        tokio::time::sleep(delay).await;
                        key
                    });
                }
                context.status.find(ABSENT, records.absent(), context.clock.now());
            }
            Some(Ok(key)) = resting.join_next(), if !resting.is_empty() => records.due.push_back(key),
            _ = looks.tick() => {
                for gap in context.known.open_gaps(System::Sap).await {
                    records.want((gap.object.to_string(), gap.record_id.to_string()), gap.version.major);
                }
            }
            next = queue.recv(), if records.due.len() < WAITING_MAX => {
                let Some(refetch) = next else { break };
                records.want((refetch.row, refetch.record_id), refetch.at_ms);
            }
        }
    }
    while reading.join_next().await.is_some() {}
}

/// Reads a record once; its key, the gap that was answered, and how that ended.
async fn read<S: Sink>(
    context: Context<S>,
    config: RefetchConfig,
    refetch: Refetch,
    absent_since: Option<Millis>,
) -> (Key, u64, Ended) {
    let now = context.clock.now();
    let answer = match set_of(&context, &config.sets, &refetch.row) {
        Some(set) => match attempt(&config.access, set, &refetch).await {
            Err(CallError::Status(404 | 410)) if !has_been_absent(absent_since, now) => {
                let at_ms = refetch.at_ms;
                return (refetch.key(), at_ms, Ended::Absent(now));
            }
            Err(CallError::Status(404 | 410)) => gone(&config.access, set, &refetch).await,
            answer => answer.map_err(|error| error.to_string()),
        },
        None => Err("an event of a set that is not configured".to_owned()),
    };
    let ended = if answer.is_ok() { Ended::Read } else { Ended::Failed };
    match answer {
        Ok(raw) => {
            metrics::counter!("opshub_connector_refetches_total", "system" => "sap").increment(1);
            let decoding = context.decode(System::Sap, &config.partition, &raw, Framing::Document);
            // A closed log ends the connector; the gap stays open and is read after the restart.
            let _ = context.submit_until_taken(decoding.submission).await;
        }
        Err(error) => context.status.failed(&error, now),
    }
    let at_ms = refetch.at_ms;
    (refetch.key(), at_ms, ended)
}

/// Whether a record that is not there now was missed long enough ago to count as deleted.
fn has_been_absent(since: Option<Millis>, now: Millis) -> bool {
    since.is_some_and(|since| now.since(since) >= ABSENT_MS_MIN)
}

/// What tells that a record is gone, where its set answers for others: the first row of the set is read by
/// its key, as the hub writes keys. Else nobody knows whether a service, a right or the form of the key is
/// what is missing.
async fn gone(access: &SapAccess, set: &SapSet, refetch: &Refetch) -> Result<Bytes, String> {
    let is_number = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit());
    let other = match first_key(access, set).await {
        Err(CallError::Status(403 | 404 | 410)) => None,
        read => read.map_err(|error| error.to_string())?,
    };
    let other = other.filter(|other| is_number(other) || !is_number(&refetch.record_id));
    let is_read = match other {
        Some(other) => attempt(access, set, &Refetch { record_id: other, ..refetch.clone() }).await.is_ok(),
        None => false,
    };
    if !is_read {
        let set = &set.name;
        return Err(format!(
            "a record of {set} that an event told of is not there, and no other is read by its key either: it is \
             not taken as deleted; look at the service and at what its user may read"
        ));
    }
    tracing::info!(system = "sap", set = set.name, "a record that an event told of is gone: it counts as deleted");
    let (set, id) = (serde_json::json!(set.name), serde_json::json!(refetch.record_id));
    Ok(Bytes::from(format!("{{\"set\":{set},\"gapMs\":{},\"gone\":{id}}}", refetch.at_ms)))
}

/// The key of the first row of a set, without leading zeros.
async fn first_key(access: &SapAccess, set: &SapSet) -> Result<Option<String>, CallError> {
    let address = page_address(&access.base_url, set, &Begin::First, 1)?;
    let (_, body) = access.get(&client(), &address).await?;
    let page = Json::parse(&body).map_err(|_| CallError::Answer("a page of rows"))?;
    let rows = page.path("d.results").or_else(|| page.get("value")).map(Json::elements).unwrap_or_default();
    let key = rows.first().and_then(|row| row.get(&set.key)).and_then(Json::scalar);
    Ok(key.map(|key| Form::TrimZeros.apply(key).into_owned()))
}

/// The set that rows of this name are read from.
fn set_of<'a, S>(context: &Context<S>, sets: &'a [SapSet], row: &str) -> Option<&'a SapSet> {
    let mapping = context.connectors.mapping(System::Sap)?;
    sets.iter().find(|set| mapping.object(&set.name).is_some_and(|object| object.row_name() == row))
}

/// Reads a record once. What comes back names its set and the gap that it closes.
async fn attempt(access: &SapAccess, set: &SapSet, refetch: &Refetch) -> Result<Bytes, CallError> {
    let address = record_address(&access.base_url, set, &refetch.record_id)?;
    let (_, body) = access.get(&client(), &address).await?;
    let text = std::str::from_utf8(&body).map_err(|_| CallError::Answer("a record"))?;
    let rest = text.trim_start().strip_prefix('{').ok_or(CallError::Answer("a record"))?;
    let name = serde_json::json!(set.name);
    Ok(Bytes::from(format!("{{\"set\":{name},\"gapMs\":{},{rest}", refetch.at_ms)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(id: &str) -> Key {
        ("Z1SRVORD".to_owned(), id.to_owned())
    }

    fn next(records: &mut Records) -> Option<(String, u64)> {
        records.next().map(|(refetch, _)| (refetch.record_id, refetch.at_ms))
    }

    #[test]
    fn a_record_is_absent_since_it_was_first_missed() {
        let mut records = Records::default();
        records.want(key("1"), 5);
        assert_eq!((records.next().unwrap().1, records.absent()), (None, None));
        assert!(records.ended(key("1"), 5, Ended::Absent(Millis(7))).is_some(), "it rests");
        assert!(records.ended(key("1"), 5, Ended::Failed).is_some());
        assert!(records.ended(key("1"), 5, Ended::Absent(Millis(9))).is_some());
        records.due.push_back(key("1"));
        assert_eq!(records.next().unwrap().1, Some(Millis(7)));
        assert!(records.absent().unwrap().starts_with("1 records"));
        // A later event may have made it anew.
        records.want(key("1"), 6);
        assert_eq!(records.ended(key("1"), 5, Ended::Read), None);
        assert_eq!((records.next().unwrap().1, records.absent()), (None, None));
    }

    #[test]
    fn a_record_is_missed_twice_ten_minutes_apart() {
        assert!(!has_been_absent(None, Millis(600_000)));
        assert!(!has_been_absent(Some(Millis(0)), Millis(599_999)));
        assert!(has_been_absent(Some(Millis(0)), Millis(600_000)));
    }

    #[test]
    fn records_that_cannot_be_read_hold_no_place() {
        let mut records = Records::default();
        (0..READING_MAX).for_each(|n| records.want(key(&n.to_string()), 1));
        while let Some((id, _)) = next(&mut records) {
            assert!(records.failed(&key(&id)).is_some());
        }
        // Seen again among the open gaps they still rest; another one is read at once.
        records.want(key("0"), 2);
        records.want(key("good"), 3);
        assert_eq!(next(&mut records), Some(("good".to_owned(), 3)));
        assert_eq!(next(&mut records), None);
        // Rested, it is asked for with the newest gap.
        records.due.push_back(key("0"));
        assert_eq!(next(&mut records), Some(("0".to_owned(), 2)));
    }

    #[test]
    fn what_came_while_a_record_was_read_is_another_reading() {
        let mut records = Records::default();
        records.want(key("1"), 5);
        assert_eq!(next(&mut records), Some(("1".to_owned(), 5)));
        records.want(key("1"), 6);
        assert_eq!(next(&mut records), None, "being read");
        records.read(key("1"), 5);
        assert_eq!(next(&mut records), Some(("1".to_owned(), 6)));
        records.read(key("1"), 6);
        assert_eq!((next(&mut records), records.wanted.len()), (None, 0));
    }

    #[test]
    fn beyond_the_bound_what_fails_is_left_to_the_next_look() {
        let mut records = Records::default();
        (0..=WAITING_MAX).for_each(|n| records.want(key(&n.to_string()), 1));
        assert_eq!(records.failed(&key("0")), None);
        assert!(records.failed(&key("1")).is_some(), "at the bound it rests");
        assert_eq!(records.wanted.len(), WAITING_MAX);
    }
}
