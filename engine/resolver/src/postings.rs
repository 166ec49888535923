//! The table behind the blocking index: which records carry a key, sixteen bytes a key.
//!
//! A record has some thirty keys, each in a place of memory of its own. Reading the places of all of
//! them first, in a loop that waits for none ([`Postings::touch`]), lets the machine fetch them
//! together; that is why the table is open to be read ahead of use. It is cut into segments that
//! grow one by one, so that no single record pays for moving all keys.

use crate::blocking::BlockKey;

/// Pieces that grow by themselves.
const SEGMENTS: usize = 256;

/// Fullness at which a segment grows: three quarters.
const FULL: (usize, usize) = (3, 4);

/// A record with its system in the lowest bits.
pub(crate) type Entry = u32;

/// No entry.
pub(crate) const NONE: Entry = Entry::MAX;

/// One or two entries of a key; what else the numbers may mean is the index's to know. A place whose
/// first entry is none is free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    key: BlockKey,
    pub(crate) first: Entry,
    pub(crate) second: u32,
}

const FREE: Posting = Posting { key: BlockKey(0), first: NONE, second: NONE };

/// Postings by key.
#[derive(Debug)]
pub(crate) struct Postings {
    segments: Vec<Segment>,
}

#[derive(Debug, Default)]
struct Segment {
    /// Searched from a key's home onwards, round the end.
    places: Vec<Posting>,
    filled: usize,
}

impl Default for Postings {
    fn default() -> Self {
        Postings { segments: (0..SEGMENTS).map(|_| Segment::default()).collect() }
    }
}

impl Postings {
    /// Reads where each key is or would be, so that it is near when it is asked for.
    pub(crate) fn touch(&self, keys: impl Iterator<Item = BlockKey>) {
        let homes = keys.map(|key| {
            let spread = spread(key);
            let places = &self.segments[segment_of(spread)].places;
            places.get(home_of(spread, places.len())).map_or(0, |posting| posting.first)
        });
        std::hint::black_box(homes.fold(0, |all, first| all ^ first));
    }

    pub(crate) fn get(&self, key: BlockKey) -> Option<Posting> {
        let spread = spread(key);
        let segment = &self.segments[segment_of(spread)];
        segment.find(spread, key).ok().map(|place| segment.places[place])
    }

    pub(crate) fn get_mut(&mut self, key: BlockKey) -> Option<&mut Posting> {
        let spread = spread(key);
        let segment = &mut self.segments[segment_of(spread)];
        let place = segment.find(spread, key).ok()?;
        Some(&mut segment.places[place])
    }

    /// The posting of a key; none if the key was not there, and is now with `entry` alone.
    pub(crate) fn get_or_insert(&mut self, key: BlockKey, entry: Entry) -> Option<&mut Posting> {
        let spread = spread(key);
        let number = segment_of(spread);
        let segment = &mut self.segments[number];
        let free = match segment.find(spread, key) {
            Ok(place) => return Some(&mut segment.places[place]),
            Err(Some(free)) if !segment.is_full() => free,
            Err(_) => {
                segment.grow(number);
                let found = segment.find(spread, key).err().flatten();
                found.expect("a segment that grew has a free place, and the key was not there")
            }
        };
        segment.places[free] = Posting { key, first: entry, second: NONE };
        segment.filled += 1;
        None
    }

    pub(crate) fn remove(&mut self, key: BlockKey) {
        let spread = spread(key);
        let segment = &mut self.segments[segment_of(spread)];
        if let Ok(place) = segment.find(spread, key) {
            segment.free(place);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.filled == 0)
    }
}

impl Segment {
    /// The place of a key, or else the free one where it would be; none if there are no places yet.
    fn find(&self, spread: u64, key: BlockKey) -> Result<usize, Option<usize>> {
        let count = self.places.len();
        if count == 0 {
            return Err(None);
        }
        let mut place = home_of(spread, count);
        loop {
            let posting = &self.places[place];
            if posting.first == NONE {
                return Err(Some(place));
            }
            if posting.key == key {
                return Ok(place);
            }
            place = after(place, count);
        }
    }

    fn is_full(&self) -> bool {
        (self.filled + 1) * FULL.1 > self.places.len() * FULL.0
    }

    /// Half as many places more. Segments begin at different sizes, so that they grow in turn.
    fn grow(&mut self, number: usize) {
        let count = self.places.len() + self.places.len() / 2 + 4 + number % 4;
        let before = std::mem::replace(&mut self.places, vec![FREE; count]);
        for posting in before.into_iter().filter(|posting| posting.first != NONE) {
            let mut place = home_of(spread(posting.key), count);
            while self.places[place].first != NONE {
                place = after(place, count);
            }
            self.places[place] = posting;
        }
    }

    /// Frees a place and moves up what had to make way for it.
    fn free(&mut self, mut hole: usize) {
        let count = self.places.len();
        let mut next = after(hole, count);
        while self.places[next].first != NONE {
            let home = home_of(spread(self.places[next].key), count);
            if distance(home, next, count) >= distance(hole, next, count) {
                self.places[hole] = self.places[next];
                hole = next;
            }
            next = after(next, count);
        }
        self.places[hole] = FREE;
        self.filled -= 1;
    }
}

/// Keys are hashes already: one multiplication spreads the bits that tell the kind.
fn spread(key: BlockKey) -> u64 {
    key.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// By the highest eight bits.
fn segment_of(spread: u64) -> usize {
    (spread >> 56) as usize
}

/// By the 32 bits below those of the segment.
fn home_of(spread: u64, count: usize) -> usize {
    (((spread >> 24 & 0xffff_ffff) * count as u64) >> 32) as usize
}

fn after(place: usize, count: usize) -> usize {
    if place + 1 == count { 0 } else { place + 1 }
}

/// Steps from one place on to another, round the end.
fn distance(from: usize, to: usize, count: usize) -> usize {
    if to >= from { to - from } else { to + count - from }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in prop::collection::vec((0u64..90, any::<bool>()), 0..400)) {
            let mut table = Postings::default();
            let mut plain: BTreeMap<u64, Entry> = BTreeMap::new();
            for (at, (number, comes)) in steps.into_iter().enumerate() {
                // One segment and few homes: keys stand in each other's way.
                let key = BlockKey(number.wrapping_mul(0x9e37_79b9_7f4a_7c15u64.wrapping_pow(2)) << 58 | number);
                let entry = Entry::try_from(at).unwrap();
                if comes {
                    let was_there = table.get_or_insert(key, entry).is_some();
                    prop_assert_eq!(was_there, plain.contains_key(&number));
                    plain.entry(number).or_insert(entry);
                } else {
                    table.remove(key);
                    plain.remove(&number);
                }
                table.touch([key].into_iter());
                let found = table.get(key).map(|posting| posting.first);
                prop_assert_eq!(found, plain.get(&number).copied());
            }
            prop_assert_eq!(table.segments.iter().map(|segment| segment.filled).sum::<usize>(), plain.len());
        }
    }

    #[test]
    fn a_posting_can_be_changed_where_it_is() {
        let mut table = Postings::default();
        assert!(table.get_or_insert(BlockKey(7), 1).is_none());
        table.get_or_insert(BlockKey(7), 5).unwrap().second = 9;
        assert_eq!(table.get_mut(BlockKey(7)).map(|posting| (posting.first, posting.second)), Some((1, 9)));
        assert!(table.get(BlockKey(8)).is_none() && !table.is_empty());
    }
}
