//! People who share nearly all and are not one: father and son of one name, twins, two of one rare
//! name who are each described by many rows.
#![allow(clippy::unwrap_used)]

mod support;

use ontology::{EntityKey, EntityKind};
use resolver::{Column, Kind, Layout, Model, Parameters, Resolver};

const KINDS: [Kind; 8] = [
    Kind::GivenName,
    Kind::FamilyName,
    Kind::Date,
    Kind::Street,
    Kind::PostalCode,
    Kind::Phone,
    Kind::Category,
    Kind::Category,
];

type Person = [&'static str; 8];

/// The shipped model for a small table, in which one pair of some hundreds is one party. It claims as
/// much as trained ones do, so that the surest pairs come first.
fn small() -> Model {
    let mut parameters = Parameters::shipped();
    parameters.prior.pair_bits = -8.0;
    parameters.decision.confidence_max = 0.999_999;
    Model::from_parameters(parameters).unwrap()
}

fn key(number: usize) -> EntityKey {
    EntityKey::new(EntityKind::Account, format!("r{number}"))
}

fn resolved(rows: &[Person], model: Model) -> Resolver {
    let schemes = ["", "", "", "", "", "", "trade", "origin"];
    let columns: Vec<Column> =
        KINDS.into_iter().zip(schemes).map(|(kind, scheme)| Column { kind, scheme: scheme.into() }).collect();
    let layout = Layout::new(&columns).unwrap();
    let mut resolver = Resolver::new(model);
    for (number, row) in rows.iter().enumerate() {
        resolver.upsert_row(&layout.row(key(number), 0, row));
        resolver.drain();
    }
    resolver
}

/// Which rows are one customer: the place of the first row of each row's customer.
fn customers(resolver: &Resolver, rows: usize) -> Vec<usize> {
    let id = |number: usize| resolver.customer_of(&key(number));
    (0..rows).map(|number| (0..=number).find(|other| id(*other) == id(number)).unwrap()).collect()
}

fn check(rows: &[Person], expected: &[usize]) {
    let found = customers(&resolved(rows, small()), rows.len());
    assert_eq!(found, expected, "{rows:?}");
}

const FATHER: Person = ["John", "Quist", "1950-10-10", "12 Mill Lane", "62704", "0412345678", "", ""];
const SON: Person = ["John", "Quist", "1980-03-15", "12 Mill Lane", "62704", "0412345678", "", ""];
const EITHER: Person = ["John", "Quist", "", "12 Mill Lane", "62704", "0412345678", "", ""];

#[test]
fn a_row_that_may_be_father_or_son_is_neither_by_itself() {
    check(&[FATHER, EITHER], &[0, 0]);
    check(&[FATHER, SON], &[0, 1]);
    check(&[FATHER, SON, EITHER], &[0, 1, 2]);
    check(&[EITHER, FATHER, SON], &[0, 1, 2]);
    check(&[SON, EITHER, FATHER], &[0, 1, 2]);
    let mut born = EITHER;
    born[2] = "1980-03-15";
    check(&[FATHER, SON, born], &[0, 1, 1]);
}

#[test]
fn when_one_of_the_two_goes_the_row_is_the_others() {
    let mut resolver = resolved(&[FATHER, EITHER, SON], small());
    assert!(resolver.review_items().count() >= 2);
    resolver.remove(&key(0));
    resolver.drain();
    assert_eq!(resolver.customer_of(&key(1)), resolver.customer_of(&key(2)));
}

#[test]
fn generations_and_twins_are_told_apart() {
    let senior = ["David", "Dobbins Sr", "", "9 Abbey Road", "90210", "", "", ""];
    let mut junior = senior;
    junior[1] = "Dobbins Jr";
    let mut second = senior;
    second[1] = "Dobbins II";
    check(&[senior, junior, second], &[0, 1, 1]);
    let twin = ["Mark", "Quist", "1997-09-28", "12 Mill Lane", "62704", "0412345678", "", ""];
    let mut sister = twin;
    sister[0] = "Marsha";
    check(&[twin, sister], &[0, 1]);
    let mut mistyped = twin;
    mistyped[0] = "Makr";
    check(&[twin, mistyped], &[0, 0]);
}

#[test]
fn a_model_of_many_matches_weighs_given_names_that_differ() {
    let one = ["Zorelinde", "Quist", "1997-09-28", "12 Mill Lane", "62704", "0412345678", "", ""];
    let mut other = one;
    other[0] = "Zorella";
    let mut parameters = Parameters::shipped();
    assert_eq!(customers(&resolved(&[one, other], Model::from_parameters(parameters.clone()).unwrap()), 2), [0, 1]);
    parameters.decision.weighs_given_names = true;
    parameters.prior.home_bits = -30.0;
    assert_eq!(customers(&resolved(&[one, other], Model::from_parameters(parameters).unwrap()), 2), [0, 0]);
}

#[test]
fn two_of_one_rare_name_are_not_joined_where_each_is_one_with_itself() {
    let painter = ["Zebulon", "Foottet", "1850-01-01", "12 Mill Lane", "62704", "0412345678", "painter", "leeds"];
    let singer = ["Zebulon", "Foottet", "1850-01-01", "9 Abbey Road", "90210", "0399111222", "singer", "york"];
    let apart = [painter, painter, painter, painter, singer, singer, singer, singer];
    check(&apart, &[0, 0, 0, 0, 4, 4, 4, 4]);
    // One row more that looks like them is no group: it joins, as one pair of two rows does.
    check(&[painter, painter, painter, painter, singer], &[0, 0, 0, 0, 0]);
    check(&[painter, singer], &[0, 0]);
}
