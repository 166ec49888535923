//! Fields and values of a fact or a record, in one compact byte string.
//!
//! The layout is a run of entries in field order, each `field, tag, payload`. A record of ten
//! fields is then one allocation of about the size of its text, reading a field is a short scan,
//! and a stored row needs no parsing.

use crate::codec::{Corrupt, Cursor, put_bytes, put_i64};
use crate::field::Field;
use crate::time::Millis;
use crate::vocabulary::{Coded, Vocabulary};

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// Known to be empty.
    Null,
    /// Text.
    Text(&'a str),
    /// Whole number.
    Int(i64),
    /// Truth value.
    Bool(bool),
    /// Instant.
    Time(Millis),
    /// Exact decimal `mantissa x 10^-scale`.
    Decimal {
        /// Digits with sign.
        mantissa: i64,
        /// Places after the point.
        scale: u8,
    },
    /// Word of the field's vocabulary, by code.
    Code(u8),
    /// Word that the mapping does not know, verbatim: finding `unmapped_value`.
    Unknown(&'a str),
    /// Value of a wrong type or out of range, verbatim; reads as null: finding `bad_field`.
    Bad(&'a str),
    /// List of items, each with fields of its own; see [`ValueRef::items`].
    List(&'a [u8]),
}

const TAG_NULL: u8 = 0;
const TAG_TEXT: u8 = 1;
const TAG_INT: u8 = 2;
const TAG_FALSE: u8 = 3;
const TAG_TRUE: u8 = 4;
const TAG_TIME: u8 = 5;
const TAG_DECIMAL: u8 = 6;
const TAG_CODE: u8 = 7;
const TAG_UNKNOWN: u8 = 8;
const TAG_BAD: u8 = 9;
const TAG_LIST: u8 = 10;

impl<'a> ValueRef<'a> {
    /// Text, if it is some.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        if let ValueRef::Text(text) = self { Some(text) } else { None }
    }

    /// Whole number, if it is one.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        if let ValueRef::Int(int) = self { Some(int) } else { None }
    }

    /// Truth value, if it is one.
    #[must_use]
    pub fn bool(self) -> Option<bool> {
        if let ValueRef::Bool(b) = self { Some(b) } else { None }
    }

    /// Instant, if it is one.
    #[must_use]
    pub fn time(self) -> Option<Millis> {
        if let ValueRef::Time(time) = self { Some(time) } else { None }
    }

    /// Mantissa and scale of a decimal or a whole number.
    #[must_use]
    pub fn decimal(self) -> Option<(i64, u8)> {
        match self {
            ValueRef::Decimal { mantissa, scale } => Some((mantissa, scale)),
            ValueRef::Int(int) => Some((int, 0)),
            ValueRef::Null
            | ValueRef::Text(_)
            | ValueRef::Bool(_)
            | ValueRef::Time(_)
            | ValueRef::Code(_)
            | ValueRef::Unknown(_)
            | ValueRef::Bad(_)
            | ValueRef::List(_) => None,
        }
    }

    /// The word of vocabulary `V`.
    #[must_use]
    pub fn coded<V: Vocabulary>(self) -> Coded<'a, V> {
        match self {
            ValueRef::Code(code) => V::from_code(code).map_or(Coded::Unknown(""), Coded::Known),
            ValueRef::Unknown(raw) | ValueRef::Text(raw) => Coded::Unknown(raw),
            ValueRef::Null
            | ValueRef::Int(_)
            | ValueRef::Bool(_)
            | ValueRef::Time(_)
            | ValueRef::Decimal { .. }
            | ValueRef::Bad(_)
            | ValueRef::List(_) => Coded::Missing,
        }
    }

    /// Whether nothing is known to stand there.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, ValueRef::Null | ValueRef::Bad(_))
    }

    /// The items of a list, none for any other value.
    pub fn items(self) -> impl Iterator<Item = FieldsRef<'a>> {
        let mut cursor = Cursor(if let ValueRef::List(bytes) = self { bytes } else { &[] });
        std::iter::from_fn(move || cursor.bytes().ok().map(FieldsRef))
    }

    /// Appends tag and payload.
    #[inline]
    pub fn encode(self, out: &mut Vec<u8>) {
        match self {
            ValueRef::Null => out.push(TAG_NULL),
            ValueRef::Text(text) => put_tagged(out, TAG_TEXT, text.as_bytes()),
            ValueRef::Int(int) => {
                out.push(TAG_INT);
                put_i64(out, int);
            }
            ValueRef::Bool(b) => out.push(if b { TAG_TRUE } else { TAG_FALSE }),
            ValueRef::Time(time) => {
                out.push(TAG_TIME);
                put_i64(out, time.0);
            }
            ValueRef::Decimal { mantissa, scale } => {
                out.push(TAG_DECIMAL);
                out.push(scale);
                put_i64(out, mantissa);
            }
            ValueRef::Code(code) => out.extend_from_slice(&[TAG_CODE, code]),
            ValueRef::Unknown(raw) => put_tagged(out, TAG_UNKNOWN, raw.as_bytes()),
            ValueRef::Bad(raw) => put_tagged(out, TAG_BAD, raw.as_bytes()),
            ValueRef::List(bytes) => put_tagged(out, TAG_LIST, bytes),
        }
    }

    /// Reads tag and payload.
    #[inline]
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, Corrupt> {
        Ok(match cursor.byte()? {
            TAG_NULL => ValueRef::Null,
            TAG_TEXT => ValueRef::Text(cursor.text()?),
            TAG_INT => ValueRef::Int(cursor.i64()?),
            TAG_FALSE => ValueRef::Bool(false),
            TAG_TRUE => ValueRef::Bool(true),
            TAG_TIME => ValueRef::Time(Millis(cursor.i64()?)),
            TAG_DECIMAL => {
                let scale = cursor.byte()?;
                ValueRef::Decimal { mantissa: cursor.i64()?, scale }
            }
            TAG_CODE => ValueRef::Code(cursor.byte()?),
            TAG_UNKNOWN => ValueRef::Unknown(cursor.text()?),
            TAG_BAD => ValueRef::Bad(cursor.text()?),
            TAG_LIST => ValueRef::List(cursor.bytes()?),
            _ => return Err(Corrupt("a value")),
        })
    }

    /// Passes over tag and payload unread: who looks for one field need not check the text of the
    /// others.
    #[inline]
    pub fn skip(cursor: &mut Cursor<'_>) -> Result<(), Corrupt> {
        match cursor.byte()? {
            TAG_NULL | TAG_FALSE | TAG_TRUE => {}
            TAG_CODE => _ = cursor.byte()?,
            TAG_INT | TAG_TIME => _ = cursor.u64()?,
            TAG_DECIMAL => {
                cursor.byte()?;
                cursor.u64()?;
            }
            TAG_TEXT | TAG_UNKNOWN | TAG_BAD | TAG_LIST => _ = cursor.bytes()?,
            _ => return Err(Corrupt("a value")),
        }
        Ok(())
    }
}

