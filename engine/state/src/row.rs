//! One source row: per field the value with the highest version, and where it came from.
//!
//! A row is one byte string: `cells`, then provenances, markers and history. Reading a field scans
//! the cells; applying a fact merges two sorted runs into a new string. The stored form is the form
//! in memory.

use compact_str::CompactString;
use ontology::canonical::value_digest;
use ontology::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use ontology::{Fact, Field, LogPos, Millis, Op, SourceKey, Stamp, System, ValueRef, Version, Vocabulary};
use smallvec::SmallVec;

use crate::history::{self, Change};

/// Which delivery a value came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What the value is compared by.
    pub stamp: Stamp,
    /// The event.
    pub event_id: CompactString,
    /// When the connector saw it.
    pub observed_at: Millis,
    /// When it happened (spec 1.4).
    pub event_time: Millis,
    /// Whether the source's clock was too far ahead.
    pub has_clock_skew: bool,
    /// When the log took it.
    pub ingested_at: Millis,
    /// Where it stands in the log.
    pub log_pos: LogPos,
}

impl Provenance {
    fn of(fact: &Fact) -> Self {
        Provenance {
            stamp: fact.stamp(),
            event_id: fact.event_id.clone(),
            observed_at: fact.observed_at,
            event_time: fact.event_time(),
            has_clock_skew: fact.has_clock_skew(),
            ingested_at: fact.ingested_at,
            log_pos: fact.log_pos,
        }
    }

    /// Of deliveries with the same version and content, the one that stands for all comes first.
    pub(crate) fn stands_before(&self, other: &Provenance) -> bool {
        (self.observed_at, &self.event_id) < (other.observed_at, &other.event_id)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let version = &self.stamp.version;
        put_u64(out, version.major);
        put_u64(out, version.minor);
        put_u64(out, version.ordinal);
        put_bytes(out, version.tail.as_bytes());
        put_u64(
            out,
            u64::from(self.stamp.mapping_version) << 2
                | u64::from(self.has_clock_skew) << 1
                | u64::from(self.stamp.read_at != Millis::MIN),
        );
        if self.stamp.read_at != Millis::MIN {
            put_i64(out, self.stamp.read_at.0);
        }
        put_bytes(out, self.event_id.as_bytes());
        put_i64(out, self.event_time.0);
        put_i64(out, self.observed_at.0.wrapping_sub(self.event_time.0));
        put_i64(out, self.ingested_at.0.wrapping_sub(self.event_time.0));
        put_u64(out, self.log_pos.0);
    }

    /// Passes over a stored delivery; says whether the source's clock was too far ahead.
    fn skip(cursor: &mut Cursor<'_>) -> Result<bool, Corrupt> {
        let _version = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.bytes()?);
        let flags = cursor.u64()?;
        if flags & 1 == 1 {
            cursor.u64()?;
        }
        let _event_id = cursor.bytes()?;
        let _times_and_place = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
        Ok(flags & 2 == 2)
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        let (major, minor, ordinal) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let version = Version { major, minor, ordinal, tail: cursor.compact()? };
        let flags = cursor.u64()?;
        let read_at = if flags & 1 == 1 { Millis(cursor.i64()?) } else { Millis::MIN };
        let mapping_version = u32::try_from(flags >> 2).map_err(|_| Corrupt("a mapping version"))?;
        let event_id = cursor.compact()?;
        let event_time = Millis(cursor.i64()?);
        let observed_at = Millis(event_time.0.wrapping_add(cursor.i64()?));
        let ingested_at = Millis(event_time.0.wrapping_add(cursor.i64()?));
        Ok(Provenance {
            stamp: Stamp { version, mapping_version, read_at },
            event_id,
            observed_at,
            event_time,
            has_clock_skew: flags & 2 == 2,
            ingested_at,
            log_pos: LogPos(cursor.u64()?),
        })
    }
}

/// Index of a provenance within its row.
type Place = u8;
const NOWHERE: Place = u8::MAX;

/// Why reading a row in memory cannot fail.
const OWN_BYTES: &str = "a row in memory was written by this module";

