//! Stands on disk: rows in versions by position, in a key space of their own, and one entry of the system
//! table for each stand, which is written last and removed first. So a death leaves at most versions that
//! no stand needs: those before the base are dropped by the next forgetting, and those behind the newest
//! stand are what the next one begins with, for the rows have not gone back.

use std::cmp::Ordering;
use std::sync::atomic;

use bytes::Bytes;
use fjall::{Iter, OwnedWriteBatch, Readable as _, Snapshot};

use super::Embedded;
use super::read::{pair, position_of};
use super::tables::{Tables, read_error};
use crate::stand::{RowVersion, Stand, StandRows, Stands, TABLES, no_stand, tag};
use crate::{Durability, Error, Log as _, Position, Priority, Result, Table, crash, figures};

const WHAT: &str = "the stands";

/// Keys of stands in the system table, behind which the position stands.
const PREFIX: &[u8] = b"stand/";

/// Rows read, and bytes written, at a time: bounds memory and how long writers wait.
const PART_ROWS_MAX: usize = 4_096;
const PART_BYTES: usize = 1 << 20;

impl Stands for Embedded {
    fn stands(&self) -> Result<Vec<Stand>> {
        read_stands(&self.0.tables)
    }

    fn stand_rows(&self, position: Position) -> Result<StandRows> {
        let tables = &self.0.tables;
        let snapshot = tables.db.snapshot();
        let is_kept = snapshot.contains_key(&tables.system, stand_key(position));
        if !is_kept.map_err(|error| read_error(WHAT, error))? {
            return no_stand(self, position);
        }
        let rows = Standing::at(position, snapshot.iter(&tables.stands));
        Ok(Box::new(rows.filter_map(|version| match version {
            Ok(RowVersion { table, key, value, since: _ }) => value.map(|value| Ok((table, key.into(), value))),
            Err(error) => Some(Err(error)),
        })))
    }

    fn keep_stand(&self, head: &[u8], is_wanted: &dyn Fn() -> bool) -> Result<Option<Stand>> {
        let inner = &*self.0;
        let (snapshot, position) = {
            let writer = inner.lock_writer()?;
            (inner.tables.db.snapshot(), writer.applied)
        };
        let newest = self.stands()?.pop().map_or(Position::ZERO, |stand| stand.position);
        if position <= newest {
            return Ok(None);
        }
        let digest = self.digest_at(position)?;
        let digest = digest.ok_or(Error::Invalid { what: "a stand", why: "its rows stand within a block" })?;
        let head = snapshot.get(inner.tables.row(Table::Meta), head).map_err(|error| read_error(WHAT, error))?;
        for table in TABLES {
            if !self.keep_table(&snapshot, table, position, is_wanted)? {
                return Ok(None);
            }
        }
        let stand = Stand { position, digest, head: head.map(Bytes::from).unwrap_or_default() };
        let mut write = inner.tables.db.batch();
        write.insert(&inner.tables.system, stand_key(position), stand.encode());
        inner.write_aside(write, Durability::Synced)?;
        crash::point("storage.stand.kept");
        Ok(Some(stand))
    }

    fn forget_before(&self, base: Position, is_wanted: &dyn Fn() -> bool) -> Result<u64> {
        let stands = self.stands()?;
        if !stands.iter().any(|stand| stand.position == base) {
            return no_stand(self, base);
        }
        let inner = &*self.0;
        let mut write = inner.tables.db.batch();
        for older in stands.iter().filter(|stand| stand.position < base) {
            write.remove(&inner.tables.system, stand_key(older.position));
        }
        if !write.is_empty() {
            inner.write_aside(write, Durability::Synced)?;
        }
        crash::point("storage.forget.moved");
        if !self.drop_versions(base, is_wanted)? {
            return Ok(0);
        }
        let dropped = self.drop_blocks(base, is_wanted)?;
        figures::expired("log", dropped);
        Ok(dropped)
    }
}

