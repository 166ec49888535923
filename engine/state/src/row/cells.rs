//! The cells of a row: per field a value and which delivery it came with.
//!
//! The layout is `count, width, fields, ends, entries`: one byte for each of `count` field codes, in
//! order, then for each entry where it ends, in `width` bytes, then the entries, each `flags, tag,
//! payload`. Most questions are about fields that a row does not have, or about one of a dozen:
//! both are answered without looking at the other cells.

use ontology::codec::{Corrupt, Cursor};
use ontology::fields::FieldsRef;
use ontology::{Field, ValueRef, Vocabulary};
use smallvec::SmallVec;

use super::Place;

const CONFLICT: u8 = 0x80;
/// Bytes of an end while all entries together take less than 64 KiB, and beyond.
const WIDTHS: [u8; 2] = [2, 4];

/// A value with its place in the provenance table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) field: Field,
    pub(super) place: Place,
    pub(super) is_conflict: bool,
    pub(super) value: ValueRef<'a>,
}

/// The stored cells of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells<'a> {
    fields: &'a [u8],
    ends: &'a [u8],
    width: usize,
    entries: &'a [u8],
}

impl<'a> Cells<'a> {
    /// Takes stored cells apart, without reading any of them.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Corrupt> {
        const WHAT: Corrupt = Corrupt("the cells of a row");
        let (head, rest) = bytes.split_first_chunk::<2>().ok_or(WHAT)?;
        let [count, width] = *head;
        let (count, is_width) = (usize::from(count), WIDTHS.contains(&width));
        let width = usize::from(width);
        let (fields, rest) = rest.split_at_checked(count).ok_or(WHAT)?;
        let (ends, entries) = rest.split_at_checked(count * width).filter(|_| is_width).ok_or(WHAT)?;
        Ok(Cells { fields, ends, width, entries })
    }

    /// The fields at whose winning version two contents stood, without a look at any value.
    pub(super) fn conflicts(self) -> impl Iterator<Item = Field> {
        let begins = (0..self.fields.len()).map(move |place| if place == 0 { Ok(0) } else { self.end(place - 1) });
        let flags = begins.map(move |begin| self.entries.get(begin.ok()?));
        let marked =
            self.fields.iter().zip(flags).filter(|(_, flags)| flags.is_some_and(|flags| flags & CONFLICT != 0));
        marked.filter_map(|(code, _)| Field::from_code(*code))
    }

    /// Whether `fields` say all that the cells say, and perhaps more.
    pub(super) fn are_within(&self, fields: FieldsRef<'_>) -> bool {
        let mut said = fields.encoded().map(|(field, _)| field.code());
        self.fields.iter().all(|code| said.by_ref().any(|other| other == *code))
    }

    /// The cell of one field.
    pub(super) fn find(&self, field: Field) -> Option<Cell<'a>> {
        let place = self.fields.iter().position(|code| *code == field.code())?;
        self.at(place, field).ok()
    }

    /// All cells in the order of their fields' codes.
    pub(super) fn iter(self) -> impl Iterator<Item = Result<Cell<'a>, Corrupt>> {
        self.fields.iter().enumerate().map(move |(place, code)| {
            let field = Field::from_code(*code).ok_or(Corrupt("a field"))?;
            self.at(place, field)
        })
    }

    fn at(&self, place: usize, field: Field) -> Result<Cell<'a>, Corrupt> {
        let begin = if place == 0 { 0 } else { self.end(place - 1)? };
        let entry = self.entries.get(begin..self.end(place)?).ok_or(Corrupt("a cell"))?;
        let mut cursor = Cursor(entry);
        let flags = cursor.byte()?;
        let value = ValueRef::decode(&mut cursor)?;
        Ok(Cell { field, place: flags & !CONFLICT, is_conflict: flags & CONFLICT != 0, value })
    }

    fn end(&self, place: usize) -> Result<usize, Corrupt> {
        let bytes = self.ends.get(place * self.width..(place + 1) * self.width).ok_or(Corrupt("a cell's end"))?;
        Ok(bytes.iter().rev().fold(0, |end, byte| end << 8 | usize::from(*byte)))
    }
}

