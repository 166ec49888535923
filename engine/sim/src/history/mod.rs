//! Random histories: a handful of customers over four systems, with all that goes wrong on the way.
//!
//! An entity gets a number of changes at versions drawn from a short range, so that equal versions
//! with different contents, late deletes, undeletes and gaps meet often. What a record refers to is
//! drawn from the same few names, some of which never arrive.

mod party;
mod value;

use ontology::status::{Decision, Verdict};
use ontology::{
    EntityKey, EntityKind, Fact, Field, Fields, FieldsBuilder, LogPos, Millis, ObjectId, Op, System, ValueRef, Version,
};

use crate::chance::Chance;

/// Instant around which everything happens: 2026-03-10T15:00:00Z.
pub const NOON: Millis = Millis(1_773_154_800_000);

/// Fewest facts of a history.
pub const FACTS_MIN: usize = 50;

/// Most facts of a history.
pub const FACTS_MAX: usize = 300;

/// Facts out of a seed, each once, in no order that means anything.
#[derive(Debug, Clone)]
pub struct History {
    /// What it was drawn from.
    pub seed: u64,
    /// The facts; neither ingested nor placed in the log yet.
    pub facts: Vec<Fact>,
}

impl History {
    /// The history of a seed, of [`FACTS_MIN`] to [`FACTS_MAX`] facts. Short ones are more frequent.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let spread = FACTS_MAX - FACTS_MIN + 1;
        let lengths = [chance.below(spread), chance.below(spread), chance.below(spread)];
        let length = FACTS_MIN + lengths.into_iter().min().unwrap_or_default();
        Self::of_length(seed, length)
    }

    /// The history of a seed with exactly `length` facts.
    #[must_use]
    pub fn of_length(seed: u64, length: usize) -> Self {
        let mut draft = Draft::of(seed);
        draft.parties();
        while draft.facts.len() < length {
            draft.entity();
        }
        draft.chance.shuffle(&mut draft.facts);
        draft.facts.truncate(length);
        History { seed, facts: draft.facts }
    }
}

/// A history while it is drawn.
struct Draft {
    chance: Chance,
    /// How many customers there are in truth.
    customers: usize,
    /// How many entities of a kind there are at most.
    names: usize,
    facts: Vec<Fact>,
}

/// Kinds that hang below parties or stand beside them, with how often they are drawn.
const KINDS: &[(EntityKind, usize)] = &[
    (EntityKind::Case, 8),
    (EntityKind::Invoice, 7),
    (EntityKind::InvoiceLine, 2),
    (EntityKind::Payment, 2),
    (EntityKind::Dispute, 6),
    (EntityKind::CreditNote, 7),
    (EntityKind::Interaction, 4),
    (EntityKind::ServiceOrder, 7),
    (EntityKind::FieldDispatch, 4),
    (EntityKind::KnowledgeArticle, 1),
    (EntityKind::DirectoryEntry, 1),
    (EntityKind::ExchangeRate, 2),
    (EntityKind::DesktopTelemetry, 1),
    (EntityKind::Transfer, 2),
    (EntityKind::Judgement, 5),
    (EntityKind::DiscrepancyDecision, 2),
    (EntityKind::Watermark, 2),
];

