//! The trees below the party records of one shard of the record stage.

use std::sync::Arc;

use hashbrown::HashMap;
use ontology::{EntityKey, EntityKind};
use smallvec::SmallVec;
use state::{Entity, PartyTree};

use crate::record::{Message, Touched};
use crate::shard::shard_of;
use crate::together::{FETCHED_MAX, together};

/// Party trees by the record that they hang below.
#[derive(Debug)]
pub(crate) struct Trees {
    /// Which shard this is, and how many there are.
    place: (usize, usize),
    trees: HashMap<EntityKey, Arc<PartyTree>>,
    /// What is to be done to trees, by party record and in order: some at a time, so that what they
    /// need of memory is fetched together.
    waiting: Vec<(EntityKey, Change)>,
}

/// What is to be done to a tree.
#[derive(Debug)]
enum Change {
    Put(Arc<Entity>),
    Take(EntityKey),
}

impl Change {
    fn kind(&self) -> EntityKind {
        match self {
            Change::Put(entity) => entity.key.kind,
            Change::Take(key) => key.kind,
        }
    }
}

impl Trees {
    /// No trees yet, in the shard at `place` of `shards`.
    pub(crate) fn new(place: usize, shards: usize) -> Self {
        Trees { place: (place, shards), trees: HashMap::new(), waiting: Vec::new() }
    }

    /// The tree below a party record.
    pub(crate) fn get(&self, party: &EntityKey) -> Option<&Arc<PartyTree>> {
        self.trees.get(party)
    }

    /// The party records that something hangs below, in no order.
    pub(crate) fn parties(&self) -> impl Iterator<Item = &EntityKey> {
        self.trees.keys()
    }

    /// Puts an entity into the tree of a party record at the next [`Trees::settle`], or has the record's
    /// own shard do so.
    pub(crate) fn put(&mut self, party: EntityKey, entity: Arc<Entity>, touched: &mut Touched) {
        if self.has(&party) {
            self.waiting.push((party, Change::Put(entity)));
        } else {
            touched.messages.push(Message::Put { party, entity });
        }
    }

    /// Takes an entity out of the tree of a party record at the next [`Trees::settle`], or has the
    /// record's own shard do so.
    pub(crate) fn take(&mut self, party: EntityKey, key: &EntityKey, touched: &mut Touched) {
        let key = key.clone();
        if self.has(&party) {
            self.waiting.push((party, Change::Take(key)));
        } else {
            touched.messages.push(Message::Take { party, key });
        }
    }

    /// Does what is to be done.
    pub(crate) fn settle(&mut self, touched: &mut Touched) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.fetch(&waiting);
        for (party, change) in waiting.drain(..) {
            match change {
                Change::Put(entity) => Arc::make_mut(self.trees.entry_ref(&party).or_default()).put(entity),
                Change::Take(key) => {
                    let Some(tree) = self.trees.get_mut(&party) else { continue };
                    let tree = Arc::make_mut(tree);
                    tree.take(&key);
                    // A party that nothing names any more is as if it had never been named.
                    if tree.is_empty() {
                        self.trees.remove(&party);
                    }
                }
            }
            touched.parties.push(party);
        }
        self.waiting = waiting;
    }

    /// Reads what changes will read, each step for all of them.
    fn fetch(&self, changes: &[(EntityKey, Change)]) {
        let mut trees: SmallVec<[(&PartyTree, EntityKind); FETCHED_MAX]> = SmallVec::new();
        trees.extend(changes.iter().filter_map(|(party, change)| Some((&**self.trees.get(party)?, change.kind()))));
        together(trees.iter().map(|(tree, kind)| usize::from(tree.run(*kind).is_some())));
        together(trees.iter().map(|(tree, kind)| tree.of_kind(*kind).len()));
        together(trees.iter().map(|(tree, kind)| tree.touch_list(*kind)));
        // A list that is shared with a view is copied, which counts each of its records once more.
        let listed = trees.iter().flat_map(|(tree, kind)| tree.of_kind(*kind));
        together(listed.map(Arc::strong_count));
    }

    fn has(&self, party: &EntityKey) -> bool {
        let (place, shards) = self.place;
        shard_of(party, shards) == place
    }
}
