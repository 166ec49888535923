//! Records of the four systems.

use ontology::entity as read;
use ontology::{Coded, Field, FieldReader, Vocabulary};
use proto::v1;
use state::Entity;

use super::common::{decimal_money, source_ref, time};
use super::word;

/// Collects values outside the vocabulary while a record is converted.
#[derive(Default)]
struct Unknowns(Vec<v1::UnknownValue>);

impl Unknowns {
    /// Number on the wire of a coded value; `unknown` stands for words we do not have.
    fn number<V: Vocabulary>(&mut self, field: Field, value: Coded<'_, V>, unknown: i32) -> i32 {
        match value {
            Coded::Known(known) => word(known),
            Coded::Missing => 0,
            Coded::Unknown(raw) => {
                self.note(field, raw);
                unknown
            }
        }
    }

    /// Name of a coded value; a word we do not have stands as the source wrote it.
    fn name<V: Vocabulary>(&mut self, field: Field, value: Coded<'_, V>) -> String {
        match value {
            Coded::Known(known) => known.name().to_owned(),
            Coded::Missing => String::new(),
            Coded::Unknown(raw) => {
                self.note(field, raw);
                raw.to_owned()
            }
        }
    }

    fn note(&mut self, field: Field, raw: &str) {
        self.0.push(v1::UnknownValue { field: field.name().to_owned(), value: raw.to_owned() });
    }
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn small(value: Option<i64>) -> i32 {
    value.and_then(|value| i32::try_from(value).ok()).unwrap_or_default()
}

/// The version of the delivery that the record rests on last.
fn version(entity: &Entity) -> String {
    entity.newest().map(|newest| newest.stamp.version.to_string()).unwrap_or_default()
}

/// A case.
#[must_use]
pub fn case(entity: &Entity) -> v1::Case {
    let record = read::Case::read(entity);
    let mut unknowns = Unknowns::default();
    v1::Case {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::CaseStatus::Unknown.into()),
        r#type: text(record.type_name),
        priority: unknowns.name(Field::Priority, record.priority),
        origin: text(record.origin),
        owner_id: text(record.owner_id),
        owner_team: text(record.owner_team),
        escalation_level: small(record.escalation_level),
        category: text(record.category),
        subject: text(record.subject),
        account_id: text(record.account_ref),
        open_time: record.opened_at.and_then(time),
        resolve_time: record.resolved_at.and_then(time),
        reopen_count: small(record.reopen_count),
        related_refs: record.related_refs.items().filter_map(|item| item.text(Field::Ref).map(str::to_owned)).collect(),
        version: version(entity),
        unknown_values: unknowns.0,
    }
}

/// An invoice.
#[must_use]
pub fn invoice(entity: &Entity) -> v1::Invoice {
    let record = read::Invoice::read(entity);
    let mut unknowns = Unknowns::default();
    let money = |amount| decimal_money(amount, record.currency);
    let lines = record.lines.items().map(|line| v1::InvoiceLine {
        amount: money(line.get(Field::Amount).decimal()),
        service_order_id: text(line.text(Field::ServiceOrderRef)),
        period: text(line.text(Field::Period)),
    });
    v1::Invoice {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::InvoiceStatus::Unknown.into()),
        amount: money(record.amount),
        tax: money(record.tax),
        outstanding: money(record.outstanding),
        issue_time: record.issued_at.and_then(time),
        due_time: record.due_date.and_then(time),
        ar_customer_id: text(record.ar_customer_ref),
        billing_type: text(record.billing_type),
        lines: lines.collect(),
        version: version(entity),
        unknown_values: unknowns.0,
    }
}

/// A dispute.
#[must_use]
pub fn dispute(entity: &Entity) -> v1::Dispute {
    let record = read::Dispute::read(entity);
    let mut unknowns = Unknowns::default();
    v1::Dispute {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::DisputeStatus::Unknown.into()),
        r#type: text(record.dispute_type),
        invoice_id: text(record.invoice_ref),
        amount: decimal_money(record.amount, record.currency),
        agreed_amount: decimal_money(record.agreed_amount, record.currency),
        case_id: text(record.case_ref),
        open_time: record.opened_at.and_then(time),
        close_time: record.closed_at.and_then(time),
        version: version(entity),
        unknown_values: unknowns.0,
    }
}

