//! Merging a fact into a row.

use ontology::canonical::value_digest;
use ontology::codec::put_bytes;
use ontology::{Fact, Op, SourceKey, System, ValueRef, Vocabulary};
use smallvec::SmallVec;

use super::cells::{self, Cell};
use super::provenance::Provenance;
use super::{NOWHERE, Place, SourceRow};

/// How many gaps a row keeps beside the newest one.
const GAPS_MAX: usize = 32;
/// Bytes that most rows fit into.
const ROW_BYTES_USUAL: usize = 1_024;
/// Bytes that most rows have beside their values and their history.
const ROW_BYTES_BESIDE: usize = 320;

/// The row of an image that nothing else is left of: what merging it would give.
pub(super) fn image(fact: &Fact, provenance: &Provenance, history: &[u8]) -> SourceRow {
    let mut out = Vec::with_capacity(fact.fields.as_bytes().len() + history.len() + ROW_BYTES_BESIDE);
    out.extend_from_slice(&[0; 4]);
    cells::write_image(fact.fields.as_ref(), &mut out);
    close_cells(&mut out);
    put_names(&mut out, fact.system, &fact.object, &fact.record_id);
    out.extend_from_slice(&[0, NOWHERE, NOWHERE, 1]);
    provenance.encode(&mut out);
    out.extend_from_slice(history);
    SourceRow(out.as_slice().into())
}

/// Writes how long the cells are in front of them.
fn close_cells(out: &mut [u8]) {
    let len = u32::try_from(out.len() - 4).expect("a record stays far below 4 GiB: connectors bound bodies");
    out[..4].copy_from_slice(&len.to_le_bytes());
}

fn put_names(out: &mut Vec<u8>, system: System, object: &str, record_id: &str) {
    out.push(system.code());
    put_bytes(out, object.as_bytes());
    put_bytes(out, record_id.as_bytes());
}

