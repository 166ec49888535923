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
    /// Where its group of members came to when links joined them, the strongest first: the place of
    /// another member, and the confidence of that link, which is none weaker than the next one from
    /// there. None for the member that all others came to.
    pub joined: Option<(usize, Micros)>,
    /// What hangs below it.
    pub tree: Arc<PartyTree>,
}

impl Member {
    /// Whether both are the same record, held by the same links.
    #[must_use]
    pub fn is_same_link(&self, other: &Member) -> bool {
        self.key == other.key && self.confidence == other.confidence && self.joined == other.joined
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

/// A record of another customer that a record of this one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The record, which is alive.
    pub record: Arc<Entity>,
    /// The party record that it hangs below, which is no member.
    pub party: EntityKey,
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
    /// Orders of other customers that its invoices name, in key order.
    pub elsewhere: Vec<Elsewhere>,
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

    /// Confidence of the weakest link that is needed to get from the member that one entity hangs below
    /// to that of another: 1,000,000 within one member, 0 if one of them is not the customer's.
    #[must_use]
    pub fn link_confidence(&self, left: &EntityKey, right: &EntityKey) -> Micros {
        let place = |key| self.members.iter().position(|member| member.tree.get(key).is_some());
        let (Some(mut a), Some(mut b)) = (place(left), place(right)) else { return 0 };
        let mut weakest = 1_000_000;
        // Whichever way on is the stronger was taken earlier: the last one joins the two.
        while a != b {
            let next = match (self.members[a].joined, self.members[b].joined) {
                (Some(one), Some(other)) if one.1 < other.1 => (&mut b, other),
                (Some(one), Some(_) | None) => (&mut a, one),
                (None, Some(other)) => (&mut b, other),
                (None, None) => return 0,
            };
            (*next.0, weakest) = next.1;
        }
        weakest
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

#[cfg(test)]
mod tests {
    use ontology::{Fact, Fields, Millis, Op, Version};

    use super::*;

    fn member(key: EntityKey, confidence: Micros, joined: Option<(usize, Micros)>) -> Member {
        let image = Fact {
            event_id: "e".into(),
            system: System::Salesforce,
            object: "party".into(),
            record_id: key.id.clone(),
            entity: key.clone(),
            op: Op::Image,
            version: Version::new(1, 0, 0),
            changed_at: Millis(0),
            observed_at: Millis(0),
            ingested_at: Millis(0),
            log_pos: LogPos(1),
            contract_version: 1,
            mapping_version: 1,
            read_at: None,
            key_slot: 0,
            fields: Fields::default(),
        };
        let mut tree = PartyTree::default();
        tree.put(Arc::new(Entity::named(key.clone()).apply(&image).expect("a first fact makes a row")));
        Member { key, confidence, joined, tree: Arc::new(tree) }
    }

    /// A - 0.99 - B - 0.97 - C - 0.98 - D, and E, which nothing links.
    #[test]
    fn a_link_is_as_sure_as_the_weakest_on_the_way() {
        let [a, b, c, d, e] = ["A", "B", "C", "D", "E"].map(|id| EntityKey::new(EntityKind::Account, id));
        let composite = Composite {
            id: CustomerId::of_member(&a),
            members: vec![
                member(a.clone(), 990_000, None),
                member(b.clone(), 990_000, Some((0, 990_000))),
                member(c.clone(), 980_000, Some((0, 970_000))),
                member(d.clone(), 980_000, Some((2, 980_000))),
                member(e.clone(), 1_000_000, None),
            ],
            possible: Vec::new(),
            elsewhere: Vec::new(),
            freshness: Freshness::default(),
            log_pos: LogPos(1),
        };
        let told = |left: &EntityKey, right: &EntityKey| {
            let there = composite.link_confidence(left, right);
            assert_eq!(there, composite.link_confidence(right, left));
            there
        };
        assert_eq!(told(&a, &a), 1_000_000);
        assert_eq!(told(&a, &b), 990_000);
        assert_eq!(told(&c, &d), 980_000);
        assert_eq!([told(&a, &c), told(&a, &d), told(&b, &d)], [970_000; 3], "both ends have stronger links");
        assert_eq!(told(&a, &e), 0);
        assert_eq!(told(&a, &EntityKey::new(EntityKind::Account, "F")), 0);
    }
}
