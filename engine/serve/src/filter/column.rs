//! What can be filtered and sorted by, and how values compare.

use std::borrow::Cow;
use std::cmp::Ordering;

use ontology::Millis;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Text, compared byte by byte.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// An instant, written as RFC 3339.
    Time,
    /// A word of an ordered enumeration, least first.
    Word(&'static [&'static str]),
    /// Several texts.
    Texts,
}

/// One field that can be filtered and sorted by.
#[derive(Debug)]
pub struct Column<T> {
    /// Its name in filters.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Reads it.
    pub get: for<'a> fn(&'a T) -> Operand<'a>,
}

/// What is wrong with a name that no column has.
pub(super) fn unknown_field<T>(name: &str, columns: &[Column<T>]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    format!("there is no field {name}; there are {}", names.join(", "))
}

/// A value to compare.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand<'a> {
    /// The field is not there; every comparison with it is false.
    Missing,
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    Time(Millis),
    /// Place in the enumeration of [`Kind::Word`].
    Rank(usize),
    /// Several texts.
    Texts(Vec<Cow<'a, str>>),
}

impl<'a> Operand<'a> {
    /// Text; missing if empty.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        if text.is_empty() { Operand::Missing } else { Operand::Text(Cow::Borrowed(text)) }
    }

    /// An instant; missing if there is none.
    #[must_use]
    pub fn time(time: Option<&prost_types::Timestamp>) -> Self {
        time.map_or(Operand::Missing, |time| {
            Operand::Time(Millis(time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000))
        })
    }

    /// A word of an enumeration by its number on the wire, whose zero is "unspecified".
    #[must_use]
    pub fn word(number: i32) -> Self {
        usize::try_from(number - 1).map_or(Operand::Missing, Operand::Rank)
    }

    /// How two values of one column compare; none if they are of different kinds or missing.
    #[must_use]
    pub fn compare(&self, other: &Operand<'_>) -> Option<Ordering> {
        match (self, other) {
            (Operand::Text(a), Operand::Text(b)) => Some(a.cmp(b)),
            (Operand::Number(a), Operand::Number(b)) => a.partial_cmp(b),
            (Operand::Flag(a), Operand::Flag(b)) => Some(a.cmp(b)),
            (Operand::Time(a), Operand::Time(b)) => Some(a.cmp(b)),
            (Operand::Rank(a), Operand::Rank(b)) => Some(a.cmp(b)),
            (Operand::Texts(a), Operand::Texts(b)) => Some(a.cmp(b)),
            (
                Operand::Missing
                | Operand::Text(_)
                | Operand::Number(_)
                | Operand::Flag(_)
                | Operand::Time(_)
                | Operand::Rank(_)
                | Operand::Texts(_),
                _,
            ) => None,
        }
    }

    /// Whether this value has `wanted`: a list holds it, a text contains it, anything else equals it.
    #[must_use]
    pub fn has(&self, wanted: &Operand<'_>) -> bool {
        match (self, wanted) {
            (Operand::Texts(all), Operand::Text(one)) => all.contains(one),
            (Operand::Text(all), Operand::Text(part)) => all.to_lowercase().contains(&part.to_lowercase()),
            (one, other) => one.compare(other) == Some(Ordering::Equal),
        }
    }
}

impl Kind {
    /// Reads a literal of this kind.
    pub(super) fn read(self, literal: &str) -> Result<Operand<'static>, String> {
        match self {
            Kind::Text | Kind::Texts => Ok(Operand::Text(Cow::Owned(literal.to_owned()))),
            Kind::Number => {
                let number = literal.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(Operand::Number).ok_or_else(|| format!("{literal} is not a number"))
            }
            Kind::Flag => {
                literal.parse().map(Operand::Flag).map_err(|_| format!("{literal} is neither true nor false"))
            }
            Kind::Time => {
                let time: prost_types::Timestamp =
                    literal.parse().map_err(|_| format!("{literal} is not a time such as 2026-03-10T15:00:00Z"))?;
                Ok(Operand::time(Some(&time)))
            }
            Kind::Word(words) => {
                let rank = words.iter().position(|word| *word == literal);
                rank.map(Operand::Rank).ok_or_else(|| format!("{literal} is none of {}", words.join(", ")))
            }
        }
    }
}
