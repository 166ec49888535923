//! The figures that the hub is run by (spec 12): one file per figure.
//!
//! Each customer *contributes* a few dated entries ([`Contribution`]); a figure folds the entries of
//! all customers at the instant it is read. So a late fact restates the past by itself, and nothing
//! is counted twice. Only latency is measured as it happens, because it is about the hub.

mod contribution;
pub mod correlation_rate;
pub mod discrepancies;
pub mod handoff_completeness;
pub mod histogram;
pub mod sync_latency;
#[cfg(test)]
mod tests;

pub use contribution::{Contribution, DiscrepancyEntry, DisputeEntry, HandoffEntry};
pub use histogram::Histogram;
pub use sync_latency::LatencyRecord;

use ontology::canonical::Json;
use ontology::{EntityKey, LogPos, Millis};

use crate::context::Context;

/// How many records stand behind a value at most.
pub const RECORDS_MAX: usize = 100;

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Millionths of the whole: 95 % is 950,000.
    Micros,
    /// A count.
    Count,
}

impl Unit {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unit::Milliseconds => "milliseconds",
            Unit::Micros => "micros",
            Unit::Count => "count",
        }
    }
}

/// What a value must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Less than this.
    Below(i64),
    /// More than this.
    Above(i64),
}

/// A figure: what it is called, what it serves and what it must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kpi {
    /// Its code.
    pub code: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What its value is measured in.
    pub unit: Unit,
    /// What its value must reach.
    pub target: Target,
    /// What it tells about: queue health, speed, quality, workload, cost or outcome.
    pub serves: &'static str,
}

/// All figures, in reading order.
pub const ALL: &[&Kpi] = &[&sync_latency::KPI, &handoff_completeness::KPI, &correlation_rate::KPI, &discrepancies::KPI];

/// A value, or that there was nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Measured.
    Value {
        /// In the figure's unit.
        value: i64,
        /// Whether it reaches the target.
        is_met: bool,
    },
    /// There was no denominator; never 0 or 100 %.
    NotMeasured,
}

/// The part of a value that belongs to one team, system or category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakdown {
    /// `team`, `system` or `category`.
    pub dimension: &'static str,
    /// Which.
    pub key: String,
    /// What was counted.
    pub numerator: u64,
    /// Out of how many.
    pub denominator: u64,
    /// Its value.
    pub measure: Measure,
}

/// A figure at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KpiValue {
    /// Which figure.
    pub kpi: &'static Kpi,
    /// Its value.
    pub measure: Measure,
    /// What was counted.
    pub numerator: u64,
    /// Out of how many; for a count the same as what was counted.
    pub denominator: u64,
    /// Start of the window.
    pub from: Millis,
    /// End of the window.
    pub until: Millis,
    /// Figures beside it, in the figure's unit or as counts.
    pub beside: Vec<(&'static str, i64)>,
    /// Its parts.
    pub breakdown: Vec<Breakdown>,
    /// The records behind what keeps it from its target, at most [`RECORDS_MAX`].
    pub records: Vec<EntityKey>,
    /// The position that it reflects.
    pub log_pos: LogPos,
}

impl KpiValue {
    /// Canonical form, without the position, which depends on arrival.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let (value, status) = match self.measure {
            Measure::Value { value, is_met: true } => (Json::Int(value), "met"),
            Measure::Value { value, is_met: false } => (Json::Int(value), "not_met"),
            Measure::NotMeasured => (Json::Null, "not_measured"),
        };
        Json::object([
            ("code", Json::text(self.kpi.code)),
            ("denominator", count(self.denominator)),
            ("from_ms", Json::Int(self.from.0)),
            ("numerator", count(self.numerator)),
            ("records", Json::array(self.records.iter().map(|record| Json::text(record.to_string())))),
            ("status", Json::text(status)),
            ("unit", Json::text(self.kpi.unit.name())),
            ("until_ms", Json::Int(self.until.0)),
            ("value", value),
        ])
    }
}

fn count(n: u64) -> Json {
    Json::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

impl Kpi {
    /// A measured value against the target.
    #[must_use]
    pub fn judge(&self, value: i64) -> Measure {
        let is_met = match self.target {
            Target::Below(limit) => value < limit,
            Target::Above(limit) => value > limit,
        };
        Measure::Value { value, is_met }
    }

    /// A share against the target. The target is compared with the counts themselves, so that
    /// rounding for display never decides.
    #[must_use]
    pub fn judge_share(&self, numerator: u64, denominator: u64) -> Measure {
        if denominator == 0 {
            return Measure::NotMeasured;
        }
        let scaled = i128::from(numerator) * 1_000_000;
        let is_met = match self.target {
            Target::Below(limit) => scaled < i128::from(limit) * i128::from(denominator),
            Target::Above(limit) => scaled > i128::from(limit) * i128::from(denominator),
        };
        let share = ontology::money::div_half_even(scaled, i128::from(denominator));
        Measure::Value { value: i64::try_from(share).unwrap_or(i64::MAX), is_met }
    }

    /// A share of entries over a window: each entry says whether it counts and what it belongs to.
    fn share<'a>(&'static self, window: Window, entries: impl Iterator<Item = ShareEntry<'a>>) -> KpiValue {
        let mut total = (0, 0);
        let mut parts = std::collections::BTreeMap::<(&'static str, &str), (u64, u64)>::new();
        let mut records = Vec::new();
        for entry in entries {
            let add = |(numerator, denominator): &mut (u64, u64)| {
                *numerator += u64::from(entry.counts);
                *denominator += 1;
            };
            add(&mut total);
            for (dimension, key) in entry.belongs_to {
                if !key.is_empty() {
                    add(parts.entry((dimension, key)).or_default());
                }
            }
            if !entry.counts {
                records.push(entry.record.clone());
            }
        }
        records.sort();
        records.truncate(RECORDS_MAX);
        let breakdown = parts.into_iter().map(|((dimension, key), (numerator, denominator))| Breakdown {
            dimension,
            key: key.to_owned(),
            numerator,
            denominator,
            measure: self.judge_share(numerator, denominator),
        });
        KpiValue {
            kpi: self,
            measure: self.judge_share(total.0, total.1),
            numerator: total.0,
            denominator: total.1,
            from: window.from,
            until: window.until,
            beside: Vec::new(),
            breakdown: breakdown.collect(),
            records,
            log_pos: window.log_pos,
        }
    }
}

/// The stretch of time that a figure is about: after `from`, up to and including `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: Millis,
    until: Millis,
    log_pos: LogPos,
}

impl Window {
    /// The window of `length_ms` that ends now.
    fn trailing(length_ms: i64, context: &Context<'_>, log_pos: LogPos) -> Self {
        Window { from: context.now - length_ms, until: context.now, log_pos }
    }

    fn holds(&self, at: Millis) -> bool {
        at > self.from && at <= self.until
    }
}

/// One entry of a share.
struct ShareEntry<'a> {
    record: &'a EntityKey,
    counts: bool,
    belongs_to: [(&'static str, &'a str); 2],
}
