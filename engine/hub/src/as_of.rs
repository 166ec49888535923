//! What the engine knew at an earlier position: the log up to there, fed to a fresh engine.

use ontology::{Fact, Millis};
use pipeline::{Engine, EngineSettings, Input};
use resolver::Model;
use storage::{Position, Store};

use crate::runner::replay;

/// The engine as it was when it had applied everything up to `position`, and nothing more.
///
/// The cost is that of replaying the log up to there.
///
/// # Errors
/// When the log cannot be read.
pub fn engine_at(
    store: &dyn Store,
    position: Position,
    settings: EngineSettings,
    model: Model,
) -> anyhow::Result<Engine> {
    let mut engine = Engine::new(settings, model);
    replay(store, store.start()?, Some(position), |input| drop(engine.step(input)))?;
    Ok(engine)
}

/// The newest position whose facts the log took at or before `time`.
///
/// # Errors
/// When the log cannot be read.
pub fn position_at(store: &dyn Store, time: Millis) -> anyhow::Result<Position> {
    let mut position = Position::ZERO;
    for block in store.read(store.start()?)? {
        let block = block?;
        if block.ingested_at() > time {
            break;
        }
        position = block.last();
    }
    Ok(position)
}

/// Feeds the log to an engine in batches of at most `batch` facts that the log took at the same
/// time. Any batch size gives the same answers.
///
/// # Errors
/// When the log cannot be read.
pub fn replay_in_batches(
    store: &dyn Store,
    until: Option<Position>,
    batch: usize,
    engine: &mut Engine,
) -> anyhow::Result<()> {
    replay(store, store.start()?, until, |input| match input {
        Input::Facts { facts, ingested_at } => feed(engine, facts, ingested_at, batch.max(1)),
        Input::Tick { .. } => drop(engine.step(input)),
    })
}

fn feed(engine: &mut Engine, mut facts: Vec<Fact>, ingested_at: Millis, batch: usize) {
    while !facts.is_empty() {
        let rest = facts.split_off(batch.min(facts.len()));
        engine.step(Input::Facts { facts, ingested_at });
        facts = rest;
    }
}
