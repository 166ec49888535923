//! Figures about the hub itself, and the key figures of the business over what is published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use connectors::edge::status::StatusHandle;
use insight::Context;
use insight::kpis::{
    self, Contribution, KpiValue, LatencyRecord, correlation_rate, discrepancies, handoff_completeness,
};
use ontology::{LogPos, Millis, System, Vocabulary};
use pipeline::effects::Applied;
use pipeline::review::ReviewFigures;
use pipeline::{CustomerView, EngineSettings};
use serve::backend::SourceReport;
use serve::metrics;
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
    /// What happened before is no sample of latency; none before it is known.
    timed_from: Option<Millis>,
    /// All latencies since the last reset, for runs that end with a summary.
    since_reset: kpis::Histogram,
    /// When sources deliver changes that they keep back for a while, by system and event time.
    kept_back: HashMap<(System, Millis), Millis>,
    facts: BTreeMap<System, u64>,
    newest_event: BTreeMap<System, Millis>,
    connectors: Vec<(String, StatusHandle)>,
    review: ReviewFigures,
}

impl Figures {
    /// Whether another process owns the store from here on. Facts that become visible here are then left
    /// out of the metric of latency, in which all processes are added up.
    pub fn set_follows(&self, follows: bool) {
        self.follows.store(follows, Ordering::Release);
    }

    /// From here on facts are samples of latency if they happened at `from` or later: what a source tells of
    /// the time before anybody listened, and what a start reads from the log again, was not late.
    pub fn time_from(&self, from: Millis) {
        self.lock().timed_from = Some(from);
    }

    /// Counts facts that became visible at `visible_at`.
    pub fn visible(&self, applied: &[Applied], visible_at: Millis) {
        let is_owner = !self.follows.load(Ordering::Acquire);
        let mut counted = self.lock();
        for fact in applied {
            let latency_ms = visible_at.since(fact.event_time).max(0);
            let is_timed = counted.timed_from.is_some_and(|from| fact.event_time >= from);
            // What people and the engine itself say crosses no systems.
            if is_timed && !matches!(fact.system, System::Human | System::Engine) {
                counted.latency.record(fact.system, &fact.entity, fact.event_time, visible_at);
            }
            let sent_at = counted.kept_back.get(&(fact.system, fact.event_time)).copied();
            let sent_at = sent_at.max(fact.read_at).unwrap_or(fact.event_time).max(fact.event_time);
            let since_sent_ms = visible_at.since(sent_at).max(0);
            counted.since_reset.record(since_sent_ms.unsigned_abs());
            *counted.facts.entry(fact.system).or_default() += 1;
            let newest = counted.newest_event.entry(fact.system).or_insert(fact.event_time);
            *newest = fact.event_time.max(*newest);
            if is_timed && is_owner {
                time(fact, latency_ms);
            }
        }
        if counted.timed_from.is_some() {
            let systems: BTreeSet<System> = applied.iter().map(|fact| fact.system).collect();
            for system in systems {
                metrics::LAST_APPLIED.set(&[system.name()], seconds(visible_at.0));
            }
        }
    }

    /// Times transfers whose first package can be read from `visible_at` on, by when they began.
    pub fn packaged(&self, began: &[Millis], visible_at: Millis) {
        if began.is_empty() || self.follows.load(Ordering::Acquire) {
            return;
        }
        let timed_from = self.lock().timed_from;
        for began in began.iter().filter(|began| timed_from.is_some_and(|from| **began >= from)) {
            metrics::PACKAGE_SECONDS.record(&[], seconds(visible_at.since(*began).max(0)));
        }
    }

    /// Notes how much waits for people as of now.
    pub fn set_review(&self, review: ReviewFigures) {
        self.lock().review = review;
    }

