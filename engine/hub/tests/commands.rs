//! Commands put into the outbox of a real hub that is killed between sending and noting, again and
//! again: one task exists, the dispatch moved once, and the hub tells what became of them.
#![allow(clippy::unwrap_used)]

#[path = "commands/onboarding.rs"]
mod onboarding;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fixtures::oracle::OracleServer;
use fixtures::player::Vendors;
use fixtures::salesforce::{SalesforceConfig, SalesforceServer};
use fixtures::sap::SapServer;
use fixtures::story::Change;
use fixtures::world::{Size, World};
use storage::{Changes, Durability, Embedded, Rows as _};

/// How often the hub dies in the middle of each command.
const KILLS: usize = 20;
/// How long a hub may take to do what it has to.
const PATIENCE: Duration = Duration::from_secs(300);
const CASE: &str = "SF-2026-8831";
const INVOICE: &str = "INV-4521";

fn key(digit: char) -> String {
    format!("action-{}", digit.to_string().repeat(20))
}

/// A hub on a store beside its configuration.
struct Hub(Child);

impl Hub {
    /// Starts a hub that dies at `point`, if one is named; what it said when it was ready.
    fn start(folder: &Path, point: Option<&str>) -> (Self, Option<serde_json::Value>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opshub"));
        command.args(["serve", "--json", "--config"]).arg(folder.join("opshub.toml"));
        command.arg("--store").arg(folder.join("store"));
        for listener in ["--api", "--doors", "--metrics"] {
            command.args([listener, "127.0.0.1:0"]);
        }
        command.env("OPSHUB_TEST_SECRET", "opshub-secret").env_remove("OPSHUB_CRASH_POINT");
        if let Some(point) = point {
            command.env("OPSHUB_CRASH_POINT", point);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Hub(child), serde_json::from_str(&line).ok())
    }

