//! IDoc XML and OData rows to facts.
//!
//! A delivery holds one or several IDocs; each has a control record and data segments. A segment
//! that the mapping names becomes one fact: an image, or a deletion where the segment says so.
//! SERIAL decides between documents of one record, the document number breaks ties.

use std::borrow::Cow;

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version};

use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::{Columns, Native, NoDate, parse_sap_instant};
use crate::xml::Element;

/// Decodes deliveries of the SAP connector.
#[derive(Debug, Clone)]
pub struct SapDecoder {
    mapping: Mapping,
}

/// What every fact of one document shares.
struct Document {
    id: CompactString,
    version: Version,
    changed_at: Millis,
    observed_at: Millis,
}

impl SapDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        SapDecoder { mapping }
    }

    /// Turns one delivery into facts: XML as IDocs, JSON as rows of a list query.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        if delivery.raw.trim_ascii_start().first() == Some(&b'{') {
            return self.rows(delivery);
        }
        let root = match Element::parse(delivery.raw) {
            Ok(root) => root,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        let mut out = Decoded::default();
        let mut is_any = false;
        for idoc in idocs(&root) {
            is_any = true;
            self.idoc(idoc, delivery, &mut out);
        }
        if !is_any {
            return Decoded::rejected(RejectCode::NoIdentity, "a document without IDOC", delivery.raw);
        }
        out
    }

    fn idoc(&self, idoc: &Element, delivery: &Delivery<'_>, out: &mut Decoded) {
        let range = if std::str::from_utf8(delivery.raw).is_ok() {
            idoc.range.start.min(delivery.raw.len())..idoc.range.end.min(delivery.raw.len())
        } else {
            // Places are counted in the re-encoded text: the whole delivery is kept.
            0..delivery.raw.len()
        };
        let mapped = |segment: &&Element| self.mapping.object(&segment.name).is_some();
        let segments: Vec<_> = idoc.children.iter().filter(mapped).collect();
        if segments.is_empty() {
            out.ignored += 1;
            return;
        }
        let document = match self.control(idoc, delivery.observed_at) {
            Ok(document) => document,
            Err(detail) => {
                out.rejects.push(Reject::new(RejectCode::NoIdentity, detail, range));
                return;
            }
        };
        let mut facts = Vec::with_capacity(segments.len());
        for (place, segment) in segments.into_iter().enumerate() {
            let Some(object) = self.mapping.object(&segment.name) else { continue };
            match self.fact(object, &Segment(segment), &document, place) {
                Ok(fact) => facts.push(fact),
                Err((code, detail)) => {
                    // An IDoc is one unit of work in SAP: it is taken whole or not at all.
                    out.rejects.push(Reject::new(code, detail, range));
                    return;
                }
            }
        }
        out.facts.append(&mut facts);
    }

    fn control(&self, idoc: &Element, observed_at: Millis) -> Result<Document, String> {
        let control = idoc.child("EDI_DC40").ok_or("an IDoc without control record")?;
        let text = |name: &str| control.text_of(name).unwrap_or_default();
        let number = text("DOCNUM");
        if number.is_empty() {
            return Err("a control record without DOCNUM".to_owned());
        }
        let (changed_at, rest) = self.serialised(text("SERIAL"), text("CREDAT"), text("CRETIM"))?;
        Ok(Document {
            id: format_compact!("{}/{}/{}", text("SNDPRN"), text("MANDT"), number),
            version: version(changed_at, number, rest * 2 + 1),
            changed_at,
            observed_at,
        })
    }

    /// When the document was serialised, and what SERIAL says below the second.
    fn serialised(&self, serial: &str, date: &str, time: &str) -> Result<(Millis, u64), String> {
        let is_digits = serial.len() >= 14 && serial.bytes().all(|b| b.is_ascii_digit());
        let (date, time, rest) =
            if is_digits { (&serial[..8], &serial[8..14], serial[14..].parse().unwrap_or(0)) } else { (date, time, 0) };
        match parse_sap_instant(date, time, &self.mapping.zone) {
            Ok(Some(at)) => Ok((at, rest)),
            Ok(None) | Err(NoDate) => Err("a control record without time of serialisation".to_owned()),
        }
    }

    fn fact(
        &self,
        object: &ObjectMap,
        columns: &impl Columns,
        document: &Document,
        place: usize,
    ) -> Result<Fact, (RejectCode, String)> {
        let missing = || (RejectCode::NoIdentity, format!("{}: a segment without {}", object.name, object.record));
        let (record_id, entity_id) = object.ids(columns).ok_or_else(missing)?;
        let op = if object.is_deleted(columns) { Op::Delete } else { Op::Image };
        let mut fields = FieldsBuilder::default();
        if op == Op::Image {
            self.mapping
                .apply(object, columns, Mode::Image, &mut fields)
                .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        }
        Ok(Fact {
            event_id: format_compact!("{}/{place}", document.id),
            system: System::Sap,
            object: CompactString::new(&object.name),
            record_id: record_id.into(),
            entity: EntityKey::new(object.entity, entity_id),
            op,
            version: document.version.clone(),
            changed_at: document.changed_at,
            observed_at: document.observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: object.contract,
            mapping_version: self.mapping.version,
            read_at: None,
            key_slot: 0,
            fields: fields.build(),
        })
    }

    /// Rows of a list query: each carries serial and number of the document that last changed it.
    fn rows(&self, delivery: &Delivery<'_>) -> Decoded {
        let json = match Json::parse(delivery.raw) {
            Ok(json) => json,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        let Some(d) = json.get("d") else {
            return Decoded::rejected(RejectCode::NoIdentity, "an answer without d", delivery.raw);
        };
        let set = json.get("set").and_then(Json::text);
        let rows = match d.get("results") {
            Some(results) => results.elements(),
            None => std::slice::from_ref(d),
        };
        let mut out = Decoded::default();
        for row in rows {
            let Some(object) = self.object_of(row, set) else {
                out.ignored += 1;
                continue;
            };
            match self.row(object, row, delivery.observed_at) {
                Ok(fact) => out.facts.push(fact),
                Err((code, detail)) => out.rejects.push(Reject::new(code, detail, 0..delivery.raw.len())),
            }
        }
        out
    }

    fn object_of(&self, row: &Json<'_>, set: Option<&str>) -> Option<&ObjectMap> {
        let segment = match set {
            Some("A_ServiceOrder") => "Z1SRVORD",
            Some("A_FieldDispatch") => "Z1FLDDSP",
            Some("A_BusinessPartner") => "E1KNA1M",
            Some(_) => return None,
            None if row.get("ServiceOrder").is_some() && row.get("YY1_AUFNR").is_some() => "Z1SRVORD",
            None => return None,
        };
        self.mapping.object(segment)
    }

    fn row(&self, object: &ObjectMap, row: &Json<'_>, observed_at: Millis) -> Result<Fact, (RejectCode, String)> {
        let text = |name: &str| row.get(name).and_then(Json::scalar).unwrap_or_default();
        let number = text("YY1_Docnum");
        let no_version = |detail| (RejectCode::NoIdentity, format!("{}: {detail}", object.name));
        let (changed_at, rest) = self.serialised(text("YY1_Serial"), "", "").map_err(no_version)?;
        let document = Document {
            id: format_compact!("list/{}/{number}", object.name),
            // A row loses to the document that last changed it, whichever is read first.
            version: version(changed_at, number, rest * 2),
            changed_at,
            observed_at,
        };
        let mut fact = self.fact(object, &ODataRow(row), &document, 0)?;
        fact.read_at = Some(observed_at);
        Ok(fact)
    }
}

