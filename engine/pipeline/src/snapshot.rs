//! What of the engine's state is stored so that a start need not replay the whole log: rows that
//! changed, what was remembered, how far the sources were.

use std::sync::Arc;

use ontology::codec::{Corrupt, Cursor, put_i64, put_u64};
use ontology::{LogPos, Millis};
use state::Entity;

use crate::effects::Effects;
use crate::engine::Engine;
use crate::memory::Memory;
use crate::record::RecordShard;
use crate::sources::Sources;

/// State that changed since the snapshot before, at one position.
#[derive(Debug)]
pub struct Snapshot {
    /// Entities, each as it is now.
    pub entities: Vec<Arc<Entity>>,
    /// What is remembered, as key and value.
    pub memory: Vec<(Vec<u8>, Vec<u8>)>,
    /// Engine time and sources.
    pub head: Vec<u8>,
    /// Everything up to here is in the snapshots.
    pub position: LogPos,
}

/// State read back from snapshots.
#[derive(Debug, Default)]
pub struct Restored {
    /// Every stored entity.
    pub entities: Vec<Entity>,
    /// What was remembered.
    pub memory: Memory,
    /// Head of the newest snapshot; empty if there is none.
    pub head: Vec<u8>,
    /// Position of the newest snapshot.
    pub position: LogPos,
}

impl Engine {
    /// Takes what changed since the last call.
    pub fn take_snapshot(&mut self) -> Snapshot {
        let entities = self.records.iter_mut().flat_map(RecordShard::take_dirty).collect();
        let mut head = Vec::new();
        put_i64(&mut head, self.now.0);
        put_u64(&mut head, self.position.0);
        self.sources.encode(&mut head);
        Snapshot { entities, memory: self.memory.take_dirty(), head, position: self.position }
    }

    /// Takes up where snapshots left off. The engine must be new. Nothing that was notified before
    /// is notified again.
    ///
    /// # Errors
    /// When the head does not read as what [`Engine::take_snapshot`] wrote.
    pub fn restore(&mut self, restored: Restored) -> Result<Effects, Corrupt> {
        if !restored.head.is_empty() {
            let mut cursor = Cursor(&restored.head);
            self.now = Millis(cursor.i64()?);
            cursor.u64()?;
            self.sources = Sources::decode(&mut cursor)?;
            self.sources.set_bounds(self.settings.lag_max);
        }
        self.memory = restored.memory;
        self.memory.notice_opened(self.settings.insight.grace_ms);
        Ok(self.take_up(restored.entities, restored.position))
    }
}
