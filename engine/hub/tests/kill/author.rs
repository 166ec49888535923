//! Events out of a seed: a few hundred customers over four systems, with everything that makes
//! order matter (equal versions, late deletes, gaps, shared features that merge and split).

use ontology::status::{
    CaseStatus, Channel, CreditNoteStatus, DisputeStatus, InteractionStatus, InvoiceStatus, ServiceOrderStatus,
};
use ontology::{EntityKind, Field, Millis, Vocabulary};
use proto::v1::{self, field_value::Kind};
use sim::Chance;

/// Customers that events are about.
const CUSTOMERS: usize = 120;
/// How far back the older half of the customers lives.
const OLD_MS: i64 = 200 * Millis::DAY_MS;
/// Events that may be sent once more.
const REMEMBERED_MAX: usize = 64;
/// Span of versions that the changes of one round are drawn from: small, so that they meet.
const VERSIONS: usize = 6;

/// The kinds that are written about.
const KINDS: &[Drawn] = &[
    Drawn { kind: EntityKind::Account, system: v1::System::Salesforce, weight: 3, fields: Author::organisation },
    Drawn { kind: EntityKind::ArCustomer, system: v1::System::Oracle, weight: 3, fields: Author::organisation },
    Drawn { kind: EntityKind::BusinessPartner, system: v1::System::Sap, weight: 2, fields: Author::organisation },
    Drawn { kind: EntityKind::CallerProfile, system: v1::System::Wxcc, weight: 2, fields: Author::caller },
    Drawn { kind: EntityKind::Case, system: v1::System::Salesforce, weight: 6, fields: Author::case },
    Drawn { kind: EntityKind::Invoice, system: v1::System::Oracle, weight: 6, fields: Author::invoice },
    Drawn { kind: EntityKind::Dispute, system: v1::System::Oracle, weight: 3, fields: Author::dispute },
    Drawn { kind: EntityKind::CreditNote, system: v1::System::Oracle, weight: 3, fields: Author::credit_note },
    Drawn { kind: EntityKind::Interaction, system: v1::System::Wxcc, weight: 4, fields: Author::interaction },
    Drawn { kind: EntityKind::ServiceOrder, system: v1::System::Sap, weight: 3, fields: Author::service_order },
];

/// Events in a hundred that only say that a source is alive.
const HEARTBEAT_PERCENT: usize = 2;

type Values = Vec<(Field, v1::FieldValue)>;

/// A kind that is written about: where it lives, how often it is drawn, and with which fields.
struct Drawn {
    kind: EntityKind,
    system: v1::System,
    weight: usize,
    /// For a customer, and an instant at which its record was made.
    fields: fn(&mut Author, usize, Millis) -> Values,
}

/// One who sends events, never two with the same id and different content.
pub struct Author {
    name: String,
    chance: Chance,
    /// When the younger half of the customers lives.
    now: Millis,
    count: u64,
    remembered: Vec<v1::Event>,
}

impl Author {
    pub fn new(name: String, seed: u64, now: Millis) -> Self {
        Author { name, chance: Chance::of(seed), now, count: 0, remembered: Vec::new() }
    }

    /// Up to `count_max` events of one request, each of them fit to become a fact.
    pub fn fit(&mut self, count_max: usize) -> Vec<v1::Event> {
        (0..=self.chance.below(count_max)).map(|_| self.event()).collect()
    }

    /// An event without a record: it must end in quarantine. It carries no map, so that its bytes
    /// are the same however often it is read and written.
    pub fn unfit(&mut self) -> v1::Event {
        v1::Event { record_id: String::new(), fields: Default::default(), ..self.event() }
    }

    pub fn is(&mut self, percent: usize) -> bool {
        self.chance.is(percent)
    }

