//! Webhooks and pages of the incremental export to facts.
//!
//! An event carries the ticket as it was when the event was *sent*, so a fact is ordered by the
//! ticket's own `updated_at` first, which has seconds, then by the event's time and its place in
//! the update. A row of the export is the whole ticket and, since the export holds the last minute
//! back, its last word about that second: it stands above every event of the second.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version};
use serde_json::value::RawValue;

use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::{Columns, Native};

/// Members that hold the rows of an export or of a single read, with the object that each row is.
const ROWS: &[(&str, &str)] = &[("tickets", "ticket"), ("organizations", "organization"), ("users", "user")];

/// Types of events, before their resource and action.
const EVENT_TYPE: &str = "zen:event-type:";

/// Objects of the mapping that read the bodies of triggers, which an administrator has written,
/// have names that begin so.
const TRIGGER: &str = "trigger";

/// Decodes deliveries of the Zendesk connector.
#[derive(Debug, Clone)]
pub struct ZendeskDecoder {
    mapping: Mapping,
}

type Failure = (RejectCode, String);

/// Where and when something was said.
struct Said {
    event_id: CompactString,
    op: Op,
    mode: Mode,
    version: Version,
    changed_at: Millis,
    observed_at: Millis,
    is_read: bool,
}

impl ZendeskDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        ZendeskDecoder { mapping }
    }

    /// The mapping that it reads by.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Turns one webhook, or one page of an export, into facts.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        let json = match Json::parse(delivery.raw) {
            Ok(json) => json,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        let mut out = Decoded::default();
        if let Some((member, object)) = ROWS.iter().find(|(member, _)| json.get(member).is_some()) {
            self.page(&json, member, object, delivery, &mut out);
            return out;
        }
        let read = match json.get("type").and_then(Json::text).and_then(|kind| kind.strip_prefix(EVENT_TYPE)) {
            Some(kind) => self.event(kind, &json, delivery.observed_at, &mut out),
            None => self.trigger(&json, delivery.observed_at, &mut out),
        };
        if let Err((code, detail)) = read {
            out.rejects.push(Reject::new(code, detail, 0..delivery.raw.len()));
        }
        out
    }

    fn page(&self, json: &Json<'_>, member: &str, object: &str, delivery: &Delivery<'_>, out: &mut Decoded) {
        let rows = json.get(member).map_or(&[][..], Json::elements);
        let Some(object) = self.mapping.object(object) else {
            out.leave_unmapped(rows.len());
            return;
        };
        for (place, row) in rows.iter().enumerate() {
            match self.row(object, row, delivery.observed_at) {
                Ok(fact) => out.facts.push(fact),
                Err((code, detail)) => {
                    let mut reject = Reject::new(code, detail, 0..delivery.raw.len());
                    reject.standalone = alone(delivery.raw, member, place);
                    out.rejects.push(reject);
                }
            }
        }
    }

    /// A whole ticket as the export shows it.
    fn row(&self, object: &ObjectMap, row: &Json<'_>, observed_at: Millis) -> Result<Fact, Failure> {
        let name = &object.name;
        let at = updated_at(row).ok_or_else(|| no_identity(format!("{name}: a row without updated_at")))?;
        let id = row.get("id").and_then(Json::scalar).unwrap_or_default();
        let said = Said {
            event_id: format_compact!("export/{name}/{id}/{}", at.0),
            op: Op::Image,
            mode: Mode::Image,
            version: Version::new(millis(at), u64::MAX, 0),
            changed_at: at,
            observed_at,
            is_read: true,
        };
        let is_deleted = row.get("deleted_at").is_some_and(|at| *at != Json::Null);
        let columns = Row { body: row, implied: flag(is_deleted) };
        self.fact(object, &columns, said)
    }

    fn event(&self, kind: &str, json: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let (resource, action) = kind.split_once('.').unwrap_or((kind, ""));
        let Some(object) = self.mapping.object(resource) else {
            // Resources that nobody maps are kept as raw bytes and counted.
            out.leave_unmapped(1);
            return Ok(());
        };
        let detail = json.get("detail").ok_or_else(|| no_identity(format!("{kind}: an event without detail")))?;
        let time = json.get("time").and_then(Json::text).and_then(|text| text.trim().parse::<jiff::Timestamp>().ok());
        let time = time.ok_or_else(|| no_identity(format!("{kind}: an event without time")))?;
        let id = match json.get("id").and_then(Json::scalar).filter(|id| !id.trim().is_empty()) {
            Some(id) => CompactString::new(id),
            // What says it is the same event where it has no id of its own.
            None => format_compact!("{kind}/{}/{time}", json.get("subject").and_then(Json::text).unwrap_or_default()),
        };
        if is_skinny(detail) {
            // Nothing of the record is said; the export tells it.
            out.ignored += 1;
            return Ok(());
        }
        let position = json.path("event.meta.sequence.position").and_then(Json::integer);
        let order = (u64::try_from(time.as_nanosecond()).unwrap_or(0), position.map_or(0, i64::unsigned_abs));
        let at = updated_at(detail).unwrap_or(second(time));
        let said = Said {
            event_id: id.clone(),
            op: operation(action),
            mode: Mode::Patch,
            version: Version::new(millis(at), order.0, order.1),
            changed_at: at,
            observed_at,
            is_read: false,
        };
        let mut implied = flag(matches!(action, "soft_deleted" | "permanently_deleted" | "deleted"));
        if action == "merged" {
            implied.push(("status", Native::Text("CLOSED".into())));
        }
        out.facts.push(self.fact(object, &Row { body: detail, implied }, said)?);
        if action == "custom_field_changed" {
            let at = second(time);
            let version = Version::new(millis(at), order.0, order.1);
            out.facts.extend(self.custom_field(object, json, (id, version, at, observed_at))?);
        }
        Ok(())
    }

    /// The new value of a custom field, which the ticket beside it does not show.
    fn custom_field(
        &self,
        object: &ObjectMap,
        json: &Json<'_>,
        (id, version, changed_at, observed_at): (CompactString, Version, Millis, Millis),
    ) -> Result<Option<Fact>, Failure> {
        let Some(change) = json.get("event") else { return Ok(None) };
        let field = change.path("field.id").or_else(|| change.get("field_id")).and_then(Json::scalar);
        let (Some(field), Some(current), Some(ticket)) = (field, change.get("current"), json.path("detail.id")) else {
            return Ok(None);
        };
        let said = Said {
            event_id: format_compact!("{id}/field"),
            op: Op::Patch,
            mode: Mode::Patch,
            version,
            changed_at,
            observed_at,
            is_read: false,
        };
        let fact = self.fact(object, &CustomField { ticket, field, current }, said)?;
        Ok(Some(fact).filter(|fact| !fact.fields.is_empty()))
    }

    /// The body of a trigger: read by the first object of the mapping that finds its record there.
    fn trigger(&self, json: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let row = Row { body: json, implied: Vec::new() };
        let is_read_by = |object: &&ObjectMap| object.name.starts_with(TRIGGER) && object.ids(&row).is_some();
        let object = self.mapping.objects.iter().find(is_read_by);
        let object = object.ok_or_else(|| no_identity("a body that no object of the mapping reads"))?;
        let name = &object.name;
        let at = updated_at(json).ok_or_else(|| no_identity(format!("{name}: a body without updated_at")))?;
        let (record, _) = object.ids(&row).ok_or_else(|| no_identity(format!("{name}: a body without record")))?;
        let said = Said {
            event_id: format_compact!("{name}/{record}/{}", at.0),
            op: Op::Patch,
            mode: Mode::Patch,
            version: Version::new(millis(at), 0, 0),
            changed_at: at,
            observed_at,
            is_read: false,
        };
        // Triggers and events are about the same rows.
        let mut fact = self.fact(object, &row, said)?;
        fact.object = CompactString::const_new("ticket");
        out.facts.push(fact);
        Ok(())
    }

    fn fact(&self, object: &ObjectMap, columns: &impl Columns, said: Said) -> Result<Fact, Failure> {
        let missing = || no_identity(format!("{}: a record without {}", object.name, object.record));
        let (record_id, entity_id) = object.ids(columns).ok_or_else(missing)?;
        let op = if object.is_deleted(columns) { Op::Delete } else { said.op };
        let mut fields = FieldsBuilder::default();
        if op != Op::Delete {
            self.mapping
                .apply(object, columns, said.mode, &mut fields)
                .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        }
        Ok(Fact {
            event_id: said.event_id,
            system: System::Zendesk,
            object: CompactString::new(&object.name),
            record_id,
            entity: EntityKey { kind: object.entity, id: entity_id },
            op,
            version: said.version,
            changed_at: said.changed_at,
            observed_at: said.observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: object.contract,
            mapping_version: self.mapping.version,
            read_at: said.is_read.then_some(said.observed_at),
            key_slot: 0,
            fields: fields.build(),
        })
    }
}

