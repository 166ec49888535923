//! Fills fields from native values by a mapping.

use std::borrow::Cow;

use ontology::{Currency, EntityKind, Field, Fields, FieldsBuilder, ListBuilder, Millis, ValueRef, Vocabulary};
use smallvec::SmallVec;

use super::{Condition, FieldMap, Form, Kind, Mapping, ObjectMap};
use crate::value::{
    Columns, Decimal, Native, NoDate, TimeUnit, day_of, parse_instant, parse_sap_date, parse_sap_instant,
};

/// What the payload says about columns that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are empty: every field that the object can fill is set.
    Image,
    /// Nothing: only named columns set fields.
    Patch,
    /// Nothing, and they hold what they held: a field that they could decide is left alone.
    Update,
    /// Nothing, and nobody can ask for them: a field is made of those of its columns that are there.
    Shown,
}

/// What filling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Some of the columns that one field is made of changed and the others are not known here: the
    /// record has to be read whole.
    pub needs_refetch: bool,
}

/// A value that breaks the contract: the record goes to quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}.{column}: {what}")]
pub struct Breach {
    /// The object.
    pub object: String,
    /// The column.
    pub column: String,
    /// What was expected.
    pub what: &'static str,
}

/// The values of a field's columns: one, or a few that belong together.
type Values<'a> = SmallVec<[Native<'a>; 2]>;

