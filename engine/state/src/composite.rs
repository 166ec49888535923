//! The composite state of one customer: its members' trees side by side, as evaluation and reads
//! see them at one position.

use std::sync::Arc;

use ontology::{CustomerId, EntityKey, EntityKind, LogPos, System};

use crate::entity::Entity;
use crate::freshness::Freshness;
use crate::tree::PartyTree;

/// Millionths: confidence 1 is 1,000,000.
pub type Micros = u32;

/// One party record of a customer.
#[derive(Debug, Clone)]
pub struct Member {
    /// The record.
    pub key: EntityKey,
    /// Confidence of the strongest accepted link that holds it in the customer; 1,000,000 for a
    /// customer of one.
    pub confidence: Micros,
    /// What hangs below it.
    pub tree: Arc<PartyTree>,
}

impl Member {
    /// Whether both are the same record, held by the same link.
    #[must_use]
    pub fn is_same_link(&self, other: &Member) -> bool {
        self.key == other.key && self.confidence == other.confidence
    }
}

/// A party record that may belong to the customer but is not linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Possible {
    /// The record.
    pub key: EntityKey,
    /// The member that it may be the same as.
    pub member: EntityKey,
    /// Confidence.
    pub confidence: Micros,
}

/// One customer with everything that its records say.
#[derive(Debug, Clone)]
pub struct Composite {
    /// The customer.
    pub id: CustomerId,
    /// Its party records, in survivorship order.
    pub members: Vec<Member>,
    /// Records in review against a member, in key order.
    pub possible: Vec<Possible>,
    /// What is known about the sources.
    pub freshness: Freshness,
    /// Position that all of this reflects.
    pub log_pos: LogPos,
}

impl Composite {
    /// All living entities of one kind, member by member, in the order of their ids.
    pub fn of_kind(&self, kind: EntityKind) -> impl Iterator<Item = &Arc<Entity>> {
        self.members.iter().flat_map(move |member| member.tree.of_kind(kind)).filter(|entity| entity.is_alive())
    }

    /// All entities, dead ones too.
    pub fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.members.iter().flat_map(|member| member.tree.entities())
    }

    /// The living entity with this key.
    #[must_use]
    pub fn get(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.members.iter().find_map(|member| member.tree.get(key)).filter(|entity| entity.is_alive())
    }

    /// The member whose tree an entity hangs in.
    #[must_use]
    pub fn member_of(&self, key: &EntityKey) -> Option<&Member> {
        self.members.iter().find(|member| member.tree.get(key).is_some())
    }

    /// Confidence of the weakest link between the members that two entities hang below: 1,000,000
    /// within one member.
    #[must_use]
    pub fn link_confidence(&self, left: &EntityKey, right: &EntityKey) -> Micros {
        match (self.member_of(left), self.member_of(right)) {
            (Some(a), Some(b)) if a.key == b.key => 1_000_000,
            (Some(a), Some(b)) => a.confidence.min(b.confidence),
            (None, _) | (_, None) => 0,
        }
    }

    /// Whether some member is a record of `system`.
    #[must_use]
    pub fn has_member_of(&self, system: System) -> bool {
        self.members.iter().any(|member| member.key.kind.party_system() == Some(system))
    }

    /// Whether some record of `system` is in review against a member.
    #[must_use]
    pub fn has_possible_of(&self, system: System) -> bool {
        self.possible.iter().any(|possible| possible.key.kind.party_system() == Some(system))
    }
}
