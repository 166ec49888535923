//! What the engine knew at an earlier moment: a stand before it, and the log from there, fed to a fresh
//! engine.

use ontology::{Fact, LogPos, Millis};
use pipeline::memory::Memory;
use pipeline::snapshot::Restored;
use pipeline::{Engine, EngineSettings, Input};
use resolver::Model;
use state::Entity;
use storage::{Block, Position, Stand, Store, Table};

use crate::runner::{self, inputs, replay};

/// A moment of the hub's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Everything up to here had been applied.
    pub position: Position,
    /// Engine time: what was due by then had fired.
    pub now: Millis,
}

/// The log has lost its beginning, and no stand tells what was known before the oldest moment.
#[derive(Debug, thiserror::Error)]
#[error("the log begins at position {} and not at 1: what was known before position {} cannot be told any more",
    .start.0, .oldest.0)]
pub struct Forgotten {
    /// The oldest position in the log.
    pub start: Position,
    /// The oldest position that can be asked for.
    pub oldest: Position,
}

impl Moment {
    /// The oldest moment that can be told: the base where the log has lost its beginning, else before
    /// everything.
    ///
    /// # Errors
    /// [`Forgotten`] when the beginning is lost and there is no base, or when the store cannot be read.
    pub fn oldest(store: &dyn Store) -> anyhow::Result<Moment> {
        base(store)?.map_or(Ok(Moment { position: Position::ZERO, now: Millis::MIN }), |base| Moment::of(&base))
    }

    /// When a stand was kept.
    pub(crate) fn of(stand: &Stand) -> anyhow::Result<Moment> {
        Ok(Moment { position: stand.position, now: runner::Stand::of(&stand.head)?.now })
    }

    /// When the fact at `position` had just been applied; the newest fact if the log ends before. Of the
    /// oldest position, when the base was kept.
    ///
    /// # Errors
    /// [`Forgotten`], or when the log cannot be read.
    pub fn at(store: &dyn Store, position: Position) -> anyhow::Result<Moment> {
        let oldest = Moment::oldest(store)?;
        let position = position.min(store.last());
        if position < oldest.position {
            return Err(oldest.forgets(store));
        }
        let block = if position == Position::ZERO { None } else { block_of(store, position)? };
        let now = block.map_or(Millis::MIN, |block| block.ingested_at());
        Ok(Moment { position, now: if position == oldest.position { now.max(oldest.now) } else { now } })
    }

    /// The instant `time`, with everything that the log had taken by then.
    ///
    /// # Errors
    /// As [`Moment::at`].
    pub fn at_time(store: &dyn Store, time: Millis) -> anyhow::Result<Moment> {
        let oldest = Moment::oldest(store)?;
        if time < oldest.now {
            return Err(oldest.forgets(store));
        }
        let mut found = Moment { position: oldest.position, now: time };
        // The log takes blocks one after the other, so their instants rise with their positions.
        let (mut from, mut until) = (oldest.position.next(), store.last());
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

    fn forgets(self, store: &dyn Store) -> anyhow::Error {
        match store.start() {
            Ok(start) => Forgotten { start, oldest: self.position }.into(),
            Err(error) => error.into(),
        }
    }
}

/// When the log took the oldest of what it has; none if it has nothing.
///
/// # Errors
/// When the log cannot be read.
pub fn oldest(store: &dyn Store) -> anyhow::Result<Option<Millis>> {
    let start = store.start()?;
    let block = if start > store.last() { None } else { block_of(store, start)? };
    Ok(block.map(|block| block.ingested_at()))
}

/// The stand that a log without its beginning rests on; none where the log has its beginning.
fn base(store: &dyn Store) -> anyhow::Result<Option<Stand>> {
    let start = store.start()?;
    if start <= Position::FIRST {
        return Ok(None);
    }
    let base = store.stands()?.into_iter().next().filter(|base| base.position.next() >= start);
    base.map(Some).ok_or_else(|| Forgotten { start, oldest: store.last() }.into())
}

/// The newest stand that a moment rests on.
pub(crate) fn stand_before(store: &dyn Store, moment: Moment) -> anyhow::Result<Option<Stand>> {
    for stand in store.stands()?.into_iter().rev() {
        let kept = Moment::of(&stand)?;
        if kept.position <= moment.position && kept.now <= moment.now {
            return Ok(Some(stand));
        }
    }
    Ok(None)
}

/// Puts a new engine where a stand is.
pub(crate) fn restore(engine: &mut Engine, store: &dyn Store, stand: &Stand) -> anyhow::Result<()> {
    let (mut entities, mut memory) = (Vec::new(), Memory::default());
    for row in store.stand_rows(stand.position)? {
        let (table, key, value) = row?;
        match table {
            Table::Entity => entities.push(Entity::decode(&value)?),
            Table::Customer => memory.restore(&key, &value)?,
            Table::Resolver | Table::Timer | Table::Redirect | Table::Meta => {}
        }
    }
    let (head, position) = (stand.head.to_vec(), LogPos(stand.position.0));
    engine.restore(Restored { entities, memory, head, position })?;
    Ok(())
}

fn block_of(store: &dyn Store, position: Position) -> anyhow::Result<Option<Block>> {
    Ok(store.read(position)?.next().transpose()?)
}

/// Brings an engine forward to a moment that is not before where it stands, block by block as long as
/// `is_wanted`; one that has seen nothing begins at the newest stand before. Gives whether it is there.
///
/// # Errors
/// When the store cannot be read.
pub fn advance(
    engine: &mut Engine,
    store: &dyn Store,
    moment: Moment,
    is_wanted: impl Fn() -> bool,
) -> anyhow::Result<bool> {
    if engine.position() == LogPos(0)
        && let Some(stand) = stand_before(store, moment)?
    {
        restore(engine, store, &stand)?;
    }
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
/// The cost is that of reading the newest stand before and replaying the log from there.
///
/// # Errors
/// When the log cannot be read.
pub fn engine_at(store: &dyn Store, moment: Moment, settings: EngineSettings, model: Model) -> anyhow::Result<Engine> {
    let mut engine = Engine::new(settings, model);
    advance(&mut engine, store, moment, || true)?;
    Ok(engine)
}

/// Puts a new engine where the log, as far as it is kept, begins.
///
/// # Errors
/// [`Forgotten`] when `until` is before that, or when the store cannot be read.
pub(crate) fn begin(engine: &mut Engine, store: &dyn Store, until: Option<Position>) -> anyhow::Result<()> {
    let Some(base) = base(store)? else { return Ok(()) };
    if until.is_some_and(|until| until < base.position) {
        return Err(Forgotten { start: store.start()?, oldest: base.position }.into());
    }
    restore(engine, store, &base)
}

/// Feeds the log behind an engine to it, in batches of at most `batch` facts that the log took at the same
/// time. Any batch size gives the same answers. To a new engine the base comes first, where the log has
/// lost its beginning.
///
/// # Errors
/// [`Forgotten`] when `until` is before the base, or when the store cannot be read.
pub fn replay_in_batches(
    store: &dyn Store,
    until: Option<Position>,
    batch: usize,
    engine: &mut Engine,
) -> anyhow::Result<()> {
    if engine.position() == LogPos(0) {
        begin(engine, store, until)?;
    }
    replay(store, Position(engine.position().0).next(), until, |input| match input {
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
