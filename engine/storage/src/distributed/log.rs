//! The log in Kafka: a transaction per group commit.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use bytes::Bytes;
use ontology::Millis;

use super::Distributed;
use super::marks::{Head, Marks, quarantine_record, source_record, time_record};
use super::options::DistributedOptions;
use super::ordered::{Ordered, Values, chunks};
use super::topics::Topics;
use super::writer::{Record, Writer};
use crate::codec::Decoder;
use crate::{Block, Blocks, Error, Intake, Log, NewBlock, Position, QuarantineId, Raw, Result, figures, raw};

/// How many ends of what can be read are passed before the next block is missing.
const ENDS_MAX: usize = 16;

/// What the log is made of.
pub(super) struct KafkaLog {
    pub(super) options: DistributedOptions,
    pub(super) topics: Topics,
    /// Whoever holds the marks writes.
    marks: Mutex<Marks>,
    /// None of a process that has not claimed the store.
    writer: OnceLock<Writer>,
    /// Key from which payloads may still be kept: those before it have expired.
    expired_to: AtomicU64,
    pub(super) facts: Ordered,
    payloads: Ordered,
    pub(super) inputs: Ordered,
}

impl KafkaLog {
    pub(super) fn new(options: &DistributedOptions, topics: Topics, marks: Marks) -> Result<Self> {
        Ok(KafkaLog {
            options: options.clone(),
            facts: Ordered::open(options, &topics.facts)?,
            payloads: Ordered::open(options, &topics.payloads)?,
            inputs: Ordered::open(options, &topics.inputs)?,
            topics,
            marks: Mutex::new(marks),
            writer: OnceLock::new(),
            expired_to: AtomicU64::new(0),
        })
    }

    /// From now on this process writes, and nobody else. Marks are as they stood when the writer
    /// before was fenced. A store is claimed once: who lost it must not take it up again by mistake.
    pub(super) fn own(&self, writer: Writer, marks: Marks) -> Result<()> {
        *self.marks() = marks;
        self.writer.set(writer).map_err(|_| Error::Invalid { what: "a claim", why: "this process has made one before" })
    }

