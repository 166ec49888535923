//! The same hub with its log in Kafka and its rows in Redis, which `fixtures/services up` starts: it
//! loses nothing when it is killed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fixtures::services::address;
use sim::Chance;
use storage::{Distributed, DistributedOptions, Position, Store as _};

use crate::arena::Arena;
use crate::child::Hub;
use crate::{LIFE_MS, seed_of, wall};

/// Kills at random instants; `OPSHUB_SERVER_KILLS` has others.
const KILLS: i64 = 6;
/// Facts that have to be acknowledged meanwhile, and how many times as many lives that may take.
const FACTS_MIN: Position = Position(100);
const LIVES_MAX: i64 = 10;
/// Partitions that rows lie in unless a test draws others.
const PARTITIONS: u32 = 4;
/// How long a hub that is silent keeps its turn: the shortest that brokers grant unless configured.
const SILENCE_MAX: &str = "6s";
/// How long the test itself waits for a server: others make them slow.
const PATIENCE: Duration = Duration::from_secs(180);
/// Twice of it, and a little.
pub const SILENT: Duration = Duration::from_millis(12_500);

/// A store on the running servers, removed at the end.
pub struct Servers {
    brokers: String,
    redis: String,
    name: String,
    replicas: i32,
    partitions: u32,
}

impl Servers {
    pub fn new() -> Self {
        Servers::at(&address("OPSHUB_KAFKA"), &address("OPSHUB_REDIS"), 1)
    }

    /// On the running servers, with rows in so many partitions.
    pub fn in_partitions(partitions: u32) -> Self {
        let mut servers = Servers::new();
        servers.partitions = partitions;
        servers
    }

    /// On these servers, with so many replicas of the log.
    pub fn at(brokers: &str, redis: &str, replicas: i32) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("kill-{:x}-{}-{made}", wall().0, std::process::id());
        let (brokers, redis) = (brokers.to_owned(), format!("redis://{redis}"));
        Servers { brokers, redis, name, replicas, partitions: PARTITIONS }
    }

    /// Writes the configuration of one of the processes that may own the store.
    pub fn configure(&self, folder: &Path, member: &str) -> PathBuf {
        let file = folder.join(format!("{member}.toml"));
        let Servers { brokers, redis, name, replicas, partitions } = self;
        let text = format!(
            "[store.distributed]\nbrokers = \"{brokers}\"\nredis = [\"{redis}\"]\nname = \"{name}\"\nreplicas = {replicas}\n\
             partitions = {partitions}\nmember = \"{member}\"\nsilence_max = \"{SILENCE_MAX}\"\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Where the store is.
    pub fn options(&self) -> DistributedOptions {
        let options = DistributedOptions::new(self.brokers.clone(), vec![self.redis.clone()], self.name.clone());
        let (replicas, partitions) = (self.replicas, Some(self.partitions));
        DistributedOptions { replicas, partitions, patience: PATIENCE, ..options }
    }

    /// Position up to which facts are in the rows, without owning them.
    pub fn applied(&self) -> Position {
        Distributed::look(&self.options()).map_or(Position::ZERO, |look| look.applied)
    }

    /// Opens the store.
    pub fn store(&self) -> Distributed {
        Distributed::open(self.options()).unwrap()
    }

    /// Opens the store to follow whoever owns it.
    pub fn follow(&self) -> Distributed {
        Distributed::follow(&self.options()).unwrap()
    }

    /// Opens what dead hubs left and reads all of it.
    pub fn open(&self) -> Distributed {
        let store = self.store();
        store.verify().unwrap();
        store
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        Distributed::remove(&self.options()).unwrap();
    }
}

#[test]
fn kills_at_random_instants_lose_nothing_on_servers_either() {
    let seed = seed_of("kills on servers");
    let kills = std::env::var("OPSHUB_SERVER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut chance = Chance::of(seed);
    let mut arena = Arena::on_servers(seed);
    let mut died = 0;
    // On a slow machine some lives end before the first fact is acknowledged: then there are more.
    while died < kills || arena.acknowledged() < FACTS_MIN {
        let (hub, ready) = arena.start();
        let life = Duration::from_millis(chance.between(0, 4 * LIFE_MS).unsigned_abs());
        arena.load(hub, &ready, life, Hub::kill);
        died += 1;
        assert!(died < LIVES_MAX * kills, "{died} lives, and the log ends at {}", arena.acknowledged());
    }
    let (hub, _) = arena.start();
    hub.kill();
    let verdict = arena.judge();
    println!("{died} kills, {} acknowledged facts", verdict.facts);
}
