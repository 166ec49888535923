//! Where the log and its sources stand: small compacted topics, read whole when the store opens.

use std::collections::BTreeMap;

use bytes::Bytes;
use ontology::Millis;

use super::options::DistributedOptions;
use super::ordered::Reader;
use crate::codec::{Decoder, Encoder};
use crate::{DIGEST_START, Digest, Error, Position, QuarantineId, Quarantined, Result};

const HEAD: &[u8] = b"head";
const SOURCE: &[u8] = b"source/";
const TIME: &[u8] = b"time";
const OWNER: &[u8] = b"owner";
/// Key of the number of partitions that rows lie in; there is none where it is one.
const PARTITIONS: &[u8] = b"partitions";
/// Key of the mark that stands while a store is copied from a folder.
pub(super) const MIGRATION: &[u8] = b"migration";

/// Where the log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Position of the newest fact.
    pub(super) last: Position,
    /// Digest of the newest block.
    pub(super) digest: Digest,
    /// The id that the next quarantined record gets.
    pub(super) quarantine_next: u64,
    /// Payloads that came in before this are gone.
    pub(super) raws_from: Millis,
    /// Epoch of the owner that wrote this.
    pub(super) epoch: u64,
}

impl Default for Head {
    fn default() -> Self {
        Head { last: Position::ZERO, digest: DIGEST_START, quarantine_next: 1, raws_from: Millis::MIN, epoch: 0 }
    }
}

impl Head {
    /// Key and value in the topic of marks.
    pub(super) fn record(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut out = Encoder::default();
        out.u64(self.last.0).raw(&self.digest).u64(self.quarantine_next).i64(self.raws_from.0).u64(self.epoch);
        (HEAD.to_vec(), Some(out.0))
    }

    fn decode(stored: &[u8]) -> Option<Head> {
        let mut from = Decoder(stored);
        let head = Head {
            last: Position(from.u64()?),
            digest: from.array()?,
            quarantine_next: from.u64()?,
            raws_from: Millis(from.i64()?),
            epoch: from.u64()?,
        };
        from.is_empty().then_some(head)
    }
}

/// Key and value of where a source stands.
pub(super) fn source_record(name: &str, position: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    ([SOURCE, name.as_bytes()].concat(), Some(position.to_vec()))
}

/// Key and value of how far time has come: everything that is taken after `position` is later.
pub(super) fn time_record(now: Millis, position: Position) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut out = Encoder::default();
    out.i64(now.0).u64(position.0);
    (TIME.to_vec(), Some(out.0))
}

/// Key and value of what the owner tells those that follow it.
pub(super) fn owner_record(told: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (OWNER.to_vec(), Some(told.as_bytes().to_vec()))
}

/// Key and value of the number of partitions that rows lie in.
pub(super) fn partitions_record(partitions: u32) -> (Vec<u8>, Option<Vec<u8>>) {
    (PARTITIONS.to_vec(), (partitions != 1).then(|| partitions.to_le_bytes().to_vec()))
}

/// Key and value of a quarantined record.
pub(super) fn quarantine_record(record: &Quarantined) -> (Vec<u8>, Option<Vec<u8>>) {
    (record.id.0.to_be_bytes().to_vec(), Some(record.encode()))
}

/// Everything small about a log, as it is held in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    pub(super) head: Head,
    pub(super) sources: BTreeMap<String, Bytes>,
    pub(super) quarantine: BTreeMap<QuarantineId, Quarantined>,
    /// How far time has come, and after which position; none before the first owner told.
    pub(super) time: Option<(Millis, Position)>,
    /// What the owner tells those that follow it; empty before the first one did.
    pub(super) owner: String,
    /// Number of partitions that rows lie in; none is one, or a store that nobody owned yet.
    pub(super) partitions: Option<u32>,
    /// Whether a migration into this store has not ended.
    pub(super) is_migrating: bool,
    /// Offsets from which both topics have not been read.
    pub(super) unread: Unread,
}

/// Offsets in the topics of marks and of quarantined records.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unread {
    pub(super) marks: i64,
    pub(super) quarantine: i64,
}

/// What a mark was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Head,
    Source,
    Time,
    Owner,
    Partitions,
    Migration,
}

impl Marks {
    /// Reads both topics to their ends.
    pub(super) fn read(options: &DistributedOptions, marks: &str, quarantine: &str) -> Result<Self> {
        let mut read = Marks::default();
        let unread_marks = each(options, marks, |key, value| read.take_mark(key, value).map(drop))?;
        let quarantine = each(options, quarantine, |key, value| read.take_quarantined(key, value))?;
        read.unread = Unread { marks: unread_marks, quarantine };
        Ok(read)
    }

