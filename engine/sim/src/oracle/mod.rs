//! The oracle: a slow, single-threaded fold of all facts, obvious at every step. It keeps nothing
//! but the facts, so order, repeats, restarts and shards cannot mean anything to it.

pub mod course;
pub mod customers;
pub mod pairs;
pub mod record;
pub mod row;
pub mod side;
pub mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use insight::findings::blocked_fields;
use insight::{Context, Reference, Settings, evaluate};
use ontology::canonical::{CanonicalDigest, Json};
use ontology::{CustomerId, EntityKey, EntityKind, Fact, LogPos, Millis, PartyRecord};
use resolver::Model;
use state::{Composite, Elsewhere, Freshness, Member, PartyTree};

use customers::{Membership, customers};
use record::{Record, records, root_of};
use stored::entity_of;

/// All facts that were ever taken, and nothing else.
#[derive(Debug)]
pub struct Oracle {
    facts: Vec<Fact>,
    settings: Settings,
    model: Model,
}

/// Everything that an answer is put together from.
struct Picture<'a> {
    records: BTreeMap<EntityKey, Record<'a>>,
    roots: BTreeMap<EntityKey, Vec<EntityKey>>,
    memberships: Vec<Membership>,
    reference: Reference,
    freshness: Freshness,
}

impl Oracle {
    /// An oracle that has been told `facts`, in any order.
    #[must_use]
    pub fn of(facts: Vec<Fact>, settings: Settings, model: Model) -> Self {
        Oracle { facts, settings, model }
    }

    /// Digest of all customers at `now`, in order of id.
    #[must_use]
    pub fn digest(&self, now: Millis) -> String {
        let mut digest = CanonicalDigest::default();
        self.canonical(now).values().for_each(|customer| digest.add(customer));
        digest.finish()
    }

    /// Canonical JSON of all customers at `now`, by id.
    #[must_use]
    pub fn canonical(&self, now: Millis) -> BTreeMap<CustomerId, Json> {
        let picture = self.picture();
        let mut all = BTreeMap::new();
        for membership in &picture.memberships {
            let composite = self.composite(&picture, membership);
            let context = Context::without_memory(&self.settings, &picture.reference, now);
            let derived = evaluate(&composite, &context).canonical(&composite);
            let customer = Json::object([("state", canonical_state(&picture, membership)), ("derived", derived)]);
            all.insert(membership.id.clone(), customer);
        }
        all
    }

    fn picture(&self) -> Picture<'_> {
        let records = records(&self.facts);
        let mut roots: BTreeMap<EntityKey, Vec<EntityKey>> = BTreeMap::new();
        for key in records.keys() {
            if let Some(root) = root_of(&records, key) {
                roots.entry(root).or_default().push(key.clone());
            }
        }
        let memberships = self.memberships(&records, roots.keys());
        let (reference, freshness) = (side::reference(&records), side::freshness(&self.facts, &records));
        Picture { records, roots, memberships, reference, freshness }
    }

    /// The customers of living party records; one that is deleted, or only named by what hangs
    /// below it, is a customer of one.
    fn memberships<'k>(
        &self,
        records: &BTreeMap<EntityKey, Record<'_>>,
        named: impl Iterator<Item = &'k EntityKey>,
    ) -> Vec<Membership> {
        let living = records.values().filter(|record| record.key.kind.is_party() && record.is_alive());
        let parties: Vec<PartyRecord> = living
            .map(|record| {
                let mut party = PartyRecord::read(&record.key, record);
                party.blocked = blocked_fields(&entity_of(&record.key, &record.rows));
                party
            })
            .collect();
        let mut memberships = customers(&parties, &pairs::verdicts(records), &self.model);
        let members: BTreeSet<EntityKey> = parties.into_iter().map(|party| party.key).collect();
        for party in named.filter(|party| !members.contains(*party)) {
            let (id, members) = (CustomerId::of_member(party), vec![(party.clone(), 1_000_000)]);
            memberships.push(Membership { id, members, joined: vec![None], possible: Vec::new() });
        }
        memberships
    }

    fn composite(&self, picture: &Picture<'_>, membership: &Membership) -> Composite {
        let member = |(place, (key, confidence)): (usize, &(EntityKey, u32))| {
            let mut tree = PartyTree::default();
            for below in picture.roots.get(key).into_iter().flatten() {
                let record = &picture.records[below];
                tree.put(Arc::new(entity_of(&record.key, &record.rows)));
            }
            let joined = membership.joined[place];
            Member { key: key.clone(), confidence: *confidence, joined, tree: Arc::new(tree) }
        };
        Composite {
            id: membership.id.clone(),
            members: membership.members.iter().enumerate().map(member).collect(),
            possible: membership.possible.clone(),
            elsewhere: elsewhere(picture, membership),
            freshness: picture.freshness,
            log_pos: self.facts.iter().map(|fact| fact.log_pos).max().unwrap_or(LogPos(0)),
        }
    }
}

/// The orders of all other customers: the rules look at those that an invoice names.
fn elsewhere(picture: &Picture<'_>, membership: &Membership) -> Vec<Elsewhere> {
    let is_own = |party: &EntityKey| membership.members.iter().any(|(member, _)| member == party);
    let others = picture.roots.iter().filter(|(party, _)| !is_own(party));
    let orders = others.flat_map(|(party, below)| below.iter().map(move |key| (party, key)));
    let orders = orders.filter(|(_, key)| key.kind == EntityKind::ServiceOrder && picture.records[key].is_alive());
    let mut all: Vec<Elsewhere> = orders
        .map(|(party, key)| Elsewhere {
            record: Arc::new(entity_of(key, &picture.records[key].rows)),
            party: party.clone(),
        })
        .collect();
    all.sort_by(|a, b| a.record.key.cmp(&b.record.key));
    all
}

fn canonical_state(picture: &Picture<'_>, membership: &Membership) -> Json {
    let members = membership.members.iter().map(|(key, confidence)| {
        Json::object([("key", Json::text(key.to_string())), ("confidence", Json::Int(i64::from(*confidence)))])
    });
    let possible = membership.possible.iter().map(|possible| {
        Json::object([
            ("key", Json::text(possible.key.to_string())),
            ("member", Json::text(possible.member.to_string())),
            ("confidence", Json::Int(i64::from(possible.confidence))),
        ])
    });
    let below = membership.members.iter().flat_map(|(key, _)| picture.roots.get(key).into_iter().flatten());
    let entities = below.map(|key| (key.to_string(), picture.records[key].canonical()));
    Json::object([
        ("id", Json::text(&membership.id.0)),
        ("members", Json::array(members)),
        ("possible", Json::array(possible)),
        ("entities", Json::object(entities)),
    ])
}
