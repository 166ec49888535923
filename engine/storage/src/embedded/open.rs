//! Opening: lock, format, journal, library, and the end of the chain, in this order.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock};

use super::read::position_of;
use super::seal::{self, Seal};
use super::tables::{Tables, read_error};
use super::{Inner, Options, Writer, format, journal, manifest, verify};
use crate::operations::Counted;
use crate::{DIGEST_START, Error, Position, Result, crash};

pub(super) const STORE_FOLDER: &str = "store";

/// The library writes this last when it creates a store; without it nothing was ever acknowledged.
const LIBRARY_MARKER: &str = "version";

pub(super) fn open(dir: &Path, options: Options) -> Result<Inner> {
    std::fs::create_dir_all(dir).map_err(Error::io(format!("create folder {}", dir.display())))?;
    let lock = format::lock(dir)?;
    crash::point("storage.open.locked");
    let library_dir = dir.join(STORE_FOLDER);
    let exists = library_dir.join(LIBRARY_MARKER).exists();
    let stated = format::check(dir)?;
    if stated.is_none() {
        if exists {
            return Err(Error::damaged(dir.display().to_string(), "it holds a store but does not state its format"));
        }
        format::write(dir)?;
        crash::point("storage.open.format_written");
    }
    if exists {
        manifest::examine(&library_dir)?;
        journal::examine(&library_dir)?;
    } else {
        remove_unfinished(&library_dir)?;
    }
    crash::point("storage.open.journal_checked");
    let tables = open_tables(&library_dir, &options)?;
    format::sync_dir(dir)?;
    if stated.is_some_and(|stated| stated < format::FORMAT) {
        format::write(dir)?;
    }
    crash::point("storage.open.tables_ready");
    assemble(dir, options, tables, lock)
}

/// The store in these tables, once the end of its chain fits its seal.
pub(super) fn assemble(dir: &Path, options: Options, tables: Tables, lock: File) -> Result<Inner> {
    let writer = read_state(&tables)?;
    verify::check_tail(&tables, &writer)?;
    let start = match tables.log.first_key_value() {
        Some(guard) => position_of(&guard.key().map_err(|error| read_error("the log", error))?)?,
        None => writer.last.next(),
    };
    Ok(Inner {
        dir: dir.to_owned(),
        options,
        tables,
        last: AtomicU64::new(writer.last.0),
        start: AtomicU64::new(start.0),
        writer: Mutex::new(writer),
        counted: Counted::default(),
        stopped: OnceLock::new(),
        _lock: lock,
    })
}

/// Removes what a creation that died has left, for the library would refuse to create over it.
fn remove_unfinished(library_dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(library_dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Io { doing: format!("remove unfinished {}", library_dir.display()), source }),
    }
}

/// The library reports most damage as an error and some of it by a panic; both refuse the start.
pub(super) fn open_tables(library_dir: &Path, options: &Options) -> Result<Tables> {
    let what = format!("the store in {}", library_dir.display());
    match catch_unwind(AssertUnwindSafe(|| Tables::open(library_dir, options.cache_bytes))) {
        Ok(Ok(tables)) => Ok(tables),
        Ok(Err(error)) => Err(read_error(&what, error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Error::damaged(what, format!("the library gave up on it: {text}")))
        }
    }
}

/// Where the store stands by its seal; the start of everything when there was no commit yet.
fn read_state(tables: &Tables) -> Result<Writer> {
    match tables.system.get(seal::KEY).map_err(|error| read_error("the seal", error))? {
        Some(stored) => Seal::decode(&stored)
            .map(|seal| seal.state)
            .ok_or_else(|| Error::damaged("the seal", "it does not fit its check value")),
        None if tables.log.first_key_value().is_none() => Ok(Writer {
            commit: 0,
            last: Position::ZERO,
            digest: DIGEST_START,
            applied: Position::ZERO,
            quarantine_next: 1,
        }),
        None => Err(Error::damaged("the seal", "it is missing beside a log with facts")),
    }
}
