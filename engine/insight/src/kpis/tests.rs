//! The figures against worked numbers.

#![allow(clippy::unwrap_used)]

use jiff::tz::TimeZone;
use ontology::{EntityKey, EntityKind, LogPos, Millis, ObjectId, System};

use super::*;
use crate::context::{Reference, Settings};

const NOW: Millis = Millis(1_773_154_800_000); // 2026-03-10T15:00:00Z

fn with_context<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let (settings, reference) = (Settings::default(), Reference::default());
    run(&Context::without_memory(&settings, &reference, NOW))
}

fn handoff(id: &str, released_at: Millis, is_complete: bool) -> HandoffEntry {
    HandoffEntry {
        transfer: EntityKey::new(EntityKind::Transfer, id),
        team: "billing".into(),
        category: "".into(),
        released_at,
        is_complete,
    }
}

fn handoffs(entries: Vec<HandoffEntry>) -> KpiValue {
    let customers = [Contribution { handoffs: entries, ..Contribution::default() }];
    with_context(|context| handoff_completeness::measure(customers.iter(), context, LogPos(7)))
}

#[test]
fn completeness_is_measured_over_what_was_released_in_thirty_days() {
    let month_ms = 30 * Millis::DAY_MS;
    let value = handoffs(vec![
        handoff("a", NOW, true),
        handoff("b", NOW - 1, false),
        handoff("c", NOW - month_ms + 1, true),
        handoff("d", NOW - month_ms, false),
        handoff("e", NOW + 1, false),
    ]);
    assert_eq!((value.numerator, value.denominator), (2, 3));
    assert_eq!(value.measure, Measure::Value { value: 666_667, is_met: false });
    assert_eq!(value.records, [EntityKey::new(EntityKind::Transfer, "b")]);
    assert_eq!((value.from, value.until, value.log_pos), (NOW - month_ms, NOW, LogPos(7)));
    let parts: Vec<_> =
        value.breakdown.iter().map(|part| (part.dimension, part.key.as_str(), part.denominator)).collect();
    assert_eq!(parts, [("team", "billing", 3)]);
}

