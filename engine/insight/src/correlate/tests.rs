#![allow(clippy::unwrap_used)]
//! The worked examples of spec 17 on charges, and the edges of spec 7.

use ontology::status::{
    CreditNoteStatus, DispatchOutcome, DispatchStatus, InvoiceStatus, ServiceOrderStatus, ServiceOrderType,
};
use ontology::{EntityKey, EntityKind, Field, FieldsBuilder, ListBuilder, ValueRef};

use super::*;
use crate::derived::{Anomaly, Correlation};
use crate::evaluate;
use crate::handoff::testkit::{World, at, cents, text, time, word};

fn derived(world: &World) -> Derived {
    evaluate(&world.composite(), &world.context())
}

fn kinds(world: &World) -> Vec<(AnomalyKind, String)> {
    derived(world).anomalies.iter().map(|anomaly| (anomaly.kind, anomaly.invoice.id.to_string())).collect()
}

fn anomaly(world: &World) -> Option<Anomaly> {
    derived(world).anomalies.first().cloned()
}

fn correlation_of(world: &World, kind: EntityKind, id: &str) -> Correlation {
    let key = EntityKey::new(kind, id);
    let derived = derived(world);
    let found = derived.correlations.iter().find(|correlation| correlation.subject == key);
    found.map(|found| (**found).clone()).unwrap()
}

fn issued(world: &mut World, id: &str, minor: i64, at: &str) {
    let fields = [(Field::Amount, cents(minor)), (Field::IssuedAt, time(at))];
    world.invoice(id, &fields);
}

/// Three invoices of 100.00 in December, January and February.
fn usual() -> World {
    let mut world = World::empty();
    issued(&mut world, "INV-1", 10_000, "2025-12-10T00:00:00Z");
    issued(&mut world, "INV-2", 10_000, "2026-01-10T00:00:00Z");
    issued(&mut world, "INV-3", 10_000, "2026-02-10T00:00:00Z");
    world
}

/// Worked example A02.
fn a02() -> World {
    let mut world = usual();
    let account = world.members.iter_mut().find(|member| member.kind == EntityKind::Account).unwrap();
    account.id = "ACCT-1205".into();
    world.put(EntityKind::Account, "ACCT-1205", &[(Field::Name, text("Acme"))]);
    issued(&mut world, "INV-4", 14_000, "2026-03-10T14:00:00Z");
    world.order("SO-7701", &[(Field::CompletedAt, time("2026-03-07T23:00:00Z"))]);
    world
}

fn line_item(order: &str, minor: i64, period: Option<&str>) -> ListBuilder {
    let mut fields = FieldsBuilder::default();
    fields.set(Field::ServiceOrderRef, text(order)).set(Field::Amount, cents(minor)).text(Field::Period, period);
    let mut list = ListBuilder::default();
    list.push(&fields.build());
    list
}

