//! Values that cannot be right. Times that contradict each other are kept and not used in figures;
//! money that cannot be real forbids verdicts that rest on it.

use compact_str::CompactString;
use ontology::{EntityKind, Field, FieldReader, Finding, FindingKind, FindingSeverity, Millis};
use smallvec::SmallVec;
use state::Entity;

use super::finding;
use crate::values::text_of;
use crate::words;

/// Pairs of times of which the first may not be after the second.
const ORDERED: &[(EntityKind, Field, Field)] = &[
    (EntityKind::Case, Field::OpenedAt, Field::ResolvedAt),
    (EntityKind::Dispute, Field::OpenedAt, Field::ClosedAt),
    (EntityKind::Interaction, Field::StartedAt, Field::EndedAt),
    (EntityKind::FieldDispatch, Field::DispatchedAt, Field::ArrivedAt),
    (EntityKind::DesktopTelemetry, Field::LeftAt, Field::ArrivedAt),
];

/// Work may be completed this much before its schedule and no more.
const EARLY_COMPLETION_MAX_MS: i64 = 365 * Millis::DAY_MS;

/// Fields of money that may not be negative.
const MONEY: &[(EntityKind, Field)] = &[
    (EntityKind::Invoice, Field::Amount),
    (EntityKind::Payment, Field::Amount),
    (EntityKind::Dispute, Field::Amount),
    (EntityKind::Dispute, Field::AgreedAmount),
    (EntityKind::CreditNote, Field::Amount),
    (EntityKind::ServiceOrder, Field::Estimate),
];

/// Fields of money that cannot be real: negative, or finer than the currency's minor unit.
pub(super) fn blocked(entity: &Entity) -> SmallVec<[Field; 2]> {
    let fields = MONEY.iter().filter(|(kind, _)| *kind == entity.key.kind).map(|(_, field)| *field);
    fields.filter(|field| is_impossible(entity, *field)).collect()
}

fn is_impossible(entity: &Entity, field: Field) -> bool {
    let Some((mantissa, scale)) = entity.get(field).decimal() else { return false };
    let is_too_fine = || {
        let currency = entity.text(Field::Currency);
        currency.is_some_and(|_| words::money(Some((mantissa, scale)), currency).is_none())
    };
    mantissa < 0 || is_too_fine()
}

pub(super) fn collect(entity: &Entity, findings: &mut Vec<Finding>) {
    for field in blocked(entity) {
        let severity = FindingSeverity::Block;
        findings.push(Finding { severity, ..implausible(entity, field) });
    }
    for (_, first, last) in ORDERED.iter().filter(|(kind, _, _)| *kind == entity.key.kind) {
        if is_after(entity.time(*first), entity.time(*last), 0) {
            findings.push(implausible(entity, *last));
        }
    }
    let kind = entity.key.kind;
    if kind == EntityKind::Interaction && entity.get(Field::DurationS).int().is_some_and(|seconds| seconds < 0) {
        findings.push(implausible(entity, Field::DurationS));
    }
    let (scheduled, completed) = (Field::ScheduledAt, Field::CompletedAt);
    if kind == EntityKind::ServiceOrder
        && is_after(entity.time(scheduled), entity.time(completed), EARLY_COMPLETION_MAX_MS)
    {
        findings.push(implausible(entity, completed));
    }
}

/// Whether `first` is more than `allowance_ms` after `last`.
fn is_after(first: Option<Millis>, last: Option<Millis>, allowance_ms: i64) -> bool {
    matches!((first, last), (Some(first), Some(last)) if first.since(last) > allowance_ms)
}

fn implausible(entity: &Entity, field: Field) -> Finding {
    let value: CompactString = text_of(entity.key.kind, field, entity.get(field)).unwrap_or_default();
    finding(entity, FindingKind::Implausible, Some(field), value)
}