#[test]
fn a_share_without_a_denominator_is_not_measured() {
    let value = handoffs(Vec::new());
    assert_eq!(value.measure, Measure::NotMeasured);
    assert!(value.canonical().to_string().contains(r#""status":"not_measured","unit":"micros""#));
}

#[test]
fn a_target_is_compared_with_the_counts_and_must_be_passed() {
    let kpi = handoff_completeness::KPI;
    assert_eq!(kpi.judge_share(95, 100), Measure::Value { value: 950_000, is_met: false });
    assert_eq!(kpi.judge_share(951, 1_000), Measure::Value { value: 951_000, is_met: true });
    // Rounds to 95 % for show and still is more.
    let (numerator, denominator) = (95_000_001, 100_000_000);
    assert_eq!(kpi.judge_share(numerator, denominator), Measure::Value { value: 950_000, is_met: true });
    assert_eq!(discrepancies::KPI.judge(14), Measure::Value { value: 14, is_met: true });
    assert_eq!(discrepancies::KPI.judge(15), Measure::Value { value: 15, is_met: false });
}

#[test]
fn correlation_counts_disputes_opened_in_thirty_days() {
    let dispute = |id: &str, opened_at: Millis, is_correlated: bool| DisputeEntry {
        dispute: EntityKey::new(EntityKind::Dispute, id),
        opened_at,
        is_correlated,
        category: "Overcharge".into(),
    };
    let disputes = vec![
        dispute("a", NOW, true),
        dispute("b", NOW - Millis::DAY_MS, true),
        dispute("c", NOW - Millis::DAY_MS, true),
        dispute("d", NOW - Millis::DAY_MS, false),
        dispute("e", NOW - 30 * Millis::DAY_MS, false),
    ];
    let customers = [Contribution { disputes, ..Contribution::default() }, Contribution::default()];
    let value = with_context(|context| correlation_rate::measure(customers.iter(), context, LogPos(0)));
    assert_eq!((value.numerator, value.denominator), (3, 4));
    assert_eq!(value.measure, Measure::Value { value: 750_000, is_met: true });
}

fn discrepancy(id: &str, opened_at: Millis, closed_at: Option<Millis>) -> DiscrepancyEntry {
    DiscrepancyEntry {
        id: ObjectId::new("rc1", &[id]),
        record: EntityKey::new(EntityKind::Case, id),
        team: "finance".into(),
        opened_at,
        closed_at,
    }
}

#[test]
fn discrepancies_count_what_nobody_has_settled() {
    let hour = Millis::HOUR_MS;
    let discrepancies = vec![
        discrepancy("old", NOW - 48 * hour, None),
        discrepancy("yesterdays", NOW - 30 * hour, Some(NOW - 20 * hour)),
        discrepancy("settled today", NOW - 30 * hour, Some(NOW - 2 * hour)),
        discrepancy("brief", NOW - 4 * hour, Some(NOW - 3 * hour)),
        discrepancy("new", NOW - 2 * hour, None),
        discrepancy("settled now", NOW - hour, Some(NOW)),
        discrepancy("to come", NOW + 1, None),
    ];
    let customers = [Contribution { discrepancies, ..Contribution::default() }];
    let value = with_context(|context| discrepancies::measure(customers.iter(), context, LogPos(0)));
    assert_eq!(value.measure, Measure::Value { value: 2, is_met: true });
    assert_eq!(value.beside, [("opened", 3), ("closed", 3), ("peak", 3)]);
    assert_eq!(value.records, ["new", "old"].map(|id| EntityKey::new(EntityKind::Case, id)));
}

#[test]
fn the_business_day_begins_in_the_business_zone() {
    let settings = Settings { business_tz: TimeZone::get("Asia/Tokyo").unwrap(), ..Settings::default() };
    let reference = Reference::default();
    let context = Context::without_memory(&settings, &reference, NOW);
    let value = discrepancies::measure(std::iter::empty(), &context, LogPos(0));
    // Midnight on 11 March in Tokyo is exactly now.
    assert_eq!((value.from, value.measure), (NOW, Measure::Value { value: 0, is_met: true }));
}

#[test]
fn latency_is_the_p95_of_the_trailing_hour() {
    let mut latency = LatencyRecord::default();
    assert_eq!(latency.measure(0, NOW, LogPos(0)).measure, Measure::NotMeasured);
    let case = EntityKey::new(EntityKind::Case, "slow");
    latency.record(System::Sap, &case, NOW - 2 * Millis::HOUR_MS, NOW - Millis::HOUR_MS - 20_000);
    for n in 0..95 {
        let key = EntityKey::new(EntityKind::Case, format!("c{n}"));
        latency.record(System::Salesforce, &key, NOW - 100, NOW);
    }
    for _ in 0..5 {
        latency.record(System::Oracle, &case, NOW - 420_000, NOW);
    }
    let value = latency.measure(3, NOW, LogPos(0));
    assert_eq!(value.measure, Measure::Value { value: 100, is_met: true });
    assert_eq!(value.denominator, 100);
    let beside: std::collections::BTreeMap<_, _> = value.beside.iter().copied().collect();
    assert_eq!((beside["max"], beside["never_applied"], beside["p50"]), (420_000, 3, 100));
    assert_eq!(value.records.first(), Some(&case));
    let oracle = value.breakdown.iter().find(|part| part.key == "oracle").unwrap();
    assert_eq!(oracle.measure, Measure::Value { value: 420_000, is_met: false });

    latency.record(System::Oracle, &case, NOW - 420_000, NOW);
    assert_eq!(latency.measure(0, NOW, LogPos(0)).measure, Measure::Value { value: 420_000, is_met: false });
}

#[test]
fn latency_forgets_after_an_hour_and_never_counts_below_zero() {
    let mut latency = LatencyRecord::default();
    let key = EntityKey::new(EntityKind::Case, "c");
    latency.record(System::Wxcc, &key, NOW + 3_000, NOW);
    assert_eq!(latency.measure(0, NOW, LogPos(0)).measure, Measure::Value { value: 0, is_met: true });
    let later = NOW + Millis::HOUR_MS + 10_000;
    assert_eq!(latency.measure(0, later, LogPos(0)).measure, Measure::NotMeasured);
}

#[test]
fn the_slowest_records_are_bounded_and_slowest_first() {
    let mut latency = LatencyRecord::default();
    for n in 0..150 {
        let key = EntityKey::new(EntityKind::Case, format!("c{n}"));
        latency.record(System::Sap, &key, NOW - n, NOW);
    }
    let records = latency.measure(0, NOW, LogPos(0)).records;
    assert_eq!((records.len(), records[0].id.as_str(), records[99].id.as_str()), (RECORDS_MAX, "c149", "c50"));
}

#[test]
fn every_figure_has_its_own_code() {
    let mut codes: Vec<&str> = ALL.iter().map(|kpi| kpi.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), ALL.len());
}

#[test]
fn a_customer_adds_its_disputes_discrepancies_and_released_transfers() {
    use crate::handoff::testkit::{World, word};
    use ontology::status::{CaseStatus, DisputeStatus};
    use ontology::{Field, ValueRef};

    let mut world = World::a01();
    world.dispute("DSP-1", "INV-4521", &[(Field::OpenedAt, ValueRef::Time(world.now))]);
    world.dispute("DSP-2", "INV-4521", &[(Field::OpenedAt, ValueRef::Null)]);
    let memory = world.advance(None).0;
    world.put(EntityKind::Case, "SF-2026-8831", &[(Field::Status, word(CaseStatus::Resolved))]);
    world.dispute("DSP-1", "INV-4521", &[(Field::CaseRef, ValueRef::Text("SF-2026-8831"))]);
    world.pass(60_000);
    let added = Contribution::of(&world.composite(), &world.derived(), [&memory]);
    let disputes: Vec<&str> = added.disputes.iter().map(|entry| entry.dispute.id.as_str()).collect();
    assert_eq!(disputes, ["DSP-1"], "without a date of opening it belongs to no window");
    assert_eq!((added.handoffs.len(), added.handoffs[0].is_complete), (1, true));
    assert_eq!((added.discrepancies.len(), added.discrepancies[0].closed_at), (1, None));

    world.pass(1_000);
    world.put(EntityKind::Dispute, "DSP-1", &[(Field::Status, word(DisputeStatus::Withdrawn))]);
    let added = Contribution::of(&world.composite(), &world.derived(), []);
    assert!(added.disputes.is_empty() && added.handoffs.is_empty());
    assert_eq!(added.discrepancies[0].closed_at, Some(world.now));
    let nobody = World::empty();
    assert!(Contribution::of(&nobody.composite(), &nobody.derived(), []).is_empty());
}
