//! What a derived object rests on.

use compact_str::CompactString;

use crate::LogPos;
use crate::canonical::Json;
use crate::field::Field;
use crate::key::EntityKey;
use crate::version::Version;
use crate::vocabulary::Vocabulary;

/// One value that a rule compared, with where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The record.
    pub entity: EntityKey,
    /// The field.
    pub field: Field,
    /// The value as people read it.
    pub value: CompactString,
    /// Version of the source row that gave it.
    pub version: Version,
    /// The event that brought it.
    pub event_id: CompactString,
    /// Where that event stands in the log; not part of canonical JSON.
    pub log_pos: LogPos,
}

impl Evidence {
    /// Canonical form: everything but the log position, which depends on arrival.
    #[must_use]
    pub fn canonical(&self) -> Json {
        Json::object([
            ("entity", Json::text(self.entity.to_string())),
            ("event_id", Json::text(&self.event_id)),
            ("field", Json::text(self.field.name())),
            ("value", Json::text(&self.value)),
            ("version", Json::text(self.version.to_string())),
        ])
    }
}
