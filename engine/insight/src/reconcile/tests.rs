#![allow(clippy::unwrap_used)]
//! The worked examples of spec 17 on mismatches, and the edges of spec 8.

use ontology::status::{
    CaseStatus, CreditNoteStatus, Decision, DispatchStatus, DisputeStatus, InvoiceStatus, ServiceOrderStatus,
    ServiceOrderType,
};
use ontology::{
    EntityKey, EntityKind, Fact, Field, Fields, FieldsBuilder, ListBuilder, LogPos, Millis, ObjectId, Op, System,
    ValueRef, Version,
};
use state::Entity;

use super::*;
use crate::derived::{Basis, Discrepancy};
use crate::evaluate;
use crate::handoff::testkit::{T, World, at, cents, text, time, word};

const CASE: &str = "SF-2026-9001";
const NOTE: &str = "CN-4410";

/// One delivery, in seconds from T.
struct Told<'a> {
    key: (EntityKind, &'a str),
    version: u64,
    changed_s: i64,
    ingested_s: i64,
    op: Op,
    fields: &'a [(Field, ValueRef<'a>)],
}

fn told<'a>(kind: EntityKind, id: &'a str, changed_s: i64, fields: &'a [(Field, ValueRef<'a>)]) -> Told<'a> {
    let version = u64::try_from(changed_s + 1_000_000).unwrap();
    Told { key: (kind, id), version, changed_s, ingested_s: changed_s, op: Op::Patch, fields }
}

fn second(s: i64) -> Millis {
    at(T) + s * 1_000
}

fn tell(world: &mut World, told: &Told<'_>) {
    let mut fields = FieldsBuilder::default();
    for (field, value) in told.fields {
        fields.set(*field, *value);
    }
    let key = EntityKey::new(told.key.0, told.key.1);
    let fact = Fact {
        event_id: format!("e{}-{}", told.key.1, told.version).into(),
        system: System::Oracle,
        object: told.key.0.name().into(),
        record_id: told.key.1.into(),
        entity: key.clone(),
        op: told.op,
        version: Version::new(told.version, 0, 0),
        changed_at: second(told.changed_s),
        observed_at: second(told.changed_s),
        ingested_at: second(told.ingested_s),
        log_pos: LogPos(told.version),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    };
    let entity = world.entities.entry(key.clone()).or_insert_with(|| Entity::named(key));
    if let Some(changed) = entity.apply(&fact) {
        *entity = changed;
    }
}

fn status(world: &mut World, kind: EntityKind, id: &str, changed_s: i64, status: impl Vocabulary) {
    tell(world, &told(kind, id, changed_s, &[(Field::Status, word(status))]));
}

/// A customer whose case is in progress since an hour before T.
fn customer() -> World {
    let mut world = World::empty();
    let fields = [(Field::AccountRef, text("ACCT-1")), (Field::Status, word(CaseStatus::InProgress))];
    tell(&mut world, &told(EntityKind::Case, CASE, -3_600, &fields));
    let fields = [
        (Field::ArCustomerRef, text("AR-1")),
        (Field::Status, word(InvoiceStatus::Open)),
        (Field::Amount, cents(50_000)),
        (Field::Currency, text("USD")),
    ];
    tell(&mut world, &told(EntityKind::Invoice, "INV-1", -3_600, &fields));
    world
}

/// Worked example A03 up to the case being resolved at T.
fn a03() -> World {
    let mut world = customer();
    let fields = [
        (Field::InvoiceRef, text("INV-1")),
        (Field::CaseRef, text(CASE)),
        (Field::Amount, cents(20_000)),
        (Field::Status, word(CreditNoteStatus::PendingApproval)),
    ];
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, -600, &fields));
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Resolved);
    world
}

fn derived_at(world: &mut World, ms_from_t: i64) -> Derived {
    world.now = at(T) + ms_from_t;
    evaluate(&world.composite(), &world.context())
}

fn found_at(world: &mut World, s: i64) -> Vec<Discrepancy> {
    derived_at(world, s * 1_000).discrepancies
}

fn only(world: &mut World, s: i64) -> Discrepancy {
    let mut found = found_at(world, s);
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().unwrap()
}

fn auto_cause(discrepancy: &Discrepancy) -> &str {
    match &discrepancy.state {
        DiscrepancyState::Resolved(Resolution::Auto { cause, .. }) => cause,
        other => panic!("resolved by itself, not {other:?}"),
    }
}

