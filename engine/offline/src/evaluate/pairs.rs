//! Pairs against true pairs.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::Serialize;

use super::interval::wilson;
use super::truth::Truth;
use crate::outcome::{Decision, Outcome, Pair};
use crate::records::Records;

/// Precision, recall, and their harmonic mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Share of what was found that is right; 1 if nothing was found.
    pub precision: f64,
    /// Share of what is true that was found; 1 if nothing is.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl Quality {
    /// Quality of `found` things, `right` of them so, where `there` are to be found.
    #[must_use]
    pub fn of(right: u64, found: u64, there: u64) -> Self {
        let share = |of: u64| if of == 0 { 1.0 } else { right as f64 / of as f64 };
        Quality::from_shares(share(found), share(there))
    }

    pub(super) fn from_shares(precision: f64, recall: f64) -> Self {
        let sum = precision + recall;
        Quality { precision, recall, f1: if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum } }
    }
}

/// Automatic links.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Automatic {
    /// Number of links between records of known truth.
    pub links: u64,
    /// Share of them that is right.
    pub precision: f64,
    /// Lower end of the precision's 95 % interval.
    pub precision_low: f64,
    /// Upper end of it.
    pub precision_high: f64,
    /// Share of true pairs that are linked.
    pub recall: f64,
}

/// Links between the records of two sources.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourcePair {
    /// One source.
    pub left: String,
    /// The other; the same for duplicates within a source.
    pub right: String,
    /// True pairs.
    pub true_pairs: u64,
    /// The links.
    #[serde(flatten)]
    pub automatic: Automatic,
}

/// The pairs of an outcome that truth says something of.
pub(super) struct Judged {
    pub(super) true_pairs: u64,
    pub(super) links: u64,
    pub(super) links_right: u64,
    /// Pairs with whether they are true, most probable first.
    ranked: Vec<(Pair, bool)>,
    /// By sources: true pairs, links, links that are right.
    sources: BTreeMap<(u8, u8), [u64; 3]>,
}

impl Judged {
    pub(super) fn of(records: &Records, truth: &Truth, outcome: &Outcome, across_only: bool) -> Self {
        let source = |at: u32| records.source_of(at);
        let mut judged =
            Judged { true_pairs: 0, links: 0, links_right: 0, ranked: Vec::new(), sources: BTreeMap::new() };
        judged.count_true(records, truth, across_only);
        for pair in &outcome.pairs {
            let (Some(left), Some(right)) = (truth.of(pair.left), truth.of(pair.right)) else { continue };
            let sources = order(source(pair.left), source(pair.right));
            let is_right = left == right && !(across_only && sources.0 == sources.1);
            if pair.decision == Decision::Linked {
                judged.links += 1;
                judged.links_right += u64::from(is_right);
                let of_sources = judged.sources.entry(sources).or_default();
                of_sources[1] += 1;
                of_sources[2] += u64::from(is_right);
            }
            judged.ranked.push((*pair, is_right));
        }
        judged.ranked.sort_by_key(|(pair, _)| pair.rank());
        judged
    }

    fn count_true(&mut self, records: &Records, truth: &Truth, across_only: bool) {
        let mut by_party: HashMap<u32, BTreeMap<u8, u64>> = HashMap::new();
        for (at, party) in (0..).zip(truth.parties()) {
            if let Some(party) = party {
                *by_party.entry(*party).or_default().entry(records.source_of(at)).or_default() += 1;
            }
        }
        for sizes in by_party.values() {
            for (at, (one, n)) in sizes.iter().enumerate() {
                if !across_only {
                    self.add_true((*one, *one), n * (n - 1) / 2);
                }
                for (other, m) in sizes.iter().skip(at + 1) {
                    self.add_true((*one, *other), n * m);
                }
            }
        }
    }

    fn add_true(&mut self, sources: (u8, u8), pairs: u64) {
        if pairs > 0 {
            self.true_pairs += pairs;
            self.sources.entry(sources).or_default()[0] += pairs;
        }
    }

    pub(super) fn automatic(&self) -> Automatic {
        automatic([self.true_pairs, self.links, self.links_right])
    }

    pub(super) fn by_sources(&self, records: &Records) -> Vec<SourcePair> {
        let name = |source: u8| records.sources[usize::from(source)].clone();
        let told = |((left, right), counts): (&(u8, u8), &[u64; 3])| SourcePair {
            left: name(*left),
            right: name(*right),
            true_pairs: counts[0],
            automatic: automatic(*counts),
        };
        self.sources.iter().map(told).collect()
    }

