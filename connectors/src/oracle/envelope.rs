//! Change envelopes of log-based capture, in the four shapes that its converters write.
//!
//! * bare: `{before, after, source, op, ts_ms}`
//! * with schema: `{schema, payload: {..}}`, where the schema types the columns
//! * flattened: the row itself with `__op`, `__deleted`, `__source_scn`, .. beside its columns
//! * CloudEvents: `{specversion, iodebeziumop, .., data: {before, after}}`
//!
//! What differs is only where a word of the source block stands.

use compact_str::CompactString;
use ontology::{Millis, Version};

use super::change::{Deed, Place, Refusal, no_identity, unsigned};
use crate::json::Json;

/// Where the words about a change stand.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// In the envelope and its source block; the schema beside it, if there is one.
    Envelope { envelope: &'a Json<'a>, schema: Option<&'a Json<'a>> },
    /// In columns of the row that begin with `__`; the schema of the row beside it, if there is one.
    Flat { row: &'a Json<'a>, schema: Option<&'a Json<'a>> },
    /// In attributes that begin with `iodebezium`.
    CloudEvent(&'a Json<'a>),
}

/// What is to be done with the rows of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One row changed.
    Row(Deed),
    /// All rows of the table went at once.
    Truncate,
    /// Nothing that concerns a row: a message that somebody wrote into the redo log.
    Message,
    /// Nothing that is known.
    Unknown,
}

impl<'a> Shape<'a> {
    /// The shape of `entry`; none if it is no change of a row.
    pub fn of(entry: &'a Json<'a>) -> Option<Self> {
        let (body, schema) = match entry.get("payload") {
            Some(payload) => (payload, entry.get("schema")),
            None => (entry, None),
        };
        if body.get("op").is_some_and(|op| op.text().is_some()) {
            return Some(Shape::Envelope { envelope: body, schema });
        }
        if body.get("iodebeziumop").is_some() {
            return Some(Shape::CloudEvent(body));
        }
        if body.get("__op").is_some() || body.get("__deleted").is_some() {
            return Some(Shape::Flat { row: body, schema });
        }
        None
    }

    /// What the change does.
    pub fn verb(&self) -> Verb {
        let op = match self {
            Shape::Envelope { envelope, .. } => envelope.get("op"),
            Shape::CloudEvent(event) => event.get("iodebeziumop"),
            Shape::Flat { row, .. } if row.get("__deleted").is_some_and(|d| is_true(d)) => {
                return Verb::Row(Deed::Gone);
            }
            Shape::Flat { row, .. } => row.get("__op"),
        };
        match op.and_then(Json::text) {
            Some("c" | "r") => Verb::Row(Deed::Whole),
            Some("u") => Verb::Row(Deed::Told),
            Some("d") => Verb::Row(Deed::Gone),
            Some("t") => Verb::Truncate,
            // A flattened row may come without its op: then nobody knows whether it is whole.
            None if matches!(self, Shape::Flat { .. }) => Verb::Row(Deed::Told),
            Some("m") => Verb::Message,
            Some(_) | None => Verb::Unknown,
        }
    }

    /// The row before (of a delete) or after the change.
    pub fn image(&self, deed: Deed) -> Option<&'a Json<'a>> {
        let side = if deed == Deed::Gone { "before" } else { "after" };
        let image = match self {
            Shape::Envelope { envelope, .. } => envelope.get(side)?,
            Shape::CloudEvent(event) => {
                let data = event.get("data")?;
                data.get("payload").unwrap_or(data).get(side)?
            }
            Shape::Flat { row, .. } => row,
        };
        matches!(image, Json::Object(_)).then_some(image)
    }

    /// The schema of the row image, where it came along.
    pub fn row_schema(&self, deed: Deed) -> Option<&'a Json<'a>> {
        let side = if deed == Deed::Gone { "before" } else { "after" };
        let fields = match self {
            Shape::Envelope { schema, .. } => schema.as_ref()?.get("fields")?,
            Shape::CloudEvent(event) => event.path("data.schema.fields")?,
            Shape::Flat { schema, .. } => return *schema,
        };
        fields.elements().iter().find(|field| field.get("field").and_then(Json::text) == Some(side))
    }

