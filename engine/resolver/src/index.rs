//! The blocking index: which records carry a blocking key, and whether the key still proposes pairs.
//!
//! A key is live while no system has more records with it than its limit allows. Being live is a
//! function of the records present: it flips both ways, for all pairs of the key at once. A flip
//! touches at most (limit + 1) records of each system, so its cost does not grow with the index.
//!
//! Most keys are carried by one record or two: those lie in the table itself, sixteen bytes a key.

use hashbrown::HashSet;
use smallvec::SmallVec;

use crate::blocking::BlockKey;
use crate::postings::{Entry, NONE, Posting, Postings};

/// Party systems: one count each.
const SYSTEMS: usize = 4;

/// Bits of an entry that tell the system.
const SYSTEM_BITS: u32 = 2;

/// Members up to this many are kept in a sorted list, more in a set: a list is small and grows at
/// its end, a set forgets one of many at once.
const LISTED_MAX: usize = 4096;

/// Blocks of one thing alone are retired at this part of the limit of others.
const SINGLE_SHARE: u32 = 2;

/// Slot of a record in the resolver.
pub type Slot = u32;

#[derive(Debug)]
pub(crate) struct Index {
    postings: Postings,
    many: Vec<Many>,
    /// Places in `many` that are free.
    free: Vec<u32>,
    value_max: u32,
    shared_max: u32,
    retired: usize,
}

/// Whether adding or taking a record turned a key live or retired it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flip {
    No,
    ToLive,
    ToRetired,
}

/// In the first place: the second one is a place in `many`.
const ELSEWHERE: Entry = Entry::MAX - 1;

#[derive(Debug, Default)]
struct Many {
    counts: [u32; SYSTEMS],
    members: Members,
}

#[derive(Debug)]
enum Members {
    Listed(Vec<Slot>),
    Set(HashSet<Slot>),
}

impl Default for Members {
    fn default() -> Self {
        Members::Listed(Vec::new())
    }
}

impl Index {
    /// An empty index; the limits are records per system, of identifying values and of what is
    /// shared, two at least.
    pub(crate) fn new(value_max: u32, shared_max: u32) -> Self {
        Index { postings: Postings::default(), many: Vec::new(), free: Vec::new(), value_max, shared_max, retired: 0 }
    }

    /// Keys that propose no pairs because too many records carry them.
    pub(crate) fn retired(&self) -> usize {
        self.retired
    }

    fn limit(&self, key: BlockKey) -> u32 {
        let kind = key.kind();
        if kind.is_value() {
            self.value_max
        } else if kind.is_single() {
            // One thing in common is little: such blocks are for small tables and rare values.
            (self.shared_max / SINGLE_SHARE).max(2)
        } else {
            self.shared_max
        }
    }

    /// Fetches what is kept of the keys, all at once: reading them one by one afterwards waits less. First
    /// where the keys are, then what those point to, then the last members.
    pub(crate) fn touch(&self, keys: impl Iterator<Item = BlockKey> + Clone) {
        self.postings.touch(keys.clone());
        let mut elsewhere: SmallVec<[u32; 64]> = SmallVec::new();
        elsewhere.extend(keys.filter_map(|key| match self.postings.get(key) {
            Some(Posting { first: ELSEWHERE, second, .. }) => Some(second),
            Some(_) | None => None,
        }));
        let many = |place: &u32| &self.many[*place as usize];
        let counts = elsewhere.iter().fold(0, |all, place| all ^ many(place).counts[0] ^ many(place).members.count());
        std::hint::black_box(elsewhere.iter().fold(counts, |all, place| all ^ many(place).members.last()));
    }

    pub(crate) fn is_live(&self, key: BlockKey) -> bool {
        match self.postings.get(key) {
            Some(Posting { first: ELSEWHERE, second, .. }) => self.many[second as usize].is_within(self.limit(key)),
            Some(_) | None => true,
        }
    }

