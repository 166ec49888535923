//! A contact: call, chat, e-mail or callback.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::{FieldReader, ValueRef};
use crate::status::{Channel, Direction, InteractionStatus};
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Channel, ValueKind::word::<Channel>()),
    FieldSpec::optional(Field::AgentId, ValueKind::Text),
    FieldSpec::optional(Field::DurationS, ValueKind::Int),
    FieldSpec::optional(Field::Disposition, ValueKind::Text),
    FieldSpec::optional(Field::Sentiment, ValueKind::Decimal),
    FieldSpec::optional(Field::Direction, ValueKind::word::<Direction>()),
    FieldSpec::required(Field::Status, ValueKind::word::<InteractionStatus>()),
    FieldSpec::optional(Field::StartedAt, ValueKind::Time),
    FieldSpec::optional(Field::EndedAt, ValueKind::Time),
    FieldSpec::optional(Field::Queue, ValueKind::Text),
    FieldSpec::optional(Field::CallerRef, ValueKind::Text),
    FieldSpec::optional(Field::CaseRef, ValueKind::Text),
    FieldSpec::optional(Field::Category, ValueKind::Text),
    FieldSpec::optional(Field::Reason, ValueKind::Text),
    FieldSpec::optional(Field::WrapUp, ValueKind::Text),
    FieldSpec::optional(Field::Statements, ValueKind::List),
];

/// A contact: call, chat, e-mail or callback, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct Interaction<'a> {
    /// Channel of the contact.
    pub channel: Coded<'a, Channel>,
    /// The agent.
    pub agent_id: Option<&'a str>,
    /// Duration in seconds.
    pub duration_s: Option<i64>,
    /// How the contact ended.
    pub disposition: Option<&'a str>,
    /// Sentiment, decimal in [-1, 1].
    pub sentiment: Option<(i64, u8)>,
    /// Who started the contact.
    pub direction: Coded<'a, Direction>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Coded<'a, InteractionStatus>,
    /// Start.
    pub started_at: Option<Millis>,
    /// End.
    pub ended_at: Option<Millis>,
    /// Queue.
    pub queue: Option<&'a str>,
    /// The caller profile that the contact came from.
    pub caller_ref: Option<&'a str>,
    /// The case concerned.
    pub case_ref: Option<&'a str>,
    /// Category of the issue.
    pub category: Option<&'a str>,
    /// Why, in words.
    pub reason: Option<&'a str>,
    /// Wrap-up text.
    pub wrap_up: Option<&'a str>,
    /// What the customer said: at, who, text.
    pub statements: ValueRef<'a>,
}

impl<'a> Interaction<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Interaction {
            channel: source.coded(Field::Channel),
            agent_id: source.text(Field::AgentId),
            duration_s: source.get(Field::DurationS).int(),
            disposition: source.text(Field::Disposition),
            sentiment: source.get(Field::Sentiment).decimal(),
            direction: source.coded(Field::Direction),
            status: source.coded(Field::Status),
            started_at: source.time(Field::StartedAt),
            ended_at: source.time(Field::EndedAt),
            queue: source.text(Field::Queue),
            caller_ref: source.text(Field::CallerRef),
            case_ref: source.text(Field::CaseRef),
            category: source.text(Field::Category),
            reason: source.text(Field::Reason),
            wrap_up: source.text(Field::WrapUp),
            statements: source.get(Field::Statements),
        }
    }
}
