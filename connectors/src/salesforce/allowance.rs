//! What the organisation allows in a day, watched so that somebody hears of it before it is used up.
//!
//! Events delivered to subscribers and calls of the REST side are both counted by the vendor over
//! 24 hours. What runs out is a finding of the source from before it does until there is enough
//! again. Without deliveries the stream stands still and only the audit goes on; without calls
//! gaps stay open.

use std::time::Duration;

use ontology::Millis;
use tokio_util::sync::CancellationToken;

use super::rest::{Allowance, Allowances};
use super::select::Records;
use crate::contract::Sink;

/// When to warn.
#[derive(Debug, Clone, Copy)]
pub struct AllowanceConfig {
    /// Time between two looks.
    pub interval: Duration,
    /// Less than so much left of it is told, in percent.
    pub percent_min: i64,
    /// At the pace of the last interval, less than so much time left is told.
    pub left_min: Duration,
}

impl Default for AllowanceConfig {
    fn default() -> Self {
        AllowanceConfig {
            interval: Duration::from_secs(300),
            percent_min: 10,
            left_min: Duration::from_secs(4 * 3_600),
        }
    }
}

/// One allowance over time.
#[derive(Debug)]
struct Watched {
    kind: &'static str,
    /// Kind of its finding.
    finding: &'static str,
    name: &'static str,
    last: Option<(Millis, Allowance)>,
    is_low: bool,
}

/// Looks at the allowances until `stop`.
pub(super) async fn watch<S: Sink>(records: Records<S>, config: AllowanceConfig, stop: CancellationToken) {
    let mut deliveries = Watched::of("deliveries", "few_deliveries_left", "event deliveries");
    let mut calls = Watched::of("calls", "few_calls_left", "api calls");
    loop {
        match records.rest.allowances().await {
            Ok(Allowances { deliveries: delivered, calls: called }) => {
                let now = records.now();
                for (watched, told) in [(&mut deliveries, delivered), (&mut calls, called)] {
                    let Some(told) = told else { continue };
                    let was_low = watched.is_low;
                    let finding = watched.look(told, now, &config);
                    if let Some(finding) = finding.as_ref().filter(|_| !was_low) {
                        tracing::warn!(kind = watched.kind, remaining = told.remaining, "{finding}");
                    }
                    records.context.status.find(watched.finding, finding, now);
                }
            }
            Err(error) => tracing::warn!(%error, "the limits of the organisation were not read"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(config.interval) => {}
        }
    }
}

impl Watched {
    fn of(kind: &'static str, finding: &'static str, name: &'static str) -> Self {
        Watched { kind, finding, name, last: None, is_low: false }
    }

    /// Takes what is left now; what is found as long as it is little.
    fn look(&mut self, told: Allowance, now: Millis, config: &AllowanceConfig) -> Option<String> {
        let gauge = |name: &'static str, value: i64| {
            metrics::gauge!(name, "system" => "salesforce", "kind" => self.kind).set(value as f64);
        };
        gauge("opshub_connector_allowance", told.max);
        gauge("opshub_connector_allowance_remaining", told.remaining);
        let left_ms =
            self.last.and_then(|(then, last)| left_ms(last.remaining - told.remaining, now.since(then), told));
        self.last = Some((now, told));
        let is_short = told.remaining.saturating_mul(100) < told.max.saturating_mul(config.percent_min);
        let is_fast = left_ms.is_some_and(|left_ms| u128::from(left_ms.unsigned_abs()) < config.left_min.as_millis());
        self.is_low = is_short || is_fast;
        let (name, Allowance { max, remaining }) = (self.name, told);
        self.is_low.then(|| {
            format!(
                "{remaining} of {max} {name} a day are left; ask salesforce for more, or narrow the topic to a channel \
                 of fewer objects"
            )
        })
    }
}

/// How long what remains lasts, in milliseconds, where `used` were used in `in_ms`.
fn left_ms(used: i64, in_ms: i64, told: Allowance) -> Option<i64> {
    (used > 0 && in_ms > 0).then(|| told.remaining.saturating_mul(in_ms) / used)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn check(looks: &[(i64, i64)], found_at: &[usize]) {
        let mut watched = Watched::of("calls", "few_calls_left", "api calls");
        let config = AllowanceConfig::default();
        let look = |(hour, remaining): &(i64, i64)| {
            watched.look(Allowance { max: 1_000, remaining: *remaining }, Millis(hour * HOUR_MS), &config).is_some()
        };
        let found: Vec<usize> = looks.iter().map(look).enumerate().filter(|(_, w)| *w).map(|(i, _)| i).collect();
        assert_eq!(found, found_at, "{looks:?}");
    }

    #[test]
    fn little_is_found_until_it_is_more_again() {
        check(&[(0, 100)], &[]);
        check(&[(0, 99), (1, 98), (2, 500), (9, 99)], &[0, 1, 3]);
    }

    #[test]
    fn a_fast_pace_is_found_before_little_is_left() {
        check(&[(0, 1_000), (1, 800)], &[]);
        check(&[(0, 1_000), (1, 799)], &[1]);
    }
}