/// Appends cells, which are in the order of their fields' codes; `place_of` says where each one's
/// delivery stands now.
pub(super) fn write(cells: &[Cell<'_>], place_of: impl Fn(Place) -> Place, out: &mut Vec<u8>) {
    let begin = out.len();
    for width in WIDTHS {
        out.truncate(begin);
        out.push(u8::try_from(cells.len()).expect("fields have codes below 256, each once"));
        out.push(width);
        out.extend(cells.iter().map(|cell| cell.field.code()));
        let width = usize::from(width);
        let ends = out.len();
        out.resize(ends + cells.len() * width, 0);
        let entries = out.len();
        for (nth, cell) in cells.iter().enumerate() {
            out.push(place_of(cell.place) | if cell.is_conflict { CONFLICT } else { 0 });
            cell.value.encode(out);
            let end = (out.len() - entries).to_le_bytes();
            out[ends + nth * width..ends + (nth + 1) * width].copy_from_slice(&end[..width]);
        }
        if out.len() - entries <= usize::from(u16::MAX) {
            return;
        }
    }
}

/// Appends the cells of one delivery alone, the first of its row, without reading their values.
pub(super) fn write_image(fields: FieldsRef<'_>, out: &mut Vec<u8>) {
    let fields: SmallVec<[(Field, &[u8]); 32]> = fields.encoded().collect();
    // A flag stands before a value.
    let ends = || {
        fields.iter().scan(0, |end, (_, value)| {
            *end += 1 + value.len();
            Some(*end)
        })
    };
    let is_short = ends().last().is_none_or(|end| end <= usize::from(u16::MAX));
    let width = WIDTHS[usize::from(!is_short)];
    out.push(u8::try_from(fields.len()).expect("fields have codes below 256, each once"));
    out.push(width);
    out.extend(fields.iter().map(|(field, _)| field.code()));
    for end in ends() {
        out.extend_from_slice(&end.to_le_bytes()[..usize::from(width)]);
    }
    for (_, value) in &fields {
        out.push(0);
        out.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cell(field: Field, value: ValueRef<'_>) -> Cell<'_> {
        Cell { field, place: 1, is_conflict: field == Field::Name, value }
    }

    fn written(cells: &[Cell<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        write(cells, |place| place + 1, &mut out);
        out
    }

    #[test]
    fn cells_are_found_alone_and_read_in_order() {
        let bytes = written(&[cell(Field::Name, ValueRef::Text("x")), cell(Field::Amount, ValueRef::Int(-7))]);
        let cells = Cells::open(&bytes).unwrap();
        let found = cells.find(Field::Amount).unwrap();
        assert_eq!((found.value, found.place, found.is_conflict), (ValueRef::Int(-7), 2, false));
        assert!(cells.find(Field::Name).unwrap().is_conflict);
        assert!(cells.find(Field::Status).is_none());
        assert_eq!(cells.iter().map(|cell| cell.unwrap().field).collect::<Vec<_>>(), [Field::Name, Field::Amount]);
    }

    #[test]
    fn a_row_without_cells_has_none() {
        let bytes = written(&[]);
        assert_eq!(Cells::open(&bytes).unwrap().iter().count(), 0);
    }

    #[test]
    fn ends_take_two_bytes_up_to_64_kib_and_four_beyond() {
        for (len, width) in [(65_000, 2), (66_000, 4)] {
            let long = "x".repeat(len);
            let bytes = written(&[cell(Field::Name, ValueRef::Text(&long)), cell(Field::Amount, ValueRef::Int(1))]);
            assert_eq!(bytes[1], width);
            let cells = Cells::open(&bytes).unwrap();
            assert_eq!(cells.find(Field::Name).unwrap().value, ValueRef::Text(&long));
            assert_eq!(cells.find(Field::Amount).unwrap().value, ValueRef::Int(1));
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let bytes = written(&[cell(Field::Name, ValueRef::Text("name")), cell(Field::Amount, ValueRef::Int(1))]);
        for end in 0..bytes.len() {
            let is_read = Cells::open(&bytes[..end]).is_ok_and(|cells| cells.iter().all(|cell| cell.is_ok()));
            assert!(!is_read, "cut at {end}");
        }
        let wrong_width = [&[bytes[0], 3], &bytes[2..]].concat();
        assert!(Cells::open(&wrong_width).is_err());
    }
}
