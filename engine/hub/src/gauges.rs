//! Metrics that are counted over everything, now and then: key figures, transfers, links, what waits.
//!
//! Counting looks at every customer, so it is done beside the work and not within it, and rests long enough
//! to take a hundredth of a core at the most.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use insight::handoff::HandoffState;
use insight::kpis::{KpiValue, Measure, Unit};
use ontology::{System, Vocabulary};
use pipeline::{CustomerView, EngineSettings};
use serve::metrics;
use serve::views::Published;
use tokio_util::sync::CancellationToken;

use crate::figures::{self, Figures, seconds};
use crate::runner::Handle;

/// How often is counted, at the most.
const EVERY: Duration = Duration::from_secs(15);
/// The rest after a count, in times of what it took.
const REST_FACTOR: u32 = 100;

/// What is counted.
pub(crate) struct Gauges {
    pub(crate) published: Arc<Published<CustomerView>>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) settings: EngineSettings,
    pub(crate) handle: Handle,
}

impl Gauges {
    /// Counts until `stop`.
    #[allow(clippy::disallowed_methods, reason = "the outermost loop measures how long it takes")]
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let gauges = Arc::new(self);
        while !stop.is_cancelled() {
            let (begun, counting) = (Instant::now(), gauges.clone());
            tokio::task::spawn_blocking(move || counting.count()).await?;
            let rest = EVERY.max(begun.elapsed() * REST_FACTOR);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
        Ok(())
    }

    fn count(&self) {
        metrics::QUEUE_WAITING.set(&["log"], self.handle.waiting() as f64);
        let freshness = self.published.freshness();
        for system in System::SOURCES {
            metrics::PENDING.set(&[system.name()], freshness.source(system).gap_count as f64);
        }
        let now = self.handle.now();
        self.figures.tell_review(now);
        figures::kpis(&self.figures, &self.published, &self.settings, now).iter().for_each(tell);
        let counted = Counted::of(self.published.all().iter().map(|slot| &*slot.view));
        for (state, name) in HandoffState::ALL {
            metrics::HANDOFFS.set(&[name], counted.handoffs.get(state).copied().unwrap_or_default() as f64);
        }
        metrics::LINKS.set(&["linked"], counted.linked as f64);
        metrics::LINKS.set(&["review"], counted.in_review as f64);
    }
}

/// What all customers have, added up.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    handoffs: BTreeMap<HandoffState, u64>,
    linked: u64,
    in_review: u64,
}

impl Counted {
    fn of<'a>(views: impl Iterator<Item = &'a CustomerView>) -> Self {
        let mut counted = Counted::default();
        let mut sides = 0;
        for view in views {
            for transfer in &view.transfers {
                *counted.handoffs.entry(transfer.memory.state).or_default() += 1;
            }
            counted.linked += view.composite.members.len().saturating_sub(1) as u64;
            sides += view.composite.possible.len() as u64;
        }
        // A pair that waits stands with the customers of both its records.
        counted.in_review = sides / 2;
        counted
    }
}

fn tell(kpi: &KpiValue) {
    let (value, is_met) = match kpi.measure {
        Measure::Value { value, is_met } => (in_base_units(kpi.kpi.unit, value), f64::from(u8::from(is_met))),
        Measure::NotMeasured => (f64::NAN, f64::NAN),
    };
    metrics::KPI.set(&[kpi.kpi.code], value);
    metrics::KPI_MET.set(&[kpi.kpi.code], is_met);
}

#[allow(clippy::cast_precision_loss, reason = "a figure for a gauge")]
fn in_base_units(unit: Unit, value: i64) -> f64 {
    match unit {
        Unit::Milliseconds => seconds(value),
        Unit::Micros => value as f64 / 1e6,
        Unit::Count => value as f64,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::Millis;
    use pipeline::review::ReviewFigures;

    use super::*;
    use crate::app::{App, AppOptions};
    use crate::clock::StoryClock;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_for_people_grows_older_while_nothing_happens() {
        const NOON: Millis = Millis(1_773_144_000_000);
        let clock = Arc::new(StoryClock::standing(NOON));
        let app = App::start(Arc::new(storage::Memory::default()), AppOptions::local(clock.clone())).await.unwrap();
        app.figures.set_review(ReviewFigures { count: 2, oldest: Some(NOON - 5_000) });
        clock.advance_to(NOON + Millis::HOUR_MS);
        let gauges = Gauges {
            published: app.published.clone(),
            figures: app.figures.clone(),
            settings: EngineSettings::default(),
            handle: app.handle(),
        };
        let recorder = metrics::recorder().unwrap();
        ::metrics::with_local_recorder(&recorder, || gauges.count());
        let page = recorder.handle().render();
        for line in ["opshub_review_queue_items 2", "opshub_review_queue_age_seconds 3605"] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
        drop(gauges);
        app.stop().await.unwrap();
    }

    #[test]
    fn figures_are_told_in_base_units() {
        let check = |unit, value, expected: &str| assert_eq!(in_base_units(unit, value).to_string(), expected);
        check(Unit::Milliseconds, 29_999, "29.999");
        check(Unit::Micros, 950_000, "0.95");
        check(Unit::Count, 15, "15");
    }
}