/// What one native value became.
enum Outcome<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
    Time(Millis),
    Decimal(Decimal),
    Code(u8),
    Unknown(Cow<'a, str>),
    List(Vec<Fields>),
    /// Of a wrong type or out of range, with what was expected.
    Bad(&'static str),
    /// Breaks the contract even where the field is optional.
    Breach(&'static str),
}

impl Mapping {
    /// Fills `out` with the fields of one row of `object`.
    pub fn apply(
        &self,
        object: &ObjectMap,
        columns: &impl Columns,
        mode: Mode,
        out: &mut FieldsBuilder,
    ) -> Result<Applied, Breach> {
        let mut applied = Applied::default();
        out.reserve(object.fields.len());
        for map in &object.fields {
            let Some(values) = self.values(map, columns, mode, &mut applied) else { continue };
            // Where nothing is said of the column that decides, nothing is known of the field.
            let is_open = |when: &Condition| mode != Mode::Image && columns.column(&when.column).is_none();
            if map.when.as_ref().is_some_and(is_open) {
                applied.needs_refetch = true;
                continue;
            }
            let is_meant = map.when.as_ref().is_none_or(|when| when.holds(columns));
            if !is_meant && out.has(map.to) {
                continue;
            }
            let outcome = if is_meant { self.read(map, &values) } else { Outcome::Null };
            set(out, object, map, &values, outcome)?;
        }
        Ok(applied)
    }

    /// The values of a field's columns; none if the field is not to be touched.
    fn values<'a>(
        &self,
        map: &FieldMap,
        columns: &'a impl Columns,
        mode: Mode,
        applied: &mut Applied,
    ) -> Option<Values<'a>> {
        if map.is_any {
            return first_of(map, columns, mode, applied).map(|value| smallvec::smallvec![value]);
        }
        let mut values = Values::new();
        let mut present = 0;
        for column in &map.from {
            let value = columns.column(column);
            present += usize::from(value.is_some());
            values.push(value.unwrap_or(Native::Null));
        }
        match mode {
            Mode::Patch | Mode::Update if present < values.len() => {
                applied.needs_refetch |= present > 0;
                None
            }
            Mode::Shown if present == 0 => None,
            Mode::Image | Mode::Patch | Mode::Update | Mode::Shown => Some(values),
        }
    }

    fn read<'v>(&self, map: &FieldMap, values: &'v [Native<'_>]) -> Outcome<'v> {
        if values.iter().all(Native::is_empty) {
            // Where a flag is a word that means yes, a blank means no.
            let is_flag = matches!(&map.kind, Kind::Bool { yes } if !yes.is_empty());
            return if is_flag { Outcome::Bool(false) } else { Outcome::Null };
        }
        let first = &values[0];
        match &map.kind {
            Kind::Text { form, part } => read_text(values, *form, part.as_ref()),
            Kind::Int { divisor, bounds } => read_int(first, *divisor, *bounds),
            Kind::Bool { yes } => read_bool(first, yes),
            Kind::Decimal { base64_scale, bounds } => {
                read_decimal(first, map.to == Field::Rate, *base64_scale, *bounds)
            }
            Kind::Time { unit, is_sap: false } => match self.instant(first, *unit) {
                Some(at) => Outcome::Time(at),
                None => Outcome::Bad("an instant was expected"),
            },
            Kind::Time { is_sap: true, .. } => {
                let text = |place: usize| values.get(place).and_then(Native::scalar).unwrap_or_default();
                match parse_sap_instant(text(0), text(1), &self.zone) {
                    Ok(Some(at)) => Outcome::Time(at),
                    Ok(None) => Outcome::Null,
                    Err(NoDate) => Outcome::Bad("a date was expected"),
                }
            }
            Kind::Date { unit, is_sap } => self.read_date(first, *unit, *is_sap),
            Kind::Code { words, fallback, separator } => read_code(first, words, *fallback, separator.as_deref()),
            Kind::Currency => match first.scalar().and_then(Currency::parse) {
                Some(currency) => Outcome::Text(Cow::Owned(currency.code().to_owned())),
                None => Outcome::Breach("an ISO 4217 code was expected"),
            },
            Kind::List { separator } => Outcome::List(words(separator, values)),
            Kind::Refs { entities } => Outcome::List(refs(entities, values)),
        }
    }

    fn instant(&self, value: &Native<'_>, unit: TimeUnit) -> Option<Millis> {
        match value {
            Native::Number(digits) => unit.instant(whole(digits)?),
            Native::Text(text) => match text.trim().parse::<i64>() {
                Ok(count) => unit.instant(count),
                Err(_) => parse_instant(text, &self.zone),
            },
            Native::Null | Native::Bool(_) | Native::Decimal(_) | Native::Other(_) => None,
        }
    }

    fn read_date(&self, value: &Native<'_>, unit: TimeUnit, is_sap: bool) -> Outcome<'static> {
        let day = if is_sap {
            match value.scalar().map(parse_sap_date) {
                Some(Ok(Some(day))) => Some(day.to_string()),
                Some(Ok(None)) => return Outcome::Null,
                Some(Err(NoDate)) | None => None,
            }
        } else {
            // A date alone has no zone: it must not move to the day before.
            match value.scalar().and_then(|text| text.parse::<jiff::civil::Date>().ok()) {
                Some(day) if matches!(value, Native::Text(_)) => Some(day.to_string()),
                Some(_) | None => {
                    // An instant is on a day of the source's zone; a count is of days that have none.
                    let is_count = value.scalar().is_some_and(|text| text.parse::<i64>().is_ok());
                    let is_instant = matches!(value, Native::Text(_)) && !is_count;
                    let zone = if is_instant { self.zone.clone() } else { jiff::tz::TimeZone::UTC };
                    self.instant(value, unit).and_then(|at| day_of(at, &zone))
                }
            }
        };
        day.map_or(Outcome::Bad("a date was expected"), |day| Outcome::Text(Cow::Owned(day)))
    }
}

/// The first value among columns of which any will do; none if the field is not to be touched.
fn first_of<'a>(map: &FieldMap, columns: &'a impl Columns, mode: Mode, applied: &mut Applied) -> Option<Native<'a>> {
    let (mut is_told, mut has_gap) = (false, false);
    for column in &map.from {
        let Some(value) = columns.column(column) else {
            has_gap = true;
            continue;
        };
        is_told = true;
        if !value.is_empty() {
            // What stands before it and is not known may hold a value all the same.
            applied.needs_refetch |= mode == Mode::Update && has_gap;
            return (mode != Mode::Update || !has_gap).then_some(value);
        }
    }
    match mode {
        Mode::Image => Some(Native::Null),
        Mode::Update if has_gap => {
            applied.needs_refetch |= is_told;
            None
        }
        Mode::Patch | Mode::Update | Mode::Shown => is_told.then_some(Native::Null),
    }
}

