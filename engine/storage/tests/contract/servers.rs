//! What only the distributed form has to keep to: owners, lost rows, large commits, servers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use ontology::Millis;
use storage::{
    Changes, Class, Distributed, DistributedOptions, Durability, Error, Log as _, Position, Quarantine as _,
    QuarantineFilter, Rows as _, Store as _, Table, Tail, Told, crash,
};

use super::{facts, intake, rejected, servers};

/// Rows of a commit that one script may not take.
const MANY: usize = 5_000;
/// How often one who follows is asked what comes next: a minute altogether.
const TRIES: usize = 600;
const NOW: Millis = Millis(5);
/// Tells a child process which store it is to write to.
const STORE: &str = "OPSHUB_TEST_STORE";

/// A store that is removed at the end.
pub struct Home(pub DistributedOptions);

impl Home {
    pub fn new() -> Self {
        Home(servers())
    }

    pub fn open(&self) -> Distributed {
        Distributed::open(self.0.clone()).unwrap()
    }

    pub fn redis(&self) -> redis::Connection {
        redis::Client::open(self.0.redis[0].as_str()).unwrap().get_connection().unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.keys_of("*")
    }

    /// Keys of a partition.
    pub fn keys_of(&self, partition: impl std::fmt::Display) -> Vec<String> {
        let pattern = format!("{{{}:{partition}}}:*", self.0.name);
        redis::cmd("KEYS").arg(pattern).query(&mut self.redis()).unwrap()
    }

    fn lose_rows(&self) {
        for key in self.keys() {
            redis::cmd("DEL").arg(key).exec(&mut self.redis()).unwrap();
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        Distributed::remove(&self.0).unwrap();
        assert!(self.keys().is_empty(), "{:?}", self.keys());
    }
}

fn put(value: &str, applied: u64) -> Changes {
    Changes::new().put(Table::Meta, "k", value).applied(Position(applied))
}

fn value(store: &Distributed) -> Option<String> {
    let row = store.load(Table::Meta, &[b"k"]).unwrap().remove(0)?;
    Some(String::from_utf8(row.to_vec()).unwrap())
}

#[test]
fn an_owner_that_was_replaced_writes_nothing() {
    let home = Home::new();
    let looked = Distributed::look(&home.0).unwrap();
    assert_eq!((looked.has_topics, looked.epoch), (false, 0));
    let first = home.open();
    first.append(intake(1, &["a"])).unwrap();
    first.write(put("first", 1), Durability::Synced).unwrap();
    let second = home.open();
    for refused in [
        first.append(intake(2, &["late"])).map(drop),
        first.write(put("late", 1), Durability::Synced),
        first.write(Changes::new().outbox_done("late"), Durability::Synced),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.class(), Class::Stop, "{refused}");
    }
    assert_eq!((value(&second).as_deref(), second.applied().unwrap()), (Some("first"), Position(1)));
    let looked = Distributed::look(&home.0).unwrap();
    assert_eq!((looked.has_topics, looked.epoch, looked.applied), (true, 2, Position(1)));
    second.append(intake(3, &["b"])).unwrap();
    assert_eq!(facts(&second, 1), [(1, "a".into()), (2, "b".into())]);
    second.verify().unwrap();
}

/// What comes next to one who follows.
fn told(tail: &mut Tail) -> Told {
    for _ in 0..TRIES {
        if let Some(told) = tail.next(Duration::from_millis(100)).unwrap() {
            return told;
        }
    }
    panic!("nothing was told in {TRIES} tries");
}

