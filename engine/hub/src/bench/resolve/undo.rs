//! Undoing a link or a record: whether it leaves what a fresh run without it gives, and what it costs
//! by the size of the customer that it touches. Cost is counted, not timed: pairs compared, records
//! and kept pairs visited.

#![allow(clippy::disallowed_methods, reason = "how long an operation takes is told beside what it visits")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use benches::report::Figure;
use ontology::status::Verdict;
use ontology::{EntityKey, Millis};
use resolver::{Judgement, LinkState, Model, Resolver, WhyNotAutomatic};

use super::order::{Known, all, known, partition};
use super::{Subject, measure_of};

/// Of so many records one is deleted, and of so many linked pairs one is unlinked.
const EACH: usize = 20;

/// Customers are told apart up to so many records.
const SIZES: &[usize] = &[1, 2, 4, 8, 16, usize::MAX];

/// What operations on customers of about one size cost.
#[derive(Debug, Default)]
struct Costs {
    operations: u64,
    compared: u64,
    visited: u64,
    nanos: u64,
    /// The most that one visited, over all that its customer holds.
    over_component_max: f64,
}

/// Costs by size of customer, and of operations by which a block flipped: those re-judge its members,
/// as many as its cap at most.
#[derive(Debug, Default)]
struct Ledger {
    by_size: BTreeMap<usize, Costs>,
    flipped: Costs,
}

pub(super) fn measure(subject: &Subject) -> anyhow::Result<Vec<Figure>> {
    let (rows, known) = known(subject)?;
    let mut resolver = all(&rows, &known);
    let mut unlinks = Ledger::default();
    let pairs = some_links(&resolver, &known);
    for (left, right) in &pairs {
        unlinks.note(&mut resolver, &[left, right], |resolver| part(resolver, left, right));
    }
    let mut fresh = rows.resolver(Model::shipped());
    for (left, right) in &pairs {
        part(&mut fresh, left, right);
    }
    known.iter().for_each(|one| fresh.upsert_row(&one.row(&rows, one)));
    fresh.drain();
    let unlink_same = partition(&resolver, &known) == partition(&fresh, &known);

    let mut deletes = Ledger::default();
    let gone: Vec<&Known> = known.iter().step_by(EACH).collect();
    for one in &gone {
        let waiting = in_review(&resolver, &one.key);
        let concerned: Vec<&EntityKey> = waiting.iter().chain([&one.key]).collect();
        deletes.note(&mut resolver, &concerned, |resolver| resolver.remove(&one.key));
    }
    let is_gone: BTreeSet<&EntityKey> = gone.iter().map(|one| &one.key).collect();
    let mut fresh = rows.resolver(Model::shipped());
    for (left, right) in &pairs {
        part(&mut fresh, left, right);
    }
    let kept = || known.iter().filter(|one| !is_gone.contains(&one.key));
    kept().for_each(|one| fresh.upsert_row(&one.row(&rows, one)));
    fresh.drain();
    let delete_same = kept().all(|one| resolver.customer_of(&one.key) == fresh.customer_of(&one.key));

    let same = |name: &str, is_same: bool, operations: usize| {
        let figure = Figure::at_least(measure_of(subject, "R9", name), f64::from(u8::from(is_same)), "ratio", 1.0);
        figure.with("operations", operations as u64).with("records", known.len() as u64)
    };
    let mut figures = vec![same("unlink_same", unlink_same, pairs.len()), same("delete_same", delete_same, gone.len())];
    figures.extend(unlinks.figures(subject, "unlink"));
    figures.extend(deletes.figures(subject, "delete"));
    Ok(figures)
}

fn part(resolver: &mut Resolver, left: &EntityKey, right: &EntityKey) {
    let judgement = Judgement {
        record: format!("{left} {right}").into(),
        verdict: Verdict::Unlink,
        actor: "bench".into(),
        reason: "undone".into(),
        decided_at: Millis(1),
    };
    resolver.judge(left.clone(), right.clone(), judgement);
}