/// One source row in its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow(Box<[u8]>);

/// A value with its place in the provenance table.
#[derive(Debug, Clone, Copy)]
struct Cell<'a> {
    field: Field,
    place: Place,
    is_conflict: bool,
    value: ValueRef<'a>,
}

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

/// A row taken apart for a merge.
struct Parts<'a> {
    key: SourceKey,
    cells: SmallVec<[Cell<'a>; 24]>,
    provenances: SmallVec<[Provenance; 4]>,
    /// Newest image or undelete.
    revived: Place,
    /// Newest delete.
    deleted: Place,
    /// Newest gap.
    gap: Place,
    history: &'a [u8],
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
        let mut parts = match row {
            Some(row) => row.parts().expect(OWN_BYTES),
            None => Parts::empty(fact.source_key()),
        };
        let (place, is_earlier_sighting) = parts.add_provenance(Provenance::of(fact));
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

    /// Which source row this is.
    #[must_use]
    pub fn key(&self) -> SourceKey {
        let marks = self.marks();
        let text = |bytes| CompactString::from_utf8(bytes).expect(OWN_BYTES);
        let system = System::from_code(marks.system).expect(OWN_BYTES);
        SourceKey { system, object: text(marks.object), record_id: text(marks.record_id) }
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
        self.cells().map(|cell| (cell.field, cell.value, cell.is_conflict))
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

    /// The newest change whose content is not known, unless an image, undelete or delete has
    /// caught up with it.
    #[must_use]
    pub fn open_gap(&self) -> Option<Provenance> {
        if self.marks().gap == NOWHERE {
            return None;
        }
        let parts = self.expect_parts();
        let gap = parts.at(parts.gap)?;
        let is_closed = [parts.revived, parts.deleted]
            .into_iter()
            .filter_map(|place| parts.at(place))
            .any(|closing| closing.stamp.version >= gap.stamp.version);
        if is_closed { None } else { Some(gap.clone()) }
    }

    /// History of the tracked fields, in version order.
    #[must_use]
    pub fn history(&self) -> Vec<Change> {
        history::read(self.expect_parts().history)
    }

    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let mut outer = Cursor(&self.0);
        let mut cursor = Cursor(outer.bytes().unwrap_or_default());
        std::iter::from_fn(move || read_cell(&mut cursor).ok())
    }

    /// The cell of one field. Cells stand in the order of their fields' codes.
    fn cell(&self, field: Field) -> Option<Cell<'_>> {
        let mut outer = Cursor(&self.0);
        let mut cursor = Cursor(outer.bytes().ok()?);
        loop {
            let code = cursor.byte().ok()?;
            let flags = cursor.byte().ok()?;
            if code == field.code() {
                let value = ValueRef::decode(&mut cursor).ok()?;
                return Some(Cell { field, place: flags & 0x7f, is_conflict: flags & 0x80 != 0, value });
            }
            if code > field.code() {
                return None;
            }
            ValueRef::skip(&mut cursor).ok()?;
        }
    }

    fn marks(&self) -> Marks<'_> {
        self.read_marks().expect(OWN_BYTES)
    }

    fn read_marks(&self) -> Result<Marks<'_>, Corrupt> {
        let mut rest = Cursor(&self.0);
        let _cells = rest.bytes()?;
        let (system, object, record_id) = (rest.byte()?, rest.bytes()?, rest.bytes()?);
        let (_revived, deleted, gap) = (rest.byte()?, rest.byte()?, rest.byte()?);
        let count = rest.byte()?;
        Ok(Marks { system, object, record_id, deleted, gap, count, rest })
    }

    fn expect_parts(&self) -> Parts<'_> {
        self.parts().expect(OWN_BYTES)
    }

    fn parts(&self) -> Result<Parts<'_>, Corrupt> {
        let mut outer = Cursor(&self.0);
        let mut cursor = Cursor(outer.bytes()?);
        let mut cells = SmallVec::new();
        while !cursor.is_empty() {
            cells.push(read_cell(&mut cursor)?);
        }
        let system = System::from_code(outer.byte()?).ok_or(Corrupt("a system"))?;
        let key = SourceKey { system, object: outer.compact()?, record_id: outer.compact()? };
        let (revived, deleted, gap) = (outer.byte()?, outer.byte()?, outer.byte()?);
        let count = outer.byte()?;
        let mut provenances = SmallVec::new();
        for _ in 0..count {
            provenances.push(Provenance::decode(&mut outer)?);
        }
        let is_known = |place: Place| place == NOWHERE || place < count;
        if !cells.iter().all(|cell: &Cell<'_>| cell.place < count) || ![revived, deleted, gap].into_iter().all(is_known)
        {
            return Err(Corrupt("places of a row"));
        }
        Ok(Parts { key, cells, provenances, revived, deleted, gap, history: outer.0 })
    }
}

