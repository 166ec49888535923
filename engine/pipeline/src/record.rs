//! Record stage, keyed by record: version gate, parents, and the trees below party records.
//!
//! A shard owns the entities and the party trees whose keys hash to it. An entity's root is a
//! function of the parents that it names and of their roots; shards tell each other about roots by
//! messages, in rounds, until there is nothing left to say. What concerns a tree of the same shard is
//! done on the spot.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use ontology::{EntityKey, EntityKind, Evidence, Fact, Field, Op, System};
use smallvec::SmallVec;
use state::parents::parents_of;
use state::{Entity, PartyTree};

use crate::effects::Applied;
use crate::sources::Unapplied;
use crate::together::{FETCHED_MAX, together};
use crate::trees::Trees;

/// What one shard has to do in one round.
#[derive(Debug, Default)]
pub struct Work {
    /// Facts about entities of this shard, in log order.
    pub facts: Vec<Fact>,
    /// What the round before said to this shard.
    pub messages: Vec<Message>,
}

impl Work {
    /// How many things there are to do.
    #[must_use]
    pub fn len(&self) -> usize {
        self.facts.len() + self.messages.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What one shard tells another.
#[derive(Debug)]
pub enum Message {
    /// `child` names `parent`, which is of this shard, as a parent.
    Attach {
        /// Entity of this shard.
        parent: EntityKey,
        /// The one that hangs below it.
        child: EntityKey,
    },
    /// `child` no longer does.
    Detach {
        /// Entity of this shard.
        parent: EntityKey,
        /// The one that hung below it.
        child: EntityKey,
    },
    /// The root of a parent of `child`, which is of this shard.
    Root {
        /// Entity of this shard.
        child: EntityKey,
        /// Its parent.
        parent: EntityKey,
        /// The party record that the parent leads to, if any.
        root: Option<EntityKey>,
    },
    /// Put an entity into the tree of a party record of this shard.
    Put {
        /// Party record of this shard.
        party: EntityKey,
        /// The entity.
        entity: Arc<Entity>,
    },
    /// Take an entity out of it.
    Take {
        /// Party record of this shard.
        party: EntityKey,
        /// The entity.
        key: EntityKey,
    },
}

impl Message {
    /// The key that decides which shard the message is for.
    #[must_use]
    pub fn key(&self) -> &EntityKey {
        match self {
            Message::Attach { parent, .. } | Message::Detach { parent, .. } => parent,
            Message::Root { child, .. } => child,
            Message::Put { party, .. } | Message::Take { party, .. } => party,
        }
    }
}

/// What one round of a shard gives.
#[derive(Debug, Default)]
pub struct Touched {
    /// For other shards, or this one, in the next round.
    pub messages: Vec<Message>,
    /// Party records whose trees changed; may hold repeats.
    pub parties: Vec<EntityKey>,
    /// Party records that changed themselves.
    pub party_records: Vec<Arc<Entity>>,
    /// Changed entities that hang below no party: judgements, decisions, rates, directory.
    pub side: Vec<Arc<Entity>>,
    /// Entities whose known, unapplied change began or ended, with the change if it is still unapplied.
    pub gaps: Vec<(EntityKey, Option<Unapplied>)>,
    /// Entities whose root changed, with the new one.
    pub roots: Vec<(EntityKey, Option<EntityKey>)>,
    /// Facts that changed something.
    pub applied: Vec<Applied>,
    /// Facts that changed nothing.
    pub unchanged: u64,
}

impl Touched {
    /// Takes over everything of another round.
    pub fn append(&mut self, other: Touched) {
        let Touched { messages, parties, party_records, side, gaps, roots, applied, unchanged } = other;
        take_over(&mut self.messages, messages);
        take_over(&mut self.parties, parties);
        take_over(&mut self.party_records, party_records);
        take_over(&mut self.side, side);
        take_over(&mut self.gaps, gaps);
        take_over(&mut self.roots, roots);
        take_over(&mut self.applied, applied);
        self.unchanged += unchanged;
    }
}

/// Adds all of `more`. The lists of a cut are long, and most go into an empty one: then nothing is copied.
pub(crate) fn take_over<T>(all: &mut Vec<T>, more: Vec<T>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.extend(more);
    }
}

/// What an entity needs to know about its neighbours, kept only where it cannot be read off its
/// own fields.
#[derive(Debug, Default)]
struct Links {
    /// Named parents that are no party records, with the root that each leads to.
    parents: SmallVec<[(EntityKey, Option<EntityKey>); 2]>,
    children: Vec<EntityKey>,
}

#[derive(Debug)]
struct Slot {
    entity: Arc<Entity>,
    links: Option<Box<Links>>,
}

impl Slot {
    fn named(key: &EntityKey) -> Self {
        Slot { entity: Arc::new(Entity::named(key.clone())), links: None }
    }

    /// The party record that the entity leads to.
    fn root(&self) -> Option<EntityKey> {
        let key = &self.entity.key;
        if key.kind.is_party() {
            return Some(key.clone());
        }
        self.root_of(&parents_of(key.kind, &*self.entity)).cloned()
    }

