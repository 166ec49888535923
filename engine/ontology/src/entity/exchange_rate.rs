//! A dated exchange rate.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Currency, ValueKind::Text),
    FieldSpec::required(Field::QuoteCurrency, ValueKind::Text),
    FieldSpec::required(Field::Rate, ValueKind::Decimal),
    FieldSpec::required(Field::ValidOn, ValueKind::Text),
];

/// A dated exchange rate, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeRate<'a> {
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// Currency that the rate converts to.
    pub quote_currency: Option<&'a str>,
    /// Exchange rate, decimal.
    pub rate: Option<(i64, u8)>,
    /// Day that the rate is for.
    pub valid_on: Option<&'a str>,
}

impl<'a> ExchangeRate<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        ExchangeRate {
            currency: source.text(Field::Currency),
            quote_currency: source.text(Field::QuoteCurrency),
            rate: source.get(Field::Rate).decimal(),
            valid_on: source.text(Field::ValidOn),
        }
    }
}
