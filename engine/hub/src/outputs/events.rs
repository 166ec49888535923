//! What is sent: the resources of a customer as events, without what differs from one reading of the
//! same thing to the next.

use ontology::{Millis, Trace};
use pipeline::CustomerView;
use proto::v1;
use serde_json::Value;
use serve::convert::{customer, derived, handoff};
use serve::views::Slot;
use sha2::{Digest as _, Sha256};
use state::Freshness;

use super::marks::Mark;
use crate::client::json;

/// Headers of what came with a trace: as the event's, and as that of its sending.
pub(super) const TRACE_PARENTS: [&str; 2] = ["ce_traceparent", "traceparent"];
/// The same, of what vendors told along with it.
pub(super) const TRACE_STATES: [&str; 2] = ["ce_tracestate", "tracestate"];

/// A topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// States of customers, compacted: the newest of each stays.
    Customers,
    /// Alerts.
    Alerts,
    /// Discrepancies.
    Discrepancies,
    /// Handoff packages.
    Handoffs,
}

impl Topic {
    /// All topics, in the order in which they are told of.
    pub const ALL: [Topic; 4] = [Topic::Customers, Topic::Alerts, Topic::Discrepancies, Topic::Handoffs];

    /// Its name behind the prefix; also the collection of its resources.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Topic::Customers => "customers",
            Topic::Alerts => "alerts",
            Topic::Discrepancies => "discrepancies",
            Topic::Handoffs => "handoffs",
        }
    }

    /// Whether old events of a key go when there is a newer one.
    #[must_use]
    pub fn is_compacted(self) -> bool {
        match self {
            Topic::Customers => true,
            Topic::Alerts | Topic::Discrepancies | Topic::Handoffs => false,
        }
    }

    /// The attribute `type` of its events; `is_end` for a resource that is no more.
    #[must_use]
    pub fn event_type(self, is_end: bool) -> &'static str {
        match self {
            Topic::Customers if is_end => "opshub.customer.retired.v1",
            Topic::Customers => "opshub.customer.changed.v1",
            Topic::Alerts if is_end => "opshub.alert.retired.v1",
            Topic::Alerts => "opshub.alert.changed.v1",
            Topic::Discrepancies if is_end => "opshub.discrepancy.retired.v1",
            Topic::Discrepancies => "opshub.discrepancy.changed.v1",
            Topic::Handoffs if is_end => "opshub.handoff.retired.v1",
            Topic::Handoffs => "opshub.handoff.changed.v1",
        }
    }

    /// The message of the API that the value of its events is.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Topic::Customers => "CustomerState",
            Topic::Alerts => "Alert",
            Topic::Discrepancies => "Discrepancy",
            Topic::Handoffs => "Handoff",
        }
    }
}

/// A resource as it stands, on its way to a topic.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resource {
    pub topic: Topic,
    /// Its name in the API.
    pub name: String,
    /// Its content in the API's JSON; none when it is no more.
    pub body: Option<String>,
    /// What the newest fact that changed its customer came with.
    pub cause: Option<Trace>,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub topic: Topic,
    /// Name of the resource; events of one key keep their order.
    pub key: String,
    pub body: Option<String>,
    /// Its number among the events of its key.
    pub sequence: u64,
    /// What is marked once it is delivered.
    pub mark: Mark,
    /// What the newest fact that caused it came with.
    pub cause: Option<Trace>,
}

impl Resource {
    /// The event that tells of it, unless that was sent last.
    pub(super) fn event(self, sent: Option<Mark>) -> Option<Event> {
        let content = Mark::content_of(self.body.as_deref());
        if sent.is_some_and(|sent| sent.content == content) || (sent.is_none() && self.body.is_none()) {
            return None;
        }
        let sequence = sent.map_or(1, |sent| sent.sequence + 1);
        let mark = Mark { sequence, content };
        Some(Event { topic: self.topic, key: self.name, body: self.body, sequence, mark, cause: self.cause })
    }
}

impl Event {
    /// The same for every sending of the same event, and for no other.
    pub(super) fn id(&self) -> String {
        let mut hasher = Sha256::new();
        for part in [self.topic.name().as_bytes(), self.key.as_bytes(), &self.sequence.to_be_bytes()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(self.mark.content);
        hex::encode(&hasher.finalize()[..16])
    }

    /// The attributes of the CloudEvent, in the binary form of the Kafka protocol binding. Its trace stands
    /// there once as the event's and once as that of its sending, by which programs that follow traces go.
    pub(super) fn headers(&self, source: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", self.id()),
            ("ce_source", source.to_owned()),
            ("ce_type", self.topic.event_type(self.body.is_none()).to_owned()),
            ("ce_subject", self.key.clone()),
            ("ce_sequence", self.sequence.to_string()),
            ("content-type", "application/json".to_owned()),
        ];
        if let Some(cause) = &self.cause {
            headers.extend(TRACE_PARENTS.map(|name| (name, cause.parent())));
            if !cause.state().is_empty() {
                headers.extend(TRACE_STATES.map(|name| (name, cause.state().to_owned())));
            }
        }
        headers
    }
}