    /// The party record that the first of these parents leads to that has one.
    fn root_of<'a>(&'a self, parents: &'a [EntityKey]) -> Option<&'a EntityKey> {
        parents.iter().find_map(|parent| {
            if parent.kind.is_party() {
                return Some(parent);
            }
            let links = self.links.as_ref()?;
            links.parents.iter().find(|(known, _)| known == parent)?.1.as_ref()
        })
    }

    fn children(&self) -> &[EntityKey] {
        self.links.as_ref().map_or(&[], |links| &links.children)
    }
}

/// One shard of the record stage.
#[derive(Debug)]
pub struct RecordShard {
    slots: HashMap<EntityKey, Slot>,
    trees: Trees,
    gaps: HashSet<EntityKey>,
    dirty: Vec<EntityKey>,
}

impl RecordShard {
    /// The shard at `place` of `shards`, without content.
    #[must_use]
    pub fn new(place: usize, shards: usize) -> Self {
        RecordShard { slots: HashMap::new(), trees: Trees::new(place, shards), gaps: HashSet::new(), dirty: Vec::new() }
    }

    /// Works through one round.
    pub fn step(&mut self, work: Work) -> Touched {
        let mut touched = Touched::default();
        // Most facts change something.
        touched.applied.reserve(work.facts.len());
        touched.parties.reserve(work.facts.len());
        self.dirty.reserve(work.facts.len());
        for facts in work.facts.chunks(FETCHED_MAX) {
            self.fetch(facts);
            for fact in facts {
                self.apply(fact, &mut touched);
            }
            self.trees.settle(&mut touched);
        }
        for message in work.messages {
            match message {
                Message::Attach { parent, child } => self.attach(parent, child, &mut touched),
                Message::Detach { parent, child } => self.detach(&parent, &child),
                Message::Root { child, parent, root } => self.reroot(&child, &parent, root, &mut touched),
                Message::Put { party, entity } => self.trees.put(party, entity, &mut touched),
                Message::Take { party, key } => self.trees.take(party, &key, &mut touched),
            }
        }
        self.trees.settle(&mut touched);
        touched
    }

    /// Reads what applying facts will read, each step for all of them.
    fn fetch(&self, facts: &[Fact]) {
        let mut known: SmallVec<[&Slot; FETCHED_MAX]> = SmallVec::new();
        known.extend(facts.iter().filter_map(|fact| self.slots.get(&fact.entity)));
        together(known.iter().map(|slot| slot.entity.rows().len()));
        together(known.iter().map(|slot| slot.entity.touch()));
    }

    /// The tree below a party record.
    #[must_use]
    pub fn tree(&self, party: &EntityKey) -> Option<&Arc<PartyTree>> {
        self.trees.get(party)
    }

    /// The party records that something hangs below, in no order.
    pub fn parties(&self) -> impl Iterator<Item = &EntityKey> {
        self.trees.parties()
    }

    /// An entity.
    #[must_use]
    pub fn entity(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.slots.get(key).map(|slot| &slot.entity)
    }

    /// The party record that an entity hangs below.
    #[must_use]
    pub fn root(&self, key: &EntityKey) -> Option<EntityKey> {
        self.slots.get(key).and_then(Slot::root)
    }

    /// How many entities have content.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.values().filter(|slot| !slot.entity.rows().is_empty()).count()
    }

