//! Records that changed without saying how are read again, until that succeeds.

use bytes::Bytes;
use ontology::{Fact, Op, System};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::rest::Rest;
use crate::contract::{Framing, Sink, SinkError};
use crate::edge::Context;
use crate::edge::http::CallError;
use crate::edge::retry::Backoff;

/// Most records that wait for a place; beyond it the stream waits.
const WAITING_MAX: usize = 10_000;

/// Most records that are being read, or are between two attempts.
const READING_MAX: usize = 64;

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

/// Where gaps are handed in. The hub hands in those that were open when it stopped.
#[derive(Debug, Clone)]
pub struct Refetches(mpsc::Sender<Refetch>);

impl Refetches {
    /// Waits for a place in the queue.
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

/// Reads records until the queue closes or `stop`; each is tried again for ever, with longer and
/// longer waits.
pub async fn run<S: Sink>(
    context: Context<S>,
    rest: Rest,
    partition: String,
    mut queue: mpsc::Receiver<Refetch>,
    stop: CancellationToken,
) {
    let mut reading: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = reading.join_next(), if !reading.is_empty() => {}
            next = queue.recv(), if reading.len() < READING_MAX => {
                let Some(refetch) = next else { break };
                reading.spawn(read(context.clone(), rest.clone(), partition.clone(), refetch));
            }
        }
    }
    while reading.join_next().await.is_some() {}
}

async fn read<S: Sink>(context: Context<S>, rest: Rest, partition: String, refetch: Refetch) {
    let mut backoff = Backoff::default();
    loop {
        match attempt(&context, &rest, &refetch).await {
            Ok(raw) => {
                metrics::counter!("opshub_connector_refetches_total", "system" => "salesforce").increment(1);
                let decoding = context.decode(System::Salesforce, &partition, &raw, Framing::Document);
                // A closed log ends the connector; the gap stays open and is handed in again.
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

async fn attempt<S: Sink>(context: &Context<S>, rest: &Rest, refetch: &Refetch) -> Result<Bytes, CallError> {
    rest.record(&refetch.object, &refetch.record_id, refetch.version, context.clock.now()).await
}