/// A customer and everything that is concluded about it, as it stands at `now`.
pub(super) fn of_customer(slot: &Slot<CustomerView>, now: Millis) -> Vec<Resource> {
    let view = &slot.view;
    let mut state = customer::state(slot, &Freshness::default(), now);
    (state.version, state.publish_time, state.freshness) = Default::default();
    let mut resources = vec![resource(Topic::Customers, state.name.clone(), &state)];
    resources.extend(derived::alerts(view).into_iter().map(of_alert));
    resources.extend(
        derived::discrepancies(view).into_iter().map(|it| resource(Topic::Discrepancies, it.name.clone(), &it)),
    );
    resources.extend(handoff::handoffs(view).into_iter().map(|it| resource(Topic::Handoffs, it.name.clone(), &it)));
    resources
}

/// The topic of an object and its id, by its name; none of what is no object.
pub(super) fn object_of(name: &str) -> Option<(Topic, &str)> {
    let (collection, id) = name.split_once('/')?;
    let topic = Topic::ALL.into_iter().find(|topic| topic.name() == collection)?;
    (topic != Topic::Customers).then_some((topic, id))
}

/// An alert.
pub(super) fn of_alert(alert: v1::Alert) -> Resource {
    resource(Topic::Alerts, alert.name.clone(), &alert)
}

/// A resource that is no more.
pub(super) fn retired(topic: Topic, id: &str) -> Resource {
    Resource { topic, name: format!("{}/{id}", topic.name()), body: None, cause: None }
}

fn resource(topic: Topic, name: String, message: &impl prost::Message) -> Resource {
    let mut told = json(topic.message(), message).expect("the message is one of the API's own");
    forget_positions(&mut told);
    Resource { topic, name, body: Some(told.to_string()), cause: None }
}

/// Positions are told of what was read since the start only, evidence among it: the same state has others
/// after a restart.
fn forget_positions(told: &mut Value) {
    match told {
        Value::Object(fields) => {
            fields.remove("position");
            fields.values_mut().for_each(forget_positions);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_positions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn alert(body: Option<&str>) -> Resource {
        Resource { topic: Topic::Alerts, name: "alerts/a".to_owned(), body: body.map(str::to_owned), cause: None }
    }

    #[test]
    fn what_was_sent_last_is_not_sent_again_and_everything_else_is() {
        let first = alert(Some("1")).event(None).unwrap();
        assert_eq!(first.sequence, 1);
        assert_eq!(alert(Some("1")).event(Some(first.mark)), None);
        let second = alert(Some("2")).event(Some(first.mark)).unwrap();
        assert_eq!(second.sequence, 2);
        // Back to what it was before is an event too.
        let third = alert(Some("1")).event(Some(second.mark)).unwrap();
        assert_ne!(third.id(), first.id());
        let ended = alert(None).event(Some(third.mark)).unwrap();
        assert_eq!((ended.sequence, alert(None).event(Some(ended.mark))), (4, None));
        assert_eq!(alert(Some("1")).event(Some(ended.mark)).unwrap().sequence, 5);
        assert_eq!(alert(None).event(None), None, "nobody was told of it");
    }

    #[test]
    fn no_position_is_told_of_evidence_either() {
        let evidence = v1::Evidence { position: "a position".to_owned(), ..v1::Evidence::default() };
        let name = "alerts/a".to_owned();
        let alert = v1::Alert { name, position: "one".to_owned(), evidence: vec![evidence], ..v1::Alert::default() };
        let body = of_alert(alert).body.unwrap();
        assert!(body.contains("evidence") && !body.contains("position"), "{body}");
    }

    #[test]
    fn a_cause_is_told_in_headers_and_changes_no_id() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let told = |state: &str| {
            let resource = Resource { cause: Trace::parse(parent, state), ..alert(Some("1")) };
            let event = resource.event(None).unwrap();
            assert_eq!(event.id(), alert(Some("1")).event(None).unwrap().id());
            let headers = event.headers("/opshub").into_iter();
            headers.filter(|(name, _)| name.contains("trace")).collect::<Vec<_>>()
        };
        let both =
            |[event, sending]: [&'static str; 2], text: &str| [event, sending].map(|name| (name, text.to_owned()));
        let parents = both(["ce_traceparent", "traceparent"], parent);
        assert_eq!(told(""), parents);
        assert_eq!(told("a=1"), [parents, both(["ce_tracestate", "tracestate"], "a=1")].concat());
    }

    #[test]
    fn an_id_is_the_same_for_the_same_event_only() {
        let id = |topic, name: &str, body: &str| {
            let resource = Resource { topic, name: name.to_owned(), body: Some(body.to_owned()), cause: None };
            resource.event(None).unwrap().id()
        };
        let one = id(Topic::Alerts, "alerts/a", "1");
        assert_eq!((one.len(), &one), (32, &id(Topic::Alerts, "alerts/a", "1")));
        for other in [
            id(Topic::Alerts, "alerts/a", "2"),
            id(Topic::Alerts, "alerts/b", "1"),
            id(Topic::Handoffs, "alerts/a", "1"),
        ] {
            assert_ne!(one, other);
        }
    }
}
