//! A receivables invoice: the join of header, schedule and lines.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::{FieldReader, ValueRef};
use crate::status::InvoiceStatus;
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Amount, ValueKind::Decimal),
    FieldSpec::optional(Field::DueDate, ValueKind::Time),
    FieldSpec::required(Field::Status, ValueKind::word::<InvoiceStatus>()),
    FieldSpec::required(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::Tax, ValueKind::Decimal),
    FieldSpec::optional(Field::IssuedAt, ValueKind::Time),
    FieldSpec::required(Field::ArCustomerRef, ValueKind::Text),
    FieldSpec::optional(Field::Outstanding, ValueKind::Decimal),
    FieldSpec::optional(Field::BillingType, ValueKind::Text),
    FieldSpec::optional(Field::Lines, ValueKind::List),
    FieldSpec::optional(Field::CaseRef, ValueKind::Text),
];

/// A receivables invoice: the join of header, schedule and lines, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct Invoice<'a> {
    /// Amount, decimal in the record's currency.
    pub amount: Option<(i64, u8)>,
    /// When it is due.
    pub due_date: Option<Millis>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, InvoiceStatus>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// Tax within the amount.
    pub tax: Option<(i64, u8)>,
    /// When it was issued.
    pub issued_at: Option<Millis>,
    /// The AR customer that is billed.
    pub ar_customer_ref: Option<&'a str>,
    /// What is still to be paid.
    pub outstanding: Option<(i64, u8)>,
    /// What kind of bill: recurring, one-off, milestone.
    pub billing_type: Option<&'a str>,
    /// Invoice lines within the record: amount, service_order_ref, period.
    pub lines: ValueRef<'a>,
    /// The case concerned.
    pub case_ref: Option<&'a str>,
}

impl<'a> Invoice<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Invoice {
            amount: source.get(Field::Amount).decimal(),
            due_date: source.time(Field::DueDate),
            status: source.coded(Field::Status),
            currency: source.text(Field::Currency),
            tax: source.get(Field::Tax).decimal(),
            issued_at: source.time(Field::IssuedAt),
            ar_customer_ref: source.text(Field::ArCustomerRef),
            outstanding: source.get(Field::Outstanding).decimal(),
            billing_type: source.text(Field::BillingType),
            lines: source.get(Field::Lines),
            case_ref: source.text(Field::CaseRef),
        }
    }
}