impl Embedded {
    /// Writes what changed in a table since the newest version of each row. Gives whether it came to the
    /// end.
    fn keep_table(
        &self,
        snapshot: &Snapshot,
        table: Table,
        position: Position,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let tables = &self.0.tables;
        let rows = snapshot.iter(tables.row(table)).map(|guard| pair(table.name(), guard));
        let kept = Standing::at(Position(u64::MAX), snapshot.prefix(&tables.stands, [tag(table)]));
        let mut part = Part::of(self);
        let changes = Changed { rows: rows.peekable(), kept: kept.peekable(), table, position };
        for change in changes {
            part.rows += 1;
            if let Some(version) = change? {
                part.insert(&version);
            }
            if part.is_full() && !part.write_if(is_wanted)? {
                return Ok(false);
            }
        }
        part.write_if(is_wanted)
    }

    /// Drops versions that no stand from `base` on needs. Gives whether it came to the end.
    fn drop_versions(&self, base: Position, is_wanted: &dyn Fn() -> bool) -> Result<bool> {
        let mut part = Part::of(self);
        // The newest version of its key at or before the base, as far as was read.
        let mut newest: Option<RowVersion> = None;
        for guard in self.0.tables.db.snapshot().iter(&self.0.tables.stands) {
            let version = read_version(guard)?;
            part.rows += 1;
            if let Some(before) = newest.take() {
                let is_replaced = before.is_of(&version) && version.since <= base;
                if is_replaced || before.value.is_none() {
                    part.remove(&before);
                }
            }
            newest = Some(version).filter(|version| version.since <= base);
            if part.is_full() && !part.write_if(is_wanted)? {
                return Ok(false);
            }
        }
        if let Some(last) = newest.filter(|last| last.value.is_none()) {
            part.remove(&last);
        }
        part.write_if(is_wanted)
    }

    /// Drops the blocks that end before `base`, oldest first. The block that ends there stays: it bears
    /// the digest that the stand has, and there is always a newest one.
    fn drop_blocks(&self, base: Position, is_wanted: &dyn Fn() -> bool) -> Result<u64> {
        let log = &self.0.tables.log;
        let mut part = Part::of(self);
        let (mut dropped, mut oldest) = (0, None);
        let start = self.start()?;
        for guard in log.range(start.0.to_be_bytes()..) {
            let first = guard.key().map_err(|error| read_error("the log", error))?;
            let position = position_of(&first)?;
            if position > base {
                break;
            }
            part.start = Some(position);
            if let Some(oldest) = oldest.replace(first) {
                part.write.remove(log, oldest);
                part.rows += 1;
                dropped += 1;
            }
            if part.is_full() && !part.write_if(is_wanted)? {
                return Ok(dropped);
            }
        }
        part.write_if(is_wanted)?;
        Ok(dropped)
    }
}

/// All stands in these tables, oldest first.
pub(super) fn read_stands(tables: &Tables) -> Result<Vec<Stand>> {
    let stands = tables.system.prefix(PREFIX).map(|guard| {
        let (key, stored) = pair(WHAT, guard)?;
        let stand = Stand::decode(&stored).filter(|stand| key == stand_key(stand.position));
        stand.ok_or_else(|| Error::damaged(WHAT, "one does not have its layout"))
    });
    stands.collect()
}

fn stand_key(position: Position) -> Vec<u8> {
    [PREFIX, &position.0.to_be_bytes()].concat()
}

fn read_version(guard: fjall::Guard) -> Result<RowVersion> {
    let (key, value) = pair(WHAT, guard)?;
    RowVersion::read(&key, &value).ok_or_else(|| Error::damaged(WHAT, "a row does not have its layout"))
}

/// Some of the writing, under the writer's lock at once.
struct Part<'a> {
    store: &'a Embedded,
    write: OwnedWriteBatch,
    rows: usize,
    bytes: usize,
    /// Where the log begins once this is written.
    start: Option<Position>,
}