fn read_cell<'a>(cursor: &mut Cursor<'a>) -> Result<Cell<'a>, Corrupt> {
    let field = Field::from_code(cursor.byte()?).ok_or(Corrupt("a field"))?;
    let flags = cursor.byte()?;
    let value = ValueRef::decode(cursor)?;
    Ok(Cell { field, place: flags & 0x7f, is_conflict: flags & 0x80 != 0, value })
}

impl<'a> Parts<'a> {
    fn empty(key: SourceKey) -> Self {
        let (cells, provenances) = (SmallVec::new(), SmallVec::new());
        Parts { key, cells, provenances, revived: NOWHERE, deleted: NOWHERE, gap: NOWHERE, history: &[] }
    }

    fn at(&self, place: Place) -> Option<&Provenance> {
        self.provenances.get(usize::from(place))
    }

    /// The place of a delivery, and whether it took the place of a later sighting of itself.
    fn add_provenance(&mut self, new: Provenance) -> (Place, bool) {
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

    fn merge_marks(&mut self, op: Op, place: Place) -> bool {
        let current = match op {
            Op::Image | Op::Undelete => self.revived,
            Op::Delete => self.deleted,
            Op::Gap => self.gap,
            Op::Patch | Op::Heartbeat => return false,
        };
        if !self.is_later(place, current) {
            return false;
        }
        match op {
            Op::Image | Op::Undelete => self.revived = place,
            Op::Delete => self.deleted = place,
            Op::Gap => self.gap = place,
            Op::Patch | Op::Heartbeat => {}
        }
        true
    }

    /// Merges the fields of `fact`, which are in field order as the cells are.
    fn merge_cells<'f>(&mut self, fact: &'f Fact, place: Place) -> bool
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
    fn encode(&self, history: Option<&[u8]>) -> SourceRow {
        let mut new_place = [NOWHERE; 256];
        let mut kept: SmallVec<[&Provenance; 4]> = SmallVec::new();
        let marks = [self.revived, self.deleted, self.gap];
        for place in self.cells.iter().map(|cell| cell.place).chain(marks).filter(|place| *place != NOWHERE) {
            let slot = &mut new_place[usize::from(place)];
            if *slot == NOWHERE {
                *slot = Place::try_from(kept.len()).expect("fewer deliveries than fields and marks");
                kept.push(&self.provenances[usize::from(place)]);
            }
        }
        let mut cells = Vec::with_capacity(256);
        for cell in &self.cells {
            cells.push(cell.field.code());
            cells.push(new_place[usize::from(cell.place)] | if cell.is_conflict { 0x80 } else { 0 });
            cell.value.encode(&mut cells);
        }
        let mut out = Vec::with_capacity(cells.len() + 160);
        put_bytes(&mut out, &cells);
        out.push(self.key.system.code());
        put_bytes(&mut out, self.key.object.as_bytes());
        put_bytes(&mut out, self.key.record_id.as_bytes());
        out.extend(marks.map(|place| new_place[usize::from(place)]));
        out.push(u8::try_from(kept.len()).expect("fewer deliveries than fields and marks"));
        for provenance in kept {
            provenance.encode(&mut out);
        }
        out.extend_from_slice(history.unwrap_or(self.history));
        SourceRow(out.into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::status::{CaseStatus, InvoiceStatus};
    use ontology::{EntityKey, EntityKind, FieldsBuilder};

    use super::*;

    fn fact(event_id: &str, op: Op, version: u64, set: &[(Field, ValueRef<'_>)]) -> Fact {
        let mut fields = FieldsBuilder::default();
        for (field, value) in set {
            fields.set(*field, *value);
        }
        Fact {
            event_id: event_id.into(),
            system: System::Oracle,
            object: "AR_INVOICE".into(),
            record_id: "1".into(),
            entity: EntityKey::new(EntityKind::Case, "INV-1"),
            op,
            version: Version::new(version, 0, 0),
            changed_at: Millis(i64::try_from(version).unwrap()),
            observed_at: Millis(1_000),
            ingested_at: Millis(2_000),
            log_pos: LogPos(version),
            contract_version: 1,
            mapping_version: 1,
            read_at: None,
            key_slot: 0,
            fields: fields.build(),
        }
    }

    fn status(status: impl Vocabulary) -> (Field, ValueRef<'static>) {
        (Field::Status, ValueRef::Code(status.code()))
    }

    /// Applies the facts in every order, each twice, and returns the one row that they all give.
    fn row_of(facts: &[Fact]) -> SourceRow {
        let mut orders = vec![vec![]];
        for _ in facts {
            let longer = |order: &Vec<usize>| {
                let missing: Vec<usize> = (0..facts.len()).filter(|i| !order.contains(i)).collect();
                missing.into_iter().map(|i| [order.clone(), vec![i]].concat()).collect::<Vec<_>>()
            };
            orders = orders.iter().flat_map(longer).collect();
        }
        let mut rows = orders.iter().map(|order| {
            let apply = |row: Option<SourceRow>, i: &usize| match SourceRow::apply(row.as_ref(), &facts[*i]) {
                Applied::Changed(row) => Some(row),
                Applied::Unchanged => row,
            };
            order.iter().chain(order).fold(None, apply).unwrap()
        });
        let first = rows.next().unwrap();
        for row in rows {
            assert_eq!(row.fields().collect::<Vec<_>>(), first.fields().collect::<Vec<_>>());
            assert_eq!(row.is_alive(), first.is_alive());
            assert_eq!(row.history(), first.history());
            assert_eq!(row.open_gap(), first.open_gap());
        }
        first
    }

    #[test]
    fn the_highest_version_stands_whatever_arrives_when() {
        let facts = [
            fact("a", Op::Image, 900, &[status(InvoiceStatus::Paid)]),
            fact("b", Op::Image, 880, &[status(InvoiceStatus::Open)]),
            fact("c", Op::Image, 870, &[status(InvoiceStatus::Open)]),
        ];
        assert_eq!(row_of(&facts).get(Field::Status), ValueRef::Code(InvoiceStatus::Paid.code()));
    }

    #[test]
    fn a_delete_outlives_a_newer_patch_and_an_undelete_shows_it() {
        let p1 = (Field::Priority, ValueRef::Code(0));
        let image = fact("a", Op::Image, 40, &[status(CaseStatus::New), (Field::Priority, ValueRef::Code(2))]);
        let delete = fact("b", Op::Delete, 50, &[]);
        let patch = fact("c", Op::Patch, 60, &[p1]);
        let dead = row_of(&[image.clone(), delete.clone(), patch.clone()]);
        assert!(!dead.is_alive());
        let row = row_of(&[image, delete, patch, fact("d", Op::Undelete, 70, &[])]);
        assert!(row.is_alive());
        assert_eq!(row.get(Field::Priority), p1.1);
        assert_eq!(row.get(Field::Status), ValueRef::Code(CaseStatus::New.code()));
    }

    #[test]
    fn an_undelete_without_content_shows_in_the_history_what_came_while_deleted() {
        let row = row_of(&[
            fact("a", Op::Image, 1, &[status(CaseStatus::New)]),
            fact("b", Op::Delete, 2, &[]),
            fact("c", Op::Patch, 3, &[status(CaseStatus::Resolved)]),
            fact("d", Op::Undelete, 4, &[]),
        ]);
        let history = crate::History::of(&row.history(), Field::Status);
        let course: Vec<_> = history.0.iter().map(|s| (s.from, s.value())).collect();
        let code = |status: CaseStatus| Some(ValueRef::Code(status.code()));
        let expected = [(Millis(1), code(CaseStatus::New)), (Millis(2), None), (Millis(4), code(CaseStatus::Resolved))];
        assert_eq!(course, expected);
    }

    #[test]
    fn a_patch_and_an_image_that_say_the_same_at_one_version_are_one_change() {
        let row = row_of(&[
            fact("a", Op::Delete, 1, &[]),
            fact("b", Op::Patch, 2, &[status(CaseStatus::New)]),
            fact("c", Op::Image, 2, &[status(CaseStatus::New)]),
        ]);
        let history = crate::History::of(&row.history(), Field::Status);
        assert_eq!(history.0.last().unwrap().value(), Some(ValueRef::Code(CaseStatus::New.code())));
    }

    #[test]
    fn two_contents_at_one_version_have_one_winner_and_a_conflict_until_something_newer() {
        let a = fact("a", Op::Image, 5, &[(Field::Amount, ValueRef::Int(1))]);
        let b = fact("b", Op::Image, 5, &[(Field::Amount, ValueRef::Int(2))]);
        let row = row_of(&[a.clone(), b.clone()]);
        assert!(row.fields().next().unwrap().2);
        let mended = row_of(&[a, b, fact("c", Op::Image, 6, &[(Field::Amount, ValueRef::Int(3))])]);
        assert!(!mended.fields().next().unwrap().2);
        assert_eq!(mended.get(Field::Amount), ValueRef::Int(3));
    }

    #[test]
    fn a_repeat_changes_nothing() {
        let a = fact("a", Op::Image, 5, &[(Field::Amount, ValueRef::Int(1)), status(CaseStatus::New)]);
        let Applied::Changed(row) = SourceRow::apply(None, &a) else { panic!("a first fact makes a row") };
        assert_eq!(SourceRow::apply(Some(&row), &a), Applied::Unchanged);
        let older = fact("b", Op::Image, 4, &[(Field::Amount, ValueRef::Int(9))]);
        assert_eq!(SourceRow::apply(Some(&row), &older), Applied::Unchanged);
    }

    #[test]
    fn a_gap_is_open_until_an_image_catches_up() {
        let gap = fact("g", Op::Gap, 10, &[]);
        let before = fact("a", Op::Image, 9, &[]);
        assert!(row_of(&[gap.clone(), before.clone()]).open_gap().is_some());
        assert!(row_of(&[gap.clone(), before.clone(), fact("p", Op::Patch, 11, &[])]).open_gap().is_some());
        assert!(row_of(&[gap, before, fact("b", Op::Image, 10, &[])]).open_gap().is_none());
    }

    #[test]
    fn history_is_read_in_version_order() {
        let row = row_of(&[
            fact("a", Op::Image, 1, &[status(CaseStatus::New)]),
            fact("c", Op::Patch, 3, &[status(CaseStatus::InProgress)]),
            fact("b", Op::Patch, 2, &[status(CaseStatus::Resolved)]),
        ]);
        let history = crate::History::of(&row.history(), Field::Status);
        let codes: Vec<_> = history.0.iter().map(|s| s.value().unwrap()).collect();
        assert_eq!(
            codes,
            [CaseStatus::New, CaseStatus::Resolved, CaseStatus::InProgress].map(|s| ValueRef::Code(s.code()))
        );
        assert_eq!(history.0[1].until, Some(Millis(3)));
    }

    #[test]
    fn stored_bytes_read_back_and_damage_is_refused() {
        let row = row_of(&[fact("a", Op::Image, 1, &[status(CaseStatus::New), (Field::Name, ValueRef::Text("x"))])]);
        assert_eq!(SourceRow::from_bytes(row.as_bytes()).unwrap(), row);
        assert!(SourceRow::from_bytes(&row.as_bytes()[..5]).is_err());
    }
}