fn set(
    out: &mut FieldsBuilder,
    object: &ObjectMap,
    map: &FieldMap,
    values: &[Native<'_>],
    outcome: Outcome<'_>,
) -> Result<(), Breach> {
    let breach = |what| Breach { object: object.name.clone(), column: map.from.join("+"), what };
    match outcome {
        Outcome::Null => out.set(map.to, ValueRef::Null),
        Outcome::Text(text) => out.text(map.to, Some(&text)),
        Outcome::Int(int) => out.set(map.to, ValueRef::Int(int)),
        Outcome::Bool(b) => out.set(map.to, ValueRef::Bool(b)),
        Outcome::Time(at) => out.set(map.to, ValueRef::Time(at)),
        Outcome::Decimal(d) => out.set(map.to, ValueRef::Decimal { mantissa: d.mantissa, scale: d.scale }),
        Outcome::Code(code) => out.set(map.to, ValueRef::Code(code)),
        Outcome::Unknown(raw) => out.set(map.to, ValueRef::Unknown(&raw)),
        Outcome::List(items) if items.is_empty() => out.set(map.to, ValueRef::Null),
        Outcome::List(items) => {
            let mut list = ListBuilder::default();
            for item in &items {
                list.push(item);
            }
            out.set(map.to, list.value())
        }
        Outcome::Bad(what) if map.is_required => return Err(breach(what)),
        Outcome::Bad(_) => {
            let raw = values.iter().map(Native::verbatim).collect::<Vec<_>>().join(" ");
            out.set(map.to, ValueRef::Bad(shortened(&raw)))
        }
        Outcome::Breach(what) => return Err(breach(what)),
    };
    Ok(())
}

/// A bad value is shown to people, who need its beginning only.
fn shortened(raw: &str) -> &str {
    const BYTES_MAX: usize = 200;
    let mut end = raw.len().min(BYTES_MAX);
    while !raw.is_char_boundary(end) {
        end -= 1;
    }
    &raw[..end]
}

fn read_text<'v>(values: &'v [Native<'_>], form: Form, part: Option<&(String, usize)>) -> Outcome<'v> {
    let mut joined = Cow::Borrowed("");
    for value in values {
        let text = match value {
            Native::Text(_) | Native::Number(_) => value.word().unwrap_or_default(),
            Native::Null => continue,
            Native::Decimal(_) => match value.word() {
                Some(word) => word,
                None => return Outcome::Bad("text was expected"),
            },
            Native::Bool(_) | Native::Other(_) => return Outcome::Bad("text was expected"),
        };
        if joined.is_empty() {
            joined = text;
        } else if !text.is_empty() {
            joined.to_mut().extend([" ", &text]);
        }
    }
    Outcome::Text(match joined {
        Cow::Borrowed(text) => form.apply(part_of(text, part)),
        Cow::Owned(text) => Cow::Owned(form.apply(part_of(&text, part)).into_owned()),
    })
}

/// What stands at the place that is asked for, between two separators.
fn part_of<'t>(text: &'t str, part: Option<&(String, usize)>) -> &'t str {
    match part {
        None => text,
        Some((separator, place)) => text.split(separator.as_str()).nth(*place).unwrap_or_default(),
    }
}

