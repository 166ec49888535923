//! Rows of tables: any order, batching, deletion, return and correction ends in the same customers,
//! ids, review queue and kept pairs; blocks flip and refine on the way.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use ontology::{EntityKey, EntityKind};
use resolver::{Column, Kind, Layout, Model, Parameters, Resolver, Row, Scope};
use support::picture;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn pick<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[self.below(values.len())]
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at + 1));
        }
    }
}

const GIVEN: &[&str] = &["Anna", "Tobias", "Maria", "Robert", "Bob", "Uwe", "Ana", "Mia", "Jan"];
const FAMILY: &[&str] = &["Bauer", "Baur", "Kessler", "van den Berg", "Smith", "Quist"];
const STREETS: &[&str] = &["12 Mill Lane", "9 Abbey Road", "3 Hill Street"];
const CODES: &[&str] = &["62704", "62740", "90210"];

fn layout() -> Layout {
    let kinds =
        [Kind::GivenName, Kind::FamilyName, Kind::Street, Kind::PostalCode, Kind::Date, Kind::Phone, Kind::Identifier];
    let columns: Vec<Column> = kinds.into_iter().map(|kind| Column { kind, scheme: "".into() }).collect();
    Layout::new(&columns).unwrap()
}

/// People with few names and places among them, so that blocks fill up, and several rows each.
fn rows(count: usize, seed: u64) -> Vec<Row> {
    let (mut dice, layout) = (Dice(seed | 1), layout());
    let mut rows = Vec::new();
    let mut person: [String; 7] = Default::default();
    for number in 0..count {
        if number == 0 || dice.below(3) == 0 {
            person = [
                dice.pick(GIVEN).to_owned(),
                dice.pick(FAMILY).to_owned(),
                dice.pick(STREETS).to_owned(),
                dice.pick(CODES).to_owned(),
                format!("19{}0-0{}-1{}", dice.below(3) + 5, dice.below(3) + 1, dice.below(4)),
                format!("04123456{:02}", dice.below(40)),
                format!("{}", 1_000_000 + dice.below(2_000) * 37),
            ];
        }
        let mut told = person.clone();
        for value in &mut told {
            match dice.below(10) {
                0 => value.clear(),
                1 if value.len() > 4 => {
                    value.remove(3);
                }
                _ => {}
            }
        }
        let values = told.each_ref().map(String::as_str);
        let source = u8::try_from(number % 3).unwrap();
        let key = EntityKey::new(resolver::kind_of_source(source), format!("r{number}"));
        rows.push(layout.row(key, source, &values));
    }
    rows
}

/// A model whose blocks retire early.
fn narrow() -> Model {
    let mut parameters = Parameters::shipped();
    parameters.limits.block_records_max = 4;
    parameters.limits.generic_records_max = 5;
    Model::from_parameters(parameters).unwrap()
}

fn everything(resolver: &Resolver) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut edges = BTreeSet::new();
    resolver.for_each_edge(|edge| {
        edges.insert((edge.left.clone(), edge.right.clone(), edge.levels, edge.confidence));
    });
    (picture(resolver), edges)
}

fn resolved_rows<'a>(rows: impl IntoIterator<Item = &'a Row>, drain_every: usize) -> Resolver {
    let mut resolver = Resolver::new(narrow());
    for (at, row) in rows.into_iter().enumerate() {
        resolver.upsert_row(row);
        if at % drain_every == drain_every - 1 {
            resolver.drain();
        }
    }
    resolver.drain();
    assert_eq!(resolver.pending(), 0);
    resolver
}

fn key_of(at: usize) -> EntityKey {
    EntityKey::new(resolver::kind_of_source(u8::try_from(at % 3).unwrap()), format!("r{at}"))
}

#[test]
fn twenty_orders_and_the_batch_end_alike() {
    let rows = rows(260, 11);
    let batch = resolved_rows(&rows, usize::MAX);
    assert!(batch.counters().retired_blocks > 10, "{:?}", batch.counters());
    let expected = everything(&batch);
    let mut order: Vec<&Row> = rows.iter().collect();
    let mut dice = Dice(77);
    for round in 0..20 {
        match round {
            0 => order.reverse(),
            1 => order.sort_by_key(|row| format!("{row:?}")),
            _ => dice.shuffle(&mut order),
        }
        let found = everything(&resolved_rows(order.iter().copied(), [1, 7, 64][round % 3]));
        assert!(found == expected, "order {round}");
    }
}

#[test]
fn deletions_returns_and_corrections_leave_no_trace() {
    let (rows, drafts) = (rows(200, 5), rows(200, 6));
    let expected = everything(&resolved_rows(&rows, usize::MAX));
    for seed in 1..6 {
        let mut dice = Dice(seed * 1_000 + 1);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        dice.shuffle(&mut order);
        let mut resolver = Resolver::new(narrow());
        for at in order {
            // Some come with another content first, some are deleted and return.
            if dice.below(4) == 0 {
                resolver.upsert_row(&drafts[at]);
            }
            if dice.below(3) == 0 {
                resolver.drain();
            }
            resolver.upsert_row(&rows[at]);
            if dice.below(10) == 0 {
                resolver.drain();
                resolver.remove(&key_of(at));
                if dice.below(2) == 0 {
                    resolver.drain();
                }
                resolver.upsert_row(&rows[at]);
            }
        }
        resolver.drain();
        assert!(everything(&resolver) == expected, "seed {seed}");
    }
}

#[test]
fn a_deleted_row_is_as_if_it_had_never_been() {
    let rows = rows(150, 9);
    let mut resolver = resolved_rows(&rows, 16);
    for at in (0..rows.len()).step_by(5) {
        resolver.remove(&key_of(at));
        resolver.drain();
    }
    let left = rows.iter().enumerate().filter(|(at, _)| at % 5 != 0).map(|(_, row)| row);
    assert!(everything(&resolver) == everything(&resolved_rows(left, usize::MAX)));
}

#[test]
fn across_sources_only_pairs_of_two_sources_are_looked_at() {
    let rows = rows(90, 3);
    let mut resolver = Resolver::with_scope(Model::shipped(), Scope::Across);
    rows.iter().for_each(|row| resolver.upsert_row(row));
    resolver.drain();
    let mut pairs = 0;
    resolver.for_each_candidate(|a, b, _, _| {
        assert_ne!(resolver.key_of(a).kind, resolver.key_of(b).kind);
        pairs += 1;
    });
    assert!(pairs > 0);
}

#[test]
fn what_blocking_proposes_is_what_two_records_met_by() {
    let rows = rows(120, 4);
    let resolver = resolved_rows(&rows, 9);
    let mut seen = BTreeSet::new();
    resolver.for_each_candidate(|a, b, levels, met| {
        assert!(met.iter().next().is_some(), "{a} {b}");
        assert_eq!(resolver.compare(a, b), Some(levels));
        assert!(seen.insert((a, b)), "each pair once");
    });
    resolver.for_each_edge(|edge| {
        let (a, b) = (resolver.slot_of(edge.left).unwrap(), resolver.slot_of(edge.right).unwrap());
        assert!(seen.contains(&(a.min(b), a.max(b))));
    });
    assert_eq!(resolver.counters().records, 120);
    assert_eq!(resolver.slot_of(&EntityKey::new(EntityKind::Account, "unseen")), None);
}
