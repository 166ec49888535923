//! Reads of log and rows.

use std::io::Write;
use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fjall::{Guard, Keyspace, Readable as _};
use ontology::Millis;

use super::Embedded;
use super::tables::read_error;
use crate::{
    Atomic, Backup, Batch, Block, Blocks, Changes, DIGEST_START, Digest, Durability, Error, Intake, Log, Operations,
    Pairs, Position, Raw, Result, Rows, Store, Table, Verified, raw,
};

impl Log for Embedded {
    fn append(&self, intake: Intake) -> Result<Range<Position>> {
        self.commit_batch(Batch { intake, changes: Changes::new() }, Durability::Synced)
    }

    fn read(&self, from: Position) -> Result<Blocks> {
        let (start, last) = (self.start()?, self.last_position());
        if from < start || from > last.next() {
            return Err(Error::OutOfRange { asked: from, start, last });
        }
        if from > last {
            return Ok(Box::new(std::iter::empty()));
        }
        let log = &self.0.tables.log;
        let holder = log.range(..=from.0.to_be_bytes()).next_back();
        let Some(holder) = holder else {
            let start = self.start()?;
            // It may have been dropped since it was asked for.
            return Err(match from < start {
                true => Error::OutOfRange { asked: from, start, last },
                false => Error::damaged("the log", format!("no block holds position {from}")),
            });
        };
        let first = holder.key().map_err(|error| read_error("the log", error))?;
        let expected = position_of(&first)?;
        Ok(Box::new(ChainedBlocks { guards: log.range(first..), chain: Chain::from(expected), last, ended: false }))
    }

    fn last(&self) -> Position {
        self.last_position()
    }

    fn start(&self) -> Result<Position> {
        Ok(Position(self.0.start.load(Ordering::Acquire)))
    }

    fn raws(&self, first: Position) -> Result<Vec<Raw>> {
        let what = || format!("the payloads at position {first}");
        let mut raws = Vec::new();
        for guard in self.0.tables.raw.prefix(first.0.to_be_bytes()) {
            let stored = guard.value().map_err(|error| read_error(&what(), error))?;
            raws.extend(raw::unpack(&stored).map_err(|why| Error::damaged(what(), why))?);
        }
        Ok(raws)
    }

    fn source(&self, partition: &str) -> Result<Option<Bytes>> {
        get(&self.0.tables.sources, "the source positions", partition.as_bytes())
    }

    fn sources(&self) -> Result<Vec<(String, Bytes)>> {
        let what = "the source positions";
        let pairs = self.0.tables.sources.iter().map(|guard| {
            let (key, value) = pair(what, guard)?;
            let name = String::from_utf8(key.to_vec()).map_err(|_| Error::damaged(what, "a name is not text"))?;
            Ok((name, value))
        });
        pairs.collect()
    }

    fn expire_raws(&self, now: Millis) -> Result<u64> {
        self.drop_raws(now)
    }
}

/// What a migration copies as it is.
impl Embedded {
    /// Payloads at a position as they are stored, each commit's with the instant at which it came in.
    pub(crate) fn packed_raws(&self, first: Position) -> Result<Vec<(Millis, Bytes)>> {
        let what = "the payloads";
        let entries = self.0.tables.raw.prefix(first.0.to_be_bytes()).map(|guard| {
            let (key, packed) = pair(what, guard)?;
            let ingested_at = raw::ingested_at(&key).ok_or_else(|| Error::damaged(what, "a key has no instant"))?;
            Ok((ingested_at, packed))
        });
        entries.collect()
    }

    /// The id that the next quarantined record gets.
    pub(crate) fn quarantine_next(&self) -> Result<u64> {
        self.0.lock_state().map(|writer| writer.quarantine_next)
    }

    /// Digest of the newest block.
    pub(crate) fn log_digest(&self) -> Result<Digest> {
        self.0.lock_state().map(|writer| writer.digest)
    }

    /// Digest of the block that ends at a position, which may be the one before the first that is kept;
    /// none if none ends there.
    pub(crate) fn digest_at(&self, position: Position) -> Result<Option<Digest>> {
        let start = self.start()?;
        if position.next() == start {
            let first = self.read(start)?.next().transpose()?;
            return Ok(Some(first.map_or(DIGEST_START, |block| *block.previous())));
        }
        let block = self.read(position)?.next().transpose()?;
        Ok(block.filter(|block| block.last() == position).map(|block| *block.digest()))
    }
}

