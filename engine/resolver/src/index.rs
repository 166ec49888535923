//! The blocking index: which records carry a blocking key, and whether the key still proposes pairs.
//!
//! A key is live while no system has more records with it than its limit allows. Being live is a
//! function of the records present: it flips both ways, for all pairs of the key at once. A flip
//! touches at most (limit + 1) records of each system, so its cost does not grow with the index.

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::blocking::BlockKey;

/// Party systems: one count each.
const SYSTEMS: usize = 4;

/// Members up to this many are kept in a list, more in a set.
const LISTED_MAX: usize = 64;

/// Slot of a record in the resolver.
pub(crate) type Slot = u32;

#[derive(Debug)]
pub(crate) struct Index {
    postings: HashMap<BlockKey, Posting>,
    value_max: u32,
    names_max: u32,
}

/// Whether adding or taking a record turned a key live or retired it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flip {
    No,
    Yes,
}

#[derive(Debug, Default)]
struct Posting {
    counts: [u32; SYSTEMS],
    members: Members,
}

#[derive(Debug)]
enum Members {
    Listed(SmallVec<[Slot; 4]>),
    Set(HashSet<Slot>),
}

impl Default for Members {
    fn default() -> Self {
        Members::Listed(SmallVec::new())
    }
}

impl Index {
    /// An empty index; the limits are records per system, of identifying values and of names.
    pub(crate) fn new(value_max: u32, names_max: u32) -> Self {
        Index { postings: HashMap::new(), value_max, names_max }
    }

    fn limit(&self, key: BlockKey) -> u32 {
        if key.is_value() { self.value_max } else { self.names_max }
    }

    pub(crate) fn is_live(&self, key: BlockKey) -> bool {
        let limit = self.limit(key);
        self.postings.get(&key).is_none_or(|posting| posting.is_within(limit))
    }

    pub(crate) fn add(&mut self, key: BlockKey, slot: Slot, system: usize) -> Flip {
        let limit = self.limit(key);
        let posting = self.postings.entry(key).or_default();
        let was_live = posting.is_within(limit);
        posting.counts[system] += 1;
        posting.members.insert(slot);
        flip(was_live, posting.is_within(limit))
    }

    pub(crate) fn take(&mut self, key: BlockKey, slot: Slot, system: usize) -> Flip {
        let limit = self.limit(key);
        let Some(posting) = self.postings.get_mut(&key) else { return Flip::No };
        let was_live = posting.is_within(limit);
        posting.counts[system] -= 1;
        posting.members.remove(slot);
        let now_live = posting.is_within(limit);
        if posting.counts == [0; SYSTEMS] {
            self.postings.remove(&key);
        }
        flip(was_live, now_live)
    }

    /// Calls `each` with every record of a key, live or not, in no order.
    pub(crate) fn for_each(&self, key: BlockKey, mut each: impl FnMut(Slot)) {
        match self.postings.get(&key).map(|posting| &posting.members) {
            Some(Members::Listed(list)) => list.iter().for_each(|slot| each(*slot)),
            Some(Members::Set(set)) => set.iter().for_each(|slot| each(*slot)),
            None => {}
        }
    }
}

fn flip(was_live: bool, is_live: bool) -> Flip {
    if was_live == is_live { Flip::No } else { Flip::Yes }
}

impl Posting {
    fn is_within(&self, limit: u32) -> bool {
        self.counts.iter().all(|count| *count <= limit)
    }
}

impl Members {
    fn insert(&mut self, slot: Slot) {
        match self {
            Members::Listed(list) if list.len() < LISTED_MAX => list.push(slot),
            Members::Listed(list) => {
                let mut set: HashSet<Slot> = list.iter().copied().collect();
                set.insert(slot);
                *self = Members::Set(set);
            }
            Members::Set(set) => {
                set.insert(slot);
            }
        }
    }

    fn remove(&mut self, slot: Slot) {
        match self {
            Members::Listed(list) => {
                if let Some(at) = list.iter().position(|member| *member == slot) {
                    list.swap_remove(at);
                }
            }
            Members::Set(set) => {
                set.remove(&slot);
                if set.len() < LISTED_MAX / 2 {
                    *self = Members::Listed(set.iter().copied().collect());
                }
            }
        }
    }
}
