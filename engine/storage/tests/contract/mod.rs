//! The contract, a module per subject. A backend joins by a [`Harness`] and a line in the macro.

mod cluster;
pub mod log;
mod migration;
mod partitions;
pub mod quarantine;
pub mod restart;
pub mod rows;
mod servers;
pub mod stands;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::sync::Mutex;

use fixtures::services::{address, redis_urls};
use ontology::Millis;
use storage::{
    Atomic, Distributed, DistributedOptions, Embedded, Intake, Memory, NewBlock, NewQuarantined, Options, Retention,
    Store,
};

pub const RETENTION: Retention = Retention { raw_ms: 1_000, quarantine_ms: 5_000 };

/// A store that can be stopped and started.
pub trait Harness {
    /// The running store.
    fn store(&self) -> Box<dyn Store>;
    /// Stops it, which takes the last handle in use, and starts it again over what it kept.
    fn restart(&self, store: Box<dyn Store>) -> Box<dyn Store>;
}

/// One whose parts share an atom.
pub trait AtomicHarness: Harness {
    /// The running store.
    fn atomic(&self) -> Box<dyn Atomic>;
}

pub struct OnDisk {
    dir: tempfile::TempDir,
    open: Mutex<Option<Embedded>>,
}

impl OnDisk {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = Mutex::new(Some(Self::open(dir.path())));
        OnDisk { dir, open }
    }

    fn open(dir: &Path) -> Embedded {
        Embedded::open(dir, Options { retention: RETENTION, ..Options::default() }).unwrap()
    }
}

impl Harness for OnDisk {
    fn store(&self) -> Box<dyn Store> {
        Box::new(self.open.lock().unwrap().clone().unwrap())
    }

    fn restart(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        drop((store, self.open.lock().unwrap().take()));
        *self.open.lock().unwrap() = Some(Self::open(self.dir.path()));
        self.store()
    }
}

impl AtomicHarness for OnDisk {
    fn atomic(&self) -> Box<dyn Atomic> {
        Box::new(self.open.lock().unwrap().clone().unwrap())
    }
}

pub struct InMemory(Memory);

impl InMemory {
    pub fn new() -> Self {
        InMemory(Memory::new(RETENTION))
    }
}

impl Harness for InMemory {
    fn store(&self) -> Box<dyn Store> {
        Box::new(self.0.clone())
    }

    fn restart(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        store
    }
}

impl AtomicHarness for InMemory {
    fn atomic(&self) -> Box<dyn Atomic> {
        Box::new(self.0.clone())
    }
}

/// On the servers that `fixtures/services up` starts, under a name of its own.
pub struct OnServers {
    options: DistributedOptions,
    open: Mutex<Option<Distributed>>,
}

impl OnServers {
    pub fn new() -> Self {
        Self::open(servers())
    }

    /// On three brokers and a Redis Cluster of three nodes.
    pub fn on_a_cluster() -> Self {
        Self::open(cluster::servers())
    }

    /// With all rows in one partition, as a single Redis may hold them.
    pub fn alone() -> Self {
        Self::open(DistributedOptions { partitions: Some(1), ..servers() })
    }

    fn open(mut options: DistributedOptions) -> Self {
        options.retention = RETENTION;
        let open = Mutex::new(Some(Distributed::open(options.clone()).unwrap()));
        OnServers { options, open }
    }
}

impl Harness for OnServers {
    fn store(&self) -> Box<dyn Store> {
        Box::new(self.open.lock().unwrap().clone().unwrap())
    }

    fn restart(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        drop((store, self.open.lock().unwrap().take()));
        *self.open.lock().unwrap() = Some(Distributed::open(self.options.clone()).unwrap());
        self.store()
    }
}

impl Drop for OnServers {
    fn drop(&mut self) {
        self.open.lock().unwrap().take();
        Distributed::remove(&self.options).unwrap();
    }
}

/// A store of a new name on the running servers, its rows in several partitions.
pub fn servers() -> DistributedOptions {
    let options = DistributedOptions::new(address("OPSHUB_KAFKA"), redis_urls("OPSHUB_REDIS"), new_name());
    DistributedOptions { partitions: Some(4), ..options }
}

/// Random: the servers outlive the tests.
pub fn new_name() -> String {
    format!("test-{:x}", RandomState::new().build_hasher().finish())
}

/// A block of these facts, each from a payload of its own.
pub fn block(ingested_at_ms: i64, facts: &[&str]) -> NewBlock {
    let mut block = NewBlock::new(Millis(ingested_at_ms));
    for fact in facts {
        let index = block.push(fact.as_bytes());
        block.push_raw(index, 1, b"", format!("<{fact}>").as_bytes());
    }
    block
}

pub fn intake(ingested_at_ms: i64, facts: &[&str]) -> Intake {
    Intake::new().block(block(ingested_at_ms, facts))
}

pub fn rejected(reason: &str, source: &str, received_at_ms: i64, raw: &[u8]) -> NewQuarantined {
    NewQuarantined {
        reason: reason.to_owned(),
        detail: String::new(),
        source: source.to_owned(),
        source_position: b"17".to_vec(),
        received_at: Millis(received_at_ms),
        contract_version: "1".to_owned(),
        attempts: 0,
        beside: b"a header".to_vec(),
        raw: raw.to_vec(),
    }
}

/// All facts from a position on, as text.
pub fn facts(store: &dyn Store, from: u64) -> Vec<(u64, String)> {
    let blocks = store.read(storage::Position(from)).unwrap().map(Result::unwrap);
    blocks
        .flat_map(|block| {
            let facts = block.facts().map(|(at, fact)| (at.0, String::from_utf8(fact.to_vec()).unwrap()));
            facts.collect::<Vec<_>>()
        })
        .collect()
}
