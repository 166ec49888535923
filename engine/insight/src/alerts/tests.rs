#![allow(clippy::unwrap_used)]
//! What alerts say about themselves, and what people decide on them.

use ontology::status::Decision;
use ontology::{EntityKey, EntityKind, Field, System};

use super::*;
use crate::evaluate;
use crate::handoff::testkit::{T, World, at, cents, text, time, word};
use ontology::{FieldsBuilder, ListBuilder, ValueRef};

/// A customer with an order billed far above its estimate.
fn overbilled() -> World {
    let mut world = World::empty();
    world.order("SO-1", &[(Field::Estimate, cents(10_000)), (Field::Currency, text("USD"))]);
    let mut list = ListBuilder::default();
    let mut line = FieldsBuilder::default();
    list.push(&line.set(Field::ServiceOrderRef, text("SO-1")).set(Field::Amount, cents(20_000)).build());
    world.invoice("INV-1", &[(Field::Lines, list.value()), (Field::IssuedAt, time("2026-03-10T12:00:00Z"))]);
    world
}

fn decide(world: &mut World, alert: &ObjectId, verdict: Decision, decided_at: &str) {
    let fields = [
        (Field::Verdict, word(verdict)),
        (Field::Actor, text("ann")),
        (Field::DecidedAt, ValueRef::Time(at(decided_at))),
    ];
    world.put(EntityKind::AlertDecision, &alert.0, &fields);
    let entity = world.entities.remove(&EntityKey::new(EntityKind::AlertDecision, &*alert.0)).unwrap();
    world.reference.decisions.insert(alert.clone(), entity.into());
}

fn only(world: &World) -> Alert {
    let mut alerts = evaluate(&world.composite(), &world.context()).alerts;
    assert_eq!(alerts.len(), 1);
    alerts.pop().unwrap()
}

#[test]
fn an_alert_is_acknowledged_and_reviewed_by_people() {
    let mut world = overbilled();
    let alert = only(&world);
    assert_eq!(alert.state, AlertState::Firing);
    assert_eq!(alert.due_at(), Some(alert.fired_at + 4 * Millis::HOUR_MS));
    decide(&mut world, &alert.id, Decision::Waived, "2026-03-10T13:00:00Z");
    assert_eq!(only(&world).state, AlertState::Firing);
    decide(&mut world, &alert.id, Decision::Acknowledged, "2026-03-10T14:00:00Z");
    let acknowledged = only(&world);
    assert!(acknowledged.is_open() && acknowledged.due_at().is_none());
    decide(&mut world, &alert.id, Decision::Resolved, "2026-03-10T15:00:00Z");
    assert!(!only(&world).is_open());
}

#[test]
fn a_decision_from_before_the_condition_does_not_count() {
    let mut world = overbilled();
    let id = only(&world).id;
    decide(&mut world, &id, Decision::Resolved, "2026-03-10T11:59:59Z");
    assert_eq!(only(&world).state, AlertState::Firing);
    decide(&mut world, &id, Decision::Resolved, "2026-03-10T12:00:00Z");
    assert!(!only(&world).is_open());
}

#[test]
fn a_sync_failure_names_what_is_behind_and_how_to_go_on() {
    let world = World::empty();
    let entity = EntityKey::new(EntityKind::Case, "SF-1");
    let unapplied = SyncFailure::Unapplied { entity, evidence: Vec::new() };
    let alert = sync_failure(System::Salesforce, unapplied, at(T) - 360_000, 300_000, &world.context());
    assert_eq!(
        (alert.rule.name(), alert.severity, alert.owner_team.as_str()),
        ("11-1", Severity::Critical, "integration-ops")
    );
    assert_eq!(alert.fired_at, alert.since + 300_001);
    assert_eq!(alert.sentence.unwrap(), "Sync failure: change of case/SF-1 is not applied for 6min.");
    for (partition, slowest, subject, sentence) in [
        ("cdc", None, "oracle/cdc", "Sync failure: oracle cdc lags for 7min."),
        ("all", Some("cdc"), "oracle/all", "Sync failure: oracle all lags (cdc is furthest behind) for 7min."),
    ] {
        let lagging = SyncFailure::Lagging { partition: partition.into(), slowest: slowest.map(Into::into) };
        let alert = sync_failure(System::Oracle, lagging, at(T) - 400_000, 300_000, &world.context());
        assert_eq!((alert.subject.as_str(), alert.sentence.as_deref().unwrap()), (subject, sentence));
    }
}

#[test]
fn a_decision_on_an_invoice_that_is_dated_ahead_counts() {
    let mut world = overbilled();
    world.invoice("INV-1", &[(Field::IssuedAt, time("2026-03-11T12:00:00Z"))]);
    let alert = only(&world);
    assert!(alert.since <= world.now, "it stands since it is known, not since a day that is to come");
    decide(&mut world, &alert.id, Decision::Acknowledged, T);
    assert_eq!(only(&world).state, AlertState::Acknowledged { by: "ann".into() });
}

#[test]
fn a_context_gap_names_the_transfer_its_team_and_what_is_missing() {
    let world = World::empty();
    let transfer = EntityKey::new(EntityKind::Transfer, "TR-1");
    let gaps = ["billing (source_down)", "interaction (stale)"];
    let alert = handoff_context_gap(&transfer, "billing", at(T), &gaps, (Vec::new(), 990_000), &world.context());
    assert_eq!((alert.rule.name(), alert.severity), ("11-3", Severity::High));
    assert_eq!(
        alert.sentence.unwrap(),
        "Transfer TR-1 to billing team lacks context: billing (source_down) and interaction (stale)."
    );
    assert_eq!(alert.id, AlertRule::HandoffContextGap.id("transfer/TR-1"));
}

#[test]
fn every_rule_of_a_customer_stands_in_the_order_of_its_number() {
    let names: Vec<&str> = ALL.iter().map(|rule| rule.rule.name()).collect();
    assert_eq!(names, ["11-2", "11-4"]);
}
