//! Draining the redo queue: edges of what changed, then callers, then clusters.

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::answer::{Cause, ClusterChange, LinkState};
use crate::blocking::{BlockKey, BlockKinds, Proposals, keys_of};
use crate::compare::{Subject, compare, compare_above};
use crate::feature::Levels;
use crate::graph::{Edge, Graph, Pair, Party, automatic_veto, pair};
use crate::index::Slot;
use crate::model::{KEPT_MIN, Model};
use crate::resolver::{Redo, RedoWork, Resolver, Scope};
use crate::score::{Circumstances, Standing, score};
use crate::sketch::worth_at_most;

/// Batches of fewer pairs are scored where they are: handing them out would cost more. What is fetched
/// ahead for so few does not push each other out again.
const PARALLEL_PAIRS_MIN: usize = 512;

/// Records whose pairs are proposed and judged together: what is held at a time has a bound.
const BATCH_RECORDS: usize = 4096;

/// Records whose customer has to be looked at again, with the reason.
pub(crate) type Touched = HashMap<Slot, Cause>;

/// What a drain has found out so far.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    /// The redo queue, by slot.
    queue: &'a [(Slot, Redo)],
    /// Records of which somebody could see a difference.
    pub(crate) touched: Touched,
    /// Callers whose number has to be judged again.
    pub(crate) callers: HashSet<Slot>,
}

impl<'a> Work<'a> {
    fn of(queue: &'a [(Slot, Redo)]) -> Self {
        let cause = |(slot, redo): &(Slot, Redo)| (*slot, redo.cause.clone());
        let is_judged = |(_, redo): &&(Slot, Redo)| redo.work == RedoWork::Judge;
        Work { queue, touched: queue.iter().filter(is_judged).map(cause).collect(), callers: HashSet::new() }
    }

    /// Why a record is on the redo queue.
    fn cause(&self, slot: Slot) -> Option<&Cause> {
        let place = self.queue.binary_search_by_key(&slot, |(queued, _)| *queued).ok()?;
        Some(&self.queue[place].1.cause)
    }

    /// Touches the records of a pair for the first cause that either has. Only a caller that is
    /// judged again for the sake of others has none of its own: then the first cause of all.
    fn touch_both(&mut self, (a, b): Pair) {
        let own = [self.cause(a), self.cause(b), self.touched.get(&a), self.touched.get(&b)];
        let all = || self.queue.iter().map(|(_, redo)| &redo.cause).min();
        let Some(cause) = own.into_iter().flatten().min().or_else(all).cloned() else { return };
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
        let mut work = Work::of(&dirty);
        for batch in dirty.chunks(BATCH_RECORDS) {
            let pairs = self.propose(batch, &mut work);
            self.compared += pairs.len() as u64;
            for (pair, edge) in self.judge_pairs(&pairs) {
                match edge {
                    Some(edge) => self.apply(pair, edge, &mut work),
                    None if self.graph.has_edge(pair) => self.end(pair, &mut work),
                    None => {}
                }
            }
        }
        self.judge_callers(&mut work);
        self.recluster(work.touched)
    }

