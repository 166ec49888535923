//! The snapshot writer: rows, memory and outbox in one atom with the position that they stand at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use pipeline::Action;
use pipeline::snapshot::Snapshot;
use storage::{Changes, Durability, Position, Store, Table};

/// Key of the head of the newest snapshot, in the table of meta rows.
pub(crate) const HEAD: &[u8] = b"head";

/// How long rows wait before it is tried again whether the disk has room for them.
const ROOM_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Snapshots {
    queue: SyncSender<(Snapshot, BTreeMap<String, String>)>,
    is_busy: Arc<AtomicBool>,
    /// Whether the hub ends: then nothing waits for room.
    is_ending: Arc<AtomicBool>,
    /// Actions decided since the snapshot before, by id: they are in the outbox from the next one
    /// on; a crash before it decides them again under the same ids.
    actions: BTreeMap<String, String>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

pub(super) fn start(store: Arc<dyn Store>) -> anyhow::Result<Snapshots> {
    let (queue, waiting) = sync_channel(1);
    let (is_busy, is_ending) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (busy, ending) = (is_busy.clone(), is_ending.clone());
    let thread = super::named("opshub-snapshot", move || write_all(&*store, &waiting, &busy, &ending))?;
    Ok(Snapshots { queue, is_busy, is_ending, actions: BTreeMap::new(), thread })
}

impl Snapshots {
    pub(super) fn remember(&mut self, actions: &[Action]) {
        for action in actions {
            self.actions.insert(action.id.to_string(), action.body().to_string());
        }
    }

    /// Keeps actions by id for the next snapshot.
    pub(super) fn put(&mut self, actions: BTreeMap<String, String>) {
        self.actions.extend(actions);
    }

    pub(super) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy.load(Ordering::Acquire)
    }

    pub(super) fn write(&mut self, snapshot: Snapshot) -> anyhow::Result<()> {
        self.is_busy.store(true, Ordering::Release);
        self.queue
            .send((snapshot, std::mem::take(&mut self.actions)))
            .map_err(|_| anyhow::anyhow!("write a snapshot: the snapshot writer has ended"))
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        drop(self.queue);
        self.is_ending.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| anyhow::anyhow!("the snapshot writer panicked"))?
    }
}

fn write_all(
    store: &dyn Store,
    waiting: &Receiver<(Snapshot, BTreeMap<String, String>)>,
    busy: &AtomicBool,
    ending: &AtomicBool,
) -> anyhow::Result<()> {
    while let Ok((snapshot, actions)) = waiting.recv() {
        crate::crash::point("snapshot.before");
        let written = write_when_there_is_room(store, &snapshot, &actions, ending);
        crate::crash::point("snapshot.after");
        // Also after a failure: whoever believes for ever that one is being written never asks for the next,
        // and only by asking learns that this thread has ended.
        busy.store(false, Ordering::Release);
        written.inspect_err(|error| tracing::error!(%error, "rows were not written, the hub ends"))?;
    }
    Ok(())
}

/// Somebody else may have filled the disk: reads and evaluation go on, and rows wait until there is room.
/// The facts that they come from are in the log.
fn write_when_there_is_room(
    store: &dyn Store,
    snapshot: &Snapshot,
    actions: &BTreeMap<String, String>,
    ending: &AtomicBool,
) -> storage::Result<()> {
    loop {
        // Asked first: a hub that ends while the disk is looked at has one more try.
        let is_last = ending.load(Ordering::Acquire);
        match super::timed("rows", || write(store, snapshot, actions)) {
            Err(error @ storage::Error::Full { .. }) if !is_last => {
                tracing::warn!(%error, "rows wait for room on the disk, will retry");
                std::thread::park_timeout(ROOM_PAUSE);
            }
            written => return written,
        }
    }
}

/// Writes one snapshot, and the bodies of actions by their id, as one atom.
pub(crate) fn write(store: &dyn Store, snapshot: &Snapshot, actions: &BTreeMap<String, String>) -> storage::Result<()> {
    let mut changes = Changes::new().applied(Position(snapshot.position.0));
    for entity in &snapshot.entities {
        let mut bytes = Vec::new();
        entity.encode(&mut bytes);
        changes.push_put(Table::Entity, entity.key.to_string().into_bytes(), bytes);
    }
    for (key, value) in &snapshot.memory {
        changes.push_put(Table::Customer, key.clone(), value.clone());
    }
    changes.push_put(Table::Meta, HEAD.to_vec(), snapshot.head.clone());
    for (id, body) in actions {
        changes = changes.outbox_put(id.clone(), body.clone());
    }
    store.write(changes, Durability::Relaxed)?;
    Ok(())
}