fn decide(world: &mut World, id: &ObjectId, decided_s: i64, verdict: Decision, until_s: Option<i64>) {
    let mut fields = vec![
        (Field::Verdict, word(verdict)),
        (Field::Actor, text("ann")),
        (Field::Reason, text("known")),
        (Field::DecidedAt, ValueRef::Time(second(decided_s))),
    ];
    fields.extend(until_s.map(|s| (Field::Until, ValueRef::Time(second(s)))));
    let key = EntityKey::new(EntityKind::DiscrepancyDecision, id.0.as_str());
    tell(world, &told(key.kind, &key.id, decided_s, &fields));
    let entity = world.entities.remove(&key).unwrap();
    world.reference.decisions.insert(id.clone(), entity.into());
}

#[test]
fn a_pending_credit_note_of_a_resolved_case_opens_after_exactly_the_grace_time() {
    let mut world = a03();
    let before = derived_at(&mut world, 59_999);
    assert!(before.discrepancies.is_empty());
    assert_eq!(before.wake_at, Some(second(60)));
    let derived = derived_at(&mut world, 60_000);
    let [discrepancy] = derived.discrepancies.as_slice() else { panic!("one discrepancy") };
    assert_eq!(
        discrepancy.sentence.as_deref().unwrap(),
        "Salesforce case SF-2026-9001 marked resolved but Oracle credit note CN-4410 still pending approval — flagging for finance review."
    );
    assert_eq!(
        (discrepancy.rule, discrepancy.severity, discrepancy.basis),
        (RuleCode::Rc1, Severity::High, Basis::Explicit)
    );
    assert_eq!((discrepancy.since, discrepancy.opened_at, discrepancy.occurrence), (second(0), second(60), 1));
    assert_eq!(discrepancy.owner_team, "finance");
    assert_eq!(discrepancy.amount.unwrap().minor, 20_000);
    assert_eq!(discrepancy.grounds.link_confidence, 990_000);
    let sides: Vec<EntityKind> = discrepancy.grounds.evidence().iter().map(|evidence| evidence.entity.kind).collect();
    assert!(sides.contains(&EntityKind::Case) && sides.contains(&EntityKind::CreditNote));
    let [alert] = derived.alerts.as_slice() else { panic!("one alert") };
    assert_eq!((alert.rule.name(), alert.severity), ("11-2", Severity::High));
    assert_eq!(derived.wake_at, None);
}

#[test]
fn approval_resolves_it_at_once() {
    let mut world = a03();
    status(&mut world, EntityKind::CreditNote, NOTE, 600, CreditNoteStatus::Approved);
    let derived = derived_at(&mut world, 600_000);
    assert_eq!(auto_cause(&derived.discrepancies[0]), "credit_note_approved");
    assert!(derived.alerts.is_empty());
}

#[test]
fn a_reopened_case_resolves_it_and_a_second_resolution_is_occurrence_two() {
    let mut world = a03();
    let id = only(&mut world, 60).id;
    status(&mut world, EntityKind::Case, CASE, 900, CaseStatus::InProgress);
    assert_eq!(auto_cause(&only(&mut world, 900)), "case_reopened");
    status(&mut world, EntityKind::Case, CASE, 1_800, CaseStatus::Resolved);
    let waiting = only(&mut world, 1_859);
    assert!(!waiting.is_open());
    assert_eq!(waiting.occurrence, 1);
    let again = only(&mut world, 1_860);
    assert_eq!((again.id, again.occurrence, again.since), (id, 2, second(1_800)));
    assert_eq!(again.state, DiscrepancyState::Open);
    assert_eq!(again.stretches.len(), 2);
}

#[test]
fn a_late_fact_counts_the_grace_from_its_ingest() {
    let mut world = customer();
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Resolved);
    let fields = [(Field::CaseRef, text(CASE)), (Field::Status, word(CreditNoteStatus::Draft))];
    tell(&mut world, &Told { ingested_s: 500, ..told(EntityKind::CreditNote, NOTE, -600, &fields) });
    assert_eq!(derived_at(&mut world, 559_999).discrepancies, []);
    let open = only(&mut world, 560);
    assert_eq!((open.since, open.noticed_at, open.opened_at), (second(0), second(500), second(560)));
    // Saying the same again later does not start the grace anew.
    tell(&mut world, &Told { ingested_s: 600, ..told(EntityKind::CreditNote, NOTE, -300, &fields) });
    assert_eq!(only(&mut world, 600).state, DiscrepancyState::Open);
    // Nor does learning that it was so earlier.
    tell(
        &mut world,
        &Told { ingested_s: 700, ..told(EntityKind::Case, CASE, -60, &[(Field::Status, word(CaseStatus::Resolved))]) },
    );
    let earlier = only(&mut world, 700);
    assert_eq!((earlier.state, earlier.since), (DiscrepancyState::Open, second(-60)));
}

