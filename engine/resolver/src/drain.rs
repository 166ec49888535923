//! Draining the redo queue: edges of what changed, then callers, then clusters.

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use crate::answer::{Cause, ClusterChange, LinkState};
use crate::blocking::Origin;
use crate::cluster::{Layer, component, partition};
use crate::compare::compare;
use crate::confidence::Confidence;
use crate::feature::{Feature, FeatureSet, Level};
use crate::graph::{Edge, Graph, Pair, automatic_veto, pair};
use crate::index::Slot;
use crate::model::Model;
use crate::resolver::{Redo, Resolver};
use crate::score::{Circumstances, score};

/// Batches of fewer pairs are scored where they are: handing them out would cost more.
const PARALLEL_PAIRS_MIN: usize = 512;

/// Records whose customer has to be looked at again, with the reason.
pub(crate) type Touched = HashMap<Slot, Cause>;

/// What a drain has found out so far.
#[derive(Debug)]
struct Work {
    /// Reasons of the records on the redo queue.
    causes: HashMap<Slot, Cause>,
    /// Records of which somebody could see a difference.
    touched: Touched,
    /// Callers whose number has to be judged again.
    callers: HashSet<Slot>,
}

impl Work {
    fn of(dirty: &[(Slot, Redo)]) -> Self {
        let cause = |(slot, redo): &(Slot, Redo)| (*slot, redo.cause.clone());
        Work {
            causes: dirty.iter().map(cause).collect(),
            touched: dirty.iter().filter(|(_, redo)| redo.rejudges).map(cause).collect(),
            callers: HashSet::new(),
        }
    }

    /// Touches the records of a pair for the first cause that either has. Only a caller that is
    /// judged again for the sake of others has none of its own: then the first cause of all.
    fn touch_both(&mut self, (a, b): Pair) {
        let own = [self.causes.get(&a), self.causes.get(&b), self.touched.get(&a), self.touched.get(&b)];
        let Some(cause) = own.into_iter().flatten().min().or_else(|| self.causes.values().min()).cloned() else {
            return;
        };
        for slot in [a, b] {
            let kept = self.touched.entry(slot).or_insert_with(|| cause.clone());
            if cause < *kept {
                *kept = cause.clone();
            }
        }
    }
}

impl Resolver {
    /// Redoes everything that updates, deletions and judgements since the last drain have touched,
    /// and says which customers changed, sorted by smallest member.
    pub fn drain(&mut self) -> Vec<ClusterChange> {
        let mut dirty: Vec<(Slot, Redo)> = std::mem::take(&mut self.dirty).into_iter().collect();
        if dirty.is_empty() {
            return Vec::new();
        }
        dirty.sort_unstable_by_key(|(slot, _)| *slot);
        for (slot, _) in &dirty {
            self.refresh_generic(*slot);
        }
        let mut work = Work::of(&dirty);
        let pairs = self.propose(&dirty, &mut work);
        for (pair, edge) in self.judge_pairs(&pairs) {
            self.apply(pair, edge, &mut work);
        }
        self.judge_callers(&mut work);
        self.recluster(&work.touched)
    }

    /// Reads again which values of a record are generic.
    fn refresh_generic(&mut self, slot: Slot) {
        let index = &self.index;
        let Some(party) = &mut self.graph.nodes[slot as usize].party else { return };
        let (mut generic, mut generic_keys) = (FeatureSet::default(), 0u64);
        for (key, origin) in party.blocks.iter().filter(|(key, _)| key.is_value() && !index.is_live(*key)) {
            match origin {
                Origin::Value(feature) => generic.insert(*feature),
                Origin::Key(at) if *at < 64 => generic_keys |= 1 << at,
                Origin::Key(_) | Origin::Names => debug_assert!(key.is_value(), "names are no values"),
            }
        }
        party.subject.generic = generic;
        party.subject.generic_keys = generic_keys;
    }

    /// Candidate pairs of the dirty records, sorted; ends pairs that are no candidates any more.
    fn propose(&mut self, dirty: &[(Slot, Redo)], work: &mut Work) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let mut candidates = Vec::new();
        for (slot, redo) in dirty {
            self.candidates_into(*slot, &mut candidates);
            let neighbours = self.graph.node(*slot).neighbours.clone();
            for other in neighbours.iter().filter(|other| candidates.binary_search(other).is_err()) {
                self.end(pair(*slot, *other), work);
            }
            let is_open = |pair: &Pair| redo.rejudges || !self.graph.edges.contains_key(pair);
            pairs.extend(candidates.iter().map(|other| pair(*slot, *other)).filter(is_open));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Living records that share a live block with a record or that a person paired with it, sorted.
    fn candidates_into(&self, slot: Slot, candidates: &mut Vec<Slot>) {
        candidates.clear();
        let node = self.graph.node(slot);
        let Some(party) = &node.party else { return };
        for (key, _) in party.blocks.iter().filter(|(key, _)| self.index.is_live(*key)) {
            self.index.for_each(*key, |other| candidates.push(other));
        }
        candidates.extend(node.judged.iter().filter(|other| self.graph.party(**other).is_some()));
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|other| *other != slot);
    }

