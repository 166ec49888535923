//! What a new mapping changes: quarantine is read again by it, and history on demand.
//!
//! The log remembers which mapping each system was last read by. When a hub starts with another
//! one, everything of that system in quarantine is decoded again; what is understood now goes to
//! the log with the ids and versions that it always had, so a replay that is cut short is begun
//! again without harm. History is read again only when somebody asks, since it costs as much as
//! it did the first time: facts of a higher mapping version win over those of a lower one.

use std::sync::Arc;

use bytes::Bytes;
use connectors::{Connectors, Decoded, Delivery, Framing, RejectCode};
use ontology::codec::Cursor;
use ontology::{Fact, LogPos, System, Vocabulary};
use storage::{Position, Priority, QuarantineFilter, QuarantineState, Store};

use crate::app::App;
use crate::runner::Handle;

/// Quarantined records that are listed at once.
const PAGE: usize = 500;

/// Why the mappings in force cannot be used with the store as it is.
#[derive(Debug, thiserror::Error)]
pub enum RemapError {
    /// What facts say would depend on when they were read.
    #[error(
        "use the mapping of {system}: it differs from the one that the store was last read by and both are version \
         {version}; raise `version` in the file"
    )]
    SameVersion {
        /// The system.
        system: &'static str,
        /// The version of both.
        version: u32,
    },
    /// The store does not answer.
    #[error("look for the mappings that the store was read by: {0}")]
    Store(#[from] storage::Error),
}

/// What is to be read again after a start.
#[derive(Debug, Default)]
pub struct Remapping {
    /// Systems whose mapping is another one than before.
    changed: Vec<System>,
    /// Systems whose history is read again.
    history: Vec<System>,
}

/// What reading again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remapped {
    /// Quarantined records or payloads that became facts.
    pub understood: u64,
    /// Those that did not.
    pub refused: u64,
}

impl Remapping {
    /// Compares the mappings in force with those that the store was last read by. `own` are the
    /// systems that the organisation has a mapping file for.
    ///
    /// # Errors
    /// When such a file changed and kept its version, or the store does not answer.
    pub fn plan(app: &App, own: &[System], history: &[System]) -> Result<Self, RemapError> {
        let store = app.handle().store().clone();
        let mut changed = Vec::new();
        for system in mapped(app.connectors()) {
            let Some((version, digest)) = last_read_by(&*store, system)? else {
                changed.push(system);
                continue;
            };
            let mapping = app.connectors().mapping(system).expect("only mapped systems are looked at");
            if digest == mapping.content_digest {
                continue;
            }
            if version == mapping.version && own.contains(&system) {
                return Err(RemapError::SameVersion { system: system.name(), version });
            }
            changed.push(system);
        }
        Ok(Remapping { changed, history: history.to_vec() })
    }

    /// Reads again what is to be read again, beside the hub's other work.
    pub fn start(self, app: &mut App) {
        let (handle, connectors) = (app.handle(), app.connectors().clone());
        let stop = app.stopping();
        app.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.run(&handle, &connectors) => {}
            }
        });
    }

    async fn run(self, handle: &Handle, connectors: &Connectors) {
        for system in self.changed {
            told(system, "quarantine", quarantine(handle, connectors, system).await);
        }
        for system in self.history {
            told(system, "history", history(handle, connectors, system).await);
        }
    }
}

fn told(system: System, what: &str, done: anyhow::Result<Remapped>) {
    let system = system.name();
    match done {
        Ok(Remapped { understood: 0, refused: 0 }) => {}
        Ok(Remapped { understood, refused }) => {
            tracing::info!(system, what, understood, refused, "read again by the mapping in force");
        }
        // The next start begins again: nothing was given up.
        Err(error) => tracing::error!(system, what, error = format!("{error:#}"), "not read again to the end"),
    }
}

/// Systems that are read by a mapping.
fn mapped(connectors: &Connectors) -> impl Iterator<Item = System> {
    Connectors::SYSTEMS.into_iter().filter(|system| connectors.mapping(*system).is_some())
}

/// The name under which the log remembers a system's mapping.
fn name(system: System) -> String {
    format!("mapping/{}", system.name())
}

/// Version and digest of the mapping that a system was last read by.
fn last_read_by(store: &dyn Store, system: System) -> Result<Option<(u32, String)>, storage::Error> {
    let stored = store.source(&name(system))?;
    Ok(stored.and_then(|stored| {
        let text = std::str::from_utf8(&stored).ok()?;
        let (version, digest) = text.split_once(' ')?;
        Some((version.parse().ok()?, digest.to_owned()))
    }))
}

