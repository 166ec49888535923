//! The embedded store: everything in one folder, on a library-kept log-structured store.
//!
//! One commit is one batch of that store across all its key spaces, closed by a [`seal`]; its
//! write-ahead journal makes the batch atomic and a sync makes it durable. On top of the library's
//! checksums stand two proofs of our own: the digest chain over blocks, and the reading of the
//! journal before the library opens it ([`journal`]), which tells a torn tail from damage.

mod backup;
mod commit;
mod format;
mod journal;
mod manifest;
mod open;
mod quarantine;
mod read;
mod seal;
mod stands;
mod tables;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::operations::Counted;
use crate::{Digest, FreeSpaceProbe, Position, Result, Retention, SpaceLimits};
use tables::Tables;

pub use format::FORMAT;

/// Asked before each write and sync of a commit; an error counts as the device's own. Lets a test
/// fail the n-th write.
pub type WriteProbe = Arc<dyn Fn() -> std::io::Result<()> + Send + Sync>;

/// How an embedded store behaves.
#[derive(Clone)]
pub struct Options {
    /// How much disk stays free.
    pub limits: SpaceLimits,
    /// How long payloads and quarantined records are kept.
    pub retention: Retention,
    /// Block cache in bytes; rows live in the engine's memory, so this serves starts and listings.
    pub cache_bytes: u64,
    /// Where the free space is asked; `None` asks the file system.
    pub free_space: Option<FreeSpaceProbe>,
    /// Fault injection for tests; `None` outside them.
    pub write_probe: Option<WriteProbe>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limits: SpaceLimits::default(),
            retention: Retention::default(),
            cache_bytes: 32 << 20,
            free_space: None,
            write_probe: None,
        }
    }
}

/// The store in a folder. Clones are handles to the same open store; the last one closes it.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    options: Options,
    tables: Tables,
    writer: Mutex<Writer>,
    /// Position of the newest acknowledged fact; readers look no further.
    last: AtomicU64,
    /// Oldest position kept, so that a read need not step over the keys of dropped blocks. It moves before
    /// blocks go: readers look no further back.
    start: AtomicU64,
    counted: Counted,
    /// Set by the first failed write.
    stopped: OnceLock<String>,
    /// Held open and locked for as long as the store is; declared last, so released last.
    _lock: File,
}

/// What the next commit builds on; only the holder of the lock writes.
#[derive(Debug, Clone, Copy)]
struct Writer {
    commit: u64,
    last: Position,
    digest: Digest,
    applied: Position,
    quarantine_next: u64,
}

impl Embedded {
    /// Opens the store in `dir`, creating it if the folder is absent or empty.
    ///
    /// # Errors
    /// [`crate::Error::InUse`], [`crate::Error::Newer`], [`crate::Error::Damaged`], or a failed
    /// operation of the file system.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        open::open(dir, options).map(|inner| Embedded(Arc::new(inner)))
    }

    /// Whether a folder holds a store, of whatever format.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        dir.join(format::FORMAT_FILE).exists()
    }

    /// The folder the store is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Writes what is only in the journal out to the tables, so that the next open has nothing to
    /// replay. Part of a clean stop; nothing depends on it.
    ///
    /// # Errors
    /// [`crate::Error::Stop`] at and after the first failed write.
    pub fn settle(&self) -> Result<()> {
        self.write_tables()
    }

    fn last_position(&self) -> Position {
        Position(self.0.last.load(Ordering::Acquire))
    }
}
