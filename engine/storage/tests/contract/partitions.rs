//! Partitions of the rows that lost what they acknowledged, each by itself, and how many there are.

use storage::{
    Changes, Class, Distributed, DistributedOptions, Durability, Error, Log as _, Position, Rows as _, Table,
};

use super::intake;
use super::servers::Home;

/// Rows of a commit, in all partitions.
const ROWS: usize = 40;
/// Partitions of the tests' stores.
const PARTITIONS: usize = 4;

fn put(value: &str, applied: u64) -> Changes {
    let changes = Changes::new().put(Table::Meta, "k", value).applied(Position(applied));
    (0..ROWS).fold(changes, |changes, row| changes.put(Table::Entity, row.to_string(), value))
}

/// The position that rows are told to stand at, and their value, which has to be one.
fn stand(store: &Distributed) -> (Position, Option<String>) {
    let mut values: Vec<_> = store.scan(Table::Entity, b"").unwrap().map(|row| row.unwrap().1).collect();
    let swept: Vec<_> = store.sweep(Table::Entity).unwrap().map(|row| row.unwrap().1).collect();
    assert_eq!(swept, values);
    values.extend(store.load(Table::Meta, &[b"k"]).unwrap().into_iter().flatten());
    assert!(values.is_empty() || values.len() == ROWS + 1, "{} rows", values.len());
    values.dedup();
    assert!(values.len() <= 1, "{values:?}");
    let value = values.pop().map(|value| String::from_utf8(value.to_vec()).unwrap());
    (store.applied().unwrap(), value)
}

type Dump = Vec<(String, Vec<u8>)>;

fn dump(home: &Home, partition: usize) -> Dump {
    let keys = home.keys_of(partition).into_iter();
    keys.map(|key| (key.clone(), redis::cmd("DUMP").arg(&key).query(&mut home.redis()).unwrap())).collect()
}

/// Makes a partition what it was; with no dump, empty.
fn rewind(home: &Home, partition: usize, dump: &Dump) {
    for key in home.keys_of(partition) {
        redis::cmd("DEL").arg(key).exec(&mut home.redis()).unwrap();
    }
    for (key, value) in dump {
        redis::cmd("RESTORE").arg(key).arg(0).arg(value).exec(&mut home.redis()).unwrap();
    }
}

#[test]
fn partitions_that_went_back_take_the_rows_to_one_commit() {
    let home = Home::new();
    let mut store = home.open();
    store.append(intake(1, &["a", "b", "c", "d", "e", "f"])).unwrap();
    for partition in 0..PARTITIONS {
        for is_one_commit in [true, false] {
            let base = store.applied().unwrap().0;
            let write = |value: &str, applied| {
                store.write(put(value, applied), Durability::Synced).unwrap();
                dump(&home, partition)
            };
            let (two_before, one_before) = (write("older", base + 1), write("old", base + 2));
            write("new", base + 3);
            rewind(&home, partition, if is_one_commit { &one_before } else { &two_before });
            let expected =
                if is_one_commit { (Position(base + 2), Some("old".to_owned())) } else { (Position::ZERO, None) };
            assert_eq!(stand(&Distributed::follow(&home.0).unwrap()), expected, "partition {partition}");
            let refused = store.write(put("late", base + 3), Durability::Synced).unwrap_err();
            assert_eq!(refused.class(), Class::Stop, "{refused}");
            drop(store);
            store = home.open();
            assert_eq!(stand(&store), expected, "partition {partition}");
        }
    }
}

#[test]
fn partitions_that_were_emptied_take_the_rows_with_them() {
    let home = Home::new();
    let mut store = home.open();
    store.append(intake(1, &["a", "b", "c"])).unwrap();
    for partition in 0..PARTITIONS {
        store.write(put("before", 1), Durability::Synced).unwrap();
        store.write(put("again", 2), Durability::Synced).unwrap();
        rewind(&home, partition, &Dump::new());
        let refused = store.write(put("late", 3), Durability::Synced).unwrap_err();
        assert!(refused.to_string().contains("lost the rows"), "{refused}");
        drop(store);
        store = home.open();
        assert_eq!(stand(&store), (Position::ZERO, None), "partition {partition}");
    }
}

#[test]
fn what_partition_0_alone_commits_goes_back_with_the_others() {
    let home = Home::new();
    let store = home.open();
    store.append(intake(1, &["a", "b"])).unwrap();
    store.write(put("old", 1).outbox_put("sent", "act"), Durability::Synced).unwrap();
    let before = dump(&home, 1);
    store.write(put("new", 2).outbox_put("late", "act"), Durability::Synced).unwrap();
    store.write(Changes::new().outbox_done("sent").put(Table::Meta, "own", "x"), Durability::Synced).unwrap();
    drop(store);
    rewind(&home, 1, &before);
    let store = home.open();
    let pending: Vec<_> = store.pending().unwrap().map(|action| action.unwrap().0).collect();
    assert_eq!((stand(&store), pending), ((Position(1), Some("old".to_owned())), vec!["sent".into()]));
    assert_eq!(store.load(Table::Meta, &[b"own"]).unwrap(), [None]);
}

#[test]
fn rows_keep_the_number_of_their_partitions() {
    let home = Home::new();
    let with = |partitions| DistributedOptions { partitions, ..home.0.clone() };
    let refused = |partitions, found: &str| {
        for refused in
            [Distributed::open(with(Some(partitions))).err(), Distributed::follow(&with(Some(partitions))).err()]
        {
            let refused = refused.unwrap();
            assert!(matches!(&refused, Error::Unfit { needed, .. } if needed.starts_with(found)), "{refused}");
        }
    };
    let alone = Distributed::open(with(Some(1))).unwrap();
    alone.append(intake(1, &["a"])).unwrap();
    alone.write(put("old", 1), Durability::Synced).unwrap();
    refused(4, "1: write that");
    assert_eq!(home.keys_of(1), Vec::<String>::new());
    drop(alone);
    let alone = Distributed::open(with(None)).unwrap();
    assert_eq!(stand(&alone), (Position(1), Some("old".to_owned())));
    drop(alone);
    assert_eq!(Distributed::look(&home.0).unwrap().partitions, 1);

    assert_eq!(Distributed::repartition(&with(Some(3))).unwrap(), (1, 3));
    refused(1, "3: write that");
    let spread = Distributed::open(with(None)).unwrap();
    assert_eq!((stand(&spread), spread.last()), ((Position::ZERO, None), Position(1)));
    spread.write(put("new", 1), Durability::Synced).unwrap();
    assert_eq!((stand(&spread).1.as_deref(), Distributed::look(&home.0).unwrap().partitions), (Some("new"), 3));
    assert!((0..3).all(|partition| !home.keys_of(partition).is_empty()));
    drop(spread);
    assert_eq!(Distributed::repartition(&with(Some(1))).unwrap(), (3, 1));
    assert!((0..3).all(|partition| home.keys_of(partition).is_empty()));
    assert_eq!(stand(&Distributed::open(with(None)).unwrap()), (Position::ZERO, None));
}
