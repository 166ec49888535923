//! Looking at everything: records by slot, any pair, every candidate, every kept pair. What training
//! and offline use read.

use ontology::EntityKey;

use crate::answer::{Counters, PairDecision};
use crate::blocking::BlockKinds;
use crate::compare::compare;
use crate::confidence::Confidence;
use crate::feature::{Feature, Levels};
use crate::index::Slot;
use crate::model::Model;
use crate::resolver::Resolver;
use crate::score::{Circumstances, Standing, score};

impl Resolver {
    /// Places of the living records, in the order in which they were first named.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let count = Slot::try_from(self.graph.nodes.len()).expect("slots are counted when they are made");
        (0..count).filter(|slot| self.graph.party(*slot).is_some())
    }

    /// Places that records have had so far; some may be deleted.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.graph.nodes.len()
    }

    /// The record at a place.
    ///
    /// # Panics
    /// There is no such place.
    #[must_use]
    pub fn key_of(&self, slot: Slot) -> &EntityKey {
        &self.graph.node(slot).key
    }

    /// The place of a record.
    #[must_use]
    pub fn slot_of(&self, key: &EntityKey) -> Option<Slot> {
        self.graph.slot(key)
    }

    /// The comparison vector of any two living records.
    #[must_use]
    pub fn compare(&self, a: Slot, b: Slot) -> Option<Levels> {
        let (left, right) = (self.graph.party(a)?, self.graph.party(b)?);
        Some(compare(&left.subject, &right.subject))
    }

    /// The score of any two living records by this resolver's model or another: total millibits and
    /// confidence.
    #[must_use]
    pub fn score_by(&self, model: &Model, a: Slot, b: Slot, levels: Levels) -> Option<(i32, Confidence)> {
        let (left, right) = (self.graph.party(a)?, self.graph.party(b)?);
        let scored = score(model, levels, Circumstances::of(&left.subject, &right.subject), Standing::default());
        Some((scored.total_millibits, scored.confidence))
    }

    /// The value by which a record asks the term table of a feature.
    #[must_use]
    pub fn term_of(&self, slot: Slot, feature: Feature) -> Option<&str> {
        self.graph.party(slot)?.subject.standard.term(feature)
    }

    /// Calls `each` with every pair that blocking proposes now, each once, in the order of slots.
    pub fn for_each_candidate(&self, mut each: impl FnMut(Slot, Slot, Levels, BlockKinds)) {
        let mut candidates = Vec::new();
        for slot in self.slots() {
            self.candidates_into(slot, &mut candidates);
            for other in candidates.iter().filter(|other| **other > slot) {
                if let Some(levels) = self.compare(slot, *other) {
                    each(slot, *other, levels, self.met_by(slot, *other));
                }
            }
        }
    }

    /// Calls `each` with every kept pair, in no order.
    pub fn for_each_edge(&self, mut each: impl FnMut(PairDecision<'_>)) {
        for (pair, edge) in &self.graph.edges {
            let (left, right) = self.graph.by_key(*pair);
            each(PairDecision {
                left: &self.graph.node(left).key,
                right: &self.graph.node(right).key,
                levels: edge.levels,
                total_millibits: edge.total_millibits,
                confidence: edge.link_confidence(),
                state: edge.state(&self.model),
                is_human: edge.is_human(),
            });
        }
    }

    /// How much there is, and how much waits.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            records: self.slots().count(),
            edges: self.graph.edges.len(),
            compared: self.compared,
            visited: self.graph.visited,
            pending: self.dirty.len(),
            in_review: self.review.len(),
            retired_blocks: self.index.retired(),
        }
    }
}
