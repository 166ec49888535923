//! A case at the service desk.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::{FieldReader, ValueRef};
use crate::status::{CaseStatus, Priority};
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::AccountRef, ValueKind::Text),
    FieldSpec::required(Field::Status, ValueKind::word::<CaseStatus>()),
    FieldSpec::optional(Field::Type, ValueKind::Text),
    FieldSpec::optional(Field::Priority, ValueKind::word::<Priority>()),
    FieldSpec::optional(Field::Origin, ValueKind::Text),
    FieldSpec::optional(Field::OwnerId, ValueKind::Text),
    FieldSpec::optional(Field::OwnerTeam, ValueKind::Text),
    FieldSpec::optional(Field::EscalationLevel, ValueKind::Int),
    FieldSpec::optional(Field::Category, ValueKind::Text),
    FieldSpec::optional(Field::Subject, ValueKind::Text),
    FieldSpec::optional(Field::Description, ValueKind::Text),
    FieldSpec::optional(Field::OpenedAt, ValueKind::Time),
    FieldSpec::optional(Field::ResolvedAt, ValueKind::Time),
    FieldSpec::optional(Field::ReopenCount, ValueKind::Int),
    FieldSpec::optional(Field::RelatedRefs, ValueKind::List),
    FieldSpec::optional(Field::Impact, ValueKind::Text),
    FieldSpec::optional(Field::CauseRef, ValueKind::Text),
];

/// A case at the service desk, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The party record that the entity belongs to, in its own system.
    pub account_ref: Option<&'a str>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, CaseStatus>,
    /// Type of case or service order.
    pub type_name: Option<&'a str>,
    /// Priority.
    pub priority: Coded<'a, Priority>,
    /// How the case came in.
    pub origin: Option<&'a str>,
    /// Owner: a person or a queue.
    pub owner_id: Option<&'a str>,
    /// Team of the owner.
    pub owner_team: Option<&'a str>,
    /// Escalation level 0 to 3.
    pub escalation_level: Option<i64>,
    /// Category of the issue.
    pub category: Option<&'a str>,
    /// Subject line.
    pub subject: Option<&'a str>,
    /// Free text.
    pub description: Option<&'a str>,
    /// When it was opened.
    pub opened_at: Option<Millis>,
    /// When it was resolved.
    pub resolved_at: Option<Millis>,
    /// How often the source says it was re-opened.
    pub reopen_count: Option<i64>,
    /// Other entities that the record names.
    pub related_refs: ValueRef<'a>,
    /// Impact.
    pub impact: Option<&'a str>,
    /// Failed process, product or record behind it.
    pub cause_ref: Option<&'a str>,
}

impl<'a> Case<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Case {
            account_ref: source.text(Field::AccountRef),
            status: source.coded(Field::Status),
            type_name: source.text(Field::Type),
            priority: source.coded(Field::Priority),
            origin: source.text(Field::Origin),
            owner_id: source.text(Field::OwnerId),
            owner_team: source.text(Field::OwnerTeam),
            escalation_level: source.get(Field::EscalationLevel).int(),
            category: source.text(Field::Category),
            subject: source.text(Field::Subject),
            description: source.text(Field::Description),
            opened_at: source.time(Field::OpenedAt),
            resolved_at: source.time(Field::ResolvedAt),
            reopen_count: source.get(Field::ReopenCount).int(),
            related_refs: source.get(Field::RelatedRefs),
            impact: source.text(Field::Impact),
            cause_ref: source.text(Field::CauseRef),
        }
    }
}
