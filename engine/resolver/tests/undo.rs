//! Undoing: taking a record or a link out leaves what a fresh run without it gives, and costs what
//! its customer is large, however many other records there are.
#![allow(clippy::unwrap_used)]

mod support;

use ontology::status::Verdict;
use ontology::{EntityKey, PartyRecord};
use resolver::{Model, Resolver};
use support::{account, ar, judgement, picture, record, said_by};

/// The records of one person, half of them in either system.
fn person(number: usize, records: usize) -> Vec<PartyRecord> {
    let key = |at: usize| {
        let id = format!("{number}-{at}");
        if at.is_multiple_of(2) { account(&id) } else { ar(&id) }
    };
    let name = letters(number);
    let email = format!("{name}@{name}.example");
    let born = format!("19{:02}-{:02}-{:02}", number % 90 + 10, number % 12 + 1, number % 28 + 1);
    let fields = [
        ("person", ""),
        ("given_name", name.as_str()),
        ("family_name", name.as_str()),
        ("email", email.as_str()),
        ("birth_date", born.as_str()),
    ];
    (0..records).map(|at| record(&key(at), &fields)).collect()
}

/// A number as letters, so that no two names are alike.
fn letters(number: usize) -> String {
    let letter = |place: u32| char::from(b'a' + u8::try_from(number / 26_usize.pow(place) % 26).unwrap());
    (0..3).flat_map(|place| [letter(place); 3]).collect()
}

/// One person of `records` records among `others` of three each, drained.
fn resolved(records: usize, others: usize) -> Resolver {
    let mut resolver = Resolver::new(Model::shipped());
    let crowd = (1..=others).flat_map(|number| person(number, 3));
    person(0, records).into_iter().chain(crowd).for_each(|record| resolver.upsert(record));
    resolver.drain();
    resolver
}

/// Pairs compared and things visited by an operation and what follows from it.
fn cost(resolver: &mut Resolver, operation: impl FnOnce(&mut Resolver)) -> (u64, u64) {
    let before = resolver.counters();
    operation(resolver);
    resolver.drain();
    let after = resolver.counters();
    (after.compared - before.compared, after.visited - before.visited)
}

fn keys(records: usize) -> Vec<EntityKey> {
    person(0, records).into_iter().map(|record| record.key).collect()
}

#[test]
fn what_undoing_costs_depends_on_the_customer_alone() {
    for records in [2, 3, 5, 8] {
        let keys = keys(records);
        // Each record once, and each pair from both its sides.
        let visited_max = (records * records) as u64;
        let pairs_max = (2 * records) as u64;
        let few_and_many = [3, 400].map(|others| {
            let mut resolver = resolved(records, others);
            let unlink = judgement(Verdict::Unlink, 1);
            let unlinked = cost(&mut resolver, |r| r.judge(keys[0].clone(), keys[1].clone(), unlink));
            let removed = cost(&mut resolver, |r| r.remove(&keys[0]));
            for (compared, visited) in [unlinked, removed] {
                assert!(visited > 0 && visited <= visited_max, "{visited} of {visited_max}");
                assert!(compared <= pairs_max, "{compared} of {pairs_max}");
            }
            (unlinked, removed)
        });
        assert_eq!(few_and_many[0], few_and_many[1], "{records} records");
    }
}

#[test]
fn what_is_undone_was_never_there() {
    for records in [2, 3, 5, 8] {
        let keys = keys(records);
        for one in &keys {
            let mut resolver = resolved(records, 3);
            resolver.remove(one);
            resolver.drain();
            let mut fresh = Resolver::new(Model::shipped());
            let rest = (1..=3).flat_map(|number| person(number, 3)).chain(person(0, records));
            rest.filter(|record| record.key != *one).for_each(|record| fresh.upsert(record));
            fresh.drain();
            assert_eq!(picture(&resolver), picture(&fresh), "without {one}");
            // And back again: nothing is left of the deletion.
            let back = person(0, records).into_iter().find(|record| record.key == *one).unwrap();
            resolver.upsert(back);
            resolver.drain();
            assert_eq!(picture(&resolver), picture(&resolved(records, 3)), "{one} again");
        }
    }
}

#[test]
fn an_unlinked_pair_is_as_if_it_had_been_unlinked_before_any_record_came() {
    for records in [2, 3, 5] {
        let keys = keys(records);
        let mut resolver = resolved(records, 3);
        let mut fresh = Resolver::new(Model::shipped());
        // One record is parted from all others of its customer.
        for other in &keys[1..] {
            let unlink = said_by(&other.to_string(), Verdict::Unlink, 1);
            resolver.judge(keys[0].clone(), other.clone(), unlink.clone());
            resolver.drain();
            fresh.judge(other.clone(), keys[0].clone(), unlink);
        }
        person(0, records).into_iter().chain((1..=3).flat_map(|n| person(n, 3))).for_each(|r| fresh.upsert(r));
        fresh.drain();
        assert_eq!(picture(&resolver), picture(&fresh));
        assert_ne!(resolver.customer_of(&keys[0]), resolver.customer_of(&keys[1]));
    }
}
