#![allow(clippy::unwrap_used)]
use ontology::status::CreditNoteStatus;
use ontology::{FieldsBuilder, LogPos, Millis, Op, System, Version};

use super::*;

fn fact(kind: EntityKind, (object, record): (&str, &str), op: Op, at: u64, set: &[(Field, ValueRef<'_>)]) -> Fact {
    let mut fields = FieldsBuilder::default();
    for (field, value) in set {
        fields.set(*field, *value);
    }
    let time = Millis(i64::try_from(at).unwrap());
    Fact {
        event_id: format!("e{at}").into(),
        system: System::Oracle,
        object: object.into(),
        record_id: record.into(),
        entity: EntityKey::new(kind, "1"),
        op,
        version: Version::new(at, 0, 0),
        changed_at: time,
        observed_at: time,
        ingested_at: time,
        log_pos: LogPos(at),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    }
}

/// The entity that the facts make, there and back.
fn entity_of(facts: &[Fact]) -> Entity {
    let apply = |entity: Entity, fact: &Fact| entity.apply(fact).unwrap_or(entity);
    let named = || Entity::named(facts[0].entity.clone());
    let entity = facts.iter().fold(named(), apply);
    let other = facts.iter().rev().fold(named(), apply);
    assert_eq!(other.is_alive(), entity.is_alive());
    assert_eq!(other.get(Field::Outstanding), entity.get(Field::Outstanding));
    assert_eq!(other.history(Field::Status), entity.history(Field::Status));
    let mut bytes = Vec::new();
    entity.encode(&mut bytes);
    assert_eq!(Entity::decode(&bytes).unwrap(), entity);
    entity
}

fn decimal(mantissa: i64, scale: u8) -> ValueRef<'static> {
    ValueRef::Decimal { mantissa, scale }
}

fn instalment(row: &str, at: u64, outstanding: ValueRef<'_>) -> Fact {
    fact(EntityKind::Invoice, ("SCHEDULE", row), Op::Image, at, &[(Field::Outstanding, outstanding)])
}

#[test]
fn an_invoice_owes_what_all_its_instalments_owe() {
    let header = fact(EntityKind::Invoice, ("INVOICE", "1"), Op::Image, 1, &[(Field::Amount, decimal(300, 0))]);
    let (paid, open) = (instalment("P1", 2, decimal(0, 2)), instalment("P2", 3, decimal(20_000, 2)));
    assert_eq!(entity_of(&[header.clone(), open.clone()]).get(Field::Outstanding), decimal(20_000, 2));
    let both = [header, paid, open];
    assert_eq!(entity_of(&both).get(Field::Outstanding), decimal(20_000, 2));
    let third = [&both[..], &[instalment("P3", 4, decimal(505, 1))]].concat();
    assert_eq!(entity_of(&third).get(Field::Outstanding), decimal(25_050, 2));
    let evidence = entity_of(&third).evidence(Field::Outstanding, "250.50").unwrap();
    assert_eq!(&*evidence.event_id, "e4", "what changed it last");
    let deleted = [&third[..], &[fact(EntityKind::Invoice, ("SCHEDULE", "P2"), Op::Delete, 5, &[])]].concat();
    assert_eq!(entity_of(&deleted).get(Field::Outstanding), decimal(5_050, 2));
}

#[test]
fn what_a_header_owes_is_not_added_to_its_instalments() {
    let header = fact(EntityKind::Invoice, ("INVOICE", "1"), Op::Image, 1, &[(Field::Outstanding, decimal(300, 0))]);
    let all = [header, instalment("P1", 2, decimal(100, 0)), instalment("P2", 3, decimal(200, 0))];
    assert_eq!(entity_of(&all).get(Field::Outstanding), decimal(300, 0));
}

#[test]
fn a_sum_that_no_amount_can_hold_is_not_told() {
    let most = [instalment("P1", 1, decimal(i64::MAX, 0)), instalment("P2", 2, decimal(1, 0))];
    assert_eq!(entity_of(&most).get(Field::Outstanding), decimal(1, 0), "the newest row's stands");
}

fn note((object, op, at): (&str, Op, u64), status: CreditNoteStatus) -> Fact {
    let said = [(Field::Status, ValueRef::Code(status.code()))];
    fact(EntityKind::CreditNote, (object, "1"), op, at, if op == Op::Image { &said } else { &[] })
}

#[test]
fn the_newest_of_a_systems_rows_gives_a_field_whatever_the_rows_are_called() {
    use CreditNoteStatus::{Applied, PendingApproval};
    for (request, made) in [("A", "B"), ("B", "A")] {
        let request = |op, at| note((request, op, at), PendingApproval);
        let all = [request(Op::Image, 100), note((made, Op::Image, 200), Applied), request(Op::Delete, 300)];
        for facts in [&all[..2], &all[..]] {
            let entity = entity_of(facts);
            assert!(entity.is_alive());
            assert_eq!(entity.get(Field::Status), ValueRef::Code(Applied.code()));
            let course = entity.history(Field::Status).0;
            let course: Vec<_> = course.iter().map(|stretch| (stretch.from.0, stretch.value().unwrap())).collect();
            let expected = [(100, ValueRef::Code(PendingApproval.code())), (200, ValueRef::Code(Applied.code()))];
            assert_eq!(course, expected);
        }
        let gone = [&all[..], &[note((made, Op::Delete, 400), Applied)]].concat();
        assert!(!entity_of(&gone).is_alive());
        assert_eq!(entity_of(&gone).history(Field::Status).0.last().unwrap().value(), None);
    }
}
