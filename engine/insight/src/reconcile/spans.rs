//! Stretches of event time over which something held, read from the histories of fields.

use ontology::canonical::Json;
use ontology::{Field, Millis, ValueRef};
use smallvec::SmallVec;
use state::Entity;
use state::history::Stretch;

/// A stretch of event time, from and including its begin up to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub from: Millis,
    /// When it ended; none if it still goes on.
    pub until: Option<Millis>,
}

impl Span {
    /// How long it lasted, or has lasted at `now`.
    #[must_use]
    pub fn length_ms(&self, now: Millis) -> i64 {
        self.until.unwrap_or(now).since(self.from)
    }

    /// The part that two stretches share, if they share any.
    #[must_use]
    pub fn overlap(self, other: Span) -> Option<Span> {
        let from = self.from.max(other.from);
        let until = match (self.until, other.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        if until.is_some_and(|until| until <= from) { None } else { Some(Span { from, until }) }
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        Json::object([
            ("from_ms", Json::Int(self.from.0)),
            ("until_ms", self.until.map_or(Json::Null, |until| Json::Int(until.0))),
        ])
    }
}

/// The stretches over which a field of an entity satisfied something, with the whole history, from
/// which the words about their ends come.
pub(super) struct Runs {
    history: Vec<Stretch>,
    pub(super) spans: SmallVec<[Span; 2]>,
}

impl Runs {
    /// The maximal stretches over which `holds` was true of the field. The status of a deleted record has none.
    pub(super) fn of(entity: &Entity, field: Field, holds: impl Fn(ValueRef<'_>) -> bool) -> Self {
        let history = entity.history(field).0;
        let mut spans: SmallVec<[Span; 2]> = SmallVec::new();
        for stretch in history.iter().filter(|stretch| stretch.value().is_some_and(&holds)) {
            match spans.last_mut().filter(|last| last.until == Some(stretch.from)) {
                Some(last) => last.until = stretch.until,
                None => spans.push(Span { from: stretch.from, until: stretch.until }),
            }
        }
        Runs { history, spans }
    }

    /// The value that begins at `at`, none of it if the record was deleted then.
    pub(super) fn starting_at(&self, at: Millis) -> Option<&Stretch> {
        self.history.iter().rev().find(|stretch| stretch.from == at)
    }

    /// When the present value began.
    pub(super) fn value_since(&self) -> Millis {
        self.history.last().map_or(Millis::MIN, |stretch| stretch.from)
    }
}

/// When the present value of a field took the place of another; none if no other is known.
pub(super) fn changed_at(entity: &Entity, field: Field) -> Option<Millis> {
    let history = entity.history(field).0;
    history.last().filter(|_| history.len() > 1).map(|last| last.from)
}

/// When the hub could first know that the field held over `span`: the earliest ingest of a change
/// within it. Later deliveries that only say the same again do not count.
pub(super) fn noticed_at(entity: &Entity, field: Field, span: Span, holds: impl Fn(ValueRef<'_>) -> bool) -> Millis {
    let is_within = |at: Millis| at >= span.from && span.until.is_none_or(|until| at < until);
    let changes = entity.rows().iter().flat_map(state::SourceRow::history);
    let earliest = changes
        .filter(|change| change.field == field && change.value().is_some_and(&holds))
        .filter(|change| is_within(change.provenance.event_time))
        .map(|change| change.provenance.ingested_at)
        .min();
    earliest.unwrap_or(span.from)
}
