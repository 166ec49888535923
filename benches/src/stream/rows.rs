//! Records of the hub as rows of the answer: what the hub knows, in the words of the job.

use std::collections::HashMap;

use ontology::status::{
    CaseStatus, CreditNoteStatus, DispatchStatus, DisputeStatus, InvoiceStatus, PaymentStatus, ServiceOrderStatus,
};
use ontology::{EntityKey, EntityKind, Field, FieldReader, Millis};

use crate::stream::event::{RecordKind, Sender};
use crate::stream::summary::{BenchCustomer, RecordRow, RowContent};

/// Collects the hub's records, in any order, into the customers of the workload.
#[derive(Debug, Default)]
pub struct Collector {
    customers: HashMap<String, BenchCustomer>,
    records: u64,
    without_customer: u64,
}

impl Collector {
    /// Takes one record. `changed_at` is the greatest source time of the deliveries that it rests
    /// on, a deletion among them; `is_alive` is whether its newest version is no deletion. Kinds
    /// that the workload does not have are passed over.
    pub fn add(&mut self, key: &EntityKey, changed_at: Millis, is_alive: bool, fields: &impl FieldReader) {
        let Some((kind, system, parent)) = place_of(key.kind) else { return };
        self.records += 1;
        let Some(customer) = parent.map_or(Some(key.id.as_str()), |field| fields.text(field)) else {
            self.without_customer += 1;
            return;
        };
        let content = is_alive.then(|| content(kind, fields));
        let row = RecordRow { kind, id: &key.id, system, source_ts: changed_at.0, content };
        match self.customers.get_mut(customer) {
            Some(known) => known.add(&row),
            None => {
                let mut new = BenchCustomer::new(customer);
                new.add(&row);
                self.customers.insert(customer.to_owned(), new);
            }
        }
    }

    /// Records taken so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records that named no customer: deletions whose earlier versions never came, else a fault.
    #[must_use]
    pub fn without_customer(&self) -> u64 {
        self.without_customer
    }

    /// The customers, in no order.
    #[must_use]
    pub fn into_customers(self) -> Vec<BenchCustomer> {
        self.customers.into_values().collect()
    }
}

/// What a kind of the hub is in the workload, who sends it there, and which field names its
/// customer; no field where its own id does.
fn place_of(kind: EntityKind) -> Option<(RecordKind, Sender, Option<Field>)> {
    let register = Some(Field::CustomerXref);
    match kind {
        EntityKind::Account => Some((RecordKind::Customer, Sender::Salesforce, None)),
        EntityKind::ArCustomer => Some((RecordKind::Customer, Sender::Oracle, Some(Field::AccountXref))),
        EntityKind::BusinessPartner => Some((RecordKind::Customer, Sender::Sap, Some(Field::AccountXref))),
        EntityKind::Case => Some((RecordKind::Case, Sender::Salesforce, Some(Field::AccountRef))),
        EntityKind::Invoice => Some((RecordKind::Invoice, Sender::Oracle, register)),
        EntityKind::Payment => Some((RecordKind::Payment, Sender::Oracle, register)),
        EntityKind::Dispute => Some((RecordKind::Dispute, Sender::Oracle, register)),
        EntityKind::CreditNote => Some((RecordKind::CreditNote, Sender::Oracle, register)),
        EntityKind::Interaction => Some((RecordKind::Interaction, Sender::Wxcc, register)),
        EntityKind::ServiceOrder => Some((RecordKind::ServiceOrder, Sender::Sap, register)),
        EntityKind::FieldDispatch => Some((RecordKind::Dispatch, Sender::Sap, register)),
        EntityKind::CallerProfile
        | EntityKind::InvoiceLine
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry
        | EntityKind::ExchangeRate
        | EntityKind::DesktopTelemetry
        | EntityKind::Transfer
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => None,
    }
}

fn content(kind: RecordKind, fields: &impl FieldReader) -> RowContent<'_> {
    RowContent {
        counts: counts(kind, fields),
        amount_cents: fields.get(Field::Amount).decimal().map_or(0, |(mantissa, _)| mantissa),
        started_ts: fields.time(Field::StartedAt).map_or(0, |time| time.0),
        tier: fields.text(Field::Tier).unwrap_or_default(),
    }
}

/// Whether a record's status is in the derived set that the answer counts.
fn counts(kind: RecordKind, fields: &impl FieldReader) -> bool {
    let status = fields.get(Field::Status);
    match kind {
        RecordKind::Customer | RecordKind::Interaction => false,
        RecordKind::Case => status.coded().known().is_some_and(|s: CaseStatus| !s.is_resolved()),
        RecordKind::Invoice => status.coded().known().is_some_and(InvoiceStatus::is_pending),
        RecordKind::Payment => status.coded().known() == Some(PaymentStatus::Applied),
        RecordKind::Dispute => status.coded().known().is_some_and(DisputeStatus::is_active),
        RecordKind::CreditNote => status.coded().known().is_some_and(CreditNoteStatus::is_pending),
        RecordKind::ServiceOrder => status.coded().known().is_some_and(ServiceOrderStatus::is_in_flight),
        RecordKind::Dispatch => status.coded().known().is_some_and(DispatchStatus::is_in_flight),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::{Fact, FieldsBuilder, Op, ValueRef};

    use super::*;
    use crate::stream::facts::FactMaker;
    use crate::stream::reference::{SMOKE_MD5, lines};
    use crate::stream::{Event, Workload, checksum};

    /// The newest fact of each record, and the fields that it had last.
    fn newest(bytes: &[u8]) -> HashMap<EntityKey, (Fact, Fact)> {
        let mut maker = FactMaker::default();
        let mut newest: HashMap<EntityKey, (Fact, Fact)> = HashMap::new();
        for line in lines(bytes) {
            let fact = maker.fact(&Event::parse(line).unwrap());
            let slot = newest.entry(fact.entity.clone()).or_insert_with(|| (fact.clone(), fact.clone()));
            if fact.op != Op::Delete && (slot.1.op == Op::Delete || fact.version > slot.1.version) {
                slot.1 = fact.clone();
            }
            if fact.version > slot.0.version {
                slot.0 = fact;
            }
        }
        newest
    }

    #[test]
    fn the_answer_from_facts_is_the_published_one() {
        let mut collector = Collector::default();
        for (key, (newest, with_fields)) in &newest(&Workload::smoke().to_bytes()) {
            collector.add(key, newest.changed_at, newest.op != Op::Delete, &with_fields.fields);
        }
        assert_eq!(collector.without_customer(), 0);
        assert!(collector.records() > 30_000, "{}", collector.records());
        assert_eq!(checksum(collector.into_customers()), SMOKE_MD5);
    }

    #[test]
    fn a_record_without_customer_and_a_foreign_kind_are_told_apart() {
        let mut collector = Collector::default();
        let mut fields = FieldsBuilder::default();
        fields.set(Field::Amount, ValueRef::Decimal { mantissa: 5, scale: 2 });
        let fields = fields.build();
        collector.add(&EntityKey::new(EntityKind::Payment, "P1"), Millis(1), false, &fields);
        collector.add(&EntityKey::new(EntityKind::Watermark, "w"), Millis(1), true, &fields);
        assert_eq!((collector.records(), collector.without_customer()), (1, 1));
        assert!(collector.into_customers().is_empty());
    }
}