    /// The table that the source block names, or the name of the envelope's schema.
    pub fn table(&self) -> Option<&'a str> {
        if let Some(table) = self.source("table").and_then(Json::text) {
            return Some(table);
        }
        match self {
            Shape::Envelope { schema, .. } => table_of_schema(schema.as_ref()?),
            Shape::Flat { row, .. } => row.get("__table").and_then(Json::text),
            Shape::CloudEvent(_) => None,
        }
    }

    /// Whether the change was captured from another kind of database.
    pub fn is_foreign(&self) -> bool {
        self.source("connector").and_then(Json::text).is_some_and(|connector| connector != "oracle")
    }

    /// Whether a snapshot ends with this row: of the table, or altogether.
    pub fn ends_snapshot(&self) -> bool {
        matches!(self.source("snapshot").and_then(Json::text), Some("last" | "last_in_data_collection"))
    }

    /// Version and time of the change: commit SCN (rows of a snapshot have only their own), SCN, and
    /// the place within the transaction: where the capture numbers it, else in the redo log.
    pub fn place(&self, table: &str) -> Result<Place, Refusal> {
        let number = |name| self.source(name).and_then(unsigned);
        let scn = number("scn").ok_or_else(|| no_identity(format!("{table}: a source without scn")))?;
        let commit = number("commit_scn").unwrap_or(scn);
        let ordinal = number("txSeq").or_else(|| self.redo_place()).unwrap_or(0);
        let changed_at = self.changed_at().ok_or_else(|| no_identity(format!("{table}: a source without ts_ms")))?;
        let transaction = CompactString::new(self.source("txId").and_then(Json::scalar).unwrap_or_default());
        Ok(Place { version: Version::new(commit, scn, ordinal), changed_at, transaction })
    }

    /// The transaction that the change is of, and which change of its table it is there; where the
    /// capture tells it.
    pub fn transaction(&self) -> Option<(&'a str, u64)> {
        let (id, order) = match self {
            Shape::Envelope { envelope, .. } => {
                let told = envelope.get("transaction")?;
                (told.get("id")?, told.get("data_collection_order")?)
            }
            Shape::Flat { row, .. } => (row.get("__transaction_id")?, row.get("__transaction_data_collection_order")?),
            Shape::CloudEvent(event) => (event.get("iodebeziumtxid")?, event.get("iodebeziumtxdatacollectionorder")?),
        };
        Some((id.scalar()?, unsigned(order)?))
    }

    /// Block and offset of the redo record, then the statement in it: many records share an SCN, and
    /// statements are numbered in each of them anew.
    fn redo_place(&self) -> Option<u64> {
        let ssn = self.source("ssn").and_then(unsigned);
        match self.source("rs_id").and_then(Json::text).and_then(block_and_offset) {
            Some((block, offset)) => {
                let statement = ssn.unwrap_or(0).min(u64::from(u16::MAX));
                Some(u64::from(block) << 32 | u64::from(offset) << 16 | statement)
            }
            None => ssn,
        }
    }

    fn changed_at(&self) -> Option<Millis> {
        let count = |name, per_ms| Some(Millis(self.source(name)?.integer()?.div_euclid(per_ms)));
        count("ts_ms", 1).or_else(|| count("ts_us", 1_000)).or_else(|| count("ts_ns", 1_000_000))
    }

    /// A word of the source block, wherever it stands in this shape.
    fn source(&self, name: &str) -> Option<&'a Json<'a>> {
        match self {
            Shape::Envelope { envelope, .. } => envelope.get("source")?.get(name),
            Shape::Flat { row, .. } => row.get(&format!("__source_{name}")).or_else(|| row.get(&format!("__{name}"))),
            Shape::CloudEvent(event) => {
                let plain: String = name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
                event.get(&format!("iodebezium{plain}"))
            }
        }
    }
}

/// Of `0x00002a.0000c4d1.0010`: the log's number, the block in it, the offset in that, in hex.
fn block_and_offset(rs_id: &str) -> Option<(u32, u16)> {
    let mut parts = rs_id.split('.').map(|part| part.trim().trim_start_matches("0x"));
    let (_log, block, offset) = (parts.next()?, parts.next()?, parts.next()?);
    Some((u32::from_str_radix(block, 16).ok()?, u16::from_str_radix(offset, 16).ok()?))
}

fn is_true(value: &Json<'_>) -> bool {
    matches!(value, Json::Bool(true)) || value.text() == Some("true")
}

/// The table in the name of an envelope's schema, `server.SCHEMA.TABLE.Envelope`.
fn table_of_schema<'a>(schema: &'a Json<'_>) -> Option<&'a str> {
    schema.get("name")?.text()?.strip_suffix(".Envelope")?.rsplit('.').next()
}
