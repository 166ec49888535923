#![allow(clippy::unwrap_used)]
use ontology::status::{CaseStatus, InvoiceStatus};
use ontology::{EntityKey, EntityKind, FieldsBuilder, LogPos, Millis, Version};

use super::*;

fn fact(event_id: &str, op: Op, version: u64, set: &[(Field, ValueRef<'_>)]) -> Fact {
    let mut fields = FieldsBuilder::default();
    for (field, value) in set {
        fields.set(*field, *value);
    }
    Fact {
        event_id: event_id.into(),
        system: System::Oracle,
        object: "AR_INVOICE".into(),
        record_id: "1".into(),
        entity: EntityKey::new(EntityKind::Case, "INV-1"),
        op,
        version: Version::new(version, 0, 0),
        changed_at: Millis(i64::try_from(version).unwrap()),
        observed_at: Millis(1_000),
        ingested_at: Millis(2_000),
        log_pos: LogPos(version),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    }
}

fn status(status: impl Vocabulary) -> (Field, ValueRef<'static>) {
    (Field::Status, ValueRef::Code(status.code()))
}

/// Applies the facts in every order, each twice, and returns the one row that they all give.
fn row_of(facts: &[Fact]) -> SourceRow {
    let mut orders = vec![vec![]];
    for _ in facts {
        let longer = |order: &Vec<usize>| {
            let missing: Vec<usize> = (0..facts.len()).filter(|i| !order.contains(i)).collect();
            missing.into_iter().map(|i| [order.clone(), vec![i]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    let mut rows = orders.iter().map(|order| {
        let apply = |row: Option<SourceRow>, i: &usize| match SourceRow::apply(row.as_ref(), &facts[*i]) {
            Applied::Changed(row) => Some(row),
            Applied::Unchanged => row,
        };
        order.iter().chain(order).fold(None, apply).unwrap()
    });
    let first = rows.next().unwrap();
    for row in rows {
        assert_eq!(row.fields().collect::<Vec<_>>(), first.fields().collect::<Vec<_>>());
        assert_eq!(row.is_alive(), first.is_alive());
        assert_eq!(row.history(), first.history());
        assert_eq!(row.open_gap(), first.open_gap());
    }
    first
}

#[test]
fn the_highest_version_stands_whatever_arrives_when() {
    let facts = [
        fact("a", Op::Image, 900, &[status(InvoiceStatus::Paid)]),
        fact("b", Op::Image, 880, &[status(InvoiceStatus::Open)]),
        fact("c", Op::Image, 870, &[status(InvoiceStatus::Open)]),
    ];
    assert_eq!(row_of(&facts).get(Field::Status), ValueRef::Code(InvoiceStatus::Paid.code()));
}

#[test]
fn a_delete_outlives_a_newer_patch_and_an_undelete_shows_it() {
    let p1 = (Field::Priority, ValueRef::Code(0));
    let image = fact("a", Op::Image, 40, &[status(CaseStatus::New), (Field::Priority, ValueRef::Code(2))]);
    let delete = fact("b", Op::Delete, 50, &[]);
    let patch = fact("c", Op::Patch, 60, &[p1]);
    let dead = row_of(&[image.clone(), delete.clone(), patch.clone()]);
    assert!(!dead.is_alive());
    let row = row_of(&[image, delete, patch, fact("d", Op::Undelete, 70, &[])]);
    assert!(row.is_alive());
    assert_eq!(row.get(Field::Priority), p1.1);
    assert_eq!(row.get(Field::Status), ValueRef::Code(CaseStatus::New.code()));
}

#[test]
fn an_undelete_without_content_shows_in_the_history_what_came_while_deleted() {
    let row = row_of(&[
        fact("a", Op::Image, 1, &[status(CaseStatus::New)]),
        fact("b", Op::Delete, 2, &[]),
        fact("c", Op::Patch, 3, &[status(CaseStatus::Resolved)]),
        fact("d", Op::Undelete, 4, &[]),
    ]);
    let history = crate::History::of(&row.history(), Field::Status);
    let course: Vec<_> = history.0.iter().map(|s| (s.from, s.value())).collect();
    let code = |status: CaseStatus| Some(ValueRef::Code(status.code()));
    let expected = [(Millis(1), code(CaseStatus::New)), (Millis(2), None), (Millis(4), code(CaseStatus::Resolved))];
    assert_eq!(course, expected);
}

#[test]
fn a_patch_and_an_image_that_say_the_same_at_one_version_are_one_change() {
    let row = row_of(&[
        fact("a", Op::Delete, 1, &[]),
        fact("b", Op::Patch, 2, &[status(CaseStatus::New)]),
        fact("c", Op::Image, 2, &[status(CaseStatus::New)]),
    ]);
    let history = crate::History::of(&row.history(), Field::Status);
    assert_eq!(history.0.last().unwrap().value(), Some(ValueRef::Code(CaseStatus::New.code())));
}

#[test]
fn two_contents_at_one_version_have_one_winner_and_a_conflict_until_something_newer() {
    let a = fact("a", Op::Image, 5, &[(Field::Amount, ValueRef::Int(1))]);
    let b = fact("b", Op::Image, 5, &[(Field::Amount, ValueRef::Int(2))]);
    let row = row_of(&[a.clone(), b.clone()]);
    assert!(row.fields().next().unwrap().2);
    let mended = row_of(&[a, b, fact("c", Op::Image, 6, &[(Field::Amount, ValueRef::Int(3))])]);
    assert!(!mended.fields().next().unwrap().2);
    assert_eq!(mended.get(Field::Amount), ValueRef::Int(3));
}

#[test]
fn a_repeat_changes_nothing() {
    let a = fact("a", Op::Image, 5, &[(Field::Amount, ValueRef::Int(1)), status(CaseStatus::New)]);
    let Applied::Changed(row) = SourceRow::apply(None, &a) else { panic!("a first fact makes a row") };
    assert_eq!(SourceRow::apply(Some(&row), &a), Applied::Unchanged);
    let older = fact("b", Op::Image, 4, &[(Field::Amount, ValueRef::Int(9))]);
    assert_eq!(SourceRow::apply(Some(&row), &older), Applied::Unchanged);
}

#[test]
fn a_gap_is_open_until_an_image_catches_up() {
    let gap = fact("g", Op::Gap, 10, &[]);
    let before = fact("a", Op::Image, 9, &[]);
    assert!(row_of(&[gap.clone(), before.clone()]).open_gap().is_some());
    assert!(row_of(&[gap.clone(), before.clone(), fact("p", Op::Patch, 11, &[])]).open_gap().is_some());
    assert!(row_of(&[gap, before, fact("b", Op::Image, 10, &[])]).open_gap().is_none());
}

#[test]
fn history_is_read_in_version_order() {
    let row = row_of(&[
        fact("a", Op::Image, 1, &[status(CaseStatus::New)]),
        fact("c", Op::Patch, 3, &[status(CaseStatus::InProgress)]),
        fact("b", Op::Patch, 2, &[status(CaseStatus::Resolved)]),
    ]);
    let history = crate::History::of(&row.history(), Field::Status);
    let codes: Vec<_> = history.0.iter().map(|s| s.value().unwrap()).collect();
    assert_eq!(
        codes,
        [CaseStatus::New, CaseStatus::Resolved, CaseStatus::InProgress].map(|s| ValueRef::Code(s.code()))
    );
    assert_eq!(history.0[1].until, Some(Millis(3)));
}

#[test]
fn stored_bytes_read_back_and_damage_is_refused() {
    let row = row_of(&[fact("a", Op::Image, 1, &[status(CaseStatus::New), (Field::Name, ValueRef::Text("x"))])]);
    assert_eq!(SourceRow::from_bytes(row.as_bytes()).unwrap(), row);
    assert!(SourceRow::from_bytes(&row.as_bytes()[..5]).is_err());
}

#[test]
fn an_image_that_leaves_nothing_of_the_row_is_what_a_merge_gives() {
    let amount = (Field::Amount, ValueRef::Int(7));
    let subject = (Field::Subject, ValueRef::Text("no dial tone"));
    let standing = [
        vec![],
        vec![fact("a", Op::Image, 40, &[status(CaseStatus::New), amount])],
        vec![fact("a", Op::Image, 40, &[status(CaseStatus::New)]), fact("b", Op::Patch, 41, &[subject])],
        vec![fact("a", Op::Image, 50, &[status(CaseStatus::New)])],
        vec![fact("a", Op::Image, 60, &[status(CaseStatus::New)])],
        vec![fact("a", Op::Image, 40, &[status(CaseStatus::New)]), fact("b", Op::Delete, 41, &[])],
        vec![fact("a", Op::Image, 40, &[status(CaseStatus::New)]), fact("b", Op::Gap, 41, &[])],
    ];
    for (facts, replaces) in standing.iter().zip([true, true, true, false, false, false, false]) {
        let row = facts.iter().fold(None, |row: Option<SourceRow>, fact| match SourceRow::apply(row.as_ref(), fact) {
            Applied::Changed(row) => Some(row),
            Applied::Unchanged => row,
        });
        let all = [subject, status(CaseStatus::Closed), amount];
        for fields in [&all[..], &all[1..], &all[..1]] {
            let image = fact("i", Op::Image, 50, fields);
            let merged = SourceRow::merge(row.as_ref(), &image, Provenance::of(&image));
            assert_eq!(SourceRow::apply(row.as_ref(), &image), merged, "{facts:?} {image:?}");
        }
        let image = fact("i", Op::Image, 50, &all);
        let is_replaced = row.is_none_or(|row| row.replaced_by(&image, &image.stamp()).unwrap().is_some());
        assert_eq!(is_replaced, replaces, "{facts:?}");
    }
}

/// A gap of this version that happened at this second.
fn gap_at(event: &str, major: u64, second: i64) -> Fact {
    let at = Millis(second * 1_000);
    Fact { changed_at: at, observed_at: at, ..fact(event, Op::Gap, major, &[]) }
}

#[test]
fn a_further_gap_keeps_the_time_of_the_first_until_that_one_is_applied() {
    let first = |facts: &[Fact]| row_of(facts).open_gap().map(|gap| gap.event_id.to_string());
    let gaps = [gap_at("g1", 10, 100), gap_at("g2", 20, 200), gap_at("g3", 30, 300)];
    assert_eq!(first(&gaps).as_deref(), Some("g1"));
    let newest = row_of(&gaps).newest_open_gap().map(|gap| gap.event_id.to_string());
    assert_eq!(newest.as_deref(), Some("g3"), "what is read now is as new as that");
    for (version, expected) in [(9, Some("g1")), (10, Some("g2")), (29, Some("g3")), (30, None), (40, None)] {
        let read = fact("i", Op::Image, version, &[]);
        assert_eq!(first(&[&gaps[..], &[read]].concat()).as_deref(), expected, "{version} is read");
    }
    // One that happened later though its version is lower waits for nothing that the other does not.
    let row = row_of(&[gap_at("g1", 10, 500), gap_at("g2", 20, 200)]);
    assert_eq!(row.open_gap().map(|gap| gap.event_id.to_string()).as_deref(), Some("g2"));
    assert_eq!(row.provenances().len(), 1, "it is not kept");
}

#[test]
fn a_row_keeps_a_bounded_number_of_gaps_and_the_first_among_them() {
    let gaps = (1..=200).map(|place| gap_at(&format!("g{place}"), place, place.cast_signed()));
    let row = gaps.fold(None, |row: Option<SourceRow>, gap| match SourceRow::apply(row.as_ref(), &gap) {
        Applied::Changed(row) => Some(row),
        Applied::Unchanged => row,
    });
    let row = row.unwrap();
    assert_eq!(row.open_gap().map(|gap| gap.event_id.to_string()).as_deref(), Some("g1"));
    assert!(row.provenances().len() < 40);
    assert_eq!(SourceRow::from_bytes(row.as_bytes()).unwrap(), row);
}
