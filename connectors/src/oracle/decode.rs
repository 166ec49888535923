//! What the sources of receivables send, to facts.
//!
//! Entries come as change envelopes of log-based capture, as records of a GoldenGate trail, as rows
//! of a queue or of the list job. Each may stand in a record of a topic, `{topic, key, value}`, which
//! names the table where the entry does not. What becomes of a row is the same for all of them.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use compact_str::CompactString;
use ontology::{Millis, Version};

use super::change::{
    Deed, Place, Refusal, nameless_entity, no_identity, number, own_version, table_of, tell, unsigned,
};
use super::envelope::{Shape, Verb};
use super::goldengate::{Kind, Operation};
use super::row::{Row, wall};
use crate::contract::{Decoded, Delivery, Framing, Mark, Reject, RejectCode, Resync};
use crate::json::Json;
use crate::mapping::{Mapping, ObjectMap};
use crate::value::parse_instant;

/// The header in which change capture names the topic that it would have written to. It counts for
/// entries that do not name their table themselves.
pub(super) const DESTINATION: &str = "x-debezium-destination";

/// Decodes deliveries of the Oracle connector.
#[derive(Debug, Clone)]
pub struct OracleDecoder {
    mapping: Mapping,
}

/// The record of a topic that an entry stands in.
#[derive(Clone, Copy)]
struct Record<'a> {
    topic: Option<&'a str>,
    key: Option<&'a Json<'a>>,
}

/// What is said of a row beside it.
#[derive(Clone, Copy, Default)]
struct Told<'a> {
    op: Option<&'a str>,
    /// Whether its times are wall time though they end in `Z`.
    is_wall: bool,
}