fn billed_invoice(world: &mut World, id: &str, order: &str, minor: i64, fields: &[(Field, ValueRef<'_>)]) {
    let list = line_item(order, minor, None);
    let own =
        [(Field::Lines, list.value()), (Field::Amount, cents(minor)), (Field::IssuedAt, time("2026-03-10T00:00:00Z"))];
    world.invoice(id, &[&own, fields].concat());
}

/// An order with an estimate and one invoice that names it.
fn estimated(estimate_minor: i64, billed_minor: i64) -> World {
    let mut world = World::empty();
    world.order("SO-1", &[(Field::Estimate, cents(estimate_minor)), (Field::Currency, text("USD"))]);
    billed_invoice(&mut world, "INV-1", "SO-1", billed_minor, &[]);
    world
}

#[test]
fn a_spike_after_an_upgrade_is_likely_correct() {
    let world = a02();
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    let best = found.accepted().unwrap();
    assert_eq!((best.score, best.gap_days), (741_840, Some(3)));
    assert_eq!(found.verdict, Verdict::LikelyCorrectCharge);
    assert_eq!(
        found.sentence.as_deref().unwrap(),
        "Invoice spike for Account ACCT-1205 correlates with SAP service order SO-7701 (plan upgrade) executed 3 days ago — likely correct charge, not an error."
    );
    assert_eq!(found.grounds.link_confidence, 990_000);
    assert!(derived(&world).alerts.is_empty());
}

#[test]
fn the_sentence_is_told_anew_each_calendar_day() {
    let mut world = a02();
    assert_eq!(derived(&world).wake_at, Some(at("2026-03-11T00:00:00Z")));
    world.now = at("2026-03-11T00:00:00Z");
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    assert!(found.sentence.unwrap().contains("executed 4 days ago"));
    assert_eq!(derived(&estimated(10_000, 12_001)).wake_at, None);
}

#[test]
fn of_two_service_desks_the_account_is_named_that_the_bill_is_about() {
    let mut world = a02();
    world.put(EntityKind::Account, "8850", &[(Field::Name, text("Acme"))]);
    world.join(EntityKind::Account, "8850");
    let named = |world: &World| {
        let sentence = correlation_of(world, EntityKind::Invoice, "INV-4").sentence.unwrap();
        sentence.strip_prefix("Invoice spike for Account ").unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(named(&world), "8850", "nobody says which: the first by name");
    world.put(EntityKind::ArCustomer, "AR-1", &[(Field::AccountXref, text("ACCT-1205"))]);
    assert_eq!(named(&world), "ACCT-1205");
    world.put(EntityKind::ArCustomer, "AR-1", &[(Field::AccountXref, text("ACCT-9"))]);
    assert_eq!(named(&world), "8850", "an account that is not the customer's");
}

#[test]
fn without_an_account_the_receivables_customer_is_named() {
    let mut world = a02();
    world.leave(EntityKind::Account, None);
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    assert!(found.sentence.unwrap().starts_with("Invoice spike for Account AR-1 correlates"));
}

#[test]
fn twenty_percent_off_the_usual_is_still_usual() {
    for (minor, expected) in
        [(12_000, None), (12_001, Some(AnomalyKind::Spike)), (8_000, None), (7_999, Some(AnomalyKind::Drop))]
    {
        let mut world = usual();
        issued(&mut world, "INV-4", minor, "2026-03-10T00:00:00Z");
        assert_eq!(kinds(&world).first().map(|(kind, _)| *kind), expected, "{minor}");
    }
}

#[test]
fn the_usual_needs_three_earlier_invoices_that_are_alike() {
    let mut world = World::empty();
    issued(&mut world, "INV-1", 10_000, "2026-01-10T00:00:00Z");
    issued(&mut world, "INV-2", 10_000, "2026-02-10T00:00:00Z");
    issued(&mut world, "INV-3", 90_000, "2026-03-10T00:00:00Z");
    assert!(kinds(&world).is_empty(), "two earlier ones");
    let mut world = usual();
    world.invoice("INV-3", &[(Field::Status, word(InvoiceStatus::Cancelled))]);
    issued(&mut world, "INV-4", 90_000, "2026-03-10T00:00:00Z");
    assert!(kinds(&world).is_empty(), "a cancelled one does not count");
    let mut world = usual();
    issued(&mut world, "INV-4", 90_000, "2026-03-10T00:00:00Z");
    world.put(EntityKind::Invoice, "INV-4", &[(Field::BillingType, text("one-off"))]);
    assert!(kinds(&world).is_empty(), "another kind of billing");
    world.put(EntityKind::Invoice, "INV-4", &[(Field::BillingType, ValueRef::Null), (Field::Currency, text("EUR"))]);
    assert!(kinds(&world).is_empty(), "another currency");
    world.put(EntityKind::Invoice, "INV-4", &[(Field::Currency, text("USD"))]);
    assert_eq!(kinds(&world).len(), 1);
    world.put(EntityKind::Invoice, "INV-4", &[(Field::Status, word(InvoiceStatus::Cancelled))]);
    assert!(kinds(&world).is_empty(), "a cancelled one is not out of the ordinary");
}

#[test]
fn an_even_number_of_earlier_invoices_has_the_mean_of_the_middle_two_as_median() {
    let mut world = usual();
    issued(&mut world, "INV-3b", 10_003, "2026-02-11T00:00:00Z");
    world.invoice("INV-1", &[(Field::Amount, cents(10_002)), (Field::IssuedAt, time("2025-12-10T00:00:00Z"))]);
    // 100.00, 100.00, 100.02, 100.03: the median is 100.01, and 120.012 is 20 % above it.
    issued(&mut world, "INV-4", 12_001, "2026-03-10T00:00:00Z");
    assert!(kinds(&world).is_empty());
    issued(&mut world, "INV-4", 12_002, "2026-03-10T00:00:00Z");
    assert_eq!(kinds(&world).len(), 1);
}

#[test]
fn exactly_twenty_percent_over_the_estimate_is_no_deviation() {
    assert_eq!(kinds(&estimated(10_000, 12_000)), []);
    assert_eq!(kinds(&estimated(10_000, 8_000)), []);
    assert_eq!(kinds(&estimated(10_000, 7_999)).len(), 1);
    assert_eq!(kinds(&estimated(0, 0)), []);
    assert_eq!(kinds(&estimated(0, 1)).len(), 1);
    let derived = derived(&estimated(10_000, 12_001));
    let [found] = derived.anomalies.as_slice() else { panic!("one anomaly") };
    assert_eq!(found.kind, AnomalyKind::EstimateDeviation);
    let [alert] = derived.alerts.as_slice() else { panic!("one alert") };
    assert_eq!((alert.rule.name(), alert.severity.name()), ("11-4", "medium"));
    assert_eq!(
        alert.sentence.as_deref().unwrap(),
        "Oracle invoice #INV-1 bills $120.01 for SAP service order SO-1 (plan upgrade) against an estimate of $100 — flagging for billing review."
    );
    assert!(alert.grounds.subjects.iter().any(|key| key.kind == EntityKind::ServiceOrder));
    assert_eq!(derived.correlations[0].verdict, Verdict::NeedsReview);
}

#[test]
fn an_effective_credit_closes_a_deviation_and_a_pending_one_does_not() {
    let mut world = estimated(10_000, 12_001);
    let note = [(Field::InvoiceRef, text("INV-1")), (Field::Amount, cents(1)), (Field::Currency, text("USD"))];
    world.put(EntityKind::CreditNote, "CN-1", &note);
    world.put(EntityKind::CreditNote, "CN-1", &[(Field::Status, word(CreditNoteStatus::PendingApproval))]);
    assert_eq!(kinds(&world).len(), 1);
    world.put(EntityKind::CreditNote, "CN-1", &[(Field::Status, word(CreditNoteStatus::Approved))]);
    assert_eq!(kinds(&world), []);
}

#[test]
fn without_an_estimate_or_an_issued_invoice_nothing_is_evaluated() {
    let mut world = estimated(10_000, 50_000);
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::Estimate, ValueRef::Null)]);
    assert_eq!(kinds(&world), []);
    for status in [InvoiceStatus::Draft, InvoiceStatus::Cancelled] {
        let mut world = estimated(10_000, 50_000);
        world.put(EntityKind::Invoice, "INV-1", &[(Field::Status, word(status))]);
        assert_eq!(kinds(&world), []);
    }
    let mut world = World::empty();
    world.order("SO-1", &[(Field::Estimate, cents(10_000)), (Field::Currency, text("USD"))]);
    assert_eq!(kinds(&world), []);
}

