//! How an embedded store becomes a distributed one: the same blocks at the same positions, payloads,
//! quarantine, source positions, outbox and rows.
//!
//! The log says that a migration is under way until all of it is there; meanwhile no hub opens the
//! store. One that was broken off is continued by another: what the log has is not written again, rows
//! are put anew. Where the sources stand is written last, so nothing is received twice or not at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use ontology::Millis;

use super::log::{KafkaLog, parts};
use super::marks::{Head, MIGRATION, quarantine_record, source_record};
use super::rows::RedisRows;
use super::writer::Record;
use super::{Distributed, DistributedOptions, claim};
use crate::{
    Changes, Digest, Durability, Embedded, Error, Log as _, NewBlock, Pairs, Position, Quarantine as _,
    QuarantineFilter, QuarantineId, Quarantined, Result, Rows as _, Table,
};

/// Bytes after which a transaction is closed.
const TRANSACTION_BYTES: usize = 4 << 20;
/// Most blocks of a transaction.
const TRANSACTION_BLOCKS_MAX: u64 = 256;
/// Rows put at a time: what one script takes.
const ROWS_MAX: usize = 2_000;
/// Quarantined records read at a time.
const PAGE_RECORDS: usize = 256;

/// What a migration has copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Position of the newest fact.
    pub position: Position,
    /// Digest of the chain of blocks up to there: equal digests, equal facts.
    pub digest: Digest,
    /// Position up to which facts are in the rows.
    pub applied: Position,
    /// Rows and actions.
    pub rows: u64,
    /// Quarantined records.
    pub quarantined: u64,
}

impl Distributed {
    /// Copies a store from its folder to servers that hold none of that name yet, or a part of this one.
    /// `told` hears up to which position the log was copied; its error ends the migration, which another
    /// call continues. The caller has the turn to own the store ([`crate::Turn`]).
    ///
    /// # Errors
    /// [`Error::Unfit`] when the servers hold another store; else as [`Distributed::open`] and as reading
    /// the folder.
    pub fn migrate(
        from: &Embedded,
        to: DistributedOptions,
        told: impl FnMut(Position) -> Result<()>,
    ) -> Result<Migrated> {
        let (inner, is_begun) = claim::open_for_migration(&to)?;
        let target = Distributed(std::sync::Arc::new(inner));
        check_target(from, &target, &to, is_begun)?;
        let log = &target.0.log;
        let (before, digest) = before_log(from)?;
        log.advance_by([mark(log, Some(b"begun".to_vec()))], |head| match head.last {
            Position::ZERO => Head { last: before, digest, ..head },
            Position(_) => head,
        })?;
        copy_blocks(from, log, told)?;
        let quarantined = copy_quarantine(from, &target)?;
        let rows = copy_rows(from, &target, &target.0.rows)?;
        end(from, log)?;
        let digest = from.log_digest()?;
        Ok(Migrated { position: from.last(), digest, applied: from.applied()?, rows, quarantined })
    }
}

/// The position before the first block that a folder keeps, and the digest that its chain begins with.
fn before_log(from: &Embedded) -> Result<(Position, Digest)> {
    let before = Position(from.start()?.0 - 1);
    let digest = from.digest_at(before)?;
    Ok((before, digest.ok_or_else(|| Error::damaged("the log", "it changed while it was read"))?))
}

/// The record by which the log says that a migration is under way, or no longer.
fn mark(log: &KafkaLog, value: Option<Vec<u8>>) -> Record<'_> {
    (log.topics.marks.as_str(), MIGRATION.to_vec(), value)
}

/// Whether the servers hold nothing, or the beginning of what is to be copied.
fn check_target(from: &Embedded, target: &Distributed, to: &DistributedOptions, is_begun: bool) -> Result<()> {
    let refused = |found: String, needed: &str| {
        let what = format!("the store {} as the target of a migration", to.name);
        Err(Error::Unfit { what, found, needed: needed.to_owned() })
    };
    let (last, digest) = {
        let marks = target.0.log.marks();
        let is_empty = marks.head.last == Position::ZERO && marks.sources.is_empty() && marks.quarantine.is_empty();
        let is_free = is_empty && target.applied()? == Position::ZERO;
        if !(is_begun || is_free) {
            let needed = "empty: name another in store.distributed.name, or remove its topics and keys";
            return refused(format!("it is in use and its log ends at position {}", marks.head.last), needed);
        }
        (marks.head.last, marks.head.digest)
    };
    let begins = before_log(from)?.0;
    let is_part =
        last == Position::ZERO || (begins..=from.last()).contains(&last) && from.digest_at(last)? == Some(digest);
    if is_part {
        return Ok(());
    }
    let needed = "a part of this folder's: remove its topics and keys, then begin again";
    refused(format!("a migration of another folder was broken off at position {last}"), needed)
}

