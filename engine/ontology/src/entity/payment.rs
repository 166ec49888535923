//! A payment.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::PaymentStatus;
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Amount, ValueKind::Decimal),
    FieldSpec::optional(Field::Status, ValueKind::word::<PaymentStatus>()),
    FieldSpec::optional(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::InvoiceRef, ValueKind::Text),
    FieldSpec::optional(Field::ArCustomerRef, ValueKind::Text),
    FieldSpec::optional(Field::ReceivedAt, ValueKind::Time),
];

/// A payment, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct Payment<'a> {
    /// Amount, decimal in the record's currency.
    pub amount: Option<(i64, u8)>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, PaymentStatus>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// The invoice concerned.
    pub invoice_ref: Option<&'a str>,
    /// The AR customer that is billed.
    pub ar_customer_ref: Option<&'a str>,
    /// When the money was received.
    pub received_at: Option<Millis>,
}

impl<'a> Payment<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Payment {
            amount: source.get(Field::Amount).decimal(),
            status: source.coded(Field::Status),
            currency: source.text(Field::Currency),
            invoice_ref: source.text(Field::InvoiceRef),
            ar_customer_ref: source.text(Field::ArCustomerRef),
            received_at: source.time(Field::ReceivedAt),
        }
    }
}