    /// The largest recall at which at least `precision` of the most probable pairs are true. Pairs of
    /// equal rank are taken together: nothing tells which of them would come first.
    pub(super) fn recall_at(&self, precision: f64) -> f64 {
        let (mut right, mut best) = (0_u64, 0_u64);
        for (at, (pair, is_right)) in self.ranked.iter().enumerate() {
            right += u64::from(*is_right);
            let score = |pair: &Pair| (pair.millionths, pair.millibits);
            let is_last = self.ranked.get(at + 1).is_none_or(|(next, _)| score(next) != score(pair));
            if is_last && right as f64 >= precision * (at + 1) as f64 {
                best = right;
            }
        }
        if self.true_pairs == 0 { 1.0 } else { best as f64 / self.true_pairs as f64 }
    }

    pub(super) fn blocking_recall(&self) -> f64 {
        let right = self.ranked.iter().filter(|(_, is_right)| *is_right).count();
        if self.true_pairs == 0 { 1.0 } else { right as f64 / self.true_pairs as f64 }
    }

    pub(super) fn ranked(&self) -> &[(Pair, bool)] {
        &self.ranked
    }
}

fn automatic([true_pairs, links, right]: [u64; 3]) -> Automatic {
    let Quality { precision, recall, .. } = Quality::of(right, links, true_pairs);
    let (precision_low, precision_high) = wilson(right, links);
    Automatic { links, precision, precision_low, precision_high, recall }
}

fn order(a: u8, b: u8) -> (u8, u8) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Records as source and true party; pairs as left, right, millionths and decision.
    fn judged(records: &[(u8, &str)], pairs: &[(u32, u32, u32, Decision)], across_only: bool) -> (Judged, Records) {
        let truth = Truth::of_words(records.iter().map(|(_, party)| *party));
        let ids: Vec<String> = (0..records.len()).map(|at| at.to_string()).collect();
        let records = Records::named(records.iter().zip(&ids).map(|((source, _), id)| (*source, id.as_str())));
        let pair = |(left, right, millionths, decision): &(u32, u32, u32, Decision)| Pair {
            left: *left,
            right: *right,
            millionths: *millionths,
            millibits: 0,
            decision: *decision,
            why: "",
        };
        let outcome = Outcome { pairs: pairs.iter().map(pair).collect(), ..Outcome::default() };
        (Judged::of(&records, &truth, &outcome, across_only), records)
    }

    const RECORDS: &[(u8, &str)] = &[(0, "x"), (0, "x"), (1, "x"), (1, "y"), (0, ""), (1, "y")];
    use Decision::{Linked, Review};

    #[test]
    fn links_are_held_against_true_pairs() {
        let pairs =
            [(0, 1, 990_000, Linked), (0, 3, 980_000, Linked), (0, 2, 800_000, Review), (0, 4, 990_000, Linked)];
        let (judged, records) = judged(RECORDS, &pairs, false);
        assert_eq!((judged.true_pairs, judged.links, judged.links_right), (4, 2, 1));
        let automatic = judged.automatic();
        assert_eq!((automatic.precision, automatic.recall), (0.5, 0.25));
        assert!((judged.blocking_recall() - 0.5).abs() < 1e-12);
        let sources: Vec<_> = judged.by_sources(&records);
        let told: Vec<_> =
            sources.iter().map(|s| (s.left.as_str(), s.right.as_str(), s.true_pairs, s.automatic.links)).collect();
        assert_eq!(told, [("a", "a", 1, 1), ("a", "b", 2, 1), ("b", "b", 1, 0)]);
    }

    #[test]
    fn across_sources_duplicates_within_one_are_no_true_pairs() {
        let (judged, _) = judged(RECORDS, &[(0, 1, 990_000, Linked), (0, 2, 990_000, Linked)], true);
        assert_eq!((judged.true_pairs, judged.links, judged.links_right), (2, 2, 1));
    }

    #[test]
    fn recall_is_read_where_precision_still_holds_and_never_within_a_tie() {
        let records = [(0, "x"), (0, "x"), (0, "x"), (0, "y")];
        let (first, _) = judged(&records, &[(0, 1, 9, Linked), (0, 2, 8, Linked), (0, 3, 7, Linked)], false);
        assert!((first.recall_at(0.99) - 2.0 / 3.0).abs() < 1e-12);
        let (tied, _) = judged(&records, &[(0, 1, 9, Linked), (0, 2, 7, Linked), (0, 3, 7, Linked)], false);
        assert!((tied.recall_at(0.99) - 1.0 / 3.0).abs() < 1e-12);
        assert!((tied.recall_at(0.66) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_found_is_never_wrong() {
        assert_eq!(Quality::of(0, 0, 5), Quality { precision: 1.0, recall: 0.0, f1: 0.0 });
        assert_eq!(Quality::of(0, 0, 0).f1, 1.0);
        assert_eq!(Quality::of(0, 3, 5).f1, 0.0);
    }
}
