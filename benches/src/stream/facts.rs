//! Events of the workload as facts of the hub.
//!
//! The mapping stands in `benches/README.md`: `customer_id` is the parent of every record, and the
//! references of the workload that point at other customers are dropped.

use compact_str::CompactString;
use ontology::status::{
    CaseStatus, Channel, CreditNoteStatus, CreditStatus, DispatchOutcome, DispatchStatus, DisputeStatus,
    InteractionStatus, InvoiceStatus, Lifecycle, PaymentStatus, Priority, ServiceOrderStatus, ServiceOrderType,
};
use ontology::{
    EntityKey, EntityKind, Fact, Field, FieldsBuilder, ListBuilder, LogPos, Millis, Op, System, ValueRef, Version,
    Vocabulary,
};

use crate::stream::event::{
    Case, Change, CreditNote, Data, Dispatch, Dispute, Event, Interaction, Invoice, Payment, Profile, RecordKind,
    Sender, ServiceOrder,
};

/// Version of this mapping.
const MAPPING_VERSION: u32 = 1;
/// Amounts are sent in cents.
const CENTS: u8 = 2;

/// Turns events into facts; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct FactMaker {
    fields: FieldsBuilder,
    item: FieldsBuilder,
}

impl FactMaker {
    /// The fact that `event` says. Its observation time is its source time: the workload has no
    /// other clock.
    pub fn fact(&mut self, event: &Event<&str>) -> Fact {
        self.fill(event);
        let changed_at = Millis(event.source_ts);
        Fact {
            event_id: CompactString::new(event.event_id),
            system: system_of(event.system),
            object: CompactString::new(event.source.object),
            record_id: CompactString::new(event.entity_id),
            entity: entity_of(event),
            op: match event.op {
                Change::Upsert => Op::Image,
                Change::Delete => Op::Delete,
            },
            version: Version::new(event.version, 0, 0),
            changed_at,
            observed_at: changed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: event.schema,
            mapping_version: MAPPING_VERSION,
            read_at: None,
            key_slot: 0,
            fields: self.fields.build(),
        }
    }

    /// Sets the fields in the order of their numbers, which saves sorting them.
    fn fill(&mut self, event: &Event<&str>) {
        let customer = event.customer_id;
        match &event.data {
            Data::Deleted => {}
            Data::Customer(profile) => self.profile(profile, event.system, customer),
            Data::Case(case) => self.case(case, customer),
            Data::Invoice(invoice) => self.invoice(invoice, customer),
            Data::Payment(payment) => self.payment(payment, customer),
            Data::Dispute(dispute) => self.dispute(dispute, customer),
            Data::CreditNote(note) => self.credit_note(note, customer),
            Data::Interaction(interaction) => self.interaction(interaction, customer),
            Data::ServiceOrder(order) => self.service_order(order, customer),
            Data::Dispatch(dispatch) => self.dispatch(dispatch, customer),
        }
    }

    fn text(&mut self, field: Field, text: &str) {
        self.fields.text(field, Some(text));
    }

    fn time(&mut self, field: Field, ms: i64) {
        self.fields.set(field, ValueRef::Time(Millis(ms)));
    }

    fn cents(&mut self, field: Field, cents: i64) {
        self.fields.set(field, ValueRef::Decimal { mantissa: cents, scale: CENTS });
    }

    /// Sets a word by the hub's name for it; the caller has put the workload's name into ours.
    fn word<V: Vocabulary>(&mut self, field: Field, renamed: &str) {
        self.fields.parsed_word::<V>(field, renamed);
    }

    fn profile(&mut self, profile: &Profile<&str>, system: Sender, customer: &str) {
        self.text(Field::Name, profile.name);
        self.text(Field::Tier, profile.tier);
        self.text(Field::Segment, profile.segment);
        self.word::<Lifecycle>(Field::Lifecycle, profile.status);
        self.text(Field::Email, profile.email);
        self.text(Field::Phone, profile.phone);
        self.text(Field::Street, profile.street);
        self.text(Field::City, profile.city);
        self.text(Field::PostalCode, profile.postal);
        self.text(Field::Country, profile.country);
        if system != Sender::Salesforce {
            self.text(Field::AccountXref, customer);
        }
        self.cents(Field::ArBalance, profile.ar_balance_cents);
        self.text(Field::Currency, "USD");
        let credit = if profile.credit_status == "OK" { "Good" } else { profile.credit_status };
        self.word::<CreditStatus>(Field::CreditStatus, credit);
        self.text(Field::PaymentTerms, profile.payment_terms);
    }

