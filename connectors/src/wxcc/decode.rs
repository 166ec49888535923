//! Webhook events, Search answers and transcripts to facts.
//!
//! Every event is a slice of its contact: it becomes a patch, ordered by (event time, lifecycle
//! rank, event id), so that arrival order does not matter. The legs of a transferred contact are
//! rows of their own below it, named by their time, so that the first one tells when it began. A
//! contact is over when an agent or the customer ended it, or a recording of it exists; an end by
//! the system may be a pause of a callback, and only Search tells. The wrap-up of an agent is no state
//! of the contact: after a transfer the next agent talks meanwhile.

use std::borrow::Cow;

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, Fields, LogPos, Millis, Op, System, Version};
use sha2::{Digest as _, Sha256};

use super::caller::Country;
use super::event::{Event, LIFECYCLE, RANK_CAPTURE, RANK_SEARCH, is_final, rank};
use super::message;
use super::task::Task;
use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mapping, Mode, ObjectMap};

/// Decodes deliveries of the Webex Contact Center connector.
#[derive(Debug, Clone)]
pub struct WxccDecoder {
    mapping: Mapping,
    country: Option<Country>,
}

pub(super) type Failure = (RejectCode, String);

/// What the envelope says of an event.
struct Envelope<'a> {
    id: &'a str,
    kind: &'a str,
    body: &'a Json<'a>,
    json: &'a Json<'a>,
}

