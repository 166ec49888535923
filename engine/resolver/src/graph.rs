//! The graph of records and candidate pairs. Clusters are a function of it.

use std::hash::BuildHasher;

use compact_str::CompactString;
use hashbrown::DefaultHashBuilder;
use hashbrown::{HashMap, HashTable};
use ontology::status::Verdict;
use ontology::{CustomerId, EntityKey, EntityKind};
use smallvec::SmallVec;

use crate::answer::{LinkState, WhyNotAutomatic};
use crate::compare::{Subject, keys_conflict, tax_ids_conflict};
use crate::confidence::Confidence;
use crate::feature::Levels;
use crate::index::Slot;
use crate::judgement::Judgements;
use crate::model::Model;
use crate::score::Standing;
use crate::sketch::Sketch;

/// Two slots, the smaller first.
pub(crate) type Pair = (Slot, Slot);

/// A pair from two slots in any order.
pub(crate) fn pair(a: Slot, b: Slot) -> Pair {
    if a < b { (a, b) } else { (b, a) }
}

/// One party record. Its slot stays when it is deleted, because judgements may name it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: EntityKey,
    /// The record, while it lives.
    pub(crate) party: Option<Party>,
    /// Other ends of the node's edges.
    pub(crate) neighbours: SmallVec<[Slot; 4]>,
    /// Smallest member of the customer it is in since the last drain; none before the first and after
    /// deletion.
    pub(crate) home: Option<Slot>,
}

impl Node {
    pub(crate) fn is_caller(&self) -> bool {
        self.key.kind == EntityKind::CallerProfile
    }
}

/// What is compared and blocked of a living record.
#[derive(Debug)]
pub(crate) struct Party {
    /// Hash of the record as it came: an equal one is the same record.
    pub(crate) fingerprint: [u64; 2],
    pub(crate) subject: Subject,
}

/// A candidate pair with its comparison vector, so that a score can be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) levels: Levels,
    pub(crate) standing: Standing,
    pub(crate) confidence: Confidence,
    pub(crate) total_millibits: i32,
    pub(crate) veto: Option<WhyNotAutomatic>,
    pub(crate) verdict: Option<Verdict>,
    /// Accepted, but its union would have held a vetoed pair.
    pub(crate) is_refused: bool,
}

impl Edge {
    /// Whether clustering may use it.
    pub(crate) fn is_accepted(&self, model: &Model) -> bool {
        match self.verdict {
            Some(Verdict::Link) => true,
            Some(Verdict::Unlink) => false,
            None => self.veto.is_none() && self.confidence >= model.link_min,
        }
    }

    pub(crate) fn is_human(&self) -> bool {
        self.verdict == Some(Verdict::Link)
    }

    /// Confidence of the pair as an accepted link.
    pub(crate) fn link_confidence(&self) -> Confidence {
        if self.is_human() { Confidence::CERTAIN } else { self.confidence }
    }

    pub(crate) fn state(&self, model: &Model) -> LinkState {
        if self.verdict == Some(Verdict::Unlink) {
            LinkState::Unlinked
        } else if self.is_accepted(model) {
            if self.is_refused { LinkState::Review } else { LinkState::Linked }
        } else if self.confidence >= model.review_min {
            LinkState::Review
        } else {
            LinkState::Below
        }
    }

    pub(crate) fn why_not_automatic(&self, model: &Model) -> Option<WhyNotAutomatic> {
        if self.state(model) != LinkState::Review {
            None
        } else if self.is_refused {
            Some(WhyNotAutomatic::ClusterConflict)
        } else {
            Some(self.veto.unwrap_or(WhyNotAutomatic::ReviewBand))
        }
    }
}

/// All records, candidate pairs and judgements.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// Sketches of the living records, by slot.
    pub(crate) sketches: Vec<Sketch>,
    /// Slots by the hash of their keys, which lie in the nodes.
    slots: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    pub(crate) edges: HashMap<Pair, Edge>,
    pub(crate) judgements: HashMap<Pair, Judgements>,
    /// Whether a caller profile was ever seen: without one nothing is judged by callers' rules.
    pub(crate) has_callers: bool,
    /// The pair that each record of a decision is about.
    pub(crate) sayings: HashMap<CompactString, Pair>,
    /// Other ends of a record's judgements.
    pub(crate) judged: HashMap<Slot, SmallVec<[Slot; 2]>>,
    /// Records and pairs looked at to form customers since the beginning, again ones included.
    pub(crate) visited: u64,
}

