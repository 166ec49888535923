//! Reconciliation discrepancies: how many contradictions between systems nobody has settled yet.
//! While the business day runs, the figure is the count so far.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use ontology::{LogPos, Millis};

use super::{Breakdown, Contribution, DiscrepancyEntry, Kpi, KpiValue, RECORDS_MAX, Target, Unit};
use crate::context::Context;
use crate::words;

/// The figure.
pub const KPI: Kpi = Kpi {
    code: "reconciliation_discrepancies",
    title: "Reconciliation discrepancies",
    unit: Unit::Count,
    target: Target::Below(15),
    serves: "quality",
};

/// The figure over all customers, for the business day of `context.now`.
#[must_use]
pub fn measure<'a>(
    customers: impl Iterator<Item = &'a Contribution>,
    context: &Context<'_>,
    log_pos: LogPos,
) -> KpiValue {
    let until = context.now;
    let from = start_of_day(until, &context.settings.business_tz);
    let entries: Vec<&DiscrepancyEntry> =
        customers.flat_map(|c| &c.discrepancies).filter(|entry| entry.opened_at <= until).collect();
    let open: Vec<&DiscrepancyEntry> = entries.iter().filter(|entry| is_open(entry, until)).copied().collect();
    let opened = entries.iter().filter(|entry| entry.opened_at >= from).count();
    let is_closed_today = |entry: &&&DiscrepancyEntry| entry.closed_at.is_some_and(|at| at >= from && at <= until);
    let closed = entries.iter().filter(is_closed_today).count();
    let mut records: Vec<_> = open.iter().map(|entry| entry.record.clone()).collect();
    records.sort();
    records.truncate(RECORDS_MAX);
    KpiValue {
        kpi: &KPI,
        measure: KPI.judge(whole(open.len())),
        numerator: open.len() as u64,
        denominator: open.len() as u64,
        from,
        until,
        beside: vec![
            ("opened", whole(opened)),
            ("closed", whole(closed)),
            ("peak", whole(peak(&entries, from, until))),
        ],
        breakdown: by_team(&open),
        records,
        log_pos,
    }
}

fn is_open(entry: &DiscrepancyEntry, at: Millis) -> bool {
    entry.opened_at <= at && entry.closed_at.is_none_or(|closed_at| closed_at > at)
}

/// The most that were open at once. The count only rises when one opens, so those instants and the
/// start of the day are all that need a look.
fn peak(entries: &[&DiscrepancyEntry], from: Millis, until: Millis) -> usize {
    let mut steps: Vec<(Millis, i64)> = Vec::new();
    for entry in entries {
        steps.push((entry.opened_at.max(from), 1));
        steps.extend(entry.closed_at.filter(|at| *at <= until).map(|at| (at.max(from), -1)));
    }
    // At one instant, what closes goes before what opens.
    steps.sort_unstable();
    let mut open = 0_i64;
    let mut peak = 0_i64;
    for (_, step) in steps {
        open += step;
        peak = peak.max(open);
    }
    usize::try_from(peak).unwrap_or(0)
}

fn by_team(open: &[&DiscrepancyEntry]) -> Vec<Breakdown> {
    let mut teams = BTreeMap::<&str, u64>::new();
    for entry in open {
        *teams.entry(&entry.team).or_default() += 1;
    }
    let part = |(team, count): (&str, u64)| Breakdown {
        dimension: "team",
        key: team.to_owned(),
        numerator: count,
        denominator: count,
        measure: KPI.judge(i64::try_from(count).unwrap_or(i64::MAX)),
    };
    teams.into_iter().map(part).collect()
}

fn start_of_day(at: Millis, tz: &TimeZone) -> Millis {
    let start = words::civil_date(at, tz).to_zoned(tz.clone());
    start.map_or(at, |start| Millis(start.timestamp().as_millisecond()))
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
