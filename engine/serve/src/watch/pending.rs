//! What one watcher has not been sent: keys in the order of their first unsent change, folded.

use std::collections::{HashMap, VecDeque};

use compact_str::CompactString;

use super::feed::{Change, Place, Stamp};

/// A folded change, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    /// Stamp of the newest change that is folded in.
    pub stamp: Stamp,
    /// The change; paths are united, causes appended.
    pub change: Change,
    /// How many changes are folded in.
    pub count: u64,
}

/// A bounded queue of changed keys.
#[derive(Debug)]
pub(super) struct Pending {
    queue: VecDeque<(Stamp, CompactString)>,
    folded: HashMap<CompactString, Folded>,
    keys_max: usize,
    /// Everything published up to here has been offered.
    reached: Stamp,
    /// Everything before this was sent on an earlier stream.
    skip_before: Place,
    has_overflowed: bool,
}

impl Pending {
    pub fn new(keys_max: usize, reached: Stamp) -> Self {
        Pending {
            queue: VecDeque::new(),
            folded: HashMap::new(),
            keys_max,
            reached,
            skip_before: Place::default(),
            has_overflowed: false,
        }
    }

    /// Ignores changes before this place: a token may come from a replica that was further ahead.
    pub fn skip_before(&mut self, place: Place) {
        self.skip_before = place;
    }

    /// Adds a change, folding it into one of the same key.
    pub fn push(&mut self, stamp: Stamp, change: &Change) {
        if self.has_overflowed || self.skip_before.is_behind(stamp, &change.key) {
            return;
        }
        if let Some(folded) = self.folded.get_mut(&change.key) {
            folded.stamp = stamp;
            folded.count += 1;
            folded.change.paths |= change.paths;
            let room = Change::CAUSES_MAX.saturating_sub(folded.change.causes.len());
            folded.change.causes.extend(change.causes.iter().take(room).cloned());
        } else if self.queue.len() >= self.keys_max {
            self.has_overflowed = true;
            self.queue = VecDeque::new();
            self.folded = HashMap::new();
        } else {
            self.queue.push_back((stamp, change.key.clone()));
            self.folded.insert(change.key.clone(), Folded { stamp, change: change.clone(), count: 1 });
        }
    }

    /// Adds a change before all others.
    pub fn push_first(&mut self, stamp: Stamp, key: &CompactString) {
        self.queue.push_front((stamp, key.clone()));
        self.folded.insert(key.clone(), Folded { stamp, change: Change::of(key.clone()), count: 1 });
    }

    /// Notes that everything up to `stamp` has been offered.
    pub fn reach(&mut self, stamp: Stamp) {
        self.reached = self.reached.max(stamp);
    }

    /// Takes the key that has waited longest.
    pub fn pop(&mut self) -> Option<Folded> {
        let (_, key) = self.queue.pop_front()?;
        self.folded.remove(&key)
    }

    /// Where a new stream would have to begin to miss nothing that is still pending.
    pub fn place(&self) -> Place {
        let next = match self.queue.front() {
            Some((stamp, key)) => Place { stamp: *stamp, key: key.clone() },
            None => Place::behind(self.reached),
        };
        next.max(self.skip_before.clone())
    }

    /// Whether more keys changed than are kept; asking clears it, and listening begins anew.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.has_overflowed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::LogPos;

    use super::*;

    fn at(position: u64) -> Stamp {
        Stamp { position: LogPos(position), ..Stamp::default() }
    }

    fn place(position: u64, key: &str) -> Place {
        Place { stamp: at(position), key: key.into() }
    }

    #[test]
    fn changes_of_one_key_fold_and_keep_their_turn() {
        let mut pending = Pending::new(10, at(0));
        for (position, key) in [(1, "a"), (2, "b"), (3, "a")] {
            pending.push(at(position), &Change { paths: 1 << position, ..Change::of(key) });
            pending.reach(at(position));
        }
        assert_eq!(pending.place(), place(1, "a"));
        let first = pending.pop().unwrap();
        assert_eq!((first.change.key.as_str(), first.stamp, first.count, first.change.paths), ("a", at(3), 2, 0b1010));
        assert_eq!(pending.place(), place(2, "b"));
        assert_eq!(pending.pop().unwrap().change.key, "b");
        assert_eq!(pending.pop(), None);
        assert_eq!(pending.place(), Place::behind(at(3)));
    }

    #[test]
    fn one_key_more_than_the_bound_overflows_and_folding_does_not() {
        let mut pending = Pending::new(2, at(0));
        for key in ["a", "b", "a", "b"] {
            pending.push(at(1), &Change::of(key));
        }
        assert!(!pending.take_overflow());
        pending.push(at(1), &Change::of("c"));
        assert_eq!(pending.pop(), None);
        assert!(pending.take_overflow());
        assert!(!pending.take_overflow());
    }

    #[test]
    fn causes_are_bounded() {
        let mut pending = Pending::new(2, at(0));
        for i in 0..40 {
            pending.push(at(i), &Change { causes: vec![format!("e{i}").into()], ..Change::of("a") });
        }
        assert_eq!(pending.pop().unwrap().change.causes.len(), Change::CAUSES_MAX);
    }

    #[test]
    fn what_an_earlier_stream_sent_is_skipped() {
        let mut pending = Pending::new(10, at(0));
        pending.skip_before(place(2, "b"));
        for (position, key) in [(1, "z"), (2, "a"), (2, "b"), (3, "a")] {
            pending.push(at(position), &Change::of(key));
        }
        assert_eq!(pending.pop().unwrap().change.key, "b");
        assert_eq!(pending.pop().unwrap().stamp, at(3));
        assert_eq!(pending.pop(), None);
    }
}
