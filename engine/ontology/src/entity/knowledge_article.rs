//! A knowledge article; only published ones are shown.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::{FieldReader, ValueRef};

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Title, ValueKind::Text),
    FieldSpec::required(Field::Status, ValueKind::Text),
    FieldSpec::optional(Field::OrderTypes, ValueKind::List),
    FieldSpec::optional(Field::Categories, ValueKind::List),
];

/// A knowledge article; only published ones are shown, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct KnowledgeArticle<'a> {
    /// Title.
    pub title: Option<&'a str>,
    /// Status of the entity, in the entity's own vocabulary.
    pub status: Option<&'a str>,
    /// Service order types that it applies to.
    pub order_types: ValueRef<'a>,
    /// Case categories that it applies to.
    pub categories: ValueRef<'a>,
}

impl<'a> KnowledgeArticle<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        KnowledgeArticle {
            title: source.text(Field::Title),
            status: source.text(Field::Status),
            order_types: source.get(Field::OrderTypes),
            categories: source.get(Field::Categories),
        }
    }
}
