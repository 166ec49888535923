//! The events of the workload as types: every field of every kind, read in one pass.
//!
//! Strings are borrowed from the line ([`Event<&str>`](Event)), which is how the pipeline reads
//! them, or owned ([`OwnedEvent`]), which is how a program that keeps its records would. The
//! workload has no escapes in its strings, so borrowing never fails.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Who sent an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// Salesforce.
    Salesforce,
    /// Oracle receivables.
    Oracle,
    /// Webex Contact Center.
    Wxcc,
    /// SAP.
    Sap,
}

impl Sender {
    /// All senders in the order in which the answer names them.
    pub const ALL: [Sender; 4] = [Sender::Salesforce, Sender::Oracle, Sender::Wxcc, Sender::Sap];
}

/// What kind of record an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Customer profile of one system.
    Customer,
    /// Case.
    Case,
    /// Invoice.
    Invoice,
    /// Payment.
    Payment,
    /// Dispute.
    Dispute,
    /// Credit note.
    CreditNote,
    /// Call, chat or mail.
    Interaction,
    /// Service order.
    ServiceOrder,
    /// Field dispatch.
    Dispatch,
}

/// What happened to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is as the event says.
    Upsert,
    /// It is gone.
    Delete,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<S> {
    /// Id of the delivery.
    pub event_id: S,
    /// Who sent it.
    pub system: Sender,
    /// What it is about.
    pub entity: RecordKind,
    /// What happened.
    pub op: Change,
    /// Id of the record.
    pub entity_id: S,
    /// Customer that the record belongs to.
    pub customer_id: S,
    /// Version of the record after the event; the greatest wins.
    pub version: u64,
    /// When it happened, ms since epoch.
    pub source_ts: i64,
    /// Version of the contract.
    pub schema: u32,
    /// Where it comes from.
    pub source: Source<S>,
    /// The record's fields.
    pub data: Data<S>,
}

/// An event that owns its strings.
pub type OwnedEvent = Event<String>;

/// Where an event comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Source<S> {
    /// Object or table.
    pub object: S,
    /// Transaction.
    pub txn: S,
    /// Partition.
    pub partition: u32,
}

/// The fields of a record, by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<S> {
    /// A deleted record has none.
    Deleted,
    /// Customer profile.
    Customer(Profile<S>),
    /// Case.
    Case(Case<S>),
    /// Invoice.
    Invoice(Invoice<S>),
    /// Payment.
    Payment(Payment<S>),
    /// Dispute.
    Dispute(Dispute<S>),
    /// Credit note.
    CreditNote(CreditNote<S>),
    /// Interaction.
    Interaction(Interaction<S>),
    /// Service order.
    ServiceOrder(ServiceOrder<S>),
    /// Dispatch.
    Dispatch(Dispatch<S>),
}

/// Fields of a customer profile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Profile<S> {
    pub name: S,
    pub tier: S,
    pub segment: S,
    pub email: S,
    pub phone: S,
    pub street: S,
    pub city: S,
    pub postal: S,
    pub country: S,
    pub ar_balance_cents: i64,
    pub credit_status: S,
    pub payment_terms: S,
    pub status: S,
}

/// Fields of a case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Case<S> {
    #[serde(rename = "type")]
    pub case_type: S,
    pub status: S,
    pub priority: S,
    pub origin: S,
    pub owner_id: S,
    pub escalation_level: i64,
    pub opened_ts: i64,
    pub subject: S,
    pub description: S,
}

/// Fields of an invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Invoice<S> {
    pub status: S,
    pub amount_cents: i64,
    pub currency: S,
    pub due_ts: i64,
    pub issued_ts: i64,
    pub po: S,
    pub terms: S,
    pub lines: Vec<Line<S>>,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Line<S> {
    pub sku: S,
    pub qty: i64,
    pub cents: i64,
    pub text: S,
}

/// Fields of a payment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Payment<S> {
    pub status: S,
    pub amount_cents: i64,
    pub currency: S,
    pub method: S,
    pub received_ts: i64,
    pub reference: S,
    pub memo: S,
    pub bank: S,
}

/// Fields of a dispute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Dispute<S> {
    pub status: S,
    pub amount_cents: i64,
    pub dispute_type: S,
    pub invoice_id: S,
    pub raised_ts: i64,
    pub reason: S,
}

/// Fields of a credit note.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct CreditNote<S> {
    pub status: S,
    pub amount_cents: i64,
    pub invoice_id: S,
    pub created_ts: i64,
    pub approver: S,
    pub reason: S,
}

/// Fields of an interaction; `sentiment` in hundredths.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Interaction<S> {
    pub status: S,
    pub channel: S,
    pub agent_id: S,
    pub started_ts: i64,
    pub duration_s: i64,
    pub disposition: S,
    pub sentiment: i64,
    pub queue: S,
    pub summary: S,
}

/// Fields of a service order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct ServiceOrder<S> {
    pub status: S,
    #[serde(rename = "type")]
    pub order_type: S,
    pub scheduled_ts: i64,
    pub estimate_cents: i64,
    pub plant: S,
    pub notes: S,
}

/// Fields of a dispatch; `lat` and `lon` in units of 1e-5 degrees.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)]
pub struct Dispatch<S> {
    pub status: S,
    pub service_order_id: S,
    pub technician_id: S,
    pub eta_ts: i64,
    pub outcome: S,
    pub lat: i64,
    pub lon: i64,
    pub notes: S,
}

