//! One line of an invoice that arrives as a row of its own.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::InvoiceRef, ValueKind::Text),
    FieldSpec::required(Field::Amount, ValueKind::Decimal),
    FieldSpec::optional(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::ServiceOrderRef, ValueKind::Text),
    FieldSpec::optional(Field::Period, ValueKind::Text),
    FieldSpec::optional(Field::LineType, ValueKind::Text),
];

/// One line of an invoice that arrives as a row of its own, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct InvoiceLine<'a> {
    /// The invoice concerned.
    pub invoice_ref: Option<&'a str>,
    /// Amount, decimal in the record's currency.
    pub amount: Option<(i64, u8)>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// The service order concerned.
    pub service_order_ref: Option<&'a str>,
    /// Billing period of a line.
    pub period: Option<&'a str>,
    /// Kind of line: LINE, TAX, FREIGHT.
    pub line_type: Option<&'a str>,
}

impl<'a> InvoiceLine<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        InvoiceLine {
            invoice_ref: source.text(Field::InvoiceRef),
            amount: source.get(Field::Amount).decimal(),
            currency: source.text(Field::Currency),
            service_order_ref: source.text(Field::ServiceOrderRef),
            period: source.text(Field::Period),
            line_type: source.text(Field::LineType),
        }
    }
}
