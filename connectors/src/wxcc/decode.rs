//! Webhook events and Search answers to facts.
//!
//! Every event is a slice of its contact: it becomes a patch, ordered by (event time, lifecycle
//! rank, event id), so that arrival order does not matter. A contact is over when an agent or the
//! customer ended it; an end by the system may be a pause of a callback, and only Search tells.

use std::borrow::Cow;

use compact_str::{CompactString, format_compact};
use ontology::{
    EntityKey, EntityKind, Fact, Field, FieldsBuilder, ListBuilder, LogPos, Millis, Op, System, ValueRef, Version,
};

use super::caller::Caller;
use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};
use crate::value::{Columns, Native};

/// States of a contact in the order in which they follow each other at one instant.
const LIFECYCLE: &[&str] = &[
    "origin-updated",
    "new",
    "parked",
    "connect",
    "connected",
    "on-hold",
    "hold-done",
    "consulting",
    "consult-done",
    "conferencing",
    "conference-done",
    "conference-transferred",
    "failed",
    "ended",
    "wrapup",
    "wrapup-done",
];

/// Rank of what Search says: it knows the contact as a whole.
const RANK_SEARCH: u64 = 200;

/// Decodes deliveries of the Webex Contact Center connector.
#[derive(Debug, Clone)]
pub struct WxccDecoder {
    mapping: Mapping,
}

type Failure = (RejectCode, String);

/// One event, with the columns that its kind implies.
struct Event<'a> {
    id: Cow<'a, str>,
    body: &'a Json<'a>,
    at: Millis,
    rank: u64,
    columns: Vec<(&'static str, Native<'a>)>,
    caller: Option<Caller>,
}

