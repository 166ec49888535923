//! Records that changed without saying how are read again, until that succeeds.

use std::collections::BTreeMap;
use std::time::Duration;

use ontology::{Fact, Op, System};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::RestError;
use super::fetched::Fetched;
use super::select::Records;
use crate::contract::{KnownGap, Sink, SinkError};
use crate::edge::retry::Backoff;

/// Most records that wait for a place; beyond it the stream waits.
const WAITING_MAX: usize = 10_000;

/// Most queries that are under way, or between two attempts.
const READING_MAX: usize = 8;

/// Most records that one query asks for: their ids stand in an address.
const IDS_MAX: usize = 100;

/// How often a query is refused as such before its records are asked for in halves, so that one that
/// cannot be read holds up no others, and before somebody is told.
const REFUSALS_MAX: u32 = 3;

/// A record to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refetch {
    /// Its object.
    pub object: String,
    /// Its id.
    pub record_id: String,
    /// The version of the gap.
    pub version: (u64, u64, u64),
}

impl Refetch {
    /// The refetch that a gap fact asks for.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        let is_gap = fact.op == Op::Gap && fact.system == System::Salesforce;
        is_gap.then(|| Refetch {
            object: fact.object.to_string(),
            record_id: fact.record_id.to_string(),
            version: (fact.version.major, fact.version.minor, fact.version.ordinal),
        })
    }
}

impl From<KnownGap> for Refetch {
    fn from(gap: KnownGap) -> Self {
        Refetch {
            object: gap.object.into(),
            record_id: gap.record_id.into(),
            version: (gap.version.major, gap.version.minor, gap.version.ordinal),
        }
    }
}

/// Where gaps are handed in.
#[derive(Debug, Clone)]
pub struct Refetches(mpsc::Sender<Refetch>);

impl Refetches {
    /// Waits for a place in the queue.
    ///
    /// # Errors
    /// [`SinkError::Closed`] when nobody reads any more.
    pub async fn push(&self, refetch: Refetch) -> Result<(), SinkError> {
        self.0.send(refetch).await.map_err(|_| SinkError::Closed)
    }
}

/// The queue and its reader.
#[must_use]
pub fn queue() -> (Refetches, mpsc::Receiver<Refetch>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Refetches(sender), receiver)
}

/// Reads records until the queue closes or `stop`: first the gaps that were open when the hub
/// stopped, then those of the stream. What is refused is tried again for ever, beside the others.
pub async fn run<S: Sink>(records: Records<S>, mut queue: mpsc::Receiver<Refetch>, stop: CancellationToken) {
    let open = records.context.known.open_gaps(System::Salesforce).await;
    let mut waiting: Vec<Refetch> = open.into_iter().map(Refetch::from).collect();
    let mut reading: JoinSet<Ended> = JoinSet::new();
    let mut again: JoinSet<Ended> = JoinSet::new();
    let mut unread = Unread::default();
    let mut is_open = true;
    while is_open || !reading.is_empty() || !again.is_empty() {
        for refetches in groups(&mut waiting, READING_MAX - reading.len()) {
            reading.spawn(read(records.clone(), Group { refetches, ..Group::default() }, Duration::ZERO));
        }
        let is_room = is_open && waiting.is_empty() && unread.records < WAITING_MAX;
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            Some(ended) = reading.join_next(), if !reading.is_empty() => ended,
            Some(ended) = again.join_next(), if !again.is_empty() => ended,
            taken = queue.recv_many(&mut waiting, IDS_MAX), if is_room => {
                is_open = taken > 0;
                continue;
            }
        };
        let Ok(Ended { group, refusal }) = ended else { continue };
        unread.leave(&group);
        if let Some(error) = &refusal {
            for mut part in group.refused() {
                unread.enter(&part);
                let delay = part.backoff.next_delay().max(error.wait());
                again.spawn(read(records.clone(), part, delay));
            }
        }
        if let Some(finding) = unread.news(refusal.as_ref()) {
            records.context.status.find("records_not_read", finding, records.now());
        }
    }
}

/// Records of one object that are asked for together.
#[derive(Debug, Clone, Default)]
struct Group {
    refetches: Vec<Refetch>,
    backoff: Backoff,
    /// How often the query was refused.
    refusals: u32,
}

impl Group {
    /// What is asked for once it was refused: the same, or each half of it.
    fn refused(mut self) -> Vec<Group> {
        self.refusals += 1;
        let count = self.refetches.len();
        if !self.is_told() || count < 2 {
            return vec![self];
        }
        let half = Group { refetches: self.refetches.split_off(count / 2), ..self.clone() };
        vec![self, half]
    }

    fn is_told(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }
}

/// How one reading of a group ended.
#[derive(Debug)]
struct Ended {
    /// The group as it was asked for.
    group: Group,
    /// Why the organisation refused the query, if it did.
    refusal: Option<RestError>,
}

/// How many records wait because their queries were refused.
#[derive(Debug, Default)]
struct Unread {
    records: usize,
    /// Those of them that somebody is told of.
    told: usize,
    /// How many were told last.
    told_last: usize,
    /// Why the newest query was refused.
    why: String,
}

impl Unread {
    fn enter(&mut self, group: &Group) {
        self.records += group.refetches.len();
        self.told += if group.is_told() { group.refetches.len() } else { 0 };
    }