    /// Waits for the hub to die by itself.
    fn die(mut self) {
        let status = self.0.wait().unwrap();
        assert!(!status.success(), "the hub ended with {status}");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn vendors() -> (Vendors, World) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let salesforce = SalesforceServer::start(SalesforceConfig::default()).await.unwrap();
    let (oracle, sap) = (OracleServer::start(any).await.unwrap(), SapServer::start(any).await.unwrap());
    let wxcc = fixtures::wxcc::WebexServer::start(any).await.unwrap();
    let world = World::generate(7, Size::customers(3));
    for happening in world.story() {
        salesforce.publish(happening).unwrap();
        oracle.apply(happening);
        sap.apply(happening);
    }
    (Vendors { salesforce, oracle, wxcc, sap }, world)
}

fn configuration(vendors: &Vendors) -> String {
    format!(
        "[connectors.salesforce]\nlogin_url = \"{salesforce}\"\nclient_id = \"opshub\"\n\
         client_secret = \"env:OPSHUB_TEST_SECRET\"\nbus_url = \"{bus}\"\nread_all_first = false\n\
         [connectors.oracle]\ntoken = \"env:OPSHUB_TEST_SECRET\"\n\
         [connectors.oracle.list]\nbase_url = \"{oracle}/ords/ar\"\nclient_id = \"opshub\"\n\
         client_secret = \"env:OPSHUB_TEST_SECRET\"\ninterval = \"200ms\"\n\
         [commands]\nenabled = [\"create_task\", \"comment_case\", \"delay_dispatch\", \"note_order\", \
         \"hold_transfer\", \"flag_invoice\"]\n\
         [commands.sap]\nbase_url = \"{sap}/sap/opu/odata/sap/ZOPSHUB_SRV\"\nuser = \"opshub\"\n\
         password = \"env:OPSHUB_TEST_SECRET\"\n\
         [connectors.sap]\nuser = \"opshub\"\npassword = \"env:OPSHUB_TEST_SECRET\"\n\
         [connectors.sap.list]\nbase_url = \"{sap}/sap/opu/odata/sap\"\nuser = \"opshub\"\n\
         password = \"env:OPSHUB_TEST_SECRET\"\ninterval = \"200ms\"\n[commands.wxcc]\ntoken = \"env:OPSHUB_TEST_SECRET\"\n",
        salesforce = vendors.salesforce.http_url(),
        bus = vendors.salesforce.grpc_url(),
        oracle = vendors.oracle.http_url(),
        sap = vendors.sap.http_url(),
    )
}

/// Puts commands into the outbox of a store that no hub has open.
fn order(folder: &Path, bodies: &[serde_json::Value]) {
    let store = Embedded::open(&folder.join("store"), storage::Options::default()).unwrap();
    for body in bodies {
        let id = body["id"].as_str().unwrap();
        store.write(Changes::new().outbox_put(id, body.to_string()), Durability::Synced).unwrap();
    }
}

/// The page of commands, once `holds` is true of it.
async fn page(address: &str, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = async {
        let mut looks = tokio::time::interval(Duration::from_millis(100));
        loop {
            looks.tick().await;
            let answer = reqwest::get(format!("http://{address}/commands")).await.unwrap();
            let page: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            if holds(&page) {
                return page;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the page of commands shows what became of them")
}

fn ended(page: &serde_json::Value, key: &str) -> Option<String> {
    let outcomes = page["outcomes"].as_array()?;
    let found = outcomes.iter().find(|outcome| outcome["key"] == key)?;
    found["outcome"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_takes_effect_once_however_often_the_hub_dies_in_the_middle_of_it() {
    let (vendors, world) = vendors().await;
    let of_type = |idoc: &str| {
        let ids = world.story().iter().filter_map(|one| match &one.change {
            Change::Sap(change) if change.idoc_type == idoc => Some(change.id.clone()),
            _ => None,
        });
        ids.into_iter().next().unwrap()
    };
    let (dispatch, service_order) = (of_type("ZFLDDSP01"), of_type("ZSRVORD01"));
    let at_ms = fixtures::time::T_MS;
    let bodies = [
        serde_json::json!({ "id": key('1'), "action": "create_task", "at_ms": at_ms, "task": "task-11111111111111111111",
            "case": format!("case/{CASE}"), "team": "finance", "due_at_ms": at_ms, "text": "Settle it." }),
        serde_json::json!({ "id": key('2'), "action": "comment_case", "at_ms": at_ms, "case": CASE, "text": "Noted." }),
        serde_json::json!({ "id": key('3'), "action": "delay_dispatch", "at_ms": at_ms, "dispatch": dispatch,
            "until_ms": at_ms + 900_000 }),
        serde_json::json!({ "id": key('4'), "action": "note_order", "at_ms": at_ms, "order": service_order, "text": "x" }),
        serde_json::json!({ "id": key('5'), "action": "flag_invoice", "at_ms": at_ms, "invoice": INVOICE, "text": "x" }),
    ];
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("opshub.toml"), configuration(&vendors)).unwrap();
    for body in &bodies {
        // One after the other, so that each of them is the one that the hub dies in.
        order(folder.path(), std::slice::from_ref(body));
        for kill in 0..KILLS {
            let point = if kill % 4 == 0 { "action.before" } else { "action.after" };
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || Hub::start(folder.path(), Some(point)).0.die()).await.unwrap();
        }
        let (hub, ready) = Hub::start(folder.path(), None);
        let metrics = ready.unwrap()["metrics"].as_str().unwrap().to_owned();
        let key = body["id"].as_str().unwrap();
        page(&metrics, |page| ended(page, key).is_some_and(|ended| ended != "refused")).await;
        drop(hub);
    }
    let tasks: Vec<String> = vendors.salesforce.written("Task").iter().map(ToString::to_string).collect();
    assert_eq!(tasks.iter().filter(|task| task.contains("Settle it.")).count(), 1, "{KILLS} kills: {tasks:#?}");
    let distinct: BTreeSet<&String> = tasks.iter().collect();
    assert_eq!(distinct.len(), tasks.len(), "tasks that rules decided, too, are made once: {tasks:#?}");
    assert_eq!(vendors.salesforce.written("CaseComment").len(), 1);
    assert_eq!(vendors.sap.commanded("DispatchSet", &dispatch).changes, 1);
    assert_eq!(vendors.sap.commanded("OrderSet", &service_order).changes, 1);
    // Rules flag invoices, too, the more of them the longer this takes.
    let flagged = vendors.oracle.reviews().into_values().filter(|it| it.invoice_id == INVOICE && it.reason == "x");
    assert_eq!(flagged.count(), 1);

    // The event bus and the lists tell of what was done: the hub knows its own changes.
    let (hub, ready) = Hub::start(folder.path(), None);
    let metrics = ready.unwrap()["metrics"].as_str().unwrap().to_owned();
    let keys = ['1', '2', '3', '4', '5'].map(key);
    let is_ours = |page: &serde_json::Value| keys.iter().all(|key| ended(page, key).as_deref() == Some("confirmed"));
    let page = page(&metrics, is_ours).await;
    assert_eq!(page["waiting"], 0);
    drop(hub);
    vendors.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_outlives_the_hub_that_decided_it() {
    let (vendors, _) = vendors().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("opshub.toml"), configuration(&vendors)).unwrap();
    // Far away: the hub runs on wall time.
    let hold = serde_json::json!({ "id": key('6'), "action": "hold_transfer", "at_ms": 1, "transfer": "transfer/t1",
        "until_ms": 32_503_680_000_000_i64 });
    order(folder.path(), &[hold]);
    for life in 0..KILLS {
        let (hub, ready) = Hub::start(folder.path(), None);
        let ready = ready.unwrap();
        let metrics = ready["metrics"].as_str().unwrap();
        page(metrics, |page| ended(page, &key('6')).as_deref() == Some("done")).await;
        let asked = reqwest::Client::new()
            .get(format!("http://{}/webex/transfers/t1", ready["doors"].as_str().unwrap()))
            .bearer_auth("opshub-secret");
        let answer = tokio::time::timeout(PATIENCE, async {
            loop {
                let answer = asked.try_clone().unwrap().send().await.unwrap().text().await.unwrap();
                if !answer.contains("unknown") {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        });
        assert!(answer.await.unwrap().contains("\"hold\""), "life {life}");
        drop(hub);
    }
    vendors.stop().await;
}