/// A credit note.
#[must_use]
pub fn credit_note(entity: &Entity) -> v1::CreditNote {
    let record = read::CreditNote::read(entity);
    let mut unknowns = Unknowns::default();
    v1::CreditNote {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::CreditNoteStatus::Unknown.into()),
        amount: decimal_money(record.amount, record.currency),
        invoice_id: text(record.invoice_ref),
        dispute_id: text(record.dispute_ref),
        case_id: text(record.case_ref),
        version: version(entity),
        unknown_values: unknowns.0,
    }
}

/// A payment.
#[must_use]
pub fn payment(entity: &Entity) -> v1::Payment {
    let record = read::Payment::read(entity);
    v1::Payment {
        r#ref: Some(source_ref(&entity.key)),
        amount: decimal_money(record.amount, record.currency),
        invoice_id: text(record.invoice_ref),
        receive_time: record.received_at.and_then(time),
        status: Unknowns::default().name(Field::Status, record.status),
        version: version(entity),
    }
}

/// An interaction.
#[must_use]
pub fn interaction(entity: &Entity) -> v1::Interaction {
    let record = read::Interaction::read(entity);
    let mut unknowns = Unknowns::default();
    v1::Interaction {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::InteractionStatus::Unknown.into()),
        channel: unknowns.number(Field::Channel, record.channel, v1::Channel::Unknown.into()),
        direction: unknowns.name(Field::Direction, record.direction),
        start_time: record.started_at.and_then(time),
        end_time: record.ended_at.and_then(time),
        duration: record.duration_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        agent_id: text(record.agent_id),
        queue: text(record.queue),
        disposition: text(record.disposition),
        sentiment_score: record.sentiment.map(|(mantissa, scale)| mantissa as f64 / 10_f64.powi(i32::from(scale))),
        case_id: text(record.case_ref),
        caller_profile_id: text(record.caller_ref),
        category: text(record.category),
        reason: text(record.reason),
        wrap_up: text(record.wrap_up),
        version: version(entity),
        unknown_values: unknowns.0,
    }
}

/// A service order.
#[must_use]
pub fn service_order(entity: &Entity) -> v1::ServiceOrder {
    let record = read::ServiceOrder::read(entity);
    let mut unknowns = Unknowns::default();
    v1::ServiceOrder {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::ServiceOrderStatus::Unknown.into()),
        r#type: unknowns.name(Field::Type, record.type_name),
        account_id: text(record.account_ref),
        schedule_time: record.scheduled_at.and_then(time),
        completion_time: record.completed_at.and_then(time),
        estimate: decimal_money(record.estimate, record.currency),
        case_id: text(record.case_ref),
        asset_id: text(record.asset_id),
        billable: record.billable,
        version: version(entity),
        unknown_values: unknowns.0,
    }
}

/// A field dispatch.
#[must_use]
pub fn field_dispatch(entity: &Entity) -> v1::FieldDispatch {
    let record = read::FieldDispatch::read(entity);
    let mut unknowns = Unknowns::default();
    v1::FieldDispatch {
        r#ref: Some(source_ref(&entity.key)),
        status: unknowns.number(Field::Status, record.status, v1::FieldDispatchStatus::Unknown.into()),
        service_order_id: text(record.service_order_ref),
        technician_id: text(record.technician_id),
        eta_time: record.eta.and_then(time),
        outcome: unknowns.name(Field::Outcome, record.outcome),
        dispatch_time: record.dispatched_at.and_then(time),
        arrival_time: record.arrived_at.and_then(time),
        safety_flag: record.safety_flag,
        version: version(entity),
        unknown_values: unknowns.0,
    }
}
