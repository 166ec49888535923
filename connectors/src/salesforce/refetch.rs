//! Records that changed without saying how are read again, until that succeeds.

use std::collections::BTreeMap;

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

/// How often a query is tried that the organisation refuses as such. The gap then stays open, is seen
/// as a change not applied, and is handed in again after a restart.
const REFUSALS_MAX: u32 = 5;

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
/// stopped, then those of the stream.
pub async fn run<S: Sink>(records: Records<S>, mut queue: mpsc::Receiver<Refetch>, stop: CancellationToken) {
    let open = records.context.known.open_gaps(System::Salesforce).await;
    let mut waiting: Vec<Refetch> = open.into_iter().map(Refetch::from).collect();
    let mut reading: JoinSet<()> = JoinSet::new();
    loop {
        for group in groups(&mut waiting, READING_MAX - reading.len()) {
            reading.spawn(read(records.clone(), group));
        }
        let is_room = waiting.is_empty();
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = reading.join_next(), if !reading.is_empty() => {}
            taken = queue.recv_many(&mut waiting, IDS_MAX), if is_room => {
                if taken == 0 {
                    break;
                }
            }
        }
    }
    while reading.join_next().await.is_some() {}
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

async fn read<S: Sink>(records: Records<S>, group: Vec<Refetch>) {
    let mut backoff = Backoff::default();
    let mut refusals = 0;
    loop {
        let error = match attempt(&records, &group).await {
            Ok(Ok(())) => {
                let count = group.len() as u64;
                metrics::counter!("opshub_connector_refetches_total", "system" => "salesforce").increment(count);
                return;
            }
            // A closed log ends the connector; the gaps stay open and are handed in again.
            Ok(Err(_)) => return,
            Err(error) => error,
        };
        records.context.status.failed(&error.to_string(), records.now());
        if matches!(error, RestError::Refused { status: 400 | 404, .. }) {
            refusals += 1;
            if refusals >= REFUSALS_MAX {
                let object = group.first().map(|r| r.object.as_str()).unwrap_or_default();
                tracing::error!(object, records = group.len(), %error, "records that changed cannot be read");
                return;
            }
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
}
