//! Recovery: rows of the newest snapshot, then the facts behind it, each at the time at which the
//! log took it.

use ontology::codec::Cursor;
use ontology::{Fact, LogPos, Millis};
use pipeline::memory::Memory;
use pipeline::snapshot::Restored;
use pipeline::{Effects, Engine, Input};
use state::Entity;
use storage::{Block, Position, Store, Table};

use super::aside::Stand;
use super::snapshots::HEAD;

/// How often rows are read again because their owner stored a snapshot meanwhile.
const READS_MAX: usize = 20;

/// Puts the engine where the store stands. `take` gets what it says, and when the log took the facts
/// that it says it of.
pub(crate) fn recover(
    store: &dyn Store,
    engine: &mut Engine,
    take: &mut dyn FnMut(Effects, Option<Millis>),
) -> anyhow::Result<()> {
    let restored = read_snapshot(store)?;
    let position = restored.position;
    take(engine.restore(restored)?, None);
    crate::crash::point("recovery.restored");
    replay(store, Position(position.0 + 1), None, |input| {
        let ingested_at = match &input {
            Input::Facts { ingested_at, .. } => Some(*ingested_at),
            Input::Tick { .. } => None,
        };
        take(engine.step(input), ingested_at);
    })?;
    crate::crash::point("recovery.replayed");
    Ok(())
}

/// Where the newest snapshot stands.
pub(super) fn stored(store: &dyn Store) -> anyhow::Result<Stand> {
    Ok(Stand::of(&head(store)?)?)
}

fn head(store: &dyn Store) -> anyhow::Result<Vec<u8>> {
    Ok(store.load(Table::Meta, &[HEAD])?.into_iter().next().flatten().map(|head| head.to_vec()).unwrap_or_default())
}

/// Reads the rows and what they stand at; again when another process that owns them stored a snapshot
/// meanwhile.
fn read_snapshot(store: &dyn Store) -> anyhow::Result<Restored> {
    for _ in 0..READS_MAX {
        let head_before = head(store)?;
        let mut memory = Memory::default();
        for row in store.scan(Table::Customer, b"")? {
            let (key, value) = row?;
            memory.restore(&key, &value)?;
        }
        let mut entities = Vec::new();
        for row in store.scan(Table::Entity, b"")? {
            entities.push(Entity::decode(&row?.1)?);
        }
        let position = LogPos(store.applied()?.0);
        let head = head(store)?;
        if head == head_before {
            return Ok(Restored { entities, memory, head, position });
        }
    }
    anyhow::bail!(
        "read the rows: their owner stored a snapshot each of {READS_MAX} times, start again when it is quieter"
    )
}

/// Feeds the log from `from` up to `until` to `take`, block by block.
///
/// # Errors
/// When the log cannot be read or holds what this program did not write.
pub(crate) fn replay(
    store: &dyn Store,
    from: Position,
    until: Option<Position>,
    mut take: impl FnMut(Input),
) -> anyhow::Result<()> {
    for input in inputs(store, from, until)? {
        take(input?);
    }
    Ok(())
}

/// The log from `from` up to `until`, block by block, as the engine takes it.
///
/// # Errors
/// When the log cannot be read; an item, when it holds what this program did not write.
pub(crate) fn inputs(
    store: &dyn Store,
    from: Position,
    until: Option<Position>,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Input>> + use<>> {
    let until = until.unwrap_or(Position(u64::MAX)).min(store.last());
    let blocks = (from <= until).then(|| store.read(from)).transpose()?;
    let is_behind = move |block: &storage::Result<Block>| block.as_ref().is_ok_and(|block| block.first() > until);
    let blocks = blocks.into_iter().flatten().take_while(move |block| !is_behind(block));
    Ok(blocks.map(move |block| {
        let block = block?;
        Ok(Input::Facts { facts: facts_of(&block, from, Some(until))?, ingested_at: block.ingested_at() })
    }))
}

/// The facts of a block from `from` up to `until`.
pub(super) fn facts_of(block: &Block, from: Position, until: Option<Position>) -> anyhow::Result<Vec<Fact>> {
    let mut facts = Vec::with_capacity(usize::try_from(block.count()).unwrap_or_default());
    for (position, bytes) in block.facts() {
        if position < from || until.is_some_and(|until| position > until) {
            continue;
        }
        facts.push(Fact::decode(&mut Cursor(bytes), LogPos(position.0), block.ingested_at())?);
    }
    Ok(facts)
}
