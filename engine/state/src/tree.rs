//! Everything that hangs below one party record.

use std::sync::Arc;

use ontology::{EntityKey, EntityKind};
use smallvec::SmallVec;

use crate::entity::Entity;

/// The records of one kind below one party record, in the order of their ids. Trees share runs, so
/// that one address is one content and a change copies the run that it touches and no other.
#[derive(Debug, Clone, Default)]
pub struct Run {
    entities: Vec<Arc<Entity>>,
}

impl Run {
    /// All records, dead ones too.
    #[must_use]
    pub fn entities(&self) -> &[Arc<Entity>] {
        &self.entities
    }

    fn put(&mut self, entity: Arc<Entity>) {
        match self.place_of(&entity.key) {
            Ok(place) => self.entities[place] = entity,
            Err(place) => self.entities.insert(place, entity),
        }
    }

    fn take(&mut self, key: &EntityKey) {
        if let Ok(place) = self.place_of(key) {
            self.entities.remove(place);
        }
    }

    fn get(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.place_of(key).ok().map(|place| &self.entities[place])
    }

    fn place_of(&self, key: &EntityKey) -> Result<usize, usize> {
        // Sources count upwards: most new records come behind all others.
        if self.entities.last().is_none_or(|last| last.key.id < key.id) {
            return Err(self.entities.len());
        }
        self.entities.binary_search_by(|entity| entity.key.id.cmp(&key.id))
    }
}

/// The entities below one party record, the record itself among them once it has arrived, in the
/// order of their keys.
#[derive(Debug, Clone, Default)]
pub struct PartyTree {
    /// In the order of kinds; none is empty. Most parties have records of few kinds.
    runs: SmallVec<[(EntityKind, Arc<Run>); 8]>,
}

impl PartyTree {
    /// Puts an entity in, replacing its earlier state.
    pub fn put(&mut self, entity: Arc<Entity>) {
        let kind = entity.key.kind;
        let place = self.runs.binary_search_by_key(&kind, |(of, _)| *of).unwrap_or_else(|place| {
            self.runs.insert(place, (kind, Arc::default()));
            place
        });
        Arc::make_mut(&mut self.runs[place].1).put(entity);
    }

    /// Takes an entity out, if it is in.
    pub fn take(&mut self, key: &EntityKey) {
        let Ok(place) = self.runs.binary_search_by_key(&key.kind, |(of, _)| *of) else { return };
        let run = Arc::make_mut(&mut self.runs[place].1);
        run.take(key);
        if run.entities.is_empty() {
            self.runs.remove(place);
        }
    }

    /// The entity with this key.
    #[must_use]
    pub fn get(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.run(key.kind)?.get(key)
    }

    /// All entities of one kind, in the order of their ids.
    #[must_use]
    pub fn of_kind(&self, kind: EntityKind) -> &[Arc<Entity>] {
        self.run(kind).map_or(&[], |run| &run.entities)
    }

    /// The run of one kind; none if there is no record of it.
    #[must_use]
    pub fn run(&self, kind: EntityKind) -> Option<&Arc<Run>> {
        self.runs.iter().find(|(of, _)| *of == kind).map(|(_, run)| run)
    }

    /// The runs of all kinds that there are records of.
    pub fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.runs.iter().map(|(_, run)| run)
    }

    /// All entities.
    pub fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.runs.iter().flat_map(|(_, run)| run.entities())
    }

    /// Whether nothing hangs here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Reads where the records of one kind are listed, and nothing of them; see [`Entity::touch`].
    #[must_use]
    pub fn touch_list(&self, kind: EntityKind) -> usize {
        const PER_LINE: usize = 8;
        let listed = self.of_kind(kind).iter().step_by(PER_LINE);
        listed.fold(0, |all, entity| all ^ Arc::as_ptr(entity).addr())
    }

    /// The kinds of which the trees do not hold the very same records, some perhaps twice.
    pub fn differing<'a>(&'a self, other: &'a PartyTree) -> impl Iterator<Item = EntityKind> {
        let kinds = self.runs.iter().chain(&other.runs).map(|(kind, _)| *kind);
        kinds.filter(|kind| !self.has_same(other, *kind))
    }

    /// Whether both trees hold the very same records of one kind. A false answer may be wrong where
    /// records were put in again without having changed; a true one never is.
    #[must_use]
    pub fn has_same(&self, other: &PartyTree, kind: EntityKind) -> bool {
        match (self.run(kind), other.run(kind)) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entity(kind: EntityKind, id: &str) -> Arc<Entity> {
        Arc::new(Entity::named(EntityKey::new(kind, id)))
    }

    fn ids(tree: &PartyTree) -> Vec<String> {
        tree.entities().map(|entity| entity.key.to_string()).collect()
    }

    #[test]
    fn entities_stand_in_the_order_of_kind_and_id_however_they_come() {
        let mut tree = PartyTree::default();
        for (kind, id) in [(EntityKind::Invoice, "2"), (EntityKind::Case, "9"), (EntityKind::Invoice, "10")] {
            tree.put(entity(kind, id));
        }
        tree.put(entity(EntityKind::Invoice, "2"));
        let mut sorted: Vec<EntityKey> = tree.entities().map(|entity| entity.key.clone()).collect();
        sorted.sort();
        assert_eq!(ids(&tree), sorted.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(tree.of_kind(EntityKind::Invoice).len(), 2);
        assert!(tree.get(&EntityKey::new(EntityKind::Invoice, "10")).is_some());
        assert!(tree.get(&EntityKey::new(EntityKind::Invoice, "1")).is_none());
        assert!(tree.get(&EntityKey::new(EntityKind::Payment, "10")).is_none());
    }

    #[test]
    fn a_change_leaves_the_other_kinds_of_an_earlier_state_as_they_are() {
        let mut tree = PartyTree::default();
        tree.put(entity(EntityKind::Case, "1"));
        tree.put(entity(EntityKind::Invoice, "1"));
        let before = tree.clone();
        tree.put(entity(EntityKind::Invoice, "2"));
        assert!(tree.has_same(&before, EntityKind::Case));
        assert!(!tree.has_same(&before, EntityKind::Invoice));
        assert!(tree.has_same(&before, EntityKind::Dispute));
        assert_eq!(ids(&before).len(), 2);
        tree.take(&EntityKey::new(EntityKind::Case, "1"));
        assert!(!tree.has_same(&before, EntityKind::Case));
    }

    #[test]
    fn the_last_record_takes_its_kind_with_it_and_strangers_change_nothing() {
        let mut tree = PartyTree::default();
        tree.put(entity(EntityKind::Case, "1"));
        tree.take(&EntityKey::new(EntityKind::Case, "2"));
        tree.take(&EntityKey::new(EntityKind::Invoice, "1"));
        assert_eq!(ids(&tree), ["case/1"]);
        tree.take(&EntityKey::new(EntityKind::Case, "1"));
        assert!(tree.is_empty() && tree.run(EntityKind::Case).is_none());
    }
}