impl WxccDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        WxccDecoder { mapping }
    }

    /// Turns one webhook, or one Search answer, into facts.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        let entries = match Json::entries(delivery.raw) {
            Ok(entries) => entries,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        let mut out = Decoded::default();
        for (range, entry) in entries {
            let failures: Vec<Failure> = match entry.path("data.taskDetails.tasks") {
                Some(tasks) => {
                    let read = |task| self.task(task, delivery.observed_at, &mut out).err();
                    tasks.elements().iter().filter_map(read).collect()
                }
                None => self.webhook(&entry, delivery.observed_at, &mut out).err().into_iter().collect(),
            };
            let rejects = failures.into_iter().map(|(code, detail)| Reject::new(code, detail, range.clone()));
            out.rejects.extend(rejects.collect::<Vec<_>>());
        }
        out
    }

    fn webhook(&self, json: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let kind = json.get("type").and_then(Json::text).ok_or_else(|| no_identity("an envelope without type"))?;
        let id = json.get("id").and_then(Json::text).ok_or_else(|| no_identity("an envelope without id"))?;
        let body = json.get("data").ok_or_else(|| no_identity(format!("{kind}: an envelope without data")))?;
        let at = || {
            let at = body.get("createdTime").and_then(Json::integer);
            at.map(Millis).ok_or_else(|| no_identity(format!("{kind}: an event without createdTime")))
        };
        match kind.split_once(':') {
            Some(("task", state)) if LIFECYCLE.contains(&state) => {
                self.contact(id, state, body, at()?, observed_at, out)
            }
            Some(("agent", "channel_state_change" | "state_change")) => {
                let state = body.get("currentState").and_then(Json::text).unwrap_or_default().to_ascii_lowercase();
                match state.as_str() {
                    "wrapup" | "wrapup-done" if body.get("taskId").and_then(Json::text).is_some() => {
                        self.contact(id, &state, body, at()?, observed_at, out)
                    }
                    _ => ignore(out),
                }
            }
            Some(("task-message", "appended")) => self.message(id, body, at()?, observed_at, out),
            Some(("desktop", "navigated")) => {
                let event = Event { id: id.into(), body, at: at()?, rank: 0, columns: Vec::new(), caller: None };
                let object = self.object("navigation")?;
                out.facts.push(self.fact(object, &event, observed_at)?);
                Ok(())
            }
            // Types that a later release brings are kept as raw bytes and counted.
            Some(_) | None => ignore(out),
        }
    }

    fn contact(
        &self,
        id: &str,
        state: &str,
        body: &Json<'_>,
        at: Millis,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let caller = caller(body);
        let rank = LIFECYCLE.iter().position(|s| *s == state).map_or(0, |place| place as u64);
        let mut columns = contact_columns(body, caller.as_ref());
        let at_column = || Native::Number(Cow::Owned(at.0.to_string()));
        match state {
            "new" | "connected" => columns.push(("@started", at_column())),
            "ended" if is_final(body) => columns.push(("@ended", at_column())),
            _ => {}
        }
        match state {
            "ended" if is_final(body) => columns.push(("@status", Native::Text("Ended".into()))),
            // The end may be a pause of a callback: the status stays until Search or a person ends it.
            "ended" | "origin-updated" | "failed" => {}
            _ => columns.push(("@status", Native::Text(Cow::Owned(state.to_owned())))),
        }
        let event = Event { id: id.into(), body, at, rank, columns, caller };
        self.contact_facts(&event, observed_at, out)
    }

    fn contact_facts(&self, event: &Event<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        out.facts.push(self.fact(self.object("task")?, event, observed_at)?);
        if event.caller.is_some() {
            let mut profile = self.fact(self.object("caller")?, event, observed_at)?;
            profile.event_id = format_compact!("{}/caller", event.id);
            out.facts.push(profile);
        }
        Ok(())
    }

    /// One thing that was said: a row of its own, so that no message hides another.
    fn message(
        &self,
        id: &str,
        body: &Json<'_>,
        at: Millis,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let is_inbound =
            body.get("messageDirection").and_then(Json::text).is_some_and(|d| d.eq_ignore_ascii_case("INBOUND"));
        let Some(text) = body.path("channelParams.message.text").and_then(Json::text).filter(|_| is_inbound) else {
            return ignore(out);
        };
        let object = self.object("task")?;
        let task = body.get("taskId").and_then(Json::text).filter(|t| !t.is_empty());
        let task = task.ok_or_else(|| no_identity("task-message: an event without taskId"))?;
        let message = body.path("channelParams.message.aliasId").and_then(Json::scalar).unwrap_or(id);
        let mut item = FieldsBuilder::default();
        item.set(Field::At, ValueRef::Time(at));
        item.set(Field::Who, ValueRef::Text("customer"));
        item.set(Field::Text, ValueRef::Text(text));
        let mut list = ListBuilder::default();
        list.push(&item.build());
        let mut fields = FieldsBuilder::default();
        fields.set(Field::Statements, list.value());
        out.facts.push(Fact {
            event_id: CompactString::new(id),
            system: System::Wxcc,
            object: CompactString::const_new("task-message"),
            record_id: format_compact!("{task}/{message}"),
            entity: EntityKey::new(EntityKind::Interaction, task),
            op: Op::Patch,
            version: Version::with_tail(millis(at), 0, 0, id),
            changed_at: at,
            observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: object.contract,
            mapping_version: self.mapping.version,
            read_at: None,
            key_slot: 0,
            fields: fields.build(),
        });
        Ok(())
    }

    /// A contact as Search knows it: what webhooks lost comes back here.
    fn task(&self, task: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let id = task.get("id").and_then(Json::text).ok_or_else(|| no_identity("search: a task without id"))?;
        let time = |name: &str| task.get(name).and_then(Json::integer).filter(|t| *t > 0);
        let at = time("lastModifiedTime").or(time("endedTime")).or(time("connectedTime")).or(time("createdTime"));
        let at = at.map(Millis).ok_or_else(|| no_identity("search: a task without time"))?;
        let caller = caller(task);
        let mut columns = contact_columns(task, caller.as_ref());
        let text = |value: &str| Native::Text(Cow::Owned(value.to_owned()));
        columns.push(("taskId", text(id)));
        let number = |t: i64| Native::Number(Cow::Owned(t.to_string()));
        if let Some(started) = time("connectedTime").or(time("createdTime")) {
            columns.push(("@started", number(started)));
        }
        let is_over = task.get("isActive") == Some(&Json::Bool(false));
        match (is_over, task.get("status").and_then(Json::text)) {
            (true, _) => {
                columns.push(("@status", text("Ended")));
                if let Some(ended) = time("endedTime") {
                    columns.push(("@ended", number(ended)));
                }
                if let Some(duration) = time("connectedDuration").or(time("totalDuration")) {
                    columns.push(("@connected_ms", number(duration)));
                }
            }
            (false, Some("ended") | None) => {}
            (false, Some(status)) => columns.push(("@status", text(status))),
        }
        if !is_over {
            // Search knows the contact as a whole: one that goes on has no end and no duration,
            // whatever an earlier leg said.
            columns.extend([("@ended", Native::Null), ("@connected_ms", Native::Null)]);
        }
        for (column, path) in [("agentId", "lastAgent.id"), ("queueId", "lastQueue.id")] {
            if let Some(value) = task.path(path).and_then(Json::text) {
                columns.push((column, text(value)));
            }
        }
        if let Some(code) = task.get("lastWrapupCodeName").and_then(Json::text) {
            columns.push(("globalVariables.disposition", text(code)));
        }
        let id = Cow::Owned(format!("search/{id}/{}", at.0));
        let event = Event { id, body: task, at, rank: RANK_SEARCH, columns, caller };
        let first = out.facts.len();
        self.contact_facts(&event, observed_at, out)?;
        for fact in &mut out.facts[first..] {
            fact.read_at = Some(observed_at);
        }
        Ok(())
    }

    fn object(&self, name: &str) -> Result<&ObjectMap, Failure> {
        self.mapping
            .object(name)
            .ok_or_else(|| (RejectCode::ContractBreach, format!("the mapping has no object {name}")))
    }

    fn fact(&self, object: &ObjectMap, event: &Event<'_>, observed_at: Millis) -> Result<Fact, Failure> {
        let missing = || no_identity(format!("{}: an event without {}", object.name, object.record));
        let (record_id, entity_id) = object.ids(event).ok_or_else(missing)?;
        let mut fields = FieldsBuilder::default();
        self.mapping
            .apply(object, event, Mode::Patch, &mut fields)
            .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        Ok(Fact {
            event_id: CompactString::new(&event.id),
            system: System::Wxcc,
            object: CompactString::new(&object.name),
            record_id: record_id.into(),
            entity: EntityKey::new(object.entity, entity_id),
            op: Op::Patch,
            version: Version::with_tail(millis(event.at), event.rank, 0, &event.id),
            changed_at: event.at,
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
}

fn ignore(out: &mut Decoded) -> Result<(), Failure> {
    out.ignored += 1;
    Ok(())
}

fn no_identity(detail: impl Into<String>) -> Failure {
    (RejectCode::NoIdentity, detail.into())
}

fn millis(at: Millis) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

/// Whether an end is the end.
fn is_final(body: &Json<'_>) -> bool {
    let party = body.get("terminatingParty").and_then(Json::text).unwrap_or_default();
    party.eq_ignore_ascii_case("agent") || party.eq_ignore_ascii_case("customer")
}

/// The customer's side of a contact: the origin, or the destination of an outbound one.
fn caller(body: &Json<'_>) -> Option<Caller> {
    let is_outbound = body.get("direction").and_then(Json::text).is_some_and(|d| d.eq_ignore_ascii_case("OUTBOUND"));
    let side = if is_outbound { "destination" } else { "origin" };
    Caller::parse(body.get(side)?.text()?)
}

fn contact_columns<'a>(body: &Json<'_>, caller: Option<&Caller>) -> Vec<(&'static str, Native<'a>)> {
    let mut columns = Vec::new();
    let text = |value: &str| Native::Text(Cow::Owned(value.to_owned()));
    let is_callback = body.get("outboundType").and_then(Json::text) == Some("COURTESY_CALLBACK");
    if is_callback {
        columns.push(("@channel", text("COURTESY_CALLBACK")));
    } else if let Some(channel) = body.get("channelType").and_then(Json::text) {
        columns.push(("@channel", text(channel)));
    }
    if let Some(caller) = caller {
        columns.push(("@customer", text(caller.id())));
        match caller {
            Caller::Phone(phone) => columns.push(("@phone", text(phone))),
            Caller::Email(email) => columns.push(("@email", text(email))),
        }
    }
    columns
}

impl Columns for Event<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        if let Some((_, value)) = self.columns.iter().find(|(name, _)| *name == column) {
            return Some(value.clone());
        }
        if let Some(variable) = column.strip_prefix("globalVariables.")
            && let Some(listed) = self.body.get("stringGlobalVariables")
        {
            let is_it = |v: &&Json<'_>| v.get("name").and_then(Json::text) == Some(variable);
            return native(listed.elements().iter().find(is_it)?.get("value")?);
        }
        native(self.body.path(column)?)
    }
}

/// Every event is a slice: what is null in it keeps what was known before.
fn native<'a>(value: &'a Json<'_>) -> Option<Native<'a>> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(b) => Native::Bool(*b),
        Json::Number(digits) => Native::Number(Cow::Borrowed(digits)),
        Json::Text(text) => Native::Text(Cow::Borrowed(text)),
        Json::Array(_) | Json::Object(_) => Native::Other(Cow::Borrowed("{..}")),
    })
}

/// The signed time inside a webhook's body, if it has one.
#[must_use]
pub fn signed_time(raw: &[u8]) -> Option<i64> {
    Json::parse(raw).ok()?.get("comciscotimestamp")?.integer()
}
