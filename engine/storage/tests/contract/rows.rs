//! Contract of rows, outbox and applied position.

use storage::{Batch, Changes, Class, Durability, Error, Intake, KEY_BYTES_MAX, Operations, Position, Store, Table};

use super::{AtomicHarness, Harness, intake};

fn keys(store: &dyn Store, table: Table, prefix: &[u8]) -> Vec<Vec<u8>> {
    store.scan(table, prefix).unwrap().map(|row| row.unwrap().0.to_vec()).collect()
}

fn pending(store: &dyn Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let actions = store.pending().unwrap().map(Result::unwrap);
    actions.map(|(id, action)| (id.to_vec(), action.to_vec())).collect()
}

pub fn rows_are_loaded_in_the_order_of_the_keys(harness: &impl Harness) {
    let store = harness.store();
    store.write(Changes::new().put(Table::Entity, "a", "1").put(Table::Entity, "b", ""), Durability::Relaxed).unwrap();
    let rows = store.load(Table::Entity, &[b"b", b"missing", b"a"]).unwrap();
    let rows: Vec<_> = rows.iter().map(Option::as_deref).collect();
    assert_eq!(rows, [Some(&b""[..]), None, Some(&b"1"[..])]);
    assert_eq!(store.load(Table::Timer, &[b"a"]).unwrap(), [None], "tables are apart");
}

pub fn a_scan_takes_one_prefix_of_one_table_in_key_order(harness: &impl Harness) {
    let store = harness.store();
    let mut changes = Changes::new().put(Table::Resolver, "a/2", "other table");
    for key in ["b", "a/2", "a/10", "a", "a0"] {
        changes = changes.put(Table::Entity, key, "row");
    }
    store.write(changes.put(Table::Entity, b"\xff\xff".to_vec(), "row"), Durability::Synced).unwrap();
    assert_eq!(keys(&*store, Table::Entity, b"a/"), [b"a/10".to_vec(), b"a/2".to_vec()]);
    assert_eq!(keys(&*store, Table::Entity, b"\xff"), [b"\xff\xff".to_vec()]);
    assert_eq!(keys(&*store, Table::Entity, b"").len(), 6);
    assert_eq!(keys(&*store, Table::Customer, b"").len(), 0);
    let scan = store.scan(Table::Entity, b"a/").unwrap();
    store.write(Changes::new().put(Table::Entity, "a/3", "late"), Durability::Relaxed).unwrap();
    assert_eq!(scan.count(), 2, "a scan is of one instant");
}

pub fn later_changes_of_a_batch_win(harness: &impl Harness) {
    let store = harness.store();
    let changes = Changes::new().put(Table::Meta, "k", "1").delete(Table::Meta, "k").put(Table::Meta, "k", "2");
    store.write(changes.put(Table::Meta, "gone", "1").delete(Table::Meta, "gone"), Durability::Synced).unwrap();
    let rows = store.load(Table::Meta, &[b"k", b"gone"]).unwrap();
    assert_eq!((rows[0].as_deref(), rows[1].as_deref()), (Some(&b"2"[..]), None));
    store.write(Changes::new().delete(Table::Meta, "never there"), Durability::Synced).unwrap();
}

pub fn loads_and_commits_are_counted(harness: &impl Harness) {
    let store = harness.store();
    let before = store.operations();
    store.append(intake(1, &["a", "b"])).unwrap();
    store.append(Intake::new()).unwrap();
    store.write(Changes::new().put(Table::Meta, "k", "1").applied(Position(2)), Durability::Relaxed).unwrap();
    store.write(Changes::new(), Durability::Relaxed).unwrap();
    store.load(Table::Meta, &[b"k", b"gone"]).unwrap();
    assert_eq!(keys(&*store, Table::Entity, b"").len(), 0);
    let Operations { log_commits, row_commits, row_loads } = store.operations();
    assert_eq!((log_commits - before.log_commits, row_commits - before.row_commits), (1, 1), "empty ones are none");
    assert_eq!(row_loads - before.row_loads, 2, "one by keys, one of a table");
}

