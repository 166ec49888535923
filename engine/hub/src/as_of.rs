//! What the engine knew at an earlier moment: the log up to there, fed to a fresh engine.

use ontology::{Fact, Millis};
use pipeline::{Engine, EngineSettings, Input};
use resolver::Model;
use storage::{Block, Position, Store};

use crate::runner::{inputs, replay};

/// A moment of the hub's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Everything up to here had been applied.
    pub position: Position,
    /// Engine time: what was due by then had fired.
    pub now: Millis,
}

/// The log has lost its beginning, so nothing that rests on it can be told again.
#[derive(Debug, thiserror::Error)]
#[error("the log begins at position {} and not at 1: what was known earlier cannot be told any more", .start.0)]
pub struct Forgotten {
    /// The oldest position in the log.
    pub start: Position,
    /// The newest.
    pub newest: Position,
}

impl Moment {
    /// When the fact at `position` had just been applied; the newest fact if the log ends before.
    ///
    /// # Errors
    /// [`Forgotten`], or when the log cannot be read.
    pub fn at(store: &dyn Store, position: Position) -> anyhow::Result<Moment> {
        check_beginning(store)?;
        let position = position.min(store.last());
        let block = if position == Position::ZERO { None } else { block_of(store, position)? };
        Ok(Moment { position, now: block.map_or(Millis::MIN, |block| block.ingested_at()) })
    }

    /// The instant `time`, with everything that the log had taken by then.
    ///
    /// # Errors
    /// As [`Moment::at`].
    pub fn at_time(store: &dyn Store, time: Millis) -> anyhow::Result<Moment> {
        check_beginning(store)?;
        let mut found = Moment { position: Position::ZERO, now: time };
        // The log takes blocks one after the other, so their instants rise with their positions.
        let (mut from, mut until) = (Position::FIRST, store.last());
        while from <= until {
            let middle = Position(from.0 + (until.0 - from.0) / 2);
            let Some(block) = block_of(store, middle)? else { break };
            if block.ingested_at() <= time {
                found = Moment { position: block.last(), now: time };
                from = block.last().next();
            } else {
                until = Position(block.first().0 - 1);
            }
        }
        Ok(found)
    }
}

fn check_beginning(store: &dyn Store) -> anyhow::Result<()> {
    let start = store.start()?;
    if start > Position::FIRST { Err(Forgotten { start, newest: store.last() }.into()) } else { Ok(()) }
}

fn block_of(store: &dyn Store, position: Position) -> anyhow::Result<Option<Block>> {
    Ok(store.read(position)?.next().transpose()?)
}

/// Brings an engine forward to a moment that is not before where it stands, block by block as long as
/// `is_wanted`. Gives whether it is there.
///
/// # Errors
/// When the log cannot be read.
pub fn advance(
    engine: &mut Engine,
    store: &dyn Store,
    moment: Moment,
    is_wanted: impl Fn() -> bool,
) -> anyhow::Result<bool> {
    for input in inputs(store, Position(engine.position().0).next(), Some(moment.position))? {
        if !is_wanted() {
            return Ok(false);
        }
        engine.step(input?);
    }
    if engine.now() < moment.now {
        engine.step(Input::Tick { now: moment.now });
    }
    Ok(true)
}

/// The engine as it was at `moment`.
///
/// The cost is that of replaying the log up to there.
///
/// # Errors
/// When the log cannot be read.
pub fn engine_at(store: &dyn Store, moment: Moment, settings: EngineSettings, model: Model) -> anyhow::Result<Engine> {
    let mut engine = Engine::new(settings, model);
    advance(&mut engine, store, moment, || true)?;
    Ok(engine)
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
