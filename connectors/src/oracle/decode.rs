//! Change envelopes to facts.
//!
//! An envelope says `before`, `after`, `source` and `op`; it may stand under `payload` with its
//! schema beside it. Exact decimals come as `{scale, value}`, as text or as a JSON number. Rows read
//! over REST (`items`) become images at their row SCN and lose to newer changes.

use std::borrow::Cow;
use std::ops::Range;

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version};

use crate::contract::{Decoded, Delivery, Framing, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::{Columns, Decimal, Native, parse_instant};

/// What change capture puts in place of a large object that did not change.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// Decodes deliveries of the Oracle connector.
#[derive(Debug, Clone)]
pub struct OracleDecoder {
    mapping: Mapping,
}

/// Where a row change stands.
struct Place<'a> {
    object: &'a ObjectMap,
    version: Version,
    changed_at: Millis,
    /// What makes the event unique besides the row.
    transaction: CompactString,
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
        for (within, entry) in entries {
            let place = range.start + within.start..range.start + within.end;
            match self.entry(&entry, delivery.observed_at, out) {
                Ok(()) => {}
                Err((code, detail)) => out.rejects.push(Reject::new(code, detail, place)),
            }
        }
    }

    fn entry(&self, entry: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), (RejectCode, String)> {
        if let Json::Null = entry {
            out.ignored += 1;
            return Ok(());
        }
        if let (Some(table), Some(row)) = (entry.get("table").and_then(Json::text), entry.get("row")) {
            return self.list_row(table, row, observed_at, out);
        }
        let envelope = entry.get("payload").unwrap_or(entry);
        let Some(op) = envelope.get("op").and_then(Json::text) else {
            return self.without_op(envelope, out);
        };
        let source = envelope.get("source").ok_or_else(|| no_identity("an envelope without source"))?;
        let table = source.get("table").and_then(Json::text).or_else(|| table_of_schema(entry));
        let table = table.ok_or_else(|| no_identity("a source without table"))?;
        if source.get("connector").and_then(Json::text).is_some_and(|c| c != "oracle") {
            return Err(no_identity("an envelope of another system"));
        }
        if op == "t" {
            return Err((RejectCode::ContractBreach, format!("{table}: a truncate needs a person's decision")));
        }
        let Some(object) = self.mapping.object(table) else {
            out.ignored += 1;
            return Ok(());
        };
        let (image, op) = match op {
            "c" | "r" => ("after", Op::Image),
            "u" => ("after", Op::Image),
            "d" => ("before", Op::Delete),
            _ => {
                out.ignored += 1;
                return Ok(());
            }
        };
        let row = Row(envelope
            .get(image)
            .filter(|row| matches!(row, Json::Object(_)))
            .ok_or_else(|| (RejectCode::ContractBreach, format!("{table}: an envelope without {image}")))?);
        let place = Self::place(object, source)?;
        let is_update = envelope.get("op").and_then(Json::text) == Some("u");
        let fact = self.fact(&place, &row, op, is_update, observed_at)?;
        out.facts.push(fact);
        Ok(())
    }

    /// Schema changes, transaction boundaries and heartbeats say nothing of a row.
    fn without_op(&self, message: &Json<'_>, out: &mut Decoded) -> Result<(), (RejectCode, String)> {
        let is_heartbeat = matches!(message, Json::Object(m) if m.len() == 1 && m[0].0 == "ts_ms");
        let is_boundary = message.get("status").is_some() && message.get("id").is_some();
        let is_schema_change = message.get("tableChanges").is_some() || message.get("ddl").is_some();
        if is_heartbeat || is_boundary || is_schema_change {
            out.ignored += 1;
            return Ok(());
        }
        Err(no_identity("neither an envelope nor a message that is known"))
    }

    fn place<'a>(object: &'a ObjectMap, source: &Json<'_>) -> Result<Place<'a>, (RejectCode, String)> {
        let table = &object.name;
        let scn = number(source, "scn").ok_or_else(|| no_identity(format!("{table}: a source without scn")))?;
        let commit = number(source, "commit_scn").unwrap_or(scn);
        let ordinal = number(source, "ssn").unwrap_or(0);
        let changed_at = source.get("ts_ms").and_then(Json::integer).map(Millis);
        let changed_at = changed_at.ok_or_else(|| no_identity(format!("{table}: a source without ts_ms")))?;
        let transaction = CompactString::new(source.get("txId").and_then(Json::scalar).unwrap_or_default());
        Ok(Place { object, version: Version::new(commit, scn, ordinal), changed_at, transaction })
    }

    fn fact(
        &self,
        place: &Place<'_>,
        row: &Row<'_>,
        op: Op,
        is_update: bool,
        observed_at: Millis,
    ) -> Result<Fact, (RejectCode, String)> {
        let object = place.object;
        let (record_id, entity_id) =
            object.ids(row).ok_or_else(|| no_identity(format!("{}: a row without {}", object.name, object.record)))?;
        // An update may leave columns out that did not change; then it is no image.
        let is_whole = !is_update || object.fields.iter().flat_map(|f| &f.from).all(|c| row.column(c).is_some());
        let (op, mode) = if op == Op::Image && !is_whole { (Op::Patch, Mode::Patch) } else { (op, Mode::Image) };
        let mut fields = FieldsBuilder::default();
        if op != Op::Delete {
            self.mapping
                .apply(object, row, mode, &mut fields)
                .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        }
        let event_id =
            format_compact!("{}/{}/{}/{}/{}", object.name, record_id, place.version, place.transaction, op_letter(op));
        Ok(Fact {
            event_id,
            system: System::Oracle,
            object: CompactString::new(&object.name),
            record_id: record_id.into(),
            entity: EntityKey::new(object.entity, entity_id),
            op,
            version: place.version.clone(),
            changed_at: place.changed_at,
            observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: object.contract,
            mapping_version: self.mapping.version,
            read_at: None,
            key_slot: 0,
            fields: fields.build(),
        })
    }

    /// A row read from the list view: an image at its row SCN. It loses to the change that the row
    /// SCN is of, so that what it brings does not depend on when the list was read.
    fn list_row(
        &self,
        table: &str,
        row: &Json<'_>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), (RejectCode, String)> {
        let Some(object) = self.mapping.object(table) else {
            out.ignored += 1;
            return Ok(());
        };
        let scn = number(row, "ora_rowscn").ok_or_else(|| no_identity(format!("{table}: a row without ora_rowscn")))?;
        let changed_at = row.get("last_update").and_then(Json::text);
        let changed_at = changed_at.and_then(|text| parse_instant(text, &jiff::tz::TimeZone::UTC));
        let place = Place {
            object,
            version: Version::new(scn, 0, 0),
            changed_at: changed_at.unwrap_or(observed_at),
            transaction: CompactString::const_new("list"),
        };
        let mut fact = self.fact(&place, &Row(row), Op::Image, true, observed_at)?;
        fact.read_at = Some(observed_at);
        out.facts.push(fact);
        Ok(())
    }
}

