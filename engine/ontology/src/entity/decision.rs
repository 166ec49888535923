//! What a person decided on a discrepancy or an alert.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::Decision;
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::SubjectRef, ValueKind::Text),
    FieldSpec::required(Field::Verdict, ValueKind::word::<Decision>()),
    FieldSpec::required(Field::Actor, ValueKind::Text),
    FieldSpec::optional(Field::Reason, ValueKind::Text),
    FieldSpec::optional(Field::Until, ValueKind::Time),
    FieldSpec::required(Field::DecidedAt, ValueKind::Time),
];

/// What a person decided on a discrepancy or an alert, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// The object that a decision is about.
    pub subject_ref: Option<&'a str>,
    /// What a person decided.
    pub verdict: Coded<'a, Decision>,
    /// Who decided.
    pub actor: Option<&'a str>,
    /// Why, in words.
    pub reason: Option<&'a str>,
    /// How long a waiver holds.
    pub until: Option<Millis>,
    /// When it was decided.
    pub decided_at: Option<Millis>,
}

impl<'a> Decided<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Decided {
            subject_ref: source.text(Field::SubjectRef),
            verdict: source.coded(Field::Verdict),
            actor: source.text(Field::Actor),
            reason: source.text(Field::Reason),
            until: source.time(Field::Until),
            decided_at: source.time(Field::DecidedAt),
        }
    }
}
