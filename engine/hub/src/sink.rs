//! Where connectors hand over: facts, quarantined input and source positions become one job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use connectors::{Accepted, Sink, SinkError, Submission};
use ontology::{System, Vocabulary};
use storage::{NewQuarantined, Priority};

use crate::outcomes::Outcomes;
use crate::runner::{Handle, Payload};
use crate::traces::Traces;

/// Version of the contract that connectors read by.
pub(crate) const CONTRACT_VERSION: &str = "1";

/// When a source may come again to a process that does not own the store.
const NOT_OWNER_RETRY_MS: u64 = 1_000;

/// What a system has delivered since the start.
#[derive(Debug, Default)]
pub struct Delivered {
    /// Facts in the log.
    pub facts: AtomicU64,
    /// Quarantined parts.
    pub quarantined: AtomicU64,
    /// Deliveries, whatever they held.
    pub deliveries: AtomicU64,
}

/// The hub's end of every connector.
#[derive(Clone)]
pub struct HubSink {
    handle: Handle,
    delivered: Arc<[Delivered; 7]>,
    outcomes: Outcomes,
    traces: Traces,
}

impl HubSink {
    /// A sink into a running hub.
    #[must_use]
    pub fn new(handle: Handle, outcomes: Outcomes, traces: Traces) -> Self {
        HubSink { handle, delivered: Arc::default(), outcomes, traces }
    }

    /// What a system has delivered since the start.
    #[must_use]
    pub fn delivered(&self, system: System) -> &Delivered {
        &self.delivered[usize::from(system.code())]
    }
}

impl Sink for HubSink {
    async fn submit(&self, submission: Submission) -> Result<Accepted, SinkError> {
        let beside = submission.kept().encode();
        let Submission { system, partition, facts, traces, rejects, raw, unmapped, position, observed_at, .. } =
            submission;
        let (fact_count, reject_count) = (facts.len() as u64, rejects.len() as u64);
        let source = format!("{}/{}", system.name(), partition.trim_start_matches('/'));
        let quarantined = rejects
            .into_iter()
            .map(|reject| NewQuarantined {
                reason: reject.code.name().to_owned(),
                detail: reject.detail,
                source: source.clone(),
                source_position: position.as_ref().map(|(_, place)| place.clone()).unwrap_or_default(),
                received_at: observed_at,
                contract_version: CONTRACT_VERSION.to_owned(),
                attempts: 1,
                beside: beside.clone(),
                raw: reject.raw.to_vec(),
            })
            .collect();
        // Before it is stored: the source does not tell it again once its position has moved.
        if let Err(error) = self.outcomes.recognise(&raw, observed_at) {
            tracing::warn!(%error, "note that a command of ours came back");
        }
        // What a mapping reads nothing of is kept only if another one could.
        let is_kept = !facts.is_empty() || unmapped > 0;
        let payload = if is_kept { Payload { beside, raw } } else { Payload::default() };
        self.traces.note(&facts, &traces);
        let done = self.handle.append(facts, quarantined, payload, position, Priority::Source).await;
        match done {
            Ok(log_pos) => {
                let delivered = self.delivered(system);
                delivered.facts.fetch_add(fact_count, Ordering::Relaxed);
                delivered.quarantined.fetch_add(reject_count, Ordering::Relaxed);
                delivered.deliveries.fetch_add(1, Ordering::Relaxed);
                Ok(Accepted { log_pos: log_pos.0 })
            }
            // Nothing was written, and the source can tell it again.
            Err(storage::Error::Full { retry_after_ms, .. } | storage::Error::Unreachable { retry_after_ms, .. }) => {
                Err(SinkError::Busy { retry_after_ms })
            }
            Err(storage::Error::NotOwner) => Err(SinkError::Busy { retry_after_ms: NOT_OWNER_RETRY_MS }),
            Err(error) => {
                tracing::error!(%error, system = system.name(), "the log refused a delivery");
                Err(SinkError::Closed)
            }
        }
    }
}
