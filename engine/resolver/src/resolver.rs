//! The resolver and its inputs: records, deletions, judgements, another model.

use std::sync::OnceLock;

use hashbrown::{HashMap, HashSet};
use ontology::{CustomerId, EntityKey, EntityKind, PartyRecord};
use smallvec::SmallVec;

use crate::answer::Cause;
use crate::blocking::{Block, BlockKey, Origin, Proposals, keys_of};
use crate::compare::Subject;
use crate::feature::FeatureSet;
use crate::fingerprint::{of_record, of_row};
use crate::graph::{Graph, Pair, Party};
use crate::index::{Flip, Index, Slot};
use crate::model::Model;
use crate::row::Row;
use crate::sketch::Sketch;
use crate::standard::Standard;

/// Which pairs are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Records of one source and of several.
    #[default]
    All,
    /// Records of different sources only: each source is known to hold nobody twice.
    Across,
}

/// What is to be redone for a record.
#[derive(Debug, Clone)]
pub(crate) struct Redo {
    /// Why; of several causes the first in order.
    pub(crate) cause: Cause,
    pub(crate) work: RedoWork,
}

/// How much is to be redone, from little to all. What is common to many is no evidence: where such
/// a block flips, pairs come or go, but none is judged anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RedoWork {
    /// Pairs that no block proposes any more end.
    End,
    /// Pairs that are new are judged as well.
    Open,
    /// All pairs are judged again.
    Judge,
}

/// Resolves party records to customers. One per deployment; everything in it can be rebuilt from
/// the current records and the judgements, in any order.
#[derive(Debug)]
pub struct Resolver {
    pub(crate) model: Model,
    pub(crate) scope: Scope,
    pub(crate) index: Index,
    pub(crate) graph: Graph,
    /// Members of customers of more than one, by their smallest.
    pub(crate) groups: HashMap<Slot, Box<[Slot]>>,
    /// Which record an id was made from, by the first half of the id; made when it is first asked.
    pub(crate) owners: OnceLock<HashMap<u64, Slot>>,
    /// Pairs that wait for a person.
    pub(crate) review: HashSet<Pair>,
    /// Pairs that came into review or left it since the last question; may hold repeats.
    pub(crate) review_news: Vec<Pair>,
    /// The redo queue: records whose edges are to be judged again, with the reason.
    pub(crate) dirty: HashMap<Slot, Redo>,
    /// The record that came last, if it was new: its pairs are looked for next.
    pub(crate) latest: Option<Slot>,
    /// Members of the live blocks that it came to, some several times.
    pub(crate) met: Vec<Slot>,
    /// Pairs compared since the beginning.
    pub(crate) compared: u64,
    /// Made when the first large batch comes; none if the machine gives no threads.
    pub(crate) pool: OnceLock<Option<rayon::ThreadPool>>,
}

