//! Contract of stands: rows as they stood, and a log that begins at the oldest of them.

use std::collections::BTreeMap;

use storage::{Changes, Durability, Error, Position, Store, Table};

use super::{Harness, facts, intake};

const HEAD: &[u8] = b"head";

/// Rows by table and key.
type Picture = BTreeMap<(Table, String), String>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Appends a fact and writes rows that stand at it.
fn step(store: &dyn Store, changes: Changes) -> Position {
    let position = Position(store.append(intake(1, &["fact"])).unwrap().end.0 - 1);
    let changes = changes.put(Table::Meta, HEAD, format!("head {position}")).put(Table::Meta, "mark", "beside");
    store.write(changes.applied(position), Durability::Relaxed).unwrap();
    position
}

fn keep(store: &dyn Store) -> Option<Position> {
    store.keep_stand(HEAD, &|| true).unwrap().map(|stand| stand.position)
}

fn at(store: &dyn Store, position: Position) -> Picture {
    let rows = store.stand_rows(position).unwrap().map(Result::unwrap);
    rows.map(|(table, key, value)| ((table, text(&key)), text(&value))).collect()
}

fn positions(store: &dyn Store) -> Vec<u64> {
    store.stands().unwrap().iter().map(|stand| stand.position.0).collect()
}

fn is_gone(store: &dyn Store, position: Position) -> bool {
    matches!(store.stand_rows(position).err(), Some(Error::OutOfRange { asked, .. }) if asked == position)
}

pub fn a_stand_tells_the_rows_as_they_stood(harness: &impl Harness) {
    let store = harness.store();
    assert_eq!(keep(&*store), None, "before the first fact");
    let first = step(&*store, Changes::new().put(Table::Entity, "a", "1").put(Table::Entity, "b", "1"));
    assert_eq!(keep(&*store), Some(first));
    assert_eq!(keep(&*store), None, "nothing was applied since");
    let changes = Changes::new().put(Table::Entity, "b", "2").delete(Table::Entity, "a").put(Table::Customer, "c", "");
    let second = step(&*store, changes);
    assert_eq!(keep(&*store), Some(second));
    let third = step(&*store, Changes::new().put(Table::Entity, "a", "3"));
    let store = harness.restart(store);
    let row = |table, key: &str, value: &str| ((table, key.to_owned()), value.to_owned());
    let then = [row(Table::Entity, "a", "1"), row(Table::Entity, "b", "1")];
    assert_eq!(at(&*store, first), then.into());
    assert_eq!(at(&*store, second), [row(Table::Entity, "b", "2"), row(Table::Customer, "c", "")].into());
    assert!(is_gone(&*store, third), "nobody kept it");
    let stands = store.stands().unwrap();
    assert_eq!(stands.iter().map(|stand| text(&stand.head)).collect::<Vec<_>>(), ["head 1", "head 2"]);
    let digests: Vec<_> = store.read(first).unwrap().map(|block| *block.unwrap().digest()).collect();
    assert_eq!(stands.iter().map(|stand| stand.digest).collect::<Vec<_>>(), digests[..2]);
    assert_eq!(store.verify().unwrap().stands, 2);
}

pub fn a_stand_that_is_broken_off_is_none_and_the_next_is_whole(harness: &impl Harness) {
    let store = harness.store();
    let first = step(&*store, Changes::new().put(Table::Entity, "a", "1").put(Table::Customer, "a", "1"));
    assert_eq!(store.keep_stand(HEAD, &|| false).unwrap(), None);
    // On disk the rows of the first table are written by then.
    let asked = std::cell::Cell::new(0);
    assert_eq!(store.keep_stand(HEAD, &|| asked.replace(asked.get() + 1) == 0).unwrap(), None);
    assert!(is_gone(&*store, first));
    let changes = Changes::new().delete(Table::Entity, "a").put(Table::Entity, "b", "2");
    let second = step(&*store, changes);
    assert_eq!(keep(&*store), Some(second));
    let rows = [((Table::Entity, "b".to_owned()), "2".to_owned()), ((Table::Customer, "a".to_owned()), "1".to_owned())];
    assert_eq!(at(&*store, second), rows.into());
}

