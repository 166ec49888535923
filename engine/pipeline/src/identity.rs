//! Identity stage: party records only. Membership is all that it changes.

use std::sync::Arc;

use hashbrown::HashMap;
use insight::findings::blocked_fields;
use ontology::entity::Judgement as JudgementFields;
use ontology::{CustomerId, EntityKey, PartyRecord};
use resolver::{Candidate, ClusterChange, Explanation, Judgement, Member, Model, Resolver};
use state::{Entity, Possible};

use crate::effects::MembershipEvent;
use crate::review::Pair;

/// Ids of records that are only asked about begin with this, so that none of a source is meant.
const QUESTION: &str = "?";

/// The identity stage.
pub struct Identity {
    resolver: Resolver,
    /// The customer of every party record that something is known about or hangs below.
    customers: HashMap<EntityKey, CustomerId>,
    /// Last members of customers that are no more.
    former: HashMap<CustomerId, Vec<EntityKey>>,
}

/// What the identity stage changed.
#[derive(Debug, Default)]
pub struct Regrouped {
    /// Customers to look at again, each by one of its records.
    pub touched: Vec<EntityKey>,
    /// Customers that are no more, in order.
    pub retired: Vec<CustomerId>,
    /// Records that belong to another customer now.
    pub memberships: Vec<(EntityKey, CustomerId)>,
    /// Merges and splits.
    pub events: Vec<MembershipEvent>,
    /// Pairs that came into review or left it, in order, with whether they wait for a person now.
    pub reviews: Vec<(Pair, bool)>,
}

impl Identity {
    /// Starts without records.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Identity { resolver: Resolver::new(model), customers: HashMap::new(), former: HashMap::new() }
    }

    /// Takes changed party records and judgements, and regroups the components that they touch.
    pub fn step(&mut self, parties: &[Arc<Entity>], judgements: &[Arc<Entity>]) -> Regrouped {
        for party in parties {
            if party.is_alive() {
                let mut record = PartyRecord::read(&party.key, &**party);
                record.blocked = blocked_fields(party);
                self.resolver.upsert(record);
            } else {
                self.resolver.remove(&party.key);
            }
        }
        for entity in judgements {
            match said(entity) {
                Some((left, right, judgement)) => self.resolver.judge(left, right, judgement),
                None => self.resolver.withdraw(&entity.key.id),
            }
        }
        let changes = self.resolver.drain();
        let reviews = self.resolver.take_review_news();
        let reviews = reviews.into_iter().map(|(left, right, waits)| ((left, right), waits)).collect();
        Regrouped { reviews, ..self.regroup(changes) }
    }

    /// The customer of a party record, which may not have arrived yet.
    pub fn customer_of(&mut self, party: &EntityKey) -> CustomerId {
        if let Some(known) = self.customers.get(party) {
            return known.clone();
        }
        let customer = self.resolver.customer_of(party);
        self.customers.insert(party.clone(), customer.clone());
        customer
    }

    /// The customer of a party record, if anything is known about it.
    #[must_use]
    pub fn known_customer_of(&self, party: &EntityKey) -> Option<&CustomerId> {
        self.customers.get(party)
    }

    /// Members of the customer of a party record, with what holds each.
    #[must_use]
    pub fn members(&self, party: &EntityKey) -> Vec<Member> {
        let alone = || vec![Member { key: party.clone(), strongest: None, joined: None }];
        self.resolver.members_with(party).unwrap_or_else(alone)
    }

    /// Records in review against one of `members`.
    #[must_use]
    pub fn possible(&self, members: &[Member]) -> Vec<Possible> {
        let mut possible: Vec<Possible> = Vec::new();
        for Member { key: member, .. } in members {
            let others = self.resolver.in_review_against(member);
            for (key, confidence) in others.filter(|(key, _)| !members.iter().any(|known| known.key == **key)) {
                possible.push(Possible { key: key.clone(), member: member.clone(), confidence: confidence.0 });
            }
        }
        possible.sort_by(|a, b| (&a.key, &a.member).cmp(&(&b.key, &b.member)));
        possible
    }

    /// Compares a described party with all records: those that it may be, best first, each on
    /// the right of its explanation. The records and their customers stay as they are.
    pub fn search(&mut self, mut party: PartyRecord, limit: usize) -> Vec<Explanation> {
        party.key = EntityKey::new(party.key.kind, format!("{QUESTION}{}", party.key.id));
        party.is_described = true;
        let key = party.key.clone();
        self.resolver.upsert(party);
        self.resolver.drain();
        let mut candidates = self.resolver.candidates_of(&key);
        candidates.sort_by(|a, b| b.confidence.cmp(&a.confidence).then_with(|| a.other.cmp(&b.other)));
        let explain =
            |candidate: &Candidate| self.resolver.explain(&key, &candidate.other).map(|found| found.seen_from(&key));
        let found = candidates.iter().take(limit).filter_map(explain).collect();
        self.resolver.remove(&key);
        self.resolver.drain();
        // Whatever came into review by the question has left it again.
        self.resolver.take_review_news();
        found
    }

    /// The resolver, to ask and to explain.
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Last members of a customer that is no more.
    #[must_use]
    pub fn former_members(&self, customer: &CustomerId) -> Option<&[EntityKey]> {
        self.former.get(customer).map(Vec::as_slice)
    }

    fn regroup(&mut self, changes: Vec<ClusterChange>) -> Regrouped {
        let mut out = Regrouped::default();
        for change in changes {
            let mut after: Vec<CustomerId> = change.after.iter().map(|cluster| cluster.id.clone()).collect();
            let before: Vec<CustomerId> = change.before.iter().map(|cluster| cluster.id.clone()).collect();
            if before != after {
                out.events.extend(membership_events(&change));
            }
            let deleted = deleted_members(&change);
            after.extend(deleted.iter().map(CustomerId::of_member));
            for cluster in &change.before {
                self.former.insert(cluster.id.clone(), cluster.members.clone());
            }
            for cluster in &change.after {
                for member in &cluster.members {
                    self.move_to(member, cluster.id.clone(), &after, &mut out);
                }
                out.touched.extend(cluster.members.first().cloned());
            }
            for member in deleted {
                self.move_to(&member, CustomerId::of_member(&member), &after, &mut out);
                out.touched.push(member);
            }
        }
        out.retired.sort_unstable();
        out.retired.dedup();
        out
    }

    /// Notes the customer of a record; the one that it was in before is no more unless it is among
    /// those that there are `after` the change.
    fn move_to(&mut self, member: &EntityKey, id: CustomerId, after: &[CustomerId], out: &mut Regrouped) {
        let known = self.customers.insert(member.clone(), id.clone());
        if known.as_ref() == Some(&id) {
            return;
        }
        out.retired.extend(known.filter(|known| !after.contains(known)));
        out.memberships.push((member.clone(), id));
    }
}

