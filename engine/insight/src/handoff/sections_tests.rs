//! Statuses of sections (spec 6.3), what an item says (6.5) and advice (6.7).

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use ontology::status::{CaseStatus, Channel, CreditNoteStatus, InvoiceStatus, ServiceOrderStatus};
use ontology::{EntityKey, EntityKind, Field, Fields, FieldsBuilder, ListBuilder, Millis, Op, System, ValueRef};

use super::testkit::{T, World, at, cents, text, time, word};
use super::{Advice, Assessment, Missing, SectionName, SectionStatus};
use crate::timeline::timeline;

const EMPTY: SectionStatus = SectionStatus::ConfirmedEmpty { is_without_counterpart: false };
const NO_COUNTERPART: SectionStatus = SectionStatus::ConfirmedEmpty { is_without_counterpart: true };

fn status(assessment: &Assessment, name: SectionName) -> SectionStatus {
    assessment.package.section(name).unwrap().status
}

#[track_caller]
fn check(world: &World, name: SectionName, expected: SectionStatus) {
    assert_eq!(status(&world.assess("TR-1"), name), expected, "{name:?}");
}

/// A customer with the case and the transfer of A01 and nothing else.
fn bare() -> World {
    let mut world = World::empty();
    world.case("SF-2026-8831");
    world.transfer("TR-1", &[]);
    world
}

fn item(field: Field, text: &str) -> Fields {
    FieldsBuilder::default().text(field, Some(text)).build()
}

#[test]
fn each_systems_section_tells_none_from_unknown() {
    let sections = [
        (SectionName::Billing, System::Oracle, EntityKind::ArCustomer),
        (SectionName::Interaction, System::Wxcc, EntityKind::CallerProfile),
        (SectionName::Service, System::Sap, EntityKind::BusinessPartner),
    ];
    for (name, system, kind) in sections {
        let mut world = bare();
        check(&world, name, EMPTY);
        world.lag(system, 300_001);
        check(&world, name, SectionStatus::Unavailable(Missing::SourceDown));
        world.leave(kind, None);
        check(&world, name, SectionStatus::Unavailable(Missing::SourceDown));
        world.lag(system, 300_000);
        check(&world, name, NO_COUNTERPART);
        let mut world = bare();
        world.leave(kind, Some(700_000));
        check(&world, name, SectionStatus::Unavailable(Missing::IdentityInReview));
        world.lag(system, 300_001);
        check(&world, name, SectionStatus::Unavailable(Missing::IdentityInReview));
    }
}

#[test]
fn content_is_present_while_fresh_and_stale_after() {
    let mut world = World::a01();
    for (name, system) in [
        (SectionName::Case, System::Salesforce),
        (SectionName::Billing, System::Oracle),
        (SectionName::Interaction, System::Wxcc),
        (SectionName::Service, System::Sap),
    ] {
        world.lag(system, 300_000);
        check(&world, name, SectionStatus::Present);
        world.lag(system, 300_001);
        check(&world, name, SectionStatus::Stale);
        world.lag(system, 0);
        world.freshness.source_mut(system).is_monitored = false;
        check(&world, name, SectionStatus::Present);
    }
}

#[test]
fn a_change_left_unread_beyond_the_bound_makes_its_section_stale() {
    let mut world = World::a01();
    world.apply(EntityKind::Case, "SF-2026-8831", Op::Gap, FieldsBuilder::default());
    world.apply(EntityKind::Invoice, "INV-4521", Op::Gap, FieldsBuilder::default());
    world.pass(300_000);
    check(&world, SectionName::Case, SectionStatus::Present);
    check(&world, SectionName::Billing, SectionStatus::Present);
    world.pass(1);
    check(&world, SectionName::Case, SectionStatus::Stale);
    check(&world, SectionName::Billing, SectionStatus::Stale);
    check(&world, SectionName::Service, SectionStatus::Present);
}

#[test]
fn a_case_or_account_that_has_not_arrived_is_named_as_missing() {
    let mut world = bare();
    world.entities.remove(&EntityKey::new(EntityKind::Account, "ACCT-1"));
    check(&world, SectionName::Identity, SectionStatus::Unavailable(Missing::Timeout));
    world.lag(System::Salesforce, 300_001);
    check(&world, SectionName::Identity, SectionStatus::Unavailable(Missing::SourceDown));
    let assessment = world.assess("TR-1");
    assert!(!assessment.complete && !assessment.context_gap);
}