#[test]
fn lines_of_their_own_replace_those_in_the_invoice_and_tax_does_not_count() {
    let mut world = estimated(10_000, 50_000);
    let line = |minor| {
        [(Field::InvoiceRef, text("INV-1")), (Field::ServiceOrderRef, text("SO-1")), (Field::Amount, cents(minor))]
    };
    world.put(EntityKind::InvoiceLine, "L-1", &line(12_000));
    world.put(EntityKind::InvoiceLine, "L-2", &line(2_280));
    assert_eq!(kinds(&world).len(), 1);
    world.put(EntityKind::InvoiceLine, "L-2", &[(Field::LineType, text("TAX"))]);
    assert_eq!(kinds(&world), []);
}

#[test]
fn a_milestone_order_is_tested_for_overrun_until_its_final_invoice() {
    let mut world = estimated(10_000, 2_000);
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::BillingPlan, text("milestone"))]);
    assert_eq!(kinds(&world), []);
    world.put(EntityKind::Invoice, "INV-1", &[(Field::BillingType, text("Final"))]);
    assert_eq!(kinds(&world).len(), 1);
    let mut world = estimated(10_000, 12_001);
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::BillingPlan, text("milestone"))]);
    assert_eq!(kinds(&world).len(), 1);
}

#[test]
fn other_currencies_are_converted_at_the_rate_of_the_invoice_day() {
    let mut world = estimated(50_000, 56_000);
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::Currency, text("EUR"))]);
    let without = derived(&world);
    assert!(without.anomalies.is_empty() && without.alerts.is_empty());
    let rates_missing = without.findings.iter().filter(|finding| finding.kind.name() == "fx_rate_missing").count();
    assert_eq!(rates_missing, 1);
    let key = ("USD".to_owned(), "EUR".to_owned(), "2026-03-10".to_owned());
    let rate = EntityKey::new(EntityKind::ExchangeRate, "R1");
    world.reference.rates.set(&rate, Some((key.clone(), 900_000)));
    let with = derived(&world);
    assert!(with.anomalies.is_empty());
    assert!(with.findings.iter().all(|finding| finding.kind.name() != "fx_rate_missing"));
    world.reference.rates.set(&rate, Some((key, 1_100_000)));
    assert_eq!(anomaly(&world).unwrap().actual.unwrap().display(), "EUR 616");
}

