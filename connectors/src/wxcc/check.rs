//! Trying a contact centre out: token, clock, query, subscriptions, one contact.

use ontology::{Millis, System, Vocabulary as _};

use super::api::Api;
use super::search::WxccSearchConfig;
use super::task;
use crate::connectors::Connectors;
use crate::contract::{Delivery, SharedClock};
use crate::edge::http::{CallError, server_time};
use crate::edge::trial::Trial;
use crate::json::Json;

/// How far the clocks may be apart: a webhook older than five minutes is refused.
const CLOCKS_APART_MAX_MS: i64 = 2 * Millis::MINUTE_MS;

/// How far back a contact is looked for.
const LOOK_BACK_MS: i64 = 7 * Millis::DAY_MS;

/// Tries everything that the connector will need. Stores nothing and moves no position.
pub async fn check(config: &WxccSearchConfig, connectors: &Connectors, clock: SharedClock) -> Vec<Trial> {
    let mut api = Api::new(&config.base_url, &config.org_id, config.auth.clone(), clock.clone());
    let now = clock.now();
    let query = format!(
        "{{ taskDetails(from: {}, to: {}, timeComparator: createdTime) {{ tasks {{ {} }} pageInfo {{ hasNextPage }} }} }}",
        (now - LOOK_BACK_MS).0,
        now.0,
        task::FIELDS
    );
    let body = serde_json::json!({ "query": query });
    let org_id = api.org_id.clone();
    let sent = api.send(|client, base| client.post(format!("{base}/search")).query(&[("orgId", &org_id)]).json(&body));
    let mut trials = match sent.await {
        Err(error) => return vec![Trial::bad("search", advice(&error))],
        Ok((headers, raw)) => {
            let mut trials = vec![Trial::good("token", "is accepted")];
            trials.push(clocks(server_time(&headers), now));
            trials.extend(contacts(connectors, &raw, now));
            trials
        }
    };
    trials.push(subscriptions(config, &mut api).await);
    trials
}

/// What is wrong, and what to do about it.
fn advice(error: &CallError) -> String {
    let next = match error {
        CallError::Unauthorised => {
            "authorise the app for the organisation and store its refresh token or a fresh token"
        }
        CallError::Status(403) => "the token needs the scope cjp:config_read, and the organisation id must be its own",
        CallError::Status(404) => "is base_url the address of the organisation's region?",
        CallError::Status(429) => "too many calls: try again in a minute",
        CallError::Status(_) | CallError::Answer(_) => "look at the vendor's status page",
        CallError::Unreached(_) => "is base_url right, and may this machine reach it?",
    };
    format!("{error}; {next}")
}

fn clocks(server: Option<Millis>, now: Millis) -> Trial {
    match server.map(|server| now.since(server)) {
        Some(apart_ms) if apart_ms.abs() <= CLOCKS_APART_MAX_MS => Trial::good("clock", "agrees with the vendor's"),
        Some(apart_ms) => {
            let apart_s = apart_ms / 1_000;
            Trial::bad("clock", format!("is {apart_s} s ahead of the vendor's; set it by a time server"))
        }
        None => Trial::bad("clock", "the vendor did not tell its time"),
    }
}

fn contacts(connectors: &Connectors, raw: &[u8], now: Millis) -> Vec<Trial> {
    let Ok(json) = Json::parse(raw) else { return vec![Trial::bad("search", "the answer is no JSON")] };
    let wrong = json.get("errors").map(Json::elements).unwrap_or_default();
    if let Some(words) = wrong.iter().find_map(|one| one.get("message")?.text()) {
        return vec![Trial::bad("search", format!("the query is refused: {words}"))];
    }
    let tasks = json.path("data.taskDetails.tasks").map(Json::elements).unwrap_or_default();
    let decoded = connectors.decode(System::Wxcc, &Delivery::document(raw, now));
    let contact = match (decoded.facts.first(), decoded.rejects.first()) {
        (_, Some(reject)) => {
            Trial::bad("contact", format!("one would be quarantined as {}: {}", reject.code.name(), reject.detail))
        }
        (Some(fact), None) => {
            let fields = fact.fields.iter().count();
            Trial::good("contact", format!("{} of {} with {fields} fields", fact.op.name(), fact.entity.kind.name()))
        }
        (None, None) => Trial::good("contact", "none in the last seven days"),
    };
    vec![Trial::good("search", format!("{} contacts on the first page of seven days", tasks.len())), contact]
}

async fn subscriptions(config: &WxccSearchConfig, api: &mut Api) -> Trial {
    let org_id = api.org_id.clone();
    let sent = api.send(|client, base| client.get(format!("{base}/v2/subscriptions")).query(&[("orgId", &org_id)]));
    let raw = match sent.await {
        Ok((_, raw)) => raw,
        Err(error) => return Trial::bad("subscriptions", advice(&error)),
    };
    let Ok(json) = Json::parse(&raw) else { return Trial::bad("subscriptions", "the answer is no JSON") };
    let all = json.get("data").map(Json::elements).unwrap_or_default();
    let is_active = |one: &&Json<'_>| one.get("status").and_then(Json::text) == Some("active");
    let found = format!("{} of {} are active", all.iter().filter(is_active).count(), all.len());
    let text = match &config.subscriptions {
        Some(own) => format!("{found}; the hub keeps those that begin with {}", own.name),
        None => format!("{found}; the hub leaves them to people"),
    };
    Trial::good("subscriptions", text)
}
