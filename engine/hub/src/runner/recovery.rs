//! Recovery: rows of the newest snapshot, then the facts behind it, each at the time at which the
//! log took it.

use ontology::codec::Cursor;
use ontology::{Fact, LogPos};
use pipeline::memory::Memory;
use pipeline::snapshot::Restored;
use pipeline::{Engine, Input};
use state::Entity;
use storage::{Position, Store, Table};

use super::Publish;
use super::snapshots::HEAD;

pub(crate) fn recover(store: &dyn Store, engine: &mut Engine, publish: &mut Publish) -> anyhow::Result<()> {
    let restored = read_snapshot(store)?;
    let position = restored.position;
    publish(engine.restore(restored)?);
    crate::crash::point("recovery.restored");
    replay(store, Position(position.0 + 1), None, |input| publish(engine.step(input)))?;
    crate::crash::point("recovery.replayed");
    Ok(())
}

/// Reads the rows and what they stand at.
fn read_snapshot(store: &dyn Store) -> anyhow::Result<Restored> {
    let mut memory = Memory::default();
    for row in store.scan(Table::Customer, b"")? {
        let (key, value) = row?;
        memory.restore(&key, &value)?;
    }
    let mut entities = Vec::new();
    for row in store.scan(Table::Entity, b"")? {
        entities.push(Entity::decode(&row?.1)?);
    }
    let head =
        store.load(Table::Meta, &[HEAD])?.into_iter().next().flatten().map(|head| head.to_vec()).unwrap_or_default();
    Ok(Restored { entities, memory, head, position: LogPos(store.applied()?.0) })
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
    if from > store.last() {
        return Ok(());
    }
    for block in store.read(from)? {
        let block = block?;
        let ingested_at = block.ingested_at();
        let mut facts = Vec::with_capacity(usize::try_from(block.count()).unwrap_or_default());
        for (position, bytes) in block.facts() {
            if position < from || until.is_some_and(|until| position > until) {
                continue;
            }
            facts.push(Fact::decode(&mut Cursor(bytes), LogPos(position.0), ingested_at)?);
        }
        if !facts.is_empty() {
            take(Input::Facts { facts, ingested_at });
        }
    }
    Ok(())
}
