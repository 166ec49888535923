//! Contract of restarts and verification.

use storage::{Changes, Durability, Position, Table, Verified};

use super::{Harness, facts, intake, rejected};

pub fn everything_is_there_after_a_restart(harness: &impl Harness) {
    for round in 0..4u64 {
        let store = harness.store();
        assert_eq!(facts(&*store, 1).len() as u64, 2 * round);
        let changes = Changes::new().put(Table::Customer, "c", round.to_string()).applied(Position(2 * round + 2));
        let appended = store.append(intake(round as i64, &["a", "b"]).source("s", round.to_string())).unwrap();
        assert_eq!(appended, Position(2 * round + 1)..Position(2 * round + 3));
        store.write(changes, Durability::Synced).unwrap();
        store.write(Changes::new().outbox_put(round.to_string(), "act"), Durability::Relaxed).unwrap();
        store.sync().unwrap();
        let store = harness.restart(store);
        assert_eq!((store.last(), store.applied().unwrap()), (Position(2 * round + 2), Position(2 * round + 2)));
        let row = store.load(Table::Customer, &[b"c"]).unwrap().remove(0).unwrap();
        assert_eq!((row, store.source("s").unwrap().unwrap()), (round.to_string().into(), round.to_string().into()));
        assert_eq!(store.pending().unwrap().count() as u64, round + 1);
        assert_eq!(store.raws(Position(2 * round + 1)).unwrap().len(), 2);
    }
}

pub fn verification_counts_what_is_there(harness: &impl Harness) {
    let store = harness.store();
    assert_eq!(store.verify().unwrap(), Verified::default());
    store.append(intake(1, &["a", "b"]).source("s", "1").quarantine(rejected("malformed", "s", 1, b"raw"))).unwrap();
    store.append(intake(2, &["c"])).unwrap();
    store.write(Changes::new().put(Table::Timer, "t", "").outbox_put("o", ""), Durability::Relaxed).unwrap();
    let seen = store.verify().unwrap();
    assert_eq!(seen, Verified { blocks: 2, facts: 3, raw_blocks: 2, rows: 3, quarantined: 1, stands: 0 });
}
