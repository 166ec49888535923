//! A backup that is cut, changed or put together wrongly is refused by name, and leaves no store.

use std::io::Cursor;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use storage::{
    Backup, DIGEST_START, Embedded, Error, FORMAT, Options, Position, Result, Rows as _, Stands as _, Store as _,
    read_backup,
};

use crate::effort;
use crate::victim::{Victim, answers};

/// A store with something of everything, and its backup.
fn backed_up() -> (tempfile::TempDir, Embedded, Vec<u8>, Backup) {
    let copy = Victim::new().copy();
    let store = Embedded::open(copy.path(), Options::default()).unwrap();
    let mut bytes = Vec::new();
    let backup = store.backup(&mut bytes).unwrap();
    (copy, store, bytes, backup)
}

fn restore(dir: &Path, bytes: &[u8]) -> Result<Backup> {
    Embedded::restore(dir, Cursor::new(bytes), Options::default())
}

#[test]
fn a_restored_store_answers_as_the_one_that_was_backed_up() {
    let (_copy, store, bytes, backup) = backed_up();
    let expected = answers(&store).unwrap();
    // What comes later is not in it.
    let mut block = storage::NewBlock::new(ontology::Millis(99));
    block.push(b"later");
    storage::Log::append(&store, storage::Intake::new().block(block)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    for dir in [folder.path().to_owned(), folder.path().join("lost+found/new")] {
        assert_eq!(restore(&dir, &bytes).unwrap(), backup);
        assert_eq!(backup.bytes, bytes.len() as u64);
        let restored = Embedded::open(&dir, Options::default()).unwrap();
        assert_eq!(answers(&restored).unwrap(), expected);
        assert_eq!(restored.verify().unwrap().facts, backup.position.0);
        let mut again = Vec::new();
        assert_eq!(restored.backup(&mut again).unwrap().digest, backup.digest);
    }
}

#[test]
fn a_log_without_its_beginning_goes_along_with_its_base() {
    let (_copy, store, _, _) = backed_up();
    store.write(storage::Changes::new().applied(storage::Log::last(&store)), storage::Durability::Synced).unwrap();
    let base = store.keep_stand(b"count", &|| true).unwrap().unwrap();
    assert!(store.forget_before(base.position, &|| true).unwrap() > 0);
    let mut bytes = Vec::new();
    store.backup(&mut bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    restore(folder.path(), &bytes).unwrap();
    let restored = Embedded::open(folder.path(), Options::default()).unwrap();
    assert_eq!(answers(&restored).unwrap(), answers(&store).unwrap());
    assert_eq!((restored.stands().unwrap(), restored.verify().unwrap()), (vec![base], store.verify().unwrap()));
    assert_eq!(rows(&restored), rows(&store));
}

fn rows(store: &Embedded) -> Vec<String> {
    let base = store.stands().unwrap().remove(0);
    store.stand_rows(base.position).unwrap().map(|row| format!("{:?}", row.unwrap())).collect()
}

#[test]
fn an_empty_store_is_backed_up_too() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut bytes = Vec::new();
    Embedded::open(from.path(), Options::default()).unwrap().backup(&mut bytes).unwrap();
    let backup = restore(to.path(), &bytes).unwrap();
    assert_eq!((backup.position, backup.entries), (Position::ZERO, 0));
    assert_eq!(storage::Log::last(&Embedded::open(to.path(), Options::default()).unwrap()), Position::ZERO);
}

#[test]
fn a_cut_at_any_length_and_a_change_of_any_byte_are_refused() {
    let (_copy, _store, bytes, _) = backed_up();
    let refused = |bytes: &[u8], what: &str| {
        let error = read_backup(bytes).err().unwrap_or_else(|| panic!("{what} was not noticed"));
        assert!(matches!(error, Error::BackupDamaged { .. } | Error::BackupNewer { .. }), "{what}: {error}");
    };
    for at in (0..bytes.len()).step_by((bytes.len() / 400 / effort()).max(1)) {
        refused(&bytes[..at], &format!("a cut to {at}"));
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        refused(&bad, &format!("a change at {at}"));
    }
    refused(&[&bytes[..], b"x"].concat(), "a byte more");
}

#[test]
fn what_is_refused_is_named_and_leaves_no_store() {
    let (_copy, _store, bytes, _) = backed_up();
    let middle = bytes.len() / 2;
    let mut changed = bytes.clone();
    changed[middle] ^= 1;
    let newer = [b"opshub backup format 2\n", &bytes[23..]].concat();
    let cases = [
        (&bytes[..middle], "not finished"),
        (&changed[..], "its digest does not fit its bytes"),
        (&newer[..], "use the newer opshub"),
        (b"something else entirely", "does not state the format"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (bytes, expected) in cases {
        for dir in [folder.path().to_owned(), folder.path().join("new")] {
            let error = restore(&dir, bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!Embedded::is_in(&dir));
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A disk that is full after so many bytes.
struct Filling(usize);

impl std::io::Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(std::io::Error::from_raw_os_error(28)) } else { Ok(taken) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_fills_ends_the_backup_and_not_the_store() {
    let (_copy, store, bytes, _) = backed_up();
    for room in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        let error = store.backup(&mut Filling(room)).unwrap_err();
        assert!(error.to_string().contains("write the backup"), "{error}");
    }
    store.backup(&mut Filling(bytes.len())).unwrap();
    store.verify().unwrap();
}

#[test]
fn nothing_is_restored_over_something() {
    let (copy, store, bytes, _) = backed_up();
    let error = restore(copy.path(), &bytes).unwrap_err();
    assert!(matches!(&error, Error::NotEmpty { dir } if dir == copy.path()), "{error}");
    assert!(error.to_string().contains("name a new folder"), "{error}");
    store.verify().unwrap();
}

#[test]
fn a_backup_of_a_newer_store_is_refused() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut bytes = Vec::new();
    Embedded::open(from.path(), Options::default()).unwrap().backup(&mut bytes).unwrap();
    // An empty store's backup is its first line and one frame, which begins with the store's format.
    let body = bytes.len() - 60;
    bytes[body..body + 4].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    let digest = Sha256::new().chain_update(DIGEST_START).chain_update([2]).chain_update(&bytes[body..]).finalize();
    bytes[body - 32..body].copy_from_slice(&digest);
    assert_eq!(read_backup(&bytes[..]).unwrap().store_format, FORMAT + 1);
    let error = restore(to.path(), &bytes).unwrap_err();
    assert!(matches!(error, Error::Newer { found, .. } if found == FORMAT + 1), "{error}");
    assert!(!Embedded::is_in(to.path()));
}