#[inline]
fn put_tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_bytes(out, bytes);
}

/// Anything that fields can be read from: a fact, a source row, the join of several.
pub trait FieldReader {
    /// The value of `field`; [`ValueRef::Null`] if it was never set.
    fn get(&self, field: Field) -> ValueRef<'_>;

    /// Non-empty text of `field`.
    fn text(&self, field: Field) -> Option<&str> {
        self.get(field).text().filter(|text| !text.is_empty())
    }

    /// Instant of `field`.
    fn time(&self, field: Field) -> Option<Millis> {
        self.get(field).time()
    }

    /// Word of `field`.
    fn coded<V: Vocabulary>(&self, field: Field) -> Coded<'_, V>
    where
        Self: Sized,
    {
        self.get(field).coded()
    }
}

/// Borrowed fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldsRef<'a>(pub &'a [u8]);

impl<'a> FieldsRef<'a> {
    /// All fields in order. Stops at the first byte that is not a field, which a digest rules out.
    pub fn iter(self) -> impl Iterator<Item = (Field, ValueRef<'a>)> {
        let mut cursor = Cursor(self.0);
        std::iter::from_fn(move || {
            let field = Field::from_code(cursor.byte().ok()?)?;
            Some((field, ValueRef::decode(&mut cursor).ok()?))
        })
    }