    /// Takes a mark and tells what it was about; none if it is no mark.
    pub(super) fn take_mark(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<Subject> {
        match key {
            HEAD => {
                self.head = Head::decode(value?)?;
                Some(Subject::Head)
            }
            TIME => {
                let mut from = Decoder(value?);
                self.time = Some((Millis(from.i64()?), Position(from.u64()?)));
                from.is_empty().then_some(Subject::Time)
            }
            OWNER => {
                self.owner = std::str::from_utf8(value?).ok()?.to_owned();
                Some(Subject::Owner)
            }
            PARTITIONS => {
                self.partitions = match value {
                    Some(value) => Some(u32::from_le_bytes(value.try_into().ok()?)),
                    None => None,
                };
                Some(Subject::Partitions)
            }
            MIGRATION => {
                self.is_migrating = value.is_some();
                Some(Subject::Migration)
            }
            other => {
                let name = std::str::from_utf8(other.strip_prefix(SOURCE)?).ok()?.to_owned();
                match value {
                    Some(position) => self.sources.insert(name, Bytes::copy_from_slice(position)),
                    None => self.sources.remove(&name),
                };
                Some(Subject::Source)
            }
        }
    }

    /// Takes what is known of a quarantined record; none if it cannot be read.
    pub(super) fn take_quarantined(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<()> {
        let id = QuarantineId(u64::from_be_bytes(key.try_into().ok()?));
        match value {
            Some(record) => self.quarantine.insert(id, Quarantined::decode(record)?),
            None => self.quarantine.remove(&id),
        };
        Some(())
    }
}

/// Gives every record of a topic to `take`, which answers `None` to what it cannot read. Tells from
/// which offset on nothing was read.
fn each(
    options: &DistributedOptions,
    topic: &str,
    mut take: impl FnMut(&[u8], Option<&[u8]>) -> Option<()>,
) -> Result<i64> {
    let reader = Reader::open(options, topic)?;
    let (begin, end) = reader.ends()?;
    if begin == end {
        return Ok(end);
    }
    reader.seek(begin)?;
    let mut unread = begin;
    while let Some(stored) = reader.next()? {
        take(&stored.key, stored.value.as_deref())
            .ok_or_else(|| Error::damaged(format!("the record at offset {} of {topic}", stored.offset), "no mark"))?;
        unread = stored.offset + 1;
    }
    Ok(unread)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn marks_read_back_and_what_is_none_is_refused() {
        let head = Head { last: Position(7), digest: [3; 32], quarantine_next: 2, raws_from: Millis(-5), epoch: 9 };
        let (key, value) = head.record();
        let value = value.unwrap();
        let mut marks = Marks::default();
        marks.take_mark(&key, Some(&value)).unwrap();
        assert_eq!(marks.head, head);
        for len in 0..value.len() {
            assert_eq!(marks.take_mark(&key, Some(&value[..len])), None);
        }
        let (key, value) = source_record("sap/idoc", b"17");
        marks.take_mark(&key, value.as_deref()).unwrap();
        assert_eq!(marks.sources["sap/idoc"], b"17"[..]);
        marks.take_mark(&key, None).unwrap();
        assert!(marks.sources.is_empty());
        let (key, value) = time_record(Millis(-3), Position(7));
        assert_eq!(marks.take_mark(&key, value.as_deref()), Some(Subject::Time));
        assert_eq!(marks.time, Some((Millis(-3), Position(7))));
        assert_eq!(marks.take_mark(&key, Some(&value.unwrap()[1..])), None);
        let (key, value) = owner_record("here");
        assert_eq!(marks.take_mark(&key, value.as_deref()), Some(Subject::Owner));
        assert_eq!(marks.owner, "here");
        assert_eq!(marks.take_mark(&key, Some(b"\xff")), None);
        for (count, expected) in [(64, Some(64)), (1, None)] {
            let (key, value) = partitions_record(count);
            assert_eq!(marks.take_mark(&key, value.as_deref()), Some(Subject::Partitions));
            assert_eq!(marks.partitions, expected);
        }
        assert_eq!(marks.take_mark(PARTITIONS, Some(b"64")), None);
        marks.take_mark(MIGRATION, Some(b"begun")).unwrap();
        assert!(marks.is_migrating);
        marks.take_mark(MIGRATION, None).unwrap();
        assert!(!marks.is_migrating);
        assert_eq!(marks.take_mark(b"other", Some(b"")), None);
        assert_eq!(marks.take_quarantined(b"no number", None), None);
    }
}
