//! The key spaces of the embedded store and how each is tuned.

use std::path::Path;

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};

use crate::{Error, Table};

const MIB: u64 = 1 << 20;

/// Bytes of journal kept before the slowest key space is written out: bounds the replay at open.
const JOURNAL_BYTES_MAX: u64 = 256 * MIB;

/// Key spaces of one open store.
#[derive(Clone)]
pub(super) struct Tables {
    pub(super) log: Keyspace,
    pub(super) raw: Keyspace,
    pub(super) sources: Keyspace,
    pub(super) quarantine: Keyspace,
    pub(super) quarantine_raw: Keyspace,
    pub(super) outbox: Keyspace,
    pub(super) stands: Keyspace,
    pub(super) system: Keyspace,
    rows: [Keyspace; Table::ALL.len()],
    pub(super) db: Database,
}

impl Tables {
    /// Name of the key space with the blocks.
    pub(super) const LOG: &str = "log";

    /// Opens or creates the library's store and all key spaces.
    ///
    /// Blocks and payloads are large and written once: their values are kept apart from the keys,
    /// so that compaction moves pointers only. Nothing is compressed by the library: payloads come
    /// compressed, blocks and rows are cheaper to keep than to pack.
    /// One worker: of several the library keeps the first free to flush, and while another compacts that
    /// one hands the message on to itself without a pause.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> fjall::Result<Tables> {
        let db = Database::builder(dir)
            .cache_size(cache_bytes)
            .journal_compression(CompressionType::None)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(1)
            .open()?;
        let large = || {
            let apart = KvSeparationOptions::default().compression(CompressionType::None).separation_threshold(4096);
            small(32 * MIB).with_kv_separation(Some(apart))
        };
        let row = |table: Table| db.keyspace(&format!("row_{}", table.name()), || small(32 * MIB));
        let rows = [
            row(Table::Entity)?,
            row(Table::Resolver)?,
            row(Table::Customer)?,
            row(Table::Timer)?,
            row(Table::Redirect)?,
            row(Table::Meta)?,
        ];
        Ok(Tables {
            log: db.keyspace(Self::LOG, large)?,
            raw: db.keyspace("raw", large)?,
            sources: db.keyspace("sources", || small(4 * MIB))?,
            quarantine: db.keyspace("quarantine", || small(4 * MIB))?,
            quarantine_raw: db.keyspace("quarantine_raw", large)?,
            outbox: db.keyspace("outbox", || small(8 * MIB))?,
            stands: db.keyspace("stands", || small(16 * MIB))?,
            system: db.keyspace("system", || small(4 * MIB))?,
            rows,
            db,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Keyspace> {
        let fixed = [&self.log, &self.raw, &self.sources, &self.quarantine, &self.quarantine_raw, &self.outbox];
        fixed.into_iter().chain([&self.stands, &self.system]).chain(&self.rows)
    }

    /// Every key space with its name in a backup, the one with the seal last: a restore that breaks off
    /// leaves no seal.
    pub(super) fn named(&self) -> Vec<(&'static str, &Keyspace)> {
        let mut named = vec![
            (Self::LOG, &self.log),
            ("raw", &self.raw),
            ("sources", &self.sources),
            ("quarantine", &self.quarantine),
            ("quarantine_raw", &self.quarantine_raw),
            ("outbox", &self.outbox),
        ];
        named.extend(Table::ALL.map(|table| (table.name(), self.row(table))));
        named.extend([("stands", &self.stands), ("system", &self.system)]);
        named
    }

    pub(super) fn row(&self, table: Table) -> &Keyspace {
        let [entity, resolver, customer, timer, redirect, meta] = &self.rows;
        match table {
            Table::Entity => entity,
            Table::Resolver => resolver,
            Table::Customer => customer,
            Table::Timer => timer,
            Table::Redirect => redirect,
            Table::Meta => meta,
        }
    }
}

fn small(memtable_bytes: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
}

/// A failed read of the library, as ours: what does not fit its checksum or layout is damage, what
/// the operating system refused is not.
pub(super) fn read_error(what: &str, error: fjall::Error) -> Error {
    let damage = match &error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => matches!(
            io.kind(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData
        ),
        fjall::Error::Poisoned | fjall::Error::KeyspaceDeleted | fjall::Error::Locked => false,
        _ => true,
    };
    if damage {
        return Error::damaged(what, error.to_string());
    }
    Error::Backend { doing: format!("read {what}"), source: Box::new(error) }
}
