//! The log that a hub left, fed to a fresh engine that is never stopped and never restored.

use std::collections::BTreeSet;

use ontology::codec::Cursor;
use ontology::{Fact, LogPos, Millis};
use pipeline::{Engine, EngineSettings, Input};
use resolver::Model;
use sim::Oracle;
use sim::difference::{equal, texts};
use storage::{Embedded, Position, QuarantineFilter, Store};

use crate::ledger::Ledger;

/// Records of a page of quarantine.
const PAGE: usize = 500;

/// What a hub said about everything that it derived.
#[derive(Debug)]
pub struct Checkpoint {
    pub position: LogPos,
    pub digest: String,
    /// Between these two instants it was evaluated.
    pub asked: (Millis, Millis),
}

/// A single-shard engine in memory, as far as it was fed, and all facts that it was fed with.
pub struct Replay {
    engine: Engine,
    facts: Vec<Fact>,
    /// Positions of facts that ended a hub, which nobody applies.
    poison: BTreeSet<u64>,
}

impl Replay {
    pub fn new() -> Self {
        let settings = EngineSettings { shards: 1, ..EngineSettings::default() };
        Replay { engine: Engine::new(settings, Model::shipped()), facts: Vec::new(), poison: BTreeSet::new() }
    }

    /// Feeds the blocks of the log up to `until`, which must be the end of one.
    pub fn feed(&mut self, store: &dyn Store, until: LogPos) {
        let next = Position(self.facts.len() as u64 + 1);
        let filter = QuarantineFilter { reason: Some("poison".to_owned()), ..QuarantineFilter::default() };
        let poison = store.list(&filter, None, PAGE).unwrap().records.into_iter();
        self.poison =
            poison.map(|record| String::from_utf8(record.source_position).unwrap().parse().unwrap()).collect();
        for block in store.read(next).unwrap() {
            let block = block.unwrap();
            if block.first().0 > until.0 {
                break;
            }
            let ingested_at = block.ingested_at();
            let decode = |(position, bytes): (Position, &[u8])| {
                Fact::decode(&mut Cursor(bytes), LogPos(position.0), ingested_at).unwrap()
            };
            let facts: Vec<Fact> = block.facts().map(decode).collect();
            self.facts.extend(facts.iter().cloned());
            self.engine.step(Input::Facts { facts: self.applied(facts), ingested_at });
        }
        assert_eq!(self.facts.len() as u64, until.0, "the log was to be fed up to {until:?}");
    }

    fn applied(&self, facts: Vec<Fact>) -> Vec<Fact> {
        facts.into_iter().filter(|fact| !self.poison.contains(&fact.log_pos.0)).collect()
    }

    /// Whether what a hub said at a checkpoint is what this engine says there.
    pub fn check(&mut self, store: &dyn Store, checkpoint: &Checkpoint) {
        self.feed(store, checkpoint.position);
        let (from, to) = checkpoint.asked;
        let agrees = [from, to].into_iter().any(|now| self.digest(now) == checkpoint.digest);
        assert!(agrees, "the hub's digest at {:?} differs from that of the log before it", checkpoint.position);
    }

    /// The digest after everything that was fed, at `now`.
    pub fn digest(&mut self, now: Millis) -> String {
        self.engine.step(Input::Tick { now });
        self.engine.digest(now)
    }

    /// Whether the oracle gets the same customers from the same facts; where they first differ if not.
    pub fn is_as_the_oracle_says(&self, now: Millis) -> Result<(), String> {
        let oracle = Oracle::of(self.applied(self.facts.clone()), EngineSettings::default().insight, Model::shipped());
        equal("the engine", &texts(self.engine.canonical(now)), &texts(oracle.canonical(now).into_values()))
    }

    /// Whether everything that was acknowledged stands where it was said to stand.
    pub fn check_ledger(&self, store: &dyn Store, ledger: &Ledger) {
        let acknowledged = ledger.read();
        for (position, id) in &acknowledged.facts {
            let fact = usize::try_from(*position).ok().and_then(|position| self.facts.get(position - 1));
            let found = fact.map(|fact| fact.event_id.as_str());
            assert_eq!(found, Some(id.as_str()), "position {position} of the log");
        }
        let set_aside = quarantined(store);
        let missing = acknowledged.quarantined.iter().filter(|raw| !set_aside.contains(*raw)).count();
        assert_eq!(missing, 0, "of {} acknowledged as set aside", acknowledged.quarantined.len());
    }
}

/// The bytes of everything in quarantine.
fn quarantined(store: &dyn Store) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store.list(&QuarantineFilter::default(), after, PAGE).unwrap();
        all.extend(page.records.iter().map(|record| store.raw(record.id).unwrap()));
        after = page.after;
        if after.is_none() {
            return all;
        }
    }
}

/// Opens what a dead hub left and reads all of it.
pub fn open(folder: &std::path::Path) -> Embedded {
    let store = Embedded::open(&folder.join("store"), storage::Options::default()).unwrap();
    store.verify().unwrap();
    store
}