impl Resolver {
    /// A resolver without records.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Resolver::with_scope(model, Scope::All)
    }

    /// A resolver without records that looks at some pairs only.
    #[must_use]
    pub fn with_scope(model: Model, scope: Scope) -> Self {
        Resolver {
            index: Index::new(model.generic_max, model.block_max),
            model,
            scope,
            graph: Graph::default(),
            groups: HashMap::new(),
            owners: OnceLock::new(),
            review: HashSet::new(),
            review_news: Vec::new(),
            dirty: HashMap::new(),
            latest: None,
            met: Vec::new(),
            compared: 0,
            pool: OnceLock::new(),
        }
    }

    /// The model that decides.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Records whose pairs wait to be judged again by [`Resolver::drain`].
    #[must_use]
    pub fn pending(&self) -> usize {
        self.dirty.len()
    }

    /// Takes a new record, or a new version of one. A version with equal features changes nothing
    /// and costs a hash of the record.
    pub fn upsert(&mut self, record: PartyRecord) {
        let slot = self.intern(&record.key);
        let fingerprint = of_record(&record);
        if self.is_known(slot, fingerprint) {
            return;
        }
        let standard = Standard::of(&record, &self.model);
        self.put(slot, fingerprint, standard);
    }

    /// Takes a row of a table, or a new version of one.
    pub fn upsert_row(&mut self, row: &Row) {
        let slot = self.intern(&row.key);
        let fingerprint = of_row(row);
        if self.is_known(slot, fingerprint) {
            return;
        }
        let standard = Standard::of_row(row, &self.model);
        self.put(slot, fingerprint, standard);
    }

    /// Forgets a deleted record and ends its pairs; judgements stay for its return.
    pub fn remove(&mut self, key: &EntityKey) {
        let Some(slot) = self.graph.slot(key) else { return };
        let Some(party) = self.graph.node_mut(slot).party.take() else { return };
        self.latest = None;
        self.reindex(slot, &keys_of(&party.subject.standard), &Proposals::default(), &mut Vec::new());
        self.mark(slot, Cause::Removed(key.clone()));
    }

    fn is_known(&mut self, slot: Slot, fingerprint: [u64; 2]) -> bool {
        self.graph.node(slot).party.as_ref().is_some_and(|party| party.fingerprint == fingerprint)
    }

    fn put(&mut self, slot: Slot, fingerprint: [u64; 2], standard: Standard) {
        if let Some(known) = &mut self.graph.node_mut(slot).party
            && known.subject.standard == standard
        {
            known.fingerprint = fingerprint;
            return;
        }
        let new = keys_of(&standard);
        let old = self.graph.node_mut(slot).party.take();
        let old = old.map(|party| keys_of(&party.subject.standard)).unwrap_or_default();
        // The record is in place before blocks flip, because a flip reads its members.
        self.graph.node_mut(slot).party = Some(Party { fingerprint, subject: Subject::of(standard) });
        let mut met = std::mem::take(&mut self.met);
        met.clear();
        self.reindex(slot, &old, &new, &mut met);
        self.met = met;
        self.latest = old.blocks().is_empty().then_some(slot);
        self.note_generic(slot, &new);
        let cause = Cause::Changed(self.graph.node(slot).key.clone());
        self.mark(slot, cause);
    }

    pub(crate) fn intern(&mut self, key: &EntityKey) -> Slot {
        let (slot, is_new) = self.graph.intern(key);
        if is_new && let Some(owners) = self.owners.get_mut() {
            owners.insert(half_of(&CustomerId::of_member(key)), slot);
        }
        slot
    }

    /// Moves a record between blocks and marks the records of every block that flipped. Refinements
    /// are in the index exactly while what they refine is past its cap: so they go before it, and
    /// come after it. `met` gets the members of live blocks to which the record comes.
    fn reindex(&mut self, slot: Slot, old: &Proposals, new: &Proposals, met: &mut Vec<Slot>) {
        let system = system_of(self.graph.node(slot).key.kind);
        let goes =
            |block: &Block, key: &BlockKey| new.find(block.key).is_none_or(|kept| !new.refinements(kept).contains(key));
        for block in old.blocks() {
            let gone = old.refinements(block).iter().filter(|key| goes(block, key));
            for (at, key) in gone.enumerate() {
                if at == 0 && self.index.is_live(block.key) {
                    break;
                }
                let flip = self.index.take(*key, slot, system);
                self.flip(*key, flip, slot);
            }
        }
        for block in old.blocks().iter().filter(|block| new.find(block.key).is_none()) {
            let flip = self.index.take(block.key, slot, system);
            self.flip(block.key, flip, slot);
        }
        self.index.touch(new.blocks().iter().map(|block| block.key));
        for block in new.blocks().iter().filter(|block| old.find(block.key).is_none()) {
            let flip = self.index.add(block.key, slot, system, met);
            self.flip(block.key, flip, slot);
        }
        let comes =
            |block: &Block, key: &BlockKey| old.find(block.key).is_none_or(|kept| !old.refinements(kept).contains(key));
        let mut coming: SmallVec<[BlockKey; 64]> = SmallVec::new();
        for block in new.blocks() {
            let start = coming.len();
            coming.extend(new.refinements(block).iter().filter(|key| comes(block, key)).copied());
            if coming.len() > start && self.index.is_live(block.key) {
                coming.truncate(start);
            }
        }
        self.index.touch(coming.iter().copied());
        for key in coming {
            let flip = self.index.add(key, slot, system, met);
            self.flip(key, flip, slot);
        }
    }

    /// Marks the members of a block that flipped, and puts them into its refinements or takes them
    /// out. `mover` is the record that comes or goes: its own refinements are the caller's.
    fn flip(&mut self, key: BlockKey, flip: Flip, mover: Slot) {
        if flip == Flip::No {
            return;
        }
        let members = self.mark_members(key, flip);
        let mut unmet = Vec::new();
        if key.kind().is_value() {
            for member in members.into_iter().filter(|member| *member != mover) {
                let proposals = self.graph.party(member).map(|party| keys_of(&party.subject.standard));
                self.note_generic(member, &proposals.unwrap_or_default());
            }
            return;
        }
        for member in members.into_iter().filter(|member| *member != mover) {
            let Some(party) = self.graph.party(member) else { continue };
            let system = system_of(self.graph.node(member).key.kind);
            let proposals = keys_of(&party.subject.standard);
            let Some(block) = proposals.find(key) else { continue };
            for refinement in proposals.refinements(block) {
                let inner = match flip {
                    Flip::ToRetired => self.index.add(*refinement, member, system, &mut unmet),
                    Flip::ToLive => self.index.take(*refinement, member, system),
                    Flip::No => Flip::No,
                };
                if inner != Flip::No {
                    self.mark_members(*refinement, inner);
                }
            }
        }
    }

    /// Notes which values of a record are generic now.
    fn note_generic(&mut self, slot: Slot, proposals: &Proposals) {
        let (mut generic, mut generic_keys) = (FeatureSet::default(), 0u64);
        for Block { key, origin, .. } in proposals.blocks() {
            match origin {
                Origin::Shared => {}
                Origin::Value(_) | Origin::Key(_) if self.index.is_live(*key) => {}
                Origin::Value(feature) => generic.insert(*feature),
                Origin::Key(at) if *at < 64 => generic_keys |= 1 << at,
                Origin::Key(_) => {}
            }
        }
        if let Some(party) = &mut self.graph.node_mut(slot).party {
            party.subject.generic = generic;
            party.subject.generic_keys = generic_keys;
            self.graph.sketches[slot as usize] = Sketch::of(&party.subject.standard, generic);
        }
    }

    /// Marks the members of a block that flipped, and names them.
    fn mark_members(&mut self, key: BlockKey, flip: Flip) -> Vec<Slot> {
        let work = match flip {
            _ if key.kind().is_value() => RedoWork::Judge,
            Flip::ToLive => RedoWork::Open,
            Flip::ToRetired | Flip::No => RedoWork::End,
        };
        let mut members = Vec::new();
        self.index.for_each(key, |member| members.push(member));
        members.sort_unstable();
        for member in &members {
            // Where a block ends, only pairs that are kept and lie within it may end with it.
            let is_concerned = work != RedoWork::End
                || self.graph.node(*member).neighbours.iter().any(|other| members.binary_search(other).is_ok());
            if is_concerned {
                self.mark_redo(*member, Cause::Generic, work);
            }
        }
        members
    }

    pub(crate) fn mark(&mut self, slot: Slot, cause: Cause) {
        self.mark_redo(slot, cause, RedoWork::Judge);
    }

    pub(crate) fn mark_redo(&mut self, slot: Slot, cause: Cause, work: RedoWork) {
        match self.dirty.get_mut(&slot) {
            None => {
                self.dirty.insert(slot, Redo { cause, work });
            }
            Some(kept) => {
                kept.work = kept.work.max(work);
                if cause < kept.cause {
                    kept.cause = cause;
                }
            }
        }
    }
}

/// The first 64 bits of an id, which is the hexadecimal of 80.
pub(crate) fn half_of(id: &CustomerId) -> u64 {
    id.0.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

fn system_of(kind: EntityKind) -> usize {
    let parties = EntityKind::PARTIES;
    parties.iter().position(|party| *party == kind).unwrap_or(parties.len() - 1)
}
