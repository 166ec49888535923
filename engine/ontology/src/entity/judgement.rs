//! A person's decision on whether two party records are one customer.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::Verdict;
use crate::time::Millis;
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::LeftRef, ValueKind::Text),
    FieldSpec::required(Field::RightRef, ValueKind::Text),
    FieldSpec::required(Field::Verdict, ValueKind::word::<Verdict>()),
    FieldSpec::required(Field::Actor, ValueKind::Text),
    FieldSpec::optional(Field::Reason, ValueKind::Text),
    FieldSpec::required(Field::DecidedAt, ValueKind::Time),
];

/// A person's decision on whether two party records are one customer, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct Judgement<'a> {
    /// First party record of a pair.
    pub left_ref: Option<&'a str>,
    /// Second party record of a pair.
    pub right_ref: Option<&'a str>,
    /// What a person decided.
    pub verdict: Coded<'a, Verdict>,
    /// Who decided.
    pub actor: Option<&'a str>,
    /// Why, in words.
    pub reason: Option<&'a str>,
    /// When it was decided.
    pub decided_at: Option<Millis>,
}

impl<'a> Judgement<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Judgement {
            left_ref: source.text(Field::LeftRef),
            right_ref: source.text(Field::RightRef),
            verdict: source.coded(Field::Verdict),
            actor: source.text(Field::Actor),
            reason: source.text(Field::Reason),
            decided_at: source.time(Field::DecidedAt),
        }
    }
}
