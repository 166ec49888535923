//! The sentence of spec 6.6, rule by rule.

#![allow(clippy::unwrap_used)]

use ontology::status::{CaseStatus, Channel, CreditNoteStatus, InvoiceStatus, ServiceOrderStatus};
use ontology::{EntityKind, Field, System, ValueRef};

use super::testkit::{World, cents, text, time, word};

/// A customer with the case and the transfer of A01 and nothing else.
fn bare() -> World {
    let mut world = World::empty();
    world.case("SF-2026-8831");
    world.transfer("TR-1", &[]);
    world
}

#[track_caller]
fn check(world: &World, attached: &str) {
    assert_eq!(world.narrative(), format!("Transferring to billing team — attaching {attached}."));
}

#[test]
fn the_worked_example_reads_exactly_so() {
    assert_eq!(
        World::a01().narrative(),
        "Transferring to billing team — attaching case SF-2026-8831, Oracle invoice #INV-4521 (dispute: $342 \
         overcharge), 2 prior WXCC calls (12min, 8min), and SAP service order SO-7722 (completed yesterday)."
    );
}

#[test]
fn one_part_stands_alone_and_two_join_without_a_comma() {
    let mut world = bare();
    check(&world, "case SF-2026-8831");
    world.call("C-1", "2026-03-03T10:00:00Z", 720);
    check(&world, "case SF-2026-8831 and 1 prior WXCC call (12min)");
}

#[test]
fn disputed_invoices_come_first_then_the_earliest_due() {
    let mut world = bare();
    world.invoice("INV-3", &[(Field::DueDate, time("2026-03-09T00:00:00Z"))]);
    world.invoice("INV-2", &[(Field::DueDate, time("2026-02-01T00:00:00Z")), (Field::Outstanding, cents(4_050))]);
    world.invoice("INV-9", &[(Field::DueDate, time("2026-04-01T00:00:00Z"))]);
    world.dispute(
        "DSP-9",
        "INV-9",
        &[(Field::Currency, text("EUR")), (Field::DisputeType, text("ServiceNotDelivered"))],
    );
    check(
        &world,
        "case SF-2026-8831, Oracle invoice #INV-9 (dispute: EUR 342 service not delivered), \
         Oracle invoice #INV-2 (open, $40.50 due 2026-02-01), and Oracle invoice #INV-3 (open, $500 due 2026-03-09)",
    );
}

#[test]
fn an_invoice_is_told_when_due_in_the_past_and_not_on_its_day() {
    let mut world = bare();
    world.invoice("INV-1", &[(Field::DueDate, time("2026-03-10T00:00:00Z"))]);
    check(&world, "case SF-2026-8831");
    world.invoice("INV-1", &[(Field::DueDate, time("2026-03-09T00:00:00Z"))]);
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (open, $500 due 2026-03-09)");
    for settled in [InvoiceStatus::Paid, InvoiceStatus::Draft, InvoiceStatus::Cancelled, InvoiceStatus::WrittenOff] {
        world.put(EntityKind::Invoice, "INV-1", &[(Field::Status, word(settled))]);
        check(&world, "case SF-2026-8831");
    }
    world.put(EntityKind::Invoice, "INV-1", &[(Field::Status, ValueRef::Unknown("In Mahnung"))]);
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (in mahnung, $500 due 2026-03-09)");
}

#[test]
fn a_settled_invoice_is_told_when_case_and_invoice_name_each_other() {
    let mut world = bare();
    world.invoice(
        "INV-1",
        &[(Field::Status, word(InvoiceStatus::PartiallyPaid)), (Field::CaseRef, text("SF-2026-8831"))],
    );
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (partially paid, $500 due 2026-03-20)");
    world.invoice("INV-1", &[(Field::CaseRef, text("SF-2026-0001"))]);
    check(&world, "case SF-2026-8831");
}

#[test]
fn missing_amounts_and_dates_are_left_out() {
    let mut world = bare();
    let nothing = ValueRef::Null;
    world.invoice(
        "INV-1",
        &[(Field::CaseRef, text("SF-2026-8831")), (Field::Outstanding, nothing), (Field::DueDate, nothing)],
    );
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (open)");
    world.put(EntityKind::Invoice, "INV-1", &[(Field::Outstanding, cents(1)), (Field::Currency, text("Taler"))]);
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (open)");
    world.dispute("DSP-1", "INV-1", &[(Field::Amount, nothing)]);
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (dispute: overcharge)");
    world.put(EntityKind::Dispute, "DSP-1", &[(Field::DisputeType, nothing)]);
    check(&world, "case SF-2026-8831 and Oracle invoice #INV-1 (dispute)");
}