#[test]
fn only_stretches_of_at_least_the_grace_count_and_a_late_fact_can_withdraw_one() {
    for (ends_s, count) in [(59, 0), (60, 1), (61, 1)] {
        let mut world = a03();
        status(&mut world, EntityKind::Case, CASE, ends_s, CaseStatus::InProgress);
        assert_eq!(found_at(&mut world, 3_600).len(), count, "ended after {ends_s} s");
    }
    let mut world = a03();
    status(&mut world, EntityKind::Case, CASE, 900, CaseStatus::InProgress);
    assert_eq!(only(&mut world, 3_600).occurrence, 1);
    tell(
        &mut world,
        &Told {
            ingested_s: 3_700,
            ..told(EntityKind::Case, CASE, 30, &[(Field::Status, word(CaseStatus::WaitingInternal))])
        },
    );
    assert!(found_at(&mut world, 3_700).is_empty());
}

#[test]
fn resolved_and_closed_are_one_stretch_and_draft_and_pending_too() {
    let mut world = a03();
    status(&mut world, EntityKind::Case, CASE, 100, CaseStatus::Closed);
    status(&mut world, EntityKind::CreditNote, NOTE, 200, CreditNoteStatus::Draft);
    let found = only(&mut world, 300);
    assert_eq!((found.since, found.occurrence, found.stretches.len()), (second(0), 1, 1));
}

#[test]
fn an_unknown_status_is_not_finished_and_never_resolved() {
    let mut world = a03();
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 10, &[(Field::Status, ValueRef::Unknown("Parked"))]));
    assert_eq!(only(&mut world, 60).state, DiscrepancyState::Open);
    tell(&mut world, &told(EntityKind::Case, CASE, 70, &[(Field::Status, ValueRef::Unknown("Geparkt"))]));
    assert_eq!(auto_cause(&only(&mut world, 70)), "case_reopened");
}

#[test]
fn records_without_a_status_or_a_case_are_left_out() {
    let mut world = customer();
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Resolved);
    let pending = (Field::Status, word(CreditNoteStatus::PendingApproval));
    tell(&mut world, &told(EntityKind::CreditNote, "CN-1", 0, &[(Field::CaseRef, text(CASE))]));
    tell(&mut world, &told(EntityKind::CreditNote, "CN-2", 0, &[(Field::InvoiceRef, text("INV-1")), pending]));
    tell(
        &mut world,
        &told(
            EntityKind::CreditNote,
            "CN-3",
            0,
            &[(Field::InvoiceRef, text("INV-1")), (Field::CaseRef, text("SF-0")), pending],
        ),
    );
    assert!(found_at(&mut world, 3_600).is_empty());
}

#[test]
fn deleting_either_record_ends_it() {
    let mut world = a03();
    tell(&mut world, &Told { op: Op::Delete, ..told(EntityKind::CreditNote, NOTE, 600, &[]) });
    assert_eq!(auto_cause(&only(&mut world, 600)), "credit_note_deleted");
    let mut world = a03();
    tell(&mut world, &Told { op: Op::Delete, ..told(EntityKind::Case, CASE, 600, &[]) });
    assert_eq!(auto_cause(&only(&mut world, 600)), "case_deleted");
}

#[test]
fn disputes_orders_and_dispatches_have_their_own_sentences_and_teams() {
    let mut world = customer();
    let case = (Field::CaseRef, text(CASE));
    let dispute = [(Field::InvoiceRef, text("INV-1")), case, (Field::Status, word(DisputeStatus::UnderReview))];
    tell(&mut world, &told(EntityKind::Dispute, "DSP-1", 0, &dispute));
    let order = [(Field::AccountRef, text("BP-1")), case, (Field::Status, word(ServiceOrderStatus::InProgress))];
    tell(&mut world, &told(EntityKind::ServiceOrder, "SO-1", 0, &order));
    let dispatch = [(Field::ServiceOrderRef, text("SO-1")), (Field::Status, word(DispatchStatus::EnRoute))];
    tell(&mut world, &told(EntityKind::FieldDispatch, "D-1", 0, &dispatch));
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Closed);
    let derived = derived_at(&mut world, 60_000);
    let found: Vec<_> = derived
        .discrepancies
        .iter()
        .map(|d| (d.rule.name(), d.owner_team, d.basis, d.sentence.as_deref().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "RC2",
                "billing",
                Basis::Explicit,
                "Salesforce case SF-2026-9001 marked resolved but dispute DSP-1 still open — flagging for billing review."
            ),
            (
                "RC3",
                "field-ops",
                Basis::Explicit,
                "Salesforce case SF-2026-9001 marked resolved but SAP service order SO-1 still in progress — flagging for field-ops review."
            ),
            (
                "RC3",
                "field-ops",
                Basis::Bridged,
                "Salesforce case SF-2026-9001 marked resolved but SAP field dispatch D-1 still en route — flagging for field-ops review."
            ),
        ]
    );
    let [alert] = derived.alerts.as_slice() else { panic!("one alert for the case") };
    assert_eq!(alert.grounds.subjects.len(), 4);
    assert_eq!(alert.sentence.as_deref().unwrap().matches("SF-2026-9001").count(), 3);
}