impl<'a> Event<&'a str> {
    /// Reads one line without copying its strings.
    ///
    /// # Errors
    /// If the line is not an event of the workload.
    pub fn parse(line: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line)
    }
}

impl OwnedEvent {
    /// Reads one line into an event that outlives it.
    ///
    /// # Errors
    /// If the line is not an event of the workload.
    pub fn parse_owned(line: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line)
    }
}

/// The keys of an event.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    EventId,
    System,
    Entity,
    Op,
    EntityId,
    CustomerId,
    Version,
    SourceTs,
    Schema,
    Source,
    Data,
    #[serde(other)]
    Other,
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Event<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor(PhantomData))
    }
}

struct EventVisitor<S>(PhantomData<S>);

impl<'de, S: Deserialize<'de>> Visitor<'de> for EventVisitor<S> {
    type Value = Event<S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event whose kind and operation stand before its data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<S>, A::Error> {
        let (mut event_id, mut entity_id, mut customer_id) = (None, None, None);
        let (mut system, mut entity, mut op, mut source, mut data) = (None, None, None, None, None);
        let (mut version, mut source_ts, mut schema) = (None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::EventId => event_id = Some(map.next_value()?),
                Key::System => system = Some(map.next_value()?),
                Key::Entity => entity = Some(map.next_value()?),
                Key::Op => op = Some(map.next_value()?),
                Key::EntityId => entity_id = Some(map.next_value()?),
                Key::CustomerId => customer_id = Some(map.next_value()?),
                Key::Version => version = Some(map.next_value()?),
                Key::SourceTs => source_ts = Some(map.next_value()?),
                Key::Schema => schema = Some(map.next_value()?),
                Key::Source => source = Some(map.next_value()?),
                Key::Data => {
                    let (entity, op) = (need(entity, "entity before data")?, need(op, "op before data")?);
                    data = Some(map.next_value_seed(DataSeed { entity, op, string: PhantomData })?);
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Event {
            event_id: need(event_id, "event_id")?,
            system: need(system, "system")?,
            entity: need(entity, "entity")?,
            op: need(op, "op")?,
            entity_id: need(entity_id, "entity_id")?,
            customer_id: need(customer_id, "customer_id")?,
            version: need(version, "version")?,
            source_ts: need(source_ts, "source_ts")?,
            schema: need(schema, "schema")?,
            source: need(source, "source")?,
            data: need(data, "data")?,
        })
    }
}

fn need<T, E: serde::de::Error>(value: Option<T>, name: &'static str) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

/// Reads `data` straight into the fields of its kind.
struct DataSeed<S> {
    entity: RecordKind,
    op: Change,
    string: PhantomData<S>,
}

impl<'de, S: Deserialize<'de>> DeserializeSeed<'de> for DataSeed<S> {
    type Value = Data<S>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data<S>, D::Error> {
        if self.op == Change::Delete {
            IgnoredAny::deserialize(deserializer).map_err(D::Error::custom)?;
            return Ok(Data::Deleted);
        }
        match self.entity {
            RecordKind::Customer => Profile::deserialize(deserializer).map(Data::Customer),
            RecordKind::Case => Case::deserialize(deserializer).map(Data::Case),
            RecordKind::Invoice => Invoice::deserialize(deserializer).map(Data::Invoice),
            RecordKind::Payment => Payment::deserialize(deserializer).map(Data::Payment),
            RecordKind::Dispute => Dispute::deserialize(deserializer).map(Data::Dispute),
            RecordKind::CreditNote => CreditNote::deserialize(deserializer).map(Data::CreditNote),
            RecordKind::Interaction => Interaction::deserialize(deserializer).map(Data::Interaction),
            RecordKind::ServiceOrder => ServiceOrder::deserialize(deserializer).map(Data::ServiceOrder),
            RecordKind::Dispatch => Dispatch::deserialize(deserializer).map(Data::Dispatch),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::stream::Workload;

    #[test]
    fn every_line_of_the_workload_reads_the_same_borrowed_and_owned() {
        let bytes = Workload::new(50, 2_000, 3).to_bytes();
        let mut kinds = std::collections::BTreeSet::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let borrowed = Event::parse(line).unwrap();
            let owned = OwnedEvent::parse_owned(line).unwrap();
            assert_eq!((borrowed.entity_id, borrowed.version), (owned.entity_id.as_str(), owned.version));
            assert_eq!(borrowed.data == Data::Deleted, borrowed.op == Change::Delete);
            kinds.insert(borrowed.entity);
        }
        assert_eq!(kinds.len(), 9);
    }

    #[test]
    fn unknown_keys_are_passed_over_and_missing_ones_are_named() {
        let tail = r#""entity_id":"SF-1","customer_id":"C1","version":1,"source_ts":5,"schema":1,"source":{"object":"o","txn":"t","partition":0}"#;
        let head = r#"{"event_id":"e","system":"sap","entity":"case","op":"delete","new":{"a":[1]},"#;
        assert_eq!(Event::parse(format!("{head}{tail},\"data\":{{}}}}").as_bytes()).unwrap().data, Data::Deleted);
        let error = Event::parse(format!("{head}{tail}}}").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("data"), "{error}");
        let early = Event::parse(br#"{"data":{},"entity":"case"}"#).unwrap_err().to_string();
        assert!(early.contains("entity before data"), "{early}");
        assert!(Event::parse(b"{}").is_err());
    }
}
