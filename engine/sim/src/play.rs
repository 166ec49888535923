//! Playing a delivery through the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use ontology::canonical::Json;
use ontology::codec::Corrupt;
use ontology::{CustomerId, EntityKey, LogPos, Millis};
use pipeline::digest::canonical_state;
use pipeline::snapshot::{Restored, Snapshot};
use pipeline::{Action, CustomerView, Effects, Engine, EngineSettings, Input};
use resolver::Model;
use state::Entity;

use crate::chance::Chance;
use crate::delivery::{Batch, Delivery};
use crate::difference::texts;

/// What a run left behind.
pub struct Played {
    /// The engine after the last input.
    pub engine: Engine,
    /// Everything that it wanted done, in order.
    pub actions: Vec<Action>,
    /// The newest published view of every customer that is not retired.
    pub views: BTreeMap<CustomerId, Arc<CustomerView>>,
}

/// Plays all batches, then lets time pass until `until`.
#[must_use]
pub fn play(delivery: &Delivery, shards: usize, until: Millis) -> Played {
    let mut played = Played::new(engine(shards));
    delivery.0.iter().for_each(|batch| played.take(batch));
    played.tick(until);
    played
}

/// The same, with ticks at any instants between the batches.
#[must_use]
pub fn play_ticking(delivery: &Delivery, shards: usize, until: Millis, chance: &mut Chance) -> Played {
    let mut played = Played::new(engine(shards));
    for batch in &delivery.0 {
        for _ in 0..chance.below(3) {
            played.tick(batch.ingested_at - chance.between(1, 60_000));
        }
        played.take(batch);
        if chance.is(10) {
            played.tick(batch.ingested_at);
        }
    }
    let last = played.engine.now();
    for _ in 0..4 {
        played.tick(last + chance.between(0, until.since(last)));
    }
    played.tick(until);
    played
}

/// The same as [`play`], killed before batch `kill` and taken up by a new engine from the snapshots
/// that reach up to batch `flushed`; what was taken after them is replayed from the log.
///
/// # Errors
/// When a snapshot does not read back.
pub fn play_restarting(
    delivery: &Delivery,
    (flushed, kill): (usize, usize),
    shards: usize,
    until: Millis,
) -> Result<Played, Corrupt> {
    let mut played = Played::new(engine(1));
    let mut store = Store::default();
    for (place, batch) in delivery.0[..kill].iter().enumerate() {
        played.take(batch);
        if place < flushed {
            store.flush(played.engine.take_snapshot());
        }
    }
    let (engine, effects) = store.reopen(shards)?;
    (played.engine, played.views) = (engine, BTreeMap::new());
    played.note(effects);
    delivery.0[flushed..].iter().for_each(|batch| played.take(batch));
    played.tick(until);
    Ok(played)
}

impl Played {
    fn new(engine: Engine) -> Self {
        Played { engine, actions: Vec::new(), views: BTreeMap::new() }
    }

    fn take(&mut self, batch: &Batch) {
        let input = Input::Facts { facts: batch.facts.clone(), ingested_at: batch.ingested_at };
        let effects = self.engine.step(input);
        self.note(effects);
    }

    fn tick(&mut self, now: Millis) {
        let effects = self.engine.step(Input::Tick { now });
        self.note(effects);
    }

    fn note(&mut self, effects: Effects) {
        self.actions.extend(effects.actions);
        self.views.extend(effects.views.into_iter().map(|view| (view.id().clone(), view)));
        for retired in &effects.retired {
            self.views.remove(retired);
        }
    }

    /// What readers see: canonical JSON of all published views, in order of id.
    #[must_use]
    pub fn published(&self) -> Vec<String> {
        let views = self.views.values().map(|view| {
            let (state, derived) = (canonical_state(&view.composite), view.derived.canonical(&view.composite));
            Json::object([("state", state), ("derived", derived)])
        });
        texts(views)
    }
}

fn engine(shards: usize) -> Engine {
    Engine::new(EngineSettings { shards, ..EngineSettings::default() }, Model::shipped())
}

/// What a store keeps of snapshots: of each key the newest value.
#[derive(Default)]
struct Store {
    entities: BTreeMap<EntityKey, Vec<u8>>,
    memory: BTreeMap<Vec<u8>, Vec<u8>>,
    head: Vec<u8>,
    position: LogPos,
}

impl Store {
    fn flush(&mut self, snapshot: Snapshot) {
        for entity in snapshot.entities {
            let mut bytes = Vec::new();
            entity.encode(&mut bytes);
            self.entities.insert(entity.key.clone(), bytes);
        }
        self.memory.extend(snapshot.memory);
        self.head = snapshot.head;
        self.position = snapshot.position;
    }

    fn reopen(&self, shards: usize) -> Result<(Engine, Effects), Corrupt> {
        let mut restored = Restored { head: self.head.clone(), position: self.position, ..Restored::default() };
        for bytes in self.entities.values() {
            restored.entities.push(Entity::decode(bytes)?);
        }
        for (key, value) in &self.memory {
            restored.memory.restore(key, value)?;
        }
        let mut engine = engine(shards);
        let effects = engine.restore(restored)?;
        Ok((engine, effects))
    }
}