/// A row taken apart for a merge.
pub(super) struct Parts<'a> {
    pub(super) key: SourceKey,
    pub(super) cells: SmallVec<[Cell<'a>; 24]>,
    pub(super) provenances: SmallVec<[Provenance; 4]>,
    /// Newest image or undelete.
    pub(super) revived: Place,
    /// Newest delete.
    pub(super) deleted: Place,
    /// Newest gap.
    pub(super) gap: Place,
    /// Earlier gaps that may still be open; they are the deliveries that nothing else rests on.
    pub(super) gaps: SmallVec<[Place; 2]>,
    pub(super) history: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn empty(key: SourceKey) -> Self {
        let (cells, provenances) = (SmallVec::new(), SmallVec::new());
        let (revived, deleted, gap) = (NOWHERE, NOWHERE, NOWHERE);
        Parts { key, cells, provenances, revived, deleted, gap, gaps: SmallVec::new(), history: &[] }
    }

    pub(super) fn at(&self, place: Place) -> Option<&Provenance> {
        self.provenances.get(usize::from(place))
    }

    /// The place of a delivery, and whether it took the place of a later sighting of itself.
    pub(super) fn add_provenance(&mut self, new: Provenance) -> (Place, bool) {
        let known = self.provenances.iter().position(|p| p.stamp == new.stamp && p.event_id == new.event_id);
        let is_earlier = known.is_some_and(|place| new.stands_before(&self.provenances[place]));
        let place = match known {
            Some(place) if is_earlier => {
                self.provenances[place] = new;
                place
            }
            Some(place) => place,
            None => {
                self.provenances.push(new);
                self.provenances.len() - 1
            }
        };
        let place =
            Place::try_from(place).expect("a row has fewer deliveries than fields and marks, which are under 127");
        (place, is_earlier)
    }

    /// Whether the delivery at `new` replaces the one at `old` as a mark.
    fn is_later(&self, new: Place, old: Place) -> bool {
        let (Some(new), Some(old)) = (self.at(new), self.at(old)) else { return true };
        new.stamp > old.stamp || (new.stamp == old.stamp && new.stands_before(old))
    }

    pub(super) fn merge_marks(&mut self, op: Op, place: Place) -> bool {
        let current = match op {
            Op::Image | Op::Undelete => self.revived,
            Op::Delete => self.deleted,
            Op::Gap => return self.merge_gap(place),
            Op::Patch | Op::Heartbeat => return false,
        };
        if !self.is_later(place, current) {
            return false;
        }
        match op {
            Op::Image | Op::Undelete => self.revived = place,
            Op::Delete => self.deleted = place,
            Op::Gap | Op::Patch | Op::Heartbeat => {}
        }
        true
    }

    /// Takes a gap. One that is not the newest is kept while it is open and says something that no other
    /// does: then it happened before all that are newer.
    fn merge_gap(&mut self, place: Place) -> bool {
        if place == self.gap || self.gaps.contains(&place) {
            return false;
        }
        if self.is_later(place, self.gap) {
            let before = std::mem::replace(&mut self.gap, place);
            self.gaps.extend((before != NOWHERE).then_some(before));
            return true;
        }
        self.gaps.push(place);
        self.open_gaps().contains(&place)
    }

    /// Gaps beside the newest that are open and that no other dominates, the one that happened first first.
    pub(super) fn open_gaps(&self) -> SmallVec<[Place; 2]> {
        let is_open = |place: &Place| *place != self.gap && self.is_open(*place);
        let open: SmallVec<[Place; 2]> = self.gaps.iter().copied().filter(is_open).collect();
        let dominates = |one: Place, other: Place| {
            one != other && self.at(one).zip(self.at(other)).is_some_and(|(one, other)| one.dominates(other))
        };
        let is_dominated =
            |place: Place| open.iter().any(|other| dominates(*other, place)) || dominates(self.gap, place);
        let mut kept: SmallVec<[Place; 2]> = open.iter().copied().filter(|place| !is_dominated(*place)).collect();
        kept.sort_by_key(|place| self.at(*place).map(|gap| gap.event_time));
        // Beyond the bound the oldest stay: the first unapplied change is what is waited for.
        kept.truncate(GAPS_MAX);
        kept
    }

    /// Whether no image, undelete or delete has caught up with the gap at `place`.
    pub(super) fn is_open(&self, place: Place) -> bool {
        let Some(gap) = self.at(place) else { return false };
        let mut closing = [self.revived, self.deleted].into_iter().filter_map(|place| self.at(place));
        closing.all(|closing| closing.stamp.version < gap.stamp.version)
    }

    /// Merges the fields of `fact`, which are in field order as the cells are.
    pub(super) fn merge_cells<'f>(&mut self, fact: &'f Fact, place: Place) -> bool
    where
        'f: 'a,
    {
        let old = std::mem::take(&mut self.cells);
        let mut old = old.into_iter().peekable();
        let mut is_changed = false;
        for (field, value) in fact.fields.iter() {
            while let Some(cell) = old.next_if(|cell| cell.field < field) {
                self.cells.push(cell);
            }
            let merged = match old.next_if(|cell| cell.field == field) {
                None => {
                    is_changed = true;
                    Cell { field, place, is_conflict: false, value }
                }
                Some(cell) => {
                    let better = self.better(cell, value, place);
                    is_changed |= better.place != cell.place || better.is_conflict != cell.is_conflict;
                    better
                }
            };
            self.cells.push(merged);
        }
        self.cells.extend(old);
        is_changed
    }

    /// Of the standing cell and a new value, the one that the versions choose.
    fn better(&self, cell: Cell<'a>, value: ValueRef<'a>, place: Place) -> Cell<'a> {
        let (standing, new) = (&self.provenances[usize::from(cell.place)], &self.provenances[usize::from(place)]);
        match new.stamp.cmp(&standing.stamp) {
            std::cmp::Ordering::Less => cell,
            std::cmp::Ordering::Greater => Cell { place, is_conflict: false, value, ..cell },
            std::cmp::Ordering::Equal if cell.value == value => {
                Cell { place: if new.stands_before(standing) { place } else { cell.place }, ..cell }
            }
            std::cmp::Ordering::Equal if value_digest(value) > value_digest(cell.value) => {
                Cell { place, is_conflict: true, value, ..cell }
            }
            std::cmp::Ordering::Equal => Cell { is_conflict: true, ..cell },
        }
    }

    /// Writes the row, leaving out deliveries that nothing rests on any more.
    pub(super) fn encode(&self, history: Option<&[u8]>) -> SourceRow {
        let mut new_place = [NOWHERE; 256];
        let mut kept: SmallVec<[&Provenance; 4]> = SmallVec::new();
        let marks = [self.revived, self.deleted, self.gap];
        let resting = self.cells.iter().map(|cell| cell.place).chain(marks).chain(self.open_gaps());
        for place in resting.filter(|place| *place != NOWHERE) {
            let slot = &mut new_place[usize::from(place)];
            if *slot == NOWHERE {
                *slot = Place::try_from(kept.len()).expect("fewer deliveries than fields and marks");
                kept.push(&self.provenances[usize::from(place)]);
            }
        }
        let mut out = Vec::with_capacity(ROW_BYTES_USUAL);
        out.extend_from_slice(&[0; 4]);
        cells::write(&self.cells, |place| new_place[usize::from(place)], &mut out);
        close_cells(&mut out);
        put_names(&mut out, self.key.system, &self.key.object, &self.key.record_id);
        out.extend(marks.map(|place| new_place[usize::from(place)]));
        out.push(u8::try_from(kept.len()).expect("fewer deliveries than fields and marks"));
        for provenance in kept {
            provenance.encode(&mut out);
        }
        out.extend_from_slice(history.unwrap_or(self.history));
        // A copy of just the length: rows stay in memory for as long as the hub runs.
        SourceRow(out.as_slice().into())
    }
}