#[test]
fn beyond_three_invoices_or_orders_the_rest_is_counted() {
    let mut world = bare();
    for n in 1..=3 {
        world.invoice(&format!("INV-{n}"), &[(Field::DueDate, time(&format!("2026-03-0{n}T00:00:00Z")))]);
    }
    let three = "case SF-2026-8831, Oracle invoice #INV-1 (open, $500 due 2026-03-01), \
                 Oracle invoice #INV-2 (open, $500 due 2026-03-02)";
    check(&world, &format!("{three}, and Oracle invoice #INV-3 (open, $500 due 2026-03-03)"));
    for n in 4..=5 {
        world.invoice(&format!("INV-{n}"), &[(Field::DueDate, time(&format!("2026-03-0{n}T00:00:00Z")))]);
    }
    check(&world, &format!("{three}, Oracle invoice #INV-3 (open, $500 due 2026-03-03), and +2 more invoices"));

    let mut world = bare();
    for n in 1..=4 {
        world.order(&format!("SO-{n}"), &[(Field::CompletedAt, time(&format!("2026-03-0{n}T11:00:00Z")))]);
    }
    check(
        &world,
        "case SF-2026-8831, SAP service order SO-1 (completed 9 days ago), SAP service order SO-2 (completed 8 days \
         ago), SAP service order SO-3 (completed 7 days ago), and +1 more service orders",
    );
}

#[test]
fn the_latest_three_contacts_of_a_channel_are_told_oldest_first() {
    let mut world = bare();
    for (n, seconds) in [(1, 60), (2, 90), (3, 3_900), (4, 29), (5, 480)] {
        world.call(&format!("C-{n}"), &format!("2026-03-0{n}T10:00:00Z"), seconds);
    }
    world.contact("H-1", Channel::Chat, "2026-03-01T09:00:00Z", &[(Field::DurationS, ValueRef::Int(300))]);
    world.contact("M-1", Channel::Email, "2026-03-01T09:00:00Z", &[]);
    check(&world, "case SF-2026-8831, 5 prior WXCC calls (1h05min, 1min, 8min, +2 more), and 1 prior WXCC chat (5min)");
}

#[test]
fn a_contact_without_a_length_is_counted_and_one_between_its_ends_measured() {
    let mut world = bare();
    world.contact("H-1", Channel::Chat, "2026-03-01T09:00:00Z", &[]);
    check(&world, "case SF-2026-8831 and 1 prior WXCC chat");
    world.put(EntityKind::Interaction, "H-1", &[(Field::StartedAt, time("2026-03-01T08:50:00Z"))]);
    check(&world, "case SF-2026-8831 and 1 prior WXCC chat (10min)");
    world.put(EntityKind::Interaction, "H-1", &[(Field::StartedAt, time("2026-03-01T09:50:00Z"))]);
    check(&world, "case SF-2026-8831 and 1 prior WXCC chat");
}

#[test]
fn contacts_count_for_thirty_days_unless_live_or_of_another_case() {
    let mut world = bare();
    world.call("C-1", "2026-02-08T15:00:00Z", 60);
    check(&world, "case SF-2026-8831 and 1 prior WXCC call (1min)");
    world.call("C-1", "2026-02-08T14:59:59.999Z", 60);
    check(&world, "case SF-2026-8831");
    world.call("C-1", "2026-03-10T15:00:00Z", 60);
    check(&world, "case SF-2026-8831 and 1 prior WXCC call (1min)");
    world.call("C-1", "2026-03-10T15:00:00.001Z", 60);
    check(&world, "case SF-2026-8831");
    world.call("C-1", "2026-03-09T15:00:00Z", 60);
    world.put(EntityKind::Interaction, "C-1", &[(Field::CaseRef, text("SF-2026-8831"))]);
    check(&world, "case SF-2026-8831 and 1 prior WXCC call (1min)");
    world.transfer("TR-1", &[(Field::InteractionRef, text("C-1"))]);
    check(&world, "case SF-2026-8831");
    world.transfer("TR-1", &[(Field::InteractionRef, ValueRef::Null)]);
    world.put(EntityKind::Case, "SF-2", &[(Field::AccountRef, text("ACCT-1")), (Field::Status, word(CaseStatus::New))]);
    world.put(EntityKind::Interaction, "C-1", &[(Field::CaseRef, text("SF-2"))]);
    check(&world, "case SF-2026-8831");
}

