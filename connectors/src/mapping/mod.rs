//! Mappings: what belongs to an organisation and not to a vendor, as versioned files.
//!
//! A mapping says, for each object of a source, which entity it is a row of, which column holds the
//! record's id, and which column fills which field in which way. The same few kinds serve every
//! system, so a connector only has to name its native values. Unknown words in a file are errors
//! with line and column.

mod apply;
pub mod check;
mod file;
mod words;

use std::borrow::Cow;

use compact_str::CompactString;
use ontology::{EntityKind, Field, System};

pub use apply::{Applied, Breach, Mode};
pub use file::MappingError;

use crate::sap::segments::Segments;
use crate::value::{Columns, Native, TimeUnit, trimmed};

/// The mapping of one system.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Version of the file, part of every fact that it made.
    pub version: u32,
    /// The system.
    pub system: System,
    /// Time zone of wall times in the source.
    pub zone: jiff::tz::TimeZone,
    /// The objects.
    pub objects: Vec<ObjectMap>,
    /// Layouts of segments in flat documents.
    pub segments: Segments,
    /// SHA-256 of what the file says besides its version, in hex: comments and blanks do not count.
    pub content_digest: String,
}

/// How rows of one object become facts.
#[derive(Debug, Clone)]
pub struct ObjectMap {
    /// Name of the object, table, segment or event.
    pub name: String,
    /// Name of the source row, where several native forms tell of one record.
    pub row: Option<String>,
    /// Version of its contract.
    pub contract: u32,
    /// Entity that its rows are part of.
    pub entity: EntityKind,
    /// Column of the record id.
    pub record: String,
    /// Column of the entity's id, where that is not the record's.
    pub id: Option<String>,
    /// How ids are brought to one form.
    pub id_form: Form,
    /// Columns that order the versions of a row, where the row itself and not its transport does: an
    /// instant or a number, then a number. One order holds for an object on whatever path it comes.
    pub ordered_by: Vec<String>,
    /// What a number in the first of them counts, where it is an instant and no field says so.
    pub order_unit: Option<TimeUnit>,
    /// Conditions of which any one means that the row is deleted.
    pub delete_when: Vec<Condition>,
    /// Conditions of which any one means that the row names only what changed.
    pub patch_when: Vec<Condition>,
    /// The fields, in the order in which facts hold them.
    pub fields: Vec<FieldMap>,
}

/// How one field is filled.
#[derive(Debug, Clone)]
pub struct FieldMap {
    /// The columns; several are joined by blanks, or are date and time.
    pub from: Vec<String>,
    /// Whether the first column that has a value counts, instead of all together.
    pub is_any: bool,
    /// The field.
    pub to: Field,
    /// How the value is read.
    pub kind: Kind,
    /// Whether a value of a wrong type breaks the contract.
    pub is_required: bool,
    /// The row for which the field is filled at all.
    pub when: Option<Condition>,
}

/// How a native value is read.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Text in some form; of several parts one may be taken.
    Text {
        /// The form.
        form: Form,
        /// Separator and place of the part that is taken.
        part: Option<(String, usize)>,
    },
    /// Whole number, divided, within bounds.
    Int {
        /// What it is divided by, for example 1,000 from milliseconds to seconds.
        divisor: i64,
        /// Bounds, both included.
        bounds: Option<(i64, i64)>,
    },
    /// Truth value; the words that mean yes.
    Bool {
        /// Words that mean yes, besides `true`.
        yes: Vec<String>,
    },
    /// Exact decimal within bounds.
    Decimal {
        /// Scale of base64 text, where the source writes decimals so.
        base64_scale: Option<i32>,
        /// Bounds, both included.
        bounds: Option<(i64, i64)>,
    },
    /// Instant.
    Time {
        /// What a number means.
        unit: TimeUnit,
        /// Whether two columns hold SAP's date and time.
        is_sap: bool,
    },
    /// Day, kept as ISO text.
    Date {
        /// What a number means.
        unit: TimeUnit,
        /// Whether text is SAP's date.
        is_sap: bool,
    },
    /// Word of the field's vocabulary.
    Code {
        /// Native word (lower case) and code.
        words: Vec<(String, u8)>,
        /// Code of every other word.
        fallback: Option<u8>,
        /// What stands between several words, of which the one furthest on counts.
        separator: Option<String>,
    },
    /// ISO 4217 code.
    Currency,
    /// Words with a separator between them.
    List {
        /// The separator.
        separator: String,
    },
    /// Names of other entities as one list, one column per kind of entity.
    Refs {
        /// What kind of entity each column names.
        entities: Vec<EntityKind>,
    },
}