    pub(super) fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().expect("no call panics while it holds the marks: all checks come first")
    }

    /// How long quarantined inputs are kept.
    pub(super) fn quarantine_ms(&self) -> i64 {
        self.options.retention.quarantine_ms
    }

    /// Writes all records, and with them that the log stands at `head`; or neither.
    pub(super) fn advance<'a>(
        &'a self,
        marks: &mut Marks,
        head: Head,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Result<()> {
        let (key, value) = head.record();
        let mark = (self.topics.marks.as_str(), key, value);
        self.writer.get().ok_or(Error::NotOwner)?.transact(records.into_iter().chain([mark]))?;
        marks.head = head;
        Ok(())
    }

    /// The same, where the log stands at what `stands` makes of its head.
    pub(super) fn advance_by<'a>(
        &'a self,
        records: impl IntoIterator<Item = Record<'a>>,
        stands: impl FnOnce(Head) -> Head,
    ) -> Result<()> {
        let mut marks = self.marks();
        let head = stands(marks.head.clone());
        self.advance(&mut marks, head, records)
    }

    /// Name of the deployment.
    pub(super) fn name(&self) -> &str {
        &self.options.name
    }

    fn add(&self, intake: Intake) -> Result<Range<Position>> {
        intake.check()?;
        let mut marks = self.marks();
        let first = marks.head.last.next();
        if intake.is_empty() {
            return Ok(first..first);
        }
        let mut head = marks.head.clone();
        let size_bytes = intake.block.as_ref().map_or(0, NewBlock::size_bytes);
        let mut records = self.block_records(intake.block, &mut head);
        let mut held = Vec::with_capacity(intake.quarantined.len());
        for record in intake.quarantined {
            let id = QuarantineId(head.quarantine_next);
            head.quarantine_next += 1;
            records.extend(parts(&self.topics.inputs, id.0, &record.raw));
            held.push(record.held(id));
        }
        records.extend(held.iter().map(|record| {
            let (key, value) = quarantine_record(record);
            (self.topics.quarantine.as_str(), key, value)
        }));
        records.extend(intake.sources.iter().map(|(name, position)| {
            let (key, value) = source_record(name, position);
            (self.topics.marks.as_str(), key, value)
        }));
        self.advance(&mut marks, head, records)?;
        let last = marks.head.last;
        figures::appended(last.0 + 1 - first.0, size_bytes, last.0);
        held.iter().for_each(|record| figures::quarantined(&record.reason));
        marks.quarantine.extend(held.into_iter().map(|record| (record.id, record)));
        marks.sources.extend(intake.sources.into_iter().map(|(name, position)| (name, Bytes::from(position))));
        Ok(first..last.next())
    }

    /// The records of a block's facts and payloads, with which the log stands at `head`.
    pub(super) fn block_records(&self, block: Option<NewBlock>, head: &mut Head) -> Vec<Record<'_>> {
        let mut records = Vec::new();
        let Some(mut block) = block else { return records };
        let first = head.last.next();
        if block.count() > 0 {
            let (sealed, digest) = block.seal(first, &head.digest);
            records.extend(parts(&self.topics.facts, first.0, &sealed));
            head.last = head.last.plus(u64::from(block.count()));
            head.digest = digest;
        }
        if let Some(packed) = block.payloads().pack(first) {
            let dated = [&block.ingested_at().0.to_le_bytes()[..], &packed].concat();
            records.extend(parts(&self.topics.payloads, first.0, &dated));
        }
        records
    }

    /// Whether every fact that was ever taken is still there.
    pub(super) fn keeps_all(&self) -> Result<bool> {
        Ok(self.start()? == Position::FIRST)
    }

    /// The first position that is kept; the one after the last if none is.
    fn start(&self) -> Result<Position> {
        let last = self.marks().head.last;
        let look = || self.facts.first_key();
        // Where nothing was ever taken, nothing is waited for.
        let first = if last == Position::ZERO { look()? } else { self.facts.find(look)? };
        Ok(first.map_or_else(|| last.next(), Position))
    }

    /// How many commits have payloads that are kept.
    pub(super) fn count_payloads(&self) -> Result<u64> {
        let from = self.marks().head.raws_from;
        self.payloads.settle()?;
        let mut values = self.payloads.values_from(None)?;
        let mut count = 0;
        while let Some(whole) = values.next()? {
            count += u64::from(dated(&whole.value)?.0 >= from);
        }
        Ok(count)
    }

    /// Payloads of the block at this position, as far as they can be read by now.
    fn raws(&self, first: Position) -> Result<Vec<Raw>> {
        let from = self.marks().head.raws_from;
        let mut values = self.payloads.values_from(Some(first.0))?;
        let mut raws = Vec::new();
        while let Some(whole) = values.next()?.filter(|whole| whole.key == first.0) {
            let (ingested_at, packed) = dated(&whole.value)?;
            if ingested_at >= from {
                let unpacked = raw::unpack(packed);
                raws.extend(unpacked.map_err(|why| Error::damaged(format!("the payloads at position {first}"), why))?);
            }
        }
        Ok(raws)
    }

    fn expire(&self, now: Millis) -> Result<u64> {
        let until = now - self.options.retention.raw_ms;
        let from = self.marks().head.raws_from;
        if until <= from {
            return Ok(0);
        }
        let mut values = self.payloads.values_from(Some(self.expired_to.load(Ordering::Acquire)))?;
        let mut dropped = 0;
        while let Some(whole) = values.next()? {
            let (ingested_at, _) = dated(&whole.value)?;
            self.expired_to.fetch_max(whole.key, Ordering::AcqRel);
            if ingested_at >= until {
                break;
            }
            dropped += u64::from(ingested_at >= from);
        }
        if dropped > 0 {
            let mut marks = self.marks();
            let head = Head { raws_from: until, ..marks.head.clone() };
            self.advance(&mut marks, head, [])?;
        }
        Ok(dropped)
    }

    /// Says in the log that time has come to `now`: everything that is taken from here on is later.
    pub(super) fn tell_time(&self, now: Millis) -> Result<()> {
        let mut marks = self.marks();
        let head = marks.head.clone();
        let (key, value) = time_record(now, head.last);
        let writer = self.writer.get().ok_or(Error::NotOwner)?;
        writer.transact([(self.topics.marks.as_str(), key, value)])?;
        marks.time = Some((now, head.last));
        Ok(())
    }
}

