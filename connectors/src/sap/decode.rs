//! Deliveries of SAP to facts: IDocs in XML and flat, business events, and rows of the OData
//! interface.
//!
//! Several paths tell of one record: whatever the path, its facts are of the same source row, which
//! the mapping names, and their versions compare.

use compact_str::CompactString;
use ontology::{EntityKey, Fact, Fields, FieldsBuilder, LogPos, Millis, Op, System, Version};

use super::event::{self, Event};
use super::flat::{self, ControlField};
use super::idoc;
use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::Columns;
use crate::xml::{DOCUMENT_ELEMENTS_MAX, Text, XmlError};

/// Decodes deliveries of the SAP connector.
#[derive(Debug, Clone)]
pub struct SapDecoder {
    mapping: Mapping,
    /// Whether some object has a slash in its name: it is mapped for one message type only, or its
    /// segment is of a name space, which XML spells otherwise.
    has_slashes: bool,
    /// The fields of a flat control record that are read.
    control: Vec<ControlField>,
    /// Which lengths the names of the objects have, a bit for each.
    lengths: u64,
}

pub(super) type Failure = (RejectCode, String);

/// Where a fact comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub event_id: CompactString,
    pub version: Version,
    pub changed_at: Millis,
    pub observed_at: Millis,
}

impl SapDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        let has_slashes = mapping.objects.iter().any(|object| object.name.contains('/'));
        let lengths = mapping.objects.iter().fold(0, |lengths, object| lengths | length_bit(&object.name));
        let control = flat::CONTROL_FIELDS.iter().filter(|field| is_read(&mapping, field.0)).copied().collect();
        SapDecoder { mapping, has_slashes, control, lengths }
    }

    /// The mapping that it decodes by.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The object that a segment is mapped to, by its name alone.
    pub(super) fn object_named(&self, segment: &str) -> Option<&ObjectMap> {
        // Most names are those of fields, and every one is asked for.
        if self.lengths & length_bit(segment) == 0 { None } else { self.mapping.object(segment) }
    }

    pub(super) fn has_slashes(&self) -> bool {
        self.has_slashes
    }

    /// Turns one delivery into facts.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        let raw = delivery.raw;
        if delivery.headers.get(event::SPEC_HEADER).is_some() {
            return self.binary_event(delivery);
        }
        if flat::is_flat(raw) {
            return self.flat(delivery);
        }
        match raw.trim_ascii_start().first() {
            Some(b'{' | b'[') => self.json(delivery),
            Some(b'-') => match part_of_multipart(raw) {
                Some(part) => self.xml(delivery, part),
                None => Decoded::rejected(RejectCode::Malformed, "a multipart body without a document", raw),
            },
            Some(_) | None => self.xml(delivery, 0..raw.len()),
        }
    }

    fn xml(&self, delivery: &Delivery<'_>, part: std::ops::Range<usize>) -> Decoded {
        let malformed = |error: XmlError| Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw);
        let text = match Text::of(&delivery.raw[part.clone()]) {
            Ok(text) => text,
            Err(error) => return malformed(error),
        };
        let tree = match text.read() {
            Ok(tree) => tree,
            Err(error) => return malformed(error),
        };
        let mut found = Vec::new();
        tree.roots().for_each(|root| idoc::idocs(root, &mut found));
        if found.is_empty() {
            return Decoded::rejected(RejectCode::NoIdentity, "a document without IDOC", delivery.raw);
        }
        let mut out = Decoded::default();
        for one in found {
            if one.count_within() > DOCUMENT_ELEMENTS_MAX {
                out.rejects.push(Reject::new(RejectCode::Malformed, "a document with too many elements", one.range()));
                continue;
            }
            self.idoc(one, delivery.observed_at, &mut out);
        }
        for reject in &mut out.rejects {
            reject.range = reject.range.start + part.start..reject.range.end + part.start;
        }
        out
    }

    fn flat(&self, delivery: &Delivery<'_>) -> Decoded {
        let mut out = Decoded::default();
        flat::documents(delivery.raw, &self.control, &self.mapping.segments, |document, range| match document {
            Ok(document) => {
                let is_mapped = |name: &&&str| self.object_named(name).is_some();
                match document.without_layout.iter().find(is_mapped) {
                    None => self.idoc(document.idoc, delivery.observed_at, &mut out),
                    Some(name) => {
                        let detail = format!("no layout of segment {name}: add [[segment]] to the mapping");
                        out.rejects.push(Reject::new(RejectCode::ContractBreach, detail, range));
                    }
                }
            }
            Err((code, detail)) => out.rejects.push(Reject::new(code, detail, range)),
        });
        out
    }

    fn json(&self, delivery: &Delivery<'_>) -> Decoded {
        let entries = match Json::entries(delivery.raw) {
            Ok(entries) => entries,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        if let [(_, json)] = entries.as_slice()
            && !Self::is_event(json)
        {
            return self.rows(json, delivery.raw, delivery.observed_at);
        }
        let mut out = Decoded::default();
        for (range, json) in entries {
            let carried = event::carried(&json);
            let data = carried.as_deref().and_then(|raw| Json::parse(raw).ok());
            self.event(Event::structured(&json, data.as_ref()), range, delivery.observed_at, &mut out);
        }
        out
    }

    /// A fact of the row that `columns` are of.
    pub(super) fn fact(
        &self,
        object: &ObjectMap,
        columns: &impl Columns,
        op: Op,
        origin: Origin,
    ) -> Result<Fact, Failure> {
        let missing = || (RejectCode::NoIdentity, format!("{}: a row without {}", object.name, object.record));
        let (record_id, entity_id) = object.ids(columns).ok_or_else(missing)?;
        let mode = match op {
            Op::Patch => Mode::Patch,
            Op::Image | Op::Delete | Op::Undelete | Op::Gap | Op::Heartbeat => Mode::Image,
        };
        let mut fields = FieldsBuilder::default();
        if op != Op::Delete {
            self.mapping
                .apply(object, columns, mode, &mut fields)
                .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        }
        Ok(self.bare(object, &record_id, &entity_id, op, fields.build(), origin))
    }

    /// A fact with these fields.
    pub(super) fn bare(
        &self,
        object: &ObjectMap,
        record_id: &str,
        entity_id: &str,
        op: Op,
        fields: Fields,
        origin: Origin,
    ) -> Fact {
        Fact {
            event_id: origin.event_id,
            system: System::Sap,
            object: CompactString::new(object.row_name()),
            record_id: record_id.into(),
            entity: EntityKey::new(object.entity, entity_id),
            op,
            version: origin.version,
            changed_at: origin.changed_at,
            observed_at: origin.observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: object.contract,
            mapping_version: self.mapping.version,
            read_at: None,
            key_slot: 0,
            fields,
        }
    }
}