/// What the record of a person's decision says of which pair; none if it is deleted, or does not say.
fn said(entity: &Entity) -> Option<(EntityKey, EntityKey, Judgement)> {
    if !entity.is_alive() {
        return None;
    }
    let fields = JudgementFields::read(entity);
    let judgement = Judgement {
        record: entity.key.id.clone(),
        verdict: fields.verdict.known()?,
        actor: fields.actor.unwrap_or_default().into(),
        reason: fields.reason.unwrap_or_default().into(),
        decided_at: fields.decided_at?,
    };
    Some((EntityKey::parse(fields.left_ref?)?, EntityKey::parse(fields.right_ref?)?, judgement))
}

/// The other customers among those that members of `own` belong to; none if all belong to one.
#[must_use]
pub fn went_to(own: &CustomerId, customers: impl Iterator<Item = CustomerId>) -> Vec<CustomerId> {
    let mut customers: Vec<CustomerId> = customers.collect();
    customers.sort_unstable();
    customers.dedup();
    if customers.len() < 2 {
        return Vec::new();
    }
    customers.retain(|customer| customer != own);
    customers
}

/// Records that were in a customer and are in none now, because they were deleted: each is a
/// customer of one, which holds what still hangs below it.
fn deleted_members(change: &ClusterChange) -> Vec<EntityKey> {
    let is_left = |member: &&EntityKey| !change.after.iter().any(|after| after.members.contains(member));
    change.before.iter().flat_map(|before| &before.members).filter(is_left).cloned().collect()
}

/// Merges and splits of one component, told by where the members went.
fn membership_events(change: &ClusterChange) -> Vec<MembershipEvent> {
    let mut events = Vec::new();
    for after in &change.after {
        let came_from: Vec<CustomerId> = change
            .before
            .iter()
            .filter(|before| before.members.iter().any(|member| after.members.contains(member)))
            .map(|before| before.id.clone())
            .collect();
        if came_from.len() > 1 {
            events.push(MembershipEvent::Merged { before: came_from, after: after.id.clone() });
        }
    }
    for before in &change.before {
        let went_to: Vec<CustomerId> = change
            .after
            .iter()
            .filter(|after| after.members.iter().any(|member| before.members.contains(member)))
            .map(|after| after.id.clone())
            .collect();
        if went_to.len() > 1 {
            events.push(MembershipEvent::Split { before: before.id.clone(), after: went_to });
        }
    }
    events
}
