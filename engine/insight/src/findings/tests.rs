#![allow(clippy::unwrap_used)]
//! Each kind of finding: there, not there, and at its border.

use ontology::status::{Channel, CreditNoteStatus, InteractionStatus};
use ontology::{EntityKey, EntityKind, Fact, FieldsBuilder, LogPos, Millis, Op, System, ValueRef, Version, Vocabulary};

use super::*;
use crate::handoff::testkit::{cents, text, time, word};

fn fact(kind: EntityKind, event_id: &str, version: u64, set: &[(Field, ValueRef<'_>)]) -> Fact {
    let mut fields = FieldsBuilder::default();
    for (field, value) in set {
        fields.set(*field, *value);
    }
    Fact {
        event_id: event_id.into(),
        system: System::Oracle,
        object: kind.name().into(),
        record_id: "1".into(),
        entity: EntityKey::new(kind, "1"),
        op: Op::Image,
        version: Version::new(version, 0, 0),
        changed_at: Millis(1_000),
        observed_at: Millis(1_000),
        ingested_at: Millis(1_000),
        log_pos: LogPos(version),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    }
}

fn entity(facts: &[Fact]) -> Entity {
    let key = facts[0].entity.clone();
    facts.iter().fold(Entity::named(key), |entity, fact| entity.apply(fact).unwrap_or(entity))
}

fn found(kind: EntityKind, set: &[(Field, ValueRef<'_>)]) -> Vec<(FindingKind, Option<Field>)> {
    of(&entity(&[fact(kind, "e1", 1, set)])).into_iter().map(|finding| (finding.kind, finding.field)).collect()
}

const NOTE: [(Field, ValueRef<'static>); 2] =
    [(Field::Amount, ValueRef::Decimal { mantissa: 100, scale: 2 }), (Field::Status, ValueRef::Code(0))];

#[test]
fn a_record_with_all_that_it_needs_has_none() {
    assert_eq!(found(EntityKind::CreditNote, &NOTE), []);
    assert_eq!(of(&Entity::named(EntityKey::new(EntityKind::Case, "1"))), []);
}

#[test]
fn required_fields_are_missed_and_optional_ones_are_not() {
    let missing = |field| (FindingKind::MissingField, Some(field));
    assert_eq!(found(EntityKind::CreditNote, &NOTE[..1]), [missing(Field::Status)]);
    assert_eq!(found(EntityKind::Account, &[(Field::Name, text(""))]), [missing(Field::Name)]);
}

#[test]
fn bad_and_unmapped_values_are_told_verbatim() {
    let set = [NOTE[0], (Field::Status, ValueRef::Unknown("Parked")), (Field::Currency, ValueRef::Bad("??"))];
    let findings = of(&entity(&[fact(EntityKind::CreditNote, "e1", 1, &set)]));
    let told: Vec<_> = findings.iter().map(|f| (f.kind.name(), f.value.as_str(), f.severity.name())).collect();
    assert_eq!(told, [("bad_field", "??", "warn"), ("unmapped_value", "Parked", "warn")]);
}

#[test]
fn two_contents_at_one_version_block_the_field_until_a_newer_one() {
    let tax = |event: &str, version, id| {
        fact(EntityKind::ArCustomer, event, version, &[(Field::Name, text("Acme")), (Field::TaxId, text(id))])
    };
    let conflicting = entity(&[tax("a", 5, "DE1"), tax("b", 5, "DE2")]);
    assert_eq!(blocked_fields(&conflicting).as_slice(), [Field::TaxId]);
    assert!(is_blocked(&conflicting));
    let [finding] = of(&conflicting).try_into().unwrap();
    assert_eq!((finding.kind, finding.severity), (FindingKind::VersionConflict, FindingSeverity::Block));
    let mended = entity(&[tax("a", 5, "DE1"), tax("b", 5, "DE2"), tax("c", 6, "DE2")]);
    assert!(of(&mended).is_empty() && blocked_fields(&mended).is_empty());
}

#[test]
fn a_source_clock_may_be_five_seconds_ahead() {
    let at = |changed_ms| Fact { changed_at: Millis(changed_ms), ..fact(EntityKind::CreditNote, "e1", 1, &NOTE) };
    assert!(of(&entity(&[at(6_000)])).is_empty());
    assert_eq!(of(&entity(&[at(6_001)]))[0].kind, FindingKind::ClockSkew);
}

#[test]
fn times_must_follow_each_other() {
    let contact = |ended: &str, seconds| {
        let set = [
            (Field::Channel, ValueRef::Code(0)),
            (Field::Status, word(InteractionStatus::Ended)),
            (Field::StartedAt, time("2026-03-10T10:00:00Z")),
            (Field::EndedAt, time(ended)),
            (Field::DurationS, ValueRef::Int(seconds)),
        ];
        found(EntityKind::Interaction, &set)
    };
    let implausible = |field| (FindingKind::Implausible, Some(field));
    assert_eq!(contact("2026-03-10T10:00:00Z", 0), []);
    assert_eq!(contact("2026-03-10T09:59:59Z", 0), [implausible(Field::EndedAt)]);
    assert_eq!(contact("2026-03-10T10:00:00Z", -1), [implausible(Field::DurationS)]);
    let order = |completed: &str| {
        let set = [
            (Field::AccountRef, text("BP-1")),
            (Field::Status, ValueRef::Code(3)),
            (Field::ScheduledAt, time("2026-03-10T10:00:00Z")),
            (Field::CompletedAt, time(completed)),
        ];
        found(EntityKind::ServiceOrder, &set)
    };
    assert_eq!(order("2025-03-10T10:00:00Z"), []);
    assert_eq!(order("2025-03-10T09:59:59Z"), [implausible(Field::CompletedAt)]);
}

#[test]
fn impossible_money_blocks() {
    let note = |amount| {
        entity(&[fact(
            EntityKind::CreditNote,
            "e1",
            1,
            &[(Field::Amount, amount), NOTE[1], (Field::Currency, text("USD"))],
        )])
    };
    assert!(of(&note(cents(0))).is_empty() && !is_blocked(&note(cents(0))));
    let [finding] = of(&note(cents(-1))).try_into().unwrap();
    assert_eq!((finding.severity, finding.value.as_str()), (FindingSeverity::Block, "-0.01"));
    assert!(is_blocked(&note(cents(-1))));
    let too_fine = ValueRef::Decimal { mantissa: 1_001, scale: 3 };
    assert_eq!(blocked_fields(&note(too_fine)).as_slice(), [Field::Amount]);
}

#[test]
fn a_deleted_record_has_no_findings() {
    let deleted = Fact { op: Op::Delete, ..fact(EntityKind::CreditNote, "e2", 2, &[]) };
    assert!(of(&entity(&[fact(EntityKind::CreditNote, "e1", 1, &NOTE[..1]), deleted])).is_empty());
}

#[test]
fn what_is_open_and_untouched_for_long_is_stale() {
    const AT: Millis = Millis(1_000);
    let stale_at = |record: &Entity, ms: i64| stale_record(record, AT + ms).map(|found| found.value.to_string());
    let contact = |channel, status| {
        let set = [(Field::Channel, word(channel)), (Field::Status, word(status))];
        entity(&[fact(EntityKind::Interaction, "e1", 1, &set)])
    };
    let (day, half_a_year) = (LIVE_UNTOUCHED_MAX_MS, UNTOUCHED_MAX_MS);
    for live in [Channel::Call, Channel::Chat] {
        let live = contact(live, InteractionStatus::Active);
        assert_eq!((stale_at(&live, day), stale_at(&live, day + 1)), (None, Some("Active".to_owned())));
    }
    let waiting = contact(Channel::Callback, InteractionStatus::Queued);
    assert_eq!((stale_at(&waiting, day + 1), stale_at(&waiting, half_a_year)), (None, None));
    assert!(stale_at(&waiting, half_a_year + 1).is_some());
    assert_eq!(stale_at(&contact(Channel::Call, InteractionStatus::Ended), half_a_year + 1), None);
    let note = |status| entity(&[fact(EntityKind::CreditNote, "e1", 1, &[NOTE[0], (Field::Status, status)])]);
    assert_eq!(stale_at(&note(ValueRef::Code(0)), half_a_year), None);
    assert!(stale_at(&note(ValueRef::Code(0)), half_a_year + 1).is_some());
    assert!(stale_at(&note(ValueRef::Unknown("PARKED")), half_a_year + 1).is_some(), "not finished");
    assert_eq!(stale_at(&note(word(CreditNoteStatus::Applied)), half_a_year + 1), None);
    // Something was heard of it: a row of its own, or another value.
    let heard = Fact { changed_at: AT + day, observed_at: AT + day, ..fact(EntityKind::Interaction, "e2", 2, &[]) };
    let again = contact(Channel::Call, InteractionStatus::Active)
        .apply(&Fact {
            op: Op::Patch,
            record_id: "1/leg".into(),
            fields: {
                let mut fields = FieldsBuilder::default();
                fields.set(Field::StartedAt, ValueRef::Time(AT));
                fields.build()
            },
            ..heard
        })
        .unwrap();
    assert_eq!(stale_at(&again, day + 1), None);
    let deleted = Fact { op: Op::Delete, ..fact(EntityKind::CreditNote, "e2", 2, &[]) };
    assert_eq!(stale_at(&entity(&[fact(EntityKind::CreditNote, "e1", 1, &NOTE), deleted]), half_a_year + 1), None);
}
