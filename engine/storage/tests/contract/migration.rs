//! A store that moves from a folder to servers is the same store.

use ontology::Millis;
use storage::{
    Changes, Distributed, DistributedOptions, Durability, Embedded, Error, Intake, Log as _, Options, Position,
    Quarantine as _, QuarantineFilter, QuarantineId, QuarantineState, Rows as _, Stands as _, Store, Table,
};

use super::{RETENTION, intake, rejected, servers};

/// Blocks of the store that moves, and bytes of a fact in each: more than one transaction takes.
const BLOCKS: u64 = 5;
const FACT_BYTES: usize = 3 << 20;
/// Rows: more than one script takes.
const ROWS: u64 = 4_500;

/// A folder with everything that a store may hold.
fn furnished(dir: &std::path::Path) -> Embedded {
    let store = Embedded::open(dir, Options { retention: RETENTION, ..Options::default() }).unwrap();
    for at in 0..BLOCKS {
        let mut only = storage::NewBlock::new(Millis(at as i64));
        only.push_raw(0, 0, b"", format!("<of no fact {at}>").as_bytes());
        store.append(Intake::new().block(only)).unwrap();
        store.append(intake(at as i64, &["a", &"x".repeat(FACT_BYTES)]).source("s", at.to_string())).unwrap();
    }
    for (at, received_at) in [0, 0, 4_000, 4_000, 4_000].into_iter().enumerate() {
        let raw = format!("raw {at}");
        store.append(Intake::new().quarantine(rejected("malformed", "s", received_at, raw.as_bytes()))).unwrap();
    }
    assert_eq!(store.expire_quarantined(Millis(5_001)).unwrap(), 2, "ids have a gap at their beginning");
    store.attempt(QuarantineId(3)).unwrap();
    store.decide(QuarantineId(4), QuarantineState::Discarded(Millis(9))).unwrap();
    let mut changes = Changes::new().applied(Position(BLOCKS)).outbox_put("o", "act");
    for row in 0..ROWS {
        changes.push_put(Table::Entity, row.to_string().into_bytes(), row.to_string().into_bytes());
    }
    store.write(changes.put(Table::Meta, "m", "meta"), Durability::Synced).unwrap();
    store
}

/// Everything that can be read of a store, with positions.
fn all(store: &dyn Store) -> Vec<String> {
    let mut all = vec![format!("{} {:?} {:?}", store.last(), store.applied().unwrap(), store.sources().unwrap())];
    for block in store.read(Position(1)).unwrap().map(Result::unwrap) {
        all.push(format!("{} {:?} {:?}", block.first(), block.digest(), block.ingested_at()));
        let raws = store.raws(block.first()).unwrap();
        all.extend(
            raws.iter()
                .map(|raw| format!("{} {} {:?}", raw.first, raw.count, &raw.payload[..raw.payload.len().min(20)])),
        );
    }
    all.push(format!("{:?}", store.raws(store.last().next()).unwrap()));
    for record in store.list(&QuarantineFilter::default(), None, usize::MAX).unwrap().records {
        all.push(format!("{record:?} {:?}", store.raw(record.id).unwrap()));
    }
    for table in Table::ALL {
        all.extend(store.scan(table, b"").unwrap().map(|row| format!("{:?}", row.unwrap())));
    }
    all.extend(store.pending().unwrap().map(|row| format!("{:?}", row.unwrap())));
    all
}

/// The next quarantined record of a store.
fn next_id(store: &dyn Store) -> QuarantineId {
    store.append(Intake::new().quarantine(rejected("malformed", "s", 4_000, b"new"))).unwrap();
    store.list(&QuarantineFilter::default(), None, usize::MAX).unwrap().records.pop().unwrap().id
}

#[test]
fn a_store_that_moves_to_servers_is_the_same_also_when_the_move_is_broken_off() {
    let dir = tempfile::tempdir().unwrap();
    let from = furnished(dir.path());
    let mut to = servers();
    to.retention = RETENTION;
    let mut told = Vec::new();
    let broken = Distributed::migrate(&from, to.clone(), |position| {
        told.push(position);
        Err(Error::Stop { cause: "broken off".to_owned() })
    });
    assert!(broken.unwrap_err().to_string().contains("broken off"));
    let refused = Distributed::open(to.clone()).err().unwrap().to_string();
    assert!(refused.contains("opshub migrate"), "{refused}");

    // Meanwhile the folder goes on, as it may.
    from.append(intake(7, &["later"])).unwrap();
    let moved = Distributed::migrate(&from, to.clone(), |position| {
        told.push(position);
        Ok(())
    });
    let moved = moved.unwrap();
    assert!(told.len() > 1 && told.is_sorted() && told.last() == Some(&from.last()), "{told:?}");
    assert_eq!((moved.position, moved.applied, moved.quarantined), (from.last(), Position(BLOCKS), 3));
    assert_eq!(moved.rows, ROWS + 2);
    let store = Distributed::open(to.clone()).unwrap();
    let (found, expected) = (all(&store), all(&from));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(next_id(&store), next_id(&from), "ids go on where they were");
    drop(store);

    let again = Distributed::migrate(&from, to.clone(), |_| Ok(())).unwrap_err();
    assert!(matches!(again, Error::Unfit { .. }) && again.to_string().contains("in use"), "{again}");
    Distributed::remove(&to).unwrap();
}

#[test]
fn a_move_does_not_go_on_from_another_folder() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |dir: &tempfile::TempDir, fact: &str| {
        let store = Embedded::open(dir.path(), Options::default()).unwrap();
        store.append(intake(1, &[fact])).unwrap();
        store
    };
    let to: DistributedOptions = servers();
    let broken = |_| Err(Error::Stop { cause: "broken off".to_owned() });
    Distributed::migrate(&open(&one, "a"), to.clone(), broken).unwrap_err();
    let refused = Distributed::migrate(&open(&other, "b"), to.clone(), |_| Ok(())).unwrap_err();
    assert!(refused.to_string().contains("another folder"), "{refused}");
    Distributed::remove(&to).unwrap();
}

#[test]
fn a_log_without_its_beginning_keeps_its_positions_and_digests() {
    let dir = tempfile::tempdir().unwrap();
    let from = Embedded::open(dir.path(), Options::default()).unwrap();
    for at in 1..=6 {
        from.append(intake(at, &["fact"])).unwrap();
        from.write(Changes::new().applied(Position(at.unsigned_abs().min(4))), Durability::Relaxed).unwrap();
    }
    let base = from.keep_stand(b"head", &|| true).unwrap().unwrap().position;
    assert_eq!((base, from.forget_before(base, &|| true).unwrap()), (Position(4), 3));
    let to = servers();
    let broken = |_| Err(Error::Stop { cause: "broken off".to_owned() });
    Distributed::migrate(&from, to.clone(), broken).unwrap_err();
    Distributed::migrate(&from, to.clone(), |_| Ok(())).unwrap();
    let store = Distributed::open(to.clone()).unwrap();
    let blocks = |store: &dyn Store| {
        let blocks = store.read(Position(4)).unwrap().map(Result::unwrap);
        blocks.map(|block| (block.first(), *block.previous(), *block.digest())).collect::<Vec<_>>()
    };
    assert_eq!((store.start().unwrap(), store.last(), store.applied().unwrap()), (base, Position(6), base));
    assert_eq!((blocks(&store).len(), blocks(&store)), (3, blocks(&from)));
    assert_eq!(store.append(intake(7, &["next"])).unwrap().start, Position(7));
    assert_eq!(store.verify().unwrap().facts, 4);
    drop(store);
    Distributed::remove(&to).unwrap();
}
