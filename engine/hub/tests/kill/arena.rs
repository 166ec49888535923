//! A store, the hubs that live and die on it, and what was learnt about them.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use ontology::Millis;
use storage::{Position, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::author::Author;
use crate::child::{Hub, Ready};
use crate::ledger::Ledger;
use crate::load::{Load, Pace, checkpoint};
use crate::replay::{self, Checkpoint, Replay};
use crate::servers::Servers;
use crate::wall;

/// Clients that publish at the same time.
const CLIENTS: u64 = 4;
/// Name under which a hub comes back.
const MEMBER: &str = "first";

pub struct Arena {
    folder: TempDir,
    /// Where the store is; in the folder if not on servers.
    servers: Option<Servers>,
    runtime: Runtime,
    ledger: Ledger,
    /// How fast the clients publish.
    pub pace: Pace,
    authors: Vec<Author>,
    checkpoints: Vec<Checkpoint>,
    seed: u64,
    /// How often new authors came in place of those whose answers are still out.
    rounds: u64,
}

/// What an arena's log came to.
pub struct Verdict {
    pub facts: usize,
    pub digest: String,
    /// The instant of the digest.
    pub at: Millis,
}

impl Arena {
    pub fn new(seed: u64) -> Self {
        let now = wall();
        let author = |client| Author::new(format!("c{client}"), seed.wrapping_add(client), now);
        Arena {
            folder: tempfile::tempdir().unwrap(),
            servers: None,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
            ledger: Ledger::default(),
            pace: Pace::default(),
            authors: (1..=CLIENTS).map(author).collect(),
            checkpoints: Vec::new(),
            seed,
            rounds: 0,
        }
    }

    /// One whose store is on servers.
    pub fn on_servers(seed: u64) -> Self {
        Arena::on(Servers::new(), seed)
    }

    /// One whose store is on these servers.
    pub fn on(servers: Servers, seed: u64) -> Self {
        Arena { servers: Some(servers), ..Arena::new(seed) }
    }

    /// Where hubs of this arena keep their store from now on: on servers that have it already.
    pub fn move_to(&mut self, servers: Servers) {
        self.servers = Some(servers);
    }

    pub fn is_on_servers(&self) -> bool {
        self.servers.is_some()
    }

    /// The servers of its store.
    pub fn servers(&self) -> &Servers {
        self.servers.as_ref().expect("a store on servers")
    }

    /// The highest acknowledged position.
    pub fn acknowledged(&self) -> Position {
        Position(self.ledger.last().0)
    }

    /// Puts a hub under load until it is gone.
    pub fn begin_load(&mut self, ready: &Ready) -> Load {
        if self.authors.is_empty() {
            self.rounds += 1;
            let (round, now) = (self.rounds, wall());
            let author = |client| Author::new(format!("c{client}r{round}"), self.seed ^ (round << 8) ^ client, now);
            self.authors = (1..=CLIENTS).map(author).collect();
        }
        Load::start(&self.runtime, &ready.api, std::mem::take(&mut self.authors), &self.ledger, &self.pace)
    }

    /// Takes the authors of a load back whose hub is gone, or does not take anything.
    pub fn end_load(&mut self, load: Load) {
        self.authors = load.finish(&self.runtime);
    }

    /// Starts a hub under a name among those that may own the store, without waiting for anything.
    pub fn spawn(&self, member: &str, crash_point: Option<&str>) -> Hub {
        let Some(servers) = &self.servers else { return Hub::spawn(self.folder(), crash_point) };
        let file = servers.configure(self.folder(), member).display().to_string();
        Hub::serve(self.folder(), crash_point, &["--config", &file, "--doors", "127.0.0.1:0"])
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a hub, checks that it knows everything acknowledged, and asks for its digest.
    pub fn start(&mut self) -> (Hub, Ready) {
        let hub = self.spawn(MEMBER, None);
        let ready = self.ready(&hub);
        (hub, ready)
    }

    /// Waits until a hub is ready, checks that it knows everything acknowledged, asks for its digest.
    pub fn ready(&mut self, hub: &Hub) -> Ready {
        let ready = hub.ready().unwrap_or_else(|| panic!("the hub did not start: {}", self.told()));
        self.note(&ready);
        ready
    }

    /// Checks that a hub that says it is ready knows everything acknowledged, and asks for its digest.
    pub fn note(&mut self, ready: &Ready) {
        let last = self.ledger.last();
        assert!(ready.log_pos() >= last, "the log ends at {} and {last:?} was acknowledged", ready.position);
        self.checkpoints.push(checkpoint(&self.runtime, &ready.api));
    }

    /// What runs the clients.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Puts a hub under load until it ends by itself or `time` is over, then ends it.
    pub fn load(&mut self, hub: Hub, ready: &Ready, time: Duration, end: impl FnOnce(Hub)) {
        let load = self.begin_load(ready);
        hub.ends_within(time);
        end(hub);
        self.authors = load.finish(&self.runtime);
    }

    /// Starts a hub that is to die at `point`, with load once it is ready, and gives how it ended.
    pub fn die_at(&mut self, point: &str, patience: Duration) -> Option<ExitStatus> {
        let hub = self.spawn(MEMBER, Some(point));
        let Some(ready) = hub.ready() else { return Some(hub.end()) };
        let mut status = None;
        self.load(hub, &ready, patience, |hub| {
            if hub.ends_within(Duration::ZERO) {
                status = Some(hub.end());
            }
        });
        status
    }

    /// With the last hub gone: compares what was said with what the log says.
    pub fn judge(&self) -> Verdict {
        let store: Box<dyn Store> = match &self.servers {
            None => Box::new(replay::open(self.folder())),
            Some(servers) => Box::new(servers.open()),
        };
        let mut replay = Replay::new();
        for checkpoint in &self.checkpoints {
            replay.check(&*store, checkpoint);
        }
        replay.feed(&*store, ontology::LogPos(store.last().0));
        replay.check_ledger(&*store, &self.ledger);
        let at = wall();
        let digest = replay.digest(at);
        replay.is_as_the_oracle_says(at).expect("the oracle folds the log to the same customers");
        Verdict { facts: self.ledger.read().facts.len(), digest, at }
    }

    /// What the hubs told people, for the message of a failed test.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.folder().join("stderr.txt")).unwrap_or_default()
    }
}
