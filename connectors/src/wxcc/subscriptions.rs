//! Subscriptions that are kept right: created, verified, renewed and repaired.
//!
//! The vendor switches a subscription off when its target fails for too long, and people change
//! them. So they are compared again and again with what they should be. There is one for each kind of
//! resource, since a subscription has one resource version.

use std::collections::BTreeSet;

use ontology::Millis;
use serde_json::{Value, json};

use super::api::Api;
use crate::edge::credentials::Secret;
use crate::edge::http::CallError;
use crate::json::Json;

/// How often subscriptions are compared with what they should be, in milliseconds.
const VERIFY_EVERY_MS: i64 = 5 * Millis::MINUTE_MS;

/// A kind of resource: name, resource version and types of events.
type Resource = (&'static str, &'static str, &'static [&'static str]);

/// The kinds of resource.
const RESOURCES: &[Resource] = &[
    (
        "task",
        "task:1.0.0",
        &[
            "task:new",
            "task:parked",
            "task:connect",
            "task:connected",
            "task:on-hold",
            "task:hold-done",
            "task:consulting",
            "task:consult-done",
            "task:conferencing",
            "task:conference-done",
            "task:conference-transferred",
            "task:ended",
            "task:failed",
            "task:origin-updated",
        ],
    ),
    ("agent", "agent:2.0.0", &["agent:channel_state_change"]),
    ("task-message", "task-message:1.0.0", &["task-message:appended"]),
    ("capture", "capture:1.0.0", &["capture:available"]),
];

/// What subscriptions should be like.
#[derive(Debug, Clone)]
pub struct WxccSubscriptionsConfig {
    /// Public https address of the webhook door.
    pub destination_url: String,
    /// What their names begin with.
    pub name: String,
    /// The secret that webhooks are signed with.
    pub secret: Secret,
}

/// Keeper of the subscriptions.
pub(super) struct Subscriptions {
    config: WxccSubscriptionsConfig,
    verified_at: Option<Millis>,
    /// Resources whose secret was set since the start: it cannot be read, so it is written once.
    renewed: BTreeSet<&'static str>,
}

/// A subscription as it is.
#[derive(Debug)]
struct Found {
    id: String,
    name: String,
    destination: String,
    version: String,
    event_types: Vec<String>,
    is_active: bool,
}

/// What is to be done about one kind of resource.
#[derive(Debug, PartialEq, Eq)]
enum Repair {
    Create,
    Change(String),
    Nothing,
}

impl Subscriptions {
    pub fn new(config: WxccSubscriptionsConfig) -> Self {
        Subscriptions { config, verified_at: None, renewed: BTreeSet::new() }
    }

    /// Compares and repairs, if that was not done lately.
    pub async fn keep(&mut self, api: &mut Api, now: Millis) -> Result<(), CallError> {
        if self.verified_at.is_some_and(|at| now.since(at) < VERIFY_EVERY_MS) {
            return Ok(());
        }
        let org_id = api.org_id.clone();
        let sent = api.send(|client, base| client.get(format!("{base}/v2/subscriptions")).query(&[("orgId", &org_id)]));
        let (_, raw) = sent.await?;
        let found = read(&raw).ok_or(CallError::Answer("a list of subscriptions"))?;
        // One that is refused, since the organisation has no such channel, keeps none of the others from
        // being put right.
        let mut kept = Ok(());
        for resource in RESOURCES {
            let name = format!("{}-{}", self.config.name, resource.0);
            let repair = self.repair_of(&found, &name, resource);
            match self.put_right(api, &org_id, &name, resource, repair).await {
                Ok(()) => {
                    self.renewed.insert(resource.0);
                }
                Err(error) => {
                    tracing::warn!(subscription = name, %error, "a subscription was not put right");
                    kept = kept.and(Err(error));
                }
            }
        }
        self.verified_at = Some(now);
        kept
    }

    async fn put_right(
        &self,
        api: &mut Api,
        org_id: &str,
        name: &str,
        (_, version, event_types): &Resource,
        repair: Repair,
    ) -> Result<(), CallError> {
        match repair {
            Repair::Nothing => {}
            Repair::Create => {
                let body = self.body(Some(name), version, event_types, org_id);
                api.send(|client, base| client.post(format!("{base}/v2/subscriptions")).json(&body)).await?;
                tracing::info!(subscription = name, "created a subscription");
            }
            Repair::Change(id) => {
                let body = self.body(None, version, event_types, org_id);
                api.send(|client, base| client.patch(format!("{base}/v2/subscriptions/{id}")).json(&body)).await?;
                tracing::info!(subscription = name, "put a subscription right");
            }
        }
        Ok(())
    }