    fn case(&mut self, case: &Case<&str>, customer: &str) {
        let status = if case.status == "Working" { "InProgress" } else { case.status };
        self.word::<CaseStatus>(Field::Status, status);
        self.text(Field::AccountRef, customer);
        self.text(Field::Type, case.case_type);
        self.word::<Priority>(Field::Priority, case.priority);
        self.text(Field::Origin, case.origin);
        self.text(Field::OwnerId, case.owner_id);
        self.fields.set(Field::EscalationLevel, ValueRef::Int(case.escalation_level));
        self.text(Field::Subject, case.subject);
        self.text(Field::Description, case.description);
        self.time(Field::OpenedAt, case.opened_ts);
    }

    fn invoice(&mut self, invoice: &Invoice<&str>, customer: &str) {
        let status = if invoice.status == "PastDue" { "Open" } else { invoice.status };
        self.word::<InvoiceStatus>(Field::Status, status);
        self.text(Field::CustomerXref, customer);
        self.text(Field::Currency, invoice.currency);
        self.cents(Field::Amount, invoice.amount_cents);
        self.time(Field::DueDate, invoice.due_ts);
        self.time(Field::IssuedAt, invoice.issued_ts);
        let mut lines = ListBuilder::default();
        for line in &invoice.lines {
            self.item.set(Field::Amount, ValueRef::Decimal { mantissa: line.cents, scale: CENTS });
            self.item.set(Field::Text, ValueRef::Text(line.text));
            lines.push(&self.item.build());
        }
        self.fields.set(Field::Lines, lines.value());
    }

    fn payment(&mut self, payment: &Payment<&str>, customer: &str) {
        self.word::<PaymentStatus>(Field::Status, payment.status);
        self.text(Field::CustomerXref, customer);
        self.text(Field::Currency, payment.currency);
        self.text(Field::Description, payment.memo);
        self.cents(Field::Amount, payment.amount_cents);
        self.time(Field::ReceivedAt, payment.received_ts);
    }

    fn dispute(&mut self, dispute: &Dispute<&str>, customer: &str) {
        let status = if dispute.status == "Resolved" { "ResolvedAccepted" } else { dispute.status };
        self.word::<DisputeStatus>(Field::Status, status);
        self.text(Field::CustomerXref, customer);
        self.text(Field::Currency, "USD");
        self.time(Field::OpenedAt, dispute.raised_ts);
        self.cents(Field::Amount, dispute.amount_cents);
        self.text(Field::DisputeType, dispute.dispute_type);
        self.text(Field::Reason, dispute.reason);
    }

    fn credit_note(&mut self, note: &CreditNote<&str>, customer: &str) {
        self.word::<CreditNoteStatus>(Field::Status, note.status);
        self.text(Field::CustomerXref, customer);
        self.text(Field::Currency, "USD");
        self.cents(Field::Amount, note.amount_cents);
        self.time(Field::IssuedAt, note.created_ts);
        self.text(Field::Reason, note.reason);
        self.text(Field::Approver, note.approver);
    }

    fn interaction(&mut self, interaction: &Interaction<&str>, customer: &str) {
        self.word::<InteractionStatus>(Field::Status, interaction.status);
        self.text(Field::CustomerXref, customer);
        let channel = if interaction.channel == "voice" { "call" } else { interaction.channel };
        self.word::<Channel>(Field::Channel, channel);
        self.text(Field::AgentId, interaction.agent_id);
        self.fields.set(Field::DurationS, ValueRef::Int(interaction.duration_s));
        self.text(Field::Disposition, interaction.disposition);
        self.cents(Field::Sentiment, interaction.sentiment);
        self.time(Field::StartedAt, interaction.started_ts);
        self.text(Field::Queue, interaction.queue);
        self.text(Field::WrapUp, interaction.summary);
    }

    fn service_order(&mut self, order: &ServiceOrder<&str>, customer: &str) {
        let status = if order.status == "Released" { "Scheduled" } else { order.status };
        self.word::<ServiceOrderStatus>(Field::Status, status);
        self.text(Field::CustomerXref, customer);
        self.text(Field::Currency, "USD");
        let order_type = if order.order_type == "Upgrade" { "PlanUpgrade" } else { order.order_type };
        self.word::<ServiceOrderType>(Field::Type, order_type);
        self.text(Field::Description, order.notes);
        self.time(Field::ScheduledAt, order.scheduled_ts);
        self.cents(Field::Estimate, order.estimate_cents);
    }