#[test]
fn a_note_is_spread_over_the_lines_with_the_remainder_on_the_largest() {
    let mut world = World::empty();
    world.order("SO-1", &[(Field::Estimate, cents(0)), (Field::Currency, text("USD"))]);
    world.order("SO-2", &[(Field::Estimate, cents(0)), (Field::Currency, text("USD"))]);
    let mut list = ListBuilder::default();
    for (order, minor) in [("SO-1", 100), ("SO-2", 200)] {
        let mut fields = FieldsBuilder::default();
        list.push(&fields.set(Field::ServiceOrderRef, text(order)).set(Field::Amount, cents(minor)).build());
    }
    world.invoice("INV-1", &[(Field::Lines, list.value()), (Field::IssuedAt, time("2026-03-10T00:00:00Z"))]);
    let note = [
        (Field::InvoiceRef, text("INV-1")),
        (Field::Amount, cents(100)),
        (Field::Status, word(CreditNoteStatus::Applied)),
    ];
    world.put(EntityKind::CreditNote, "CN-1", &note);
    let billed: Vec<i64> = derived(&world).anomalies.iter().map(|anomaly| anomaly.actual.unwrap().minor).collect();
    assert_eq!(billed, [67, 133]);
}

#[test]
fn an_explicit_order_counts_whatever_its_date() {
    let mut world = usual();
    billed_invoice(&mut world, "INV-4", "SO-1", 14_000, &[]);
    world.order("SO-1", &[(Field::CompletedAt, time("2025-01-01T00:00:00Z"))]);
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    assert!(found.is_accepted());
    assert_eq!(found.candidates[0].factors[0], (Signal::ExplicitReference, 950_000));
    // (1 - 0.05 x 0.4 x 1) x 0.99
    assert_eq!(found.candidates[0].score, 970_200);
}