    /// Tells at `now` how much waits for people, and for how long: that grows while nothing else happens.
    pub fn tell_review(&self, now: Millis) {
        let ReviewFigures { count, oldest } = self.lock().review;
        #[allow(clippy::cast_precision_loss, reason = "a number of pairs that is far below 2^52")]
        metrics::REVIEW_QUEUE.set(&[], count as f64);
        metrics::REVIEW_QUEUE_AGE.set(&[], seconds(oldest.map_or(0, |oldest| now.since(oldest).max(0))));
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

    /// Forgets the latencies counted so far, and times what happens at `from` or later. A change that its
    /// source keeps back until the instant given is timed from then in [`Self::latency_ms`]: how long the hub
    /// takes, not the source.
    pub fn reset_latency(&self, from: Millis, kept_back: HashMap<(System, Millis), Millis>) {
        let mut counted = self.lock();
        counted.timed_from = Some(from);
        counted.latency = LatencyRecord::default();
        counted.since_reset = kpis::Histogram::default();
        counted.kept_back = kept_back;
    }

    /// A latency that `per_mille` thousandths of the facts since the last reset did not pass, in
    /// milliseconds.
    #[must_use]
    pub fn latency_ms(&self, per_mille: u64) -> Option<u64> {
        self.lock().since_reset.quantile(per_mille)
    }

    /// What is known at `now` about each connector partition.
    #[must_use]
    pub fn sources(&self, now: Millis) -> Vec<SourceReport> {
        let counted = self.lock();
        let report = |(partition, handle): &(String, StatusHandle)| {
            let status = handle.get();
            // What holds now stands before what went wrong last.
            let findings = status.findings.iter().map(|(kind, found)| format!("{kind}: {}", found.text));
            let refusals = status.refusals(now);
            let error = Some(status.last_error).filter(|error| !error.is_empty());
            let last_error = findings.chain(error).chain(refusals).collect::<Vec<_>>().join("; ");
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

/// Milliseconds as metrics tell them.
#[allow(clippy::cast_precision_loss, reason = "seconds for a metric")]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn time(fact: &Applied, latency_ms: i64) {
    metrics::SYNC_LATENCY.record(&[fact.system.name(), fact.entity.kind.name()], seconds(latency_ms));
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
    let context = Context::without_memory(&settings.insight, &reference, now);
    let contributions: Vec<Contribution> = published.all().iter().map(|slot| contribution(&slot.view)).collect();
    let freshness = published.freshness();
    let never_applied = System::SOURCES.into_iter().map(|system| freshness.source(system).gap_count).sum();
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

#[cfg(test)]
mod tests {
    use insight::kpis::Measure;
    use ontology::{EntityKey, EntityKind};

    use super::*;

    const BIRTH: Millis = Millis(1_773_154_800_000);

    fn told(figures: &Figures, event_time: Millis, visible_at: Millis) -> (u64, Measure) {
        let entity = EntityKey::new(EntityKind::Case, "1");
        figures.visible(
            &[Applied { system: System::Salesforce, entity, event_time, read_at: None, event_id: "e".into() }],
            visible_at,
        );
        let value = figures.lock().latency.measure(0, visible_at, LogPos(1));
        (value.denominator, value.measure)
    }

    #[test]
    fn what_happened_before_anybody_listened_is_no_sample_of_latency() {
        let figures = Figures::default();
        let now = BIRTH + 2_000;
        assert_eq!(told(&figures, BIRTH + 1_000, now), (0, Measure::NotMeasured), "the log is being read again");
        figures.time_from(BIRTH);
        assert_eq!(told(&figures, BIRTH - 1, now), (0, Measure::NotMeasured));
        assert_eq!(told(&figures, BIRTH, now), (1, Measure::Value { value: 2_000, is_met: true }));
        assert_eq!(told(&figures, BIRTH, BIRTH + 600_000).0, 2, "a late fact counts");
        figures.reset_latency(BIRTH + 600_000, HashMap::new());
        assert_eq!(told(&figures, BIRTH, BIRTH + 600_001), (0, Measure::NotMeasured));
        assert_eq!(figures.facts(System::Salesforce), 5);
    }

    #[test]
    fn what_people_decide_is_no_sample_of_the_latency_between_systems() {
        let figures = Figures::default();
        figures.time_from(Millis(1_000));
        let applied = |system, kind| Applied {
            system,
            entity: EntityKey::new(kind, "1"),
            event_time: Millis(1_000),
            read_at: None,
            event_id: "e".into(),
        };
        let facts = [
            applied(System::Salesforce, EntityKind::Case),
            applied(System::Human, EntityKind::AlertDecision),
            applied(System::Engine, EntityKind::Configuration),
        ];
        figures.visible(&facts, Millis(3_000));
        let measured = figures.lock().latency.measure(0, Millis(3_000), LogPos(3));
        assert_eq!((measured.denominator, measured.records), (1, vec![EntityKey::new(EntityKind::Case, "1")]));
        assert_eq!(figures.facts(System::Human), 1, "it is counted all the same");
    }

    #[test]
    fn packages_and_the_last_change_are_told_as_metrics() {
        let recorder = metrics::recorder().expect("the bounds are not empty");
        let page = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            let figures = Figures::default();
            figures.time_from(BIRTH);
            told(&figures, BIRTH, BIRTH + 1_500);
            // One began before anybody listened.
            figures.packaged(&[BIRTH - 1, BIRTH], BIRTH + 30_000);
            figures.packaged(&[BIRTH], BIRTH + 30_001);
            figures.set_follows(true);
            figures.packaged(&[BIRTH], BIRTH + 30_000);
        });
        let page = page.render();
        for line in [
            "opshub_handoff_package_seconds_bucket{le=\"30\"} 1",
            "opshub_handoff_package_seconds_count 2",
            "opshub_source_last_applied_timestamp_seconds{source=\"salesforce\"} 1773154801.5",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }
}
