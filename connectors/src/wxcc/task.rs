//! A contact as Search knows it: what webhooks lost comes back here.
//!
//! Search has no time of change. The newest of the contact's own times and of its activities orders
//! what it says: it beats every webhook that it already reflects, and loses to those that it does not
//! know yet because reports lag. Of answers with the same newest time the state orders: a contact may
//! end in the millisecond of its last activity, and the answer from before that must not stand.

use std::borrow::Cow;

use ontology::Millis;

use super::caller::Country;
use super::event::{Event, LIFECYCLE, RANK_SEARCH, is_final, rank};
use crate::json::Json;

/// What Search is asked for of every contact.
pub const FIELDS: &str = "id status channelType createdTime endedTime origin destination direction isActive isCallback \
    contactReason terminationType terminatingEnd totalDuration connectedDuration csatScore autoCsat \
    lastWrapupCodeName lastQueue { id name } lastAgent { id name } \
    stringGlobalVariables { name value } integerGlobalVariables { name value } longGlobalVariables { name value } \
    doubleGlobalVariables { name value } booleanGlobalVariables { name value } \
    activities(first: 100) { totalCount nodes { createdTime endedTime eventName agentId queueId } }";

/// Longest duration that a contact may have, in milliseconds: what is above is no duration.
const DURATION_MS_MAX: i64 = 400 * Millis::DAY_MS;

/// A leg of a contact: an agent was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// Since when.
    pub at: Millis,
}

/// A contact read from Search.
pub struct Task<'a> {
    /// What it says, as an event.
    pub event: Event<'a>,
    /// When agents were connected.
    pub legs: Vec<Leg>,
}

impl<'a> Task<'a> {
    /// Reads a task, whose numbers without the code of a country are of `country`; none names what is
    /// missing.
    pub fn read(task: &'a Json<'a>, country: Option<Country>) -> Result<Self, &'static str> {
        let id = task.get("id").and_then(Json::text).filter(|id| !id.is_empty()).ok_or("search: a task without id")?;
        let at = newest(task).ok_or("search: a task without time")?;
        let name = Cow::Owned(format!("search/{id}/{}", at.0));
        let mut event = Event::new(name, task, at, rank_of(task), country).of_search();
        event.say("taskId", id);
        if let Some(created) = time(task, "createdTime") {
            event.count("@started", created);
        }
        describe(task, &mut event);
        for (column, path) in [("agentId", "lastAgent.id"), ("queueId", "lastQueue.id")] {
            if let Some(value) = task.path(path).and_then(Json::text) {
                event.say(column, value);
            }
        }
        if let Some(code) = task.get("lastWrapupCodeName").and_then(Json::text) {
            event.say("@wrap_up_code", code);
        }
        for (column, name) in [("@csat", "csatScore"), ("@auto_csat", "autoCsat")] {
            if let Some(score) = task.get(name).and_then(Json::scalar).and_then(sentiment_of) {
                event.say(column, score);
            }
        }
        Ok(Task { event, legs: legs(task) })
    }
}

/// Whether the contact is over.
fn is_over(task: &Json<'_>) -> bool {
    task.get("isActive") == Some(&Json::Bool(false))
}

/// Place among answers with the same newest time: above every event, in the order of the lifecycle.
fn rank_of(task: &Json<'_>) -> u64 {
    let status = task.get("status").and_then(Json::text).unwrap_or_default();
    RANK_SEARCH + if is_over(task) { LIFECYCLE.len() as u64 } else { rank(status) }
}

/// Status, end and duration.
fn describe<'a>(task: &'a Json<'a>, event: &mut Event<'a>) {
    if !is_over(task) {
        // Search knows the contact as a whole: one that goes on has no end and no duration, whatever
        // an earlier leg said. In wrap-up the agent goes on and the customer does not.
        match time(task, "endedTime").filter(|_| is_final(task)) {
            Some(ended) => event.count("@ended", ended),
            None => event.clear("@ended"),
        }
        event.clear("@connected_ms");
        if let Some(status) = task.get("status").and_then(Json::text).filter(|s| *s != "ended") {
            event.say("@status", status);
        }
        return;
    }
    event.say("@status", "Ended");
    if let Some(ended) = time(task, "endedTime") {
        event.count("@ended", ended);
    }
    let duration = |name: &str| task.get(name).and_then(Json::integer).filter(|d| (0..DURATION_MS_MAX).contains(d));
    // Nobody was connected: the contact lasted as long as the customer waited.
    if let Some(duration) = duration("connectedDuration").filter(|d| *d > 0).or(duration("totalDuration")) {
        event.count("@connected_ms", duration);
    }
}

fn time(task: &Json<'_>, name: &str) -> Option<i64> {
    task.get(name).and_then(Json::integer).filter(|t| *t > 0)
}

fn activities<'a>(task: &'a Json<'a>) -> &'a [Json<'a>] {
    task.path("activities.nodes").map(Json::elements).unwrap_or_default()
}

/// The newest time that the contact tells.
fn newest(task: &Json<'_>) -> Option<Millis> {
    let own = ["createdTime", "endedTime"].into_iter().filter_map(|name| time(task, name));
    let times = |node| ["createdTime", "endedTime"].into_iter().filter_map(move |name| time(node, name));
    let of_activities = activities(task).iter().flat_map(times);
    own.chain(of_activities).max().map(Millis)
}

