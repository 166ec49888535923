//! Change events and fetched records to facts.
//!
//! A create or an undelete carries every field, an update the changed ones, a deletion none. A gap
//! says only that a record changed: it becomes a gap fact, and the transport fetches the record,
//! which comes back here as JSON and becomes an image at the version of the gap.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, Fields, FieldsBuilder, LogPos, Millis, Op, System, Version};
use prost::Message as _;

use super::bitmap::{SchemaField, named};
use super::event::{Avro, EventSchema};
use super::eventbus::{ConsumerEvent, SchemaInfo};
use super::{CLIENT, long_id};
use crate::contract::{Decoded, Delivery, Reject, RejectCode, Resync};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::{Columns, Native};

/// Events with the schemas that wrote them: a delivery that can be decoded again by itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Batch {
    /// The events in replay order.
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<ConsumerEvent>,
    /// Their schemas.
    #[prost(message, repeated, tag = "2")]
    pub schemas: Vec<SchemaInfo>,
}

/// Decodes deliveries of the Salesforce connector.
#[derive(Debug, Clone)]
pub struct SalesforceDecoder {
    mapping: Mapping,
    /// Schemas by id; ids are fingerprints, so an entry never changes.
    schemas: Arc<RwLock<HashMap<String, Arc<EventSchema>>>>,
}

/// Most schemas that are kept ready.
const SCHEMAS_MAX: usize = 1_000;

pub(super) type Failure = (RejectCode, String);

/// What all records of one event share.
pub(super) struct Change<'a> {
    pub event_id: &'a str,
    pub object: &'a ObjectMap,
    pub op: Op,
    pub version: Version,
    pub changed_at: Millis,
    pub observed_at: Millis,
    pub read_at: Option<Millis>,
}