    /// Judges pairs as if no caller's number were known to be of one customer alone, except where it
    /// was known before: `judge_callers` decides that anew. In parallel where it pays; results
    /// come in the order of the pairs.
    fn judge_pairs(&self, pairs: &[Pair]) -> Vec<(Pair, Edge)> {
        let judge = |(a, b): &Pair| {
            let was_sole = self.graph.edges.get(&(*a, *b)).is_some_and(|edge| edge.is_sole_customer);
            judged(&self.graph, &self.model, (*a, *b), was_sole).map(|edge| ((*a, *b), edge))
        };
        if pairs.len() < PARALLEL_PAIRS_MIN {
            return pairs.iter().filter_map(judge).collect();
        }
        match self.pool.get_or_init(|| rayon::ThreadPoolBuilder::new().build().ok()) {
            Some(pool) => pool.install(|| pairs.par_iter().filter_map(judge).collect()),
            None => pairs.iter().filter_map(judge).collect(),
        }
    }

    /// Sets an edge and touches both records if anybody could see a difference.
    fn apply(&mut self, pair: Pair, mut edge: Edge, work: &mut Work) {
        let before = self.graph.edges.get(&pair).copied();
        edge.is_refused = edge.is_accepted(&self.model) && before.is_some_and(|known| known.is_refused);
        self.note_callers(pair, work);
        if before == Some(edge) {
            return;
        }
        self.graph.set_edge(pair, edge);
        self.note_review(pair, edge.state(&self.model));
        let is_seen = |known: &Edge| known.state(&self.model) != LinkState::Below;
        if is_seen(&edge) || before.as_ref().is_some_and(is_seen) {
            work.touch_both(pair);
        }
    }

    fn end(&mut self, pair: Pair, work: &mut Work) {
        self.note_callers(pair, work);
        self.review.remove(&pair);
        let ended = self.graph.take_edge(pair);
        if ended.is_some_and(|edge| edge.state(&self.model) != LinkState::Below) {
            work.touch_both(pair);
        }
    }

    fn note_callers(&self, (a, b): Pair, work: &mut Work) {
        work.callers.extend([a, b].into_iter().filter(|slot| self.graph.node(*slot).is_caller()));
    }

    pub(crate) fn note_review(&mut self, pair: Pair, state: LinkState) {
        if state == LinkState::Review {
            self.review.insert(pair);
        } else {
            self.review.remove(&pair);
        }
    }

    /// Decides for callers whether their number or address belongs to one customer alone. It
    /// depends on clusters of the other records, so it comes after their edges and before the
    /// clusters of all.
    fn judge_callers(&mut self, work: &mut Work) {
        let mut callers = std::mem::take(&mut work.callers);
        let seeds: Vec<Slot> = work.touched.keys().copied().collect();
        for slot in component(&self.graph, &self.model, Layer::WithoutCallers, &seeds) {
            let neighbours = self.graph.node(slot).neighbours.iter().copied();
            callers.extend(neighbours.filter(|other| self.graph.node(*other).is_caller()));
        }
        let mut sorted: Vec<Slot> = callers.into_iter().collect();
        sorted.sort_unstable();
        for caller in sorted {
            let sole = self.sole_contacts(caller);
            for other in self.graph.node(caller).neighbours.clone() {
                let pair = pair(caller, other);
                let Some(known) = self.graph.edges.get(&pair) else { continue };
                let is_sole = [(Feature::Phone, sole.phone), (Feature::Email, sole.email)]
                    .iter()
                    .any(|(feature, is_sole)| *is_sole && known.levels.of(*feature) == Level::Exact);
                let is_sole = is_sole && !self.graph.node(other).is_caller();
                if let Some(edge) = judged(&self.graph, &self.model, pair, is_sole) {
                    self.apply(pair, edge, work);
                }
            }
        }
    }

    /// Which contacts of a caller belong to members of exactly one customer.
    fn sole_contacts(&self, caller: Slot) -> SoleContacts {
        if self.model.sole_customer.is_none() || self.graph.party(caller).is_none() {
            return SoleContacts::default();
        }
        let sharing = |feature: Feature| -> Vec<Slot> {
            let shares = |other: &&Slot| {
                let agrees = |edge: &Edge| edge.levels.of(feature) == Level::Exact;
                !self.graph.node(**other).is_caller() && self.graph.edge(caller, **other).is_some_and(agrees)
            };
            self.graph.node(caller).neighbours.iter().filter(shares).copied().collect()
        };
        SoleContacts {
            phone: self.are_one_customer(&sharing(Feature::Phone)),
            email: self.are_one_customer(&sharing(Feature::Email)),
        }
    }

    /// Whether records other than callers form one customer without the help of callers.
    fn are_one_customer(&self, slots: &[Slot]) -> bool {
        if slots.len() < 2 {
            return slots.len() == 1;
        }
        let members = component(&self.graph, &self.model, Layer::WithoutCallers, slots);
        let clusters = partition(&self.graph, &self.model, &members).clusters;
        clusters.iter().any(|cluster| slots.iter().all(|slot| cluster.contains(slot)))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct SoleContacts {
    phone: bool,
    email: bool,
}

/// The edge of a pair by its current records; none if one of them is gone.
pub(crate) fn judged(graph: &Graph, model: &Model, pair: Pair, is_sole_customer: bool) -> Option<Edge> {
    let (a, b) = graph.by_key(pair);
    let (left, right) = (&graph.party(a)?.subject, &graph.party(b)?.subject);
    let levels = compare(left, right);
    let confidence: Confidence = score(model, levels, Circumstances::of(left, right), is_sole_customer).confidence;
    Some(Edge {
        levels,
        is_sole_customer,
        confidence,
        veto: automatic_veto(left, right),
        verdict: graph.verdict(a, b),
        is_refused: false,
    })
}
