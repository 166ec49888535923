//! Backup and restore of the embedded store.
//!
//! A backup reads a snapshot of the library, so writers go on meanwhile. A restore states the format
//! of the folder last of all: whatever breaks it off leaves a folder that no open takes for a store.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use fjall::{PersistMode, Readable as _};

use super::read::{Chain, pair, position_of};
use super::tables::Tables;
use super::{Embedded, FORMAT, Options, format, open};
use crate::backup::{Frame, FrameReader, FrameWriter};
use crate::{Backup, Error, Position, Result, Store as _, read_backup};

/// What a new file system may hold by itself.
const LOST_AND_FOUND: &str = "lost+found";

impl Embedded {
    pub(super) fn write_backup(&self, out: &mut dyn Write) -> Result<Backup> {
        let inner = &*self.0;
        let (snapshot, state) = {
            let writer = inner.lock_writer()?;
            (inner.tables.db.snapshot(), *writer)
        };
        let mut frames = FrameWriter::begin(out)?;
        let mut chain: Option<Chain> = None;
        for (space, keyspace) in inner.tables.named() {
            for guard in snapshot.iter(keyspace) {
                let (key, value) = pair(space, guard)?;
                if space == Tables::LOG {
                    let first = position_of(&key)?;
                    chain.get_or_insert(Chain::from(first)).link(Bytes::clone(&value))?;
                }
                frames.entry(space, &key, &value)?;
            }
        }
        let is_whole = chain.map_or(state.last == Position::ZERO, |chain| chain.ends_at(state.last, &state.digest));
        if !is_whole {
            return Err(Error::damaged("the log", format!("it does not end at position {} as it should", state.last)));
        }
        frames.finish(Backup {
            store_format: FORMAT,
            position: state.last,
            digest: state.digest,
            applied: state.applied,
            entries: 0,
            bytes: 0,
        })
    }

    /// Makes a store of a backup in `dir`, which is absent or empty, and reads all of it once more. The
    /// whole backup is checked before anything is written.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::BackupDamaged`], [`Error::BackupNewer`], [`Error::Newer`] for a store
    /// of a newer program, or a failed operation of the file system. Then no store is in `dir`.
    pub fn restore(dir: &Path, mut from: impl Read + Seek, options: Options) -> Result<Backup> {
        let backup = read_backup(&mut from)?;
        if backup.store_format > FORMAT {
            return Err(Error::Newer { dir: dir.to_owned(), found: backup.store_format, supported: FORMAT });
        }
        from.seek(SeekFrom::Start(0)).map_err(Error::io("read the backup again"))?;
        let existed = is_free(dir)?;
        std::fs::create_dir_all(dir).map_err(Error::io(format!("create folder {}", dir.display())))?;
        let lock = format::lock(dir)?;
        let restored = restore_into(dir, from, options, lock, &backup);
        if restored.is_err() {
            // As far as it goes: what stays behind states no format, so nobody takes it for a store.
            let _ = std::fs::remove_dir_all(dir.join(open::STORE_FOLDER));
            let _ = std::fs::remove_file(dir.join(format::LOCK_FILE));
            if !existed {
                let _ = std::fs::remove_dir(dir);
            }
        }
        restored.map(|()| backup)
    }
}

/// Whether the folder is there; one that holds anything is refused.
fn is_free(dir: &Path) -> Result<bool> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::Io { doing: format!("list {}", dir.display()), source }),
    };
    for entry in entries {
        let entry = entry.map_err(Error::io(format!("list {}", dir.display())))?;
        if entry.file_name() != LOST_AND_FOUND {
            return Err(Error::NotEmpty { dir: dir.to_owned() });
        }
    }
    Ok(true)
}

fn restore_into(dir: &Path, from: impl Read, options: Options, lock: File, backup: &Backup) -> Result<()> {
    let tables = open::open_tables(&dir.join(open::STORE_FOLDER), &options)?;
    fill(&tables, from)?;
    let store = Embedded(std::sync::Arc::new(open::assemble(dir, options, tables, lock)?));
    let state = *store.0.lock_state()?;
    if (state.last, state.digest, state.applied) != (backup.position, backup.digest, backup.applied) {
        return Err(Error::BackupDamaged {
            what: "its end".to_owned(),
            why: "it says that the store stood elsewhere".to_owned(),
        });
    }
    store.verify()?;
    store.settle()?;
    format::write(dir)
}

fn fill(tables: &Tables, from: impl Read) -> Result<()> {
    let failed =
        |error: fjall::Error| Error::Backend { doing: "write the restored store".into(), source: error.into() };
    let mut frames = FrameReader::begin(from)?;
    while let Frame::Entries(entries) = frames.read_next()? {
        let (space, entries) = entries.read()?;
        let found = tables.named().into_iter().find(|(name, _)| *name == space);
        let (_, keyspace) = found.ok_or_else(|| Error::BackupDamaged {
            what: format!("the key space {space}"),
            why: "a store of this format has none of that name".to_owned(),
        })?;
        let mut write = tables.db.batch();
        entries.into_iter().for_each(|(key, value)| write.insert(keyspace, key, value));
        write.commit().map_err(failed)?;
    }
    tables.db.persist(PersistMode::SyncAll).map_err(failed)
}
