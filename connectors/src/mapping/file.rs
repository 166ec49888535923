//! The file form of a mapping, read strictly.

use std::collections::BTreeMap;

use ontology::{EntityKind, Field, System, Vocabulary};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::{Condition, FieldMap, Form, Kind, Mapping, ObjectMap, words};
use crate::sap::segments::Segments;
use crate::value::TimeUnit;

/// Why a mapping file was not taken; the text names line and column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mapping file was not understood: {0}")]
pub struct MappingError(pub String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    version: u32,
    system: Spanned<String>,
    #[serde(default)]
    time_zone: Option<Spanned<String>>,
    /// Tables of native words, by name.
    #[serde(default)]
    words: BTreeMap<String, BTreeMap<String, Spanned<String>>>,
    #[serde(default)]
    object: Vec<ObjectEntry>,
    /// Layouts of segments in flat documents.
    #[serde(default)]
    segment: Vec<SegmentEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentEntry {
    name: Spanned<String>,
    #[serde(default)]
    external: Vec<String>,
    /// Names of the fields with their widths in characters.
    fields: Vec<(String, usize)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectEntry {
    name: Spanned<String>,
    #[serde(default)]
    row: Option<String>,
    entity: Spanned<String>,
    #[serde(default = "one")]
    contract: u32,
    record: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    id_form: FormEntry,
    #[serde(default)]
    ordered_by: Option<OneOrMore>,
    #[serde(default)]
    order_unit: Option<OrderUnitEntry>,
    #[serde(default)]
    delete_when: Vec<ConditionEntry>,
    #[serde(default)]
    patch_when: Vec<ConditionEntry>,
    fields: Vec<FieldEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    from: OneOrMore,
    #[serde(default)]
    any: bool,
    to: Spanned<String>,
    #[serde(default)]
    kind: KindEntry,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    when: Option<ConditionEntry>,
    #[serde(default)]
    form: FormEntry,
    #[serde(default)]
    separator: Option<String>,
    #[serde(default)]
    part: Option<usize>,
    #[serde(default)]
    divisor: Option<i64>,
    #[serde(default)]
    min: Option<i64>,
    #[serde(default)]
    max: Option<i64>,
    #[serde(default)]
    base64_scale: Option<i32>,
    #[serde(default)]
    unit: UnitEntry,
    #[serde(default)]
    yes: Vec<String>,
    #[serde(default)]
    words: Option<Spanned<String>>,
    #[serde(default)]
    entities: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionEntry {
    column: String,
    is: OneOrMore,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum FormEntry {
    #[default]
    Plain,
    TrimZeros,
    SalesforceId,
    Lower,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum UnitEntry {
    #[default]
    Ms,
    Us,
    Ns,
    Days,
    Sap,
}

/// A unit of [`UnitEntry`] that one column can have.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum OrderUnitEntry {
    Ms,
    Us,
    Ns,
    Days,
}

impl From<OrderUnitEntry> for TimeUnit {
    fn from(entry: OrderUnitEntry) -> Self {
        match entry {
            OrderUnitEntry::Ms => TimeUnit::Millis,
            OrderUnitEntry::Us => TimeUnit::Micros,
            OrderUnitEntry::Ns => TimeUnit::Nanos,
            OrderUnitEntry::Days => TimeUnit::Days,
        }
    }
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum KindEntry {
    #[default]
    Text,
    Int,
    Bool,
    Decimal,
    Time,
    Date,
    Code,
    Currency,
    List,
    Refs,
}

fn one() -> u32 {
    1
}

impl OneOrMore {
    fn into_list(self) -> Vec<String> {
        match self {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        }
    }
}

impl From<FormEntry> for Form {
    fn from(entry: FormEntry) -> Self {
        match entry {
            FormEntry::Plain => Form::Plain,
            FormEntry::TrimZeros => Form::TrimZeros,
            FormEntry::SalesforceId => Form::SalesforceId,
            FormEntry::Lower => Form::Lower,
        }
    }
}

impl From<ConditionEntry> for Condition {
    fn from(entry: ConditionEntry) -> Self {
        Condition { column: entry.column, is: entry.is.into_list() }
    }
}

/// Reads a mapping file.
pub fn parse(text: &str) -> Result<Mapping, MappingError> {
    let file: MappingFile = toml::from_str(text).map_err(|error| unread(&error))?;
    let reader = Reader { text, words: &file.words };
    let mapping = reader.mapping(file.version, &file.system, file.time_zone.as_ref(), file.object)?;
    let segments = reader.segments(file.segment)?;
    Ok(Mapping { content_digest: content_digest(text)?, segments, ..mapping })
}

/// Why a text is no mapping file at all; without a place of its own the error is about all of it.
fn unread(error: &toml::de::Error) -> MappingError {
    let text = error.to_string();
    let place = if error.span().is_some() { "" } else { "line 1, column 1: " };
    MappingError(format!("{place}{}", text.trim_end()))
}

/// What a file says besides its version; tables are sorted by their keys, so that order and layout
/// do not matter.
fn content_digest(text: &str) -> Result<String, MappingError> {
    // A table holds no number beyond 64 bits with a sign, where a single key may.
    let mut table: toml::Table = toml::from_str(text).map_err(|error| unread(&error))?;
    table.remove("version");
    Ok(hex::encode(Sha256::digest(table.to_string())))
}

struct Reader<'a> {
    text: &'a str,
    words: &'a BTreeMap<String, BTreeMap<String, Spanned<String>>>,
}

impl Reader<'_> {
    fn mapping(
        &self,
        version: u32,
        system: &Spanned<String>,
        time_zone: Option<&Spanned<String>>,
        objects: Vec<ObjectEntry>,
    ) -> Result<Mapping, MappingError> {
        let zone = match time_zone {
            None => jiff::tz::TimeZone::UTC,
            Some(name) => {
                jiff::tz::TimeZone::get(name.get_ref()).map_err(|_| self.error(name, "an unknown time zone"))?
            }
        };
        let system = System::parse(system.get_ref()).ok_or_else(|| self.error(system, "an unknown system"))?;
        let objects = objects.into_iter().map(|entry| self.object(entry)).collect::<Result<Vec<_>, _>>()?;
        Ok(Mapping { version, system, zone, objects, segments: Segments::default(), content_digest: String::new() })
    }

    fn segments(&self, entries: Vec<SegmentEntry>) -> Result<Segments, MappingError> {
        let mut segments = Segments::default();
        for SegmentEntry { name, external, fields } in entries {
            segments.add(name.get_ref(), &external, fields).map_err(|what| self.error(&name, &what))?;
        }
        Ok(segments)
    }

    /// An error at the place of `spanned`.
    fn error(&self, spanned: &Spanned<String>, what: &str) -> MappingError {
        let before = &self.text[..spanned.span().start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        MappingError(format!("line {line}, column {column}: {what} `{}`", spanned.get_ref()))
    }

    fn entity(&self, name: &Spanned<String>) -> Result<EntityKind, MappingError> {
        EntityKind::parse(name.get_ref()).ok_or_else(|| self.error(name, "an unknown entity"))
    }

    fn object(&self, entry: ObjectEntry) -> Result<ObjectMap, MappingError> {
        let entity = self.entity(&entry.entity)?;
        let fields = entry.fields.into_iter().map(|field| self.field(entity, field));
        let mut fields = fields.collect::<Result<Vec<_>, _>>()?;
        // As facts hold them, so that they need not be put in order for each; those of one field stay
        // as they are written.
        fields.sort_by_key(|map| map.to);
        Ok(ObjectMap {
            name: entry.name.into_inner(),
            row: entry.row,
            contract: entry.contract,
            entity,
            record: entry.record,
            id: entry.id,
            id_form: entry.id_form.into(),
            ordered_by: entry.ordered_by.map(OneOrMore::into_list).unwrap_or_default(),
            order_unit: entry.order_unit.map(TimeUnit::from),
            delete_when: entry.delete_when.into_iter().map(Condition::from).collect(),
            patch_when: entry.patch_when.into_iter().map(Condition::from).collect(),
            fields,
        })
    }

    fn field(&self, entity: EntityKind, entry: FieldEntry) -> Result<FieldMap, MappingError> {
        let to = Field::parse(entry.to.get_ref()).ok_or_else(|| self.error(&entry.to, "an unknown field"))?;
        let kind = self.kind(entity, to, &entry)?;
        Ok(FieldMap {
            from: entry.from.into_list(),
            is_any: entry.any,
            to,
            kind,
            is_required: entry.required,
            when: entry.when.map(Condition::from),
        })
    }

    fn kind(&self, entity: EntityKind, to: Field, entry: &FieldEntry) -> Result<Kind, MappingError> {
        let bounds = match (entry.min, entry.max) {
            (None, None) => None,
            (min, max) => Some((min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX))),
        };
        let (unit, is_sap) = match entry.unit {
            UnitEntry::Ms => (TimeUnit::Millis, false),
            UnitEntry::Us => (TimeUnit::Micros, false),
            UnitEntry::Ns => (TimeUnit::Nanos, false),
            UnitEntry::Days => (TimeUnit::Days, false),
            UnitEntry::Sap => (TimeUnit::Millis, true),
        };
        Ok(match entry.kind {
            KindEntry::Text => Kind::Text {
                form: entry.form.into(),
                part: entry.part.map(|place| (entry.separator.clone().unwrap_or_else(|| ",".to_owned()), place)),
            },
            KindEntry::Int => Kind::Int { divisor: entry.divisor.filter(|d| *d > 0).unwrap_or(1), bounds },
            KindEntry::Bool => Kind::Bool { yes: entry.yes.clone() },
            KindEntry::Decimal => Kind::Decimal { base64_scale: entry.base64_scale, bounds },
            KindEntry::Time => Kind::Time { unit, is_sap },
            KindEntry::Date => Kind::Date { unit, is_sap },
            KindEntry::Code => self.code(entity, to, entry)?,
            KindEntry::Currency => Kind::Currency,
            KindEntry::List => Kind::List { separator: entry.separator.clone().unwrap_or_else(|| ";".to_owned()) },
            KindEntry::Refs => {
                Kind::Refs { entities: entry.entities.iter().map(|name| self.entity(name)).collect::<Result<_, _>>()? }
            }
        })
    }

    /// The words of a field: those of its table, and the vocabulary's own names.
    fn code(&self, entity: EntityKind, to: Field, entry: &FieldEntry) -> Result<Kind, MappingError> {
        let ours = words::spoken(entity, to).ok_or_else(|| self.error(&entry.to, "a field without a vocabulary"))?;
        let code_of = |word: &str| ours.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, code)| *code);
        let mut known = Vec::new();
        let mut fallback = None;
        if let Some(name) = &entry.words {
            let table = self.words.get(name.get_ref()).ok_or_else(|| self.error(name, "an unknown table of words"))?;
            for (native, word) in table {
                let code = code_of(word.get_ref()).ok_or_else(|| self.error(word, "an unknown word"))?;
                if native == "*" {
                    fallback = Some(code);
                } else {
                    known.push((native.to_lowercase(), code));
                }
            }
        }
        // The first entry of a word counts, so a table may give one of our names another meaning.
        known.extend(ours);
        Ok(Kind::Code { words: known, fallback, separator: entry.separator.clone() })
    }
}
