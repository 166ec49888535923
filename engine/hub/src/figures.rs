//! Figures about the hub itself, and the key figures of the business over what is published.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use connectors::edge::status::StatusHandle;
use insight::Context;
use insight::kpis::{
    self, Contribution, KpiValue, LatencyRecord, correlation_rate, discrepancies, handoff_completeness,
};
use ontology::{LogPos, Millis, System, Vocabulary};
use pipeline::effects::Applied;
use pipeline::{CustomerView, EngineSettings};
use serve::backend::SourceReport;
use serve::views::Published;

/// What is counted while the hub runs.
#[derive(Debug, Default)]
pub struct Figures {
    inner: Mutex<Counted>,
    /// Whether another process owns the store: each fact is timed once, by the owner.
    follows: AtomicBool,
}

#[derive(Debug, Default)]
struct Counted {
    latency: LatencyRecord,
    /// All latencies since the last reset, for runs that end with a summary.
    since_reset: kpis::Histogram,
    /// When sources deliver changes that they keep back for a while, by system and event time.
    kept_back: HashMap<(System, Millis), Millis>,
    facts: BTreeMap<System, u64>,
    newest_event: BTreeMap<System, Millis>,
    connectors: Vec<(String, StatusHandle)>,
}

impl Figures {
    /// Whether another process owns the store from here on. Facts that become visible here are then left
    /// out of the metric of latency, in which all processes are added up.
    pub fn set_follows(&self, follows: bool) {
        self.follows.store(follows, Ordering::Release);
    }

    /// Counts facts that became visible at `visible_at`.
    pub fn visible(&self, applied: &[Applied], visible_at: Millis) {
        let is_timed = !self.follows.load(Ordering::Acquire);
        let mut counted = self.lock();
        for fact in applied {
            let latency_ms = visible_at.since(fact.event_time).max(0);
            counted.latency.record(fact.system, &fact.entity, fact.event_time, visible_at);
            let sent_at = counted.kept_back.get(&(fact.system, fact.event_time)).copied();
            let sent_at = sent_at.max(fact.read_at).unwrap_or(fact.event_time).max(fact.event_time);
            let since_sent_ms = visible_at.since(sent_at).max(0);
            counted.since_reset.record(since_sent_ms.unsigned_abs());
            *counted.facts.entry(fact.system).or_default() += 1;
            let newest = counted.newest_event.entry(fact.system).or_insert(fact.event_time);
            *newest = fact.event_time.max(*newest);
            if is_timed {
                time(fact, latency_ms);
            }
        }
    }

    /// Takes a connector into the list of sources.
    pub fn add_connector(&self, partition: impl Into<String>, status: StatusHandle) {
        self.lock().connectors.push((partition.into(), status));
    }

    /// Facts of a system since the start.
    #[must_use]
    pub fn facts(&self, system: System) -> u64 {
        self.lock().facts.get(&system).copied().unwrap_or_default()
    }

    /// Forgets the latencies counted so far. From here on a change that its source keeps back
    /// until the instant given is timed from then: how long the hub takes, not the source.
    pub fn reset_latency(&self, kept_back: HashMap<(System, Millis), Millis>) {
        let mut counted = self.lock();
        counted.since_reset = kpis::Histogram::default();
        counted.kept_back = kept_back;
    }

    /// A latency that `per_mille` thousandths of the facts since the last reset did not pass, in
    /// milliseconds.
    #[must_use]
    pub fn latency_ms(&self, per_mille: u64) -> Option<u64> {
        self.lock().since_reset.quantile(per_mille)
    }

    /// What is known about each connector partition.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceReport> {
        let counted = self.lock();
        let report = |(partition, handle): &(String, StatusHandle)| {
            let status = handle.get();
            // What holds now stands before what went wrong last.
            let findings = status.findings.iter().map(|(kind, found)| format!("{kind}: {}", found.text));
            let error = Some(status.last_error).filter(|error| !error.is_empty());
            let last_error = findings.chain(error).collect::<Vec<_>>().join("; ");
            SourceReport {
                system: status.system,
                partition: partition.clone(),
                source_position: status.position,
                watermark: status.watermark,
                last_event_at: counted.newest_event.get(&status.system).copied(),
                received_count: status.facts,
                quarantined_count: status.rejects,
                last_error,
            }
        };
        counted.connectors.iter().map(report).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.inner.lock().expect("no holder of the figures panics")
    }
}

#[allow(clippy::cast_precision_loss, reason = "a latency in seconds for a histogram")]
fn time(fact: &Applied, latency_ms: i64) {
    let (source, entity) = (fact.system.name(), fact.entity.kind.name());
    metrics::histogram!("opshub_sync_latency_seconds", "source" => source, "entity" => entity)
        .record(latency_ms as f64 / 1_000.0);
}

/// The key figures at `now`.
#[must_use]
pub fn kpis(
    figures: &Figures,
    published: &Arc<Published<CustomerView>>,
    settings: &EngineSettings,
    now: Millis,
) -> Vec<KpiValue> {
    let position: LogPos = published.position();
    let reference = insight::Reference::default();
    let context = Context { settings: &settings.insight, reference: &reference, now };
    let contributions: Vec<Contribution> = published.all().iter().map(|slot| contribution(&slot.view)).collect();
    let never_applied =
        System::SOURCES.into_iter().filter(|system| published.freshness().source(*system).oldest_gap.is_some()).count()
            as u64;
    vec![
        figures.lock().latency.measure(never_applied, now, position),
        handoff_completeness::measure(contributions.iter(), &context, position),
        correlation_rate::measure(contributions.iter(), &context, position),
        discrepancies::measure(contributions.iter(), &context, position),
    ]
}

fn contribution(view: &CustomerView) -> Contribution {
    Contribution::of(&view.composite, &view.derived, view.transfers.iter().map(|transfer| &*transfer.memory))
}
