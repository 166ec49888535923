//! A billing dispute.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::DisputeStatus;
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::optional(Field::DisputeType, ValueKind::Text),
    FieldSpec::required(Field::Status, ValueKind::word::<DisputeStatus>()),
    FieldSpec::optional(Field::CreditNoteRef, ValueKind::Text),
    FieldSpec::required(Field::InvoiceRef, ValueKind::Text),
    FieldSpec::optional(Field::Amount, ValueKind::Decimal),
    FieldSpec::optional(Field::AgreedAmount, ValueKind::Decimal),
    FieldSpec::optional(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::CaseRef, ValueKind::Text),
    FieldSpec::optional(Field::OpenedAt, ValueKind::Time),
    FieldSpec::optional(Field::ClosedAt, ValueKind::Time),
];

/// A billing dispute, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct Dispute<'a> {
    /// What the dispute is about.
    pub dispute_type: Option<&'a str>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, DisputeStatus>,
    /// The credit note concerned.
    pub credit_note_ref: Option<&'a str>,
    /// The invoice concerned.
    pub invoice_ref: Option<&'a str>,
    /// Amount, decimal in the record's currency.
    pub amount: Option<(i64, u8)>,
    /// What was agreed to be credited.
    pub agreed_amount: Option<(i64, u8)>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// The case concerned.
    pub case_ref: Option<&'a str>,
    /// When it was opened.
    pub opened_at: Option<Millis>,
    /// When it was closed.
    pub closed_at: Option<Millis>,
}

impl<'a> Dispute<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Dispute {
            dispute_type: source.text(Field::DisputeType),
            status: source.coded(Field::Status),
            credit_note_ref: source.text(Field::CreditNoteRef),
            invoice_ref: source.text(Field::InvoiceRef),
            amount: source.get(Field::Amount).decimal(),
            agreed_amount: source.get(Field::AgreedAmount).decimal(),
            currency: source.text(Field::Currency),
            case_ref: source.text(Field::CaseRef),
            opened_at: source.time(Field::OpenedAt),
            closed_at: source.time(Field::ClosedAt),
        }
    }
}
