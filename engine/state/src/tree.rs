//! Everything that hangs below one party record.

use std::sync::Arc;

use ontology::{EntityKey, EntityKind};

use crate::entity::Entity;

/// The entities below one party record, the record itself among them once it has arrived, in the
/// order of their keys.
#[derive(Debug, Clone, Default)]
pub struct PartyTree {
    entities: Vec<Arc<Entity>>,
}

impl PartyTree {
    /// Puts an entity in, replacing its earlier state.
    pub fn put(&mut self, entity: Arc<Entity>) {
        match self.place_of(&entity.key) {
            Ok(place) => self.entities[place] = entity,
            Err(place) => self.entities.insert(place, entity),
        }
    }

    /// Takes an entity out.
    pub fn take(&mut self, key: &EntityKey) -> Option<Arc<Entity>> {
        self.place_of(key).ok().map(|place| self.entities.remove(place))
    }

    /// The entity with this key.
    #[must_use]
    pub fn get(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.place_of(key).ok().map(|place| &self.entities[place])
    }

    /// All entities of one kind, in the order of their ids.
    #[must_use]
    pub fn of_kind(&self, kind: EntityKind) -> &[Arc<Entity>] {
        let from = self.entities.partition_point(|entity| entity.key.kind < kind);
        let len = self.entities[from..].partition_point(|entity| entity.key.kind == kind);
        &self.entities[from..from + len]
    }

    /// All entities.
    #[must_use]
    pub fn entities(&self) -> &[Arc<Entity>] {
        &self.entities
    }

    fn place_of(&self, key: &EntityKey) -> Result<usize, usize> {
        self.entities.binary_search_by(|entity| entity.key.cmp(key))
    }
}
