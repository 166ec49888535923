//! The map file: what each column of a table means.
//!
//! ```
//! let map = offline::Map::parse(r#"
//! id = "rec_id"
//! source = "system"
//! [columns]
//! first = "given_name"
//! last = "family_name"
//! born = { kind = "date", scheme = "birth" }
//! ssn = { kind = "identifier", scheme = "ssn" }
//! "#).unwrap();
//! assert_eq!(map.columns.len(), 4);
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use ontology::Vocabulary;
use resolver::Kind;
use serde::Deserialize;

use crate::encoding::Encoding;
use crate::error::Error;
use crate::table::Form;

/// Other names by which people call a kind.
const ALIASES: &[(&str, Kind)] = &[
    ("given", Kind::GivenName),
    ("first_name", Kind::GivenName),
    ("family", Kind::FamilyName),
    ("surname", Kind::FamilyName),
    ("last_name", Kind::FamilyName),
    ("name", Kind::FullName),
    ("company", Kind::Organisation),
    ("organization", Kind::Organisation),
    ("record_type", Kind::PartyType),
    ("street_number", Kind::HouseNumber),
    ("postcode", Kind::PostalCode),
    ("zip", Kind::PostalCode),
    ("state", Kind::Region),
    ("e-mail", Kind::Email),
    ("mail", Kind::Email),
    ("telephone", Kind::Phone),
    ("id", Kind::Identifier),
    ("domain", Kind::WebDomain),
    ("website", Kind::WebDomain),
    ("text", Kind::FreeText),
    ("lat", Kind::Latitude),
    ("lon", Kind::Longitude),
    ("lng", Kind::Longitude),
];

/// Which pairs may be one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linking {
    /// Any two records.
    #[default]
    All,
    /// Records of two sources only: each source is free of duplicates.
    Across,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMeaning {
    /// Kind of its values.
    pub kind: Kind,
    /// Which of several features of that kind, such as `ssn` or `birth`; the column's name unless given.
    pub scheme: String,
    /// Parts a value into several, each of the same kind.
    pub separator: Option<String>,
}

/// What the columns of a table mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Column with the record's id; without it a record is named by its file and line.
    pub id: Option<String>,
    /// Column with the name of the source; without it each file is one.
    pub source: Option<String>,
    /// Which pairs may be one party.
    pub linking: Linking,
    /// Country of numbers and postcodes that name none, ISO 3166 alpha-2; empty if unknown.
    pub country: String,
    /// How the tables are written.
    pub form: Form,
    /// Columns that identify.
    pub columns: BTreeMap<String, ColumnMeaning>,
    /// Columns that are left out on purpose.
    pub ignored: Vec<String>,
}

impl Map {
    /// Reads a map file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a map.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::file("read map", path, source))?;
        Map::parse(&text).map_err(|why| Error::Map { path: path.into(), why })
    }

    /// Reads the text of a map file. Unknown entries are refused: a misspelt one would be a column
    /// that silently says nothing.
    ///
    /// # Errors
    /// What is wrong, and what is expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: MapFile = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut columns = BTreeMap::new();
        let mut ignored = Vec::new();
        for (column, meaning) in file.columns {
            let (word, scheme, separator) = match meaning {
                ColumnFile::Word(word) => (word, None, None),
                ColumnFile::Table { kind, scheme, separator } => (kind, scheme, separator),
            };
            if word == "ignore" {
                ignored.push(column);
                continue;
            }
            let kind = kind(&word).ok_or_else(|| format!("column {column} has kind {word:?}: {}", expected(&word)))?;
            if separator.as_deref() == Some("") {
                return Err(format!(
                    "column {column} has an empty separator: name one, such as \";\", or leave it out"
                ));
            }
            let scheme = scheme.unwrap_or_else(|| column.clone());
            columns.insert(column, ColumnMeaning { kind, scheme, separator });
        }
        if columns.is_empty() {
            return Err("no column has a kind: list them under [columns], such as surname = \"family_name\"".to_owned());
        }
        let country = file.country.to_ascii_uppercase();
        if !country.is_empty() && (country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase())) {
            return Err(format!("country is {country:?}: expected two letters of ISO 3166, such as \"AU\""));
        }
        let form = Form { encoding: encoding(&file.encoding)?, header: file.header };
        Ok(Map { id: file.id, source: file.source, linking: file.link, country, form, columns, ignored })
    }
}

/// Other names by which people call an encoding.
const ENCODING_ALIASES: &[(&str, Encoding)] = &[
    ("utf8", Encoding::Utf8),
    ("cp1252", Encoding::Windows1252),
    ("latin1", Encoding::Windows1252),
    ("latin-1", Encoding::Windows1252),
    ("iso-8859-1", Encoding::Windows1252),
];

