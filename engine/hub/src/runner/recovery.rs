//! Recovery: rows of the newest snapshot, then the facts behind it, each at the time at which the
//! log took it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ontology::codec::Cursor;
use ontology::{EntityKey, EntityKind, Fact, LogPos, Millis, Op};
use pipeline::memory::Memory;
use pipeline::snapshot::Restored;
use pipeline::{Effects, Engine, Input};
use state::Entity;
use storage::{Block, Distributed, Position, Rows as _, Store, Table, Told};

use super::aside::Stand;
use super::poison;
use super::snapshots::HEAD;

/// How long, and how often in turn without an answer, the log is asked for what comes next.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_MAX: u32 = 6_000;
/// How often rows are read again because their owner stored a snapshot meanwhile.
const READS_MAX: usize = 20;

/// Puts the engine where the store stands. `take` gets what it says, and when the log took the facts
/// that it says it of.
pub(crate) fn recover(
    store: &dyn Store,
    engine: &mut Engine,
    take: &mut dyn FnMut(Effects, Option<Millis>),
) -> anyhow::Result<()> {
    take_up(store, engine, read_snapshot(store)?, Reading::Follows, take)
}

/// How the end of the log is applied at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// By the owner of the store, who notes how far it comes.
    Owns,
    /// By one who writes nothing.
    Follows,
    /// Not yet.
    Waits,
}

/// Puts the engine where what was restored stands, and brings it to the end of the log.
pub(super) fn take_up(
    store: &dyn Store,
    engine: &mut Engine,
    restored: Restored,
    reading: Reading,
    take: &mut dyn FnMut(Effects, Option<Millis>),
) -> anyhow::Result<()> {
    let position = restored.position;
    take(engine.restore(restored)?, None);
    crate::crash::point("recovery.restored");
    let from = Position(position.0 + 1);
    let mut apply = |input| {
        let ingested_at = match &input {
            Input::Facts { facts, ingested_at } => {
                crate::crash::facts(facts);
                Some(*ingested_at)
            }
            Input::Tick { .. } => None,
        };
        take(engine.step(input), ingested_at);
    };
    match reading {
        Reading::Owns => poison::replay(store, from, false, |input| {
            apply(input);
            Ok(())
        })?,
        Reading::Follows => replay(store, from, None, apply)?,
        Reading::Waits => {}
    }
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

/// Reads the rows and what they stand at.
pub(super) fn read_snapshot(store: &dyn Store) -> anyhow::Result<Restored> {
    let entities = store.sweep(Table::Entity)?.map(|row| Ok(Entity::decode(&row?.1)?));
    let entities = entities.collect::<anyhow::Result<_>>()?;
    let (memory, head) = read_memory(store)?;
    Ok(Restored { entities, memory, head, position: LogPos(store.applied()?.0) })
}

/// Reads the rows of a store that another process may own and go on writing.
///
/// Entities are most of the rows. They are read one after the other, whatever is stored meanwhile: each
/// is then between the snapshot that was stored when the reading began and the one with which what is
/// remembered is read. Facts between the two are applied to them once more, which changes nothing where
/// they are applied already.
pub(super) fn read_while_written(store: &Distributed) -> anyhow::Result<Restored> {
    let mut read = Position(stored(store)?.position.0);
    let mut tail = store.tail(read.next())?;
    let mut entities = HashMap::new();
    for row in store.sweep(Table::Entity)? {
        let entity = Entity::decode(&row?.1)?;
        entities.insert(entity.key.clone(), entity);
    }
    let (memory, head) = read_memory(store)?;
    let position = Stand::of(&head)?.position;
    let (mut silent, passed_over) = (0, poison::passed_over(store)?);
    while read.0 < position.0 {
        match tail.next(LOOK)? {
            Some(Told::Block(block)) => {
                facts_of(&block, (read.next(), Some(Position(position.0))), &passed_over)?
                    .iter()
                    .for_each(|fact| apply(&mut entities, fact));
                (read, silent) = (block.last(), 0);
            }
            Some(Told::Time { .. } | Told::Owner(_)) => silent = 0,
            None if silent < LOOKS_MAX => silent += 1,
            None => anyhow::bail!(
                "read the rows: they stand at position {} and the log was not read further than {read}; \
                 see that the brokers answer",
                position.0
            ),
        }
    }
    Ok(Restored { entities: entities.into_values().collect(), memory, head, position })
}

fn apply(entities: &mut HashMap<EntityKey, Entity>, fact: &Fact) {
    if fact.op == Op::Heartbeat || fact.entity.kind == EntityKind::Watermark {
        return;
    }
    let entity = entities.entry(fact.entity.clone()).or_insert_with_key(|key| Entity::named(key.clone()));
    if let Some(changed) = entity.apply(fact) {
        *entity = changed;
    }
}

/// Reads what is remembered, with the head of the snapshot that it is of; again when another process that
/// owns the rows stored one meanwhile.
fn read_memory(store: &dyn Store) -> anyhow::Result<(Memory, Vec<u8>)> {
    for _ in 0..READS_MAX {
        let head_before = head(store)?;
        let mut memory = Memory::default();
        for row in store.scan(Table::Customer, b"")? {
            let (key, value) = row?;
            memory.restore(&key, &value)?;
        }
        let head = head(store)?;
        if head == head_before {
            return Ok((memory, head));
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
    let passed_over = poison::passed_over(store)?;
    let is_behind = move |block: &storage::Result<Block>| block.as_ref().is_ok_and(|block| block.first() > until);
    let blocks = blocks.into_iter().flatten().take_while(move |block| !is_behind(block));
    Ok(blocks.map(move |block| {
        let block = block?;
        Ok(Input::Facts {
            facts: facts_of(&block, (from, Some(until)), &passed_over)?,
            ingested_at: block.ingested_at(),
        })
    }))
}

/// The facts of a block from `from` up to `until`; nothing in the place of those that nobody applies.
pub(super) fn facts_of(
    block: &Block,
    (from, until): (Position, Option<Position>),
    passed_over: &BTreeSet<Position>,
) -> anyhow::Result<Vec<Fact>> {
    let mut facts = Vec::with_capacity(usize::try_from(block.count()).unwrap_or_default());
    for (position, bytes) in block.facts() {
        if position < from || until.is_some_and(|until| position > until) {
            continue;
        }
        facts.push(if passed_over.contains(&position) {
            poison::nothing(position, block.ingested_at())
        } else {
            Fact::decode(&mut Cursor(bytes), LogPos(position.0), block.ingested_at())?
        });
    }
    Ok(facts)
}