    /// Adds a record to a key. `met` gets those that it meets there if the key is live then.
    pub(crate) fn add(&mut self, key: BlockKey, slot: Slot, system: usize, met: &mut Vec<Slot>) -> Flip {
        let limit = self.limit(key);
        let entry = entry_of(slot, system);
        let Some(posting) = self.postings.get_or_insert(key, entry) else { return Flip::No };
        if posting.first != ELSEWHERE && posting.second == NONE {
            posting.second = entry;
            met.push(posting.first >> SYSTEM_BITS);
            return Flip::No;
        }
        if posting.first != ELSEWHERE {
            let place = match self.free.pop() {
                Some(place) => place,
                None => {
                    self.many.push(Many::default());
                    u32::try_from(self.many.len() - 1).expect("fewer blocks than records and keys fit in memory")
                }
            };
            let many = &mut self.many[place as usize];
            many.insert(posting.first);
            many.insert(posting.second);
            (posting.first, posting.second) = (ELSEWHERE, place);
        }
        let many = &mut self.many[posting.second as usize];
        let was_live = many.is_within(limit);
        many.insert(entry);
        let is_live = many.is_within(limit);
        if is_live {
            many.members.for_each(&mut |member| met.push(member));
        }
        self.flip(was_live, is_live)
    }

    pub(crate) fn take(&mut self, key: BlockKey, slot: Slot, system: usize) -> Flip {
        let limit = self.limit(key);
        let entry = entry_of(slot, system);
        let Some(posting) = self.postings.get_mut(key) else { return Flip::No };
        if posting.first == ELSEWHERE {
            let place = posting.second;
            let many = &mut self.many[place as usize];
            let was_live = many.is_within(limit);
            many.remove(entry);
            let is_live = many.is_within(limit);
            if many.counts == [0; SYSTEMS] {
                *many = Many::default();
                self.free.push(place);
                self.postings.remove(key);
            }
            return self.flip(was_live, is_live);
        }
        match (posting.first == entry, posting.second) {
            (true, NONE) => self.postings.remove(key),
            (true, second) => (posting.first, posting.second) = (second, NONE),
            (false, second) if second == entry => posting.second = NONE,
            (false, _) => {}
        }
        Flip::No
    }

    /// Calls `each` with every record of a key, live or not, in no order.
    pub(crate) fn for_each(&self, key: BlockKey, mut each: impl FnMut(Slot)) {
        if let Some(posting) = self.postings.get(key) {
            self.each_of(posting, &mut each);
        }
    }

    /// Calls `each` with every record of a key unless it is retired; whether it is live.
    pub(crate) fn for_each_if_live(&self, key: BlockKey, mut each: impl FnMut(Slot)) -> bool {
        let Some(posting) = self.postings.get(key) else { return true };
        if posting.first == ELSEWHERE && !self.many[posting.second as usize].is_within(self.limit(key)) {
            return false;
        }
        self.each_of(posting, &mut each);
        true
    }

    fn each_of(&self, posting: Posting, each: &mut impl FnMut(Slot)) {
        match posting {
            Posting { first: ELSEWHERE, second, .. } => self.many[second as usize].members.for_each(each),
            Posting { first, second, .. } => {
                let filled = [first, second].into_iter().filter(|entry| *entry != NONE);
                filled.for_each(|entry| each(entry >> SYSTEM_BITS));
            }
        }
    }

    fn flip(&mut self, was_live: bool, is_live: bool) -> Flip {
        match (was_live, is_live) {
            (true, false) => {
                self.retired += 1;
                Flip::ToRetired
            }
            (false, true) => {
                self.retired -= 1;
                Flip::ToLive
            }
            (true, true) | (false, false) => Flip::No,
        }
    }
}

fn entry_of(slot: Slot, system: usize) -> Entry {
    debug_assert!(system < SYSTEMS, "two bits tell the system");
    // At most 3.
    slot << SYSTEM_BITS | system as u32
}

impl Many {
    fn is_within(&self, limit: u32) -> bool {
        self.counts.iter().all(|count| *count <= limit)
    }

    fn insert(&mut self, entry: Entry) {
        self.counts[(entry & 3) as usize] += 1;
        self.members.insert(entry >> SYSTEM_BITS);
    }