    /// Candidate pairs of the dirty records, sorted; ends pairs that are no candidates any more.
    fn propose(&mut self, dirty: &[(Slot, Redo)], work: &mut Work<'_>) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let mut candidates = Vec::new();
        for (slot, redo) in dirty {
            if redo.work == RedoWork::End {
                self.end_parted(*slot, work);
                continue;
            }
            self.candidates_into(*slot, &mut candidates);
            if !self.graph.node(*slot).neighbours.is_empty() {
                let neighbours = self.graph.node(*slot).neighbours.clone();
                for other in neighbours.iter().filter(|other| candidates.binary_search(other).is_err()) {
                    self.end(pair(*slot, *other), work);
                }
            }
            let is_open = |pair: &Pair| redo.work == RedoWork::Judge || !self.graph.edges.contains_key(pair);
            pairs.extend(candidates.iter().map(|other| pair(*slot, *other)).filter(is_open));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Ends pairs of a record that no block proposes any more.
    fn end_parted(&mut self, slot: Slot, work: &mut Work<'_>) {
        let neighbours = self.graph.node(slot).neighbours.clone();
        for other in neighbours {
            if !self.are_proposed(slot, other) {
                self.end(pair(slot, other), work);
            }
        }
    }

    /// Whether blocking proposes a pair, or a person did.
    pub(crate) fn are_proposed(&self, a: Slot, b: Slot) -> bool {
        let is_judged = self.graph.judged.get(&a).is_some_and(|others| others.contains(&b));
        is_judged || self.meets(a, b).is_some_and(|[left, right]| self.live_in_common(&left, &right).next().is_some())
    }

    /// Kinds of live blocks that two records have in common; none if their pair is out of scope.
    pub(crate) fn met_by(&self, a: Slot, b: Slot) -> BlockKinds {
        let mut kinds = BlockKinds::default();
        if let Some([left, right]) = self.meets(a, b) {
            self.live_in_common(&left, &right).for_each(|key| kinds.insert(key.kind()));
        }
        kinds
    }

    /// The blocks of two living records whose pair is in scope.
    fn meets(&self, a: Slot, b: Slot) -> Option<[Proposals; 2]> {
        let (left, right) = (&self.graph.party(a)?.subject, &self.graph.party(b)?.subject);
        let is_met = !self.is_out_of_scope(left, right);
        is_met.then(|| [keys_of(&left.standard), keys_of(&right.standard)])
    }

    /// Blocks that propose pairs now and that both records are in.
    fn live_in_common(&self, left: &Proposals, right: &Proposals) -> impl Iterator<Item = BlockKey> {
        left.blocks().iter().flat_map(move |block| {
            let other = right.find(block.key);
            let is_live = other.is_some() && self.index.is_live(block.key);
            let refined = other.filter(|_| !is_live).map(|other| (left.refinements(block), right.refinements(other)));
            let (inner, others) = refined.unwrap_or_default();
            let shared = inner.iter().filter(|key| others.contains(key) && self.index.is_live(**key));
            is_live.then_some(block.key).into_iter().chain(shared.copied())
        })
    }

    fn is_out_of_scope(&self, left: &Subject, right: &Subject) -> bool {
        self.scope == Scope::Across && left.standard.source == right.standard.source
    }

    /// Living records that share a live block with a record or that a person paired with it, sorted.
    pub(crate) fn candidates_into(&self, slot: Slot, candidates: &mut Vec<Slot>) {
        candidates.clear();
        let Some(party) = self.graph.party(slot) else { return };
        if self.latest == Some(slot) {
            candidates.extend_from_slice(&self.met);
        } else {
            self.meet(&keys_of(&party.subject.standard), candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        // Only living records are in the index.
        candidates.retain(|other| *other != slot);
        if self.scope == Scope::Across {
            let is_met = |other: &Party| !self.is_out_of_scope(&party.subject, &other.subject);
            candidates.retain(|other| self.graph.party(*other).is_some_and(is_met));
        }
        if let Some(judged) = self.graph.judged.get(&slot) {
            candidates.extend(judged.iter().filter(|other| self.graph.party(**other).is_some()));
            candidates.sort_unstable();
            candidates.dedup();
        }
    }

    /// Adds the members of the live blocks of a record, some several times.
    fn meet(&self, proposals: &Proposals, candidates: &mut Vec<Slot>) {
        self.index.touch(proposals.blocks().iter().map(|block| block.key));
        for block in proposals.blocks() {
            if !self.index.for_each_if_live(block.key, |other| candidates.push(other)) {
                for refinement in proposals.refinements(block) {
                    self.index.for_each_if_live(*refinement, |other| candidates.push(other));
                }
            }
        }
    }

    /// Judges pairs; of callers what was known before of where they stand, which `judge_callers` decides
    /// anew. In parallel where it pays; results come in the order of the pairs.
    /// Pairs that are not worth keeping come without an edge.
    fn judge_pairs(&self, pairs: &[Pair]) -> Vec<(Pair, Option<Edge>)> {
        let judge = |pair: &Pair| (*pair, self.may_be_kept(*pair).then(|| self.judge_pair(*pair)).flatten());
        if pairs.len() < PARALLEL_PAIRS_MIN {
            return self.judge_ahead(pairs);
        }
        match self.pool.get_or_init(|| rayon::ThreadPoolBuilder::new().build().ok()) {
            Some(pool) => pool.install(|| pairs.par_iter().map(judge).collect()),
            None => pairs.iter().map(judge).collect(),
        }
    }

    /// Judges few pairs, each step for all of them: so what one step reads is fetched together.
    fn judge_ahead(&self, pairs: &[Pair]) -> Vec<(Pair, Option<Edge>)> {
        let sketch = |slot: Slot| self.graph.sketches[slot as usize].touch();
        std::hint::black_box(pairs.iter().fold(0, |all, (a, b)| all ^ sketch(*a) ^ sketch(*b)));
        let mut judged: Vec<(Pair, Option<Edge>)> = pairs.iter().map(|pair| (*pair, None)).collect();
        let mut may_be: SmallVec<[usize; 16]> = SmallVec::new();
        may_be.extend((0..pairs.len()).filter(|at| self.may_be_kept(pairs[*at])));
        let ends = || may_be.iter().flat_map(|at| [pairs[*at].0, pairs[*at].1]);
        let present = |slot: Slot| self.graph.party(slot).map_or(0, |party| party.subject.standard.present());
        std::hint::black_box(ends().fold(0, |all, slot| all ^ present(slot)));
        let parts = |slot: Slot| self.graph.party(slot).map_or(0, |party| party.subject.standard.touch());
        std::hint::black_box(ends().fold(0, |all, slot| all ^ parts(slot)));
        for at in may_be {
            judged[at].1 = self.judge_pair(pairs[at]);
        }
        judged
    }

    /// Whether a pair may be worth keeping by what shows at a glance.
    fn may_be_kept(&self, (a, b): Pair) -> bool {
        let (left, right) = (&self.graph.sketches[a as usize], &self.graph.sketches[b as usize]);
        worth_at_most(&self.model, left, right).is_none_or(|most| most >= self.model.kept_millibits)
            || self.graph.verdict(a, b).is_some()
    }

    /// The edge of a pair; none if it scores too low to be kept, which is told as soon as it shows.
    fn judge_pair(&self, pair: Pair) -> Option<Edge> {
        let (a, b) = pair;
        let has_caller = self.graph.node(a).is_caller() || self.graph.node(b).is_caller();
        let is_told_whole = has_caller || self.graph.verdict(a, b).is_some();
        let (left, right) = (&self.graph.party(a)?.subject, &self.graph.party(b)?.subject);
        let levels = if is_told_whole {
            compare(left, right)
        } else {
            compare_above(&self.model, left, right, self.model.kept_millibits)?
        };
        let before = if has_caller { self.graph.edges.get(&pair) } else { None };
        let standing = before.map(|edge| edge.standing).unwrap_or_default();
        Some(edge_of(&self.graph, &self.model, pair, levels, standing))
    }

    /// Sets an edge and touches both records if anybody could see a difference.
    pub(crate) fn apply(&mut self, pair: Pair, mut edge: Edge, work: &mut Work<'_>) {
        let before = self.graph.edges.get(&pair).copied();
        edge.is_refused = edge.is_accepted(&self.model) && before.is_some_and(|known| known.is_refused);
        self.note_callers(pair, work);
        if before == Some(edge) {
            return;
        }
        if !self.is_kept(pair, &edge) {
            if before.is_some() {
                self.end(pair, work);
            }
            return;
        }
        self.graph.set_edge(pair, edge);
        self.note_review(pair, edge.state(&self.model));
        let is_seen = |known: &Edge| known.state(&self.model) != LinkState::Below;
        if is_seen(&edge) || before.as_ref().is_some_and(is_seen) {
            work.touch_both(pair);
        }
    }

    fn is_kept(&self, (a, b): Pair, edge: &Edge) -> bool {
        let has_caller = || self.graph.node(a).is_caller() || self.graph.node(b).is_caller();
        edge.confidence >= KEPT_MIN || edge.verdict.is_some() || has_caller()
    }

    fn end(&mut self, pair: Pair, work: &mut Work<'_>) {
        self.note_callers(pair, work);
        self.note_review(pair, LinkState::Below);
        let ended = self.graph.take_edge(pair);
        if ended.is_some_and(|edge| edge.state(&self.model) != LinkState::Below) {
            work.touch_both(pair);
        }
    }

    fn note_callers(&self, (a, b): Pair, work: &mut Work<'_>) {
        if !self.graph.has_callers {
            return;
        }
        work.callers.extend([a, b].into_iter().filter(|slot| self.graph.node(*slot).is_caller()));
    }

    pub(crate) fn note_review(&mut self, pair: Pair, state: LinkState) {
        let is_news = if state == LinkState::Review { self.review.insert(pair) } else { self.review.remove(&pair) };
        if is_news {
            self.review_news.push(pair);
        }
    }
}

/// The edge of a pair by its current records; none if one of them is gone.
pub(crate) fn judged(graph: &Graph, model: &Model, pair: Pair, standing: Standing) -> Option<Edge> {
    let (left, right) = (&graph.party(pair.0)?.subject, &graph.party(pair.1)?.subject);
    Some(edge_of(graph, model, pair, compare(left, right), standing))
}

/// The edge of two living records by their levels.
fn edge_of(graph: &Graph, model: &Model, (a, b): Pair, levels: Levels, standing: Standing) -> Edge {
    let subject = |slot: Slot| &graph.party(slot).expect("the caller looked at both records").subject;
    let (left, right) = (subject(a), subject(b));
    let scored = score(model, levels, Circumstances::of(left, right), standing);
    Edge {
        levels,
        standing,
        confidence: scored.confidence,
        total_millibits: scored.total_millibits,
        veto: automatic_veto(left, right),
        verdict: graph.verdict(a, b),
        is_refused: false,
    }
}