fn operation(action: &str) -> Op {
    match action {
        "soft_deleted" | "permanently_deleted" | "deleted" => Op::Delete,
        "undeleted" => Op::Undelete,
        _ => Op::Patch,
    }
}

fn no_identity(detail: impl Into<String>) -> Failure {
    (RejectCode::NoIdentity, detail.into())
}

fn millis(at: Millis) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

/// The second of the last change, which is all that every form of a ticket tells alike.
fn updated_at(row: &Json<'_>) -> Option<Millis> {
    let at: jiff::Timestamp = row.get("updated_at")?.text()?.trim().parse().ok()?;
    Some(second(at))
}

fn second(at: jiff::Timestamp) -> Millis {
    Millis(at.as_second().saturating_mul(Millis::SECOND_MS))
}

/// Whether a detail names its record and says nothing of it.
fn is_skinny(detail: &Json<'_>) -> bool {
    matches!(detail, Json::Object(members) if members.iter().all(|(name, _)| name == "id"))
}

/// What events and exports say about deletion beside the status.
fn flag<'a>(is_deleted: bool) -> Vec<(&'static str, Native<'a>)> {
    if is_deleted { vec![("@deleted", Native::Bool(true))] } else { Vec::new() }
}

/// One row of a page as a page by itself, which a replay reads.
fn alone(raw: &[u8], member: &str, place: usize) -> Option<Bytes> {
    let page: std::collections::BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(raw).ok()?;
    let rows: Vec<&RawValue> = serde_json::from_str(page.get(member)?.get()).ok()?;
    Some(Bytes::from(format!("{{\"{member}\":[{}]}}", rows.get(place)?.get())))
}