impl WxccDecoder {
    /// A decoder by `mapping`.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        WxccDecoder { mapping, country: None }
    }

    /// Callers' numbers without the code of a country are of `country`.
    #[must_use]
    pub fn in_country(self, country: Country) -> Self {
        WxccDecoder { country: Some(country), ..self }
    }

    /// The mapping that it decodes by.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Turns one webhook, one Search answer or one transcript into facts.
    #[must_use]
    pub fn decode(&self, delivery: &Delivery<'_>) -> Decoded {
        let entries = match Json::entries(delivery.raw) {
            Ok(entries) => entries,
            Err(error) => return Decoded::rejected(RejectCode::Malformed, error.to_string(), delivery.raw),
        };
        let mut out = Decoded::default();
        for (range, entry) in entries {
            let failures: Vec<Failure> = if let Some(tasks) = entry.path("data.taskDetails.tasks") {
                let read = |task| self.task(task, delivery.observed_at, &mut out).err();
                tasks.elements().iter().filter_map(read).collect()
            } else if let Some(task_id) = entry.get("transcriptOf").and_then(Json::text) {
                self.transcript(task_id, &entry, delivery.observed_at, &mut out).err().into_iter().collect()
            } else {
                self.webhook(&entry, delivery.observed_at, &mut out).err().into_iter().collect()
            };
            let rejects = failures.into_iter().map(|(code, detail)| Reject::new(code, detail, range.clone()));
            out.rejects.extend(rejects.collect::<Vec<_>>());
        }
        out
    }

    fn webhook(&self, json: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let envelope = Envelope::read(json)?;
        let Envelope { id, kind, body, .. } = envelope;
        match kind.split_once(':') {
            Some(("task", state)) if LIFECYCLE.contains(&state) => {
                self.contact(id, state, body, envelope.at()?, observed_at, out)
            }
            Some(("agent", "channel_state_change" | "state_change")) => {
                let state = body.get("currentState").and_then(Json::text).unwrap_or_default().to_ascii_lowercase();
                match state.as_str() {
                    "wrapup" | "wrapup-done" if body.get("taskId").and_then(Json::text).is_some() => {
                        let event = Event::of_agent(id.into(), body, envelope.at()?, rank(&state));
                        let fact = self.fact(self.object("task")?, &event, observed_at)?;
                        if fact.fields.iter().next().is_none() {
                            return ignore(out);
                        }
                        out.facts.push(fact);
                        Ok(())
                    }
                    _ => ignore(out),
                }
            }
            Some(("capture", "available")) => {
                let mut event = Event::new(id.into(), body, envelope.at()?, RANK_CAPTURE, self.country);
                event.say("@status", "Ended");
                self.contact_facts(&event, observed_at, out)
            }
            Some(("task-message", "appended")) => {
                let at = envelope.at()?;
                match message::of_webhook(body, id, at).map_err(no_identity)? {
                    Some(said) => self.said(&said, observed_at, out),
                    None => ignore(out),
                }
            }
            Some(("desktop", "navigated")) => {
                let event = Event::plain(id.into(), body, envelope.at()?, 0);
                let object = self.object("navigation")?;
                out.facts.push(self.fact(object, &event, observed_at)?);
                Ok(())
            }
            // Types that a later release brings are kept as raw bytes and counted.
            Some(_) | None => {
                out.leave_unmapped(1);
                Ok(())
            }
        }
    }

    fn contact<'a>(
        &self,
        id: &'a str,
        state: &'a str,
        body: &'a Json<'a>,
        at: Millis,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let mut event = Event::new(id.into(), body, at, rank(state), self.country);
        match state {
            "new" => event.count("@started", at.0),
            "ended" if is_final(body) => event.count("@ended", at.0),
            _ => {}
        }
        match state {
            "ended" if is_final(body) => event.say("@status", "Ended"),
            // The end may be a pause of a callback: the status stays until Search or a person ends it.
            "ended" | "origin-updated" | "failed" => {}
            _ => event.say("@status", state),
        }
        self.contact_facts(&event, observed_at, out)?;
        if state == "connected" {
            out.facts.push(self.leg(&event, at, observed_at)?);
        }
        Ok(())
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

    /// The row of a leg that began `at`: rows below one contact are read in order of their names.
    fn leg(&self, event: &Event<'_>, at: Millis, observed_at: Millis) -> Result<Fact, Failure> {
        let contact = event.body.get("taskId").or_else(|| event.body.get("id")).and_then(Json::text);
        let contact = contact.unwrap_or_default();
        let id = Cow::Owned(format!("{}/leg/{}", event.id, at.0));
        let mut leg = event.beside(id, at);
        leg.say("taskId", contact);
        leg.say("@leg", format!("{contact}/{:013}", at.0));
        leg.count("@started", at.0);
        self.fact(self.object("leg")?, &leg, observed_at)
    }

    /// A contact as Search knows it.
    fn task(&self, task: &Json<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let Task { event, legs } = Task::read(task, self.country).map_err(no_identity)?;
        let first = out.facts.len();
        self.contact_facts(&event, observed_at, out)?;
        for leg in legs {
            let mut fact = self.leg(&event, leg.at, observed_at)?;
            // A leg lies in the past and does not change: every run of the list job says the same.
            fact.event_id = format_compact!("search/{}", fact.record_id);
            fact.version = Version::with_tail(millis(leg.at), RANK_SEARCH, 0, &fact.event_id);
            out.facts.push(fact);
        }
        for fact in &mut out.facts[first..] {
            fact.read_at = Some(observed_at);
        }
        Ok(())
    }

    /// What the customer said in a whole conversation, which is read once the conversation is over.
    fn transcript(
        &self,
        task_id: &str,
        json: &Json<'_>,
        observed_at: Millis,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let first = out.facts.len();
        for said in message::of_transcript(task_id, json).map_err(no_identity)? {
            self.said(&said, observed_at, out)?;
        }
        for fact in &mut out.facts[first..] {
            fact.read_at = Some(observed_at);
        }
        Ok(())
    }

    /// One thing that was said: a row of its own, so that no message hides another.
    fn said(&self, said: &message::Said<'_>, observed_at: Millis, out: &mut Decoded) -> Result<(), Failure> {
        let object = self.object("task")?;
        let version = Version::with_tail(millis(said.at), said.rank, 0, &said.event_id);
        let fact = self.bare(object, &said.event_id, said.at, observed_at);
        out.facts.push(Fact {
            object: CompactString::const_new("task-message"),
            record_id: format_compact!("{}/{}", said.task_id, said.message_id),
            entity: EntityKey::new(object.entity, said.task_id),
            version,
            fields: said.fields(),
            ..fact
        });
        Ok(())
    }

    fn object(&self, name: &str) -> Result<&ObjectMap, Failure> {
        self.mapping
            .object(name)
            .ok_or_else(|| (RejectCode::ContractBreach, format!("the mapping has no object {name}")))
    }

    fn fact(&self, object: &ObjectMap, event: &Event<'_>, observed_at: Millis) -> Result<Fact, Failure> {
        let missing = || no_identity(format!("{}: an event without {}", object.name, object.record));
        let (record_id, entity_id) = object.ids(event).filter(|(id, _)| !is_template(id)).ok_or_else(missing)?;
        let mut fields = ontology::FieldsBuilder::default();
        self.mapping
            .apply(object, event, Mode::Patch, &mut fields)
            .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
        Ok(Fact {
            record_id,
            entity: EntityKey { kind: object.entity, id: entity_id },
            version: Version::with_tail(millis(event.at), event.rank, 0, &event.id),
            fields: fields.build(),
            ..self.bare(object, &event.id, event.at, observed_at)
        })
    }

    /// A patch that says nothing of nothing yet.
    fn bare(&self, object: &ObjectMap, event_id: &str, at: Millis, observed_at: Millis) -> Fact {
        Fact {
            event_id: CompactString::new(event_id),
            system: System::Wxcc,
            object: CompactString::new(&object.name),
            record_id: CompactString::default(),
            entity: EntityKey::new(object.entity, ""),
            op: Op::Patch,
            version: Version::default(),
            changed_at: at,
            observed_at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: object.contract,
            mapping_version: self.mapping.version,
            read_at: None,
            key_slot: 0,
            fields: Fields::default(),
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope. Copies that the journey service makes of events spell some members in
    /// camel case, so the case of letters does not count.
    fn read(json: &'a Json<'a>) -> Result<Self, Failure> {
        let text = |name: &str| json.get_any_case(name).and_then(Json::text).filter(|text| !text.is_empty());
        let kind = text("type").ok_or_else(|| no_identity("an envelope without type"))?;
        let id = text("id").filter(|id| !is_template(id));
        let id = id.ok_or_else(|| no_identity(format!("{kind}: an envelope without id")))?;
        let body = json.get_any_case("data").filter(|data| matches!(data, Json::Object(_)));
        let body = body.ok_or_else(|| no_identity(format!("{kind}: an envelope without data")))?;
        Ok(Envelope { id, kind, body, json })
    }

    /// When the event happened. Only copies of the journey service have the time in the envelope.
    fn at(&self) -> Result<Millis, Failure> {
        if let Some(at) = self.body.get("createdTime").and_then(Json::integer) {
            return Ok(Millis(at));
        }
        let is_copy = ["person", "identity"].iter().any(|name| self.json.get(name).is_some());
        let time = self.json.get("time").and_then(Json::text).filter(|_| is_copy);
        let time = time.and_then(|text| crate::value::parse_instant(text, &jiff::tz::TimeZone::UTC));
        time.ok_or_else(|| no_identity(format!("{}: an event without createdTime", self.kind)))
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

/// Whether an id is the placeholder of a template that nobody filled in.
fn is_template(id: &str) -> bool {
    id.contains("{{")
}

/// What the door looks at before it takes a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// The signed time inside the body, if it has one.
    pub signed_time: Option<i64>,
    /// What names the event whatever its id; none where too little is said.
    pub content: Option<String>,
}

impl Glance {
    /// Glances at a body.
    #[must_use]
    pub fn at(raw: &[u8]) -> Self {
        let Ok(json) = Json::parse(raw) else { return Glance::default() };
        let signed_time = json.get("comciscotimestamp").and_then(Json::integer);
        let content = || {
            let (kind, body) = (json.get("type")?.text()?, json.get("data")?);
            body.get("createdTime")?;
            // Two subscriptions tell an event in the same words.
            Some(format!("{kind}/{}", hex::encode(Sha256::digest(format!("{body:?}")))))
        };
        Glance { signed_time, content: content() }
    }
}