impl OracleDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        OracleDecoder { mapping }
    }

    /// Turns one delivery into facts. Bad entries leave their neighbours alone.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        let mut out = Decoded::default();
        match delivery.framing {
            Framing::Document => self.document(delivery, 0..delivery.raw.len(), &mut out),
            Framing::Lines => {
                let mut start = 0;
                for line in delivery.raw.split_inclusive(|b| *b == b'\n') {
                    let range = start..start + line.len();
                    start = range.end;
                    if !line.trim_ascii().is_empty() {
                        self.document(delivery, range, &mut out);
                    }
                }
            }
        }
        out
    }

    fn document(&self, delivery: &Delivery<'_>, range: Range<usize>, out: &mut Decoded) {
        let entries = match Json::entries(&delivery.raw[range.clone()]) {
            Ok(entries) => entries,
            Err(error) => {
                out.rejects.push(Reject::new(RejectCode::Malformed, error.to_string(), range));
                return;
            }
        };
        let topic = delivery.headers.get(DESTINATION);
        for (within, entry) in entries {
            let place = range.start + within.start..range.start + within.end;
            let first = out.unplaced.len();
            let read = self.entry(&entry, topic, delivery.observed_at, out);
            for unplaced in &mut out.unplaced[first..] {
                let object = self.mapping.object(&unplaced.fact.object);
                let detail = object.map(nameless_entity).unwrap_or_default();
                unplaced.reject = out.rejects.len();
                out.rejects.push(Reject::new(RejectCode::NoIdentity, detail, place.clone()));
            }
            if let Err((code, detail)) = read {
                out.rejects.push(Reject::new(code, detail, place));
            }
        }
    }

    /// An entry by itself, of the topic that the sender named, or in the record of a topic.
    fn entry(
        &self,
        entry: &Json<'_>,
        sent_to: Option<&str>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Refusal> {
        let Some(topic) = entry.get("topic").and_then(Json::text) else {
            return self.value(entry, Record { topic: sent_to, key: None }, observed_at, out);
        };
        let record = Record { topic: Some(topic), key: entry.get("key") };
        if let Some(base64) = entry.get("value_base64").and_then(Json::text) {
            return self.bytes(base64, record, observed_at, out);
        }
        match entry.get("value") {
            None => Err(no_identity(format!("{topic}: a record without value"))),
            // A message of the queue carries its payload as text.
            Some(Json::Text(text)) => self.nested(text.as_bytes(), record, observed_at, out),
            Some(Json::Array(values)) => each(values, |value| self.value(value, record, observed_at, out)),
            Some(value) => self.value(value, record, observed_at, out),
        }
    }

    /// A value that was no JSON when it was received; it is tried again, since a replay may know more.
    fn bytes(&self, base64: &str, record: Record<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Refusal> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(base64);
        let bytes = bytes.map_err(|_| (RejectCode::Malformed, "a value that is not base64".to_owned()))?;
        if bytes.first() == Some(&0) {
            let what = "a value in the registry's Avro form: set the capture's converter to JSON";
            return Err((RejectCode::Malformed, what.to_owned()));
        }
        self.nested(&bytes, record, observed_at, out)
    }

    fn nested(&self, raw: &[u8], record: Record<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Refusal> {
        each(&entries(raw)?, |(_, value)| {
            // A text message of the queue wraps its text once more.
            match value.get("text_vc").filter(|v| !matches!(v, Json::Null)).or_else(|| value.get("text_lob")) {
                Some(Json::Text(text)) => {
                    each(&entries(text.as_bytes())?, |(_, inner)| self.value(inner, record, observed_at, out))
                }
                Some(_) | None => self.value(value, record, observed_at, out),
            }
        })
    }

    fn value(
        &self,
        value: &Json<'_>,
        record: Record<'_>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Refusal> {
        // Older converters wrap a tombstone as they wrap everything.
        let is_wrapped_null = || value.get("schema").is_some() && value.get("payload") == Some(&Json::Null);
        if *value == Json::Null || is_wrapped_null() {
            out.ignored += 1;
            return Ok(());
        }
        if let (Some(table), Some(row)) = (value.get("table").and_then(Json::text), value.get("row")) {
            let op = value.get("op").and_then(Json::text);
            let is_wall = value.get("wall") == Some(&Json::Bool(true));
            return self.told_row(table, row, Told { op, is_wall }, observed_at, out);
        }
        if let Some(operation) = Operation::of(value) {
            return self.operation(operation, observed_at, out);
        }
        if let Some(shape) = Shape::of(value) {
            return self.envelope(shape, record, observed_at, out);
        }
        let message = value.get("payload").unwrap_or(value);
        if is_aside(message) {
            out.marks.extend(self.boundary(message));
            out.ignored += 1;
            return Ok(());
        }
        match record.topic.and_then(|topic| self.mapping.object(table_of(topic))) {
            Some(object) if !object.ordered_by.is_empty() => {
                self.told_row(&object.name, message, Told::default(), observed_at, out)
            }
            Some(_) | None => Err(no_identity("neither an envelope nor a message that is known")),
        }
    }

    fn envelope(
        &self,
        shape: Shape<'_>,
        record: Record<'_>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Refusal> {
        let verb = shape.verb();
        if verb == Verb::Message {
            out.ignored += 1;
            return Ok(());
        }
        let table = shape.table().or_else(|| record.topic.map(table_of));
        let table = table.ok_or_else(|| no_identity("a source without table"))?;
        if shape.is_foreign() {
            return Err(no_identity("an envelope of another system"));
        }
        let Some(object) = self.mapping.object(table) else {
            out.leave_unmapped(1);
            return Ok(());
        };
        if let Some((transaction, order)) = shape.transaction() {
            let object = CompactString::new(&object.name);
            out.marks.push(Mark::Change { transaction: transaction.into(), object, order });
        }
        let deed = match verb {
            Verb::Row(deed) => deed,
            Verb::Truncate => {
                out.ignored += 1;
                out.resyncs.push(Resync { object: object.name.clone(), version: Some(shape.place(table)?.version) });
                return Ok(());
            }
            Verb::Message | Verb::Unknown => {
                return Err(no_identity(format!("{table}: an envelope with an op that is not known")));
            }
        };
        let (image, schema) = match shape.image(deed) {
            Some(image) => (image, shape.row_schema(deed)),
            // Without supplemental logging a delete has no row before it, but a key.
            None => self.key_of(deed, record).ok_or_else(|| imageless(table, deed))?,
        };
        let row = Row { schema, ..self.row_of(object, image) };
        let mut place = shape.place(table)?;
        if let Some(version) = own_version(&row) {
            place.version = version;
        }
        let before = shape.image(Deed::Gone).filter(|_| deed == Deed::Told);
        let before = before.map(|image| Row { schema: shape.row_schema(Deed::Gone), ..self.row_of(object, image) });
        tell(&row, before.as_ref(), deed, &place, observed_at, out)?;
        if shape.ends_snapshot() {
            out.resyncs.push(Resync { object: object.name.clone(), version: None });
        }
        Ok(())
    }

    /// What the boundary of a transaction tells of it; none of any other message.
    fn boundary(&self, message: &Json<'_>) -> Option<Mark> {
        let transaction = CompactString::new(message.get("id")?.scalar()?);
        match message.get("status")?.text()? {
            "BEGIN" => Some(Mark::Begin { transaction }),
            "END" => {
                let counts = message.get("data_collections").map_or(&[][..], Json::elements).iter().filter_map(|one| {
                    let object = self.mapping.object(table_of(one.get("data_collection")?.text()?))?;
                    Some((CompactString::new(&object.name), unsigned(one.get("event_count")?)?))
                });
                Some(Mark::End { transaction, counts: counts.collect() })
            }
            _ => None,
        }
    }

    /// The key of a deletion, with its schema where it has one.
    fn key_of<'a>(&self, deed: Deed, record: Record<'a>) -> Option<(&'a Json<'a>, Option<&'a Json<'a>>)> {
        let key = record.key?;
        let (key, schema) = key.get("payload").map_or((key, None), |payload| (payload, key.get("schema")));
        (deed == Deed::Gone && matches!(key, Json::Object(_))).then_some((key, schema))
    }

    /// A row that comes without its schema.
    fn row_of<'a>(&'a self, object: &'a ObjectMap, image: &'a Json<'a>) -> Row<'a> {
        Row { image, schema: None, object, mapping: &self.mapping, is_wall: false }
    }

    fn operation(&self, operation: Operation<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Refusal> {
        let table = table_of(operation.table()?);
        let Some(object) = self.mapping.object(table) else {
            out.leave_unmapped(1);
            return Ok(());
        };
        let mut place = operation.place(&self.mapping.zone, observed_at)?;
        let (image, before, deed) = match operation.kind()? {
            Kind::Truncate => {
                out.ignored += 1;
                out.resyncs.push(Resync { object: object.name.clone(), version: Some(place.version) });
                return Ok(());
            }
            Kind::Row(Deed::Gone) => (operation.deleted(), None, Deed::Gone),
            // An update may have changed the key: the row of the old one is gone.
            Kind::Row(deed @ (Deed::Whole | Deed::Told)) => (operation.after(), operation.before(), deed),
            Kind::KeyChange => {
                let before = operation.before().ok_or_else(|| imageless(table, Deed::Gone))?;
                if object.record_id(&self.row_of(object, before)).is_none() {
                    return Err(no_identity(format!("{table}: a change of the key without the former one")));
                }
                (operation.after(), Some(before), Deed::Told)
            }
        };
        let row = self.row_of(object, image.ok_or_else(|| imageless(table, deed))?);
        if let Some(version) = own_version(&row) {
            place.version = version;
        }
        let before = before.map(|image| self.row_of(object, image));
        tell(&row, before.as_ref(), deed, &place, observed_at, out)
    }

    /// A row of the list job or of a queue. A listed row is an image at its row SCN: it loses to the
    /// change that the row SCN is of, so that what it brings does not depend on when the list was
    /// read. A row that orders itself does so on every path.
    fn told_row(
        &self,
        table: &str,
        row: &Json<'_>,
        Told { op, is_wall }: Told<'_>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Refusal> {
        let Some(object) = self.mapping.object(table_of(table)) else {
            out.leave_unmapped(1);
            return Ok(());
        };
        let row = Row { is_wall, ..self.row_of(object, row) };
        let deed = match op.map(str::to_ascii_uppercase).as_deref() {
            None | Some("U" | "UPDATE") => Deed::Told,
            Some("I" | "INSERT" | "C" | "R") => Deed::Whole,
            Some("D" | "DELETE") => Deed::Gone,
            Some(_) => return Err(no_identity(format!("{table}: a row with an op that is not known"))),
        };
        let version = told_version(&row)?;
        let changed_at = last_update(&row).unwrap_or(observed_at);
        let is_listed = op.is_none() && row.image.get("ora_rowscn").is_some();
        let transaction = CompactString::const_new(if is_listed { "list" } else { "queue" });
        let (facts, unplaced) = (out.facts.len(), out.unplaced.len());
        tell(&row, None, deed, &Place { version, changed_at, transaction }, observed_at, out)?;
        let told = out.facts[facts..].iter_mut().chain(out.unplaced[unplaced..].iter_mut().map(|one| &mut one.fact));
        told.for_each(|fact| fact.read_at = is_listed.then_some(observed_at));
        Ok(())
    }
}

fn entries(raw: &[u8]) -> Result<Vec<(Range<usize>, Json<'_>)>, Refusal> {
    Json::entries(raw).map_err(|error| (RejectCode::Malformed, error.to_string()))
}

/// Reads each of `values`, the ones behind a bad one too; the first refusal.
fn each<T>(values: &[T], mut read: impl FnMut(&T) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut first = Ok(());
    for value in values {
        let read = read(value);
        first = first.and(read);
    }
    first
}

fn told_version(row: &Row<'_>) -> Result<Version, Refusal> {
    let object = &row.object.name;
    if let [first, ..] = row.object.ordered_by.as_slice() {
        return own_version(row)
            .ok_or_else(|| no_identity(format!("{object}: a row without {first}, which orders it")));
    }
    let scn =
        number(row.image, "ora_rowscn").ok_or_else(|| no_identity(format!("{object}: a row without ora_rowscn")))?;
    Ok(Version::new(scn, 0, 0))
}

/// When the row says that it changed last.
fn last_update(row: &Row<'_>) -> Option<Millis> {
    let told = |name: &'static str| Some((name, row.image.get_any_case(name).and_then(Json::scalar)?));
    let first = || {
        let first = row.object.ordered_by.first()?;
        Some((first.as_str(), row.image.get_any_case(first).and_then(Json::scalar)?))
    };
    let (name, text) = told("last_update").or_else(first).or_else(|| told("LAST_UPDATE_DATE"))?;
    match text.parse() {
        Ok(count) => row.unit(name).unwrap_or_default().instant(count),
        Err(_) if row.is_wall => parse_instant(wall(text), &row.mapping.zone),
        Err(_) => parse_instant(text, &row.mapping.zone),
    }
}

fn imageless(table: &str, deed: Deed) -> Refusal {
    let side = if deed == Deed::Gone { "before" } else { "after" };
    (RejectCode::ContractBreach, format!("{table}: an envelope without {side}"))
}

/// Schema changes, transaction boundaries and heartbeats say nothing of a row.
fn is_aside(message: &Json<'_>) -> bool {
    let is_boundary = message.get("status").is_some() && message.get("id").is_some();
    let is_schema_change = message.get("tableChanges").is_some() || message.get("ddl").is_some();
    is_heartbeat(message) || is_boundary || is_schema_change
}

/// A message that has the time and nothing else, in one unit or several.
fn is_heartbeat(message: &Json<'_>) -> bool {
    let is_time = |name: &str| matches!(name, "ts_ms" | "ts_us" | "ts_ns");
    message.get("ts_ms").is_some() && matches!(message, Json::Object(all) if all.iter().all(|(name, _)| is_time(name)))
}

/// The instant of a heartbeat message, if the document is one.
#[must_use]
pub fn heartbeat(raw: &[u8]) -> Option<Millis> {
    // Heartbeats are short; nothing else is read for the question alone.
    const BYTES_MAX: usize = 4_096;
    let json = Json::parse(Some(raw).filter(|raw| raw.len() <= BYTES_MAX)?).ok()?;
    let message = json.get("payload").unwrap_or(&json);
    if is_heartbeat(message) { message.get("ts_ms")?.integer().map(Millis) } else { None }
}

/// The line by which a record of a topic is handed to the decoder. Values that are JSON stand as
/// they came; others are kept byte for byte, in base64.
#[must_use]
pub fn record_line(topic: &str, partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
    let mut line = format!("{{\"topic\":{},\"partition\":{partition},\"offset\":{offset}", quoted(topic));
    if let Some(key) = key {
        match as_json(key) {
            Some(json) => line.extend([",\"key\":", &json]),
            None => line.extend([",\"key_base64\":\"", &encoded(key), "\""]),
        }
    }
    match value.map(|value| (value, as_json(value))) {
        None => line.push_str(",\"value\":null"),
        Some((_, Some(json))) => line.extend([",\"value\":", &json]),
        Some((value, None)) => line.extend([",\"value_base64\":\"", &encoded(value), "\""]),
    }
    line.push_str("}\n");
    line
}

/// The text of a document that can stand in a line: line ends between its tokens become blanks.
fn as_json(bytes: &[u8]) -> Option<Cow<'_, str>> {
    Json::parse(bytes).ok()?;
    let text = std::str::from_utf8(bytes).ok()?;
    let has_ends = text.contains(['\n', '\r']);
    Some(if has_ends { Cow::Owned(text.replace(['\n', '\r'], " ")) } else { Cow::Borrowed(text) })
}

fn encoded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
