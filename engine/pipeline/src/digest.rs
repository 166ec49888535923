//! The canonical digest of everything that is derived: what restarts, shuffles, shard counts and
//! forms are compared by.

use std::collections::BTreeMap;

use ontology::canonical::{CanonicalDigest, Json};
use ontology::{Field, FieldReader, Millis, Vocabulary};
use state::{Composite, Entity};

use crate::customer::Evaluated;
use crate::engine::Engine;

impl Engine {
    /// Digest of all customers at `now`, in order of id.
    #[must_use]
    pub fn digest(&self, now: Millis) -> String {
        let mut digest = CanonicalDigest::default();
        for customer in self.canonical(now) {
            digest.add(&customer);
        }
        digest.finish()
    }

    /// Canonical JSON of every customer at `now`, in order of id.
    pub fn canonical(&self, now: Millis) -> impl Iterator<Item = Json> {
        self.subjects().into_iter().map(move |subject| canonical_customer(&self.evaluate(&subject, now)))
    }

    /// Digest of what holds of all customers at `now`, as [`Engine::standing`] tells it.
    #[must_use]
    pub fn standing_digest(&self, now: Millis) -> String {
        let mut digest = CanonicalDigest::default();
        self.standing(now).for_each(|customer| digest.add(&customer));
        digest.finish()
    }

    /// Canonical JSON of what holds of every customer at `now`, in order of id: current values,
    /// members and open objects, without the course by which they came to be known. A list job
    /// repairs the state of a record and cannot tell every change before it, so this is what a lossy
    /// source and a sound one have in common.
    pub fn standing(&self, now: Millis) -> impl Iterator<Item = Json> {
        self.canonical(now).map(without_course)
    }
}

/// Members of canonical JSON that tell how something came to be and not what it is.
/// Evidence quotes values as its source wrote them; the records that it quotes are told themselves.
const COURSE: &[&str] =
    &["at_ms", "conflict", "evidence", "occurrence", "since_ms", "status_history", "stretches", "version"];

fn without_course(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let members =
                members.into_iter().filter(|(name, value)| !COURSE.contains(&name.as_str()) && !is_nothing(value));
            let mut standing: BTreeMap<_, _> = members.map(|(name, value)| (name, without_course(value))).collect();
            shorten(&mut standing);
            Json::Object(standing)
        }
        Json::Array(items) => Json::array(items.into_iter().filter(|item| !is_over(item)).map(without_course)),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::Text(_) => json,
    }
}

/// Whether a field is known to be empty, which is as good as a field that nobody told of.
fn is_nothing(cell: &Json) -> bool {
    matches!(cell, Json::Object(members) if members.get("value") == Some(&Json::Null))
}

/// Takes the zeros off the end of a decimal: 751.9 of a view is the 751.90 of a capture.
fn shorten(members: &mut BTreeMap<String, Json>) {
    let (Some(Json::Int(mantissa)), Some(Json::Int(scale))) = (members.get("mantissa"), members.get("scale")) else {
        return;
    };
    let (mut mantissa, mut scale) = (*mantissa, *scale);
    while scale > 0 && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    members.insert("mantissa".to_owned(), Json::Int(mantissa));
    members.insert("scale".to_owned(), Json::Int(scale));
}

/// Whether something that opens and closes is closed.
fn is_over(item: &Json) -> bool {
    let state = |json: &Json| if let Json::Object(members) = json { members.get("state").cloned() } else { None };
    state(item).and_then(|of| state(&of)) == Some(Json::text("resolved"))
}

/// Canonical JSON of one evaluated customer.
#[must_use]
pub fn canonical_customer(evaluated: &Evaluated) -> Json {
    let Evaluated { composite, derived, .. } = evaluated;
    Json::object([("state", canonical_state(composite)), ("derived", derived.canonical(composite))])
}

/// Canonical JSON of a composite state.
#[must_use]
pub fn canonical_state(composite: &Composite) -> Json {
    let members = composite.members.iter().map(|member| {
        Json::object([
            ("key", Json::text(member.key.to_string())),
            ("confidence", Json::Int(i64::from(member.confidence))),
        ])
    });
    let possible = composite.possible.iter().map(|possible| {
        Json::object([
            ("key", Json::text(possible.key.to_string())),
            ("member", Json::text(possible.member.to_string())),
            ("confidence", Json::Int(i64::from(possible.confidence))),
        ])
    });
    let mut entities: Vec<_> =
        composite.entities().map(|entity| (entity.key.to_string(), canonical_entity(entity))).collect();
    entities.sort_by(|a, b| a.0.cmp(&b.0));
    Json::object([
        ("id", Json::text(&composite.id.0)),
        ("members", Json::array(members)),
        ("possible", Json::array(possible)),
        ("entities", Json::object(entities)),
    ])
}

/// Canonical JSON of an entity: its fields with the version that each rests on, and the history of
/// the field that decides. Which of several events with one content stands for them is not part of
/// it: a list that was read once more adds such an event and says nothing new.
#[must_use]
pub fn canonical_entity(entity: &Entity) -> Json {
    // Several rows may name one field: value and origin are those of the row that gives it.
    let fields = entity.cells().map(|(field, _, _)| {
        let provenance = entity.provenance(field);
        let version = provenance.as_ref().map(|p| p.stamp.version.to_string());
        let cell = Json::object([
            ("value", Json::value(entity.get(field))),
            ("version", Json::maybe_text(version)),
            ("conflict", Json::Bool(entity.has_conflict(field))),
        ]);
        (field.name(), cell)
    });
    let history = entity.history(Field::Status).0.into_iter().map(|stretch| {
        Json::object([
            ("from_ms", Json::Int(stretch.from.0)),
            ("value", stretch.value().map_or(Json::Null, Json::value)),
        ])
    });
    Json::object([
        ("alive", Json::Bool(entity.is_alive())),
        ("gap", Json::maybe_text(entity.open_gap().map(|gap| gap.event_id))),
        ("fields", Json::object(fields)),
        ("status_history", Json::array(history)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_without_its_course() {
        let state = |name: &str| Json::object([("state", Json::text(name)), ("at_ms", Json::Int(7))]);
        let one = |id: i64, name: &str| Json::object([("id", Json::Int(id)), ("state", state(name))]);
        let cell = |value: Json| Json::object([("value", value), ("version", Json::text("9.0.0"))]);
        let amount = Json::object([("mantissa", Json::Int(75_190)), ("scale", Json::Int(2))]);
        let fields = [("amount", cell(amount)), ("currency", cell(Json::Null)), ("status", cell(Json::Int(1)))];
        let told = Json::object([
            ("discrepancies", Json::array([one(1, "open"), one(2, "resolved"), one(3, "waived")])),
            ("fields", Json::object(fields)),
            ("status_history", Json::array([Json::Int(1)])),
        ]);
        let expected = concat!(
            r#"{"discrepancies":[{"id":1,"state":{"state":"open"}},{"id":3,"state":{"state":"waived"}}],"#,
            r#""fields":{"amount":{"value":{"mantissa":7519,"scale":1}},"status":{"value":1}}}"#
        );
        assert_eq!(without_course(told).to_string(), expected);
    }
}
