//! A small world for tests: facts in, one customer out.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use ontology::status::{
    CaseStatus, Channel, DisputeStatus, InteractionStatus, InvoiceStatus, ServiceOrderStatus, ServiceOrderType,
};
use ontology::{
    CustomerId, EntityKey, EntityKind, Fact, Field, FieldsBuilder, LogPos, Millis, Op, System, ValueRef, Version,
    Vocabulary,
};
use state::composite::Possible;
use state::parents::parents_of;
use state::{Composite, Elsewhere, Entity, Freshness, Member, PartyTree};

use super::{Assessment, HandoffAction, TransferMemory, advance, assess};
use crate::context::{Context, Reference, Settings};
use crate::derived::Derived;
use crate::evaluate;

/// The instant that the worked examples are told at.
pub const T: &str = "2026-03-10T15:00:00Z";

pub fn at(text: &str) -> Millis {
    Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

pub fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text)
}

pub fn word<V: Vocabulary>(word: V) -> ValueRef<'static> {
    ValueRef::Code(word.code())
}

pub fn time(text: &str) -> ValueRef<'static> {
    ValueRef::Time(at(text))
}

/// An amount in hundredths.
pub fn cents(minor: i64) -> ValueRef<'static> {
    ValueRef::Decimal { mantissa: minor, scale: 2 }
}

/// One customer, its transfers and everything that decides about them.
pub struct World {
    pub entities: BTreeMap<EntityKey, Entity>,
    /// Party records of the customer, in survivorship order.
    pub members: Vec<EntityKey>,
    pub possible: Vec<Possible>,
    pub freshness: Freshness,
    pub settings: Settings,
    pub reference: Reference,
    pub now: Millis,
    facts: u64,
}

impl World {
    /// A customer with one party record in each system, all sources fresh, and nothing else.
    pub fn empty() -> Self {
        let mut world = World {
            entities: BTreeMap::new(),
            members: Vec::new(),
            possible: Vec::new(),
            freshness: Freshness::default(),
            settings: Settings::default(),
            reference: Reference::default(),
            now: at(T),
            facts: 0,
        };
        let parties = ["ACCT-1", "AR-1", "BP-1", "CP-1"];
        for (kind, id) in EntityKind::PARTIES.into_iter().zip(parties) {
            world.put(kind, id, &[(Field::Name, text("Acme"))]);
            world.members.push(EntityKey::new(kind, id));
        }
        for system in System::SOURCES {
            world.freshness.source_mut(system).watermark = Some(world.now);
        }
        world
    }

    /// The customer of worked example A01, with transfer TR-1 to billing.
    pub fn a01() -> Self {
        let mut world = World::empty();
        world.case("SF-2026-8831");
        world.invoice("INV-4521", &[(Field::Status, word(InvoiceStatus::Disputed))]);
        world.dispute("DSP-1", "INV-4521", &[(Field::CaseRef, text("SF-2026-8831"))]);
        world.call("C-1", "2026-03-03T10:00:00Z", 720);
        world.call("C-2", "2026-03-08T10:00:00Z", 480);
        world.order("SO-7722", &[]);
        world.transfer("TR-1", &[]);
        world
    }

    pub fn case(&mut self, id: &str) {
        let status = (Field::Status, word(CaseStatus::InProgress));
        self.put(EntityKind::Case, id, &[(Field::AccountRef, text("ACCT-1")), status]);
    }