pub fn what_is_before_the_base_is_forgotten_and_the_rest_goes_on(harness: &impl Harness) {
    let store = harness.store();
    let mut stands = Vec::new();
    for round in 0..4 {
        step(&*store, Changes::new());
        stands.push(step(&*store, Changes::new().put(Table::Entity, "a", round.to_string())));
        assert_eq!(keep(&*store), stands.last().copied());
    }
    assert!(matches!(store.forget_before(Position(3), &|| true), Err(Error::OutOfRange { .. })), "no stand");
    assert_eq!(store.forget_before(stands[0], &|| true).unwrap(), 1, "the block that the base ends at stays");
    assert_eq!(store.forget_before(stands[2], &|| true).unwrap(), 4);
    assert_eq!(store.forget_before(stands[2], &|| true).unwrap(), 0);
    let store = harness.restart(store);
    assert!(is_gone(&*store, stands[1]));
    assert_eq!((store.start().unwrap(), positions(&*store)), (stands[2], vec![6, 8]));
    assert!(matches!(store.read(Position(5)).err(), Some(Error::OutOfRange { .. })));
    assert_eq!(facts(&*store, 6).len(), 3);
    let verified = store.verify().unwrap();
    assert_eq!((verified.facts, verified.stands), (3, 2));
    assert_eq!(store.forget_before(stands[3], &|| true).unwrap(), 2, "the newest block stays");
    let next = step(&*store, Changes::new());
    assert_eq!((next, store.start().unwrap()), (Position(9), Position(8)));
}

pub fn any_course_of_rows_stands_and_forgetting_reads_as_it_stood(harness: &impl Harness) {
    let mut chance = Draws(11);
    let mut store = harness.store();
    let (mut now, mut kept) = (Picture::new(), BTreeMap::<Position, Picture>::new());
    for _ in 0..120 {
        let mut changes = Changes::new();
        for _ in 0..chance.below(4) {
            let table = [Table::Entity, Table::Customer][chance.below(2)];
            let key = ["a", "a\0", "a\0b", "ab", "b"][chance.below(5)];
            if chance.below(3) == 0 {
                changes = changes.delete(table, key);
                now.remove(&(table, key.to_owned()));
            } else {
                let value = chance.below(3).to_string();
                changes = changes.put(table, key, value.as_str());
                now.insert((table, key.to_owned()), value);
            }
        }
        let position = step(&*store, changes);
        match chance.below(8) {
            0..=2 => assert_eq!(keep(&*store), Some(position)),
            3 => drop(store.keep_stand(HEAD, &|| chance_of(position)).unwrap()),
            4 if kept.len() > 2 => {
                let base = *kept.keys().nth(chance.below(kept.len() as u64)).unwrap();
                let is_done = chance.below(2) == 0;
                store.forget_before(base, &|| is_done || chance_of(position)).unwrap();
                kept = kept.split_off(&base);
                assert!(store.start().unwrap() <= base);
            }
            5 => store = harness.restart(store),
            _ => {}
        }
        if positions(&*store).last() == Some(&position.0) {
            kept.insert(position, now.clone());
        }
        assert_eq!(positions(&*store), kept.keys().map(|position| position.0).collect::<Vec<_>>());
        kept.iter().for_each(|(position, picture)| assert_eq!(at(&*store, *position), *picture, "at {position}"));
    }
    assert!(store.start().unwrap() > Position::FIRST, "something was forgotten");
    assert_eq!(store.verify().unwrap().stands, kept.len() as u64);
}

/// A small seeded sequence: the same course every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit) as usize
    }
}

/// Whether a part is wanted: no for some stands.
fn chance_of(position: Position) -> bool {
    !position.0.is_multiple_of(3)
}

pub fn a_store_without_stands_keeps_none(harness: &impl Harness) {
    let store = harness.store();
    let position = step(&*store, Changes::new().put(Table::Entity, "a", "1"));
    assert_eq!((keep(&*store), store.stands().unwrap()), (None, Vec::new()));
    assert!(is_gone(&*store, position));
    assert!(matches!(store.forget_before(position, &|| true), Err(Error::OutOfRange { .. })));
}
