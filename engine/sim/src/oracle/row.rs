//! One source row, by definition (spec 1.3): every delivery of it is kept, and every question is
//! answered by looking through all of them again.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use ontology::canonical::Json;
use ontology::{Fact, Field, Op, SourceKey, Stamp, ValueRef};
use sha2::{Digest, Sha256};

/// All deliveries of one source row.
#[derive(Debug)]
pub struct Row<'a> {
    /// Which row.
    pub key: SourceKey,
    facts: Vec<&'a Fact>,
    cells: Vec<Cell<'a>>,
}

/// The value that a field has.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The field.
    pub field: Field,
    /// Its value.
    pub value: ValueRef<'a>,
    /// The delivery that stands for all that brought it.
    pub from: &'a Fact,
    /// Whether another content stood at the same version.
    pub is_conflict: bool,
}

impl<'a> Row<'a> {
    /// The row of these deliveries, of which there is at least one.
    #[must_use]
    pub fn of(key: SourceKey, facts: Vec<&'a Fact>) -> Self {
        let saying = || facts.iter().copied().filter(|fact| says(fact.op));
        let named: BTreeSet<Field> = saying().flat_map(|fact| fact.fields.iter().map(|(field, _)| field)).collect();
        let cells = named
            .into_iter()
            .filter_map(|field| {
                winner(field, saying().filter_map(|fact| Some((fact, value_in(fact, field)?))).collect())
            })
            .collect();
        Row { key, facts, cells }
    }

    /// All deliveries, in no order.
    #[must_use]
    pub fn facts(&self) -> &[&'a Fact] {
        &self.facts
    }

    /// Every field that some delivery named, in field order, with the value of the highest version;
    /// of several contents at that version the one whose canonical bytes have the greatest SHA-256.
    #[must_use]
    pub fn cells(&self) -> &[Cell<'a>] {
        &self.cells
    }

    /// The value of a field.
    #[must_use]
    pub fn cell(&self, field: Field) -> Option<Cell<'a>> {
        self.cells.iter().find(|cell| cell.field == field).copied()
    }

    /// The value of a field as of `stamp`: what deliveries at exactly that version say.
    pub(super) fn cell_at(&self, field: Field, stamp: &Stamp) -> Option<Cell<'a>> {
        let said = self.facts.iter().copied().filter(|fact| says(fact.op) && fact.stamp() == *stamp);
        winner(field, said.filter_map(|fact| Some((fact, value_in(fact, field)?))).collect())
    }

    /// The newest image or undelete.
    #[must_use]
    pub fn revived(&self) -> Option<&'a Fact> {
        self.newest(|op| matches!(op, Op::Image | Op::Undelete))
    }

    /// The newest delete.
    #[must_use]
    pub fn deleted(&self) -> Option<&'a Fact> {
        self.newest(|op| op == Op::Delete)
    }

    /// The newest gap.
    #[must_use]
    pub fn gap(&self) -> Option<&'a Fact> {
        self.newest(|op| op == Op::Gap)
    }

    /// Whether the row exists: it was never deleted, or something newer than the newest delete
    /// brought it back.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let Some(deleted) = self.deleted() else { return true };
        self.revived().is_some_and(|revived| revived.stamp() > deleted.stamp())
    }

    /// All gaps, but those of which an image, undelete or delete of at least the version is there.
    fn open_gaps(&self) -> impl Iterator<Item = &'a Fact> {
        let closes = |fact: &&&Fact| matches!(fact.op, Op::Image | Op::Undelete | Op::Delete);
        let closed = self.facts.iter().filter(closes).map(|fact| fact.version.clone()).max();
        let gaps = self.facts.iter().copied().filter(|fact| fact.op == Op::Gap);
        gaps.filter(move |gap| closed.as_ref().is_none_or(|closed| *closed < gap.version))
    }

    /// Of the open gaps the one that happened first; of several at once the one of the highest version.
    #[must_use]
    pub fn open_gap(&self) -> Option<&'a Fact> {
        let rank =
            |gap: &&Fact| (gap.event_time(), Reverse(gap.version.clone()), gap.observed_at, gap.event_id.clone());
        self.open_gaps().min_by_key(rank)
    }

    /// The open gaps that are told of beside the newest: each happened before all of higher versions.
    #[must_use]
    pub fn earlier_gaps(&self) -> Vec<&'a Fact> {
        let newest = self.gap().map(|gap| (gap.stamp(), gap.event_id.clone()));
        let is_newest = |gap: &Fact| newest == Some((gap.stamp(), gap.event_id.clone()));
        let says_more = |gap: &&Fact| {
            let same = |other: &Fact| other.version == gap.version && other.event_time() == gap.event_time();
            let covers = |other: &Fact| other.version >= gap.version && other.event_time() <= gap.event_time();
            let sighting = |it: &Fact| (it.observed_at, it.event_id.clone(), it.stamp());
            !self.open_gaps().any(|other| if same(other) { sighting(other) < sighting(gap) } else { covers(other) })
        };
        self.open_gaps().filter(|gap| !is_newest(gap)).filter(says_more).collect()
    }

    fn newest(&self, is_meant: impl Fn(Op) -> bool) -> Option<&'a Fact> {
        let meant: Vec<&Fact> = self.facts.iter().copied().filter(|fact| is_meant(fact.op)).collect();
        let stamp = meant.iter().map(|fact| fact.stamp()).max()?;
        representative(meant.into_iter().filter(|fact| fact.stamp() == stamp))
    }
}

/// Of deliveries with equal version and content, the one that stands for all.
pub(super) fn representative<'a>(facts: impl Iterator<Item = &'a Fact>) -> Option<&'a Fact> {
    facts.min_by(|a, b| (a.observed_at, &a.event_id).cmp(&(b.observed_at, &b.event_id)))
}

fn says(op: Op) -> bool {
    matches!(op, Op::Patch | Op::Image | Op::Undelete)
}

fn value_in(fact: &Fact, field: Field) -> Option<ValueRef<'_>> {
    fact.fields.iter().find(|(named, _)| *named == field).map(|(_, value)| value)
}

fn winner<'a>(field: Field, said: Vec<(&'a Fact, ValueRef<'a>)>) -> Option<Cell<'a>> {
    let stamp = said.iter().map(|(fact, _)| fact.stamp()).max()?;
    let newest: Vec<_> = said.into_iter().filter(|(fact, _)| fact.stamp() == stamp).collect();
    let (_, value) = *newest.iter().max_by_key(|(_, value)| digest_of(*value))?;
    let is_conflict = newest.iter().any(|(_, other)| *other != value);
    let from = representative(newest.iter().filter(|(_, other)| *other == value).map(|(fact, _)| *fact))?;
    Some(Cell { field, value, from, is_conflict })
}

fn digest_of(value: ValueRef<'_>) -> Vec<u8> {
    Sha256::digest(Json::value(value).to_string().as_bytes()).to_vec()
}
