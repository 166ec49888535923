//! A row of a table as the resolver takes it.

use compact_str::CompactString;
use ontology::{EntityKey, EntityKind};

use crate::kind::{Kind, Layout};
use crate::standard::Part;

/// A record of any table: text as it came, each value with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub(crate) key: EntityKey,
    pub(crate) source: u8,
    pub(crate) country: CompactString,
    pub(crate) values: Vec<(Kind, Part, CompactString)>,
}

/// The kind of record key that rows of a table's n-th source get.
#[must_use]
pub fn kind_of_source(source: u8) -> EntityKind {
    match source {
        0 => EntityKind::Account,
        1 => EntityKind::ArCustomer,
        2..=u8::MAX => EntityKind::BusinessPartner,
    }
}

impl Layout {
    /// A row from values in the order of the columns; empty ones say nothing, missing ones too.
    #[must_use]
    pub fn row(&self, key: EntityKey, source: u8, values: &[&str]) -> Row {
        let filled = self.columns.iter().zip(values).filter(|(_, value)| !value.trim().is_empty());
        let values: Vec<(Kind, Part, CompactString)> =
            filled.map(|((kind, part), value)| (*kind, *part, CompactString::from(*value))).collect();
        let named = values.iter().find(|(kind, _, _)| *kind == Kind::Country).map(|(_, _, value)| value.clone());
        let country = named.unwrap_or_else(|| self.country.clone());
        Row { key, source, country, values }
    }
}