impl Graph {
    pub(crate) fn slot(&self, key: &EntityKey) -> Option<Slot> {
        self.slots.find(self.hasher.hash_one(key), |slot| self.nodes[*slot as usize].key == *key).copied()
    }

    /// The slot of a record, made if it has none yet; whether it was made.
    pub(crate) fn intern(&mut self, key: &EntityKey) -> (Slot, bool) {
        if let Some(slot) = self.slot(key) {
            return (slot, false);
        }
        // Two bits of an index entry tell the system.
        let slot = Slot::try_from(self.nodes.len()).ok().filter(|slot| *slot < 1 << 29);
        let slot = slot.expect("fewer than 2^29 party records fit in memory");
        self.nodes.push(Node { key: key.clone(), party: None, neighbours: SmallVec::new(), home: None });
        self.sketches.push(Sketch::default());
        self.has_callers |= key.kind == EntityKind::CallerProfile;
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let hash_of = |slot: &Slot| hasher.hash_one(&nodes[*slot as usize].key);
        self.slots.insert_unique(hasher.hash_one(key), slot, hash_of);
        (slot, true)
    }

    pub(crate) fn node(&self, slot: Slot) -> &Node {
        &self.nodes[slot as usize]
    }

    pub(crate) fn node_mut(&mut self, slot: Slot) -> &mut Node {
        &mut self.nodes[slot as usize]
    }

    pub(crate) fn party(&self, slot: Slot) -> Option<&Party> {
        self.node(slot).party.as_ref()
    }

    /// The slots of a pair, the one with the smaller key first.
    pub(crate) fn by_key(&self, (a, b): Pair) -> (Slot, Slot) {
        if self.node(a).key <= self.node(b).key { (a, b) } else { (b, a) }
    }

    pub(crate) fn edge(&self, a: Slot, b: Slot) -> Option<&Edge> {
        self.edges.get(&pair(a, b))
    }

    /// Sets an edge; the one that was there before, if any.
    pub(crate) fn set_edge(&mut self, (a, b): Pair, edge: Edge) -> Option<Edge> {
        let before = self.edges.insert((a, b), edge);
        if before.is_none() {
            self.node_mut(a).neighbours.push(b);
            self.node_mut(b).neighbours.push(a);
        }
        before
    }

    /// Whether a pair is kept. The record that came last is asked: it is the one at hand.
    pub(crate) fn has_edge(&self, (a, b): Pair) -> bool {
        self.node(b).neighbours.contains(&a)
    }

    pub(crate) fn take_edge(&mut self, (a, b): Pair) -> Option<Edge> {
        let edge = self.edges.remove(&(a, b))?;
        self.node_mut(a).neighbours.retain(|other| *other != b);
        self.node_mut(b).neighbours.retain(|other| *other != a);
        Some(edge)
    }

    pub(crate) fn verdict(&self, a: Slot, b: Slot) -> Option<Verdict> {
        if self.judgements.is_empty() {
            return None;
        }
        self.judgements.get(&pair(a, b)).and_then(Judgements::latest).map(|judgement| judgement.verdict)
    }

    /// Whether two records must not be in one cluster; a person's link outranks automatic vetoes.
    pub(crate) fn is_vetoed(&self, a: Slot, b: Slot) -> bool {
        match self.verdict(a, b) {
            Some(Verdict::Link) => false,
            Some(Verdict::Unlink) => true,
            None => match (self.party(a), self.party(b)) {
                (Some(left), Some(right)) => automatic_veto(&left.subject, &right.subject).is_some(),
                (Some(_) | None, None) | (None, Some(_)) => false,
            },
        }
    }

    /// The customer of a record; a record outside every cluster is a customer of one.
    pub(crate) fn customer_of(&self, slot: Slot) -> CustomerId {
        CustomerId::of_member(&self.node(self.node(slot).home.unwrap_or(slot)).key)
    }
}

/// The automatic veto on a pair, if there is one.
pub(crate) fn automatic_veto(left: &Subject, right: &Subject) -> Option<WhyNotAutomatic> {
    if !left.standard.vetoes || !right.standard.vetoes {
        None
    } else if tax_ids_conflict(left, right) {
        Some(WhyNotAutomatic::TaxIdVeto)
    } else if keys_conflict(left, right) {
        Some(WhyNotAutomatic::KeyVeto)
    } else {
        None
    }
}