/// The table in the name of an envelope's schema, `server.SCHEMA.TABLE.Envelope`.
fn table_of_schema<'a>(entry: &'a Json<'_>) -> Option<&'a str> {
    entry.path("schema.name")?.text()?.strip_suffix(".Envelope")?.rsplit('.').next()
}

fn no_identity(detail: impl Into<String>) -> (RejectCode, String) {
    (RejectCode::NoIdentity, detail.into())
}

fn op_letter(op: Op) -> &'static str {
    match op {
        Op::Delete => "d",
        Op::Image | Op::Patch | Op::Undelete | Op::Gap | Op::Heartbeat => "u",
    }
}

/// An unsigned number that may be written as text.
fn number(value: &Json<'_>, name: &str) -> Option<u64> {
    value.get(name)?.scalar()?.trim().parse().ok()
}

/// The instant of a heartbeat message, if the document is one.
#[must_use]
pub fn heartbeat(raw: &[u8]) -> Option<Millis> {
    let json = Json::parse(raw).ok()?;
    let message = json.get("payload").unwrap_or(&json);
    match message {
        Json::Object(members) if members.len() == 1 => message.get("ts_ms")?.integer().map(Millis),
        _ => None,
    }
}

/// A row image; column names are matched whatever their case, since REST gives them in lower case.
struct Row<'a>(&'a Json<'a>);

impl Columns for Row<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        let value = self.0.get(column).or_else(|| self.0.get_any_case(column))?;
        Some(match value {
            Json::Null => Native::Null,
            Json::Bool(b) => Native::Bool(*b),
            Json::Number(digits) => Native::Number(Cow::Borrowed(digits)),
            Json::Text(text) if text == UNAVAILABLE => return None,
            Json::Text(text) => Native::Text(Cow::Borrowed(text)),
            Json::Object(_) => variable_scale(value).map_or(Native::Other(Cow::Borrowed("{..}")), Native::Decimal),
            Json::Array(_) => Native::Other(Cow::Borrowed("[..]")),
        })
    }
}

fn variable_scale(value: &Json<'_>) -> Option<Decimal> {
    let scale = i32::try_from(value.get("scale")?.integer()?).ok()?;
    Decimal::from_base64(value.get("value")?.text()?, scale)
}
