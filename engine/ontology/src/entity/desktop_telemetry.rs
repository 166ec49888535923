//! An agent going from one system's view to the next.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::time::Millis;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::AgentId, ValueKind::Text),
    FieldSpec::optional(Field::CaseRef, ValueKind::Text),
    FieldSpec::optional(Field::FromSystem, ValueKind::Text),
    FieldSpec::optional(Field::ToSystem, ValueKind::Text),
    FieldSpec::optional(Field::LeftAt, ValueKind::Time),
    FieldSpec::optional(Field::ArrivedAt, ValueKind::Time),
];

/// An agent going from one system's view to the next, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct DesktopTelemetry<'a> {
    /// The agent.
    pub agent_id: Option<&'a str>,
    /// The case concerned.
    pub case_ref: Option<&'a str>,
    /// System that the agent left.
    pub from_system: Option<&'a str>,
    /// System that the agent went to.
    pub to_system: Option<&'a str>,
    /// When the agent left.
    pub left_at: Option<Millis>,
    /// Arrival.
    pub arrived_at: Option<Millis>,
}

impl<'a> DesktopTelemetry<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        DesktopTelemetry {
            agent_id: source.text(Field::AgentId),
            case_ref: source.text(Field::CaseRef),
            from_system: source.text(Field::FromSystem),
            to_system: source.text(Field::ToSystem),
            left_at: source.time(Field::LeftAt),
            arrived_at: source.time(Field::ArrivedAt),
        }
    }
}