/// Blocks and payloads, from where the target ends.
fn copy_blocks(from: &Embedded, log: &KafkaLog, mut told: impl FnMut(Position) -> Result<()>) -> Result<()> {
    let mut head = log.marks().head.clone();
    let mut records = Vec::new();
    let (mut bytes, mut blocks) = (0, 0);
    for block in from.read(head.last.next())? {
        let block = block?;
        let mut copy = NewBlock::new(block.ingested_at());
        for (_, fact) in block.facts() {
            copy.push(fact);
            bytes += fact.len();
        }
        let first = block.first();
        for (ingested_at, packed) in from.packed_raws(first)? {
            bytes += packed.len();
            records.extend(parts(&log.topics.payloads, first.0, &dated(ingested_at, &packed)));
        }
        records.extend(log.block_records(Some(copy), &mut head));
        if head.digest != *block.digest() {
            return Err(Error::damaged(format!("the block at position {first}"), "its copy has another digest"));
        }
        blocks += 1;
        if bytes >= TRANSACTION_BYTES || blocks >= TRANSACTION_BLOCKS_MAX || head.last == from.last() {
            let stands = head.clone();
            log.advance_by(std::mem::take(&mut records), |_| stands)?;
            (bytes, blocks) = (0, 0);
            told(head.last)?;
        }
    }
    Ok(())
}

/// A commit's payloads behind the instant at which they came in.
fn dated(ingested_at: Millis, packed: &[u8]) -> Vec<u8> {
    [&ingested_at.0.to_le_bytes()[..], packed].concat()
}

/// All quarantined records under their ids; how many there are.
fn copy_quarantine(from: &Embedded, target: &Distributed) -> Result<u64> {
    let log = &target.0.log;
    let mut gone: BTreeMap<QuarantineId, Quarantined> = log.marks().quarantine.clone();
    let (mut after, mut count) = (None, 0);
    loop {
        let page = from.list(&QuarantineFilter::default(), after, PAGE_RECORDS)?;
        for record in &page.records {
            count += 1;
            let known = gone.remove(&record.id);
            if known.as_ref() != Some(record) {
                copy_record(from, log, record)?;
            }
        }
        after = page.after;
        if after.is_none() {
            break;
        }
    }
    let topic = log.topics.quarantine.as_str();
    let gone = gone.keys().map(|id| (topic, id.0.to_be_bytes().to_vec(), None));
    let next = from.quarantine_next()?;
    log.advance_by(gone, |head| Head { quarantine_next: next, ..head })?;
    Ok(count)
}

/// One record; its bytes only if the target does not have them yet, because their keys may only rise.
fn copy_record(from: &Embedded, log: &KafkaLog, record: &Quarantined) -> Result<()> {
    let mut records = Vec::new();
    let next = log.marks().head.quarantine_next.max(record.id.0 + 1);
    if next > log.marks().head.quarantine_next {
        records.extend(parts(&log.topics.inputs, record.id.0, &from.raw(record.id)?));
    }
    let (key, value) = quarantine_record(record);
    records.push((log.topics.quarantine.as_str(), key, value));
    log.advance_by(records, |head| Head { quarantine_next: next, ..head })
}

/// Rows and outbox in place of what an earlier attempt left; how many there are.
fn copy_rows(from: &Embedded, target: &Distributed, rows: &RedisRows) -> Result<u64> {
    let mut count = 0;
    for table in Table::ALL {
        let left = target.scan(table, b"")?;
        in_parts(rows, left, |changes, key, _| changes.push_delete(table, key.to_vec()))?;
        count += in_parts(rows, from.scan(table, b"")?, |changes, key, value| {
            changes.push_put(table, key.to_vec(), value.to_vec());
        })?;
    }
    let left = target.pending()?;
    in_parts(rows, left, |changes, id, _| *changes = std::mem::take(changes).outbox_done(id))?;
    count += in_parts(rows, from.pending()?, |changes, id, action| {
        *changes = std::mem::take(changes).outbox_put(id, action);
    })?;
    target.write(Changes::new().applied(from.applied()?), Durability::Synced)?;
    Ok(count)
}

fn in_parts(rows: &RedisRows, pairs: Pairs, mut add: impl FnMut(&mut Changes, Bytes, Bytes)) -> Result<u64> {
    let mut changes = Changes::new();
    let mut count = 0;
    for pair in pairs {
        let (key, value) = pair?;
        add(&mut changes, key, value);
        count += 1;
        if count % ROWS_MAX as u64 == 0 {
            rows.commit(std::mem::take(&mut changes), Position(u64::MAX))?;
        }
    }
    if !changes.is_empty() {
        rows.commit(changes, Position(u64::MAX))?;
    }
    Ok(count)
}

/// Where the sources stand and payloads that no block follows yet; from then on the store may be opened.
fn end(from: &Embedded, log: &KafkaLog) -> Result<()> {
    let next = from.last().next();
    let mut records = vec![mark(log, None)];
    for (ingested_at, packed) in from.packed_raws(next)? {
        records.extend(parts(&log.topics.payloads, next.0, &dated(ingested_at, &packed)));
    }
    records.extend(from.sources()?.iter().map(|(name, position)| {
        let (key, value) = source_record(name, position);
        (log.topics.marks.as_str(), key, value)
    }));
    log.advance_by(records, |head| head)
}