    /// Whether nothing has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All entities with content, in no order.
    pub fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.slots.values().map(|slot| &slot.entity).filter(|entity| !entity.rows().is_empty())
    }

    /// Entities changed since the last call, each once, in key order.
    pub fn take_dirty(&mut self) -> Vec<Arc<Entity>> {
        let mut keys = std::mem::take(&mut self.dirty);
        keys.sort_unstable();
        keys.dedup();
        keys.iter().filter_map(|key| self.slots.get(key)).map(|slot| slot.entity.clone()).collect()
    }

    /// Takes an entity that was stored by an earlier run.
    pub fn restore(&mut self, entity: Entity) -> Touched {
        let mut touched = Touched::default();
        if let (Some(_), Some(row)) = (entity.open_gap(), entity.rows().first()) {
            self.note_gap(&entity, row.key().system, &mut touched);
        }
        let slot = self.slots.entry_ref(&entity.key).or_insert_with(|| Slot::named(&entity.key));
        place(slot, Arc::new(entity), &mut self.trees, &mut touched);
        self.trees.settle(&mut touched);
        touched
    }

    fn apply(&mut self, fact: &Fact, touched: &mut Touched) {
        let slot = self.slots.entry_ref(&fact.entity).or_insert_with(|| Slot::named(&fact.entity));
        let Some(entity) = slot.entity.apply(fact) else {
            touched.unchanged += 1;
            return;
        };
        self.dirty.push(fact.entity.clone());
        touched.applied.push(Applied {
            system: fact.system,
            entity: fact.entity.clone(),
            event_id: fact.event_id.clone(),
            event_time: fact.event_time(),
            read_at: fact.read_at,
        });
        let entity = Arc::new(entity);
        place(slot, entity.clone(), &mut self.trees, touched);
        if fact.op == Op::Gap || self.gaps.contains(&fact.entity) {
            self.note_gap(&entity, fact.system, touched);
        }
    }

    fn note_gap(&mut self, entity: &Entity, system: System, touched: &mut Touched) {
        let gap = entity.open_gap().map(|gap| Unapplied {
            system,
            since: gap.event_time,
            evidence: Evidence {
                entity: entity.key.clone(),
                field: Field::At,
                value: insight::values::instant(gap.event_time),
                version: gap.stamp.version,
                event_id: gap.event_id,
                log_pos: gap.log_pos,
            },
        });
        if gap.is_some() {
            self.gaps.insert(entity.key.clone());
        } else {
            self.gaps.remove(&entity.key);
        }
        touched.gaps.push((entity.key.clone(), gap));
    }

    fn attach(&mut self, parent: EntityKey, child: EntityKey, touched: &mut Touched) {
        let slot = self.slots.entry_ref(&parent).or_insert_with(|| Slot::named(&parent));
        let root = slot.root();
        let links = slot.links.get_or_insert_default();
        if let Err(place) = links.children.binary_search(&child) {
            links.children.insert(place, child.clone());
        }
        touched.messages.push(Message::Root { child, parent, root });
    }

    fn detach(&mut self, parent: &EntityKey, child: &EntityKey) {
        let Some(links) = self.slots.get_mut(parent).and_then(|slot| slot.links.as_mut()) else { return };
        if let Ok(place) = links.children.binary_search(child) {
            links.children.remove(place);
        }
    }

    fn reroot(&mut self, child: &EntityKey, parent: &EntityKey, root: Option<EntityKey>, touched: &mut Touched) {
        let Some(slot) = self.slots.get_mut(child) else { return };
        let old_root = slot.root();
        let Some(links) = slot.links.as_mut() else { return };
        let Some(known) = links.parents.iter_mut().find(|(known, _)| known == parent) else { return };
        known.1 = root;
        let new_root = slot.root();
        if old_root != new_root {
            move_to(slot, old_root, new_root.clone(), &mut self.trees, touched);
            if let Some(party) = new_root {
                self.trees.put(party, slot.entity.clone(), touched);
            }
        }
    }
}

/// Puts the new state of an entity in place and tells whom it concerns.
fn place(slot: &mut Slot, entity: Arc<Entity>, trees: &mut Trees, touched: &mut Touched) {
    let key = &entity.key;
    if is_side(key.kind) {
        slot.entity = entity.clone();
        touched.side.push(entity);
        return;
    }
    if key.kind.is_party() {
        if slot.entity.rows().is_empty() {
            touched.roots.push((key.clone(), Some(key.clone())));
        }
        slot.entity = entity.clone();
        touched.party_records.push(entity.clone());
        trees.put(key.clone(), entity, touched);
        return;
    }
    let old_parents = parents_of(key.kind, &*slot.entity);
    let new_parents = parents_of(key.kind, &*entity);
    slot.entity = entity.clone();
    if old_parents == new_parents {
        if let Some(party) = slot.root_of(&new_parents).cloned() {
            trees.put(party, entity, touched);
        }
        return;
    }
    let old_root = slot.root_of(&old_parents).cloned();
    relink(slot, &old_parents, &new_parents, touched);
    let new_root = slot.root_of(&new_parents).cloned();
    if old_root != new_root {
        move_to(slot, old_root, new_root.clone(), trees, touched);
    }
    if let Some(party) = new_root {
        trees.put(party, entity, touched);
    }
}

/// Kinds that hang below no party record.
fn is_side(kind: EntityKind) -> bool {
    !kind.is_party() && state::parents::parent_fields(kind).is_empty()
}

/// Registers an entity with the parents that it newly names and signs it off from the others.
fn relink(slot: &mut Slot, old: &[EntityKey], new: &[EntityKey], touched: &mut Touched) {
    let child = slot.entity.key.clone();
    for parent in old.iter().filter(|parent| !parent.kind.is_party() && !new.contains(parent)) {
        if let Some(links) = slot.links.as_mut() {
            links.parents.retain(|(known, _)| known != parent);
        }
        touched.messages.push(Message::Detach { parent: parent.clone(), child: child.clone() });
    }
    for parent in new.iter().filter(|parent| !parent.kind.is_party() && !old.contains(parent)) {
        let links = slot.links.get_or_insert_default();
        if !links.parents.iter().any(|(known, _)| known == parent) {
            links.parents.push((parent.clone(), None));
        }
        touched.messages.push(Message::Attach { parent: parent.clone(), child: child.clone() });
    }
}

/// Takes an entity out of the tree where it hung and tells its children where they now hang.
fn move_to(
    slot: &Slot,
    old_root: Option<EntityKey>,
    new_root: Option<EntityKey>,
    trees: &mut Trees,
    touched: &mut Touched,
) {
    let key = &slot.entity.key;
    for child in slot.children() {
        touched.messages.push(Message::Root { child: child.clone(), parent: key.clone(), root: new_root.clone() });
    }
    touched.roots.push((key.clone(), new_root));
    if let Some(party) = old_root {
        trees.take(party, key, touched);
    }
}
