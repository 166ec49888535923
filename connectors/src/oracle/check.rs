//! Trying Oracle's paths out: login, clock, views and their columns, topics, the queue, one event.

use bytes::Bytes;
use ontology::{Millis, System};
use serde_json::{Value, json};

use super::kafka::{self, KafkaConfig};
use super::list::OracleListConfig;
use super::ords::Ords;
use super::queue::{PATH, QueueConfig};
use crate::connectors::Connectors;
use crate::contract::{Delivery, SharedClock};
use crate::edge::trial::Trial;
use crate::json::Json;
use crate::mapping::ObjectMap;
use crate::value::parse_instant;

/// How far the clocks may be apart before ages and lags say nothing.
const CLOCKS_APART_MAX_MS: i64 = 120_000;

/// The paths that are to be tried; what is not configured is left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paths<'a> {
    /// The list job.
    pub list: Option<&'a OracleListConfig>,
    /// Topics.
    pub kafka: Option<&'a KafkaConfig>,
    /// The queue.
    pub queue: Option<&'a QueueConfig>,
}

/// Tries everything that the paths will need. Stores nothing, acknowledges nothing, moves no position.
pub async fn check(paths: Paths<'_>, connectors: &Connectors, clock: SharedClock) -> Vec<Trial> {
    let mut trials = Vec::new();
    if let Some(config) = paths.list {
        trials.extend(views(config, connectors, clock.now()).await);
    }
    if let Some(config) = paths.kafka {
        trials.extend(topics(config, connectors, clock.now()).await);
    }
    if let Some(config) = paths.queue {
        trials.extend(queue(config, connectors, clock.now()).await);
    }
    if trials.is_empty() {
        // That is no fault: the event that comes decides.
        let found = "nothing here can be asked: changes come by themselves; post one event with curl as \
                     docs/connectors/oracle.md shows, and set up the list job to find what was lost";
        trials.push(Trial::good("paths", found));
    }
    trials
}

async fn views(config: &OracleListConfig, connectors: &Connectors, now: Millis) -> Vec<Trial> {
    let mut ords = Ords::new(config.ords.clone());
    let current = match ords.ask(reqwest::Method::GET, "current", &Value::Null).await {
        Ok(current) => current,
        Err(wrong) => return vec![Trial::bad("login and the resource current", wrong)],
    };
    let mut trials = vec![Trial::good("login", "the client is accepted"), position(&current, now)];
    for table in &config.tables {
        let what = format!("view {}", table.to_lowercase());
        let object = connectors.mapping(System::Oracle).and_then(|mapping| mapping.object(table));
        let Some(object) = object else {
            trials.push(Trial::bad(what, "no mapping reads it: take it out of the list, or map it"));
            continue;
        };
        trials.push(
            match ords.ask(reqwest::Method::GET, &format!("{}/?limit=1", table.to_lowercase()), &Value::Null).await {
                Ok(page) => view(what, object, &page, connectors, now),
                Err(wrong) => Trial::bad(what, wrong),
            },
        );
    }
    trials
}

/// What `current` answers: an SCN, and a time that agrees with ours.
fn position(current: &[u8], now: Millis) -> Trial {
    let json = Json::parse(current).ok();
    let text = |name: &str| json.as_ref()?.get(name)?.scalar().map(str::to_owned);
    let scn = text("current_scn").and_then(|scn| scn.parse::<u64>().ok());
    let time = text("current_time").and_then(|time| parse_instant(&time, &jiff::tz::TimeZone::UTC));
    match (scn, time) {
        (Some(scn), Some(at)) if (at.0 - now.0).abs() <= CLOCKS_APART_MAX_MS => {
            Trial::good("current", format!("SCN {scn}, and the clocks agree"))
        }
        (Some(_), Some(at)) => {
            let apart_s = (now.0 - at.0) / 1_000;
            Trial::bad("clock", format!("is {apart_s} s ahead of the database's; set it by a time server"))
        }
        (None, _) => Trial::bad("current", "has no current_scn of digits"),
        (_, None) => Trial::bad("current", "has no current_time in UTC"),
    }
}

/// Whether a view shows every mapped column, and its first row becomes a fact.
fn view(what: String, object: &ObjectMap, page: &[u8], connectors: &Connectors, now: Millis) -> Trial {
    let Ok(page) = serde_json::from_slice::<Value>(page) else { return Trial::bad(what, "answers with no JSON") };
    let Some(row) = page.get("items").and_then(Value::as_array).and_then(|rows| rows.first()) else {
        return Trial::good(what, "is readable and has no row yet");
    };
    let is_shown =
        |column: &str| row.as_object().is_some_and(|row| row.keys().any(|key| key.eq_ignore_ascii_case(column)));
    let mapped = object.fields.iter().flat_map(|field| &field.from).chain([&object.record]).chain(&object.ordered_by);
    let mut missing: Vec<&str> = mapped.map(String::as_str).filter(|column| !is_shown(column)).collect();
    if object.ordered_by.is_empty() && !is_shown("ora_rowscn") {
        missing.push("ora_rowscn");
    }
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Trial::bad(
            what,
            format!("does not show {missing}: add them to the view, or take them out of the mapping"),
        );
    }
    match one_fact(json!({ "table": object.name, "row": row }).to_string().as_bytes(), connectors, now) {
        Ok(_) => Trial::good(what, "shows every mapped column; its first row becomes a fact"),
        Err(wrong) => Trial::bad(what, wrong),
    }
}