    fn leave(&mut self, group: &Group) {
        if group.refusals > 0 {
            self.records -= group.refetches.len();
            self.told -= if group.is_told() { group.refetches.len() } else { 0 };
        }
    }

    /// The finding as it is now, if it changed.
    fn news(&mut self, refusal: Option<&RestError>) -> Option<Option<String>> {
        if let Some(error) = refusal {
            self.why = error.to_string();
        }
        if std::mem::replace(&mut self.told_last, self.told) == self.told {
            return None;
        }
        let text = format!(
            "{} records that changed cannot be read: {}; they are asked for again, look at the user's access to them",
            self.told, self.why
        );
        Some((self.told > 0).then_some(text))
    }
}

/// Takes up to `count` groups of records of one object out of `waiting`.
fn groups(waiting: &mut Vec<Refetch>, count: usize) -> Vec<Vec<Refetch>> {
    let mut by_object: BTreeMap<String, Vec<Refetch>> = BTreeMap::new();
    for refetch in waiting.drain(..) {
        by_object.entry(refetch.object.clone()).or_default().push(refetch);
    }
    let all = by_object
        .into_values()
        .flat_map(|of_object| of_object.chunks(IDS_MAX).map(<[Refetch]>::to_vec).collect::<Vec<_>>());
    let mut groups: Vec<Vec<Refetch>> = all.collect();
    waiting.extend(groups.split_off(count.min(groups.len())).into_iter().flatten());
    groups
}

/// Asks for a group after `delay`, for ever where the organisation is not reached; until it is read or
/// refused.
async fn read<S: Sink>(records: Records<S>, group: Group, delay: Duration) -> Ended {
    tokio::time::sleep(delay).await;
    let mut backoff = Backoff::default();
    loop {
        let error = match attempt(&records, &group.refetches).await {
            Ok(Ok(())) => {
                let count = group.refetches.len() as u64;
                metrics::counter!("opshub_connector_refetches_total", "system" => "salesforce").increment(count);
                return Ended { group, refusal: None };
            }
            // A closed log ends the connector; the gaps stay open and are handed in again.
            Ok(Err(_)) => return Ended { group, refusal: None },
            Err(error) => error,
        };
        records.context.status.failed(&error.to_string(), records.now());
        if matches!(error, RestError::Refused { status: 400 | 404, .. }) {
            let object = group.refetches.first().map(|r| r.object.as_str()).unwrap_or_default();
            tracing::warn!(object, records = group.refetches.len(), %error, "records that changed were not read");
            return Ended { group, refusal: Some(error) };
        }
        tokio::time::sleep(backoff.next_delay().max(error.wait())).await;
    }
}

async fn attempt<S: Sink>(records: &Records<S>, group: &[Refetch]) -> Result<Result<(), SinkError>, RestError> {
    let Some(first) = group.first() else { return Ok(Ok(())) };
    let read_at = records.now();
    let page = records.by_ids(&first.object, group.iter().map(|r| r.record_id.as_str())).await?;
    let fetched = Fetched { object: &first.object, read_at, gaps: group, records: &page.records, ..Fetched::default() };
    Ok(records.submit(&fetched).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_object_are_read_together() {
        let refetch = |object: &str, n: usize| Refetch {
            object: object.to_owned(),
            record_id: n.to_string(),
            version: (1, 1, 1),
        };
        let mut waiting: Vec<Refetch> = (0..150).map(|n| refetch("Case", n)).collect();
        waiting.push(refetch("Account", 1));
        let first = groups(&mut waiting, 2);
        assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [1, 100]);
        assert_eq!(waiting.len(), 50);
        assert_eq!(groups(&mut waiting, 8).len(), 1);
        assert!(waiting.is_empty() && groups(&mut waiting, 8).is_empty());
    }

    #[test]
    fn what_is_refused_is_asked_for_again_and_then_in_halves() {
        let refetch = |n: usize| Refetch { object: "Case".to_owned(), record_id: n.to_string(), version: (1, 1, 1) };
        let mut unread = Unread::default();
        let mut groups = vec![Group { refetches: (0..3).map(refetch).collect(), ..Group::default() }];
        let refusal = RestError::Refused { status: 400, code: "QUERY_TIMEOUT".to_owned(), words: String::new() };
        let sizes = |groups: &[Group]| groups.iter().map(|group| group.refetches.len()).collect::<Vec<_>>();
        for expected in [&[3][..], &[3], &[1, 2], &[1, 1, 1], &[1, 1, 1]] {
            groups.iter().for_each(|group| unread.leave(group));
            groups = groups.into_iter().flat_map(Group::refused).collect();
            groups.iter().for_each(|group| unread.enter(group));
            assert_eq!(sizes(&groups), expected);
        }
        assert_eq!(unread.records, 3);
        let told = unread.news(Some(&refusal)).flatten().unwrap_or_default();
        assert!(told.starts_with("3 records that changed cannot be read: salesforce answered QUERY_TIMEOUT"), "{told}");
        assert_eq!(unread.news(Some(&refusal)), None, "no news");
        groups.iter().for_each(|group| unread.leave(group));
        assert_eq!((unread.records, unread.news(None)), (0, Some(None)), "gone when all are read");
    }
}
