//! Zendesk's edge against its simulator: webhooks that are signed, lost, repeated and disordered,
//! and the export that makes good for them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{MemoryLog, Story, context, serve};
use connectors::Connectors;
use connectors::edge::credentials::Secret;
use connectors::zendesk::export::{Login, Stream, ZendeskExportConfig, export};
use connectors::zendesk::transport::{ZendeskConfig, router};
use fixtures::faults::{FaultSwitch, Faults, Line, Rate};
use fixtures::story::{Change, Happening, SalesforceChange, SalesforceKind};
use fixtures::world::{Size, World};
use fixtures::zendesk::{BEARER, LOGIN, ZendeskDoor, ZendeskEvent, ZendeskServer, sign};
use fixtures::{Receipt, Sender};
use ontology::{EntityKind, Fact, Op, Stamp, System, ValueRef};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "webhook-secret";
const PARTITION: &str = "desk";
/// Story time after everything that happened.
const END_MS: i64 = fixtures::time::T_MS + fixtures::time::DAY_MS;

async fn desk(faults: &FaultSwitch) -> ZendeskServer {
    let config = fixtures::zendesk::ZendeskConfig {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        requests_per_minute: u32::MAX,
    };
    ZendeskServer::start_with(config, faults.clone()).await.unwrap()
}

async fn door(log: &MemoryLog, story: &Story, is_freshness_checked: bool) -> ZendeskDoor {
    let secrets = vec![Secret::new("older-secret"), Secret::new(SECRET)];
    let config = ZendeskConfig { secrets, partition: PARTITION.to_owned(), is_freshness_checked };
    let base = serve(router(context(System::Zendesk, log, story), config)).await;
    ZendeskDoor { url: format!("{base}/webhooks/zendesk"), secret: SECRET.to_owned() }
}

fn export_config(desk: &ZendeskServer) -> ZendeskExportConfig {
    ZendeskExportConfig {
        base_url: desk.http_url(),
        login: Login::ApiToken { email: LOGIN.0.to_owned(), token: Secret::new(LOGIN.1) },
        streams: vec![Stream::Tickets, Stream::Organizations],
        partition: PARTITION.to_owned(),
        interval: Duration::from_millis(20),
        page_pause: Duration::ZERO,
    }
}

/// Runs the export on what the log holds of its positions until it proves itself up to `until_ms`.
async fn exported(desk: &ZendeskServer, log: &MemoryLog, story: &Story, until_ms: i64) {
    let stop = CancellationToken::new();
    let positions = log.clone();
    let position = move |name: &str| positions.position(name);
    let job = export(context(System::Zendesk, log, story), export_config(desk), position, stop.clone());
    let job = tokio::spawn(job);
    log.proven(PARTITION, until_ms).await;
    stop.cancel();
    job.await.unwrap();
}

fn happen(desk: &ZendeskServer) -> Vec<ZendeskEvent> {
    let world = World::generate(7, Size::customers(20));
    let events = world.story().iter().flat_map(|happening| desk.apply(happening)).collect();
    desk.quiet_until(END_MS);
    events
}