    fn repair_of(&self, found: &[Found], name: &str, (resource, version, event_types): &Resource) -> Repair {
        let Some(one) = found.iter().find(|one| one.name == name) else { return Repair::Create };
        let is_complete = event_types.iter().all(|wanted| one.event_types.iter().any(|has| has == wanted));
        let is_right =
            one.is_active && one.destination == self.config.destination_url && one.version == *version && is_complete;
        if is_right && self.renewed.contains(resource) { Repair::Nothing } else { Repair::Change(one.id.clone()) }
    }

    fn body(&self, name: Option<&str>, version: &str, event_types: &[&str], org_id: &str) -> Value {
        let mut body = json!({
            "eventTypes": event_types,
            "destinationUrl": self.config.destination_url,
            "secret": self.config.secret.expose(),
            "resourceVersion": version,
            "orgId": org_id,
        });
        match name {
            Some(name) => {
                body["name"] = name.into();
                body["description"] = "changes for the operations hub".into();
            }
            None => body["status"] = "active".into(),
        }
        body
    }
}

fn read(raw: &[u8]) -> Option<Vec<Found>> {
    let json = Json::parse(raw).ok()?;
    let Json::Array(listed) = json.get("data")? else { return None };
    let text = |one: &Json<'_>, name: &str| one.get(name).and_then(Json::text).unwrap_or_default().to_owned();
    let found = listed.iter().map(|one| Found {
        id: text(one, "id"),
        name: text(one, "name"),
        destination: text(one, "destinationUrl"),
        version: text(one, "resourceVersion"),
        event_types: one
            .get("eventTypes")
            .map(Json::elements)
            .unwrap_or_default()
            .iter()
            .filter_map(Json::text)
            .map(str::to_owned)
            .collect(),
        is_active: one.get("status").and_then(Json::text).is_some_and(|s| s.eq_ignore_ascii_case("active")),
    });
    Some(found.filter(|one| !one.id.is_empty() && !one.id.contains(['/', '?', '#'])).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(change: impl Fn(Value) -> Value, is_renewed: bool, expected: Repair) {
        let config = WxccSubscriptionsConfig {
            destination_url: "https://hub.example.com/webhooks/wxcc".to_owned(),
            name: "hub".to_owned(),
            secret: Secret::new("s"),
        };
        let one = json!({
            "id": "s-1", "name": "hub-capture", "destinationUrl": config.destination_url, "status": "active",
            "resourceVersion": "capture:1.0.0", "eventTypes": ["capture:available"],
        });
        let raw = json!({ "meta": {}, "data": [change(one)] }).to_string();
        let renewed = is_renewed.then_some("capture").into_iter().collect();
        let subscriptions = Subscriptions { config, verified_at: None, renewed };
        let found = read(raw.as_bytes()).unwrap();
        let repair =
            subscriptions.repair_of(&found, "hub-capture", &("capture", "capture:1.0.0", &["capture:available"]));
        assert_eq!(repair, expected, "{raw}");
    }

    fn with(name: &'static str, value: Value) -> impl Fn(Value) -> Value {
        move |mut one| {
            one[name] = value.clone();
            one
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_put_right() {
        let change = || Repair::Change("s-1".to_owned());
        check(|one| one, true, Repair::Nothing);
        check(|one| one, false, change());
        check(with("status", "inactive".into()), true, change());
        check(with("destinationUrl", "https://old.example.com/".into()), true, change());
        check(with("resourceVersion", "capture:0.9.0".into()), true, change());
        check(with("eventTypes", json!([])), true, change());
        check(with("eventTypes", json!(["capture:available", "more"])), true, Repair::Nothing);
        check(with("name", "somebody else's".into()), true, Repair::Create);
    }

    #[test]
    fn an_answer_that_lists_nothing_is_no_reason_to_create() {
        assert!(read(b"{}").is_none());
        assert!(read(br#"{"data":{}}"#).is_none());
        assert!(read(br#"{"data":[]}"#).unwrap().is_empty());
    }
}
