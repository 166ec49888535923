//! A device that fails and a disk that fills.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ontology::Millis;
use storage::{
    Changes, Class, Durability, Embedded, Error, FreeSpace, Intake, Log as _, NewBlock, Options, Position, Priority,
    Quarantine as _, QuarantineId, Rows as _, Store as _, Table,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Stores that wait for the disk at the same time.
const LANES: usize = 5;

fn fact(priority: Priority) -> Intake {
    let mut block = NewBlock::new(Millis(1));
    block.push(b"fact");
    Intake::new().block(block).priority(priority)
}

/// A store whose n-th write or sync fails, as a device would; later ones would succeed.
fn failing_at(dir: &std::path::Path, nth: u64) -> Embedded {
    let calls = AtomicU64::new(0);
    let probe = move || match calls.fetch_add(1, Ordering::Relaxed) + 1 {
        call if call == nth => Err(std::io::Error::from_raw_os_error(5)),
        _ => Ok(()),
    };
    Embedded::open(dir, Options { write_probe: Some(Arc::new(probe)), ..Options::default() }).unwrap()
}

#[test]
fn nothing_is_written_after_the_first_failure_until_a_restart() {
    // Most of it is waiting for the disk, so they wait together.
    std::thread::scope(|scope| {
        for lane in 1..=LANES {
            scope.spawn(move || (lane..=50).step_by(LANES).for_each(fail_once));
        }
    });
}

/// Lets the n-th write or sync fail.
fn fail_once(nth: usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = failing_at(dir.path(), nth as u64);
    let mut acknowledged = 0;
    let cause = loop {
        match store.append(fact(Priority::Source)) {
            Ok(positions) => acknowledged = positions.start.0,
            Err(error) => break error,
        }
    };
    assert!(matches!(cause, Error::Stop { .. }) && cause.class() == Class::Stop, "{cause}");
    for refused in [
        store.append(fact(Priority::Decision)).map(drop),
        store.write(Changes::new().put(Table::Meta, "k", "v"), Durability::Relaxed),
        store.sync(),
        store.attempt(QuarantineId(1)).map(drop),
        store.settle(),
    ] {
        assert!(matches!(refused, Err(Error::Stop { .. })), "{nth}: {refused:?}");
    }
    assert_eq!(store.last(), Position(acknowledged));
    assert_eq!(store.read(Position::FIRST).unwrap().count() as u64, acknowledged, "reads go on");
    drop(store);
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    assert!(store.last().0 >= acknowledged, "{nth}");
    store.append(fact(Priority::Source)).unwrap();
    store.verify().unwrap();
}

#[test]
fn a_nearly_full_disk_stops_intake_first_and_resumes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(GIB));
    let seen = Arc::clone(&free);
    let probe = move || Ok(FreeSpace { free_bytes: seen.load(Ordering::Relaxed), total_bytes: 100 * GIB });
    let store =
        Embedded::open(dir.path(), Options { free_space: Some(Arc::new(probe)), ..Options::default() }).unwrap();
    let row = || store.write(Changes::new().put(Table::Meta, "k", "v"), Durability::Relaxed);
    let check = |free_bytes: u64, source: bool, decision: bool| {
        free.store(free_bytes, Ordering::Relaxed);
        assert_eq!(store.append(fact(Priority::Source)).is_ok(), source, "{free_bytes} for a source");
        assert_eq!(store.append(fact(Priority::Decision)).is_ok(), decision, "{free_bytes} for a decision");
        assert_eq!(row().is_ok(), decision, "{free_bytes} for rows");
        store.read(Position::FIRST).unwrap().for_each(|block| drop(block.unwrap()));
    };
    check(512 * MIB, true, true);
    check(512 * MIB - 1, false, true);
    check(448 * MIB, false, true);
    check(448 * MIB - 1, false, false);
    let refused = store.append(fact(Priority::Source)).unwrap_err();
    assert!(matches!(refused, Error::Full { retry_after_ms: 1.., .. }) && refused.class() == Class::Retry, "{refused}");
    store.expire_raws(Millis(1)).unwrap();
    check(512 * MIB, true, true);
}

#[test]
fn appends_from_many_threads_get_contiguous_positions() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    let appended = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..10).map(|_| store.append(fact(Priority::Source)).unwrap().start.0).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(appended, (1..=40).collect());
    assert_eq!(store.verify().unwrap().facts, 40);
}