    fn event(&mut self) -> v1::Event {
        if self.chance.is(5) && !self.remembered.is_empty() {
            return self.chance.pick(&self.remembered).clone();
        }
        let event = self.new_event();
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.swap_remove(0);
        }
        self.remembered.push(event.clone());
        event
    }

    fn new_event(&mut self) -> v1::Event {
        self.count += 1;
        let drawn = self.kind();
        let customer = self.chance.below(CUSTOMERS);
        let born = if customer.is_multiple_of(2) { self.now - OLD_MS } else { self.now - Millis::HOUR_MS };
        // Versions rise slowly with what was sent, so that states go on changing.
        let version = self.count / 200 + self.chance.below(VERSIONS) as u64 + 1;
        let changed_at = born + i64::try_from(version).expect("a version is small") * Millis::MINUTE_MS;
        let mut event = v1::Event {
            event_id: format!("{}-{}", self.name, self.count),
            system: drawn.system.into(),
            version: Some(v1::Version { major: version, ..v1::Version::default() }),
            change_time: Some(time(changed_at)),
            contract_version: 1,
            mapping_version: 1,
            ..v1::Event::default()
        };
        if self.chance.is(HEARTBEAT_PERCENT) {
            event.object = EntityKind::Watermark.name().to_owned();
            event.record_id = "changes".to_owned();
            event.operation = v1::Operation::Heartbeat.into();
            return event;
        }
        let fields = (drawn.fields)(self, customer, changed_at);
        let (operation, kept_percent) = self.operation();
        let kept = fields.into_iter().filter(|_| self.chance.is(kept_percent));
        event.fields = kept.map(|(field, value)| (field.name().to_owned(), value)).collect();
        event.object = drawn.kind.name().to_owned();
        event.record_id = id_of(drawn.kind, customer, self.chance.below(2));
        event.operation = operation.into();
        event
    }

    fn kind(&mut self) -> &'static Drawn {
        let mut drawn = self.chance.below(KINDS.iter().map(|one| one.weight).sum());
        let is_chosen = |one: &&Drawn| {
            let is_within = drawn < one.weight;
            drawn = drawn.wrapping_sub(one.weight);
            is_within
        };
        KINDS.iter().find(is_chosen).expect("the weights add up to the total")
    }

    /// What an event says, and how many of a hundred fields it carries.
    fn operation(&mut self) -> (v1::Operation, usize) {
        match self.chance.below(20) {
            0..11 => (v1::Operation::Image, 100),
            11..17 => (v1::Operation::Patch, 50),
            17 => (v1::Operation::Delete, 0),
            18 => (v1::Operation::Undelete, 0),
            _ => (v1::Operation::Gap, 0),
        }
    }

    fn word<T: Vocabulary>(&mut self) -> v1::FieldValue {
        text(self.chance.pick(T::ALL).1)
    }

    fn amount(&mut self) -> v1::FieldValue {
        value(Kind::Decimal(format!("{}.{:02}", self.chance.between(1, 900), self.chance.below(100))))
    }

    fn case(&mut self, customer: usize, at: Millis) -> Values {
        vec![
            (Field::AccountRef, text(&id_of(EntityKind::Account, customer, 0))),
            (Field::Status, self.word::<CaseStatus>()),
            (Field::Category, text(self.chance.pick::<&str>(&["billing", "network"]))),
            (Field::OpenedAt, value(Kind::Time(time(at)))),
        ]
    }

    fn invoice(&mut self, customer: usize, at: Millis) -> Values {
        let mut fields = self.charge(customer);
        fields.push((Field::ArCustomerRef, text(&id_of(EntityKind::ArCustomer, customer, 0))));
        fields.push((Field::Status, self.word::<InvoiceStatus>()));
        fields.push((Field::IssuedAt, value(Kind::Time(time(at)))));
        fields
    }

    fn dispute(&mut self, customer: usize, _: Millis) -> Values {
        let mut fields = self.charge(customer);
        fields.push((Field::InvoiceRef, self.reference(EntityKind::Invoice, customer)));
        fields.push((Field::Status, self.word::<DisputeStatus>()));
        fields
    }

    fn credit_note(&mut self, customer: usize, _: Millis) -> Values {
        let mut fields = self.charge(customer);
        fields.push((Field::InvoiceRef, self.reference(EntityKind::Invoice, customer)));
        fields.push((Field::Status, self.word::<CreditNoteStatus>()));
        fields
    }

    fn interaction(&mut self, customer: usize, at: Millis) -> Values {
        vec![
            (Field::Channel, self.word::<Channel>()),
            (Field::Status, self.word::<InteractionStatus>()),
            (Field::CallerRef, text(&id_of(EntityKind::CallerProfile, customer, 0))),
            (Field::StartedAt, value(Kind::Time(time(at)))),
            (Field::CaseRef, self.reference(EntityKind::Case, customer)),
        ]
    }

    fn service_order(&mut self, customer: usize, _: Millis) -> Values {
        vec![
            (Field::AccountRef, text(&id_of(EntityKind::BusinessPartner, customer, 0))),
            (Field::Status, self.word::<ServiceOrderStatus>()),
            (Field::Estimate, self.amount()),
            (Field::Currency, text("EUR")),
            (Field::CaseRef, self.reference(EntityKind::Case, customer)),
        ]
    }

    /// What invoices, disputes and credit notes share.
    fn charge(&mut self, customer: usize) -> Values {
        vec![
            (Field::Amount, self.amount()),
            (Field::Currency, text("EUR")),
            (Field::CaseRef, self.reference(EntityKind::Case, customer)),
        ]
    }

    /// One of a customer's records of a kind.
    fn reference(&mut self, kind: EntityKind, customer: usize) -> v1::FieldValue {
        text(&id_of(kind, customer, self.chance.below(2)))
    }

    fn caller(&mut self, customer: usize, _: Millis) -> Values {
        let name = format!("{} {customer} Ltd", self.chance.pick(&["Alder Works", "Alder Works", "Alders Works"]));
        let phone = format!("+4930{:07}", 1_000_000 + self.neighbour(customer));
        vec![(Field::Name, text(&name)), (Field::Phone, text(&phone))]
    }

    fn organisation(&mut self, customer: usize, at: Millis) -> Values {
        let mut fields = self.caller(customer, at);
        fields.push((Field::TaxId, text(&format!("DE{:09}", 100_000_000 + self.neighbour(customer)))));
        fields.push((Field::Email, text(&format!("billing@alder{}.example", self.neighbour(customer)))));
        fields
    }

    /// Mostly the customer, sometimes the next one: what makes customers merge and split.
    fn neighbour(&mut self, customer: usize) -> usize {
        if self.chance.is(8) { customer + 1 } else { customer }
    }
}

fn id_of(kind: EntityKind, customer: usize, number: usize) -> String {
    if kind.is_party() { format!("{}-{customer}", kind.name()) } else { format!("{}-{customer}-{number}", kind.name()) }
}

fn value(kind: Kind) -> v1::FieldValue {
    v1::FieldValue { kind: Some(kind) }
}

fn text(text: &str) -> v1::FieldValue {
    value(Kind::Text(text.to_owned()))
}

fn time(at: Millis) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).expect("less than a second fits");
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000), nanos }
}
