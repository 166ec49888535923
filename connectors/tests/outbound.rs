//! Commands out against the simulators: broken off at any instant and sent again, each takes effect
//! once; what is refused says why; what the target does not answer waits.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connectors::SharedClock;
use connectors::edge::credentials::Secret;
use connectors::edge::oauth::Login;
use connectors::oracle::OrdsConfig;
use connectors::outbound::oracle::OracleOutbound;
use connectors::outbound::salesforce::SalesforceOutbound;
use connectors::outbound::sap::{SapOutbound, SapOutboundConfig};
use connectors::outbound::wxcc::WxccOutbound;
use connectors::outbound::{Command, Done, Failure, Outbound, Verb};
use connectors::salesforce::rest::RestConfig;
use fixtures::faults::{FaultSwitch, Faults, Rate};
use fixtures::oracle::OracleServer;
use fixtures::salesforce::{SalesforceConfig, SalesforceServer};
use fixtures::sap::SapServer;
use fixtures::story::System;
use fixtures::world::{Size, World};
use ontology::Millis;

/// How often each command is broken off.
const BREAKS: u64 = 20;
const CASE: &str = "SF-2026-8831";
const INVOICE: &str = "INV-4521";
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn clock() -> SharedClock {
    Arc::new(|| Millis(fixtures::time::T_MS))
}

fn world() -> World {
    World::generate(7, Size::customers(3))
}

fn command(key: &str, details: &str) -> Command {
    Command::parse(format!("{{\"id\": \"{key}\", \"at_ms\": {}, {details}}}", fixtures::time::T_MS).as_bytes()).unwrap()
}

fn task(key: &str) -> Command {
    let details = format!(
        "\"action\": \"create_task\", \"task\": \"task-{key}\", \"case\": \"case/{CASE}\", \"team\": \"finance\", \
         \"due_at_ms\": 1773241200000, \"text\": \"Settle the credit note.\""
    );
    command(key, &details)
}

/// Breaks attempts off, later and later, then lets one through; how that one ended.
async fn broken_off(target: &impl Outbound, command: &Command) -> Result<Done, Failure> {
    for place in 0..BREAKS {
        // From before the request is written to after the answer has come.
        let _ = tokio::time::timeout(Duration::from_micros(100 * place * place), target.perform(command)).await;
    }
    let last = target.perform(command).await;
    assert_eq!(target.perform(command).await, last.clone().map(|_| Done::Before), "sent once more");
    last
}

struct Salesforce {
    server: SalesforceServer,
    target: SalesforceOutbound,
}