    /// An open invoice of 500.00 USD, due on 20 March, changed by `fields`.
    pub fn invoice(&mut self, id: &str, fields: &[(Field, ValueRef<'_>)]) {
        let own = [
            (Field::ArCustomerRef, text("AR-1")),
            (Field::Status, word(InvoiceStatus::Open)),
            (Field::Amount, cents(50_000)),
            (Field::Outstanding, cents(50_000)),
            (Field::Currency, text("USD")),
            (Field::DueDate, time("2026-03-20T00:00:00Z")),
        ];
        self.put(EntityKind::Invoice, id, &[&own, fields].concat());
    }

    /// An open overcharge dispute of 342.00 USD, changed by `fields`.
    pub fn dispute(&mut self, id: &str, invoice: &str, fields: &[(Field, ValueRef<'_>)]) {
        let own = [
            (Field::InvoiceRef, text(invoice)),
            (Field::Status, word(DisputeStatus::Open)),
            (Field::DisputeType, text("Overcharge")),
            (Field::Amount, cents(34_200)),
            (Field::Currency, text("USD")),
        ];
        self.put(EntityKind::Dispute, id, &[&own, fields].concat());
    }

    pub fn call(&mut self, id: &str, ended_at: &str, duration_s: i64) {
        self.contact(id, Channel::Call, ended_at, &[(Field::DurationS, ValueRef::Int(duration_s))]);
    }

    /// An ended contact.
    pub fn contact(&mut self, id: &str, channel: Channel, ended_at: &str, fields: &[(Field, ValueRef<'_>)]) {
        let own = [
            (Field::CallerRef, text("CP-1")),
            (Field::Channel, word(channel)),
            (Field::Status, word(InteractionStatus::Ended)),
            (Field::EndedAt, time(ended_at)),
        ];
        self.put(EntityKind::Interaction, id, &[&own, fields].concat());
    }

    /// A plan upgrade completed on 9 March, changed by `fields`.
    pub fn order(&mut self, id: &str, fields: &[(Field, ValueRef<'_>)]) {
        let own = [
            (Field::AccountRef, text("BP-1")),
            (Field::Type, word(ServiceOrderType::PlanUpgrade)),
            (Field::Status, word(ServiceOrderStatus::Completed)),
            (Field::CompletedAt, time("2026-03-09T11:00:00Z")),
        ];
        self.put(EntityKind::ServiceOrder, id, &[&own, fields].concat());
    }

    /// A controlled transfer of case SF-2026-8831 to billing, initiated at T, changed by `fields`.
    pub fn transfer(&mut self, id: &str, fields: &[(Field, ValueRef<'_>)]) {
        let own = [
            (Field::CaseRef, text("SF-2026-8831")),
            (Field::FromTeam, text("support")),
            (Field::ToTeam, text("billing")),
            (Field::InitiatedAt, time(T)),
            (Field::Controlled, ValueRef::Bool(true)),
        ];
        self.put(EntityKind::Transfer, id, &[&own, fields].concat());
    }

    /// Patches an entity with what its source now says; a later call is a later version.
    pub fn put(&mut self, kind: EntityKind, id: &str, fields: &[(Field, ValueRef<'_>)]) {
        let mut builder = FieldsBuilder::default();
        for (field, value) in fields {
            builder.set(*field, *value);
        }
        self.apply(kind, id, Op::Patch, builder);
    }

    pub fn apply(&mut self, kind: EntityKind, id: &str, op: Op, mut fields: FieldsBuilder) {
        self.facts += 1;
        let key = EntityKey::new(kind, id);
        let fact = Fact {
            event_id: format!("e{}", self.facts).into(),
            system: System::Engine,
            object: kind.name().into(),
            record_id: id.into(),
            entity: key.clone(),
            op,
            version: Version::new(self.facts, 0, 0),
            changed_at: self.now,
            observed_at: self.now,
            ingested_at: self.now,
            log_pos: LogPos(self.facts),
            contract_version: 1,
            mapping_version: 1,
            read_at: None,
            key_slot: 0,
            fields: fields.build(),
        };
        let entity = self.entities.entry(key.clone()).or_insert_with(|| Entity::named(key));
        if let Some(changed) = entity.apply(&fact) {
            *entity = changed;
        }
    }

    /// Moves the clock, and the watermark of each source with it.
    pub fn pass(&mut self, ms: i64) {
        self.now = self.now + ms;
        for system in System::SOURCES {
            let source = self.freshness.source_mut(system);
            source.watermark = source.watermark.map(|watermark| watermark + ms);
        }
    }

    /// Sets how far a source lags behind now.
    pub fn lag(&mut self, system: System, ms: i64) {
        self.freshness.source_mut(system).watermark = Some(self.now - ms);
    }

    /// Takes a party record out of the customer, perhaps leaving it in review.
    pub fn leave(&mut self, kind: EntityKind, confidence: Option<u32>) {
        let place = self.members.iter().position(|member| member.kind == kind).unwrap();
        let key = self.members.remove(place);
        let member = self.members[0].clone();
        self.possible.extend(confidence.map(|confidence| Possible { key, member, confidence }));
    }

    /// Links a party record to the customer.
    pub fn join(&mut self, kind: EntityKind, id: &str) {
        let key = EntityKey::new(kind, id);
        self.possible.retain(|possible| possible.key != key);
        self.members.push(key);
        self.members.sort();
    }

    pub fn composite(&self) -> Composite {
        let mut trees: BTreeMap<EntityKey, PartyTree> = BTreeMap::new();
        for entity in self.entities.values() {
            if let Some(root) = self.root_of(&entity.key) {
                trees.entry(root).or_default().put(Arc::new(entity.clone()));
            }
        }
        let member = |(place, key): (usize, &EntityKey)| Member {
            key: key.clone(),
            confidence: 990_000,
            joined: (place > 0).then_some((0, 990_000)),
            tree: Arc::new(trees.get(key).cloned().unwrap_or_default()),
        };
        Composite {
            id: CustomerId::of_member(&self.members[0]),
            members: self.members.iter().enumerate().map(member).collect(),
            possible: self.possible.clone(),
            elsewhere: self.elsewhere(),
            freshness: self.freshness,
            log_pos: LogPos(self.facts),
        }
    }

    /// Orders below parties that are no members.
    fn elsewhere(&self) -> Vec<Elsewhere> {
        let orders = self.entities.values().filter(|entity| entity.key.kind == EntityKind::ServiceOrder);
        let strangers = orders.filter(|order| order.is_alive()).filter_map(|order| {
            let party = self.root_of(&order.key).filter(|party| !self.members.contains(party))?;
            Some(Elsewhere { record: Arc::new(order.clone()), party })
        });
        strangers.collect()
    }

    fn root_of(&self, key: &EntityKey) -> Option<EntityKey> {
        if key.kind.is_party() {
            return Some(key.clone());
        }
        let parents = parents_of(key.kind, self.entities.get(key)?);
        parents.iter().find_map(|parent| self.root_of(parent))
    }

    pub fn context(&self) -> Context<'_> {
        Context::without_memory(&self.settings, &self.reference, self.now)
    }

    /// What is concluded about the customer now.
    pub fn derived(&self) -> Derived {
        evaluate(&self.composite(), &self.context())
    }

    pub fn assess(&self, transfer: &str) -> Assessment {
        let composite = self.composite();
        let transfer = &self.entities[&EntityKey::new(EntityKind::Transfer, transfer)];
        assess(transfer, &composite, &self.derived(), &self.context())
    }

    /// Moves transfer TR-1 on.
    pub fn advance(&self, memory: Option<TransferMemory>) -> (TransferMemory, Vec<HandoffAction>, Option<Millis>) {
        let transfer = &self.entities[&EntityKey::new(EntityKind::Transfer, "TR-1")];
        advance(memory, transfer, &self.assess("TR-1"), &self.context())
    }

    /// The sentence that the receiver of TR-1 reads now.
    pub fn narrative(&self) -> String {
        self.assess("TR-1").package.narrative.text()
    }
}
