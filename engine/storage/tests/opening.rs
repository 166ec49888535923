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
    use storage::{Changes, Durability, Rows as _, Store as _};
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
}