async fn salesforce(faults: FaultSwitch) -> Salesforce {
    let server = SalesforceServer::start_with(SalesforceConfig::default(), faults).await.unwrap();
    for happening in world().story().iter().filter(|one| one.system == System::Salesforce) {
        server.publish(happening).unwrap();
    }
    let rest = RestConfig::client_credentials(server.http_url(), "opshub", Secret::new("opshub-secret"));
    let verbs = vec![Verb::CreateTask, Verb::CompleteTask, Verb::CommentCase];
    Salesforce { target: SalesforceOutbound::new(rest, verbs, clock()), server }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_task_exists_however_often_its_making_was_broken_off() {
    let Salesforce { server, target } = salesforce(FaultSwitch::default()).await;
    let complete = command("K2", "\"action\": \"complete_task\", \"task\": \"task-K1\", \"note\": \"x\"");
    assert!(matches!(target.perform(&complete).await, Err(Failure::NotYet(_))), "nothing to complete yet");
    broken_off(&target, &task("K1")).await.unwrap();
    let tasks = server.written("Task");
    assert_eq!(tasks.len(), 1);
    assert_eq!((&tasks[0]["WhatId"], &tasks[0]["Status"]), (&CASE.into(), &"Not Started".into()));
    assert_eq!(tasks[0]["ActivityDate"], "2026-03-11");
    for _ in 0..2 {
        assert_eq!(target.perform(&complete).await, Ok(Done::Now), "completing twice is completing");
    }
    assert_eq!(server.written("Task")[0]["Status"], "Completed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_comment_exists_and_is_not_public() {
    let Salesforce { server, target } = salesforce(FaultSwitch::default()).await;
    let comment = |key, case: &str| {
        command(key, &format!("\"action\": \"comment_case\", \"case\": \"{case}\", \"text\": \"Credit pending.\""))
    };
    broken_off(&target, &comment("K1", CASE)).await.unwrap();
    let comments = server.written("CaseComment");
    assert_eq!((comments.len(), &comments[0]["IsPublished"]), (1, &false.into()));
    let refused = target.perform(&comment("K2", "500nowhere")).await.unwrap_err();
    assert_eq!(refused, Failure::Refused("CaseComment: FIELD_INTEGRITY_EXCEPTION".to_owned()));
    // What was refused left no key behind: a mended command goes through.
    target.perform(&comment("K2", CASE)).await.unwrap();
    assert_eq!(server.written("CaseComment").len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_overloaded_is_asked_again() {
    let faults = FaultSwitch::new(Faults { fail: Rate::ALWAYS, ..Faults::default() });
    let Salesforce { server, target } = salesforce(faults.clone()).await;
    assert!(matches!(target.perform(&task("K1")).await, Err(Failure::Later(_))));
    faults.set(Faults { throttle: Rate::ALWAYS, ..Faults::default() });
    assert!(matches!(target.perform(&task("K1")).await, Err(Failure::Later(_))));
    faults.clear();
    target.perform(&task("K1")).await.unwrap();
    server.stop().await;
    assert!(matches!(target.perform(&task("K1")).await, Err(Failure::Later(_))), "nobody listens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatch_moves_once_and_an_order_is_noted_once() {
    let server = SapServer::start(ANY).await.unwrap();
    let world = world();
    for happening in world.story() {
        server.apply(happening);
    }
    let id_of = |idoc: &str| {
        world.story().iter().find_map(|one| match &one.change {
            fixtures::story::Change::Sap(change) if change.idoc_type == idoc => Some(change.id.clone()),
            _ => None,
        })
    };
    let (dispatch, order) = (id_of("ZFLDDSP01").unwrap(), id_of("ZSRVORD01").unwrap());
    let config = |password: &str| SapOutboundConfig {
        base_url: format!("{}/sap/opu/odata/sap/ZOPSHUB_SRV", server.http_url()),
        login: Login::basic(fixtures::sap::USER.0, Secret::new(password)),
    };
    let verbs = vec![Verb::DelayDispatch, Verb::NoteOrder];
    let target = SapOutbound::new(config(fixtures::sap::USER.1), verbs.clone());
    let delay = |key, dispatch: &str, until: i64| {
        command(key, &format!("\"action\": \"delay_dispatch\", \"dispatch\": \"{dispatch}\", \"until_ms\": {until}"))
    };
    broken_off(&target, &delay("K1", &dispatch, 1_773_155_700_000)).await.unwrap();
    let moved = server.commanded("DispatchSet", &dispatch);
    assert_eq!((moved.changes, moved.eta_ms, moved.keys.as_str()), (1, Some(1_773_155_700_000), "K1"));
    // A later delay stands, even if the earlier one is sent once more.
    target.perform(&delay("K2", &dispatch, 1_773_159_300_000)).await.unwrap();
    assert_eq!(target.perform(&delay("K1", &dispatch, 1_773_155_700_000)).await, Ok(Done::Before));
    assert_eq!(server.commanded("DispatchSet", &dispatch).eta_ms, Some(1_773_159_300_000));

    let note = |key, text: &str| {
        command(key, &format!("\"action\": \"note_order\", \"order\": \"service_order/{order}\", \"text\": \"{text}\""))
    };
    broken_off(&target, &note("K3", "Customer disputes the bill.")).await.unwrap();
    target.perform(&note("K4", "Credit approved.")).await.unwrap();
    let noted = server.commanded("OrderSet", &order);
    assert_eq!((noted.changes, noted.note.as_str()), (2, "Customer disputes the bill.\nCredit approved."));

    let nowhere = target.perform(&delay("K5", "0", 1)).await.unwrap_err();
    assert_eq!(nowhere, Failure::Refused("a record: status 404".to_owned()));
    let stranger = SapOutbound::new(config("wrong"), verbs);
    assert!(matches!(stranger.perform(&delay("K6", &dispatch, 1)).await, Err(Failure::Later(_))));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_is_flagged_once() {
    let faults = FaultSwitch::default();
    let server = OracleServer::start_with(ANY, faults.clone()).await.unwrap();
    for happening in world().story() {
        server.apply(happening);
    }
    let config = OrdsConfig {
        base_url: format!("{}/ords/ar", server.http_url()),
        client_id: fixtures::oracle::CLIENT.0.to_owned(),
        client_secret: Secret::new(fixtures::oracle::CLIENT.1),
    };
    let target = OracleOutbound::new(config, vec![Verb::FlagInvoice]);
    let flag = |key, invoice: &str| {
        command(
            key,
            &format!("\"action\": \"flag_invoice\", \"invoice\": \"invoice/{invoice}\", \"text\": \"20 % over.\""),
        )
    };
    broken_off(&target, &flag("K1", INVOICE)).await.unwrap();
    let reviews = server.reviews();
    assert_eq!((reviews.len(), reviews["K1"].invoice_id.as_str()), (1, INVOICE));
    assert!(matches!(target.perform(&flag("K2", "INV-0")).await, Err(Failure::Refused(_))));
    // A token that runs out is renewed.
    faults.set(Faults { token_life: Some(Duration::ZERO), ..Faults::default() });
    let _ = target.perform(&flag("K3", INVOICE)).await;
    faults.clear();
    target.perform(&flag("K3", INVOICE)).await.unwrap();
    assert_eq!(server.reviews().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_flow_is_told_to_hold_until_the_transfer_is_released() {
    let now = Arc::new(std::sync::atomic::AtomicI64::new(1_000));
    let told = Arc::clone(&now);
    let clock: SharedClock = Arc::new(move || Millis(told.load(std::sync::atomic::Ordering::SeqCst)));
    let target = WxccOutbound::new(Secret::new("flow"), vec![Verb::HoldTransfer, Verb::ReleaseTransfer], clock);
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = target.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = connectors::edge::http::client();
    let ask = |id: &str, token: &str| {
        client.get(format!("http://{address}/webex/transfers/{id}")).bearer_auth(token.to_owned()).send()
    };
    let decision = |id: &'static str| {
        let asked = ask(id, "flow");
        async move {
            let answer = connectors::json::Json::parse(&asked.await.unwrap().bytes().await.unwrap())
                .map(|json| json.get("decision").and_then(connectors::json::Json::text).map(str::to_owned));
            answer.unwrap().unwrap()
        }
    };
    assert_eq!(ask("t1", "guessed").await.unwrap().status().as_u16(), 401);
    assert_eq!(decision("t1").await, "unknown");
    let hold = command("K1", "\"action\": \"hold_transfer\", \"transfer\": \"transfer/t1\", \"until_ms\": 61000");
    assert_eq!(broken_off(&target, &hold).await, Ok(Done::Before));
    assert_eq!(decision("t1").await, "hold");
    now.store(61_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(decision("t1").await, "release", "a hold ends by itself");
    now.store(1_000, std::sync::atomic::Ordering::SeqCst);
    let release = command("K2", "\"action\": \"release_transfer\", \"transfer\": \"t1\", \"complete\": true");
    target.perform(&release).await.unwrap();
    assert_eq!(decision("t1").await, "release");
    assert_eq!(target.perform(&hold).await, Ok(Done::Before), "decided at the same instant, the release stands");
    assert_eq!(decision("t1").await, "release");
}