async fn topics(config: &KafkaConfig, connectors: &Connectors, now: Millis) -> Vec<Trial> {
    let tables: Vec<String> =
        connectors.mapping(System::Oracle).into_iter().flat_map(|m| &m.objects).map(|o| o.name.clone()).collect();
    let found = match kafka::look(config, &tables).await {
        Ok(found) => found,
        Err(wrong) => return vec![Trial::bad("brokers", wrong)],
    };
    let mut trials = vec![Trial::good("brokers", "answer")];
    for topic in &found.missing {
        trials.push(Trial::bad(
            format!("topic {topic}"),
            "is not there: let the capture include the table, or grant DESCRIBE",
        ));
    }
    for (topic, partitions) in &found.topics {
        trials.push(Trial::good(format!("topic {topic}"), format!("{partitions} partitions")));
    }
    if !found.has_heartbeats {
        let hint = "there is no topic of heartbeats: set heartbeat.interval.ms in the capture, or the list job alone \
                    keeps a quiet source fresh";
        trials.push(Trial::bad("heartbeats", hint));
    }
    trials.push(match found.last {
        None => Trial::good("one event", "the topics are empty"),
        Some(line) => match one_fact(line.as_bytes(), connectors, now) {
            Ok(found) => Trial::good("one event", found),
            Err(wrong) => Trial::bad("one event", wrong),
        },
    });
    trials
}

/// A consumer is made, asked once and taken away again: what it was given comes to the next one.
async fn queue(config: &QueueConfig, connectors: &Connectors, now: Millis) -> Vec<Trial> {
    let mut ords = Ords::new(config.ords.clone());
    let group = format!("{PATH}/consumers/{}", config.group);
    let made = match ords.ask(reqwest::Method::POST, &group, &json!({})).await {
        Ok(made) => serde_json::from_slice::<Value>(&made).unwrap_or_default(),
        Err(wrong) => return vec![Trial::bad(format!("group {}", config.group), wrong)],
    };
    let named = ["instance_id", "instanceId", "instance"].iter().find_map(|name| made.get(name)?.as_str());
    let Some(instance) = named else { return vec![Trial::bad("consumer", "was made, and its name was not told")] };
    let instance = format!("{group}/instances/{instance}");
    let mut trials = vec![Trial::good(format!("group {}", config.group), "gives a consumer")];
    let subscribed =
        ords.ask(reqwest::Method::POST, &format!("{instance}/subscription"), &json!({ "topics": config.topics })).await;
    trials.push(match subscribed {
        Ok(_) => Trial::good("subscription", config.topics.join(", ")),
        Err(wrong) => Trial::bad("subscription", wrong),
    });
    trials.push(match ords.ask(reqwest::Method::GET, &format!("{instance}/records"), &Value::Null).await {
        Ok(answer) => first_message(&answer, connectors, now),
        Err(wrong) => Trial::bad("one event", wrong),
    });
    if let Err(wrong) = ords.ask(reqwest::Method::DELETE, &instance, &Value::Null).await {
        trials.push(Trial::bad("leaving the group", wrong));
    }
    trials
}

fn first_message(answer: &[u8], connectors: &Connectors, now: Millis) -> Trial {
    match super::queue::messages(answer).map(|messages| messages.first().map(|first| first.get().to_owned())) {
        Err(_) => Trial::bad("one event", "the answer holds no messages"),
        Ok(None) => Trial::good("one event", "the queue is empty"),
        Ok(Some(message)) => match one_fact(message.as_bytes(), connectors, now) {
            Ok(found) => Trial::good("one event", found),
            Err(wrong) => Trial::bad("one event", wrong),
        },
    }
}

/// What one entry becomes.
fn one_fact(raw: &[u8], connectors: &Connectors, now: Millis) -> Result<String, String> {
    let raw = Bytes::copy_from_slice(raw);
    let decoded = connectors.decode(System::Oracle, &Delivery::document(&raw, now));
    if let Some(reject) = decoded.rejects.first() {
        return Err(format!("would go to quarantine, {}: {}", reject.code.name(), reject.detail));
    }
    Ok(match decoded.facts.first() {
        Some(fact) => format!("becomes a fact of {}", fact.object),
        None => "is read, and concerns no mapped row".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contract::Clock;

    #[derive(Debug)]
    struct Standing;

    impl Clock for Standing {
        fn now(&self) -> Millis {
            Millis(0)
        }
    }

    #[tokio::test]
    async fn a_source_that_only_pushes_is_no_problem() {
        let trials = check(Paths::default(), &Connectors::shipped(), Arc::new(Standing)).await;
        assert!(trials.iter().all(|trial| trial.result.is_ok()), "{trials:?}");
        assert!(trials[0].result.as_ref().is_ok_and(|found| found.contains("nothing here can be asked")));
    }
}