#[test]
fn a_record_of_several_rules_appears_once() {
    let mut world = World::a01();
    world
        .invoice("INV-4521", &[(Field::CaseRef, text("SF-2026-8831")), (Field::DueDate, time("2026-03-01T00:00:00Z"))]);
    let assessment = world.assess("TR-1");
    let billing = assessment.package.section(SectionName::Billing).unwrap();
    let keys: Vec<String> = billing.items.iter().map(|item| item.entity.to_string()).collect();
    assert_eq!(keys, ["invoice/INV-4521", "dispute/DSP-1"]);
    assert!(billing.items.iter().all(|item| !item.evidence.is_empty()));
}

#[test]
fn the_case_names_records_too() {
    let mut world = bare();
    world.invoice("INV-1", &[]);
    let mut list = ListBuilder::default();
    list.push(&item(Field::Ref, "invoice/INV-1"));
    world.put(EntityKind::Case, "SF-2026-8831", &[(Field::RelatedRefs, list.value())]);
    check(&world, SectionName::Billing, SectionStatus::Present);
}

#[test]
fn a_contact_carries_what_the_customer_last_said() {
    let mut world = bare();
    let mut list = ListBuilder::default();
    for (who, said) in [("customer", "1"), ("customer", "2"), ("agent", "no"), ("customer", "3"), ("customer", "4")] {
        let mut item = FieldsBuilder::default();
        item.text(Field::Who, Some(who)).text(Field::Text, Some(said));
        list.push(&item.build());
    }
    let fields = [(Field::Reason, text("bill")), (Field::Disposition, text("open")), (Field::Statements, list.value())];
    world.contact("H-1", Channel::Chat, "2026-03-09T10:00:00Z", &fields);
    world.contact("C-1", Channel::Call, "2026-03-08T10:00:00Z", &[(Field::WrapUp, text("promised a call"))]);
    let assessment = world.assess("TR-1");
    let items = &assessment.package.section(SectionName::Interaction).unwrap().items;
    let lines: Vec<Vec<&str>> =
        items.iter().map(|item| item.lines.iter().map(|line| line.text.as_str()).collect()).collect();
    assert_eq!(lines, [vec!["promised a call"], vec!["bill", "open", "2", "3", "4"]]);
    assert!(items.iter().flat_map(|item| &item.lines).all(|line| line.at.is_some() || line.field == Field::Reason));
}

#[test]
fn advice_rests_on_what_the_records_say() {
    let mut world = World::a01();
    let codes = |world: &World| world.assess("TR-1").package.recommendations.iter().map(|r| r.code).collect::<Vec<_>>();
    assert_eq!(codes(&world), []);
    let pending = (Field::Status, word(CreditNoteStatus::PendingApproval));
    world.put(EntityKind::CreditNote, "CN-1", &[pending, (Field::InvoiceRef, text("INV-4521"))]);
    let planned = (Field::Status, word(ServiceOrderStatus::Scheduled));
    world.order(
        "SO-1",
        &[planned, (Field::CompletedAt, ValueRef::Null), (Field::ScheduledAt, time("2026-03-12T09:00:00Z"))],
    );
    world.leave(EntityKind::CallerProfile, Some(800_000));
    let assessment = world.assess("TR-1");
    assert_eq!(codes(&world), [Advice::CreditPending, Advice::ServiceInFlight, Advice::IdentityInReview]);
    let reasons: Vec<&str> = assessment.package.recommendations.iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(reasons[0], "Do not credit again: credit note CN-1 is pending.");
    assert_eq!(reasons[1], "Give the customer the date of service order SO-1 (scheduled for 2026-03-12).");
    assert!(assessment.package.recommendations.iter().all(|r| !r.evidence.is_empty()));
}