    fn dispatch(&mut self, dispatch: &Dispatch<&str>, customer: &str) {
        let status = if dispatch.status == "Scheduled" { "Planned" } else { dispatch.status };
        self.word::<DispatchStatus>(Field::Status, status);
        self.text(Field::CustomerXref, customer);
        self.text(Field::Description, dispatch.notes);
        self.text(Field::TechnicianId, dispatch.technician_id);
        self.time(Field::Eta, dispatch.eta_ts);
        let outcome = if dispatch.outcome == "revisit" { "NotFixed" } else { dispatch.outcome };
        self.word::<DispatchOutcome>(Field::Outcome, outcome);
    }
}

fn system_of(sender: Sender) -> System {
    match sender {
        Sender::Salesforce => System::Salesforce,
        Sender::Oracle => System::Oracle,
        Sender::Wxcc => System::Wxcc,
        Sender::Sap => System::Sap,
    }
}

fn entity_of(event: &Event<&str>) -> EntityKey {
    let kind = match event.entity {
        RecordKind::Customer => match event.system {
            Sender::Salesforce => return EntityKey::new(EntityKind::Account, event.customer_id),
            Sender::Oracle => EntityKind::ArCustomer,
            Sender::Sap => EntityKind::BusinessPartner,
            Sender::Wxcc => EntityKind::CallerProfile,
        },
        RecordKind::Case => EntityKind::Case,
        RecordKind::Invoice => EntityKind::Invoice,
        RecordKind::Payment => EntityKind::Payment,
        RecordKind::Dispute => EntityKind::Dispute,
        RecordKind::CreditNote => EntityKind::CreditNote,
        RecordKind::Interaction => EntityKind::Interaction,
        RecordKind::ServiceOrder => EntityKind::ServiceOrder,
        RecordKind::Dispatch => EntityKind::FieldDispatch,
    };
    EntityKey::new(kind, event.entity_id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::FieldReader;

    use super::*;
    use crate::stream::Workload;
    use crate::stream::reference::lines;

    #[test]
    fn every_word_of_the_workload_is_one_of_ours_and_fields_are_in_order() {
        let mut maker = FactMaker::default();
        for line in lines(&Workload::new(50, 5_000, 3).to_bytes()) {
            let fact = maker.fact(&Event::parse(line).unwrap());
            let mut last = None;
            for (field, value) in fact.fields.iter() {
                assert!(last < Some(field), "{field:?} in {}", fact.entity);
                last = Some(field);
                assert!(!matches!(value, ValueRef::Unknown(_)), "{field:?} of {} is {value:?}", fact.entity);
            }
            assert_eq!(fact.fields.is_empty(), fact.op == Op::Delete);
        }
    }

    #[test]
    fn profiles_of_three_systems_meet_in_the_customer_id() {
        let line = |system: &str, id: &str| {
            format!(
                r#"{{"event_id":"e1","system":"{system}","entity":"customer","op":"upsert","entity_id":"{id}","customer_id":"C7","version":3,"source_ts":1000,"schema":1,"source":{{"object":"o","txn":"t","partition":0}},"data":{{"name":"A B 7","tier":"Gold","segment":"SMB","email":"a@b.test","phone":"+1","street":"1 x","city":"Y","postal":"00001","country":"US","ar_balance_cents":12345,"credit_status":"HOLD","payment_terms":"NET30","status":"Active"}}}}"#
            )
        };
        let mut maker = FactMaker::default();
        let mut read = |system, id| maker.fact(&Event::parse(line(system, id).as_bytes()).unwrap());
        let account = read("salesforce", "001");
        assert_eq!(account.entity, EntityKey::new(EntityKind::Account, "C7"));
        assert_eq!(account.fields.get(Field::AccountXref), ValueRef::Null);
        let billed = read("oracle", "AR-7");
        assert_eq!(billed.entity, EntityKey::new(EntityKind::ArCustomer, "AR-7"));
        assert_eq!(billed.fields.get(Field::AccountXref), ValueRef::Text("C7"));
        assert_eq!(billed.fields.get(Field::ArBalance), ValueRef::Decimal { mantissa: 12_345, scale: 2 });
        assert_eq!(billed.fields.coded::<CreditStatus>(Field::CreditStatus).known(), Some(CreditStatus::Hold));
        assert_eq!((billed.version.major, billed.changed_at), (3, Millis(1_000)));
    }
}