/// The bit of a name's length; very long names share one.
fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

/// Whether a field of the control record is read: by the decoder itself, or by a mapped column.
fn is_read(mapping: &Mapping, field: &str) -> bool {
    let is_mapped =
        |column: &String| column.strip_prefix(flat::CONTROL).and_then(|rest| rest.strip_prefix('.')) == Some(field);
    let of_object = |object: &ObjectMap| {
        let conditions = object.delete_when.iter().chain(&object.patch_when);
        let conditions = conditions.chain(object.fields.iter().filter_map(|map| map.when.as_ref()));
        let columns = conditions.map(|condition| &condition.column).chain(&object.ordered_by).chain(&object.id);
        columns.chain([&object.record]).chain(object.fields.iter().flat_map(|map| &map.from)).any(is_mapped)
    };
    idoc::CONTROL_READ.contains(&field) || mapping.objects.iter().any(of_object)
}

/// Where the document stands in a body of several parts: the part whose text begins with a tag.
fn part_of_multipart(raw: &[u8]) -> Option<std::ops::Range<usize>> {
    let body = raw.trim_ascii_start();
    let offset = raw.len() - body.len();
    let end = body.iter().position(|b| *b == b'\n')?;
    let boundary = body[..end].trim_ascii_end().strip_prefix(b"--").filter(|name| !name.is_empty())?;
    let mark = [b"--", boundary].concat();
    let mut at = 0;
    while let Some(start) = find(&body[at..], &mark).map(|found| at + found + mark.len()) {
        let stop = find(&body[start..], &mark).map_or(body.len(), |found| start + found);
        let part = &body[start..stop];
        let blank = find(part, b"\r\n\r\n").map(|n| n + 4).or_else(|| find(part, b"\n\n").map(|n| n + 2));
        if let Some(text) = blank.filter(|text| part[*text..].trim_ascii_start().first() == Some(&b'<')) {
            let content = part[text..].trim_ascii_end();
            return Some(offset + start + text..offset + start + text + content.len());
        }
        at = start;
    }
    None
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests;