    /// All fields in order, each with its value as [`ValueRef::encode`] writes it: texts stay unread.
    pub fn encoded(self) -> impl Iterator<Item = (Field, &'a [u8])> {
        let mut cursor = Cursor(self.0);
        std::iter::from_fn(move || {
            let field = Field::from_code(cursor.byte().ok()?)?;
            let value = cursor.0;
            ValueRef::skip(&mut cursor).ok()?;
            Some((field, &value[..value.len() - cursor.0.len()]))
        })
    }

    /// The value of `field`.
    #[must_use]
    pub fn find(self, field: Field) -> ValueRef<'a> {
        let mut cursor = Cursor(self.0);
        while let Ok(code) = cursor.byte() {
            if code == field.code() {
                return ValueRef::decode(&mut cursor).unwrap_or(ValueRef::Null);
            }
            // Fields stand in the order of their codes.
            if code > field.code() || ValueRef::skip(&mut cursor).is_err() {
                break;
            }
        }
        ValueRef::Null
    }
}

impl FieldReader for FieldsRef<'_> {
    fn get(&self, field: Field) -> ValueRef<'_> {
        self.find(field)
    }
}

/// Owned fields, in field order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Box<[u8]>);

impl Fields {
    /// Takes bytes that [`Fields::as_bytes`] gave, checking that they read through.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut cursor = Cursor(bytes);
        while !cursor.is_empty() {
            Field::from_code(cursor.byte()?).ok_or(Corrupt("a field"))?;
            ValueRef::decode(&mut cursor)?;
        }
        Ok(Fields(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The fields, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> FieldsRef<'_> {
        FieldsRef(&self.0)
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, ValueRef<'_>)> {
        self.as_ref().iter()
    }

    /// Whether there is no field at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FieldReader for Fields {
    fn get(&self, field: Field) -> ValueRef<'_> {
        self.as_ref().find(field)
    }
}

/// Bytes that most fields take.
const FIELD_BYTES_USUAL: usize = 16;

/// Collects fields in any order; a field set twice keeps the later value.
///
/// ```
/// use ontology::{Field, FieldReader, FieldsBuilder, ValueRef};
/// let mut builder = FieldsBuilder::default();
/// builder.set(Field::Subject, ValueRef::Text("no dial tone"));
/// builder.set(Field::Name, ValueRef::Null);
/// let fields = builder.build();
/// assert_eq!(fields.text(Field::Subject), Some("no dial tone"));
/// assert_eq!(fields.iter().next().unwrap().0, Field::Name);
/// ```
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    bytes: Vec<u8>,
    /// Where each entry starts, in the order of setting.
    entries: Vec<(Field, u32)>,
    sorted: bool,
}

impl FieldsBuilder {
    /// Makes room for `fields` more fields of usual length.
    pub fn reserve(&mut self, fields: usize) {
        self.entries.reserve(fields);
        self.bytes.reserve(fields * FIELD_BYTES_USUAL);
    }

    /// Sets `field`.
    #[inline]
    pub fn set(&mut self, field: Field, value: ValueRef<'_>) -> &mut Self {
        self.sorted =
            self.entries.last().is_none_or(|(last, _)| *last < field) && (self.sorted || self.entries.is_empty());
        let start = u32::try_from(self.bytes.len()).expect("fields of one record stay far below 4 GiB");
        self.entries.push((field, start));
        self.bytes.push(field.code());
        value.encode(&mut self.bytes);
        self
    }

    /// Sets `field` to text, or to null if there is none.
    #[inline]
    pub fn text(&mut self, field: Field, text: Option<&str>) -> &mut Self {
        self.set(field, text.filter(|t| !t.is_empty()).map_or(ValueRef::Null, ValueRef::Text))
    }

    /// Sets `field` to a word of a vocabulary.
    pub fn word<V: Vocabulary>(&mut self, field: Field, word: V) -> &mut Self {
        self.set(field, ValueRef::Code(word.code()))
    }

    /// Sets `field` to the word that `raw` names in vocabulary `V`, keeping what is not one of ours.
    pub fn parsed_word<V: Vocabulary>(&mut self, field: Field, raw: &str) -> &mut Self {
        match V::parse(raw) {
            Some(word) => self.word(field, word),
            None if raw.is_empty() => self.set(field, ValueRef::Null),
            None => self.set(field, ValueRef::Unknown(raw)),
        }
    }