fn encoding(word: &str) -> Result<Encoding, String> {
    let word = word.trim().to_ascii_lowercase();
    let alias = || ENCODING_ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, encoding)| *encoding);
    Encoding::parse(&word).or_else(alias).ok_or_else(|| {
        format!("encoding is {word:?}: expected utf-8 or windows-1252; UTF-16 is known by its byte order mark")
    })
}

fn kind(word: &str) -> Option<Kind> {
    let word = word.trim().replace([' ', '-'], "_").to_ascii_lowercase();
    let alias = || ALIASES.iter().find(|(alias, _)| alias.replace('-', "_") == word).map(|(_, kind)| *kind);
    Kind::parse(&word).or_else(alias)
}

/// Whether `word` says what a column holds.
pub(crate) fn is_kind(word: &str) -> bool {
    kind(word).is_some()
}

/// What to write instead of `word`.
fn expected(word: &str) -> String {
    let names: Vec<&str> = Kind::ALL.iter().map(|(_, name)| *name).collect();
    let nearest =
        nearest(word, names.iter().copied()).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
    format!("{nearest}kinds are {}, and ignore", names.join(", "))
}

/// The name that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE_MIN: f64 = 0.8;
    let scored = names.map(|name| (name, strsim::jaro_winkler(word, name)));
    scored.filter(|(_, alike)| *alike >= ALIKE_MIN).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MapFile {
    id: Option<String>,
    source: Option<String>,
    #[serde(default)]
    link: Linking,
    #[serde(default)]
    country: String,
    #[serde(default = "utf8")]
    encoding: String,
    #[serde(default)]
    header: Vec<String>,
    columns: BTreeMap<String, ColumnFile>,
}

fn utf8() -> String {
    Encoding::Utf8.name().to_owned()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ColumnFile {
    Word(String),
    Table { kind: String, scheme: Option<String>, separator: Option<String> },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn column(meaning: &str) -> Result<ColumnMeaning, String> {
        Map::parse(&format!("[columns]\na = {meaning}\n")).map(|map| map.columns["a"].clone())
    }

    #[test]
    fn every_kind_has_a_word_and_aliases_lead_to_one() {
        for (kind, name) in Kind::ALL {
            assert_eq!(column(&format!("{name:?}")).unwrap().kind, *kind);
        }
        assert_eq!(column("\"E-Mail\"").unwrap().kind, Kind::Email);
        assert_eq!(column("\"family name\"").unwrap().kind, Kind::FamilyName);
        assert_eq!(column("\"zip\"").unwrap().kind, Kind::PostalCode);
    }

    #[test]
    fn a_scheme_is_the_column_unless_given() {
        assert_eq!(column("\"identifier\"").unwrap().scheme, "a");
        assert_eq!(column("{ kind = \"identifier\", scheme = \"ssn\" }").unwrap().scheme, "ssn");
        assert_eq!(column("{ kind = \"phone\", separator = \";\" }").unwrap().separator.as_deref(), Some(";"));
    }

    #[test]
    fn a_misspelt_kind_names_the_one_that_was_meant() {
        let why = column("\"famly_name\"").unwrap_err();
        assert!(why.contains("did you mean \"family_name\"?"), "{why}");
        let why = column("\"xyz\"").unwrap_err();
        assert!(why.contains("kinds are given_name"), "{why}");
    }

    #[test]
    fn how_a_table_is_written_is_said_where_it_cannot_be_seen() {
        let form = |text: &str| Map::parse(&format!("{text}\n[columns]\na = \"phone\"\n")).map(|map| map.form);
        assert_eq!(form("").unwrap(), Form::default());
        let told = form("encoding = \"Latin1\"\nheader = [\"a\", \"b\"]").unwrap();
        assert_eq!((told.encoding, told.header.len()), (Encoding::Windows1252, 2));
        assert!(form("encoding = \"koi8\"").unwrap_err().contains("expected utf-8 or windows-1252"));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert!(Map::parse("[columns]\n").unwrap_err().contains("no column has a kind"));
        assert!(Map::parse("[columns]\na = \"ignore\"\n").unwrap_err().contains("no column has a kind"));
        assert!(Map::parse("idd = \"x\"\n[columns]\na = \"phone\"\n").unwrap_err().contains("idd"));
        assert!(column("{ kind = \"phone\", separator = \"\" }").unwrap_err().contains("empty separator"));
        let country = |code: &str| Map::parse(&format!("country = {code:?}\n[columns]\na = \"phone\"\n"));
        assert_eq!(country("au").unwrap().country, "AU");
        assert!(country("AUS").unwrap_err().contains("two letters"));
    }
}
