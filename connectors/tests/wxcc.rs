//! The contact centre's connector against its simulator: subscriptions that heal, tokens that refresh,
//! windows that split, and losses that leave no trace.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use crate::support::standing::assert_same;
use crate::support::{MemoryLog, Story, context, serve};
use connectors::edge::credentials::Secret;
use connectors::wxcc::{self, WxccAuth, WxccConfig, WxccSearchConfig, WxccSubscriptionsConfig};
use fixtures::Sender;
use fixtures::faults::{FaultSwitch, Faults, Line, Rate};
use fixtures::story::{Change, Happening, WebexChange};
use fixtures::time::T_MS;
use fixtures::world::{Size, World};
use fixtures::wxcc::{REFRESH, WebexDoor, WebexServer};
use ontology::{Field, FieldReader as _, Millis, System};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "webhook-secret";
const PARTITION: &str = "contact-centre";

fn any() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn door(log: &MemoryLog, story: &Story) -> String {
    let config =
        WxccConfig { secrets: vec![Secret::new(SECRET)], partition: PARTITION.to_owned(), is_freshness_checked: false };
    format!("{}/webhooks/wxcc", serve(wxcc::transport::router(context(System::Wxcc, log, story), config)).await)
}

fn refreshing(server: &WebexServer) -> WxccSearchConfig {
    let auth = WxccAuth::Refresh {
        token_url: format!("{}/v1/access_token", server.http_url()),
        client_id: REFRESH.0.to_owned(),
        client_secret: Secret::new(REFRESH.1),
        refresh_token: Secret::new(REFRESH.2),
    };
    WxccSearchConfig {
        interval: Duration::from_millis(20),
        lag_ms: 0,
        first_ms: 200 * Millis::DAY_MS,
        with_transcripts: true,
        ..WxccSearchConfig::new(&server.http_url(), fixtures::wxcc::ORG_ID, auth, PARTITION)
    }
}

/// Runs the list job until nothing up to `until` is missing.
async fn search(config: WxccSearchConfig, log: &MemoryLog, story: &Story, until: i64) {
    let stop = CancellationToken::new();
    let job = wxcc::search::search(context(System::Wxcc, log, story), config, None, stop.clone());
    let running = tokio::spawn(job);
    log.proven(PARTITION, until).await;
    stop.cancel();
    running.await.unwrap();
}

/// When every contact of a world is over: what is said in an open chat only webhooks tell.
const END_MS: i64 = T_MS + Millis::DAY_MS;

fn contacts(world: &World) -> Vec<&Happening> {
    let all: Vec<_> = world.story().iter().filter(|one| matches!(one.change, Change::Webex(_))).collect();
    let is_end = |change: &WebexChange| change.data["currentState"] == "wrapup-done";
    let over: std::collections::BTreeSet<_> = all
        .iter()
        .map(|one| event(one))
        .filter(|change| is_end(change))
        .map(|c| c.data["taskId"].to_string())
        .collect();
    // The story ends in the middle of some.
    all.into_iter().filter(|one| over.contains(&event(one).data["taskId"].to_string())).collect()
}

fn event(happening: &Happening) -> &WebexChange {
    let Change::Webex(change) = &happening.change else { panic!("a contact event") };
    change
}

