//! An agent or a team.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::{FieldReader, ValueRef};

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Name, ValueKind::Text),
    FieldSpec::optional(Field::Team, ValueKind::Text),
    FieldSpec::optional(Field::Calendar, ValueKind::Text),
    FieldSpec::optional(Field::Roles, ValueKind::List),
];

/// An agent or a team, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct DirectoryEntry<'a> {
    /// Full name of a person or an organisation.
    pub name: Option<&'a str>,
    /// Team.
    pub team: Option<&'a str>,
    /// Working calendar.
    pub calendar: Option<&'a str>,
    /// Roles.
    pub roles: ValueRef<'a>,
}

impl<'a> DirectoryEntry<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        DirectoryEntry {
            name: source.text(Field::Name),
            team: source.text(Field::Team),
            calendar: source.text(Field::Calendar),
            roles: source.get(Field::Roles),
        }
    }
}
