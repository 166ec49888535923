//! What lies in the store's folder besides the library's own files: a lock and the format version.
//! Both come before the library is asked, so that a wrong folder is refused without touching it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;

use crate::{Error, Result};

/// Format of the folder that this program writes; it reads this and every older one, and makes an older
/// one its own by opening it. Since format 2 a log may begin at a stand, which older programs take for
/// the beginning of everything.
pub const FORMAT: u32 = 2;

pub(super) const FORMAT_FILE: &str = "FORMAT";
pub(super) const LOCK_FILE: &str = "LOCK";
const PREFIX: &str = "opshub store format ";

/// Takes the folder for this process; the lock falls with the file, also when the process dies.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io(format!("open {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(Error::Io { doing: format!("lock {}", path.display()), source }),
    }
}

/// Refuses a newer or unreadable format; gives the one that is stated, if one is.
pub(super) fn check(dir: &Path) -> Result<Option<u32>> {
    let path = dir.join(FORMAT_FILE);
    let text = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { doing: format!("read {}", path.display()), source }),
    };
    let damaged = || Error::damaged(path.display().to_string(), "it does not state a store format");
    let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
    let number = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix('\n')).ok_or_else(damaged)?;
    match number.parse::<u32>().map_err(|_| damaged())? {
        0 => Err(damaged()),
        found if found > FORMAT => Err(Error::Newer { dir: dir.to_owned(), found, supported: FORMAT }),
        found => Ok(Some(found)),
    }
}

/// States the format, whole or not at all.
pub(super) fn write(dir: &Path) -> Result<()> {
    let draft = dir.join("FORMAT.new");
    let doing = || format!("write {}", draft.display());
    let mut file = File::create(&draft).map_err(Error::io(doing()))?;
    writeln!(file, "{PREFIX}{FORMAT}").map_err(Error::io(doing()))?;
    file.sync_all().map_err(Error::io(doing()))?;
    std::fs::rename(&draft, dir.join(FORMAT_FILE)).map_err(Error::io(doing()))?;
    sync_dir(dir)
}

/// Makes created and renamed names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    let doing = || format!("sync folder {}", dir.display());
    File::open(dir).map_err(Error::io(doing()))?.sync_all().map_err(Error::io(doing()))
}