#[test]
fn orders_are_told_by_schedule_until_they_are_over() {
    let order = |fields: &[(Field, ValueRef<'_>)]| {
        let mut world = bare();
        world.order("SO-1", fields);
        world.narrative()
    };
    let check_order = |fields: &[(Field, ValueRef<'_>)], told: &str| {
        let expected = format!("attaching case SF-2026-8831 and SAP service order SO-1{told}.");
        assert!(order(fields).ends_with(&expected), "{} should end with {expected}", order(fields));
    };
    let status = |status: ServiceOrderStatus| (Field::Status, word(status));
    let not_done = (Field::CompletedAt, ValueRef::Null);
    let scheduled = |text: &'static str| (Field::ScheduledAt, time(text));
    let planned = status(ServiceOrderStatus::Scheduled);
    check_order(&[planned, not_done, scheduled("2026-03-12T08:00:00Z")], " (scheduled for 2026-03-12)");
    check_order(&[planned, not_done, scheduled("2026-03-10T23:00:00Z")], " (scheduled today)");
    check_order(
        &[status(ServiceOrderStatus::InProgress), not_done, scheduled("2026-03-08T08:00:00Z")],
        " (in progress 2 days ago)",
    );
    check_order(
        &[status(ServiceOrderStatus::InProgress), not_done, scheduled("2026-03-11T00:00:00Z")],
        " (scheduled for 2026-03-11)",
    );
    check_order(&[status(ServiceOrderStatus::Created), not_done], " (created)");
    check_order(&[(Field::Status, ValueRef::Unknown("GEPARKT")), not_done], " (geparkt)");
    check_order(&[status(ServiceOrderStatus::Failed), not_done], " (failed today)");
    check_order(&[(Field::CompletedAt, time("2026-02-08T15:00:00Z"))], " (completed 30 days ago)");
}

#[test]
fn finished_orders_count_for_thirty_days_or_when_tied_to_the_case() {
    let mut world = bare();
    world.order("SO-1", &[(Field::CompletedAt, time("2026-02-08T14:59:59.999Z"))]);
    check(&world, "case SF-2026-8831");
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::CaseRef, text("SF-2026-8831"))]);
    check(&world, "case SF-2026-8831 and SAP service order SO-1 (completed 30 days ago)");
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::CompletedAt, time("2026-02-07T15:00:00Z"))]);
    check(&world, "case SF-2026-8831 and SAP service order SO-1 (completed 2026-02-07)");
    world.put(EntityKind::ServiceOrder, "SO-1", &[(Field::Status, ValueRef::Null), (Field::CaseRef, ValueRef::Null)]);
    check(&world, "case SF-2026-8831");
}

#[test]
fn open_discrepancies_of_the_customer_are_counted() {
    let mut world = bare();
    world.case("SF-2");
    world.put(EntityKind::Case, "SF-2", &[(Field::Status, word(CaseStatus::Resolved))]);
    let pending = (Field::Status, word(CreditNoteStatus::PendingApproval));
    let note = [pending, (Field::CaseRef, text("SF-2")), (Field::Amount, cents(100)), (Field::Currency, text("USD"))];
    world.put(EntityKind::CreditNote, "CN-1", &note);
    world.pass(59_999);
    check(&world, "case SF-2026-8831");
    world.pass(1);
    check(&world, "case SF-2026-8831 and 1 open discrepancy");
    world.put(EntityKind::CreditNote, "CN-2", &note);
    world.pass(60_000);
    check(&world, "case SF-2026-8831 and 2 open discrepancies");
    world.put(EntityKind::CreditNote, "CN-1", &[(Field::Status, word(CreditNoteStatus::Approved))]);
    check(&world, "case SF-2026-8831 and 1 open discrepancy");
}

#[test]
fn gaps_are_named_last_with_their_reason() {
    let mut world = World::a01();
    world.lag(System::Oracle, 300_001);
    assert!(world.narrative().ends_with("(completed yesterday), and billing context unavailable (stale)."));
    let mut world = bare();
    world.lag(System::Wxcc, 300_001);
    world.leave(EntityKind::ArCustomer, Some(830_000));
    check(
        &world,
        "case SF-2026-8831, billing context unavailable (identity_in_review), and interaction context unavailable \
         (source_down)",
    );
}

#[test]
fn amounts_can_be_left_out_of_the_sentence() {
    let mut world = World::a01();
    world.invoice("INV-1", &[(Field::DueDate, time("2026-03-01T00:00:00Z"))]);
    let narrative = world.assess("TR-1").package.narrative;
    let without = narrative.compose(|part| Some(&part.text_without_money));
    assert!(!without.contains('$'), "{without}");
    assert!(
        without.contains("#INV-4521 (dispute: overcharge), Oracle invoice #INV-1 (open, due 2026-03-01)"),
        "{without}"
    );
    assert_eq!(narrative.compose(|_| None), "Transferring to billing team.");
}

#[test]
fn the_calendar_is_the_business_zones() {
    let mut world = World::a01();
    world.settings.business_tz = jiff::tz::TimeZone::get("Asia/Tokyo").unwrap();
    world.pass(30 * 60_000);
    assert!(world.narrative().ends_with("SO-7722 (completed 2 days ago)."), "{}", world.narrative());
}