    /// Whether `field` was set.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.entries.iter().any(|(f, _)| *f == field)
    }

    /// The fields in order; the builder is empty afterwards and can be used again.
    #[inline]
    pub fn build(&mut self) -> Fields {
        let fields = if self.sorted || self.entries.is_empty() {
            Fields(self.bytes.as_slice().into())
        } else {
            self.build_sorted()
        };
        self.bytes.clear();
        self.entries.clear();
        fields
    }

    fn build_sorted(&self) -> Fields {
        let end_of = |i: usize| self.entries.get(i + 1).map_or(self.bytes.len(), |(_, start)| *start as usize);
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|i| (self.entries[*i].0, *i));
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for (place, i) in order.iter().enumerate() {
            let (field, start) = self.entries[*i];
            let is_overwritten = order.get(place + 1).is_some_and(|next| self.entries[*next].0 == field);
            if !is_overwritten {
                bytes.extend_from_slice(&self.bytes[start as usize..end_of(*i)]);
            }
        }
        Fields(bytes.into())
    }
}

/// Collects the items of a list value.
#[derive(Debug, Default)]
pub struct ListBuilder(Vec<u8>);

impl ListBuilder {
    /// Appends an item.
    pub fn push(&mut self, item: &Fields) -> &mut Self {
        put_bytes(&mut self.0, item.as_bytes());
        self
    }

    /// The list as a value.
    #[must_use]
    pub fn value(&self) -> ValueRef<'_> {
        ValueRef::List(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::status::CaseStatus;

    #[test]
    fn fields_are_sorted_and_the_last_setting_wins() {
        let mut builder = FieldsBuilder::default();
        builder
            .set(Field::Amount, ValueRef::Int(1))
            .set(Field::Name, ValueRef::Text("a"))
            .set(Field::Amount, ValueRef::Int(2));
        let fields = builder.build();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, vec![(Field::Name, ValueRef::Text("a")), (Field::Amount, ValueRef::Int(2))]);
        assert!(builder.build().is_empty());
    }

    #[test]
    fn every_kind_of_value_reads_back() {
        let mut item = FieldsBuilder::default();
        item.set(Field::Text, ValueRef::Text("hello"));
        let mut list = ListBuilder::default();
        list.push(&item.build());
        let values = [
            ValueRef::Null,
            ValueRef::Text("x"),
            ValueRef::Int(-7),
            ValueRef::Bool(true),
            ValueRef::Bool(false),
            ValueRef::Time(Millis(-1)),
            ValueRef::Decimal { mantissa: -34250, scale: 2 },
            ValueRef::Code(3),
            ValueRef::Unknown("Gesperrt"),
            ValueRef::Bad("12,5x"),
            list.value(),
        ];
        let mut builder = FieldsBuilder::default();
        for ((field, _), value) in Field::ALL.iter().zip(values) {
            builder.set(*field, value);
        }
        let fields = Fields::from_bytes(builder.build().as_bytes()).unwrap();
        let read: Vec<_> = fields.iter().map(|(_, value)| value).collect();
        assert_eq!(read, values);
        assert_eq!(read[10].items().next().unwrap().find(Field::Text), ValueRef::Text("hello"));
    }

    #[test]
    fn words_outside_the_vocabulary_are_kept_verbatim() {
        let mut builder = FieldsBuilder::default();
        builder.parsed_word::<CaseStatus>(Field::Status, "resolved");
        assert_eq!(builder.build().coded::<CaseStatus>(Field::Status), Coded::Known(CaseStatus::Resolved));
        builder.parsed_word::<CaseStatus>(Field::Status, "Geparkt");
        assert_eq!(builder.build().coded::<CaseStatus>(Field::Status), Coded::Unknown("Geparkt"));
        assert_eq!(builder.build().coded::<CaseStatus>(Field::Status), Coded::Missing);
    }

    #[test]
    fn damaged_fields_are_refused() {
        assert!(Fields::from_bytes(&[255]).is_err());
        assert!(Fields::from_bytes(&[0, 1, 9]).is_err());
    }
}