/// The IDocs of a document: under the root, or the root itself.
fn idocs(root: &Element) -> impl Iterator<Item = &Element> {
    let own = (root.name == "IDOC").then_some(root);
    own.into_iter().chain(root.all("IDOC"))
}

fn version(serial: Millis, number: &str, rest: u64) -> Version {
    let major = u64::try_from(serial.0).unwrap_or(0);
    match number.trim().parse() {
        Ok(minor) => Version::new(major, minor, rest),
        Err(_) => Version::with_tail(major, 0, rest, number),
    }
}

/// A segment; `CHILD.FIELD` reads the first child segment of that name.
struct Segment<'a>(&'a Element);

impl Columns for Segment<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        let element = match column.split_once('.') {
            Some((child, field)) => self.0.child(child)?.child(field)?,
            None => self.0.child(column)?,
        };
        Some(if element.text.is_empty() { Native::Null } else { Native::Text(Cow::Borrowed(&element.text)) })
    }
}

/// A row of the list service, where each segment field has the prefix of own extensions.
struct ODataRow<'a>(&'a Json<'a>);

impl Columns for ODataRow<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        let field = column.rsplit('.').next().unwrap_or(column);
        match self.0.get(&format!("YY1_{field}"))? {
            Json::Null => Some(Native::Null),
            Json::Bool(b) => Some(Native::Bool(*b)),
            Json::Number(digits) => Some(Native::Number(Cow::Borrowed(digits))),
            Json::Text(text) => Some(Native::Text(Cow::Borrowed(text))),
            Json::Array(_) | Json::Object(_) => Some(Native::Other(Cow::Borrowed("{..}"))),
        }
    }
}
