//! Commits: everything of a batch in one write of the library's journal, then a sync.

use std::ops::Range;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fjall::{OwnedWriteBatch, PersistMode};
use ontology::Millis;

use super::seal::{self, Seal};
use super::tables::read_error;
use super::{Embedded, Inner, Writer};
use crate::{
    Batch, Changes, Durability, Error, FreeSpace, Intake, NewBlock, Position, Priority, QuarantineId, Result, crash,
    figures, free_space, raw,
};

/// Payload blocks dropped in one commit: bounds how long an expiry holds up appends.
const EXPIRE_BLOCKS_MAX: usize = 1024;

/// How often a settling store asks whether its tables are written; the library does not tell.
const SETTLE_POLL: Duration = Duration::from_millis(2);

impl Embedded {
    pub(super) fn commit_batch(&self, mut batch: Batch, durability: Durability) -> Result<Range<Position>> {
        let inner = &*self.0;
        let mut writer = inner.lock_writer()?;
        batch.check(writer.applied, writer.last)?;
        let first = writer.last.next();
        if batch.intake.is_empty() && batch.changes.is_empty() {
            return Ok(first..first);
        }
        inner.check_space(priority_of(&batch.intake))?;
        let mut next = *writer;
        let mut write = inner.tables.db.batch();
        let size_bytes = batch.intake.block.as_ref().map_or(0, NewBlock::size_bytes);
        let (has_rows, moves_rows) = (!batch.changes.is_empty(), batch.changes.applied.is_some());
        inner.add_intake(&mut write, &mut batch.intake, &mut next);
        inner.add_changes(&mut write, batch.changes, &mut next);
        inner.write(write, &mut writer, next, durability)?;
        record(&batch.intake, size_bytes, &writer);
        if moves_rows {
            inner.tell_size();
        }
        if !batch.intake.is_empty() {
            inner.counted.log_committed();
        }
        if has_rows {
            inner.counted.rows_committed();
        }
        Ok(first..writer.last.next())
    }

    pub(super) fn sync_journal(&self) -> Result<()> {
        let inner = &*self.0;
        let _writer = inner.lock_writer()?;
        crash::point("storage.sync.before");
        inner.probe().map_err(|error| inner.stop("sync the journal", &error))?;
        inner.tables.db.persist(PersistMode::SyncData).map_err(|error| inner.stop("sync the journal", &error))?;
        crash::point("storage.sync.after");
        Ok(())
    }

    /// See [`Embedded::settle`].
    pub(super) fn write_tables(&self) -> Result<()> {
        let inner = &*self.0;
        let _writer = inner.lock_writer()?;
        let stop = |error: fjall::Error| inner.stop("write out the tables", &error);
        for keyspace in inner.tables.all() {
            keyspace.rotate_memtable().map_err(stop)?;
        }
        while inner.tables.all().any(|keyspace| keyspace.sealed_memtable_count() > 0) {
            // Fails once the library's background writers have failed: then waiting is in vain.
            inner.tables.db.persist(PersistMode::Buffer).map_err(stop)?;
            std::thread::sleep(SETTLE_POLL);
        }
        Ok(())
    }

    /// Drops payloads whose block came in more than the retention before `now`.
    pub(super) fn drop_raws(&self, now: Millis) -> Result<u64> {
        let inner = &*self.0;
        let retention_ms = inner.options.retention.raw_ms;
        let mut dropped = 0;
        loop {
            let mut keys = Vec::new();
            for guard in inner.tables.raw.iter().take(EXPIRE_BLOCKS_MAX) {
                let key = guard.key().map_err(|error| read_error("the payloads", error))?;
                let ingested_at =
                    raw::ingested_at(&key).ok_or_else(|| Error::damaged("the payloads", "a key is cut short"))?;
                if now.since(ingested_at) <= retention_ms {
                    break;
                }
                keys.push(key);
            }
            if keys.is_empty() {
                figures::expired("raw", dropped);
                return Ok(dropped);
            }
            dropped += keys.len() as u64;
            let mut write = inner.tables.db.batch();
            keys.into_iter().for_each(|key| write.remove(&inner.tables.raw, key));
            inner.write_expiry(write)?;
        }
    }
}