    fn remove(&mut self, entry: Entry) {
        if self.members.remove(entry >> SYSTEM_BITS) {
            self.counts[(entry & 3) as usize] -= 1;
        }
    }
}

impl Members {
    /// How many there are, below the number of slots.
    fn count(&self) -> u32 {
        match self {
            Members::Listed(list) => list.len() as u32,
            Members::Set(set) => set.len() as u32,
        }
    }

    /// The last of a list; 0 of a set, which has none.
    fn last(&self) -> Slot {
        match self {
            Members::Listed(list) => list.last().copied().unwrap_or_default(),
            Members::Set(_) => 0,
        }
    }

    fn for_each(&self, each: &mut impl FnMut(Slot)) {
        match self {
            Members::Listed(list) => list.iter().for_each(|slot| each(*slot)),
            Members::Set(set) => set.iter().for_each(|slot| each(*slot)),
        }
    }

    fn insert(&mut self, slot: Slot) {
        match self {
            // Most records are new, and so come last.
            Members::Listed(list) if list.len() < LISTED_MAX && list.last().is_none_or(|last| *last < slot) => {
                list.push(slot);
            }
            Members::Listed(list) if list.len() < LISTED_MAX => {
                if let Err(place) = list.binary_search(&slot) {
                    list.insert(place, slot);
                }
            }
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

    fn remove(&mut self, slot: Slot) -> bool {
        match self {
            Members::Listed(list) => match list.binary_search(&slot) {
                Ok(place) => {
                    list.remove(place);
                    true
                }
                Err(_) => false,
            },
            Members::Set(set) => {
                let was_there = set.remove(&slot);
                if set.len() < LISTED_MAX / 2 {
                    let mut list: Vec<Slot> = set.iter().copied().collect();
                    list.sort_unstable();
                    *self = Members::Listed(list);
                }
                was_there
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blocking::BlockKind;

    fn members(index: &Index, key: BlockKey) -> Vec<Slot> {
        let mut found = Vec::new();
        index.for_each(key, |slot| found.push(slot));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_key_flips_at_its_limit_both_ways() {
        let mut index = Index::new(3, 5);
        let (value, shared) = (BlockKey(BlockKind::Phone as u64), BlockKey(BlockKind::Word as u64 | 64));
        for (key, limit) in [(value, 3), (shared, 5)] {
            for slot in 0..limit {
                let mut met = Vec::new();
                assert_eq!(index.add(key, slot, 0, &mut met), Flip::No);
                met.retain(|other| *other != slot);
                assert_eq!(met, (0..slot).collect::<Vec<_>>());
            }
            let mut met = Vec::new();
            assert_eq!(index.add(key, 77, 1, &mut met), Flip::No, "another system counts for itself");
            assert_eq!(met.len() as u32, limit + 1);
            met.clear();
            assert_eq!(index.add(key, 99, 0, &mut met), Flip::ToRetired);
            assert!(met.is_empty(), "a retired key proposes nobody");
            assert!(!index.is_live(key) && index.retired() == 1);
            assert_eq!(index.take(key, 0, 0), Flip::ToLive);
            assert_eq!(index.retired(), 0);
            assert_eq!(members(&index, key).len() as u32, limit + 1);
        }
    }

    #[test]
    fn what_goes_in_comes_out_however_many() {
        let mut index = Index::new(3, 5);
        let key = BlockKey(9);
        let mut met = Vec::new();
        let last = LISTED_MAX as Slot * 2 - 1;
        for slot in 0..=last {
            index.add(key, slot, (slot % 4) as usize, &mut met);
        }
        assert_eq!(members(&index, key), (0..=last).collect::<Vec<_>>());
        for slot in 0..last {
            index.take(key, slot, (slot % 4) as usize);
            index.take(key, slot, (slot % 4) as usize);
        }
        assert_eq!(members(&index, key), [last]);
        index.take(key, last, 3);
        assert!(members(&index, key).is_empty() && index.postings.is_empty());
        index.add(key, 1, 0, &mut met);
        index.add(key, 2, 0, &mut met);
        index.take(key, 1, 0);
        assert_eq!(members(&index, key), [2]);
    }
}
