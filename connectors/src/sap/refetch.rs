//! Business events: stored as gaps before they are acknowledged, then the records are read.
//!
//! Each event names a record that changed. The gap is durable first; after a restart the hub knows
//! which are still open. A record is asked for until it is read: what is read stands at the version
//! of the gap at least, so that it closes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use ontology::{Fact, Op, System};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::address::{SapAccess, SapSet, record_address};
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::http::{CallError, client};
use crate::edge::retry::Backoff;

/// Most records that wait for a place; beyond it they are found again among the open gaps.
const WAITING_MAX: usize = 1_000;

/// How often the hub is asked for gaps that are open, beside those that come through the queue.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Most records that are being read, or are between two attempts.
const READING_MAX: usize = 16;

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
pub type Refetches = mpsc::Sender<Refetch>;

/// The queue and its reader.
#[must_use]
pub fn queue() -> (Refetches, mpsc::Receiver<Refetch>) {
    mpsc::channel(WAITING_MAX)
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

/// Reads records until the queue closes or `stop`, those first whose gaps are still open from an
/// earlier run. Each is tried again for ever, with longer and longer waits.
pub async fn run<S: Sink>(
    context: Context<S>,
    config: RefetchConfig,
    mut queue: mpsc::Receiver<Refetch>,
    stop: CancellationToken,
) {
    let mut open: BTreeMap<(String, String), u64> = BTreeMap::new();
    // The first tick comes at once: what was open when the hub stopped is read first.
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut reading: JoinSet<()> = JoinSet::new();
    loop {
        while reading.len() < READING_MAX
            && let Some(((row, record_id), at_ms)) = open.pop_first()
        {
            reading.spawn(read(context.clone(), config.clone(), Refetch { row, record_id, at_ms }));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = reading.join_next(), if !reading.is_empty() => {}
            _ = looks.tick() => {
                for gap in context.known.open_gaps(System::Sap).await {
                    open.insert((gap.object.to_string(), gap.record_id.to_string()), gap.version.major);
                }
            }
            next = queue.recv(), if open.len() < WAITING_MAX => {
                let Some(refetch) = next else { break };
                // One reading answers every event of a record that came before it.
                let newest = open.entry((refetch.row, refetch.record_id)).or_default();
                *newest = refetch.at_ms.max(*newest);
            }
        }
    }
    while reading.join_next().await.is_some() {}
}

async fn read<S: Sink>(context: Context<S>, config: RefetchConfig, refetch: Refetch) {
    let Some(set) = set_of(&context, &config.sets, &refetch.row) else {
        context.status.failed("an event of a set that is not configured", context.clock.now());
        return;
    };
    let mut backoff = Backoff::default();
    loop {
        match attempt(&config.access, set, &refetch).await {
            Ok(raw) => {
                metrics::counter!("opshub_connector_refetches_total", "system" => "sap").increment(1);
                let decoding = context.decode(System::Sap, &config.partition, &raw, Framing::Document);
                // A closed log ends the connector; the gap stays open and is read after the restart.
                let _ = context.submit_until_taken(decoding.submission).await;
                return;
            }
            Err(error) => {
                context.status.failed(&error.to_string(), context.clock.now());
                tokio::time::sleep(backoff.next_delay()).await;
            }
        }
    }
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