#[test]
fn other_orders_count_from_45_days_before_to_5_days_after() {
    let check = |completed: &str, is_candidate: bool| {
        let mut world = usual();
        issued(&mut world, "INV-4", 14_000, "2026-03-10T00:00:00Z");
        world.order("SO-1", &[(Field::CompletedAt, time(completed))]);
        let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
        assert_eq!(!found.candidates.is_empty(), is_candidate, "{completed}");
    };
    check("2026-01-24T23:00:00Z", true);
    check("2026-01-23T23:00:00Z", false);
    check("2026-03-15T23:00:00Z", true);
    check("2026-03-16T01:00:00Z", false);
}

#[test]
fn a_score_below_070_is_a_suggestion_and_has_no_verdict() {
    let mut world = usual();
    issued(&mut world, "INV-4", 14_000, "2026-03-10T00:00:00Z");
    world.order("SO-1", &[(Field::CompletedAt, time("2026-02-10T00:00:00Z"))]);
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    assert_eq!(found.candidates.len(), 1);
    assert!(!found.is_accepted() && found.sentence.is_none());
    assert_eq!(found.verdict, Verdict::Uncorrelated);
}

#[test]
fn ties_go_to_the_nearest_and_then_to_the_smaller_id() {
    let mut world = a02();
    world.order("SO-7700", &[(Field::CompletedAt, time("2026-03-07T01:00:00Z"))]);
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    let ids: Vec<&str> = found.candidates.iter().map(|candidate| candidate.order.id.as_str()).collect();
    assert_eq!(ids, ["SO-7700", "SO-7701"]);
}

#[test]
fn a_drop_is_explained_by_a_downgrade_and_not_by_an_upgrade() {
    let mut world = usual();
    issued(&mut world, "INV-4", 5_000, "2026-03-10T00:00:00Z");
    world.order("SO-1", &[]);
    assert!(!correlation_of(&world, EntityKind::Invoice, "INV-4").is_accepted());
    world.order("SO-1", &[(Field::Type, word(ServiceOrderType::PlanDowngrade))]);
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    assert_eq!(found.verdict, Verdict::LikelyCorrectCharge);
    assert!(found.sentence.unwrap().starts_with("Invoice drop for Account ACCT-1 correlates"));
}

#[test]
fn a_cancelled_order_on_the_bill_is_likely_an_error() {
    let mut world = World::empty();
    billed_invoice(&mut world, "INV-1", "SO-1", 10_000, &[]);
    world.order("SO-1", &[(Field::Status, word(ServiceOrderStatus::Cancelled))]);
    assert_eq!(kinds(&world), [(AnomalyKind::ChargeWithoutService, "INV-1".to_owned())]);
    assert_eq!(correlation_of(&world, EntityKind::Invoice, "INV-1").verdict, Verdict::LikelyError);
}

#[test]
fn two_invoices_for_one_order_and_period_are_a_duplicate_of_the_later() {
    let mut world = World::empty();
    world.order("SO-1", &[]);
    let mut invoice = |id: &str, period: Option<&str>, issued_at: &str| {
        let list = line_item("SO-1", 10_000, period);
        world.invoice(id, &[(Field::Lines, list.value()), (Field::IssuedAt, time(issued_at))]);
    };
    invoice("INV-2", Some("2026-02"), "2026-03-01T00:00:00Z");
    invoice("INV-1", Some("2026-02"), "2026-03-02T00:00:00Z");
    invoice("INV-3", Some("2026-03"), "2026-03-03T00:00:00Z");
    invoice("INV-4", None, "2026-03-04T00:00:00Z");
    invoice("INV-5", None, "2026-03-05T00:00:00Z");
    assert_eq!(kinds(&world), [(AnomalyKind::DuplicateCharge, "INV-1".to_owned())]);
    // The work was done and explains a charge; that it is charged twice speaks against it.
    assert_eq!(correlation_of(&world, EntityKind::Invoice, "INV-1").verdict, Verdict::NeedsReview);
}

