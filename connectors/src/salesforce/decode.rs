//! Change events and fetched records to facts.
//!
//! A create or an undelete carries every field, an update the changed ones, a deletion none. A gap
//! says only that a record changed: it becomes a gap fact, and the transport fetches the record,
//! which comes back here as JSON and becomes an image at the version of the gap.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, Fields, FieldsBuilder, LogPos, Millis, Op, System, Version};
use prost::Message as _;

use super::change::{Changed, EventRow, Header, Node, entity_name};
use super::event::EventSchema;
use super::eventbus::{ConsumerEvent, SchemaInfo};
use super::long_id;
use crate::contract::{Decoded, Delivery, Reject, RejectCode, Resync};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::Columns;

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

/// One event, in either form.
struct Told<'a> {
    event_id: &'a str,
    header: Node<'a>,
    body: Node<'a>,
    observed_at: Millis,
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

    /// Turns one delivery into facts: a [`Batch`] of events, or JSON with an event or fetched records.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        if is_json(delivery.raw) {
            return self.json(delivery);
        }
        let Ok(batch) = Batch::decode(delivery.raw) else {
            // Blanks before JSON may begin a batch as well: only what is none is looked at so.
            if is_json(delivery.raw.trim_ascii_start()) {
                return self.json(delivery);
            }
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

    /// An event of the bus.
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
        let body = Node::Avro(&record);
        let header = body.get("ChangeEventHeader").ok_or_else(|| no_identity("an event without header"))?;
        let changed = || Changed::by_bitmaps(header, &schema.shape);
        self.told(Told { event_id: &producer.id, header, body, observed_at }, changed, out)
    }

    /// JSON: events of the streaming API or such that somebody decoded before, or else records that were
    /// read.
    fn json(&self, delivery: &Delivery<'_>) -> Decoded {
        let entries = match Json::entries(delivery.raw) {
            Ok(entries) => entries,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        if let [(_, json)] = entries.as_slice()
            && event_of(json).is_none()
        {
            return self.fetched(delivery, json);
        }
        let mut out = Decoded::default();
        for (range, json) in &entries {
            let read = match event_of(json) {
                Some((envelope, body)) => self.json_event(envelope, body, delivery.observed_at, &mut out),
                None => Err(no_identity("an entry without the header of a change event")),
            };
            if let Err((code, detail)) = read {
                out.rejects.push(Reject::new(code, detail, range.clone()));
            }
        }
        out
    }

    fn json_event(
        &self,
        envelope: &Json<'_>,
        body: &Json<'_>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let header = body.get("ChangeEventHeader").ok_or_else(|| no_identity("an event without header"))?;
        // The streaming API gives events no id: the place in the transaction is one.
        let event_id = match envelope.get("id").and_then(Json::text) {
            Some(id) => CompactString::new(id),
            None => {
                let scalar = |name: &str| header.get(name).and_then(Json::scalar);
                let (key, sequence) = (scalar("transactionKey"), scalar("sequenceNumber").unwrap_or("0"));
                let key = key.ok_or_else(|| no_identity("an event without id and transactionKey"))?;
                format_compact!("{key}/{sequence}")
            }
        };
        let header = Node::Json(header);
        let told = Told { event_id: &event_id, header, body: Node::Json(body), observed_at };
        self.told(told, || Changed::by_names(header, body), out)
    }

    /// One fact per record id, and a gap where the event does not say enough.
    fn told(&self, told: Told<'_>, changed: impl FnOnce() -> Changed, out: &mut Decoded) -> Result<(), Failure> {
        let Some(object) = self.mapping.object(entity_name(told.header)?) else {
            out.leave_unmapped(1);
            return Ok(());
        };
        let header = Header::read(told.header)?;
        if told.event_id.is_empty() {
            return Err(no_identity("an event without id"));
        }
        if header.ids.iter().any(|id| id.is_empty()) {
            return Err(no_identity("an event about a record without id"));
        }
        let (committed, commit, sequence) = header.version;
        let change = Change {
            event_id: told.event_id,
            object,
            op: header.op,
            version: Version::new(committed, commit, sequence),
            changed_at: Millis(i64::try_from(committed).unwrap_or(i64::MAX)),
            observed_at: told.observed_at,
            read_at: None,
        };
        if header.is_overflow {
            out.resyncs.push(Resync { object: object.name.clone(), version: Some(change.version) });
            return Ok(());
        }
        let (fields, needs_read) = match change.op {
            Op::Image | Op::Undelete | Op::Patch => self.said(&change, told.body, &changed())?,
            Op::Delete | Op::Gap | Op::Heartbeat => (Fields::default(), false),
        };
        out.own += usize::from(header.is_own);
        for id in &header.ids {
            let id = long_id(id);
            let event_id = if header.ids.len() == 1 {
                CompactString::new(change.event_id)
            } else {
                format_compact!("{}/{id}", change.event_id)
            };
            if needs_read {
                let gap = format_compact!("{event_id}/gap");
                let change = Change { op: Op::Gap, version: change.version.clone(), ..change };
                out.facts.push(self.fact(&change, gap, &id, Fields::default()));
            }
            out.facts.push(self.fact(&change, event_id, &id, fields.clone()));
        }
        Ok(())
    }

    /// The fields that an event sets, and whether the record must be read beside.
    fn said(&self, change: &Change<'_>, body: Node<'_>, changed: &Changed) -> Result<(Fields, bool), Failure> {
        let is_whole = matches!(change.op, Op::Image | Op::Undelete);
        let row = EventRow { body, names: &changed.names, is_whole };
        let mode = if is_whole { Mode::Image } else { Mode::Update };
        let (fields, needs_read) = self.fields(change.object, &row, mode)?;
        let is_diff = changed.diffs.iter().any(|d| change.object.fields.iter().any(|f| f.from.contains(d)));
        let is_masked = !is_whole && changed.is_masked;
        Ok((fields, needs_read || is_diff || is_masked || row.is_name_partial()))
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

fn is_json(raw: &[u8]) -> bool {
    matches!(raw.first(), Some(b'{' | b'['))
}

/// The envelope and the body of an event in JSON, which may stand by itself or as the detail of an event
/// of the relay; none of anything else.
fn event_of<'a>(json: &'a Json<'a>) -> Option<(&'a Json<'a>, &'a Json<'a>)> {
    let is_body = |body: &Json<'_>| body.get("ChangeEventHeader").is_some();
    if is_body(json) {
        return Some((json, json));
    }
    let envelope = ["data", "detail"].into_iter().find_map(|name| json.get(name)).unwrap_or(json);
    let body = envelope.get("payload").filter(|payload| is_body(payload));
    body.map(|body| (envelope, body))
}

/// One event with its schema, so that quarantine can decode it after any time.
fn alone(event: &ConsumerEvent, schemas: &[SchemaInfo]) -> Vec<u8> {
    let schema_id = event.event.as_ref().map(|e| e.schema_id.as_str());
    let schemas = schemas.iter().filter(|s| Some(s.schema_id.as_str()) == schema_id).cloned().collect();
    Batch { events: vec![event.clone()], schemas }.encode_to_vec()
}

pub(super) fn no_identity(detail: impl Into<String>) -> Failure {
    (RejectCode::NoIdentity, detail.into())
}