/// A form that ids and texts are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// As it is, without blanks around it.
    #[default]
    Plain,
    /// Without leading zeros, if it is all digits.
    TrimZeros,
    /// The 18-character form of a Salesforce id.
    SalesforceId,
    /// Lower case.
    Lower,
}

impl Form {
    /// Brings `text` to the form.
    #[must_use]
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        let text = trimmed(text);
        match self {
            Form::Plain => Cow::Borrowed(text),
            Form::TrimZeros if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => {
                let trimmed = text.trim_start_matches('0');
                Cow::Borrowed(if trimmed.is_empty() { "0" } else { trimmed })
            }
            Form::TrimZeros => Cow::Borrowed(text),
            Form::SalesforceId => Cow::Owned(crate::salesforce::long_id(text)),
            Form::Lower => Cow::Owned(text.to_lowercase()),
        }
    }
}

/// A column has one of some values.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// The values.
    pub is: Vec<String>,
}

impl Condition {
    /// Whether it holds for `columns`.
    pub fn holds(&self, columns: &impl Columns) -> bool {
        match columns.column(&self.column) {
            None | Some(Native::Null) => false,
            Some(value) => self.is.iter().any(|word| value.verbatim().trim().eq_ignore_ascii_case(word)),
        }
    }
}

impl Mapping {
    /// Reads a mapping file; an error names line and column.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        file::parse(text)
    }

    /// The mapping that is shipped for `system`; none for systems without a connector.
    #[must_use]
    pub fn shipped(system: System) -> Option<Self> {
        let text = match system {
            System::Salesforce => include_str!("../../mappings/salesforce.toml"),
            System::Oracle => include_str!("../../mappings/oracle.toml"),
            System::Wxcc => include_str!("../../mappings/wxcc.toml"),
            System::Sap => include_str!("../../mappings/sap.toml"),
            System::Zendesk => include_str!("../../mappings/zendesk.toml"),
            System::Engine | System::Human => return None,
        };
        Some(Self::parse(text).expect("shipped mappings are read by a test"))
    }

    /// The object called `name`, whatever the case of its letters.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&ObjectMap> {
        self.objects.iter().find(|o| o.name.eq_ignore_ascii_case(name))
    }
}

impl ObjectMap {
    /// Record id and entity id of a row; none without them.
    pub fn ids(&self, columns: &impl Columns) -> Option<(CompactString, CompactString)> {
        let record = self.record_id(columns)?;
        let entity = match &self.id {
            Some(column) => self.read_id(column, columns)?,
            None => record.clone(),
        };
        Some((record, entity))
    }

    /// Record id of a row; none without it.
    pub fn record_id(&self, columns: &impl Columns) -> Option<CompactString> {
        self.read_id(&self.record, columns)
    }

    fn read_id(&self, column: &str, columns: &impl Columns) -> Option<CompactString> {
        let value = columns.column(column)?;
        let word = value.word()?;
        let id = self.id_form.apply(&word);
        (id.len() <= ID_BYTES_MAX).then(|| CompactString::from(id))
    }

    /// Name of the source row that its facts are of.
    #[must_use]
    pub fn row_name(&self) -> &str {
        self.row.as_deref().unwrap_or(&self.name)
    }

    /// Whether the row names only what changed.
    pub fn is_patch(&self, columns: &impl Columns) -> bool {
        self.patch_when.iter().any(|condition| condition.holds(columns))
    }

    /// Whether the row says of itself that it is deleted.
    pub fn is_deleted(&self, columns: &impl Columns) -> bool {
        self.delete_when.iter().any(|condition| condition.holds(columns))
    }
}

/// Longest id that names a record, in bytes.
const ID_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests;