#[test]
fn a_dispute_is_judged_through_its_invoice() {
    let mut world = World::empty();
    billed_invoice(&mut world, "INV-1", "SO-1", 10_000, &[]);
    world.order("SO-1", &[]);
    world.dispute("DSP-1", "INV-1", &[]);
    let found = correlation_of(&world, EntityKind::Dispute, "DSP-1");
    assert!(found.is_accepted());
    assert_eq!(found.verdict, Verdict::LikelyCorrectCharge);
    assert_eq!(found.sentence, None);
    world.dispute("DSP-2", "INV-9", &[(Field::CustomerXref, text("ACCT-1"))]);
    assert_eq!(correlation_of(&world, EntityKind::Dispute, "DSP-2").verdict, Verdict::Uncorrelated);
}

#[test]
fn a_visit_that_fixed_nothing_explains_a_dispute_about_service_not_delivered() {
    let mut world = World::empty();
    billed_invoice(&mut world, "INV-1", "SO-1", 10_000, &[]);
    world.order("SO-1", &[(Field::Type, word(ServiceOrderType::Maintenance))]);
    world.dispute("DSP-1", "INV-1", &[(Field::DisputeType, text("ServiceNotDelivered"))]);
    let signals = |world: &World| {
        let found = correlation_of(world, EntityKind::Dispute, "DSP-1");
        (found.candidates[0].factors.iter().any(|(signal, _)| *signal == Signal::TypeExplains), found.verdict)
    };
    assert_eq!(signals(&world), (false, Verdict::NeedsReview));
    let dispatch = [
        (Field::ServiceOrderRef, text("SO-1")),
        (Field::Status, word(DispatchStatus::Completed)),
        (Field::Outcome, word(DispatchOutcome::NoAccess)),
    ];
    world.put(EntityKind::FieldDispatch, "D-1", &dispatch);
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::Status, word(ServiceOrderStatus::Failed))]);
    assert_eq!(signals(&world), (true, Verdict::LikelyError));
}

#[test]
fn a_common_case_and_a_matching_amount_add_up() {
    let mut world = World::empty();
    world.case("SF-2026-8831");
    issued(&mut world, "INV-1", 10_500, "2026-03-10T00:00:00Z");
    world.order(
        "SO-1",
        &[
            (Field::CaseRef, text("SF-2026-8831")),
            (Field::Type, word(ServiceOrderType::Maintenance)),
            (Field::CompletedAt, time("2026-01-24T00:00:00Z")),
            (Field::Estimate, cents(10_000)),
            (Field::Currency, text("USD")),
        ],
    );
    world.dispute("DSP-1", "INV-1", &[(Field::CaseRef, text("SF-2026-8831"))]);
    let best = |world: &World| correlation_of(world, EntityKind::Dispute, "DSP-1").candidates[0].clone();
    // (1 - 0.4 x 0.5 x 1) x 0.99
    assert_eq!(best(&world).score, 792_000);
    issued(&mut world, "INV-1", 10_501, "2026-03-10T00:00:00Z");
    // (1 - 0.4 x 0.7 x 1) x 0.99
    assert_eq!(best(&world).score, 712_800);
}

#[test]
fn a_blocked_value_turns_any_verdict_into_a_review() {
    let mut world = a02();
    world.put(EntityKind::ServiceOrder, "SO-7701", &[(Field::Estimate, cents(-1)), (Field::Currency, text("USD"))]);
    let found = correlation_of(&world, EntityKind::Invoice, "INV-4");
    assert_eq!(found.verdict, Verdict::NeedsReview);
    assert!(found.sentence.unwrap().ends_with("— needs billing review."));
}

