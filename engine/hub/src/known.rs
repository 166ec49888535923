//! What connectors may ask the hub: which records of a source it holds, which changes it waits for.

use connectors::{Known, KnownGap, KnownRecord};
use futures::future::BoxFuture;
use ontology::{Fact, Field, Op, System, ValueRef};
use pipeline::Engine;
use state::row::{Applied, SourceRow};

use crate::runner::Handle;

/// The running engine, asked between two of its inputs. Once the hub has stopped it knows nothing,
/// and the connectors that ask are about to stop as well.
pub struct EngineKnown(Handle);

impl EngineKnown {
    /// What the engine behind `handle` holds.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        EngineKnown(handle)
    }

    fn ask<T: Send + Default + 'static>(
        &self,
        question: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> BoxFuture<'_, T> {
        Box::pin(async move { self.0.ask(question).await.unwrap_or_default() })
    }
}

impl Known for EngineKnown {
    fn records(&self, system: System, object: &str) -> BoxFuture<'_, Vec<KnownRecord>> {
        let object = object.to_owned();
        self.ask(move |engine| rows_of(engine, system, &object, SourceRow::is_alive))
    }

    fn rows(&self, system: System, object: &str) -> BoxFuture<'_, Vec<KnownRecord>> {
        let object = object.to_owned();
        self.ask(move |engine| rows_of(engine, system, &object, |_| true))
    }

    fn open_gaps(&self, system: System) -> BoxFuture<'_, Vec<KnownGap>> {
        self.ask(move |engine| {
            let waiting = engine.sources().gaps().iter().filter(|(_, gap)| gap.system == system);
            let mut gaps = Vec::new();
            for entity in waiting.filter_map(|(key, _)| engine.entity(key)) {
                gaps.extend(entity.rows().iter().filter(|row| is_of(row, system)).filter_map(|row| {
                    let version = row.newest_open_gap()?.stamp.version;
                    let key = row.key();
                    Some(KnownGap { object: key.object, record_id: key.record_id, version })
                }));
            }
            gaps.sort_by(|a, b| (&a.object, &a.record_id).cmp(&(&b.object, &b.record_id)));
            gaps
        })
    }

    fn would_change(&self, facts: Vec<Fact>) -> BoxFuture<'_, Vec<bool>> {
        self.ask(move |engine| facts.iter().map(|fact| would_change(engine, fact)).collect())
    }
}

/// The rows of an object that are `wanted`, in order of their ids.
fn rows_of(engine: &Engine, system: System, object: &str, wanted: fn(&SourceRow) -> bool) -> Vec<KnownRecord> {
    let mut known = Vec::new();
    for entity in engine.entities() {
        let of_object = entity.rows().iter().filter(|row| is_of(row, system) && row.key().object == object);
        known.extend(of_object.filter(|row| wanted(row)).filter_map(|row| {
            let version = row.provenances().into_iter().map(|said| said.stamp.version).max()?;
            Some(KnownRecord { record_id: row.key().record_id, entity: entity.key.clone(), version })
        }));
    }
    known.sort_by(|a, b| a.record_id.cmp(&b.record_id));
    known
}

fn would_change(engine: &Engine, fact: &Fact) -> bool {
    let key = fact.source_key();
    let row = engine.entity(&fact.entity).and_then(|entity| entity.rows().iter().find(|row| row.key() == key));
    let Some(row) = row else { return fact.op != Op::Delete };
    match SourceRow::apply(Some(row), fact) {
        Applied::Changed(next) if row.open_gap().is_none() => {
            row.is_alive() != next.is_alive() || says(row).ne(says(&next))
        }
        Applied::Changed(_) | Applied::Unchanged => false,
    }
}

/// What a row says: null is as good as never told, and 751.9 is 751.90.
fn says(row: &SourceRow) -> impl Iterator<Item = (Field, ValueRef<'_>)> {
    row.fields().filter_map(|(field, value, _)| match value {
        ValueRef::Null => None,
        ValueRef::Decimal { mut mantissa, mut scale } => {
            while scale > 0 && mantissa % 10 == 0 {
                (mantissa, scale) = (mantissa / 10, scale - 1);
            }
            Some((field, ValueRef::Decimal { mantissa, scale }))
        }
        other => Some((field, other)),
    })
}

fn is_of(row: &SourceRow, system: System) -> bool {
    row.key().system == system
}
