//! What an open refuses, and that it says why.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use ontology::Millis;
use storage::{Embedded, Error, FORMAT, Intake, Log as _, NewBlock, Options, Position};

fn append_one(store: &Embedded) {
    let mut block = NewBlock::new(Millis(1));
    block.push(b"fact");
    store.append(Intake::new().block(block)).unwrap();
}

fn open(dir: &Path) -> storage::Result<Embedded> {
    Embedded::open(dir, Options::default())
}

fn refusal(dir: &Path) -> Error {
    open(dir).err().unwrap()
}

/// The same of a store that is closed: a child that another test is just starting holds the lock of
/// its parent until it runs.
fn refusal_of_closed(dir: &Path) -> Error {
    let mut tries = std::iter::repeat_with(|| refusal(dir)).take(10_000);
    tries.find(|error| !matches!(error, Error::InUse { .. })).expect("the lock falls")
}

#[test]
fn a_newer_format_is_refused_with_the_next_step_and_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let newer = format!("opshub store format {}\n", FORMAT + 1);
    std::fs::write(dir.path().join("FORMAT"), &newer).unwrap();
    let refused = refusal(dir.path());
    assert!(matches!(refused, Error::Newer { found, supported: FORMAT, .. } if found == FORMAT + 1));
    assert!(refused.to_string().contains("start the newer opshub"), "{refused}");
    assert_eq!(std::fs::read_to_string(dir.path().join("FORMAT")).unwrap(), newer);
}

#[test]
fn an_older_format_is_read_and_becomes_this_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let stated = || std::fs::read_to_string(dir.path().join("FORMAT")).unwrap();
    let own = stated();
    std::fs::write(dir.path().join("FORMAT"), "opshub store format 1\n").unwrap();
    assert_ne!(stated(), own);
    drop(open(dir.path()).unwrap());
    assert_eq!(stated(), own);
}

#[test]
fn an_unreadable_or_missing_format_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    for text in [&b""[..], b"opshub store format 1", b"opshub store format 0\n", b"opshub store format -1\n", b"\xff\n"]
    {
        std::fs::write(dir.path().join("FORMAT"), text).unwrap();
        assert!(matches!(refusal_of_closed(dir.path()), Error::Damaged { .. }), "{text:?}");
    }
    std::fs::remove_file(dir.path().join("FORMAT")).unwrap();
    assert!(matches!(refusal_of_closed(dir.path()), Error::Damaged { .. }));
}

#[test]
fn a_second_open_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let refused = refusal(dir.path());
    assert!(matches!(refused, Error::InUse { .. }) && refused.to_string().contains("another process"), "{refused}");
    let clone = first.clone();
    drop(first);
    assert!(matches!(refusal(dir.path()), Error::InUse { .. }), "a clone keeps it open");
    drop(clone);
    open(dir.path()).unwrap();
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(matches!(refusal(&dir.path().join("file")), Error::Io { .. }));
}

#[test]
fn a_creation_that_died_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("store/keyspaces")).unwrap();
    std::fs::write(dir.path().join("store/0.jnl"), "").unwrap();
    let store = open(dir.path()).unwrap();
    append_one(&store);
    drop(store);
    assert_eq!(open(dir.path()).unwrap().last(), Position(1));
}

#[test]
fn a_settled_store_opens_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for _ in 0..3 {
        append_one(&store);
        store.settle().unwrap();
    }
    drop(store);
    assert_eq!(open(dir.path()).unwrap().read(Position::FIRST).unwrap().count(), 3);
}

#[test]
fn files_of_a_flush_that_died_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    append_one(&store);
    store.settle().unwrap();
    drop(store);
    let trees = std::fs::read_dir(dir.path().join("store/keyspaces")).unwrap().map(|tree| tree.unwrap().path());
    for folder in trees.flat_map(|tree| [tree.join("tables"), tree.join("blobs")]).filter(|folder| folder.exists()) {
        std::fs::write(folder.join("999"), b"half a file").unwrap();
    }
    assert_eq!(open(dir.path()).unwrap().last(), Position(1));
}

/// Name of the test below that plays the process which dies, and of the variable that asks it to.
const VICTIM: &str = "dies_at_the_named_point";
const VICTIM_DIR: &str = "OPSHUB_STORAGE_TEST_DIR";

#[test]
fn an_acknowledged_fact_survives_death_at_every_named_point() {
    for point in storage::crash::POINTS {
        let dir = tempfile::tempdir().unwrap();
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", VICTIM, "--nocapture"])
            .env(VICTIM_DIR, dir.path())
            .env("OPSHUB_CRASH_POINT", point)
            .output()
            .unwrap();
        assert!(!died.status.success(), "{point} was never passed");
        let text = String::from_utf8(died.stdout).unwrap();
        let acknowledged =
            text.lines().filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok()).max();
        let store = open(dir.path()).unwrap_or_else(|error| panic!("{point}: {error}"));
        assert!(store.last().0 >= acknowledged.unwrap_or(0), "{point}: {} < {acknowledged:?}", store.last());
        storage::Store::verify(&store).unwrap();
        append_one(&store);
    }
}

/// Passes every crash point; by itself, without a folder to work in, it has nothing to do.
#[test]
fn dies_at_the_named_point() {
    use storage::{Changes, Durability, Rows as _, Stands as _, Store as _};
    let Some(dir) = std::env::var_os(VICTIM_DIR) else { return };
    let store = open(Path::new(&dir)).unwrap();
    for _ in 0..3 {
        append_one(&store);
        println!("\nacknowledged {}", store.last());
        store.write(Changes::new().applied(store.last()), Durability::Relaxed).unwrap();
    }
    store.sync().unwrap();
    let mut block = NewBlock::new(Millis(1));
    let index = block.push(b"fact");
    block.push_raw(index, 1, b"", b"payload");
    store.append(Intake::new().block(block)).unwrap();
    println!("\nacknowledged {}", store.last());
    store.expire_raws(Millis(Millis::DAY_MS * 365)).unwrap();
    let changes = Changes::new().put(storage::Table::Entity, "case/1", "row").applied(store.last());
    store.write(changes, Durability::Relaxed).unwrap();
    let base = store.keep_stand(b"head", &|| true).unwrap().unwrap().position;
    store.forget_before(base, &|| true).unwrap();
}

/// Facts of the store that forgets, and the rounds after which it has room again.
const FACT_BYTES: usize = 256 << 10;
const ROUNDS: std::ops::Range<u64> = 30..300;

#[test]
fn a_log_that_is_forgotten_gives_its_disk_back() {
    use storage::{Changes, Durability, Rows as _, Stands as _};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for round in 1..ROUNDS.end {
        let mut block = NewBlock::new(Millis(1));
        block.push(&[7; FACT_BYTES]);
        store.append(Intake::new().block(block)).unwrap();
        store.write(Changes::new().applied(store.last()), Durability::Relaxed).unwrap();
        store.keep_stand(b"head", &|| true).unwrap();
        store.forget_before(store.last(), &|| true).unwrap();
        store.settle().unwrap();
        assert_eq!(store.start().unwrap(), store.last());
        if round >= ROUNDS.start && held_bytes(dir.path()) < round * FACT_BYTES as u64 / 4 {
            return;
        }
    }
    panic!("{} of {} bytes are still held", held_bytes(dir.path()), ROUNDS.end * FACT_BYTES as u64);
}

/// What a folder takes on the disk.
fn held_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // A file may go while it is looked at.
    let held = |path: std::path::PathBuf| {
        if path.is_dir() { held_bytes(&path) } else { path.metadata().map_or(0, |file| file.blocks() * 512) }
    };
    entries.map(held).sum()
}
