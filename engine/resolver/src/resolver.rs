//! The resolver and its inputs: records, deletions, judgements.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use hashbrown::{HashMap, HashSet};
use ontology::{CustomerId, EntityKey, EntityKind, PartyRecord};

use crate::answer::{Cause, Cluster};
use crate::blocking::{BlockKey, Origin, keys_of};
use crate::compare::Subject;
use crate::feature::FeatureSet;
use crate::graph::{Graph, Pair, Party, pair};
use crate::index::{Flip, Index, Slot};
use crate::judgement::Judgement;
use crate::model::Model;
use crate::standard::Standard;

/// What is to be redone for a record.
#[derive(Debug, Clone)]
pub(crate) struct Redo {
    /// Why; of several causes the first in order.
    pub(crate) cause: Cause,
    /// Whether pairs that are judged already are judged again: not where only a block of names
    /// flipped, because names in a block are no evidence.
    pub(crate) rejudges: bool,
}

/// Resolves party records to customers. One per deployment; everything in it can be rebuilt from
/// the current records and the judgements, in any order.
#[derive(Debug)]
pub struct Resolver {
    pub(crate) model: Model,
    pub(crate) index: Index,
    pub(crate) graph: Graph,
    /// Customers as of the last drain.
    pub(crate) clusters: HashMap<CustomerId, Cluster>,
    /// Which record an id was made from.
    pub(crate) owners: HashMap<CustomerId, Slot>,
    /// Pairs that wait for a person.
    pub(crate) review: HashSet<Pair>,
    /// The redo queue: records whose edges are to be judged again, with the reason.
    pub(crate) dirty: HashMap<Slot, Redo>,
    /// Made when the first large batch comes; none if the machine gives no threads.
    pub(crate) pool: OnceLock<Option<rayon::ThreadPool>>,
}

impl Resolver {
    /// A resolver without records.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Resolver {
            index: Index::new(model.generic_max, model.block_max),
            model,
            graph: Graph::default(),
            clusters: HashMap::new(),
            owners: HashMap::new(),
            review: HashSet::new(),
            dirty: HashMap::new(),
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
        let fingerprint = fingerprint(&record);
        if let Some(known) = &mut self.graph.node_mut(slot).party
            && known.fingerprint == fingerprint
        {
            return;
        }
        let standard = Standard::of(&record, &self.model);
        if let Some(known) = &mut self.graph.node_mut(slot).party
            && known.subject.standard == standard
        {
            known.fingerprint = fingerprint;
            return;
        }
        let blocks = keys_of(&standard);
        let old = self.graph.node_mut(slot).party.take();
        let old_blocks = old.map(|party| party.blocks).unwrap_or_default();
        let subject = Subject { standard, generic: FeatureSet::default(), generic_keys: 0 };
        self.reindex(slot, &old_blocks, &blocks);
        self.graph.node_mut(slot).party = Some(Party { fingerprint, subject, blocks });
        self.mark(slot, Cause::Changed(record.key));
    }

    /// Forgets a deleted record and ends its pairs; judgements stay for its return.
    pub fn remove(&mut self, key: &EntityKey) {
        let Some(slot) = self.graph.slot(key) else { return };
        let Some(party) = self.graph.node_mut(slot).party.take() else { return };
        self.reindex(slot, &party.blocks, &[]);
        self.mark(slot, Cause::Removed(key.clone()));
    }

    /// Takes a person's decision on a pair. The records need not have been seen yet. The latest by
    /// time, then actor, counts; a repeat changes nothing.
    pub fn judge(&mut self, left: EntityKey, right: EntityKey, judgement: Judgement) {
        if left == right {
            return;
        }
        let (a, b) = (self.intern(&left), self.intern(&right));
        if !self.graph.judgements.entry(pair(a, b)).or_default().add(judgement) {
            return;
        }
        for (one, other) in [(a, b), (b, a)] {
            let judged = &mut self.graph.node_mut(one).judged;
            if !judged.contains(&other) {
                judged.push(other);
            }
        }
        let (left, right) = if left < right { (left, right) } else { (right, left) };
        let cause = Cause::Judged { left, right };
        self.mark(a, cause.clone());
        self.mark(b, cause);
    }

    fn intern(&mut self, key: &EntityKey) -> Slot {
        let slot = self.graph.intern(key);
        if slot as usize == self.owners.len() {
            self.owners.insert(self.graph.node(slot).own_customer.clone(), slot);
        }
        slot
    }

    /// Moves a record between blocks and marks the records of every block that flipped.
    fn reindex(&mut self, slot: Slot, old: &[(BlockKey, Origin)], new: &[(BlockKey, Origin)]) {
        let system = system_of(self.graph.node(slot).key.kind);
        let lacks = |keys: &[(BlockKey, Origin)], key: BlockKey| keys.binary_search_by_key(&key, |(k, _)| *k).is_err();
        let mut flipped = Vec::new();
        for (key, _) in old.iter().filter(|(key, _)| lacks(new, *key)) {
            if self.index.take(*key, slot, system) == Flip::Yes {
                flipped.push(*key);
            }
        }
        for (key, _) in new.iter().filter(|(key, _)| lacks(old, *key)) {
            if self.index.add(*key, slot, system) == Flip::Yes {
                flipped.push(*key);
            }
        }
        for key in flipped {
            let mut members = Vec::new();
            self.index.for_each(key, |member| members.push(member));
            for member in members {
                self.mark_redo(member, Cause::Generic, key.is_value());
            }
        }
    }

    fn mark(&mut self, slot: Slot, cause: Cause) {
        self.mark_redo(slot, cause, true);
    }

    fn mark_redo(&mut self, slot: Slot, cause: Cause, rejudges: bool) {
        let kept = self.dirty.entry(slot).or_insert_with(|| Redo { cause: cause.clone(), rejudges });
        kept.rejudges |= rejudges;
        if cause < kept.cause {
            kept.cause = cause;
        }
    }
}

fn system_of(kind: EntityKind) -> usize {
    let parties = EntityKind::PARTIES;
    parties.iter().position(|party| *party == kind).unwrap_or(parties.len() - 1)
}

/// 128 bits of hash over every field that the resolver reads.
fn fingerprint(record: &PartyRecord) -> [u64; 2] {
    let PartyRecord {
        key,
        party_type,
        name,
        given_name,
        family_name,
        tax_id,
        duns,
        email,
        phone,
        birth_date,
        street,
        house_number,
        city,
        postal_code,
        region,
        country,
        web_domain,
        xrefs,
        blocked,
    } = record;
    let texts = [
        name,
        given_name,
        family_name,
        tax_id,
        duns,
        email,
        phone,
        birth_date,
        street,
        house_number,
        city,
        postal_code,
        region,
        country,
        web_domain,
    ];
    [0u8, 1].map(|half| {
        let mut hasher = DefaultHasher::new();
        half.hash(&mut hasher);
        key.hash(&mut hasher);
        party_type.map(|kind| kind as u8).hash(&mut hasher);
        texts.hash(&mut hasher);
        xrefs.as_slice().hash(&mut hasher);
        blocked.iter().for_each(|field| (*field as u16).hash(&mut hasher));
        hasher.finish()
    })
}