#[test]
fn one_that_follows_is_told_what_the_owner_writes_and_may_take_over() {
    let home = Home::new();
    let owner = home.open();
    owner.append(intake(1, &["a"])).unwrap();
    owner.write(put("first", 1), Durability::Synced).unwrap();
    let other = Distributed::follow(&home.0).unwrap();
    assert_eq!((facts(&other, 1), value(&other).as_deref()), (vec![(1, "a".into())], Some("first")));
    assert_eq!(other.applied().unwrap(), Position(1));
    for refused in
        [other.append(intake(2, &["x"])).map(drop), other.write(put("x", 1), Durability::Synced), other.tell_time(NOW)]
    {
        assert!(matches!(refused, Err(Error::NotOwner)), "{refused:?}");
    }
    let mut tail = other.tail(Position(2)).unwrap();
    owner.append(intake(2, &["b", "c"]).source("sap", "17").quarantine(rejected("r", "s", 2, b"?"))).unwrap();
    owner.tell_time(NOW).unwrap();
    let mut events = [told(&mut tail), told(&mut tail)];
    // Facts and marks lie in topics of their own.
    events.sort_by_key(|told| matches!(told, Told::Time { .. }));
    assert!(matches!(&events[0], Told::Block(block) if (block.first(), block.last()) == (Position(2), Position(3))));
    assert!(matches!(&events[1], Told::Time { now: NOW, position: Position(3) }));
    assert_eq!((other.last(), other.time(), other.source("sap").unwrap()), (Position(3), Some(NOW), Some("17".into())));
    other.claim("here").unwrap();
    assert_eq!(owner.append(intake(3, &["late"])).unwrap_err().class(), Class::Stop);
    assert!(matches!(told(&mut tail), Told::Owner(text) if text == "here"));
    other.append(intake(3, &["d"])).unwrap();
    other.write(put("second", 4), Durability::Synced).unwrap();
    assert!(matches!(told(&mut tail), Told::Block(block) if block.last() == Position(4)));
    let held = other.list(&QuarantineFilter::default(), None, 2).unwrap().records;
    assert_eq!(other.raw(held[0].id).unwrap(), b"?");
    assert!(matches!(other.claim("again"), Err(Error::Invalid { .. })));
    other.verify().unwrap();
}

#[test]
fn a_log_that_does_not_go_on_from_what_was_read_is_told() {
    let home = Home::new();
    let owner = home.open();
    owner.append(intake(1, &["a", "b"])).unwrap();
    let mut tail = owner.tail(Position(2)).unwrap();
    owner.append(intake(2, &["c"])).unwrap();
    let error = (0..TRIES).find_map(|_| tail.next(Duration::from_millis(100)).err()).unwrap();
    assert!(matches!(error, Error::Damaged { .. }) && error.to_string().contains("instead of 2"), "{error}");
}

#[test]
fn rows_that_redis_lost_are_built_again_from_the_log() {
    let home = Home::new();
    let store = home.open();
    store.append(intake(1, &["a", "b"])).unwrap();
    store.write(put("before", 2), Durability::Synced).unwrap();
    home.lose_rows();
    let refused = store.write(put("after", 2), Durability::Synced).unwrap_err();
    assert!(refused.to_string().contains("lost the rows"), "{refused}");
    drop(store);
    let store = home.open();
    assert_eq!((value(&store), store.applied().unwrap(), store.last()), (None, Position::ZERO, Position(2)));
    store.write(put("again", 2), Durability::Synced).unwrap();
    assert_eq!(value(&store).as_deref(), Some("again"));
}

#[test]
fn rows_that_went_back_in_time_take_no_commit_of_the_state_they_lost() {
    let home = Home::new();
    let store = home.open();
    store.append(intake(1, &["a", "b"])).unwrap();
    store.write(put("old", 1), Durability::Synced).unwrap();
    let dumps = home.keys().into_iter().map(|key| {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut home.redis()).unwrap();
        (key, dump)
    });
    let dumps: Vec<_> = dumps.collect();
    store.write(put("new", 2), Durability::Synced).unwrap();
    home.lose_rows();
    for (key, dump) in dumps {
        redis::cmd("RESTORE").arg(key).arg(0).arg(dump).exec(&mut home.redis()).unwrap();
    }
    let refused = store.write(put("newer", 2), Durability::Synced).unwrap_err();
    assert_eq!(refused.class(), Class::Stop, "{refused}");
    drop(store);
    let store = home.open();
    assert_eq!((value(&store).as_deref(), store.applied().unwrap()), (Some("old"), Position(1)));
    store.write(put("new", 2), Durability::Synced).unwrap();
}

/// A server that answers whatever it is asked as one of the web would.
fn of_the_web() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for asked in listener.incoming() {
            let mut asked = asked.unwrap();
            let _ = asked.read(&mut [0; 64]);
            let _ = asked.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    format!("redis://{address}")
}

