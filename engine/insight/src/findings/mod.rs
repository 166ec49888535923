//! Findings: what is wrong with records (spec 10). They follow from the records alone, so each
//! closes by itself when its cause is gone.

mod orphan;
mod plausible;
mod stale;
#[cfg(test)]
mod tests;

use compact_str::CompactString;
use ontology::entity::fields_of;
use ontology::{Field, FieldReader, Finding, FindingKind, FindingSeverity, ValueRef};
use smallvec::SmallVec;
use state::Entity;

use crate::values::text_of;

pub use orphan::{AWAITED_MAX_MS, orphan_refs};
pub use stale::{LIVE_UNTOUCHED_MAX_MS, UNTOUCHED_MAX_MS, stale_record};

/// What is wrong with a record, in the order of kind and field. A deleted record has no findings.
#[must_use]
pub fn of(entity: &Entity) -> Vec<Finding> {
    let mut findings = Vec::new();
    if entity.is_alive() {
        collect_of(entity, &mut findings);
        findings.sort();
        findings.dedup();
    }
    findings
}

/// The fields of a record that no automatic link and no verdict may rest on.
#[must_use]
pub fn blocked_fields(entity: &Entity) -> SmallVec<[Field; 2]> {
    let mut fields: SmallVec<[Field; 2]> = entity.conflicts().collect();
    fields.extend(plausible::blocked(entity));
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// How much a kind of finding forbids.
#[must_use]
pub fn severity_of(kind: FindingKind) -> FindingSeverity {
    match kind {
        FindingKind::VersionConflict => FindingSeverity::Block,
        FindingKind::MissingField
        | FindingKind::BadField
        | FindingKind::UnmappedValue
        | FindingKind::OrphanRef
        | FindingKind::Implausible
        | FindingKind::DuplicateRecord
        | FindingKind::ConflictingValues
        | FindingKind::FxRateMissing
        | FindingKind::OwnershipGap => FindingSeverity::Warn,
        FindingKind::ClockSkew | FindingKind::GenericValue | FindingKind::StaleRecord => FindingSeverity::Info,
    }
}

/// Whether some value of a record must not be relied on: whether a finding of it blocks.
pub(crate) fn is_blocked(entity: &Entity) -> bool {
    entity.is_alive() && !blocked_fields(entity).is_empty()
}

fn collect_of(entity: &Entity, findings: &mut Vec<Finding>) {
    for (field, value, is_conflict) in entity.cells() {
        if is_conflict {
            findings.push(finding(entity, FindingKind::VersionConflict, Some(field), shown(entity, field, value)));
        }
        match value {
            ValueRef::Bad(raw) => findings.push(finding(entity, FindingKind::BadField, Some(field), raw.into())),
            ValueRef::Unknown(raw) => {
                findings.push(finding(entity, FindingKind::UnmappedValue, Some(field), raw.into()));
            }
            ValueRef::Null
            | ValueRef::Text(_)
            | ValueRef::Int(_)
            | ValueRef::Bool(_)
            | ValueRef::Time(_)
            | ValueRef::Decimal { .. }
            | ValueRef::Code(_)
            | ValueRef::List(_) => {}
        }
    }
    let required = fields_of(entity.key.kind).iter().filter(|spec| spec.is_required);
    for spec in required.filter(|spec| is_missing(entity.get(spec.field))) {
        findings.push(finding(entity, FindingKind::MissingField, Some(spec.field), CompactString::const_new("")));
    }
    if entity.rows().iter().any(state::SourceRow::has_clock_skew) {
        findings.push(finding(entity, FindingKind::ClockSkew, None, CompactString::const_new("")));
    }
    plausible::collect(entity, findings);
}

fn is_missing(value: ValueRef<'_>) -> bool {
    value.is_empty() || value == ValueRef::Text("")
}

fn shown(entity: &Entity, field: Field, value: ValueRef<'_>) -> CompactString {
    text_of(entity.key.kind, field, value).unwrap_or_default()
}

/// A finding on a record with the severity that is usual for its kind.
pub(crate) fn finding(entity: &Entity, kind: FindingKind, field: Option<Field>, value: CompactString) -> Finding {
    Finding { kind, entity: entity.key.clone(), field, value, severity: severity_of(kind) }
}
