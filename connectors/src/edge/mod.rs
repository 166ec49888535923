//! What every transport shares at the edge of the hub: bounded bodies, waiting for the log, the
//! state that operators see, and the heartbeats that prove a quiet source alive.

pub mod body;
pub mod credentials;
pub mod http;
pub mod list_job;
pub mod liveness;
pub mod loopback;
pub mod oauth;
pub mod portions;
pub mod retry;
pub mod status;
pub mod trial;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ontology::{Millis, System};

use crate::Headers;
use crate::connectors::Connectors;
use crate::contract::{
    Accepted, Delivery, Framing, Known, Mark, Resync, SharedClock, Sink, SinkError, Submission, Unplaced,
};
use retry::Backoff;
use status::StatusHandle;

/// What a transport needs of the hub.
#[derive(Clone)]
pub struct Context<S> {
    /// The decoders.
    pub connectors: Connectors,
    /// Where facts go.
    pub sink: S,
    /// What the hub holds already.
    pub known: Arc<dyn Known>,
    /// The time that facts are stamped with.
    pub clock: SharedClock,
    /// What operators see of this connector.
    pub status: StatusHandle,
}

/// Names of the metrics, with what they count. Labels: `system`, and `code` where one is said.
pub const METRICS: &[(&str, &str)] = &[
    ("opshub_connector_facts_total", "facts made from deliveries"),
    ("opshub_connector_deliveries_total", "deliveries received"),
    ("opshub_connector_rejects_total", "parts of deliveries put into quarantine, by code"),
    ("opshub_connector_ignored_total", "entries that are no business of the hub"),
    ("opshub_connector_own_changes_total", "entries that tell of a change that the hub itself made"),
    ("opshub_connector_refused_total", "requests refused at the edge, by code"),
    ("opshub_connector_errors_total", "failed calls to the source"),
    ("opshub_connector_refetches_total", "records read after a gap"),
    ("opshub_connector_resyncs_total", "objects read whole, because their events were out of reach"),
    ("opshub_connector_lacking_total", "changes that their transaction counted and that did not arrive"),
    ("opshub_connector_transactions_uncounted_total", "transactions given up before their end: too many were open"),
    ("opshub_connector_rewinds_total", "times the stream went back to deliver again what had not arrived"),
    ("opshub_connector_findings", "what somebody should look at: 1 as long as it holds, by kind"),
    ("opshub_connector_allowance", "what the source allows in a day, by kind"),
    ("opshub_connector_allowance_remaining", "what is left of it, by kind"),
];

impl<S: Sink> Context<S> {
    /// Decodes a delivery without headers into a submission and counts it.
    pub fn decode(&self, system: System, partition: &str, raw: &Bytes, framing: Framing) -> Decoding {
        self.decode_told(system, partition, raw, framing, Headers::default())
    }

    /// Decodes a delivery with what its headers told into a submission and counts it.
    #[allow(clippy::disallowed_methods, reason = "how long it took is counted, and nothing depends on it")]
    pub fn decode_told(
        &self,
        system: System,
        partition: &str,
        raw: &Bytes,
        framing: Framing,
        headers: Headers,
    ) -> Decoding {
        let observed_at = self.clock.now();
        let delivery = Delivery { raw, framing, headers: &headers, observed_at };
        let begun = std::time::Instant::now();
        let mut decoded = self.connectors.decode(system, &delivery);
        metrics::histogram!("opshub_stage_seconds", "stage" => "decode").record(begun.elapsed().as_secs_f64());
        let label = ontology::Vocabulary::name(system);
        metrics::counter!("opshub_connector_deliveries_total", "system" => label).increment(1);
        metrics::counter!("opshub_connector_facts_total", "system" => label).increment(decoded.facts.len() as u64);
        metrics::counter!("opshub_connector_ignored_total", "system" => label).increment(decoded.ignored as u64);
        metrics::counter!("opshub_connector_own_changes_total", "system" => label).increment(decoded.own as u64);
        // What somebody may know the place of is counted when nobody did.
        let unplaced: HashSet<usize> = decoded.unplaced.iter().map(|unplaced| unplaced.reject).collect();
        for (_, reject) in decoded.rejects.iter().enumerate().filter(|(at, _)| !unplaced.contains(at)) {
            let code = reject.code.name();
            metrics::counter!("opshub_connector_rejects_total", "system" => label, "code" => code).increment(1);
        }
        let (resyncs, marks) = (std::mem::take(&mut decoded.resyncs), std::mem::take(&mut decoded.marks));
        let unplaced = std::mem::take(&mut decoded.unplaced);
        let submission = Submission::new(system, partition, decoded, raw.clone(), observed_at);
        let submission = Submission { framing, headers, ..submission };
        Decoding { submission, resyncs, marks, unplaced }
    }

    /// Hands a submission over once. What holds nothing is not written.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, SinkError> {
        if submission.is_empty() {
            return Ok(Accepted::default());
        }
        let (facts, rejects, at) = (submission.facts.len(), submission.rejects.len(), submission.observed_at);
        let result = self.sink.submit(submission).await;
        match &result {
            Ok(_) => self.status.delivered(facts, rejects, at),
            Err(error) => self.status.failed(&error.to_string(), at),
        }
        result
    }

    /// Hands a submission over until it is taken: the source waits meanwhile. Fails only when the
    /// log is closed.
    pub async fn submit_until_taken(&self, submission: Submission) -> Result<Accepted, SinkError> {
        let mut backoff = Backoff::default();
        loop {
            match self.submit(submission.clone()).await {
                Err(SinkError::Busy { retry_after_ms }) => {
                    tokio::time::sleep(backoff.next_delay().max(Duration::from_millis(retry_after_ms))).await;
                }
                result => return result,
            }
        }
    }

    /// A request was refused at the edge, for this reason.
    pub fn refuse(&self, code: &'static str) {
        self.status.refused(code, self.clock.now());
    }

    /// Writes that nothing is newer in `partition` up to `until`.
    pub async fn heartbeat(&self, system: System, partition: &str, until: Millis) -> Result<Accepted, SinkError> {
        let fact = liveness::heartbeat(system, partition, until, self.clock.now());
        let mut submission =
            Submission::new(system, partition, crate::Decoded::default(), Bytes::new(), self.clock.now());
        submission.facts.push(fact);
        self.submit_until_taken(submission).await
    }
}

/// A decoded delivery on its way to the log.
#[derive(Debug)]
pub struct Decoding {
    /// What goes to the log.
    pub submission: Submission,
    /// Objects that are to be read whole.
    pub resyncs: Vec<Resync>,
    /// What was told of transactions.
    pub marks: Vec<Mark>,
    /// Facts of rows that do not say what they are rows of; each stands among the rejects too.
    pub unplaced: Vec<Unplaced>,
}

impl Decoding {
    /// Adds what comes behind it in one delivery, whose bytes stay those of this one.
    pub fn add(&mut self, next: Decoding) {
        let (whole, part) = (&mut self.submission, next.submission);
        let first = whole.facts.len();
        let moved = part.traces.into_iter().map(|(of, trace)| (of.start + first..of.end + first, trace));
        whole.traces.extend(moved);
        whole.facts.extend(part.facts);
        let rejects = whole.rejects.len();
        let unplaced = next.unplaced.into_iter();
        self.unplaced.extend(unplaced.map(|one| Unplaced { reject: one.reject + rejects, ..one }));
        whole.rejects.extend(part.rejects);
        whole.unmapped += part.unmapped;
        self.resyncs.extend(next.resyncs);
        self.marks.extend(next.marks);
    }
}