#[test]
fn a_note_belongs_to_the_case_of_its_dispute_and_an_explicit_case_comes_first() {
    let mut world = customer();
    let dispute = [
        (Field::InvoiceRef, text("INV-1")),
        (Field::CaseRef, text(CASE)),
        (Field::Status, word(DisputeStatus::ResolvedAccepted)),
    ];
    tell(&mut world, &told(EntityKind::Dispute, "DSP-1", 0, &dispute));
    let note = [(Field::DisputeRef, text("DSP-1")), (Field::Status, word(CreditNoteStatus::PendingApproval))];
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 0, &note));
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Resolved);
    let bridged = only(&mut world, 60);
    assert_eq!((bridged.basis, bridged.severity), (Basis::Bridged, Severity::High));
    let open = [(Field::AccountRef, text("ACCT-1")), (Field::Status, word(CaseStatus::InProgress))];
    tell(&mut world, &told(EntityKind::Case, "SF-2", 0, &open));
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 1, &[(Field::CaseRef, text("SF-2"))]));
    assert!(found_at(&mut world, 60).is_empty());
}

fn refs_to(keys: &[&str]) -> ListBuilder {
    let mut list = ListBuilder::default();
    for key in keys {
        let item: Fields = FieldsBuilder::default().set(Field::Ref, text(key)).build();
        list.push(&item);
    }
    list
}

#[test]
fn a_case_may_name_the_record_itself() {
    let mut world = customer();
    let note = [(Field::InvoiceRef, text("INV-1")), (Field::Status, word(CreditNoteStatus::PendingApproval))];
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 0, &note));
    let refs = refs_to(&["credit_note/CN-4410", "not a key"]);
    let case = [(Field::RelatedRefs, refs.value()), (Field::Status, word(CaseStatus::Resolved))];
    tell(&mut world, &told(EntityKind::Case, CASE, 0, &case));
    assert_eq!(only(&mut world, 60).basis, Basis::Explicit);
}

#[test]
fn an_accepted_correlation_ties_a_note_to_the_case_of_the_order_with_less_severity() {
    let mut world = customer();
    let order = [
        (Field::AccountRef, text("BP-1")),
        (Field::CaseRef, text(CASE)),
        (Field::Type, word(ServiceOrderType::PlanUpgrade)),
        (Field::Status, word(ServiceOrderStatus::Completed)),
        (Field::CompletedAt, time("2026-03-07T10:00:00Z")),
    ];
    tell(&mut world, &told(EntityKind::ServiceOrder, "SO-1", -900, &order));
    tell(&mut world, &told(EntityKind::Invoice, "INV-1", -800, &[(Field::IssuedAt, time(T))]));
    let note = [(Field::InvoiceRef, text("INV-1")), (Field::Status, word(CreditNoteStatus::PendingApproval))];
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, -600, &note));
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Resolved);
    let inferred = only(&mut world, 60);
    assert_eq!((inferred.basis, inferred.severity), (Basis::Inferred, Severity::Medium));
}

#[test]
fn people_acknowledge_settle_and_waive() {
    let mut world = a03();
    let id = only(&mut world, 60).id;
    decide(&mut world, &id, 70, Decision::Acknowledged, None);
    let acknowledged = only(&mut world, 70);
    assert_eq!(acknowledged.state, DiscrepancyState::Acknowledged { by: "ann".into() });
    assert!(acknowledged.is_open());
    decide(&mut world, &id, 80, Decision::Resolved, None);
    let derived = derived_at(&mut world, 80_000);
    assert_eq!(
        derived.discrepancies[0].state,
        DiscrepancyState::Resolved(Resolution::Manual { by: "ann".into(), at: second(80) })
    );
    assert!(derived.alerts.is_empty());
    // What was settled stays so until the records contradict each other anew.
    status(&mut world, EntityKind::Case, CASE, 900, CaseStatus::InProgress);
    status(&mut world, EntityKind::Case, CASE, 1_800, CaseStatus::Resolved);
    assert_eq!(only(&mut world, 1_860).state, DiscrepancyState::Open);
}