impl<'a> Part<'a> {
    fn of(store: &'a Embedded) -> Self {
        Part { store, write: store.0.tables.db.batch(), rows: 0, bytes: 0, start: None }
    }

    fn insert(&mut self, version: &RowVersion) {
        let value = version.stored_value();
        self.bytes += value.len();
        self.write.insert(&self.store.0.tables.stands, version.stored_key(), value);
    }

    fn remove(&mut self, version: &RowVersion) {
        self.write.remove(&self.store.0.tables.stands, version.stored_key());
    }

    fn is_full(&self) -> bool {
        self.rows >= PART_ROWS_MAX || self.bytes >= PART_BYTES
    }

    /// Gives whether it was wanted.
    fn write_if(&mut self, is_wanted: &dyn Fn() -> bool) -> Result<bool> {
        if !is_wanted() {
            return Ok(false);
        }
        let inner = &*self.store.0;
        let write = std::mem::replace(&mut self.write, inner.tables.db.batch());
        let has_inserts = std::mem::take(&mut self.bytes) > 0;
        self.rows = 0;
        if write.is_empty() {
            return Ok(true);
        }
        if let Some(start) = self.start.take() {
            inner.start.store(start.0, atomic::Ordering::Release);
        }
        if has_inserts {
            inner.check_space(Priority::Source)?;
        }
        inner.write_aside(write, Durability::Relaxed)?;
        crash::point("storage.stand.part");
        Ok(true)
    }
}

/// Of each row the newest version at or before a position; removed rows too.
struct Standing {
    position: Position,
    guards: Iter,
    found: Option<RowVersion>,
}

impl Standing {
    fn at(position: Position, guards: Iter) -> Self {
        Standing { position, guards, found: None }
    }
}

impl Iterator for Standing {
    type Item = Result<RowVersion>;

    fn next(&mut self) -> Option<Self::Item> {
        for guard in self.guards.by_ref() {
            let version = match read_version(guard) {
                Ok(version) => version,
                Err(error) => return Some(Err(error)),
            };
            if version.since > self.position {
                continue;
            }
            let before = self.found.replace(version);
            if let (Some(before), Some(now)) = (before, &self.found)
                && !before.is_of(now)
            {
                return Some(Ok(before));
            }
        }
        self.found.take().map(Ok)
    }
}

/// Walks through rows and their newest versions side by side; an item for each key, with a version where
/// the two differ.
struct Changed<R: Iterator, K: Iterator> {
    rows: std::iter::Peekable<R>,
    kept: std::iter::Peekable<K>,
    table: Table,
    position: Position,
}

impl<R, K> Iterator for Changed<R, K>
where
    R: Iterator<Item = Result<(Bytes, Bytes)>>,
    K: Iterator<Item = Result<RowVersion>>,
{
    type Item = Result<Option<RowVersion>>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.rows.peek(), self.kept.peek()) {
            (None, None) => return None,
            (Some(Ok((key, _))), Some(Ok(kept))) => key[..].cmp(&kept.key),
            (Some(_), None) | (Some(Err(_)), Some(_)) => Ordering::Less,
            (None, Some(_)) | (Some(Ok(_)), Some(Err(_))) => Ordering::Greater,
        };
        let row = (order != Ordering::Greater).then(|| self.rows.next()).flatten().transpose();
        let kept = (order != Ordering::Less).then(|| self.kept.next()).flatten().transpose();
        let (row, kept) = match (row, kept) {
            (Ok(row), Ok(kept)) => (row, kept),
            (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
        };
        let was = kept.as_ref().and_then(|kept| kept.value.as_ref());
        if was == row.as_ref().map(|(_, value)| value) {
            return Some(Ok(None));
        }
        let (key, value) = match (row, kept) {
            (Some((key, value)), _) => (key.to_vec(), Some(value)),
            (None, Some(kept)) => (kept.key, None),
            (None, None) => return None,
        };
        Some(Ok(Some(RowVersion { table: self.table, key, since: self.position, value })))
    }
}
