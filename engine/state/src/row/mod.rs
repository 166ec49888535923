//! One source row: per field the value with the highest version, and where it came from.
//!
//! A row is one byte string: how long its cells are (four bytes), the cells, then names, marks,
//! deliveries and history. Reading a field looks at its cell alone; applying a fact merges two
//! sorted runs into a new string. The stored form is the form in memory.

mod cells;
mod merge;
mod provenance;
#[cfg(test)]
mod tests;

use compact_str::CompactString;
use ontology::codec::{Corrupt, Cursor};
use ontology::{Fact, Field, Op, SourceKey, Stamp, System, ValueRef, Vocabulary};
use smallvec::SmallVec;

use crate::history::{self, Change};
use cells::{Cell, Cells};
use merge::Parts;
pub use provenance::Provenance;

/// Index of a provenance within its row.
type Place = u8;
const NOWHERE: Place = u8::MAX;

/// Why reading a row in memory cannot fail.
const OWN_BYTES: &str = "a row in memory was written by this module";

/// One source row in its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow(Box<[u8]>);

/// What stands between the cells and the provenances, for questions that need no more.
struct Marks<'a> {
    system: u8,
    object: &'a [u8],
    record_id: &'a [u8],
    deleted: Place,
    gap: Place,
    count: u8,
    /// Provenances, then history.
    rest: Cursor<'a>,
}

/// What applying a fact did.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing: a repeat, or older than everything that it says.
    Unchanged,
    /// The row is now this.
    Changed(SourceRow),
}

impl SourceRow {
    /// Applies a fact to a row that may not exist yet. Facts commute: any order, any repeats give
    /// the same row.
    #[must_use]
    pub fn apply(row: Option<&SourceRow>, fact: &Fact) -> Applied {
        let new = Provenance::of(fact);
        // Most facts are images of rows that are new or stood at an earlier version: nothing is compared.
        let replaced = || row.map_or(Some(&[][..]), |row| row.replaced_by(fact, &new.stamp).expect(OWN_BYTES));
        if fact.op == Op::Image
            && let Some(history) = replaced()
        {
            let merged = history::merge(history, fact, &new);
            return Applied::Changed(merge::image(fact, &new, merged.as_deref().unwrap_or(history)));
        }
        SourceRow::merge(row, fact, new)
    }

    fn merge(row: Option<&SourceRow>, fact: &Fact, new: Provenance) -> Applied {
        let mut parts = match row {
            Some(row) => row.parts().expect(OWN_BYTES),
            None => Parts::empty(fact.source_key()),
        };
        let (place, is_earlier_sighting) = parts.add_provenance(new);
        let mut is_changed = parts.merge_marks(fact.op, place) || is_earlier_sighting;
        if matches!(fact.op, Op::Patch | Op::Image | Op::Undelete) {
            is_changed |= parts.merge_cells(fact, place);
        }
        let history = history::merge(parts.history, fact, &parts.provenances[usize::from(place)]);
        if !is_changed && history.is_none() && row.is_some() {
            return Applied::Unchanged;
        }
        Applied::Changed(parts.encode(history.as_deref()))
    }

    /// The history of the row if nothing else of it is left once an image at `stamp` is applied.
    fn replaced_by(&self, image: &Fact, stamp: &Stamp) -> Result<Option<&[u8]>, Corrupt> {
        let Marks { deleted, gap, count, mut rest, .. } = self.read_marks()?;
        if deleted != NOWHERE || gap != NOWHERE {
            return Ok(None);
        }
        for _ in 0..count {
            if Provenance::decode(&mut rest)?.stamp >= *stamp {
                return Ok(None);
            }
        }
        let (cells, _) = self.split()?;
        Ok(cells.are_within(image.fields.as_ref()).then_some(rest.0))
    }

