//! A credit note, or the request that becomes one after approval.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::CreditNoteStatus;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Amount, ValueKind::Decimal),
    FieldSpec::required(Field::Status, ValueKind::word::<CreditNoteStatus>()),
    FieldSpec::optional(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::InvoiceRef, ValueKind::Text),
    FieldSpec::optional(Field::DisputeRef, ValueKind::Text),
    FieldSpec::optional(Field::CaseRef, ValueKind::Text),
];

/// A credit note, or the request that becomes one after approval, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct CreditNote<'a> {
    /// Amount, decimal in the record's currency.
    pub amount: Option<(i64, u8)>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, CreditNoteStatus>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// The invoice concerned.
    pub invoice_ref: Option<&'a str>,
    /// The dispute concerned.
    pub dispute_ref: Option<&'a str>,
    /// The case concerned.
    pub case_ref: Option<&'a str>,
}

impl<'a> CreditNote<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        CreditNote {
            amount: source.get(Field::Amount).decimal(),
            status: source.coded(Field::Status),
            currency: source.text(Field::Currency),
            invoice_ref: source.text(Field::InvoiceRef),
            dispute_ref: source.text(Field::DisputeRef),
            case_ref: source.text(Field::CaseRef),
        }
    }
}