impl SalesforceDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        SalesforceDecoder { mapping, schemas: Arc::default() }
    }

    /// The mapping.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Turns one delivery into facts: a [`Batch`] of events, or JSON with fetched records.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        if delivery.raw.first() == Some(&b'{') {
            return self.fetched(delivery);
        }
        let Ok(batch) = Batch::decode(delivery.raw) else {
            return Decoded::rejected(RejectCode::Malformed, "neither events nor records", delivery.raw);
        };
        let mut out = Decoded::default();
        for event in &batch.events {
            if let Err((code, detail)) = self.event(event, &batch.schemas, delivery.observed_at, &mut out) {
                let mut reject = Reject::new(code, detail, 0..delivery.raw.len());
                reject.standalone = Some(alone(event, &batch.schemas).into());
                out.rejects.push(reject);
            }
        }
        out
    }

    fn schema(&self, id: &str, sent: &[SchemaInfo]) -> Result<Arc<EventSchema>, Failure> {
        let ready = self.schemas.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(schema) = ready {
            return Ok(schema);
        }
        let malformed = |detail: String| (RejectCode::Malformed, detail);
        let info = sent.iter().find(|s| s.schema_id == id);
        let info = info.ok_or_else(|| malformed("an event without its schema".to_owned()))?;
        let schema = Arc::new(EventSchema::parse(&info.schema_json).map_err(|e| malformed(e.to_string()))?);
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        if schemas.len() >= SCHEMAS_MAX {
            schemas.clear();
        }
        schemas.insert(id.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    fn event(
        &self,
        event: &ConsumerEvent,
        schemas: &[SchemaInfo],
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let producer = event.event.as_ref().ok_or_else(|| no_identity("an event without content"))?;
        let schema = self.schema(&producer.schema_id, schemas)?;
        let record = schema.read(&producer.payload).map_err(|e| (RejectCode::Malformed, e.to_string()))?;
        let header = record.get("ChangeEventHeader").ok_or_else(|| no_identity("an event without header"))?;
        let entity = header.get("entityName").and_then(Avro::text);
        let entity = entity.ok_or_else(|| no_identity("a header without entityName"))?;
        let Some(object) = self.mapping.object(entity) else {
            out.ignored += 1;
            return Ok(());
        };
        let number = |name: &str| header.get(name).and_then(Avro::long).and_then(|n| u64::try_from(n).ok());
        let missing = |name: &str| no_identity(format!("{entity}: a header without {name}"));
        let committed = number("commitTimestamp").ok_or_else(|| missing("commitTimestamp"))?;
        let commit = number("commitNumber").ok_or_else(|| missing("commitNumber"))?;
        let change_type = header.get("changeType").and_then(Avro::text).unwrap_or_default();
        let change = Change {
            event_id: &producer.id,
            object,
            op: op_of(change_type),
            version: Version::new(committed, commit, number("sequenceNumber").unwrap_or(0)),
            changed_at: Millis(i64::try_from(committed).unwrap_or(i64::MAX)),
            observed_at,
            read_at: None,
        };
        let ids = header.get("recordIds").map(Avro::texts).unwrap_or_default();
        // The id of an overflow is a dummy, or none at all.
        if change_type == "GAP_OVERFLOW" || ids.iter().any(|id| id.ends_with('*')) {
            out.resyncs.push(Resync { object: object.name.clone(), version: Some(change.version) });
            return Ok(());
        }
        if ids.is_empty() {
            return Err(missing("recordIds"));
        }
        if header.get("changeOrigin").and_then(Avro::text).is_some_and(is_own) {
            out.own += 1;
        }
        self.changed(&change, &record, header, &schema.shape, &ids, out)
    }

    /// One fact per record id, and a gap where the event does not say enough.
    fn changed(
        &self,
        change: &Change<'_>,
        record: &Avro,
        header: &Avro,
        shape: &[SchemaField],
        ids: &[&str],
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let list = |name: &str| named(&header.get(name).map(Avro::texts).unwrap_or_default(), shape);
        let (changed, nulled, diffs) = (list("changedFields"), list("nulledFields"), list("diffFields"));
        let is_whole = matches!(change.op, Op::Image | Op::Undelete);
        let mut names: HashSet<String> = changed.names.into_iter().chain(nulled.names).collect();
        for diff in &diffs.names {
            names.remove(diff);
        }
        let row = EventRow { record, names: &names, is_whole };
        let (fields, needs_read) = match change.op {
            Op::Image | Op::Undelete | Op::Patch => {
                let mode = if is_whole { Mode::Image } else { Mode::Patch };
                let (fields, needs_refetch) = self.fields(change.object, &row, mode)?;
                let is_diff = diffs.names.iter().any(|d| change.object.fields.iter().any(|f| f.from.contains(d)));
                (fields, needs_refetch || is_diff || row.is_name_partial())
            }
            Op::Delete | Op::Gap | Op::Heartbeat => (Fields::default(), false),
        };
        for id in ids {
            let id = long_id(id);
            let event_id = if ids.len() == 1 {
                CompactString::new(change.event_id)
            } else {
                format_compact!("{}/{id}", change.event_id)
            };
            if needs_read {
                let gap = format_compact!("{event_id}/gap");
                let change = Change { op: Op::Gap, version: change.version.clone(), ..*change };
                out.facts.push(self.fact(&change, gap, &id, Fields::default()));
            }
            out.facts.push(self.fact(change, event_id, &id, fields.clone()));
        }
        Ok(())
    }

    pub(super) fn fields(&self, object: &ObjectMap, row: &impl Columns, mode: Mode) -> Result<(Fields, bool), Failure> {
        let mut fields = FieldsBuilder::default();
        let applied = self.mapping.apply(object, row, mode, &mut fields);
        let applied = applied.map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        Ok((fields.build(), applied.needs_refetch))
    }

    pub(super) fn fact(&self, change: &Change<'_>, event_id: CompactString, id: &str, fields: Fields) -> Fact {
        Fact {
            event_id,
            system: System::Salesforce,
            object: CompactString::new(&change.object.name),
            record_id: CompactString::new(id),
            entity: EntityKey::new(change.object.entity, id),
            op: change.op,
            version: change.version.clone(),
            changed_at: change.changed_at,
            observed_at: change.observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: change.object.contract,
            mapping_version: self.mapping.version,
            read_at: change.read_at,
            key_slot: 0,
            fields,
        }
    }
}

/// One event with its schema, so that quarantine can decode it after any time.
fn alone(event: &ConsumerEvent, schemas: &[SchemaInfo]) -> Vec<u8> {
    let schema_id = event.event.as_ref().map(|e| e.schema_id.as_str());
    let schemas = schemas.iter().filter(|s| Some(s.schema_id.as_str()) == schema_id).cloned().collect();
    Batch { events: vec![event.clone()], schemas }.encode_to_vec()
}

/// Whether a change came through the hub's own client.
fn is_own(change_origin: &str) -> bool {
    // Some origins end in a slash: `...;client=SfdcInternalAPI/`.
    let client = change_origin.split(';').find_map(|part| part.strip_prefix("client="));
    client.is_some_and(|client| client.trim_end_matches('/') == CLIENT)
}

pub(super) fn no_identity(detail: impl Into<String>) -> Failure {
    (RejectCode::NoIdentity, detail.into())
}

/// A symbol that is not known says that something changed: the record is read.
fn op_of(change_type: &str) -> Op {
    match change_type {
        "CREATE" | "SNAPSHOT" => Op::Image,
        "UPDATE" => Op::Patch,
        "DELETE" | "GAP_DELETE" => Op::Delete,
        "UNDELETE" => Op::Undelete,
        _ => Op::Gap,
    }
}

/// The body of an event as named values.
struct EventRow<'a> {
    record: &'a Avro,
    /// Names that the bitmaps give.
    names: &'a HashSet<String>,
    /// Whether every field is meant.
    is_whole: bool,
}