#[test]
fn a_waiver_ends_at_its_date_or_when_a_compared_value_changes() {
    let mut world = a03();
    let id = only(&mut world, 60).id;
    decide(&mut world, &id, 70, Decision::Waived, Some(1_000));
    let derived = derived_at(&mut world, 999_999);
    assert_eq!(derived.wake_at, Some(second(1_000)));
    assert!(matches!(derived.discrepancies[0].state, DiscrepancyState::Waived { .. }));
    assert!(derived.alerts.is_empty());
    assert_eq!(only(&mut world, 1_000).state, DiscrepancyState::Open);
    status(&mut world, EntityKind::CreditNote, NOTE, 500, CreditNoteStatus::Draft);
    assert_eq!(only(&mut world, 500).state, DiscrepancyState::Open);
}

#[test]
fn a_waiver_ends_when_the_amount_changes_and_not_when_it_is_said_again() {
    let said = |minor| {
        [
            (Field::CaseRef, text(CASE)),
            (Field::Amount, cents(minor)),
            (Field::Status, word(CreditNoteStatus::PendingApproval)),
        ]
    };
    let mut world = a03();
    let id = only(&mut world, 60).id;
    decide(&mut world, &id, 70, Decision::Waived, None);
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 100, &said(20_000)));
    assert!(matches!(only(&mut world, 200).state, DiscrepancyState::Waived { .. }));
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 300, &said(20_001)));
    assert_eq!(only(&mut world, 300).state, DiscrepancyState::Open);
}

#[test]
fn the_grace_counts_from_the_reference_that_ties_the_records() {
    let mut world = customer();
    let note = [(Field::InvoiceRef, text("INV-1")), (Field::Status, word(CreditNoteStatus::PendingApproval))];
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, -600, &note));
    status(&mut world, EntityKind::Case, CASE, 0, CaseStatus::Resolved);
    let named = [(Field::CaseRef, text(CASE))];
    tell(&mut world, &Told { ingested_s: 605, ..told(EntityKind::CreditNote, NOTE, 600, &named) });
    assert_eq!(derived_at(&mut world, 664_999).discrepancies, []);
    let open = only(&mut world, 665);
    assert_eq!((open.since, open.noticed_at, open.opened_at), (second(600), second(605), second(665)));
    // Said again, it is as old as it was.
    tell(&mut world, &told(EntityKind::CreditNote, NOTE, 700, &named));
    assert_eq!(only(&mut world, 700).opened_at, second(665));
    // A case that lists the note belongs to it without the note's word.
    let mut item = FieldsBuilder::default();
    item.text(Field::Ref, Some(&format!("credit_note/{NOTE}")));
    let mut list = ListBuilder::default();
    list.push(&item.build());
    tell(&mut world, &told(EntityKind::Case, CASE, 800, &[(Field::RelatedRefs, list.value())]));
    assert_eq!(only(&mut world, 860).since, second(0));
}

#[test]
fn the_order_and_number_of_deliveries_changes_nothing() {
    let told_all = |world: &mut World, order: &[usize]| {
        let note = [(Field::CaseRef, text(CASE)), (Field::Status, word(CreditNoteStatus::PendingApproval))];
        let resolved = [(Field::AccountRef, text("ACCT-1")), (Field::Status, word(CaseStatus::Resolved))];
        let reopened = [(Field::Status, word(CaseStatus::InProgress))];
        let all = [
            told(EntityKind::CreditNote, NOTE, -600, &note),
            told(EntityKind::Case, CASE, 0, &resolved),
            told(EntityKind::Case, CASE, 900, &reopened),
            told(EntityKind::Case, CASE, 1_800, &resolved),
        ];
        for (arrival_s, place) in order.iter().enumerate() {
            tell(world, &Told { ingested_s: 2_000 + i64::try_from(arrival_s).unwrap(), ..all[*place] });
        }
    };
    let canonical = |order: &[usize]| {
        let mut world = World::empty();
        told_all(&mut world, order);
        derived_at(&mut world, 7_200_000).canonical(&world.composite()).to_string()
    };
    let expected = canonical(&[0, 1, 2, 3]);
    assert!(expected.contains("\"occurrence\":2"), "{expected}");
    for order in [vec![3, 2, 1, 0], vec![2, 0, 3, 1, 1, 0], vec![1, 3, 0, 2, 3], vec![3, 1, 0, 2]] {
        assert_eq!(canonical(&order), expected, "{order:?}");
    }
}
