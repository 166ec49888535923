//! `orphan_ref`: a record names another that has not come for a day (spec 3, 10). It ends when the other
//! comes, or when the record names it no longer; a record that was deleted has come.
//!
//! It follows from the stored records and the instant alone, so nothing has to be remembered or to wake up
//! for it, and nothing is looked at before somebody asks.

use ontology::{EntityKey, FieldReader, Finding, FindingKind, Millis};
use state::Entity;
use state::parents::references_of;

use super::finding;

/// How long a record may be named before it comes.
pub const AWAITED_MAX_MS: i64 = 24 * Millis::HOUR_MS;

/// The references of a record to others that have not come, each more than a day after the record said so
/// last. `has_come` tells whether a record was ever told of by its source. A deleted record has no findings.
#[must_use]
pub fn orphan_refs(entity: &Entity, now: Millis, has_come: impl Fn(&EntityKey) -> bool) -> Vec<Finding> {
    if !entity.is_alive() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (field, kind) in references_of(entity.key.kind) {
        let Some(id) = entity.text(field).filter(|id| !id.is_empty()) else { continue };
        let Some(named) = entity.provenance(field) else { continue };
        if now.since(named.event_time) > AWAITED_MAX_MS && !has_come(&EntityKey::new(kind, id)) {
            found.push(finding(entity, FindingKind::OrphanRef, Some(field), id.into()));
        }
    }
    found.sort();
    found
}