impl EventRow<'_> {
    fn says(&self, column: &str) -> bool {
        if self.is_whole || self.names.contains(column) {
            return true;
        }
        // A compound that is named without members changed as a whole.
        column.split_once('.').is_some_and(|(parent, _)| {
            let is_member = |name: &String| name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
            self.names.contains(parent) && !self.names.iter().any(is_member)
        })
    }

    fn person(&self) -> Option<&Avro> {
        self.record.get("Name").filter(|name| matches!(name, Avro::Record(..)))
    }

    /// A person's name changed in one part only: the whole name is not known here.
    fn is_name_partial(&self) -> bool {
        let (first, last) = (self.says("Name.FirstName"), self.says("Name.LastName"));
        self.person().is_some() && first != last
    }
}

impl Columns for EventRow<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        if let ("Name", Some(person)) = (column, self.person()) {
            if !(self.says("Name.FirstName") && self.says("Name.LastName")) {
                return None;
            }
            let parts = ["FirstName", "LastName"].map(|part| person.get(part).and_then(Avro::text).unwrap_or_default());
            return Some(Native::Text(Cow::Owned(parts.join(" ").trim().to_owned())));
        }
        if !self.says(column) {
            return None;
        }
        let value = match column.split_once('.') {
            Some((parent, member)) => self.record.get(parent)?.get(member),
            None => self.record.get(column),
        };
        Some(native(value?))
    }
}

fn native(value: &Avro) -> Native<'_> {
    match value {
        Avro::Null => Native::Null,
        Avro::Bool(b) => Native::Bool(*b),
        Avro::Long(long) => Native::Number(Cow::Owned(long.to_string())),
        // The shortest text that reads back as the same number is what the user typed.
        Avro::Double(double) => Native::Number(Cow::Owned(double.to_string())),
        Avro::Text(text) => Native::Text(Cow::Borrowed(text)),
        Avro::Bytes(_) | Avro::Array(_) | Avro::Record(..) => Native::Other(Cow::Borrowed("{..}")),
    }
}

/// A record of the REST API; members of compounds stand within them or beside them.
pub(super) struct RestRow<'a>(pub &'a Json<'a>);

impl Columns for RestRow<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        let value = match column.split_once('.') {
            Some((parent, member)) => {
                let within = self.0.get(parent).and_then(|compound| compound.get_any_case(member));
                let prefix = parent.strip_suffix("Address").unwrap_or_default();
                within.or_else(|| self.0.get(&format!("{prefix}{member}")))
            }
            None => self.0.get(column),
        }?;
        Some(match value {
            Json::Null => Native::Null,
            Json::Bool(b) => Native::Bool(*b),
            Json::Number(digits) => Native::Number(Cow::Borrowed(digits)),
            Json::Text(text) => Native::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Native::Other(Cow::Borrowed("{..}")),
        })
    }
}