    /// The stored bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes stored bytes, checking that they read through.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let row = SourceRow(bytes.into());
        row.parts()?;
        Ok(row)
    }

    /// How the row stands to the one that a fact is about, in the order of [`SourceRow::key`].
    #[must_use]
    pub fn cmp_row_of(&self, fact: &Fact) -> std::cmp::Ordering {
        let Marks { system, object, record_id, .. } = self.marks();
        let other = (fact.system.code(), fact.object.as_bytes(), fact.record_id.as_bytes());
        (system, object, record_id).cmp(&other)
    }

    /// Which source row this is.
    #[must_use]
    pub fn key(&self) -> SourceKey {
        let marks = self.marks();
        let text = |bytes| CompactString::from_utf8(bytes).expect(OWN_BYTES);
        let system = System::from_code(marks.system).expect(OWN_BYTES);
        SourceKey { system, object: text(marks.object), record_id: text(marks.record_id) }
    }

    /// Which system the row is of, by its code.
    pub(crate) fn system(&self) -> u8 {
        self.marks().system
    }

    /// Whether both are rows of one table of one system.
    pub(crate) fn is_of_one_table(&self, other: &SourceRow) -> bool {
        let (one, other) = (self.marks(), other.marks());
        (one.system, one.object) == (other.system, other.object)
    }

    /// The value of a field; null if the row never had it.
    #[must_use]
    pub fn get(&self, field: Field) -> ValueRef<'_> {
        self.cell(field).map_or(ValueRef::Null, |cell| cell.value)
    }

    /// Whether the row ever said anything about the field.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.cell(field).is_some()
    }

    /// All fields in order, with whether two contents stood at the winning version.
    pub fn fields(&self) -> impl Iterator<Item = (Field, ValueRef<'_>, bool)> {
        let cells = self.split().expect(OWN_BYTES).0.iter();
        cells.map(|cell| cell.expect(OWN_BYTES)).map(|cell| (cell.field, cell.value, cell.is_conflict))
    }

    /// The fields at whose winning version two contents stood, in order.
    pub fn conflicts(&self) -> impl Iterator<Item = Field> {
        self.split().expect(OWN_BYTES).0.conflicts()
    }

    /// Where the value of a field came from.
    #[must_use]
    pub fn provenance(&self, field: Field) -> Option<Provenance> {
        let place = self.cell(field)?.place;
        let mut rest = self.marks().rest;
        for _ in 0..place {
            Provenance::skip(&mut rest).expect(OWN_BYTES);
        }
        Some(Provenance::decode(&mut rest).expect(OWN_BYTES))
    }

    /// Whether the source's clock was too far ahead in one of [`SourceRow::provenances`].
    #[must_use]
    pub fn has_clock_skew(&self) -> bool {
        let Marks { count, mut rest, .. } = self.marks();
        (0..count).any(|_| Provenance::skip(&mut rest).expect(OWN_BYTES))
    }

    /// All deliveries that some value or mark of the row still rests on.
    #[must_use]
    pub fn provenances(&self) -> SmallVec<[Provenance; 4]> {
        self.expect_parts().provenances
    }

    /// Whether the row exists at its source. It lives again only by an undelete or an image newer
    /// than the delete; a newer patch is kept but does not revive it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        if self.marks().deleted == NOWHERE {
            return true;
        }
        let parts = self.expect_parts();
        let Some(deleted) = parts.at(parts.deleted) else { return true };
        parts.at(parts.revived).is_some_and(|revived| revived.stamp > deleted.stamp)
    }

    /// Of the changes whose content is not known the one that happened first, unless an image, undelete
    /// or delete of its version or a later one has caught up with it.
    #[must_use]
    pub fn open_gap(&self) -> Option<Provenance> {
        if self.marks().gap == NOWHERE {
            return None;
        }
        let parts = self.expect_parts();
        let newest = parts.is_open(parts.gap).then_some(parts.gap);
        let open = newest.into_iter().chain(parts.open_gaps()).filter_map(|place| parts.at(place));
        open.min_by_key(|gap| gap.event_time).cloned()
    }

    /// The open gap of the highest version: what is read from the source now stands at this one or later.
    #[must_use]
    pub fn newest_open_gap(&self) -> Option<Provenance> {
        let parts = self.expect_parts();
        parts.at(parts.gap).filter(|_| parts.is_open(parts.gap)).cloned()
    }

    /// History of the tracked fields, in version order.
    #[must_use]
    pub fn history(&self) -> Vec<Change> {
        history::read(self.expect_parts().history)
    }

    /// The cells, and what stands behind them.
    fn split(&self) -> Result<(Cells<'_>, Cursor<'_>), Corrupt> {
        let (len, rest) = self.0.split_first_chunk::<4>().ok_or(Corrupt("a row"))?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| Corrupt("a row"))?;
        let (cells, rest) = rest.split_at_checked(len).ok_or(Corrupt("a row"))?;
        Ok((Cells::open(cells)?, Cursor(rest)))
    }

    fn cell(&self, field: Field) -> Option<Cell<'_>> {
        self.split().expect(OWN_BYTES).0.find(field)
    }

    fn marks(&self) -> Marks<'_> {
        self.read_marks().expect(OWN_BYTES)
    }

    fn read_marks(&self) -> Result<Marks<'_>, Corrupt> {
        let (_, mut rest) = self.split()?;
        let (system, object, record_id) = (rest.byte()?, rest.bytes()?, rest.bytes()?);
        let (_revived, deleted, gap) = (rest.byte()?, rest.byte()?, rest.byte()?);
        let count = rest.byte()?;
        Ok(Marks { system, object, record_id, deleted, gap, count, rest })
    }

    fn expect_parts(&self) -> Parts<'_> {
        self.parts().expect(OWN_BYTES)
    }

    fn parts(&self) -> Result<Parts<'_>, Corrupt> {
        let (cells, mut outer) = self.split()?;
        let cells = cells.iter().collect::<Result<SmallVec<[Cell<'_>; 24]>, Corrupt>>()?;
        let system = System::from_code(outer.byte()?).ok_or(Corrupt("a system"))?;
        let key = SourceKey { system, object: outer.compact()?, record_id: outer.compact()? };
        let (revived, deleted, gap) = (outer.byte()?, outer.byte()?, outer.byte()?);
        let count = outer.byte()?;
        let mut provenances = SmallVec::new();
        for _ in 0..count {
            provenances.push(Provenance::decode(&mut outer)?);
        }
        let is_known = |place: Place| place == NOWHERE || place < count;
        if !cells.iter().all(|cell| cell.place < count) || ![revived, deleted, gap].into_iter().all(is_known) {
            return Err(Corrupt("places of a row"));
        }
        let rests =
            |place: &Place| cells.iter().any(|cell| cell.place == *place) || [revived, deleted, gap].contains(place);
        let gaps = if gap == NOWHERE { SmallVec::new() } else { (0..count).filter(|place| !rests(place)).collect() };
        Ok(Parts { key, cells, provenances, revived, deleted, gap, gaps, history: outer.0 })
    }
}
