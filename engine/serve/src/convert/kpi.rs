//! Key figures.

use insight::kpis::{KpiValue, Measure, Target, Unit};
use proto::v1;

use super::common::{source_ref, time};
use crate::token::position_token;

/// A key figure on the wire; shares stand as ratios.
#[must_use]
pub fn kpi(value: &KpiValue) -> v1::Kpi {
    let scaled = |number: i64| match value.kpi.unit {
        Unit::Micros => number as f64 / 1e6,
        Unit::Milliseconds | Unit::Count => number as f64,
    };
    let unit = match value.kpi.unit {
        Unit::Micros => "ratio",
        Unit::Milliseconds => "milliseconds",
        Unit::Count => "count",
    };
    let (status, measured) = match value.measure {
        Measure::Value { value, is_met: true } => (v1::KpiStatus::Met, Some(scaled(value))),
        Measure::Value { value, is_met: false } => (v1::KpiStatus::NotMet, Some(scaled(value))),
        Measure::NotMeasured => (v1::KpiStatus::NotMeasured, None),
    };
    let (target, greater_is_better) = match value.kpi.target {
        Target::Below(limit) => (scaled(limit), false),
        Target::Above(limit) => (scaled(limit), true),
    };
    v1::Kpi {
        code: value.kpi.code.to_owned(),
        title: value.kpi.title.to_owned(),
        value: measured,
        unit: unit.to_owned(),
        numerator: i64::try_from(value.numerator).unwrap_or(i64::MAX),
        denominator: i64::try_from(value.denominator).unwrap_or(i64::MAX),
        target,
        greater_is_better,
        status: status.into(),
        window_start_time: time(value.from),
        window_end_time: time(value.until),
        record_refs: value.records.iter().map(source_ref).collect(),
        position: position_token(value.log_pos),
        details: value.beside.iter().map(|(name, number)| ((*name).to_owned(), *number as f64)).collect(),
    }
}