/// What every record comes to: per row and field the value at the highest stamp.
fn folded(facts: &[Fact]) -> BTreeMap<String, (Stamp, String)> {
    let mut rows: BTreeMap<String, (Stamp, String)> = BTreeMap::new();
    let mut say = |place: String, stamp: Stamp, value: String| {
        let said = rows.entry(place).or_insert_with(|| (stamp.clone(), value.clone()));
        if (&stamp, &value) > (&said.0, &said.1) {
            *said = (stamp, value);
        }
    };
    for fact in facts.iter().filter(|fact| fact.op != Op::Heartbeat) {
        let row = format!("{}/{}", fact.object, fact.record_id);
        if fact.op == Op::Delete {
            say(format!("{row} gone"), fact.stamp(), String::new());
        }
        for (field, value) in fact.fields.iter() {
            say(format!("{row} {field:?}"), fact.stamp(), format!("{value:?}"));
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_become_facts_only_with_the_right_signature() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let desk = desk(&FaultSwitch::default()).await;
    let events = happen(&desk);
    let door = door(&log, &story, true).await;
    let sender = Sender::new(1).unwrap();
    story.set(END_MS);
    assert_eq!(door.push(&sender, &events[0], END_MS - 300_000).await.unwrap(), Receipt::Taken);
    assert_eq!(log.facts().len(), 1);

    let late = door.push(&sender, &events[1], END_MS - 301_000).await.unwrap();
    assert_eq!(late, Receipt::Refused(401), "signed for too long ago");
    let stranger = ZendeskDoor { secret: "guessed".to_owned(), ..door.clone() };
    assert_eq!(stranger.push(&sender, &events[1], END_MS).await.unwrap(), Receipt::Refused(401));
    let timestamp = fixtures::time::instant(END_MS);
    let signed = sign(SECRET, &timestamp, b"{}");
    let headers = |signature: String| {
        [("x-zendesk-webhook-signature", signature), ("x-zendesk-webhook-signature-timestamp", timestamp.clone())]
    };
    let altered = sender.post(&door.url, &headers(signed), b"{ }".to_vec()).await.unwrap();
    assert_eq!(altered, Receipt::Refused(401), "another body than was signed");
    assert_eq!(sender.post(&door.url, &[], b"{}".to_vec()).await.unwrap(), Receipt::Refused(401));
    assert_eq!(log.facts().len(), 1);

    // What is signed and not understood is kept, so it is acknowledged.
    assert_eq!(door.push_raw(&sender, Vec::new(), END_MS, "1").await.unwrap(), Receipt::Taken);
    let large = vec![b' '; connectors::BODY_BYTES_MAX + 1];
    assert_eq!(door.push_raw(&sender, large, END_MS, "1").await.unwrap(), Receipt::Refused(413));
    let malformed = ("zendesk".to_owned(), "malformed".to_owned());
    assert_eq!(log.rejects(), BTreeMap::from([(malformed, 1)]));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_asks_for_another_attempt_within_a_minute() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let desk = desk(&FaultSwitch::default()).await;
    let events = happen(&desk);
    let door = door(&log, &story, false).await;
    log.is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let gave_up = door.push(&Sender::new(1).unwrap(), &events[0], 0).await.unwrap_err();
    assert!(gave_up.to_string().contains("503"), "{gave_up}");
    log.is_full.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(door.push(&Sender::new(1).unwrap(), &events[0], 0).await.unwrap(), Receipt::Taken);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_webhooks_lost_comes_back_through_the_export() {
    let mut folds = Vec::new();
    for percent in [0, 1, 20] {
        let rate = Rate::percent(percent);
        let faults = FaultSwitch::new(Faults { drop: rate, repeat: rate, reorder: rate, ..Faults::default() });
        let (log, story) = (MemoryLog::default(), Story::default());
        let desk = desk(&FaultSwitch::default()).await;
        let events = happen(&desk);
        let mut line = Line::new(faults);
        let arriving = line.pass(events, END_MS, |event| event.id.clone());
        assert_eq!(line.dropped() > 0, percent > 0);
        let (door, sender) = (door(&log, &story, false).await, Sender::new(3).unwrap());
        for event in arriving {
            assert_eq!(door.push(&sender, &event, event.at_ms).await.unwrap(), Receipt::Taken);
        }
        story.set(END_MS);
        exported(&desk, &log, &story, END_MS - 61_000).await;
        assert!(log.rejects().is_empty(), "{:?}", log.rejects());
        folds.push(folded(&log.facts()));
        desk.stop().await;
    }
    assert!(folds[0].len() > 200, "{} fields", folds[0].len());
    assert!(folds.iter().all(|fold| *fold == folds[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_export_goes_on_where_it_was_stopped_and_starts_again_with_an_unknown_cursor() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let faults = FaultSwitch::default();
    let desk = desk(&faults).await;
    let world = World::generate(7, Size::customers(20));
    let happenings = world.story();
    let half = happenings.len() / 2;
    let now_ms = happenings[half].at_ms + 120_000;
    for happening in &happenings[..half] {
        desk.apply(happening);
    }
    desk.quiet_until(now_ms);
    story.set(now_ms);
    exported(&desk, &log, &story, now_ms - 61_000).await;
    let read = log.facts().len();
    let tickets = |log: &MemoryLog| {
        let of_cases = |fact: &&Fact| fact.entity.kind == EntityKind::Case;
        log.facts().iter().filter(of_cases).map(|fact| fact.record_id.clone()).collect::<Vec<_>>()
    };
    let first = tickets(&log);
    assert!(!first.is_empty());

    for happening in &happenings[half..] {
        desk.apply(happening);
    }
    desk.quiet_until(END_MS);
    story.set(END_MS);
    exported(&desk, &log, &story, END_MS - 61_000).await;
    let again: Vec<Fact> = log.facts()[read..].to_vec();
    let repeated = again.iter().filter(|fact| fact.read_at.is_some() && fact.changed_at.0 < now_ms - 300_000).count();
    assert_eq!(repeated, 0, "the cursor leads past what was read");

    // The desk forgets its cursors: nothing is lost, and nothing but the overlap comes again.
    faults.set(Faults { new_replay_space_after: Some(0), ..Faults::default() });
    let read = log.facts().len();
    story.set(END_MS + 1_000);
    desk.quiet_until(END_MS + 1_000);
    exported(&desk, &log, &story, END_MS - 60_500).await;
    assert!(log.facts()[read..].iter().all(|fact| fact.entity.kind != EntityKind::Case));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_cursors_lose_nothing_whatever_the_clock_of_the_hub_says() {
    let world = World::generate(7, Size::customers(20));
    let (first, second) = world.story().split_at(world.story().len() / 2);
    let read = |is_forgotten: bool| async move {
        let (log, story, faults) = (MemoryLog::default(), Story::default(), FaultSwitch::default());
        let desk = desk(&faults).await;
        first.iter().for_each(|happening| drop(desk.apply(happening)));
        if is_forgotten {
            let now_ms = first.iter().map(|happening| happening.at_ms).max().unwrap();
            desk.quiet_until(now_ms);
            story.set(END_MS);
            exported(&desk, &log, &story, now_ms - 61_000).await;
            faults.set(Faults { new_replay_space_after: Some(0), ..Faults::default() });
        }
        second.iter().for_each(|happening| drop(desk.apply(happening)));
        desk.quiet_until(END_MS);
        story.set(END_MS);
        exported(&desk, &log, &story, END_MS - 61_000).await;
        desk.stop().await;
        let tickets = folded(&log.facts());
        tickets.into_iter().map(|(place, (_, value))| (place, value)).collect::<BTreeMap<_, _>>()
    };
    let (again, whole) = (read(true).await, read(false).await);
    let lost: Vec<_> = whole.iter().filter(|(place, value)| again.get(*place) != Some(value)).collect();
    assert!(whole.len() > 100 && lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), whole.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_organisations_that_changed_within_a_minute_are_all_read() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let desk = desk(&FaultSwitch::default()).await;
    for n in 0..2_500_i64 {
        let at_ms = fixtures::time::T_MS + n * 20;
        let change = SalesforceChange {
            object: "Account",
            ids: vec![format!("001{n:012}")],
            kind: SalesforceKind::Create,
            fields: fixtures::story::fields([("Name", format!("Company {n}").as_str().into())]),
            commit_number: n,
            transaction_key: format!("t-{n}"),
            event_id: format!("e-{n}"),
        };
        let change = Change::Salesforce(change);
        let system = fixtures::story::System::Salesforce;
        desk.apply(&Happening { at_ms, deliver_ms: at_ms, system, change });
    }
    desk.quiet_until(END_MS);
    story.set(END_MS);
    exported(&desk, &log, &story, END_MS - 61_000).await;
    let known: std::collections::BTreeSet<_> = log
        .facts()
        .into_iter()
        .filter(|fact| fact.entity.kind == EntityKind::Account)
        .map(|fact| fact.record_id)
        .collect();
    assert_eq!(known.len(), 2_500);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_that_does_not_answer_proves_nothing() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let faults = FaultSwitch::new(Faults { token_expired: Rate::ALWAYS, ..Faults::default() });
    let desk = desk(&faults).await;
    happen(&desk);
    story.set(END_MS);
    let stop = CancellationToken::new();
    let context = context(System::Zendesk, &log, &story);
    let status = context.status.clone();
    let mut config = export_config(&desk);
    config.login = Login::Bearer(Secret::new(BEARER));
    let job = tokio::spawn(export(context, config, |_| None, stop.clone()));
    while status.get().last_error.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(status.get().last_error.contains("does not accept the credential"), "{}", status.get().last_error);
    assert!(log.facts().is_empty());
    faults.clear();
    log.proven(PARTITION, END_MS - 61_000).await;
    let names: Vec<_> = log.facts().iter().filter(|f| f.entity.kind == EntityKind::Account).cloned().collect();
    assert!(names.iter().any(|fact| fact.fields.iter().any(|(_, value)| matches!(value, ValueRef::Text(_)))));
    stop.cancel();
    job.await.unwrap();
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowance_that_is_used_up_is_waited_for() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let desk = ZendeskServer::start(fixtures::zendesk::ZendeskConfig::at(address)).await.unwrap();
    happen(&desk);
    story.set(END_MS);
    let stop = CancellationToken::new();
    let context = context(System::Zendesk, &log, &story);
    let status = context.status.clone();
    let job = tokio::spawn(export(context, export_config(&desk), |_| None, stop.clone()));
    while status.get().last_error.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(status.get().last_error.contains("429"), "{}", status.get().last_error);
    stop.cancel();
    job.await.unwrap();
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_can_be_tried_out_before_it_is_relied_on() {
    let (log, story, faults) = (MemoryLog::default(), Story::default(), FaultSwitch::default());
    let desk = desk(&faults).await;
    happen(&desk);
    story.set(END_MS);
    let clock = context(System::Zendesk, &log, &story).clock;
    let tried = async |config: ZendeskExportConfig, clock| {
        let trials = connectors::zendesk::check::check(&config, &Connectors::shipped(), clock).await;
        trials.into_iter().map(|trial| (trial.what, trial.result)).collect::<Vec<_>>()
    };
    let well = tried(export_config(&desk), clock.clone()).await;
    let names: Vec<&str> = well.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(names, ["login", "clock", "export of tickets", "export of organizations"]);
    assert!(well.iter().all(|(_, result)| result.is_ok()), "{well:?}");
    // One refusal is enough, however many streams are read.
    let stranger = ZendeskExportConfig { login: Login::Bearer(Secret::new("nobody's")), ..export_config(&desk) };
    let refused = tried(stranger, clock.clone()).await;
    let [(what, Err(wrong))] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(what == "export of tickets" && wrong.contains("is the token that of the agent"), "{wrong}");
    // A stream that this desk does not have keeps none of the others from being tried.
    let streams = vec![Stream::Users, Stream::Tickets];
    let partly = tried(ZendeskExportConfig { streams, ..export_config(&desk) }, clock.clone()).await;
    let told = |name: &str| partly.iter().find(|(what, _)| what == name).map(|(_, result)| result.is_ok());
    assert_eq!((told("export of users"), told("export of tickets")), (Some(false), Some(true)), "{partly:?}");
    story.set(END_MS + 121_000);
    let behind = tried(export_config(&desk), clock.clone()).await;
    let wrong: Vec<&str> = behind.iter().filter(|(_, it)| it.is_err()).map(|(what, _)| what.as_str()).collect();
    assert_eq!(wrong, ["clock"], "{behind:?}");
    let config = export_config(&desk);
    desk.stop().await;
    let gone = tried(config, clock).await;
    assert!(gone.len() == 1 && gone[0].1.as_ref().is_err_and(|wrong| wrong.contains("may this machine reach it?")));
    assert!(log.facts().is_empty(), "nothing is stored");
}
