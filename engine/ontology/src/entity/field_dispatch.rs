//! A visit by a technician.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::{DispatchOutcome, DispatchStatus};
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::ServiceOrderRef, ValueKind::Text),
    FieldSpec::optional(Field::TechnicianId, ValueKind::Text),
    FieldSpec::required(Field::Status, ValueKind::word::<DispatchStatus>()),
    FieldSpec::optional(Field::Eta, ValueKind::Time),
    FieldSpec::optional(Field::Outcome, ValueKind::word::<DispatchOutcome>()),
    FieldSpec::optional(Field::DispatchedAt, ValueKind::Time),
    FieldSpec::optional(Field::ArrivedAt, ValueKind::Time),
    FieldSpec::optional(Field::SafetyFlag, ValueKind::Bool),
];

/// A visit by a technician, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct FieldDispatch<'a> {
    /// The service order concerned.
    pub service_order_ref: Option<&'a str>,
    /// The technician.
    pub technician_id: Option<&'a str>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, DispatchStatus>,
    /// Expected arrival.
    pub eta: Option<Millis>,
    /// What the visit achieved.
    pub outcome: Coded<'a, DispatchOutcome>,
    /// When the technician was sent.
    pub dispatched_at: Option<Millis>,
    /// Arrival.
    pub arrived_at: Option<Millis>,
    /// Whether there is a hazard on site.
    pub safety_flag: Option<bool>,
}

impl<'a> FieldDispatch<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        FieldDispatch {
            service_order_ref: source.text(Field::ServiceOrderRef),
            technician_id: source.text(Field::TechnicianId),
            status: source.coded(Field::Status),
            eta: source.time(Field::Eta),
            outcome: source.coded(Field::Outcome),
            dispatched_at: source.time(Field::DispatchedAt),
            arrived_at: source.time(Field::ArrivedAt),
            safety_flag: source.get(Field::SafetyFlag).bool(),
        }
    }
}
