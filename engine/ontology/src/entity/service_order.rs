//! A service order.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::{ServiceOrderStatus, ServiceOrderType};
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::AccountRef, ValueKind::Text),
    FieldSpec::optional(Field::Type, ValueKind::word::<ServiceOrderType>()),
    FieldSpec::required(Field::Status, ValueKind::word::<ServiceOrderStatus>()),
    FieldSpec::optional(Field::ScheduledAt, ValueKind::Time),
    FieldSpec::optional(Field::CompletedAt, ValueKind::Time),
    FieldSpec::optional(Field::Estimate, ValueKind::Decimal),
    FieldSpec::optional(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::CaseRef, ValueKind::Text),
    FieldSpec::optional(Field::AssetId, ValueKind::Text),
    FieldSpec::optional(Field::Billable, ValueKind::Bool),
    FieldSpec::optional(Field::BillingPlan, ValueKind::Text),
];

/// A service order, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct ServiceOrder<'a> {
    /// The party record that the entity belongs to, in its own system.
    pub account_ref: Option<&'a str>,
    /// Type of case or service order.
    pub type_name: Coded<'a, ServiceOrderType>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, ServiceOrderStatus>,
    /// When it is planned for.
    pub scheduled_at: Option<Millis>,
    /// When it was completed.
    pub completed_at: Option<Millis>,
    /// Estimated cost.
    pub estimate: Option<(i64, u8)>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// The case concerned.
    pub case_ref: Option<&'a str>,
    /// Equipment concerned.
    pub asset_id: Option<&'a str>,
    /// Whether the work is billed.
    pub billable: Option<bool>,
    /// How the order is billed: once, milestone.
    pub billing_plan: Option<&'a str>,
}

impl<'a> ServiceOrder<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        ServiceOrder {
            account_ref: source.text(Field::AccountRef),
            type_name: source.coded(Field::Type),
            status: source.coded(Field::Status),
            scheduled_at: source.time(Field::ScheduledAt),
            completed_at: source.time(Field::CompletedAt),
            estimate: source.get(Field::Estimate).decimal(),
            currency: source.text(Field::Currency),
            case_ref: source.text(Field::CaseRef),
            asset_id: source.text(Field::AssetId),
            billable: source.get(Field::Billable).bool(),
            billing_plan: source.text(Field::BillingPlan),
        }
    }
}
