//! The golden record: one value per field with its source, and the values that differ.

use ontology::{EntityKind, Field, FieldReader, Stamp, ValueRef};
use proto::v1;
use state::{Composite, Entity};

use super::common::{source_ref, time};

/// Fields of the golden record, with the kind of record whose value survives (spec 2). Balances add
/// up per currency instead and stand with billing.
const SURVIVORSHIP: &[(Field, EntityKind)] = &[
    (Field::Name, EntityKind::Account),
    (Field::Tier, EntityKind::Account),
    (Field::Segment, EntityKind::Account),
    (Field::Lifecycle, EntityKind::Account),
    (Field::Plan, EntityKind::Account),
    (Field::CreditStatus, EntityKind::ArCustomer),
    (Field::PaymentTerms, EntityKind::ArCustomer),
];

/// A value of one member.
struct Candidate<'a> {
    entity: &'a Entity,
    value: String,
    is_preferred: bool,
    stamp: Stamp,
}

/// The golden record of a customer.
#[must_use]
pub fn golden_record(composite: &Composite) -> Vec<v1::GoldenValue> {
    SURVIVORSHIP.iter().filter_map(|(field, kind)| golden_value(composite, *field, *kind)).collect()
}

fn golden_value(composite: &Composite, field: Field, preferred: EntityKind) -> Option<v1::GoldenValue> {
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for member in &composite.members {
        let Some(entity) = member.tree.get(&member.key).filter(|entity| entity.is_alive()) else { continue };
        let Some(value) = readable(entity, field) else { continue };
        let stamp = entity.provenance(field).map(|provenance| provenance.stamp).unwrap_or_default();
        candidates.push(Candidate { entity, value, is_preferred: member.key.kind == preferred, stamp });
    }
    // Members stand in survivorship order and the sort is stable, so that without a preferred
    // record the first system answers.
    candidates.sort_by_key(|candidate| !candidate.is_preferred);
    let preferred_count = candidates.iter().filter(|candidate| candidate.is_preferred).count();
    candidates[..preferred_count].sort_by(|a, b| b.stamp.cmp(&a.stamp));

    let (first, rest) = candidates.split_first()?;
    let alternatives = rest
        .iter()
        .filter(|other| other.value != first.value)
        .map(|other| v1::GoldenAlternative { value: other.value.clone(), source: Some(source_ref(&other.entity.key)) });
    Some(v1::GoldenValue {
        field: ontology::Vocabulary::name(field).to_owned(),
        value: first.value.clone(),
        source: Some(source_ref(&first.entity.key)),
        change_time: first.entity.provenance(field).and_then(|provenance| time(provenance.event_time)),
        alternatives: alternatives.collect(),
    })
}

/// A value as people read it; none if it is empty.
fn readable(entity: &Entity, field: Field) -> Option<String> {
    match entity.get(field) {
        ValueRef::Text(text) | ValueRef::Unknown(text) if !text.is_empty() => Some(text.to_owned()),
        ValueRef::Code(code) => ontology::entity::word_name(entity.key.kind, field, code).map(str::to_owned),
        ValueRef::Int(number) => Some(number.to_string()),
        ValueRef::Text(_)
        | ValueRef::Unknown(_)
        | ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Time(_)
        | ValueRef::Decimal { .. }
        | ValueRef::Bad(_)
        | ValueRef::List(_) => None,
    }
}
