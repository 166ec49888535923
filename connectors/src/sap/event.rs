//! Business events: they name what changed and not what it is now, so each is a gap until the record
//! has been read.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use compact_str::format_compact;
use ontology::{Fact, Fields, Millis, Op, Version};

use super::decode::{Failure, Origin, SapDecoder};
use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::headers::Headers;
use crate::json::Json;
use crate::value::parse_instant;

/// Kinds of business objects: the part of the event type that names them, the set that they are read
/// from, and the member that holds the key.
pub const KINDS: &[(&str, &str, &str)] =
    &[("serviceorder", "A_ServiceOrder", "ServiceOrder"), ("businesspartner", "A_BusinessPartner", "BusinessPartner")];

/// What event types of the vendor begin with.
const PREFIX: &str = "sap.s4.beh.";

/// The header that every event in binary mode has.
pub(super) const SPEC_HEADER: &str = "ce-specversion";

/// An event, whatever mode it came in.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    attributes: Attributes<'a>,
    data: Option<&'a Json<'a>>,
}

/// Where the attributes of an event stand.
#[derive(Clone, Copy)]
enum Attributes<'a> {
    /// Beside its data.
    Members(&'a Json<'a>),
    /// In headers that begin with `ce-`.
    Headers(&'a Headers),
}

impl<'a> Event<'a> {
    /// An event whose attributes stand beside its data, which `carried` holds where it was no JSON there.
    pub(super) fn structured(json: &'a Json<'a>, carried: Option<&'a Json<'a>>) -> Self {
        Event { attributes: Attributes::Members(json), data: carried.or(json.get("data")) }
    }
}

/// The data of an event that some broker carries as text or as bytes.
pub(super) fn carried<'a>(json: &'a Json<'_>) -> Option<Cow<'a, [u8]>> {
    if let Some(text) = json.get("data").and_then(Json::text) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let base64 = json.get("data_base64").and_then(Json::text)?;
    base64::engine::general_purpose::STANDARD.decode(base64).ok().map(Cow::Owned)
}

impl<'a> Attributes<'a> {
    fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        match self {
            Attributes::Members(json) => json.get(name)?.text().map(Cow::Borrowed),
            Attributes::Headers(headers) => headers.get(&format!("ce-{name}")).map(unescaped),
        }
    }
}

/// A header's value: what cannot stand in one is written as `%` and two digits.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        out.push(byte.unwrap_or(*first));
    }
    // What is no text after all is taken as it was written.
    String::from_utf8(out).map_or(Cow::Borrowed(value), Cow::Owned)
}

impl SapDecoder {
    /// Whether a document is an event, by the member that every event has.
    pub(super) fn is_event(json: &Json<'_>) -> bool {
        json.get("specversion").is_some()
    }

    /// Reads one event.
    pub(super) fn event(&self, event: Event<'_>, range: Range<usize>, observed_at: Millis, out: &mut Decoded) {
        match self.gap(event, observed_at) {
            Ok(Some(fact)) => out.facts.push(fact),
            Ok(None) => out.leave_unmapped(1),
            Err((code, detail)) => out.rejects.push(Reject::new(code, detail, range)),
        }
    }

    /// Reads an event in binary mode: its attributes are headers, the body is its data.
    pub(super) fn binary_event(&self, delivery: &Delivery<'_>) -> Decoded {
        let data = match Json::parse(delivery.raw) {
            Ok(data) => data,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        let mut out = Decoded::default();
        let event = Event { attributes: Attributes::Headers(delivery.headers), data: Some(&data) };
        self.event(event, 0..delivery.raw.len(), delivery.observed_at, &mut out);
        out
    }

    /// The gap that an event tells of; none for what is no business of the hub.
    fn gap(&self, event: Event<'_>, observed_at: Millis) -> Result<Option<Fact>, Failure> {
        let fail = |what: String| (RejectCode::NoIdentity, what);
        let text = |name: &str| event.attributes.get(name).filter(|text| !text.is_empty());
        if text("specversion").as_deref() != Some("1.0") {
            return Err((RejectCode::ContractBreach, "an event of another version than 1.0".to_owned()));
        }
        let kind = text("type").ok_or_else(|| fail("an event without type".to_owned()))?;
        let id = text("id").ok_or_else(|| fail(format!("{kind}: an event without id")))?;
        let source = text("source").ok_or_else(|| fail(format!("{kind}: an event without source")))?;
        let Some((_, set, key)) = KINDS.iter().find(|(name, _, _)| {
            kind.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('.'))
        }) else {
            return Ok(None);
        };
        let Some(object) = self.mapping().object(set) else { return Ok(None) };
        let at = text("time").and_then(|time| parse_instant(&time, &jiff::tz::TimeZone::UTC));
        let at = at.ok_or_else(|| fail(format!("{kind}: an event without time")))?;
        let record = event.data.and_then(|data| data.get(key)).and_then(Json::scalar);
        let record = record.map(|id| object.id_form.apply(id.trim())).filter(|id| !id.is_empty());
        let record = record.ok_or_else(|| fail(format!("{kind}: an event without {key}")))?;
        let origin = Origin {
            // Some senders use an id again, so the type and the time are part of the name.
            event_id: format_compact!("{source}/{id}/{kind}/{}", at.0),
            version: Version::new(u64::try_from(at.0).unwrap_or(0), 0, 0),
            changed_at: at,
            observed_at,
        };
        Ok(Some(self.bare(object, &record, &record, Op::Gap, Fields::default(), origin)))
    }
}