fn read_int(value: &Native<'_>, divisor: i64, bounds: Option<(i64, i64)>) -> Outcome<'static> {
    match value.scalar().and_then(whole).map(|int| int / divisor) {
        Some(int) if bounds.is_none_or(|(min, max)| (min..=max).contains(&int)) => Outcome::Int(int),
        Some(_) => Outcome::Bad("a number within bounds was expected"),
        None => Outcome::Bad("a whole number was expected"),
    }
}

/// A whole number, which a source may write as `3`, `3.0` or `"3"`.
fn whole(digits: &str) -> Option<i64> {
    if let Ok(int) = digits.trim().parse() {
        return Some(int);
    }
    Decimal::parse(digits)?.whole()
}

fn read_bool(value: &Native<'_>, yes: &[String]) -> Outcome<'static> {
    match value {
        Native::Bool(b) => Outcome::Bool(*b),
        Native::Text(_) | Native::Number(_) => {
            let word = value.scalar().unwrap_or_default();
            let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
            if yes.iter().any(|w| w.eq_ignore_ascii_case(word)) || is(&["true", "1", "Y"]) {
                Outcome::Bool(true)
            } else if is(&["false", "0", "N"]) {
                Outcome::Bool(false)
            } else {
                Outcome::Bad("yes or no was expected")
            }
        }
        Native::Null | Native::Decimal(_) | Native::Other(_) => Outcome::Bad("yes or no was expected"),
    }
}

fn read_decimal(
    value: &Native<'_>,
    is_rate: bool,
    base64_scale: Option<i32>,
    bounds: Option<(i64, i64)>,
) -> Outcome<'static> {
    let decimal = match (value, base64_scale) {
        (Native::Decimal(decimal), _) => Some(*decimal),
        (Native::Text(text), Some(scale)) => Decimal::from_base64(text, scale),
        (Native::Text(text) | Native::Number(text), _) => Decimal::parse(text),
        (Native::Null | Native::Bool(_) | Native::Other(_), _) => None,
    };
    // The database carries more digits than fit. Of a rate those that count are kept, of money all or none.
    let digits = value.scalar().filter(|_| decimal.is_none() && base64_scale.is_none());
    let rounded = digits.and_then(Decimal::rounded);
    let is_long = rounded.is_some();
    let decimal = decimal.or(rounded.filter(|_| is_rate));
    match decimal {
        None if is_long => Outcome::Bad("a decimal of fewer digits was expected"),
        None => Outcome::Bad("a decimal was expected"),
        Some(d) if bounds.is_none_or(|(min, max)| d.cmp_int(min).is_ge() && d.cmp_int(max).is_le()) => {
            Outcome::Decimal(d)
        }
        Some(_) => Outcome::Bad("a decimal within bounds was expected"),
    }
}

fn read_code<'v>(
    value: &'v Native<'_>,
    words: &[(String, u8)],
    fallback: Option<u8>,
    separator: Option<&str>,
) -> Outcome<'v> {
    if matches!(value, Native::Other(_)) {
        return Outcome::Bad("a word was expected");
    }
    let raw = match value.verbatim() {
        Cow::Borrowed(raw) => Cow::Borrowed(raw.trim()),
        Cow::Owned(raw) => Cow::Owned(raw.trim().to_owned()),
    };
    // Of several words the one counts that is furthest on: vocabularies are written in that order.
    let several = || raw.split(separator?).filter_map(|word| code_of(word.trim(), words)).max();
    let found = code_of(&raw, words).or_else(several);
    match found.or(fallback) {
        Some(code) => Outcome::Code(code),
        None => Outcome::Unknown(raw),
    }
}

fn code_of(raw: &str, words: &[(String, u8)]) -> Option<u8> {
    let found = if raw.is_ascii() {
        words.iter().find(|(word, _)| word.eq_ignore_ascii_case(raw))
    } else {
        let lower = raw.to_lowercase();
        words.iter().find(|(word, _)| *word == lower)
    };
    found.map(|(_, code)| *code)
}

fn words(separator: &str, values: &[Native<'_>]) -> Vec<Fields> {
    let texts = values.iter().filter_map(Native::scalar);
    let words = texts.flat_map(|text| text.split(separator)).map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| FieldsBuilder::default().set(Field::Text, ValueRef::Text(word)).build()).collect()
}

fn refs(entities: &[EntityKind], values: &[Native<'_>]) -> Vec<Fields> {
    let named = entities.iter().zip(values).filter_map(|(entity, value)| Some((entity.name(), value.word()?)));
    let named = named.map(|(kind, id)| format!("{kind}/{id}"));
    named.map(|name| FieldsBuilder::default().set(Field::Ref, ValueRef::Text(&name)).build()).collect()
}