#[test]
fn servers_that_are_others_than_meant_are_told_with_the_setting_to_look_at() {
    let home = Home::new();
    let one = home.0.redis[0].trim_start_matches("redis://").to_owned();
    let patience = Duration::from_secs(2);
    let with = |change: &dyn Fn(&mut DistributedOptions)| {
        let mut options = DistributedOptions { patience, ..home.0.clone() };
        change(&mut options);
        Distributed::open(options).map(drop).unwrap_err()
    };
    for (refused, what) in [
        // First of all, because the others make the topics.
        (with(&|options| options.replicas = 9), "store.distributed.replicas says, which is 9"),
        (with(&|options| options.redis = vec![of_the_web()]), "addresses of Redis"),
        (with(&|options| options.redis = vec![format!("redis://:wrong@{one}")]), "store.distributed.redis_password"),
    ] {
        assert!(matches!(refused, Error::Unfit { .. }) && refused.to_string().contains(what), "{refused}");
        assert_eq!(refused.to_string().lines().count(), 1, "{refused}");
    }
}

#[test]
fn a_store_that_cannot_be_used_says_why() {
    let home = Home::new();
    drop(home.open());
    let longer = DistributedOptions { facts_ms: home.0.facts_ms + 1, ..home.0.clone() };
    let refused = Distributed::open(DistributedOptions { patience: Duration::from_secs(5), ..longer }).err().unwrap();
    assert!(matches!(refused, Error::Unfit { .. }) && refused.to_string().contains("retention.ms"), "{refused}");
    let nobody = "127.0.0.1:9".to_owned();
    let patience = Duration::from_secs(1);
    let no_kafka = DistributedOptions { brokers: nobody.clone(), patience, ..home.0.clone() };
    let no_redis = DistributedOptions { redis: vec![format!("redis://{nobody}")], patience, ..home.0.clone() };
    for (setting, options) in [("store.distributed.brokers", no_kafka), ("store.distributed.redis", no_redis)] {
        let refused = Distributed::open(options).err().unwrap();
        assert_eq!(refused.class(), Class::Retry);
        assert!(refused.to_string().contains(setting), "{refused}");
    }
}

/// What a process does that is killed at a point: facts, a large commit and a small one.
fn live(options: DistributedOptions) {
    let store = Distributed::open(options).unwrap();
    store.append(intake(2, &["c", "d"])).unwrap();
    let mut large = put("after", 4);
    for row in 0..MANY {
        large.push_put(Table::Entity, row.to_string().into_bytes(), b"after".to_vec());
    }
    store.write(large, Durability::Synced).unwrap();
    store.write(Changes::new().outbox_done("told"), Durability::Synced).unwrap();
}

#[test]
fn a_child_of_the_test_of_points() {
    if let Ok(name) = std::env::var(STORE) {
        live(DistributedOptions { name, ..servers() });
    }
}

#[test]
fn a_death_at_any_point_leaves_a_commit_whole() {
    for point in crash::DISTRIBUTED_POINTS {
        let home = Home::new();
        let store = home.open();
        store.append(intake(1, &["a", "b"])).unwrap();
        let mut before = put("before", 2).outbox_put("told", "act");
        for row in 0..MANY {
            before.push_put(Table::Entity, row.to_string().into_bytes(), b"before".to_vec());
        }
        store.write(before, Durability::Synced).unwrap();
        drop(store);
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "contract::servers::a_child_of_the_test_of_points"])
            .env(STORE, &home.0.name)
            .env("OPSHUB_CRASH_POINT", point)
            .output()
            .unwrap();
        assert!(!died.status.success(), "{point} was not passed: {}", String::from_utf8_lossy(&died.stdout));
        let whole = |store: &Distributed, expected: &str| {
            let rows = store.scan(Table::Entity, b"").unwrap().map(|row| row.unwrap().1);
            let (same, others) = rows.partition::<Vec<_>, _>(|row| **row == *expected.as_bytes());
            assert_eq!((same.len(), others.len()), (MANY, 0), "{point}");
        };
        let reader = Distributed::follow(&home.0).unwrap();
        whole(&reader, &value(&reader).unwrap());
        let store = home.open();
        let last = store.last();
        assert_eq!(facts(&store, 1).len() as u64, last.0, "{point}");
        let expected = match store.applied().unwrap() {
            Position(2) => "before",
            Position(4) if last == Position(4) => "after",
            other => panic!("{point}: rows at {other}, log at {last}"),
        };
        assert_eq!(value(&store).as_deref(), Some(expected), "{point}");
        whole(&store, expected);
        store.append(intake(3, &["e"])).unwrap();
        store.write(put("on", last.0 + 1), Durability::Synced).unwrap();
        assert!(home.keys().iter().all(|key| !key.contains(":part")), "{point}: {:?}", home.keys());
    }
}
