//! What happened to one customer, in the order in which it happened.

use compact_str::CompactString;
use ontology::{EntityKey, EntityKind, Field, FieldReader, LogPos, Millis, Vocabulary};
use state::{Composite, Entity};

use crate::derived::Derived;
use crate::values::text_of;

/// Fields whose instants are events of their own.
const EVENTS: &[(EntityKind, Field)] = &[
    (EntityKind::Case, Field::OpenedAt),
    (EntityKind::Case, Field::ResolvedAt),
    (EntityKind::Invoice, Field::IssuedAt),
    (EntityKind::Payment, Field::ReceivedAt),
    (EntityKind::Dispute, Field::OpenedAt),
    (EntityKind::Dispute, Field::ClosedAt),
    (EntityKind::Interaction, Field::StartedAt),
    (EntityKind::Interaction, Field::EndedAt),
    (EntityKind::ServiceOrder, Field::CompletedAt),
    (EntityKind::FieldDispatch, Field::DispatchedAt),
    (EntityKind::FieldDispatch, Field::ArrivedAt),
    (EntityKind::Transfer, Field::InitiatedAt),
    (EntityKind::Transfer, Field::AcceptedAt),
    (EntityKind::Transfer, Field::CancelledAt),
    (EntityKind::Transfer, Field::ReturnedAt),
];

/// Fields whose every value is an event.
const TRACKED: &[Field] = &[Field::Status, Field::OwnerTeam, Field::Priority, Field::Plan];

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimelineEntry {
    /// When, in event time.
    pub at: Millis,
    /// To which record.
    pub entity: EntityKey,
    /// What: a field whose value changed or whose instant it is, a name of a rule otherwise.
    pub what: &'static str,
    /// The new value, or the sentence of a rule; empty if the instant says it all.
    pub text: CompactString,
    /// The position that brought it; 0 for a conclusion.
    pub log_pos: LogPos,
}

/// Everything that happened after `from`, up to and including `until`, oldest first.
#[must_use]
pub fn timeline(composite: &Composite, derived: &Derived, from: Millis, until: Millis) -> Vec<TimelineEntry> {
    let mut entries = Vec::new();
    for entity in composite.entities() {
        changes(entity, &mut entries);
        if entity.is_alive() {
            events(entity, &mut entries);
        }
    }
    conclusions(derived, &mut entries);
    entries.retain(|entry| entry.at > from && entry.at <= until);
    entries.sort();
    entries
}

fn changes(entity: &Entity, entries: &mut Vec<TimelineEntry>) {
    for field in TRACKED {
        for stretch in entity.history(*field).0 {
            let text = match stretch.value() {
                Some(value) => text_of(entity.key.kind, *field, value).unwrap_or_default(),
                None => CompactString::const_new("deleted"),
            };
            entries.push(TimelineEntry {
                at: stretch.from,
                entity: entity.key.clone(),
                what: field.name(),
                text,
                log_pos: stretch.provenance.log_pos,
            });
        }
    }
}

fn events(entity: &Entity, entries: &mut Vec<TimelineEntry>) {
    for (_, field) in EVENTS.iter().filter(|(kind, _)| *kind == entity.key.kind) {
        if let (Some(at), Some(provenance)) = (entity.time(*field), entity.provenance(*field)) {
            entries.push(TimelineEntry {
                at,
                entity: entity.key.clone(),
                what: field.name(),
                text: CompactString::const_new(""),
                log_pos: provenance.log_pos,
            });
        }
    }
}

fn conclusions(derived: &Derived, entries: &mut Vec<TimelineEntry>) {
    for discrepancy in &derived.discrepancies {
        if let Some(subject) = discrepancy.grounds.subjects.first() {
            entries.push(TimelineEntry {
                at: discrepancy.opened_at,
                entity: subject.clone(),
                what: discrepancy.rule.name(),
                text: discrepancy.sentence.as_deref().unwrap_or_default().into(),
                log_pos: LogPos(0),
            });
        }
    }
    for correlation in derived.correlations.iter().filter(|correlation| correlation.is_accepted()) {
        if let Some(at) = correlation.at {
            entries.push(TimelineEntry {
                at,
                entity: correlation.subject.clone(),
                what: correlation.kind_name(),
                text: correlation.sentence.as_deref().unwrap_or_default().into(),
                log_pos: LogPos(0),
            });
        }
    }
}