/// Plays a world's contacts over a line that loses, repeats and disorders; then the list job runs.
async fn played(world: &World, faults: Faults) -> (MemoryLog, u64) {
    let (log, story) = (MemoryLog::default(), Story::default());
    let server = WebexServer::start(any()).await.unwrap();
    let door = WebexDoor::new(door(&log, &story).await, SECRET);
    let sender = Sender::new(3).unwrap();
    story.set(END_MS);
    let mut line = Line::new(FaultSwitch::new(faults));
    for happening in contacts(world) {
        server.apply(happening);
    }
    server.quiet_until(END_MS);
    let (moves, events): (Vec<_>, Vec<_>) =
        contacts(world).into_iter().map(event).partition(|event| event.kind == "desktop:navigated");
    // The desktop's own messages are repeated by the desktop until they are taken.
    for change in line.pass(events, END_MS, |event| event.event_id.clone()).into_iter().chain(moves) {
        door.push(&sender, change, END_MS).await.unwrap();
    }
    search(refreshing(&server), &log, &story, END_MS).await;
    // Transcripts are asked for behind the contacts, within the same run.
    let facts = log.facts();
    let said: Vec<_> = facts.iter().filter(|fact| fact.event_id.starts_with("transcript/")).collect();
    assert!(!said.is_empty() && said.iter().all(|fact| fact.read_at.is_some()), "what was asked for was not told late");
    assert!(log.rejects().is_empty(), "{:?}", log.rejects());
    server.stop().await;
    (log, line.dropped())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_webhooks_lost_leaves_no_trace_after_the_list_job() {
    let world = World::generate(5, Size::customers(150));
    let (whole, dropped) = played(&world, Faults::default()).await;
    assert_eq!(dropped, 0);
    for percent in [1, 20] {
        let faults = Faults {
            drop: Rate::percent(percent),
            repeat: Rate::percent(percent),
            reorder: Rate::percent(percent),
            ..Faults::default()
        };
        let (lossy, dropped) = played(&world, faults).await;
        assert!(dropped > 0, "{percent} % of nothing");
        assert_same(&format!("{percent} % lost"), &whole, &lossy);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transferred_contact_begins_with_its_first_leg() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let door = WebexDoor::new(door(&log, &story).await, SECRET);
    let sender = Sender::new(3).unwrap();
    let push = async |kind: &'static str, id: &str, at_ms: i64| {
        let data = serde_json::json!({ "taskId": "t", "channelType": "telephony", "createdTime": at_ms });
        let change = WebexChange { kind, event_id: id.to_owned(), data, lost: false };
        door.push(&sender, &change, T_MS).await.unwrap();
    };
    push("task:connected", "c", 3_000).await;
    push("task:connected", "b", 2_000).await;
    push("task:new", "a", 1_000).await;
    let mut rows: Vec<_> = log.facts().into_iter().filter(|f| f.fields.time(Field::StartedAt).is_some()).collect();
    assert!(rows.iter().all(|fact| fact.entity.id == "t"));
    rows.sort_by_key(ontology::Fact::source_key);
    // Rows of one entity are asked in the order of their names.
    let started: Vec<_> = rows.iter().map(|fact| fact.fields.time(Field::StartedAt).unwrap().0).collect();
    assert_eq!(started, [2_000, 3_000, 1_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_wrap_up_says_nothing_of_status_caller_and_channel() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let door = WebexDoor::new(door(&log, &story).await, SECRET);
    let sender = Sender::new(3).unwrap();
    let push = async |kind: &'static str, at_ms: i64, data: serde_json::Value| {
        let mut data = data;
        data["taskId"] = "t".into();
        data["createdTime"] = at_ms.into();
        let change = WebexChange { kind, event_id: format!("e-{at_ms}"), data, lost: false };
        door.push(&sender, &change, T_MS).await.unwrap();
    };
    let told = |field: Field| {
        let facts = log.facts();
        let of_contact =
            facts.iter().filter(|fact| fact.object == "task" && fact.fields.iter().any(|(f, _)| f == field));
        let newest = of_contact.max_by_key(|fact| fact.version.clone());
        newest.map(|fact| format!("{:?}", fact.fields.get(field)))
    };
    // An outbound call is handed on: the second agent talks while the first one wraps up.
    let call = |agent: &str, queue: &str| {
        serde_json::json!({ "agentId": agent, "queueId": queue, "channelType": "telephony", "direction": "OUTBOUND",
            "outboundType": "COURTESY_CALLBACK", "origin": "+18005550199", "destination": "+15185550112" })
    };
    push("task:connected", 10_000, call("a", "q1")).await;
    push("task:connected", 100_000, call("b", "q2")).await;
    let fields = [Field::Status, Field::AgentId, Field::Queue, Field::Channel, Field::Direction, Field::CallerRef];
    let before = fields.map(told);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    for (kind, at_ms, state) in
        [("agent:state_change", 101_000, "wrapup"), ("agent:channel_state_change", 130_000, "wrapup-done")]
    {
        let mut wrapped = call("a", "q1");
        for absent in ["direction", "outboundType"] {
            wrapped.as_object_mut().unwrap().remove(absent);
        }
        wrapped["currentState"] = state.into();
        wrapped["globalVariables"] = serde_json::json!({ "wrapUp": state });
        push(kind, at_ms, wrapped).await;
    }
    assert_eq!(fields.map(told), before);
    assert!(told(Field::WrapUp).unwrap().contains("wrapup-done"), "what the flow says of it stays");
    let callers: Vec<_> = log.facts().into_iter().filter(|fact| fact.object == "caller").collect();
    assert!(callers.iter().all(|fact| fact.record_id == "+15185550112"), "{callers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_waits_for_days_is_followed_as_long_as_it_goes_on() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let server = WebexServer::start(any()).await.unwrap();
    let happens = |kind: &'static str, at_ms: i64, agent: &str| {
        let data = serde_json::json!({ "taskId": "mail", "channelType": "email", "direction": "INBOUND",
            "origin": "ann@example.com", "queueId": "q", "agentId": agent, "createdTime": at_ms });
        let change = WebexChange { kind, event_id: format!("e-{at_ms}"), data, lost: true };
        let system = fixtures::story::System::Wxcc;
        server.apply(&Happening { at_ms, deliver_ms: at_ms, system, change: Change::Webex(change) });
    };
    happens("task:new", T_MS - 5 * Millis::DAY_MS, "");
    server.quiet_until(T_MS);
    let stop = CancellationToken::new();
    let job = wxcc::search::search(context(System::Wxcc, &log, &story), refreshing(&server), None, stop.clone());
    let running = tokio::spawn(job);
    log.proven(PARTITION, T_MS).await;
    let later = T_MS + Millis::MINUTE_MS;
    happens("task:connected", later, "agent-z");
    story.set(later);
    server.quiet_until(later);
    let is_told = |log: &MemoryLog| log.facts().iter().any(|f| f.fields.text(Field::AgentId) == Some("agent-z"));
    log.until("the agent", is_told).await;
    stop.cancel();
    running.await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_two_subscriptions_tell_is_stored_once() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let door = WebexDoor::new(door(&log, &story).await, SECRET);
    let sender = Sender::new(3).unwrap();
    let data = serde_json::json!({ "taskId": "t", "createdTime": 5 });
    for id in ["a", "b", "a"] {
        let change = WebexChange { kind: "task:new", event_id: id.to_owned(), data: data.clone(), lost: false };
        assert_eq!(door.push(&sender, &change, T_MS).await.unwrap(), fixtures::Receipt::Taken);
    }
    assert_eq!(log.facts().len(), 1);
    log.is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let change = WebexChange { kind: "task:parked", event_id: "c".to_owned(), data, lost: false };
    assert!(Sender::new(1).unwrap().post(&door.url, &[], Vec::new()).await.is_ok(), "unsigned is refused at once");
    assert!(door.push(&Sender::new(1).unwrap(), &change, T_MS).await.is_err(), "a full log takes nothing");
    log.is_full.store(false, std::sync::atomic::Ordering::SeqCst);
    door.push(&sender, &change, T_MS).await.unwrap();
    assert_eq!(log.facts().len(), 2, "what was not stored is no repeat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_with_too_much_is_halved_and_tokens_are_renewed() {
    let world = World::generate(6, Size::customers(60));
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(END_MS);
    // Every fifth call finds its token ended, one in fifty is throttled or fails.
    let faults = Faults {
        token_expired: Rate::percent(20),
        throttle: Rate::percent(1),
        fail: Rate::percent(1),
        ..Faults::default()
    };
    let server = WebexServer::start_with(any(), FaultSwitch::new(faults)).await.unwrap();
    contacts(&world).into_iter().for_each(|happening| server.apply(happening));
    server.quiet_until(END_MS);
    server.bound_queries(10);
    let config = WxccSearchConfig { records_max: 10, with_transcripts: false, ..refreshing(&server) };
    let stop = CancellationToken::new();
    let job = wxcc::search::search(context(System::Wxcc, &log, &story), config, None, stop.clone());
    let running = tokio::spawn(job);
    let all: std::collections::BTreeSet<_> =
        contacts(&world).into_iter().filter_map(|h| event(h).data["taskId"].as_str().map(str::to_owned)).collect();
    assert!(all.len() > 30, "{}", all.len());
    log.until("every contact", |log| {
        let known: std::collections::BTreeSet<_> = log.facts().iter().map(|f| f.entity.id.to_string()).collect();
        all.is_subset(&known)
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_created_verified_and_repaired() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let server = Arc::new(WebexServer::start(any()).await.unwrap());
    server.quiet_until(T_MS);
    let url = door(&log, &story).await;
    let subscriptions = Some(WxccSubscriptionsConfig {
        destination_url: url.clone(),
        name: "hub".to_owned(),
        secret: Secret::new(SECRET),
    });
    let config = WxccSearchConfig { first_ms: 0, subscriptions, ..refreshing(&server) };
    let stop = CancellationToken::new();
    let job = wxcc::search::search(context(System::Wxcc, &log, &story), config, None, stop.clone());
    let running = tokio::spawn(job);
    log.proven(PARTITION, T_MS).await;
    let names = |server: &WebexServer| server.subscriptions().into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(&server), ["hub-task", "hub-agent", "hub-task-message", "hub-capture"]);

    let sender = Sender::new(1).unwrap();
    let data = serde_json::json!({ "taskId": "t", "createdTime": T_MS });
    let change = |id: &str| WebexChange { kind: "task:new", event_id: id.to_owned(), data: data.clone(), lost: false };
    assert_eq!(server.deliver(&sender, &change("e1"), T_MS).await.unwrap(), 1, "it is signed as we know");

    // Somebody switches one off and points another elsewhere; a third is gone.
    server.change_subscriptions(|all| {
        all[0].is_active = false;
        all[1].destination_url = "https://elsewhere.example.com/".to_owned();
        all.retain(|one| one.name != "hub-capture");
    });
    server.revoke_tokens();
    let later = T_MS + 6 * Millis::MINUTE_MS;
    story.set(later);
    server.quiet_until(later);
    log.proven(PARTITION, later).await;
    let all = server.subscriptions();
    assert!(all.iter().all(|one| one.is_active && one.destination_url == url), "{all:?}");
    assert_eq!(names(&server), ["hub-task", "hub-agent", "hub-task-message", "hub-capture"]);
    stop.cancel();
    running.await.unwrap();
}