impl Inner {
    pub(super) fn lock_writer(&self) -> Result<MutexGuard<'_, Writer>> {
        if let Some(cause) = self.stopped.get() {
            return Err(Error::Stop { cause: cause.clone() });
        }
        self.lock_state()
    }

    /// The state, for reading; also after the store has stopped writing.
    pub(super) fn lock_state(&self) -> Result<MutexGuard<'_, Writer>> {
        self.writer.lock().map_err(|_| Error::Stop { cause: "a thread died while it was writing".to_owned() })
    }

    /// Writes a removal of expired things: no space is asked for, since it makes some.
    pub(super) fn write_expiry(&self, write: OwnedWriteBatch) -> Result<()> {
        crash::point("storage.expire.before");
        self.write_aside(write, Durability::Relaxed)?;
        crash::point("storage.expire.after");
        Ok(())
    }

    /// Writes what moves neither log nor rows, without asking for space.
    pub(super) fn write_aside(&self, write: OwnedWriteBatch, durability: Durability) -> Result<()> {
        let mut writer = self.lock_writer()?;
        let next = *writer;
        self.write(write, &mut writer, next, durability)
    }

    /// Seals and writes a batch; only when that succeeded does the state move to `next`.
    pub(super) fn write(
        &self,
        mut write: OwnedWriteBatch,
        writer: &mut Writer,
        mut next: Writer,
        durability: Durability,
    ) -> Result<()> {
        // The caller may have waited for the lock while the writer before it failed.
        if let Some(cause) = self.stopped.get() {
            return Err(Error::Stop { cause: cause.clone() });
        }
        next.commit += 1;
        let synced = durability == Durability::Synced;
        write.insert(&self.tables.system, seal::KEY, Seal { synced, state: next }.encode());
        crash::point(if synced { "storage.commit.prepared" } else { "storage.relaxed.prepared" });
        self.probe().map_err(|error| self.stop("write a commit", &error))?;
        write.commit().map_err(|error| self.stop("write a commit", &error))?;
        crash::point(if synced { "storage.commit.written" } else { "storage.relaxed.written" });
        if synced {
            self.probe().map_err(|error| self.stop("sync a commit", &error))?;
            let mode = PersistMode::SyncData;
            self.tables.db.persist(mode).map_err(|error| self.stop("sync a commit", &error))?;
            crash::point("storage.commit.synced");
        }
        *writer = next;
        self.last.store(next.last.0, Ordering::Release);
        Ok(())
    }

    pub(super) fn check_space(&self, priority: Priority) -> Result<()> {
        let space: std::io::Result<FreeSpace> = match &self.options.free_space {
            Some(probe) => probe(),
            None => free_space(&self.dir),
        };
        let space = space.map_err(Error::io(format!("ask for the free space of {}", self.dir.display())))?;
        figures::free_bytes(space.free_bytes);
        self.options.limits.check(space, priority).inspect_err(|_| figures::refused_full())
    }

    /// How large the store is, as often as rows are stored; a failure tells nothing.
    fn tell_size(&self) {
        if let Ok(bytes) = self.tables.db.disk_space() {
            figures::bytes(bytes);
        }
    }

    fn probe(&self) -> std::io::Result<()> {
        self.options.write_probe.as_ref().map_or(Ok(()), |probe| probe())
    }

    /// Ends all writing: after a failed sync the system may have dropped the pages, so a second
    /// try could succeed without having written them.
    fn stop(&self, doing: &str, error: &dyn std::error::Error) -> Error {
        let cause = self.stopped.get_or_init(|| {
            tracing::error!(doing, %error, "the store stops writing");
            figures::stopped();
            format!("{doing}: {error}")
        });
        Error::Stop { cause: cause.clone() }
    }

    fn add_intake(&self, write: &mut OwnedWriteBatch, intake: &mut Intake, next: &mut Writer) {
        let tables = &self.tables;
        if let Some(block) = &mut intake.block {
            let first = next.last.next();
            if block.count() > 0 {
                let (stored, digest) = block.seal(first, &next.digest);
                write.insert(&tables.log, first.0.to_be_bytes(), stored);
                next.last = next.last.plus(u64::from(block.count()));
                next.digest = digest;
            }
            if let Some(packed) = block.payloads().pack(first) {
                write.insert(&tables.raw, raw::key(first, block.ingested_at(), next.commit), packed);
            }
        }
        for (partition, position) in &intake.sources {
            write.insert(&tables.sources, partition.as_bytes(), position.as_slice());
        }
        for record in &intake.quarantined {
            let id = QuarantineId(next.quarantine_next);
            next.quarantine_next += 1;
            write.insert(&tables.quarantine, id.0.to_be_bytes(), record.held(id).encode());
            write.insert(&tables.quarantine_raw, id.0.to_be_bytes(), record.raw.as_slice());
        }
    }

    fn add_changes(&self, write: &mut OwnedWriteBatch, changes: Changes, next: &mut Writer) {
        let rows = changes.rows.into_iter().map(|(table, change)| (self.tables.row(table), change));
        let outbox = changes.outbox.into_iter().map(|change| (&self.tables.outbox, change));
        for (table, (key, value)) in rows.chain(outbox) {
            match value {
                Some(value) => write.insert(table, key, value),
                None => write.remove(table, key),
            }
        }
        next.applied = changes.applied.unwrap_or(next.applied);
    }
}

/// Derived rows alone may use the reserve, as decisions do: without them nothing can go on.
fn priority_of(intake: &Intake) -> Priority {
    if intake.is_empty() { Priority::Decision } else { intake.priority }
}

/// Counts what was written; the block came with `size_bytes`.
fn record(intake: &Intake, size_bytes: usize, writer: &Writer) {
    if let Some(block) = &intake.block {
        figures::appended(u64::from(block.count()), size_bytes, writer.last.0);
    }
    intake.quarantined.iter().for_each(|record| figures::quarantined(&record.reason));
    figures::applied(writer.applied.0);
}