impl Rows for Embedded {
    fn load(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
        self.0.counted.loaded(table);
        let keyspace = self.0.tables.row(table);
        keys.iter().map(|key| get(keyspace, table.name(), key)).collect()
    }

    fn scan(&self, table: Table, prefix: &[u8]) -> Result<Pairs> {
        self.0.counted.loaded(table);
        let snapshot = self.0.tables.db.snapshot();
        let guards = snapshot.prefix(self.0.tables.row(table), prefix);
        Ok(Box::new(guards.map(move |guard| pair(table.name(), guard))))
    }

    fn applied(&self) -> Result<Position> {
        self.0.lock_state().map(|writer| writer.applied)
    }

    fn pending(&self) -> Result<Pairs> {
        let snapshot = self.0.tables.db.snapshot();
        Ok(Box::new(snapshot.iter(&self.0.tables.outbox).map(|guard| pair("the outbox", guard))))
    }

    fn write(&self, changes: Changes, durability: Durability) -> Result<()> {
        self.commit_batch(Batch { intake: Intake::new(), changes }, durability).map(drop)
    }
}

impl Atomic for Embedded {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Range<Position>> {
        self.commit_batch(batch, durability)
    }
}

impl Store for Embedded {
    fn sync(&self) -> Result<()> {
        self.sync_journal()
    }

    fn verify(&self) -> Result<Verified> {
        self.verify_all()
    }

    fn backup(&self, out: &mut dyn Write) -> Result<Backup> {
        self.write_backup(out)
    }

    fn operations(&self) -> Operations {
        self.0.counted.so_far()
    }
}

/// Blocks in order, each checked against the one before.
struct ChainedBlocks {
    guards: fjall::Iter,
    chain: Chain,
    last: Position,
    ended: bool,
}

impl Iterator for ChainedBlocks {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.chain.expected > self.last {
            return None;
        }
        let block = self.read_next();
        self.ended = block.is_err();
        Some(block)
    }
}

impl ChainedBlocks {
    fn read_next(&mut self) -> Result<Block> {
        let what = self.chain.what();
        let Some(guard) = self.guards.next() else {
            return Err(Error::damaged(what, format!("it is missing, the log should reach position {}", self.last)));
        };
        let (_, stored) = pair(&what, guard)?;
        self.chain.link(stored)
    }
}

/// The chain of blocks, link by link.
pub(super) struct Chain {
    expected: Position,
    previous: Option<Digest>,
}

impl Chain {
    /// A chain whose next block begins at `first`.
    pub(super) fn from(first: Position) -> Self {
        Chain { expected: first, previous: None }
    }

    /// Reads the next block and checks that it follows from the one before.
    pub(super) fn link(&mut self, stored: Bytes) -> Result<Block> {
        let what = self.what();
        let block = Block::open(stored).map_err(|why| Error::damaged(what.as_str(), why))?;
        if block.first() != self.expected {
            return Err(Error::damaged(what, format!("a block for position {} is in its place", block.first())));
        }
        if self.previous.is_some_and(|previous| previous != *block.previous()) {
            return Err(Error::damaged(what, "it does not follow from the block before it"));
        }
        self.expected = block.last().next();
        self.previous = Some(*block.digest());
        Ok(block)
    }

    /// Whether the last block ends at this position with this digest.
    pub(super) fn ends_at(&self, last: Position, digest: &Digest) -> bool {
        self.expected == last.next() && self.previous == Some(*digest)
    }

    fn what(&self) -> String {
        format!("the block at position {}", self.expected)
    }
}

pub(super) fn position_of(key: &[u8]) -> Result<Position> {
    let bytes = key.try_into().map_err(|_| Error::damaged("the log", "a key is not a position"))?;
    Ok(Position(u64::from_be_bytes(bytes)))
}

pub(super) fn get(keyspace: &Keyspace, what: &str, key: &[u8]) -> Result<Option<Bytes>> {
    let found = keyspace.get(key).map_err(|error| read_error(what, error))?;
    Ok(found.map(Bytes::from))
}

pub(super) fn pair(what: &str, guard: Guard) -> Result<(Bytes, Bytes)> {
    let (key, value) = guard.into_inner().map_err(|error| read_error(what, error))?;
    Ok((key.into(), value.into()))
}