/// Linked pairs spread over the table.
fn some_links(resolver: &Resolver, known: &[Known]) -> Vec<(EntityKey, EntityKey)> {
    let mut links = Vec::new();
    for one in known {
        let linked = resolver.candidates_of(&one.key).into_iter();
        let larger = linked.filter(|candidate| candidate.state == LinkState::Linked && candidate.other > one.key);
        links.extend(larger.map(|candidate| (one.key.clone(), candidate.other)));
    }
    links.into_iter().step_by(EACH).collect()
}

impl Ledger {
    /// Does an operation on the customers of `keys`, and counts what it took.
    fn note(&mut self, resolver: &mut Resolver, keys: &[&EntityKey], operation: impl FnOnce(&mut Resolver)) {
        let component = component(resolver, keys);
        let edges: usize = component.iter().map(|key| resolver.candidates_of(key).len()).sum();
        let held = (component.len() + edges) as f64;
        let before = resolver.counters();
        let began = Instant::now();
        operation(resolver);
        resolver.drain();
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let after = resolver.counters();
        let costs = if before.retired_blocks == after.retired_blocks {
            let size = SIZES.iter().copied().find(|size| component.len() <= *size).unwrap_or(usize::MAX);
            self.by_size.entry(size).or_default()
        } else {
            &mut self.flipped
        };
        let visited = after.visited - before.visited;
        costs.operations += 1;
        costs.compared += after.compared - before.compared;
        costs.visited += visited;
        costs.nanos += nanos;
        costs.over_component_max = costs.over_component_max.max(visited as f64 / held);
    }

    fn figures(&self, subject: &Subject, operation: &str) -> Vec<Figure> {
        let most = self.by_size.values().map(|costs| costs.over_component_max).fold(0.0, f64::max);
        let name = measure_of(subject, "R9", &format!("{operation}_visited_over_customer"));
        let mut figures = vec![Figure::at_most(name, most, "ratio", 1.0)];
        for (size, costs) in &self.by_size {
            let size = if *size == usize::MAX { "more".to_owned() } else { size.to_string() };
            figures.push(costs.figure(measure_of(subject, "R9", &format!("{operation}_visited.up_to_{size}"))));
        }
        if self.flipped.operations > 0 {
            figures.push(self.flipped.figure(measure_of(subject, "R9", &format!("{operation}_visited.block_flipped"))));
        }
        figures
    }
}

impl Costs {
    fn figure(&self, name: String) -> Figure {
        let each = |sum: u64| sum as f64 / self.operations as f64;
        Figure::told(name, each(self.visited), "")
            .with("operations", self.operations)
            .with("compared", each(self.compared))
            .with("us", each(self.nanos) / 1e3)
    }
}

/// Records in review against one: their customers lose a candidate when it goes, so they change too.
fn in_review(resolver: &Resolver, key: &EntityKey) -> Vec<EntityKey> {
    let waiting = resolver.candidates_of(key).into_iter().filter(|candidate| candidate.state == LinkState::Review);
    waiting.map(|candidate| candidate.other).collect()
}

/// Records that accepted pairs connect with `keys`, those that clustering refused included.
fn component(resolver: &Resolver, keys: &[&EntityKey]) -> BTreeSet<EntityKey> {
    let mut found: BTreeSet<EntityKey> = keys.iter().map(|key| (*key).clone()).collect();
    let mut waiting: Vec<EntityKey> = found.iter().cloned().collect();
    while let Some(key) = waiting.pop() {
        for candidate in resolver.candidates_of(&key) {
            let is_refused = candidate.why_not_automatic == Some(WhyNotAutomatic::ClusterConflict);
            if (candidate.state == LinkState::Linked || is_refused) && found.insert(candidate.other.clone()) {
                waiting.push(candidate.other);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_told_by_size_and_their_most_is_held_to_the_customer() {
        let folder = tempfile::tempdir().expect("a folder");
        let subject = super::super::tests::subject(folder.path());
        let figures = measure(&subject).expect("the table is resolved");
        let figure = |name: &str| figures.iter().find(|figure| figure.measure == format!("R9.febrl3.{name}"));
        for name in ["unlink_same", "delete_same", "unlink_visited_over_customer", "delete_visited_over_customer"] {
            assert!(figure(name).is_some_and(|figure| figure.met), "{name}: {figures:?}");
        }
        assert!(figure("unlink_visited.up_to_2").is_some_and(|figure| figure.value >= 2.0), "{figures:?}");
    }
}
