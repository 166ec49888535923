//! The review queue: since when each pair waits for a person (spec 4.5).
//!
//! A pair's score follows from its two records, but since when it waits does not: an image says every
//! field anew, so records do not tell when they first said what made the doubt. The instant is therefore
//! remembered, as the engine time of the input that brought the pair into review; reading the log again
//! gives the same.

use std::collections::{BTreeMap, BTreeSet};

use ontology::{EntityKey, Millis};
use resolver::ReviewItem;
use state::SourceRow;

use crate::engine::Engine;

/// Two party records, the smaller first.
pub type Pair = (EntityKey, EntityKey);

/// A pair that waits for a person, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InReview {
    /// The pair, and why it waits.
    pub item: ReviewItem,
    /// When it came into review.
    pub since: Millis,
}

/// How much waits for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReviewFigures {
    /// Pairs that wait.
    pub count: u64,
    /// Since when the one waits that has waited longest.
    pub oldest: Option<Millis>,
}

/// Since when each pair waits.
#[derive(Debug, Default)]
pub struct ReviewQueue {
    since: BTreeMap<Pair, Millis>,
    /// The same, the longest waiting first.
    by_age: BTreeSet<(Millis, Pair)>,
}

impl ReviewQueue {
    /// Since when a pair waits; none if it does not.
    #[must_use]
    pub fn since(&self, pair: &Pair) -> Option<Millis> {
        self.since.get(pair).copied()
    }

    /// Sets since when a pair waits, or that it waits no longer. Returns whether that is something else
    /// than before.
    pub fn set(&mut self, pair: &Pair, since: Option<Millis>) -> bool {
        let known = match since {
            Some(since) => self.since.insert(pair.clone(), since),
            None => self.since.remove(pair),
        };
        if known == since {
            return false;
        }
        if let Some(known) = known {
            self.by_age.remove(&(known, pair.clone()));
        }
        if let Some(since) = since {
            self.by_age.insert((since, pair.clone()));
        }
        true
    }

    /// All pairs that wait, in order.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.since.keys()
    }

    /// How much waits.
    #[must_use]
    pub fn figures(&self) -> ReviewFigures {
        ReviewFigures { count: self.since.len() as u64, oldest: self.by_age.first().map(|(since, _)| *since) }
    }
}

impl Engine {
    /// All pairs that wait for a person, in order.
    #[must_use]
    pub fn in_review(&self) -> Vec<InReview> {
        let items = self.identity.resolver().review_items();
        items
            .map(|item| {
                let pair = (item.left.clone(), item.right.clone());
                InReview { since: self.memory.review().since(&pair).unwrap_or(self.now), item }
            })
            .collect()
    }

    /// Notes pairs that came into review by the input of now, or left it.
    pub(crate) fn remember_reviews(&mut self, news: Vec<(Pair, bool)>) {
        for (pair, waits) in news {
            let since = if waits { self.memory.review().since(&pair).or(Some(self.now)) } else { None };
            self.memory.set_in_review(pair, since);
        }
    }

    /// After a start: pairs that waited before keep their instant. Of those that it is not remembered of,
    /// because another model brings them into review or an earlier release did not remember, it is when the
    /// later of the two records last changed.
    pub(crate) fn take_up_reviews(&mut self, news: Vec<(Pair, bool)>) {
        let waiting: BTreeSet<Pair> = news.into_iter().filter(|(_, waits)| *waits).map(|(pair, _)| pair).collect();
        let over: Vec<Pair> = self.memory.review().pairs().filter(|pair| !waiting.contains(pair)).cloned().collect();
        for pair in over {
            self.memory.set_in_review(pair, None);
        }
        for pair in waiting {
            if self.memory.review().since(&pair).is_none() {
                let since = self.changed_at(&pair.0).max(self.changed_at(&pair.1)).unwrap_or(self.now);
                self.memory.set_in_review(pair, Some(since.min(self.now)));
            }
        }
    }

    /// When a record changed last, by its source.
    fn changed_at(&self, key: &EntityKey) -> Option<Millis> {
        let rows = self.entity(key)?.rows().iter();
        rows.flat_map(SourceRow::provenances).map(|provenance| provenance.event_time).max()
    }
}

#[cfg(test)]
mod tests {
    use ontology::EntityKind;

    use super::*;

    fn pair(id: &str) -> Pair {
        (EntityKey::new(EntityKind::Account, id), EntityKey::new(EntityKind::ArCustomer, id))
    }

    #[test]
    fn the_longest_waiting_pair_is_told_until_it_is_decided() {
        let mut queue = ReviewQueue::default();
        assert_eq!(queue.figures(), ReviewFigures::default());
        assert!(queue.set(&pair("2"), Some(Millis(20))) && queue.set(&pair("1"), Some(Millis(30))));
        assert!(!queue.set(&pair("1"), Some(Millis(30))), "nothing new");
        assert_eq!(queue.figures(), ReviewFigures { count: 2, oldest: Some(Millis(20)) });
        assert!(queue.set(&pair("2"), None) && !queue.set(&pair("2"), None));
        assert_eq!(queue.figures(), ReviewFigures { count: 1, oldest: Some(Millis(30)) });
        assert_eq!((queue.since(&pair("1")), queue.since(&pair("2"))), (Some(Millis(30)), None));
    }
}
