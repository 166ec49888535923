//! What a new mapping changes: quarantine is read again by it, and history on demand.
//!
//! The log remembers which mapping each system was last read by. When a hub starts with another
//! one, everything of that system in quarantine is decoded again; what is understood now goes to
//! the log with the ids and versions that it always had, so a replay that is cut short is begun
//! again without harm. History is read again only when somebody asks, since it costs as much as
//! it did the first time: facts of a higher mapping version win over those of a lower one. It holds
//! deliveries that no mapping read anything in, too.

use std::sync::Arc;

use bytes::Bytes;
use connectors::{Connectors, Kept};
use ontology::{Fact, System, Vocabulary};
use storage::{Position, Priority, QuarantineFilter, QuarantineState, Store};

use crate::app::App;
use crate::runner::{Handle, Payload};

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
            let kept = Kept::of(&record.beside, &record.source, record.received_at);
            let kept = kept.expect("only records of a system are looked at");
            let decoded = connectors.decode(system, &kept.delivery(&raw));
            if !decoded.rejects.is_empty() || decoded.facts.is_empty() {
                done.refused += 1;
                continue;
            }
            let payload = Payload { beside: kept.encode(), raw: Bytes::from(raw) };
            handle.append(decoded.facts, Vec::new(), payload, None, Priority::Decision).await?;
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
    handle.append(Vec::new(), Vec::new(), Payload::default(), position, Priority::Decision).await?;
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
    // One step further than the last block: there stands what came in since without a fact.
    while next <= until.next() {
        let (store, by) = (store.clone(), connectors.clone());
        let read = tokio::task::spawn_blocking(move || again(&store, next, &by, system)).await??;
        done.refused += read.refused;
        for facts in read.deliveries {
            // The payload is kept where it stands: a copy would be read again by the next run.
            handle.append(facts, Vec::new(), Payload::default(), None, Priority::Decision).await?;
            done.understood += 1;
        }
        next = Position(read.last.0 + 1);
    }
    Ok(done)
}

/// What the payloads at one position become now.
struct Again {
    /// The facts of those that become any.
    deliveries: Vec<Vec<Fact>>,
    /// Those that became facts once and become none now.
    refused: u64,
    last: Position,
}

fn again(store: &Arc<dyn Store>, at: Position, connectors: &Connectors, system: System) -> anyhow::Result<Again> {
    let (first, last) = match store.read(at)?.next().transpose()? {
        Some(block) => (block.first(), block.last()),
        None => (at, at),
    };
    let mut again = Again { deliveries: Vec::new(), refused: 0, last };
    for raw in store.raws(first)? {
        let Some(kept) = Kept::parse(&raw.beside).filter(|kept| kept.system == system) else { continue };
        let facts = connectors.decode(system, &kept.delivery(&raw.payload)).facts;
        match facts.is_empty() {
            false => again.deliveries.push(facts),
            true => again.refused += u64::from(raw.count > 0),
        }
    }
    Ok(again)
}
