//! How far each partition of each topic is stored, kept with what it brought.
//!
//! An offset alone does not tell a topic from another one of the same name that took its place. So
//! the last record stored is remembered by a digest; it is read once more after every start, and a
//! record that is not the same means that the position is of another life of the topic.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// A partition of a topic.
pub type Partition = (String, i32);

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Offset of the next record.
    pub next: i64,
    /// Digest of the record before it; empty where none was stored.
    pub mark: String,
}

/// Where all partitions stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(BTreeMap<Partition, Place>);

/// Where reading a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is kept: nothing of it was read before.
    Oldest,
    /// At the record before the next one, which must still be the one that was stored.
    Before(i64),
    /// At the next record; the one before it is no longer kept.
    At(i64),
    /// The next record is no longer kept, or there were never so many.
    Lost,
}

impl Places {
    /// Reads what [`Places::write`] wrote; what is not understood is as good as not read.
    pub fn read(stored: &[u8]) -> Self {
        let text = std::str::from_utf8(stored).unwrap_or_default();
        let places = text.lines().filter_map(|line| {
            let mut parts = line.split('\t');
            let (topic, partition) = (parts.next()?, parts.next()?.parse().ok()?);
            let (next, mark) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
            Some(((topic.to_owned(), partition), Place { next, mark }))
        });
        Places(places.collect())
    }

    /// The places as one stored position.
    pub fn write(&self) -> Vec<u8> {
        let lines = self
            .0
            .iter()
            .map(|((topic, partition), place)| format!("{topic}\t{partition}\t{}\t{}\n", place.next, place.mark));
        lines.collect::<String>().into_bytes()
    }

    pub fn get(&self, partition: &Partition) -> Option<&Place> {
        self.0.get(partition)
    }

    /// The record at `offset` is stored; `line` is what was handed over of it.
    pub fn pass(&mut self, partition: Partition, offset: i64, line: &str) {
        self.0.insert(partition, Place { next: offset + 1, mark: mark(line) });
    }

    pub fn forget(&mut self, partition: &Partition) {
        self.0.remove(partition);
    }

    /// Where to begin in a partition that keeps the records from `low` up to before `high`.
    pub fn start(&self, partition: &Partition, low: i64, high: i64) -> Start {
        match self.0.get(partition) {
            None => Start::Oldest,
            Some(place) if place.next < low || place.next > high => Start::Lost,
            Some(place) if place.mark.is_empty() || place.next == low => Start::At(place.next),
            Some(place) => Start::Before(place.next - 1),
        }
    }

    /// Whether everything up to before `highs` is stored.
    pub fn have_reached(&self, highs: &BTreeMap<Partition, i64>) -> bool {
        highs.iter().all(|(partition, high)| *high <= 0 || self.0.get(partition).is_some_and(|p| p.next >= *high))
    }
}

/// Digest by which a record is known again.
pub fn mark(line: &str) -> String {
    hex::encode(&Sha256::digest(line)[..8])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(topic: &str) -> Partition {
        (topic.to_owned(), 0)
    }

    #[test]
    fn places_are_stored_and_read_again() {
        let mut places = Places::default();
        places.pass(at("erp.AR.A"), 41, "line");
        places.pass(("erp.AR.A".to_owned(), 1), 0, "other");
        let again = Places::read(&places.write());
        assert_eq!(again, places);
        assert_eq!(again.get(&at("erp.AR.A")).unwrap().next, 42);
        assert_eq!(Places::read(b"\xff"), Places::default());
        assert_eq!(Places::read(b"topic\tx\t1\tm\ntopic\n"), Places::default());
        places.forget(&at("erp.AR.A"));
        assert_eq!(places.get(&at("erp.AR.A")), None);
    }

    #[test]
    fn a_start_is_checked_against_what_is_kept() {
        let mut places = Places::default();
        assert_eq!(places.start(&at("t"), 0, 10), Start::Oldest);
        places.pass(at("t"), 4, "line");
        assert_eq!(places.start(&at("t"), 0, 5), Start::Before(4));
        assert_eq!(places.start(&at("t"), 4, 9), Start::Before(4));
        assert_eq!(places.start(&at("t"), 5, 9), Start::At(5), "the record before is gone, the next is there");
        assert_eq!(places.start(&at("t"), 6, 9), Start::Lost, "retention went past it");
        assert_eq!(places.start(&at("t"), 0, 4), Start::Lost, "a topic that is shorter than what was read");
    }

    #[test]
    fn proof_needs_every_partition() {
        let mut places = Places::default();
        let highs = BTreeMap::from([(at("a"), 5), (at("b"), 0)]);
        assert!(!places.have_reached(&highs));
        places.pass(at("a"), 3, "");
        assert!(!places.have_reached(&highs));
        places.pass(at("a"), 4, "");
        assert!(places.have_reached(&highs), "a partition without records needs no place");
    }
}