#[test]
fn records_with_missing_fields_do_no_harm() {
    let mut world = a02();
    for (kind, id) in [
        (EntityKind::Invoice, "INV-9"),
        (EntityKind::InvoiceLine, "L-9"),
        (EntityKind::Dispute, "DSP-9"),
        (EntityKind::CreditNote, "CN-9"),
        (EntityKind::ServiceOrder, "SO-9"),
        (EntityKind::FieldDispatch, "D-9"),
    ] {
        let parents = [
            (Field::ArCustomerRef, text("AR-1")),
            (Field::AccountRef, text("BP-1")),
            (Field::CustomerXref, text("ACCT-1205")),
            (Field::Currency, text("XXXX")),
            (Field::Amount, ValueRef::Bad("12,5x")),
        ];
        world.put(kind, id, &parents);
    }
    assert_eq!(correlation_of(&world, EntityKind::Invoice, "INV-4").candidates[0].score, 741_840);
}

#[test]
fn an_order_far_from_its_estimate_needs_review_on_each_of_its_invoices() {
    let mut world = World::empty();
    let completed = (Field::CompletedAt, time("2026-03-01T00:00:00Z"));
    world.order("SO-1", &[(Field::Estimate, cents(10_000)), (Field::Currency, text("USD")), completed]);
    for (id, day) in [("INV-1", "2026-03-02T00:00:00Z"), ("INV-2", "2026-03-08T00:00:00Z")] {
        billed_invoice(&mut world, id, "SO-1", 10_000, &[(Field::IssuedAt, time(day))]);
    }
    world.dispute("DSP-1", "INV-1", &[]);
    assert_eq!(kinds(&world), [(AnomalyKind::EstimateDeviation, "INV-2".to_owned())]);
    assert_eq!(correlation_of(&world, EntityKind::Dispute, "DSP-1").verdict, Verdict::NeedsReview);
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::Estimate, cents(20_000))]);
    assert_eq!(correlation_of(&world, EntityKind::Dispute, "DSP-1").verdict, Verdict::LikelyCorrectCharge);
}

#[test]
fn a_note_without_an_amount_takes_nothing_back() {
    let mut world = estimated(10_000, 13_000);
    let fields = [
        (Field::InvoiceRef, text("INV-1")),
        (Field::Currency, text("USD")),
        (Field::Status, word(CreditNoteStatus::Applied)),
    ];
    world.put(EntityKind::CreditNote, "CN-1", &fields);
    assert_eq!(kinds(&world).len(), 1);
    assert!(derived(&world).findings.iter().all(|finding| finding.kind.name() != "fx_rate_missing"));
    // One in a currency that no rate is known for cannot be read.
    world.put(EntityKind::CreditNote, "CN-1", &[(Field::Amount, cents(100)), (Field::Currency, text("EUR"))]);
    assert_eq!(kinds(&world), []);
    assert!(derived(&world).findings.iter().any(|finding| finding.kind.name() == "fx_rate_missing"));
}

#[test]
fn credits_on_amounts_as_large_as_they_get_do_not_panic() {
    let mut world = estimated(10_000, 10_000);
    let mut lines = ListBuilder::default();
    for minor in [9_000_000_000_000_000_000, -8_999_999_999_999_999_999] {
        let mut fields = FieldsBuilder::default();
        lines.push(&fields.set(Field::ServiceOrderRef, text("SO-1")).set(Field::Amount, cents(minor)).build());
    }
    world.put(EntityKind::Invoice, "INV-1", &[(Field::Lines, lines.value())]);
    for id in ["CN-1", "CN-2"] {
        let note = [
            (Field::InvoiceRef, text("INV-1")),
            (Field::Amount, cents(1)),
            (Field::Status, word(CreditNoteStatus::Applied)),
        ];
        world.put(EntityKind::CreditNote, id, &note);
    }
    assert!(derived(&world).findings.iter().all(|finding| finding.kind.name() != "fx_rate_missing"));
}