/// The records of a value in a topic whose keys rise; none of an empty one.
pub(super) fn parts<'a>(topic: &'a str, key: u64, value: &[u8]) -> Vec<Record<'a>> {
    chunks(key, value).map(|(key, record)| (topic, key, Some(record))).collect()
}

/// When a commit's payloads came in, and the payloads.
fn dated(value: &[u8]) -> Result<(Millis, &[u8])> {
    let mut from = Decoder(value);
    let ingested_at = from.i64().ok_or_else(|| Error::damaged("the payloads", "their head is incomplete"))?;
    Ok((Millis(ingested_at), from.0))
}

impl Log for Distributed {
    fn append(&self, intake: Intake) -> Result<Range<Position>> {
        let is_empty = intake.is_empty();
        let positions = self.0.log.add(intake)?;
        if !is_empty {
            self.0.counted.log_committed();
        }
        Ok(positions)
    }

    fn read(&self, from: Position) -> Result<Blocks> {
        let log = &self.0.log;
        let last = self.last();
        if from == last.next() {
            return Ok(Box::new(std::iter::empty()));
        }
        let start = self.start()?;
        if from < start || from > last {
            return Err(Error::OutOfRange { asked: from, start, last });
        }
        let holder = log.facts.key_at_most(from.0)?.unwrap_or(from.0);
        let values = log.facts.values_from(Some(holder))?;
        Ok(Box::new(BlocksOf { values, last, ended: false }))
    }

    fn last(&self) -> Position {
        self.0.log.marks().head.last
    }

    fn start(&self) -> Result<Position> {
        self.0.log.start()
    }

    fn raws(&self, first: Position) -> Result<Vec<Raw>> {
        let log = &self.0.log;
        let found = log.payloads.find(|| Ok(Some(log.raws(first)?).filter(|raws| !raws.is_empty())))?;
        Ok(found.unwrap_or_default())
    }

    fn source(&self, partition: &str) -> Result<Option<Bytes>> {
        Ok(self.0.log.marks().sources.get(partition).cloned())
    }

    fn sources(&self) -> Result<Vec<(String, Bytes)>> {
        let marks = self.0.log.marks();
        Ok(marks.sources.iter().map(|(name, position)| (name.clone(), position.clone())).collect())
    }

    fn expire_raws(&self, now: Millis) -> Result<u64> {
        self.0.log.expire(now)
    }
}

/// Blocks in order, up to the one that was the last when reading began.
struct BlocksOf {
    values: Values,
    last: Position,
    ended: bool,
}

impl Iterator for BlocksOf {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Result<Block>> {
        if self.ended {
            return None;
        }
        let mut read = self.values.next();
        // A commit is acknowledged, and told of, before all of it can be read; each that was taken back
        // before it ends at an end of its own.
        for _ in 0..ENDS_MAX {
            if !matches!(read, Ok(None)) {
                break;
            }
            read = self.values.next();
        }
        let block = match read {
            Ok(Some(whole)) => Block::open(Bytes::from(whole.value))
                .map_err(|why| Error::damaged(format!("the block at position {}", whole.key), why)),
            Ok(None) => Err(Error::damaged("the log", format!("it ends before position {}", self.last))),
            Err(error) => Err(error),
        };
        self.ended = block.as_ref().map_or(true, |block| block.last() >= self.last);
        Some(block)
    }
}
