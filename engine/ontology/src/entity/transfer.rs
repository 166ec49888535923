//! A request to move a case to another team.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::time::Millis;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::CaseRef, ValueKind::Text),
    FieldSpec::optional(Field::FromTeam, ValueKind::Text),
    FieldSpec::required(Field::ToTeam, ValueKind::Text),
    FieldSpec::optional(Field::ToAgent, ValueKind::Text),
    FieldSpec::optional(Field::InteractionRef, ValueKind::Text),
    FieldSpec::required(Field::InitiatedAt, ValueKind::Time),
    FieldSpec::optional(Field::Reason, ValueKind::Text),
    FieldSpec::optional(Field::Controlled, ValueKind::Bool),
    FieldSpec::optional(Field::AcceptedAt, ValueKind::Time),
    FieldSpec::optional(Field::AcceptedBy, ValueKind::Text),
    FieldSpec::optional(Field::CancelledAt, ValueKind::Time),
    FieldSpec::optional(Field::ReturnedAt, ValueKind::Time),
];

/// A request to move a case to another team, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// The case concerned.
    pub case_ref: Option<&'a str>,
    /// Team that hands over.
    pub from_team: Option<&'a str>,
    /// Team that takes over.
    pub to_team: Option<&'a str>,
    /// Agent who takes over.
    pub to_agent: Option<&'a str>,
    /// The interaction concerned.
    pub interaction_ref: Option<&'a str>,
    /// When the transfer began.
    pub initiated_at: Option<Millis>,
    /// Why, in words.
    pub reason: Option<&'a str>,
    /// Whether the hub can hold the transfer.
    pub controlled: Option<bool>,
    /// When the receiver accepted.
    pub accepted_at: Option<Millis>,
    /// Who accepted.
    pub accepted_by: Option<&'a str>,
    /// When it was cancelled.
    pub cancelled_at: Option<Millis>,
    /// When the receiver gave it back.
    pub returned_at: Option<Millis>,
}

impl<'a> Transfer<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Transfer {
            case_ref: source.text(Field::CaseRef),
            from_team: source.text(Field::FromTeam),
            to_team: source.text(Field::ToTeam),
            to_agent: source.text(Field::ToAgent),
            interaction_ref: source.text(Field::InteractionRef),
            initiated_at: source.time(Field::InitiatedAt),
            reason: source.text(Field::Reason),
            controlled: source.get(Field::Controlled).bool(),
            accepted_at: source.time(Field::AcceptedAt),
            accepted_by: source.text(Field::AcceptedBy),
            cancelled_at: source.time(Field::CancelledAt),
            returned_at: source.time(Field::ReturnedAt),
        }
    }
}
