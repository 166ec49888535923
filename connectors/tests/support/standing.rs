//! What stands in the end, whatever came in which order: the pure part of what the engine does with
//! facts, for comparing a lossless run with a lossy one.

use std::collections::BTreeMap;

use ontology::codec::Cursor;
use ontology::{EntityKind, Field, Millis, Stamp, ValueRef};

use super::MemoryLog;

/// Object, record and field.
pub type Place = (String, String, Field);

/// Every field's value with the highest version, and the version. When something was read does not
/// count: two runs read at different times.
pub fn standing(log: &MemoryLog) -> BTreeMap<Place, (Stamp, Vec<u8>)> {
    let mut standing: BTreeMap<Place, (Stamp, Vec<u8>)> = BTreeMap::new();
    for fact in log.facts().into_iter().filter(|fact| fact.entity.kind != EntityKind::Watermark) {
        for (field, value) in fact.fields.iter() {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            let place = (fact.object.to_string(), fact.record_id.to_string(), field);
            let next = (fact.stamp(), bytes);
            if standing.get(&place).is_none_or(|own| *own < next) {
                standing.insert(place, next);
            }
        }
    }
    for (stamp, _) in standing.values_mut() {
        stamp.read_at = Millis::MIN;
    }
    standing
}

/// A value as text, a decimal without zeros at its end; none if it is null.
pub fn shown(bytes: &[u8]) -> Option<String> {
    match ValueRef::decode(&mut Cursor(bytes)).unwrap() {
        ValueRef::Null => None,
        ValueRef::Decimal { mut mantissa, mut scale } => {
            while scale > 0 && mantissa % 10 == 0 {
                (mantissa, scale) = (mantissa / 10, scale - 1);
            }
            Some(format!("{mantissa}e-{scale}"))
        }
        other => Some(format!("{other:?}")),
    }
}

/// Fails with the first places in which the two differ.
pub fn assert_same(what: &str, whole: &MemoryLog, other: &MemoryLog) {
    let (whole, other) = (standing(whole), standing(other));
    let differing: Vec<_> = whole.iter().filter(|(place, value)| other.get(*place) != Some(value)).take(5).collect();
    assert!(differing.is_empty(), "{what}: {differing:?}");
    assert_eq!(whole.len(), other.len(), "{what}");
}