fn legs(task: &Json<'_>) -> Vec<Leg> {
    let is_connected = |node: &&Json<'_>| {
        node.get("eventName").and_then(Json::text).is_some_and(|name| name.eq_ignore_ascii_case("connected"))
    };
    let times = activities(task).iter().filter(is_connected).filter_map(|node| time(node, "createdTime"));
    times.map(|at| Leg { at: Millis(at) }).collect()
}

/// Satisfaction from 1 to 5 as sentiment from -1 to 1, where that is what stands there.
fn sentiment_of(score: &str) -> Option<&'static str> {
    Some(match score.trim() {
        "1" | "1.0" => "-1",
        "2" | "2.0" => "-0.5",
        "3" | "3.0" => "0",
        "4" | "4.0" => "0.5",
        "5" | "5.0" => "1",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::value::{Columns as _, Native};

    fn check(raw: &str, expected_at: i64, columns: &[(&str, Option<&str>)]) {
        let json = Json::parse(raw.as_bytes()).unwrap();
        let task = Task::read(&json, None).map_err(str::to_owned).unwrap();
        assert_eq!(task.event.at, Millis(expected_at), "{raw}");
        for (column, expected) in columns {
            let found = task.event.column(column);
            let found = found.as_ref().map(|value| match value {
                Native::Null => "null".to_owned(),
                other => other.verbatim().into_owned(),
            });
            assert_eq!(found.as_deref(), *expected, "{column} of {raw}");
        }
    }

    #[test]
    fn a_contact_that_is_over_has_an_end_and_a_duration() {
        check(
            r#"{"id":"t","status":"ended","isActive":false,"createdTime":10,"endedTime":"90","connectedDuration":60,
                "totalDuration":80,"lastWrapupCodeName":"Resolved","autoCsat":"2"}"#,
            90,
            &[
                ("@status", Some("Ended")),
                ("@started", Some("10")),
                ("@ended", Some("90")),
                ("@connected_ms", Some("60")),
                ("@wrap_up_code", Some("Resolved")),
                ("@auto_csat", Some("-0.5")),
                ("@csat", None),
            ],
        );
        let abandoned = r#"{"id":"t","isActive":false,"createdTime":10,"connectedDuration":0,"totalDuration":80}"#;
        check(abandoned, 10, &[("@connected_ms", Some("80")), ("@ended", None)]);
    }

    #[test]
    fn a_contact_that_goes_on_has_neither() {
        let waiting = r#"{"id":"t","status":"parked","isActive":true,"createdTime":10,"endedTime":null,
                "totalDuration":80,"isCallback":true,"channelType":"telephony"}"#;
        let columns = [
            ("@status", Some("parked")),
            ("@ended", Some("null")),
            ("@connected_ms", Some("null")),
            ("@channel", Some("COURTESY_CALLBACK")),
        ];
        check(waiting, 10, &columns);
        let wrapped = |end: &str| {
            let raw = r#"{"id":"t","status":"wrapup","isActive":true,"createdTime":10,"endedTime":90,"terminatingEnd":"END"}"#;
            raw.replace("END", end)
        };
        let ended = [("@status", Some("wrapup")), ("@ended", Some("90")), ("@connected_ms", Some("null"))];
        check(&wrapped("Customer"), 90, &ended);
        check(&wrapped("System"), 90, &[("@ended", Some("null"))]);
        let paused = r#"{"id":"t","status":"ended","isActive":true,"createdTime":10}"#;
        check(paused, 10, &[("@status", None)]);
    }

    #[test]
    fn of_one_instant_the_state_orders() {
        let rank = |status: &str, is_active: bool| {
            rank_of(&Json::parse(format!(r#"{{"status":"{status}","isActive":{is_active}}}"#).as_bytes()).unwrap())
        };
        assert!(rank("created", true) < rank("connected", true) && rank("connected", true) < rank("wrapup", true));
        assert!(rank("wrapup-done", true) < rank("ended", false), "the end stands");
        assert!(rank("created", true) >= RANK_SEARCH);
    }

    #[test]
    fn activities_tell_legs_and_the_newest_time() {
        let raw = r#"{"id":"t","createdTime":10,"activities":{"totalCount":3,"nodes":[
            {"createdTime":20,"eventName":"connected"},{"createdTime":50,"eventName":"Connected"},
            {"createdTime":70,"eventName":"WrapUp"}]}}"#;
        check(raw, 70, &[]);
        let json = Json::parse(raw.as_bytes()).unwrap();
        let legs = Task::read(&json, None).map_err(str::to_owned).unwrap().legs;
        assert_eq!(legs, [Leg { at: Millis(20) }, Leg { at: Millis(50) }]);
    }

    #[test]
    fn variables_of_every_type_are_found() {
        let raw = r#"{"id":"t","createdTime":1,"stringGlobalVariables":[{"name":"caseRef","value":"C-1"}],
            "doubleGlobalVariables":[{"name":"sentimentScore","value":-0.4}],"booleanGlobalVariables":null}"#;
        let columns = [
            ("globalVariables.caseRef", Some("C-1")),
            ("globalVariables.sentimentScore", Some("-0.4")),
            ("globalVariables.none", None),
        ];
        check(raw, 1, &columns);
    }

    #[test]
    fn what_names_no_contact_or_no_time_is_refused() {
        for raw in
            [r#"{"createdTime":1}"#, r#"{"id":"","createdTime":1}"#, r#"{"id":"t"}"#, r#"{"id":"t","createdTime":0}"#]
        {
            assert!(Task::read(&Json::parse(raw.as_bytes()).unwrap(), None).is_err(), "{raw}");
        }
    }
}
