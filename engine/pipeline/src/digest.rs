//! The canonical digest of everything that is derived: what restarts, shuffles, shard counts and
//! forms are compared by.

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
}

/// Canonical JSON of one evaluated customer.
#[must_use]
pub fn canonical_customer(evaluated: &Evaluated) -> Json {
    Json::object([("state", canonical_state(&evaluated.composite)), ("derived", evaluated.derived.canonical())])
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