/// Decodes all of a system's quarantine again, then remembers the mapping.
///
/// # Errors
/// When the store or the log refuses; what was done by then stays done.
pub async fn quarantine(handle: &Handle, connectors: &Connectors, system: System) -> anyhow::Result<Remapped> {
    let mut done = Remapped::default();
    let mut after = None;
    loop {
        let store = handle.store().clone();
        let filter = QuarantineFilter { held_only: true, ..QuarantineFilter::default() };
        let page = tokio::task::spawn_blocking(move || store.list(&filter, after, PAGE)).await??;
        for record in page.records.iter().filter(|record| system_of(&record.source) == Some(system)) {
            let (id, store) = (record.id, handle.store().clone());
            let raw = tokio::task::spawn_blocking(move || store.raw(id)).await??;
            let decoded = connectors.decode(system, &Delivery::document(&raw, record.received_at));
            if !decoded.rejects.is_empty() || decoded.facts.is_empty() {
                done.refused += 1;
                continue;
            }
            handle.append(decoded.facts, Vec::new(), Bytes::from(raw), None, Priority::Decision).await?;
            let (store, state) = (handle.store().clone(), QuarantineState::Replayed(handle.now()));
            tokio::task::spawn_blocking(move || store.decide(id, state)).await??;
            done.understood += 1;
        }
        after = page.after;
        if after.is_none() {
            break;
        }
    }
    let mapping = connectors.mapping(system).expect("only mapped systems are read again");
    let read_by = format!("{} {}", mapping.version, mapping.content_digest);
    let position = Some((name(system), read_by.into_bytes()));
    handle.append(Vec::new(), Vec::new(), Bytes::new(), position, Priority::Decision).await?;
    Ok(done)
}

/// The system in the name of a source partition, such as `oracle/erp`.
fn system_of(source: &str) -> Option<System> {
    source.split('/').next().and_then(System::parse)
}

/// Decodes every kept payload of a system again, up to where the log stood at the beginning.
///
/// # Errors
/// When the store or the log refuses; what was done by then stays done.
pub async fn history(handle: &Handle, connectors: &Connectors, system: System) -> anyhow::Result<Remapped> {
    let store = handle.store().clone();
    let (from, until) = (store.start()?, store.last());
    let mut done = Remapped::default();
    let mut next = from;
    while next <= until {
        let (store, by) = (store.clone(), connectors.clone());
        let read = tokio::task::spawn_blocking(move || again(&store, next, &by, system)).await??;
        for facts in read.deliveries {
            if facts.is_empty() {
                done.refused += 1;
                continue;
            }
            // The payload is kept where it stands: a copy would be read again by the next run.
            handle.append(facts, Vec::new(), Bytes::new(), None, Priority::Decision).await?;
            done.understood += 1;
        }
        next = Position(read.last.0 + 1);
    }
    Ok(done)
}

/// What one block's payloads become now.
struct Again {
    deliveries: Vec<Vec<Fact>>,
    last: Position,
}

fn again(store: &Arc<dyn Store>, at: Position, connectors: &Connectors, system: System) -> anyhow::Result<Again> {
    let Some(block) = store.read(at)?.next() else { return Ok(Again { deliveries: Vec::new(), last: store.last() }) };
    let block = block?;
    let ingested_at = block.ingested_at();
    let mut deliveries = Vec::new();
    for raw in store.raws(block.first())? {
        let first = block.facts().find(|(position, _)| *position == raw.first);
        let Some((position, bytes)) = first else { continue };
        let fact = Fact::decode(&mut Cursor(bytes), LogPos(position.0), ingested_at)?;
        if fact.system == system {
            deliveries.push(decoded(connectors, system, &raw.payload, &fact).facts);
        }
    }
    Ok(Again { deliveries, last: block.last() })
}

/// A payload as it would be decoded if it came now; how it is divided is seen from its bytes.
fn decoded(connectors: &Connectors, system: System, raw: &[u8], first: &Fact) -> Decoded {
    let delivery = Delivery::document(raw, first.observed_at);
    let decoded = connectors.decode(system, &delivery);
    let is_no_document = decoded.facts.is_empty()
        && matches!(decoded.rejects.as_slice(), [only] if only.code == RejectCode::Malformed && only.range == (0..raw.len()));
    if is_no_document { connectors.decode(system, &Delivery { framing: Framing::Lines, ..delivery }) } else { decoded }
}