pub fn actions_stay_pending_until_done(harness: &impl Harness) {
    let store = harness.store();
    let changes = Changes::new().outbox_put("2", "second").outbox_put("1", "first").outbox_put("1", "first, again");
    store.write(changes, Durability::Synced).unwrap();
    assert_eq!(pending(&*store), [(b"1".to_vec(), b"first, again".to_vec()), (b"2".to_vec(), b"second".to_vec())]);
    store.write(Changes::new().outbox_done("1").outbox_done("unknown"), Durability::Synced).unwrap();
    assert_eq!(pending(&*store).len(), 1);
}

pub fn the_applied_position_only_moves_forward_and_within_the_log(harness: &impl Harness) {
    let store = harness.store();
    store.append(intake(1, &["a", "b", "c"])).unwrap();
    assert_eq!(store.applied().unwrap(), Position::ZERO);
    let apply = |position| store.write(Changes::new().applied(Position(position)), Durability::Relaxed);
    apply(2).unwrap();
    apply(2).unwrap();
    for refused in [apply(1), apply(4)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }) && refused.class() == Class::Reject, "{refused}");
    }
    apply(3).unwrap();
    assert_eq!(store.applied().unwrap(), Position(3));
}

pub fn facts_rows_actions_and_position_are_one_atom(harness: &impl AtomicHarness) {
    let store = harness.atomic();
    let changes = || Changes::new().put(Table::Entity, "k", "v").outbox_put("id", "act");
    let refused =
        Batch { intake: intake(1, &["a"]).source("s", b"1".to_vec()), changes: changes().applied(Position(2)) };
    store.commit(refused, Durability::Synced).unwrap_err();
    assert_eq!((store.last(), store.source("s").unwrap(), pending(&*store).len()), (Position::ZERO, None, 0));
    assert_eq!(store.load(Table::Entity, &[b"k"]).unwrap(), [None]);
    let taken = Batch { intake: intake(1, &["a"]).source("s", b"1".to_vec()), changes: changes().applied(Position(1)) };
    assert_eq!(store.commit(taken, Durability::Synced).unwrap(), Position(1)..Position(2));
    assert_eq!((store.applied().unwrap(), pending(&*store).len()), (Position(1), 1));
}

pub fn limits_are_kept(harness: &impl Harness) {
    let store = harness.store();
    let put = |key: Vec<u8>| store.write(Changes::new().put(Table::Entity, key, "v"), Durability::Relaxed);
    put(vec![b'k'; KEY_BYTES_MAX]).unwrap();
    assert!(matches!(put(vec![b'k'; KEY_BYTES_MAX + 1]).unwrap_err(), Error::TooLarge { .. }));
    assert!(matches!(put(Vec::new()).unwrap_err(), Error::Invalid { .. }));
}

pub fn a_sweep_ends_however_often_others_write(harness: &impl Harness) {
    const MANY: usize = 2_500;
    let store = harness.store();
    let key = |place: usize| format!("{place:05}").into_bytes();
    let mut changes = Changes::new();
    (0..MANY).for_each(|place| changes.push_put(Table::Entity, key(place), b"row".to_vec()));
    store.write(changes, Durability::Relaxed).unwrap();
    let mut swept = Vec::new();
    for row in store.sweep(Table::Entity).unwrap() {
        if swept.len() % 100 == 0 {
            store.write(Changes::new().put(Table::Meta, "k", key(swept.len())), Durability::Relaxed).unwrap();
        }
        swept.push(row.unwrap().0.to_vec());
    }
    assert_eq!(swept, (0..MANY).map(key).collect::<Vec<_>>());
}

pub fn a_scan_of_many_rows_goes_on_while_others_write(harness: &impl Harness) {
    const MANY: usize = 2_500;
    let store = harness.store();
    let mut changes = Changes::new();
    for row in 0..MANY {
        changes = changes.outbox_put(format!("{row:05}"), "act");
    }
    store.write(changes, Durability::Synced).unwrap();
    let mut seen = 0;
    for action in store.pending().unwrap() {
        let (id, _) = action.unwrap();
        if seen % 500 == 0 {
            store.write(Changes::new().outbox_done(id.to_vec()), Durability::Synced).unwrap();
        }
        seen += 1;
    }
    assert_eq!((seen, pending(&*store).len()), (MANY, MANY - 5));
}
