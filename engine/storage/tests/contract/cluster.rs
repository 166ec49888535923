//! What a cluster has that one server has not: several nodes, and slots that move between them.

use fixtures::services::{address, redis_urls};
use redis::{Connection, RedisResult, Value};
use storage::{Changes, Distributed, DistributedOptions, Durability, Log as _, Position, Rows as _, Store as _, Table};

use super::{facts, intake, new_name};

/// A store of a new name on the running clusters.
pub fn servers() -> DistributedOptions {
    let options =
        DistributedOptions::new(address("OPSHUB_KAFKA_CLUSTER"), redis_urls("OPSHUB_REDIS_CLUSTER"), new_name());
    DistributedOptions { replicas: 3, partitions: Some(8), ..options }
}

/// Rows of a commit, in all partitions.
const ROWS: usize = 50;

/// A node of the cluster.
struct Node {
    line: Connection,
    id: String,
    address: String,
}

fn nodes(options: &DistributedOptions) -> Vec<Node> {
    let node = |url: &String| {
        let mut line = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
        let id = redis::cmd("CLUSTER").arg("MYID").query(&mut line).unwrap();
        Node { line, id, address: url.trim_start_matches("redis://").to_owned() }
    };
    options.redis.iter().map(node).collect()
}

fn set_slot(node: &mut Node, slot: u16, to: &[&str]) {
    let done: RedisResult<()> = redis::cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(to).query(&mut node.line);
    done.unwrap();
}

/// The keys of a slot that a node holds.
fn keys_of(node: &mut Node, slot: u16) -> Vec<Vec<u8>> {
    redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(1_000).query(&mut node.line).unwrap()
}

/// Moves a slot as operators do, `between` while half of its keys are at either node.
fn move_slot(nodes: &mut [Node], slot: u16, from: usize, to: usize, between: impl FnOnce()) {
    let (from_id, to_id) = (nodes[from].id.clone(), nodes[to].id.clone());
    set_slot(&mut nodes[to], slot, &["IMPORTING", &from_id]);
    set_slot(&mut nodes[from], slot, &["MIGRATING", &to_id]);
    let (host, port) =
        nodes[to].address.rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let keys = keys_of(&mut nodes[from], slot);
    assert!(keys.len() > 1, "the rows of a store are several keys");
    let mut migrate = |keys: &[Vec<u8>]| {
        let mut command = redis::cmd("MIGRATE");
        command.arg(&host).arg(&port).arg("").arg(0).arg(5_000).arg("KEYS").arg(keys);
        let done: RedisResult<Value> = command.query(&mut nodes[from].line);
        done.unwrap();
    };
    let (first, rest) = keys.split_at(keys.len() / 2);
    migrate(first);
    between();
    migrate(rest);
    for node in nodes {
        set_slot(node, slot, &["NODE", &to_id]);
    }
}

#[test]
fn a_store_follows_its_slot_to_another_node() {
    let options = servers();
    let mut nodes = nodes(&options);
    let key = format!("{{{}:0}}:head", options.name);
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut nodes[0].line).unwrap();
    let store = Distributed::open(options.clone()).unwrap();
    let put = |value: &str, applied: u64| {
        let changes = Changes::new().put(Table::Meta, "k", value).outbox_put("told", "act").applied(Position(applied));
        (0..ROWS).fold(changes, |changes, row| changes.put(Table::Entity, row.to_string(), value))
    };
    store.append(intake(1, &["a", "b"])).unwrap();
    store.write(put("before", 1), Durability::Synced).unwrap();
    let from = (0..nodes.len()).find(|at| !keys_of(&mut nodes[*at], slot).is_empty()).unwrap();
    let to = (from + 1) % nodes.len();

    // A script over keys of both nodes is asked for again until the slot has moved.
    let (begin, begun) = std::sync::mpsc::sync_channel::<()>(1);
    let writing = std::thread::spawn({
        let store = store.clone();
        move || {
            begun.recv().unwrap();
            store.write(put("after", 2), Durability::Synced)
        }
    });
    move_slot(&mut nodes, slot, from, to, || begin.send(()).unwrap());
    writing.join().unwrap().unwrap();
    let row = store.load(Table::Meta, &[b"k"]).unwrap().remove(0).unwrap();
    assert_eq!((&row[..], store.applied().unwrap(), store.pending().unwrap().count()), (&b"after"[..], Position(2), 1));
    let rows = store.scan(Table::Entity, b"").unwrap().map(|row| row.unwrap().1);
    assert_eq!(rows.filter(|row| row == "after").count(), ROWS);
    drop(store);

    let store = Distributed::open(options.clone()).unwrap();
    assert_eq!((facts(&store, 1).len(), store.applied().unwrap()), (2, Position(2)));
    store.verify().unwrap();
    drop(store);
    Distributed::remove(&options).unwrap();
}

#[test]
fn the_address_of_one_node_is_enough() {
    let all = servers();
    let mut one = all.clone();
    one.redis.truncate(1);
    let changes = Changes::new().put(Table::Meta, "k", "v").applied(Position(1));
    let changes = (0..ROWS).fold(changes, |changes, row| changes.put(Table::Entity, row.to_string(), "v"));
    let store = Distributed::open(one.clone()).unwrap();
    store.append(intake(1, &["a"])).unwrap();
    store.write(changes, Durability::Synced).unwrap();
    drop(store);
    for options in [&all, &one] {
        let store = Distributed::open(options.clone()).unwrap();
        assert_eq!(store.scan(Table::Entity, b"").unwrap().count(), ROWS, "{} addresses", options.redis.len());
    }
    Distributed::remove(&one).unwrap();
    assert_eq!(Distributed::look(&all).unwrap().epoch, 0, "all of it is gone");
}