/// A ticket, organisation or flat body, with what the event's type implies.
struct Row<'a> {
    body: &'a Json<'a>,
    implied: Vec<(&'static str, Native<'a>)>,
}

impl Columns for Row<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        if let Some((_, value)) = self.implied.iter().find(|(name, _)| *name == column) {
            return Some(value.borrowed());
        }
        if let Some(id) = column.strip_prefix("custom_fields.") {
            let is_it = |field: &&Json<'_>| field.get("id").and_then(Json::scalar) == Some(id);
            return Some(native(self.body.get("custom_fields")?.elements().iter().find(is_it)?.get("value")?));
        }
        Some(native(self.body.path(column)?))
    }
}

/// The one custom field that an event says was changed.
struct CustomField<'a> {
    ticket: &'a Json<'a>,
    field: &'a str,
    current: &'a Json<'a>,
}

impl Columns for CustomField<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        match column.strip_prefix("custom_fields.") {
            Some(id) if id == self.field => Some(native(self.current)),
            Some(_) => None,
            None if column == "id" => Some(native(self.ticket)),
            None => None,
        }
    }
}

fn native<'a>(value: &'a Json<'_>) -> Native<'a> {
    match value {
        Json::Null => Native::Null,
        Json::Bool(b) => Native::Bool(*b),
        Json::Number(digits) => Native::Number(Cow::Borrowed(digits)),
        Json::Text(text) => Native::Text(Cow::Borrowed(text)),
        Json::Array(items) => {
            let words: Vec<&str> = items.iter().filter_map(Json::scalar).collect();
            if words.len() == items.len() {
                Native::Text(Cow::Owned(words.join(";")))
            } else {
                Native::Other(Cow::Borrowed("[..]"))
            }
        }
        Json::Object(_) => Native::Other(Cow::Borrowed("{..}")),
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