impl Draft {
    fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed ^ 0x6f70_7368_7562);
        let (customers, names) = (2 + chance.below(3), 2 + chance.below(5));
        Draft { chance, customers, names, facts: Vec::new() }
    }

    /// Draws some changes of one entity that is no party record.
    fn entity(&mut self) {
        let total = KINDS.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.chance.below(total);
        let is_chosen = |(_, weight): &&(EntityKind, usize)| {
            let is_within = drawn < *weight;
            drawn = drawn.wrapping_sub(*weight);
            is_within
        };
        let (kind, _) = *KINDS.iter().find(is_chosen).expect("the weights add up to the total");
        let number = self.chance.below(self.names);
        match kind {
            EntityKind::Judgement => self.judgement(),
            EntityKind::DiscrepancyDecision => self.decision(),
            EntityKind::ExchangeRate => self.rate(number),
            EntityKind::Watermark => self.heartbeat(),
            EntityKind::Account
            | EntityKind::ArCustomer
            | EntityKind::BusinessPartner
            | EntityKind::CallerProfile
            | EntityKind::Case
            | EntityKind::Invoice
            | EntityKind::InvoiceLine
            | EntityKind::Payment
            | EntityKind::Dispute
            | EntityKind::CreditNote
            | EntityKind::Interaction
            | EntityKind::ServiceOrder
            | EntityKind::FieldDispatch
            | EntityKind::KnowledgeArticle
            | EntityKind::DirectoryEntry
            | EntityKind::DesktopTelemetry
            | EntityKind::Transfer
            | EntityKind::AlertDecision
            | EntityKind::CommandOutcome
            | EntityKind::Configuration => self.changes(&value::named(kind, number)),
        }
    }

    /// One to four changes of an entity, at versions that may be equal.
    fn changes(&mut self, key: &EntityKey) {
        for _ in 0..1 + self.chance.below(4) {
            let op = self.op();
            let fields = match op {
                Op::Image => self.values(key, true),
                Op::Patch => self.values(key, false),
                // Some sources send the content with the return, some do not.
                Op::Undelete if self.chance.is(50) => self.values(key, true),
                Op::Undelete | Op::Delete | Op::Gap | Op::Heartbeat => Fields::default(),
            };
            self.push(key, op, fields);
        }
    }

    fn op(&mut self) -> Op {
        match self.chance.below(20) {
            0..9 => Op::Image,
            9..15 => Op::Patch,
            15..17 => Op::Delete,
            17 => Op::Undelete,
            18 => Op::Gap,
            _ => Op::Patch,
        }
    }

    /// A decision on a pair of party records. A record may say something else later, or be deleted.
    fn judgement(&mut self) {
        let [left, right] = [0, 1].map(|_| self.party().to_string());
        let at = NOON + self.chance.between(0, 20) * Millis::MINUTE_MS;
        let verdict = if self.chance.is(60) { Verdict::Link } else { Verdict::Unlink };
        let actor = *self.chance.pick(&["ann", "bob"]);
        let mut fields = FieldsBuilder::default();
        fields.text(Field::LeftRef, Some(&left)).text(Field::RightRef, Some(&right)).word(Field::Verdict, verdict);
        fields.text(Field::Actor, Some(actor)).set(Field::DecidedAt, ValueRef::Time(at));
        if self.chance.is(80) {
            let key = EntityKey::new(EntityKind::Judgement, format!("J-{}", self.facts.len()));
            return self.push(&key, Op::Image, fields.build());
        }
        let key = value::named(EntityKind::Judgement, self.chance.below(2));
        match self.op() {
            op @ (Op::Delete | Op::Gap) => self.push(&key, op, Fields::default()),
            op @ (Op::Image | Op::Patch | Op::Undelete | Op::Heartbeat) => self.push(&key, op, fields.build()),
        }
    }

    /// A decision on a discrepancy between a case and a credit note, which may exist or not.
    fn decision(&mut self) {
        let [case, note] = [EntityKind::Case, EntityKind::CreditNote]
            .map(|kind| value::named(kind, self.chance.below(self.names)).to_string());
        let subject = ObjectId::new("rc1", &[case, note]).to_string();
        let decided_at = NOON + self.chance.between(0, 90) * Millis::MINUTE_MS;
        let verdict = *self.chance.pick(&[Decision::Acknowledged, Decision::Waived, Decision::Resolved]);
        let mut fields = FieldsBuilder::default();
        fields.text(Field::SubjectRef, Some(&subject)).word(Field::Verdict, verdict);
        fields.text(Field::Actor, Some("eve")).set(Field::DecidedAt, ValueRef::Time(decided_at));
        let key = EntityKey::new(EntityKind::DiscrepancyDecision, format!("DD-{}", self.facts.len()));
        self.push(&key, Op::Image, fields.build());
    }

    /// A rate, which may be corrected, moved to another day or deleted later. Two records may state one for
    /// the same day.
    fn rate(&mut self, number: usize) {
        let key = EntityKey::new(EntityKind::ExchangeRate, format!("R-{number}"));
        let mantissa = self.chance.between(80, 120);
        if mantissa % 10 == 0 {
            return self.push(&key, Op::Delete, Fields::default());
        }
        let day = format!("2026-03-{:02}", 9 + mantissa % 3);
        let mut fields = FieldsBuilder::default();
        fields.text(Field::Currency, Some("EUR")).text(Field::QuoteCurrency, Some("USD"));
        fields.text(Field::ValidOn, Some(&day)).set(Field::Rate, ValueRef::Decimal { mantissa, scale: 2 });
        self.push(&key, Op::Image, fields.build());
    }

    fn heartbeat(&mut self) {
        let system = *self.chance.pick(&System::SOURCES);
        let partition = self.chance.below(2);
        let key = EntityKey::new(EntityKind::Watermark, format!("{system:?}-{partition}"));
        self.push(&key, Op::Heartbeat, Fields::default());
        let fact = self.facts.last_mut().expect("a fact was just pushed");
        fact.system = system;
        fact.record_id = format!("p{partition}").into();
    }

    /// Adds a fact in its envelope.
    fn push(&mut self, key: &EntityKey, op: Op, fields: Fields) {
        let version = u64::try_from(self.chance.between(1, 9)).expect("the version is positive");
        let of_version = i64::try_from(version).expect("the version is small") * 7 * Millis::MINUTE_MS;
        let changed_at = NOON + of_version + self.chance.between(-90, 90) * Millis::SECOND_MS;
        // A source's clock may be ahead, by more than is believed.
        let ahead_ms =
            if self.chance.is(5) { 5_000 + self.chance.between(0, 2) } else { -self.chance.between(0, 3_000) };
        let read_at = (op == Op::Image && self.chance.is(5)).then_some(changed_at + Millis::MINUTE_MS);
        let (system, object) = value::origin(key.kind);
        // An invoice may be the join of a header and of a schedule, which may have several rows.
        let is_second_row = key.kind == EntityKind::Invoice && self.chance.is(25);
        let instalment = if is_second_row { self.chance.below(3) } else { 0 };
        self.facts.push(Fact {
            event_id: format!("e{}", self.facts.len()).into(),
            system,
            object: if is_second_row { "schedule" } else { object }.into(),
            record_id: if instalment > 0 { format!("{}/{instalment}", key.id).into() } else { key.id.clone() },
            entity: key.clone(),
            op,
            version: Version::new(version, 0, 0),
            changed_at,
            observed_at: changed_at - ahead_ms,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: 1,
            mapping_version: if self.chance.is(5) { 2 } else { 1 },
            read_at,
            key_slot: 0,
            fields,
        });
    }
}