#[test]
fn conclusions_are_handed_over_with_the_advice_that_follows() {
    let mut world = World::a01();
    world.put(EntityKind::Case, "SF-2026-8831", &[(Field::Status, word(CaseStatus::Resolved))]);
    for (id, month) in [("INV-1", "2025-12"), ("INV-2", "2026-01"), ("INV-3", "2026-02")] {
        let issued_at = time(&format!("{month}-10T00:00:00Z"));
        let paid = (Field::Status, word(InvoiceStatus::Paid));
        world.invoice(id, &[paid, (Field::Amount, cents(10_000)), (Field::IssuedAt, issued_at)]);
    }
    world.invoice("INV-4521", &[(Field::Amount, cents(14_000)), (Field::IssuedAt, time("2026-03-10T09:00:00Z"))]);
    world.pass(60_000);
    let assessment = world.assess("TR-1");
    assert_eq!(status(&assessment, SectionName::Discrepancies), SectionStatus::Present);
    assert_eq!(status(&assessment, SectionName::Correlations), SectionStatus::Present);
    let advice = |code: Advice| assessment.package.recommendations.iter().find(|r| r.code == code).unwrap();
    assert!(!advice(Advice::VerifyBeforeCredit).evidence.is_empty());
    assert_eq!(
        advice(Advice::OpenDiscrepancy).reason,
        "Salesforce case SF-2026-8831 marked resolved but dispute DSP-1 still open — flagging for billing review."
    );
    let entries = timeline(&world.composite(), &world.derived(), Millis::MIN, world.now);
    assert!(entries.is_sorted());
    assert!(entries.iter().any(|entry| entry.what == "RC2" && entry.at == world.now));
    let dispute = entries.iter().find(|entry| entry.entity.id == "DSP-1" && entry.what == "status").unwrap();
    assert_eq!((dispute.text.as_str(), dispute.at), ("Open", at(T)));
    let last_minute = timeline(&world.composite(), &world.derived(), at(T), world.now);
    assert!(last_minute.iter().all(|entry| entry.at > at(T)) && !last_minute.is_empty());
}

#[test]
fn nothing_concluded_is_certain_only_while_every_source_is_fresh() {
    let mut world = bare();
    check(&world, SectionName::Discrepancies, EMPTY);
    check(&world, SectionName::Correlations, EMPTY);
    check(&world, SectionName::Sla, SectionStatus::Unavailable(Missing::NotEvaluated));
    world.lag(System::Sap, 300_001);
    check(&world, SectionName::Correlations, SectionStatus::Unavailable(Missing::SourceDown));
}

#[test]
fn low_sentiment_is_the_mean_of_the_last_three_scored_contacts() {
    for (scores, is_low) in [
        (&[-100, -40, -40, -40][..], true),
        (&[-100, -40, -40, -39], false),
        (&[100, -40, -41, -40], true),
        (&[-40], true),
        (&[], false),
    ] {
        let mut world = bare();
        for (n, score) in scores.iter().enumerate() {
            let ended_at = format!("2026-03-0{}T10:00:00Z", n + 1);
            world.contact(&format!("C-{n}"), Channel::Call, &ended_at, &[(Field::Sentiment, cents(*score))]);
        }
        world.call("C-9", "2026-03-09T10:00:00Z", 60);
        let found = world.assess("TR-1").package.recommendations.iter().any(|r| r.code == Advice::LowSentiment);
        assert_eq!(found, is_low, "{scores:?}");
    }
}

#[test]
fn knowledge_shows_published_articles_that_fit_best_first() {
    let mut world = World::a01();
    world.put(EntityKind::Case, "SF-2026-8831", &[(Field::Category, text("Billing"))]);
    let mut words = |id: &str, status: &str, category: &str, order_type: &str| {
        let (mut categories, mut types) = (ListBuilder::default(), ListBuilder::default());
        categories.push(&item(Field::Text, category));
        types.push(&item(Field::Text, order_type));
        let fields = [
            (Field::Title, text(id)),
            (Field::Status, text(status)),
            (Field::Categories, categories.value()),
            (Field::OrderTypes, types.value()),
        ];
        world.put(EntityKind::KnowledgeArticle, id, &fields);
    };
    words("KB-1", "Published", "billing", "Repair");
    words("KB-2", "Draft", "billing", "PlanUpgrade");
    words("KB-3", "published", "billing", "planupgrade");
    words("KB-4", "Published", "roaming", "Repair");
    for (key, entity) in &world.entities {
        if key.kind == EntityKind::KnowledgeArticle {
            world.reference.articles.insert(key.id.to_string(), Arc::new(entity.clone()));
        }
    }
    let assessment = world.assess("TR-1");
    let items = &assessment.package.section(SectionName::Knowledge).unwrap().items;
    let ids: Vec<&str> = items.iter().map(|item| item.entity.id.as_str()).collect();
    assert_eq!(ids, ["KB-3", "KB-1"]);
}
