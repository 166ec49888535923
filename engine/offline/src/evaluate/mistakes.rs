//! Customers that are not exactly one party, one by one: what there is to read where figures end.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use serde::Serialize;

use super::truth::{Sets, Truth};
use crate::outcome::{Decision, Outcome, Pair};
use crate::records::Records;
use crate::run::Run;

/// Pairs of a mistake that are told; a large customer has very many.
const PAIRS_MAX: usize = 50;

/// Parties and customers that have records in common and are not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The true parties, each as the names of its records.
    pub parties: Vec<Vec<String>>,
    /// The customers that were found, each as the names of its records.
    pub customers: Vec<Vec<String>>,
    /// Pairs that are wrong or missed, fifty at most.
    pub pairs: Vec<Mistaken>,
}

/// A pair that is one customer and not one party, or the other way round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistaken {
    /// One record.
    pub left: String,
    /// The other.
    pub right: String,
    /// `wrong` if they are one customer, `missed` if they are one party.
    pub kind: &'static str,
    /// What became of the pair: `linked`, `review`, `none`, or `never compared`.
    pub decision: &'static str,
    /// Probability that was promised; 0 if the pair was never compared.
    pub probability: f64,
    /// Why, in words; empty if the run's resolver was not asked.
    pub why: String,
}

/// What is mistaken in a run, each pair with the reason; in the order of the records.
#[must_use]
pub fn mistakes(run: &Run, truth: &Truth) -> Vec<Mistake> {
    let mut found = mistaken(&run.loaded.records, truth, &run.outcome);
    for pair in found.iter_mut().flat_map(|mistake| &mut mistake.pairs) {
        if let Ok(told) = run.explain(&pair.left, &pair.right) {
            pair.why = told.in_short();
        }
    }
    found
}

/// What is mistaken in an outcome, without reasons. Records of unknown truth are left out.
#[must_use]
pub fn mistaken(records: &Records, truth: &Truth, outcome: &Outcome) -> Vec<Mistake> {
    let by_place: HashMap<(u32, u32), &Pair> =
        outcome.pairs.iter().map(|pair| ((pair.left.min(pair.right), pair.left.max(pair.right)), pair)).collect();
    let told = |places: &[u32]| Mistake {
        parties: named(records, places, |at| truth.of(at)),
        customers: named(records, places, |at| Some(&outcome.customers[at as usize])),
        pairs: pairs(records, truth, outcome, places, &by_place),
    };
    let groups = groups(truth, &outcome.customers).into_values().map(|places| told(&places));
    groups.filter(|mistake| mistake.parties.len() > 1 || mistake.customers.len() > 1).collect()
}

/// Records that hang together by parties and customers, by the first of them.
fn groups(truth: &Truth, customers: &[String]) -> BTreeMap<u32, Vec<u32>> {
    let mut sets = Sets::of(customers.len());
    let (mut parties, mut found): (HashMap<u32, u32>, HashMap<&str, u32>) = (HashMap::new(), HashMap::new());
    let known: Vec<(u32, u32)> = (0..).zip(truth.parties()).filter_map(|(at, party)| party.map(|p| (at, p))).collect();
    for (at, party) in &known {
        sets.join(*at, *parties.entry(*party).or_insert(*at));
        sets.join(*at, *found.entry(&customers[*at as usize]).or_insert(*at));
    }
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (at, _) in known {
        groups.entry(sets.root(at)).or_default().push(at);
    }
    groups
}

/// The records at `places`, grouped by what `of` says of them.
fn named<K: Ord>(records: &Records, places: &[u32], of: impl Fn(u32) -> Option<K>) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<K, Vec<String>> = BTreeMap::new();
    for at in places {
        if let Some(key) = of(*at) {
            groups.entry(key).or_default().push(records.name(*at as usize));
        }
    }
    let sorted: BTreeSet<Vec<String>> = groups.into_values().collect();
    sorted.into_iter().collect()
}

fn pairs(
    records: &Records,
    truth: &Truth,
    outcome: &Outcome,
    places: &[u32],
    by_place: &HashMap<(u32, u32), &Pair>,
) -> Vec<Mistaken> {
    let mut found = Vec::new();
    for (at, left) in places.iter().enumerate() {
        for right in &places[at + 1..] {
            let is_party = truth.of(*left) == truth.of(*right);
            let is_customer = outcome.customers[*left as usize] == outcome.customers[*right as usize];
            if is_party == is_customer || found.len() == PAIRS_MAX {
                continue;
            }
            let pair = by_place.get(&(*left.min(right), *left.max(right)));
            found.push(Mistaken {
                left: records.name(*left as usize),
                right: records.name(*right as usize),
                kind: if is_customer { "wrong" } else { "missed" },
                decision: match pair.map(|pair| pair.decision) {
                    Some(Decision::Linked) => "linked",
                    Some(Decision::Review) => "review",
                    Some(Decision::None) => "none",
                    None => "never compared",
                },
                probability: pair.map_or(0.0, |pair| pair.probability()),
                why: String::new(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes_of(truth: &[&str], customers: &[&str], pairs: &[(u32, u32, Decision)]) -> Vec<Mistake> {
        let ids: Vec<String> = (0..truth.len()).map(|at| at.to_string()).collect();
        let records = Records::named(ids.iter().map(|id| (0, id.as_str())));
        let pair = |(left, right, decision): &(u32, u32, Decision)| Pair {
            left: *left,
            right: *right,
            millionths: 800_000,
            millibits: 0,
            decision: *decision,
            why: "",
        };
        let outcome = Outcome {
            pairs: pairs.iter().map(pair).collect(),
            customers: customers.iter().map(|customer| (*customer).to_owned()).collect(),
            has_candidates: true,
        };
        mistaken(&records, &Truth::of_words(truth.iter().copied()), &outcome)
    }

    fn told(mistake: &Mistake) -> Vec<(&str, &str, &str, &str)> {
        let pair = |pair: &'_ Mistaken| (pair.kind, pair.decision);
        let each = mistake.pairs.iter().map(|one| (one.left.as_str(), one.right.as_str(), pair(one).0, pair(one).1));
        each.collect()
    }

    #[test]
    fn what_is_right_is_no_mistake_whatever_it_is_called() {
        assert_eq!(mistakes_of(&["x", "x", "y"], &["1", "1", "2"], &[]), []);
        assert_eq!(mistakes_of(&["x", "", "y"], &["1", "1", "2"], &[]), [], "nobody knows of the second record");
        assert_eq!(mistakes_of(&[], &[], &[]), []);
    }

    #[test]
    fn missed_and_wrong_pairs_are_told_with_what_became_of_them() {
        let found = mistakes_of(
            &["x", "x", "x", "y", "z", "z"],
            &["1", "1", "2", "2", "3", "3"],
            &[(0, 2, Decision::Review), (2, 3, Decision::Linked)],
        );
        assert_eq!(found.len(), 1, "z is right: {found:?}");
        let names = |groups: &[&[&str]]| -> Vec<Vec<String>> {
            groups.iter().map(|group| group.iter().map(|name| (*name).to_owned()).collect()).collect()
        };
        assert_eq!(found[0].parties, names(&[&["0", "1", "2"], &["3"]]));
        assert_eq!(found[0].customers, names(&[&["0", "1"], &["2", "3"]]));
        let expected =
            [("0", "2", "missed", "review"), ("1", "2", "missed", "never compared"), ("2", "3", "wrong", "linked")];
        assert_eq!(told(&found[0]), expected);
    }
}
