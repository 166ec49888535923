//! Trying an organisation out: login, clock, objects and columns, limits, topic, one event.

use std::time::Duration;

use bytes::Bytes;
use ontology::{Millis, System, Vocabulary as _};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::Request;

use super::answer::RestError;
use super::auth::Session;
use super::decode::Batch;
use super::eventbus::pub_sub_client::PubSubClient;
use super::eventbus::{FetchRequest, ReplayPreset, SchemaRequest, TopicRequest};
use super::rest::{Allowance, Rest};
use super::select::missing_columns;
use super::transport::{SalesforceConfig, open, with_session};
use crate::connectors::Connectors;
use crate::contract::{Delivery, SharedClock};
use crate::edge::trial::Trial;

/// How long an event is waited for. An organisation where nothing changed for days has none.
const EVENT_WAIT: Duration = Duration::from_secs(10);

/// How far the clocks may be apart: a signed assertion lives for five minutes.
const CLOCKS_APART_MAX_MS: i64 = 120_000;

/// Tries everything that the connector will need. Stores nothing and moves no position.
pub async fn check(config: &SalesforceConfig, connectors: &Connectors, clock: SharedClock) -> Vec<Trial> {
    let rest = Rest::new(config.rest.clone(), clock.clone());
    let session = match rest.session().await {
        Ok(session) => session,
        Err(error) => return vec![Trial::bad("login", words(&error))],
    };
    let mut trials = vec![Trial::good("login", format!("organisation {} at {}", session.org_id, session.instance_url))];
    trials.push(clocks(&rest, clock.now()).await);
    for object in &connectors.salesforce().mapping().objects {
        let what = format!("object {}", object.name);
        trials.push(match rest.fields(&object.name).await {
            Ok(there) => match missing_columns(object, &there) {
                missing if missing.is_empty() => Trial::good(what, "every mapped column is readable"),
                missing => Trial::bad(
                    what,
                    format!(
                        "not readable: {}; grant them to the user or take them out of the mapping",
                        missing.join(", ")
                    ),
                ),
            },
            Err(error) => Trial::bad(what, words(&error)),
        });
    }
    trials.push(limits(&rest).await);
    trials.extend(bus(config, connectors, &session, clock.now()).await);
    trials
}

/// What is wrong, with the vendor's own sentence: it is shown to whoever sets the source up.
fn words(error: &RestError) -> String {
    match error {
        RestError::Refused { words, .. } if !words.is_empty() => format!("{error}: {words}"),
        RestError::Refused { .. }
        | RestError::Unreached(_)
        | RestError::Answer(_)
        | RestError::TooLong
        | RestError::Busy { .. } => error.to_string(),
    }
}

async fn clocks(rest: &Rest, now: Millis) -> Trial {
    match rest.query("SELECT Id FROM Account WHERE Id = '000000000000000AAA'").await {
        Ok(page) if (page.at.0 - now.0).abs() <= CLOCKS_APART_MAX_MS => {
            Trial::good("clock", "agrees with Salesforce's")
        }
        Ok(page) => {
            let apart_s = (now.0 - page.at.0) / 1_000;
            Trial::bad("clock", format!("is {apart_s} s ahead of Salesforce's; set it by a time server"))
        }
        Err(error) => Trial::bad("clock", words(&error)),
    }
}

async fn limits(rest: &Rest) -> Trial {
    let told = |name: &str, allowance: Option<Allowance>| match allowance {
        Some(Allowance { max, remaining }) => format!("{remaining} of {max} {name} a day are left"),
        None => format!("{name}: not told"),
    };
    match rest.allowances().await {
        Ok(all) => {
            let text = format!("{}, {}", told("event deliveries", all.deliveries), told("api calls", all.calls));
            let is_used_up = [all.deliveries, all.calls].into_iter().flatten().any(|a| a.remaining <= 0);
            if is_used_up { Trial::bad("limits", text) } else { Trial::good("limits", text) }
        }
        Err(error) => Trial::bad("limits", words(&error)),
    }
}

async fn bus(config: &SalesforceConfig, connectors: &Connectors, session: &Session, now: Millis) -> Vec<Trial> {
    let channel = match open(config).await {
        Ok(channel) => channel,
        Err(error) => return vec![Trial::bad("event bus", format!("{error}; is {} right?", config.bus_url))],
    };
    let mut client = PubSubClient::new(channel);
    let topic = TopicRequest { topic_name: config.topic.clone() };
    let request = match with_session(Request::new(topic), session) {
        Ok(request) => request,
        Err(error) => return vec![Trial::bad("topic", error.to_string())],
    };
    let topic = match client.get_topic(request).await {
        Ok(info) if info.get_ref().can_subscribe => Trial::good("topic", format!("{} may be read", config.topic)),
        Ok(_) => Trial::bad("topic", format!("{} may not be read by this user", config.topic)),
        Err(status) => Trial::bad("topic", format!("{}: {}", config.topic, status.message())),
    };
    let event = match tokio::time::timeout(EVENT_WAIT, one_event(config, session, &mut client)).await {
        Ok(Ok(Some(raw))) => what_becomes_of(connectors, &raw, now),
        Ok(Ok(None)) | Err(_) => Trial::good("event", "none is retained; change a record and try again to see one"),
        Ok(Err(status)) => Trial::bad("event", status.message().to_owned()),
    };
    vec![topic, event]
}

/// The oldest retained event with its schema, as a delivery; none if there is none.
async fn one_event(
    config: &SalesforceConfig,
    session: &Session,
    client: &mut PubSubClient<tonic::transport::Channel>,
) -> Result<Option<Bytes>, tonic::Status> {
    let refused = |error: super::transport::StreamError| tonic::Status::internal(error.to_string());
    let first = FetchRequest {
        topic_name: config.topic.clone(),
        replay_preset: ReplayPreset::Earliest.into(),
        num_requested: 1,
        ..FetchRequest::default()
    };
    // The request stream stays open while the answer is waited for.
    let requests = tokio_stream::iter([first]).chain(tokio_stream::pending());
    let request = with_session(Request::new(requests), session).map_err(refused)?;
    let mut answers = client.subscribe(request).await?.into_inner();
    let Some(answer) = answers.message().await? else { return Ok(None) };
    let schema_id = answer.events.first().and_then(|event| event.event.as_ref()).map(|event| event.schema_id.clone());
    let Some(schema_id) = schema_id else { return Ok(None) };
    let request = with_session(Request::new(SchemaRequest { schema_id }), session).map_err(refused)?;
    let schema = client.get_schema(request).await?.into_inner();
    let batch = Batch { events: answer.events, schemas: vec![schema] };
    Ok(Some(Bytes::from(batch.encode_to_vec())))
}

fn what_becomes_of(connectors: &Connectors, raw: &[u8], now: Millis) -> Trial {
    let decoded = connectors.decode(System::Salesforce, &Delivery::document(raw, now));
    match (decoded.facts.first(), decoded.rejects.first()) {
        (Some(fact), _) => {
            let fields = fact.fields.iter().count();
            Trial::good("event", format!("{} of {} with {fields} fields", fact.op.name(), fact.entity.kind.name()))
        }
        (None, Some(reject)) => {
            Trial::bad("event", format!("would be quarantined as {}: {}", reject.code.name(), reject.detail))
        }
        (None, None) => Trial::good("event", "one of an object that the mapping does not read"),
    }
}
