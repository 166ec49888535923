//! Cross-system sync latency: how long a change takes from its source to a readable state, p95 over
//! the facts that became visible in the trailing hour. Images of a full resync are not counted by
//! whoever records; recovered gaps are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ontology::{EntityKey, LogPos, Millis, System, Vocabulary};

use super::{Breakdown, Histogram, Kpi, KpiValue, Measure, RECORDS_MAX, Target, Unit};

/// The figure.
pub const KPI: Kpi = Kpi {
    code: "cross_system_sync_latency",
    title: "Cross-system sync latency",
    unit: Unit::Milliseconds,
    target: Target::Below(30 * Millis::SECOND_MS),
    serves: "speed",
};

/// How far back visible facts count.
const WINDOW_MS: i64 = Millis::HOUR_MS;
/// Facts that became visible within this long of each other are kept together, so the window is
/// exact to this much.
const SLOT_MS: i64 = 10 * Millis::SECOND_MS;
/// Which share the figure is about, in thousandths.
const PER_MILLE: u64 = 950;

/// Facts that became visible within one slot of time.
#[derive(Debug, Clone)]
struct Slot {
    /// Number of the slot since the epoch.
    number: i64,
    by_system: BTreeMap<System, Histogram>,
    /// The slowest, slowest last.
    slowest: BTreeSet<(u64, EntityKey)>,
}

/// What became visible in the trailing hour, and how long it took.
#[derive(Debug, Clone, Default)]
pub struct LatencyRecord {
    slots: VecDeque<Slot>,
}

impl LatencyRecord {
    /// Counts a fact about `entity` that happened at `event_time` and became visible at
    /// `visible_at`: its view is published and its watch queued. Calls come in the order of
    /// `visible_at`; one that is late counts with the newest slot.
    pub fn record(&mut self, system: System, entity: &EntityKey, event_time: Millis, visible_at: Millis) {
        let latency_ms = u64::try_from(visible_at.since(event_time)).unwrap_or(0);
        let number = visible_at.0.div_euclid(SLOT_MS);
        if self.slots.back().is_none_or(|newest| newest.number < number) {
            self.slots.push_back(Slot { number, by_system: BTreeMap::new(), slowest: BTreeSet::new() });
            self.forget_before(visible_at);
        }
        let Some(slot) = self.slots.back_mut() else { return };
        slot.by_system.entry(system).or_default().record(latency_ms);
        let is_among_slowest =
            slot.slowest.len() < RECORDS_MAX || slot.slowest.first().is_some_and(|(fastest, _)| *fastest < latency_ms);
        if is_among_slowest {
            slot.slowest.insert((latency_ms, entity.clone()));
            if slot.slowest.len() > RECORDS_MAX {
                slot.slowest.pop_first();
            }
        }
    }

    fn forget_before(&mut self, now: Millis) {
        let oldest = first_slot(now);
        while self.slots.front().is_some_and(|slot| slot.number < oldest) {
            self.slots.pop_front();
        }
    }

    /// The figure at `now`. `never_applied` is the number of known changes whose content has not
    /// been read yet.
    #[must_use]
    pub fn measure(&self, never_applied: u64, now: Millis, log_pos: LogPos) -> KpiValue {
        let mut all = Histogram::default();
        let mut by_system = BTreeMap::<System, Histogram>::new();
        let mut slowest = BTreeSet::new();
        for slot in self.slots.iter().filter(|slot| slot.number >= first_slot(now)) {
            for (system, histogram) in &slot.by_system {
                all.merge(histogram);
                by_system.entry(*system).or_default().merge(histogram);
            }
            slowest.extend(&slot.slowest);
        }
        let beside = [("p50", all.quantile(500)), ("p99", all.quantile(990)), ("max", all.max())];
        let mut beside: Vec<(&'static str, i64)> =
            beside.into_iter().filter_map(|(name, value)| Some((name, whole(value?)))).collect();
        beside.push(("never_applied", whole(never_applied)));
        let part = |(system, histogram): (&System, &Histogram)| Breakdown {
            dimension: "system",
            key: system.name().to_owned(),
            numerator: histogram.count(),
            denominator: histogram.count(),
            measure: judge(histogram),
        };
        KpiValue {
            kpi: &KPI,
            measure: judge(&all),
            numerator: all.count(),
            denominator: all.count(),
            from: now - WINDOW_MS,
            until: now,
            beside,
            breakdown: by_system.iter().map(part).collect(),
            records: slowest.iter().rev().take(RECORDS_MAX).map(|(_, entity)| entity.clone()).collect(),
            log_pos,
        }
    }
}

fn judge(histogram: &Histogram) -> Measure {
    histogram.quantile(PER_MILLE).map_or(Measure::NotMeasured, |value| KPI.judge(whole(value)))
}

/// The oldest slot that still lies within the window at `now`.
fn first_slot(now: Millis) -> i64 {
    (now - WINDOW_MS).0.div_euclid(SLOT_MS)
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
