//! Business events: they name what changed and not what it is now, so each is a gap until the record
//! has been read.

use compact_str::format_compact;
use ontology::{Fact, Fields, Millis, Op, Version};

use super::decode::{Failure, Origin, SapDecoder};
use crate::contract::{Decoded, Reject, RejectCode};
use crate::json::Json;
use crate::value::parse_instant;

/// Kinds of business objects: the part of the event type that names them, the set that they are read
/// from, and the member that holds the key.
pub const KINDS: &[(&str, &str, &str)] =
    &[("serviceorder", "A_ServiceOrder", "ServiceOrder"), ("businesspartner", "A_BusinessPartner", "BusinessPartner")];

/// What event types of the vendor begin with.
const PREFIX: &str = "sap.s4.beh.";

impl SapDecoder {
    /// Whether a document is an event, by the member that every event has.
    pub(super) fn is_event(json: &Json<'_>) -> bool {
        json.get("specversion").is_some()
    }

    /// Reads one event.
    pub(super) fn event(&self, json: &Json<'_>, range: std::ops::Range<usize>, observed_at: Millis, out: &mut Decoded) {
        match self.gap(json, observed_at) {
            Ok(Some(fact)) => out.facts.push(fact),
            Ok(None) => out.ignored += 1,
            Err((code, detail)) => out.rejects.push(Reject::new(code, detail, range)),
        }
    }

    /// The gap that an event tells of; none for what is no business of the hub.
    fn gap(&self, json: &Json<'_>, observed_at: Millis) -> Result<Option<Fact>, Failure> {
        let fail = |what: String| (RejectCode::NoIdentity, what);
        let text = |name: &str| json.get(name).and_then(Json::text).filter(|text| !text.is_empty());
        if text("specversion") != Some("1.0") {
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
        let at = text("time").and_then(|time| parse_instant(time, &jiff::tz::TimeZone::UTC));
        let at = at.ok_or_else(|| fail(format!("{kind}: an event without time")))?;
        let record = json.get("data").and_then(|data| data.get(key)).and_then(Json::scalar);
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
