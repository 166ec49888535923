//! SAP's connector against its simulator: losses that leave no trace, pages without gaps, events that
//! are read again, folders, and the answer to what was posted.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::standing::assert_same;
use crate::support::{MemoryLog, Story, context, serve};
use connectors::Known as _;
use connectors::edge::credentials::Secret;
use connectors::edge::oauth::{ClientCredentials, Login};
use connectors::sap::{
    self, RefetchConfig, SapAccess, SapConfig, SapFolderConfig, SapListConfig, SapSet, folder, refetch,
};
use fixtures::Sender;
use fixtures::faults::{FaultSwitch, Faults, Line, Rate};
use fixtures::sap::{Mode, SapDoor, SapEventDoor, SapServer, TOKEN_PATH, USER, event, flat};
use fixtures::story::{Change, Happening, SapChange};
use fixtures::time::T_MS;
use fixtures::world::{Size, World};
use futures::FutureExt as _;
use ontology::{EntityKey, EntityKind, Fact, Field, FieldReader as _, Millis, Op, System, Version};
use tokio_util::sync::CancellationToken;

const PARTITION: &str = "s4";

fn any() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], 0))
}

fn access(server: &SapServer) -> SapAccess {
    SapAccess {
        base_url: format!("{}/sap/opu/odata/sap", server.http_url()),
        login: Login::basic(USER.0, Secret::new(USER.1)),
    }
}

fn listing(server: &SapServer) -> SapListConfig {
    SapListConfig { interval: Duration::from_millis(20), ..SapListConfig::new(access(server), PARTITION) }
}

fn config() -> SapConfig {
    SapConfig::new(USER.0, Secret::new(USER.1), PARTITION)
}

async fn door(log: &MemoryLog, story: &Story) -> SapDoor {
    let base = serve(sap::transport::router(context(System::Sap, log, story), config(), None)).await;
    SapDoor { url: format!("{base}/sap/idoc"), user: USER.0.to_owned(), password: USER.1.to_owned() }
}

/// Runs the list job until nothing up to `until` is missing.
async fn list(config: SapListConfig, log: &MemoryLog, story: &Story, position: Option<i64>, until: i64) {
    let stop = CancellationToken::new();
    let position = position.map(|at| at.to_be_bytes().to_vec());
    let running = tokio::spawn(sap::list::list(context(System::Sap, log, story), config, position, stop.clone()));
    log.proven(PARTITION, until).await;
    stop.cancel();
    running.await.unwrap();
}

fn documents(world: &World) -> Vec<&Happening> {
    world.history().iter().filter(|one| matches!(one.change, Change::Sap(_))).collect()
}

fn change(happening: &Happening) -> (i64, &SapChange) {
    let Change::Sap(change) = &happening.change else { panic!("a document") };
    (happening.at_ms, change)
}

async fn played(world: &World, faults: Faults) -> (MemoryLog, u64) {
    let (log, story) = (MemoryLog::default(), Story::default());
    let server = SapServer::start(any()).await.unwrap();
    let (door, sender) = (door(&log, &story).await, Sender::new(3).unwrap());
    story.set(T_MS);
    let mut line = Line::new(FaultSwitch::new(faults));
    documents(world).into_iter().for_each(|happening| server.apply(happening));
    server.quiet_until(T_MS);
    let arriving = line.pass(documents(world), T_MS, |happening| change(happening).1.docnum.to_string());
    for happening in arriving {
        door.push(&sender, &[change(happening)]).await.unwrap();
    }
    list(listing(&server), &log, &story, None, T_MS).await;
    assert!(log.rejects().is_empty(), "{:?}", log.rejects());
    server.stop().await;
    (log, line.dropped())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_documents_lost_leaves_no_trace_after_the_list_job() {
    let world = World::generate(5, Size::customers(20));
    let (whole, _) = played(&world, Faults::default()).await;
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

fn order(id: &str, docnum: u64, status: &str) -> SapChange {
    let fields = fixtures::story::fields([
        ("AUFNR", id.into()),
        ("KUNUM", "17100001".into()),
        ("STTXT", status.into()),
        ("KTEXT", "Repair".into()),
    ]);
    SapChange { idoc_type: "ZSRVORD01", id: id.to_owned(), docnum, fields }
}

fn happening(at_ms: i64, change: SapChange) -> Happening {
    Happening { at_ms, deliver_ms: at_ms, system: fixtures::story::System::Sap, change: Change::Sap(change) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_no_gaps_however_many_rows_changed_at_once() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    // Calls fail now and then: a page is asked for again, and no run begins anew for it.
    let faults = Faults { throttle: Rate::percent(2), fail: Rate::percent(2), ..Faults::default() };
    let server = SapServer::start_with(any(), FaultSwitch::new(faults)).await.unwrap();
    for n in 0..1_000_u64 {
        // Most rows changed in the same second, as after a migration.
        let at_ms = if n < 900 { T_MS - 600_000 } else { T_MS - 500_000 + n as i64 };
        server.apply(&happening(at_ms, order(&format!("{}", 700_000 + n), n, "REL")));
    }
    server.quiet_until(T_MS);
    list(listing(&server), &log, &story, None, T_MS).await;
    let ids = |log: &MemoryLog| -> BTreeSet<String> {
        log.facts().iter().filter(|f| f.op == Op::Image).map(|f| f.record_id.to_string()).collect()
    };
    assert_eq!(ids(&log).len(), 1_000, "read whole, in the order of keys");
    let later = MemoryLog::default();
    list(listing(&server), &later, &story, Some(T_MS - 480_000), T_MS).await;
    assert_eq!(ids(&later).len(), 1_000, "read in the order of change");
    let newest = MemoryLog::default();
    list(listing(&server), &newest, &story, Some(T_MS - 500_000 + 950 + 120_000), T_MS).await;
    assert_eq!(ids(&newest).len(), 50, "only what changed since");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_was_created_and_not_changed_since_is_found() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let server = SapServer::start(any()).await.unwrap();
    let partner = |id: &str, docnum: u64, name: &str| {
        let fields = [("KUNNR", id.into()), ("NAME1", name.into()), ("KTOKD", "ORGA".into())];
        SapChange { idoc_type: "DEBMAS07", id: id.to_owned(), docnum, fields: fixtures::story::fields(fields) }
    };
    server.apply(&happening(T_MS - 900_000, partner("17100001", 1, "Old")));
    server.apply(&happening(T_MS - 900_000, partner("17100002", 2, "Renamed")));
    server.apply(&happening(T_MS - 60_000, partner("17100002", 3, "Newly")));
    server.apply(&happening(T_MS - 60_000, partner("17100003", 4, "New")));
    server.quiet_until(T_MS);
    list(listing(&server), &log, &story, Some(T_MS - 480_000), T_MS).await;
    let found: BTreeSet<_> =
        log.facts().into_iter().filter(|f| f.op == Op::Image).map(|f| f.record_id.to_string()).collect();
    assert_eq!(found, BTreeSet::from(["17100002", "17100003"].map(str::to_owned)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_stored_first_and_read_until_it_is_there() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let switch = FaultSwitch::default();
    let server = SapServer::start_with(any(), switch.clone()).await.unwrap();
    let (refetches, queue) = refetch::queue(&connectors::Connectors::shipped(), &SapSet::usual());
    let config = SapConfig { event_origins: vec!["mesh.example".to_owned()], ..config() };
    let base = serve(sap::transport::router(context(System::Sap, &log, &story), config, Some(refetches))).await;
    let door = SapEventDoor {
        url: format!("{base}/sap/events"),
        user: USER.0.to_owned(),
        password: USER.1.to_owned(),
        origin: "mesh.example".to_owned(),
    };
    assert_eq!(door.handshake().await.unwrap(), Some(6_000));
    let stranger = SapEventDoor { origin: "other.example".to_owned(), ..door.clone() };
    assert_eq!(stranger.handshake().await.unwrap(), None);

    let sender = Sender::new(1).unwrap();
    let reading = RefetchConfig { access: access(&server), sets: SapSet::usual(), partition: PARTITION.to_owned() };
    let push = async |at_ms: i64, change: &SapChange, mode| {
        server.apply(&happening(at_ms, change.clone()));
        door.push(&sender, &event(change, at_ms).unwrap(), mode).await.unwrap()
    };
    // Nobody reads yet: the gaps are durable, and a restart finds them.
    push(T_MS - 5_000, &order("700123", 1, "REL"), Mode::Structured).await;
    push(T_MS - 4_000, &order("700124", 2, "CRTD"), Mode::Binary).await;
    assert_eq!(log.facts().iter().filter(|f| f.op == Op::Gap).count(), 2);
    drop(queue);

    switch.set(Faults { fail: Rate::percent(30), ..Faults::default() });
    // The door holds the sending end as long as the hub runs.
    let (_sender, queue) = refetch::queue(&connectors::Connectors::shipped(), &SapSet::usual());
    let stop = CancellationToken::new();
    let running = tokio::spawn(refetch::run(context(System::Sap, &log, &story), reading, queue, stop.clone()));
    let has_no_gap = |log: &MemoryLog| log.open_gaps(System::Sap).now_or_never().unwrap().is_empty();
    log.until("the orders to be read", has_no_gap).await;
    let read: Vec<_> = log.facts().into_iter().filter(|f| f.op == Op::Image).collect();
    assert!(read.iter().all(|f| f.fields.text(Field::AccountRef) == Some("17100001")), "{read:?}");
    stop.cancel();
    running.await.unwrap();

    let stranger = SapEventDoor { password: "guess".to_owned(), ..door.clone() };
    let refused = stranger.push(&sender, &event(&order("1", 3, "REL"), T_MS).unwrap(), Mode::Binary).await.unwrap();
    assert_eq!(refused, fixtures::Receipt::Refused(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_not_there_for_ten_minutes_is_deleted_where_others_are() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let server = SapServer::start(any()).await.unwrap();
    server.apply(&happening(T_MS - 60_000, order("700123", 1, "REL")));
    // Of the second set nothing can be read: its service is not there.
    let sets: Vec<_> = SapSet::usual().into_iter().take(2).collect();
    let [orders, dispatches] = sets.clone().try_into().unwrap();
    let sets = vec![orders, SapSet { service: "NOT_ACTIVATED".to_owned(), ..dispatches }];
    let gap = |row: &str, kind, id: &str| {
        let mut fact = connectors::edge::liveness::heartbeat(System::Sap, id, Millis(T_MS - 5_000), Millis(T_MS));
        fact.entity = EntityKey::new(kind, id);
        Fact { object: row.into(), op: Op::Gap, version: Version::new(T_MS as u64 - 5_000, 0, 0), ..fact }
    };
    let mut submission =
        connectors::Submission::new(System::Sap, PARTITION, Default::default(), Default::default(), Millis(T_MS));
    submission.facts =
        vec![gap("Z1SRVORD", EntityKind::ServiceOrder, "700999"), gap("Z1FLDDSP", EntityKind::FieldDispatch, "800999")];
    connectors::Sink::submit(&log, submission).await.unwrap();
    let (_sender, queue) = refetch::queue(&connectors::Connectors::shipped(), &sets);
    let reading = RefetchConfig { access: access(&server), sets, partition: PARTITION.to_owned() };
    let context = context(System::Sap, &log, &story);
    let status = context.status.clone();
    let stop = CancellationToken::new();
    let running = tokio::spawn(refetch::run(context, reading, queue, stop.clone()));
    let until = async |holds: &dyn Fn() -> bool| {
        let waiting = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "waited in vain");
    };
    let absent = || status.get().findings.get("records_absent").map(|found| found.text.clone()).unwrap_or_default();
    until(&|| absent().starts_with("2 records")).await;
    story.set(T_MS + 600_000);
    log.until("the order to be deleted", |log| log.facts().iter().any(|fact| fact.op == Op::Delete)).await;
    let gone = log.facts().into_iter().find(|fact| fact.op == Op::Delete).unwrap();
    assert_eq!(
        (gone.object.as_str(), gone.record_id.as_str(), gone.version.major),
        ("Z1SRVORD", "700999", T_MS as u64 - 5_000)
    );
    until(&|| status.get().last_error.contains("no other is read by its key either")).await;
    let open = log.open_gaps(System::Sap).await;
    assert_eq!(open.iter().map(|gap| gap.record_id.as_str()).collect::<Vec<_>>(), ["800999"], "nobody knows");
    until(&|| absent().starts_with("1 records")).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_communication_arrangement_reads_and_pushes_by_tokens() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    // Every token ends after some calls: another one is asked for.
    let faults = FaultSwitch::new(Faults { token_expired: Rate::percent(40), ..Faults::default() });
    let server = SapServer::start_with(any(), faults).await.unwrap();
    for n in 0..300_u64 {
        server.apply(&happening(T_MS - 1_000, order(&format!("{}", 700_000 + n), n, "REL")));
    }
    server.quiet_until(T_MS);
    let credentials = |secret: &str| ClientCredentials {
        token_url: format!("{}{TOKEN_PATH}", server.http_url()),
        client_id: USER.0.to_owned(),
        client_secret: Secret::new(secret),
        scope: String::new(),
    };
    let by_tokens = |secret: &str| SapAccess { login: Login::tokens(credentials(secret)), ..access(&server) };
    let reading = SapListConfig { access: by_tokens(USER.1), ..listing(&server) };
    list(reading, &log, &story, None, T_MS).await;
    assert_eq!(log.facts().iter().filter(|fact| fact.op == Op::Image).count(), 300);
    let refused = credentials("wrong").ask(&connectors::edge::http::client()).await;
    assert!(refused.is_err());

    let base = serve(sap::transport::router(context(System::Sap, &log, &story), config(), None)).await;
    let client = connectors::edge::http::client();
    let credentials = ClientCredentials { token_url: format!("{base}/sap/oauth/token"), ..credentials(USER.1) };
    let token = credentials.ask(&client).await.unwrap();
    let push = async || {
        let body = fixtures::sap::body(&[(T_MS, &order("700900", 900, "REL"))]);
        let request = client.post(format!("{base}/sap/idoc")).bearer_auth(token.expose()).body(body);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(push().await, 202);
    story.set(T_MS + 3_600_000);
    assert_eq!(push().await, 401, "it has ended");
    let guess = ClientCredentials { client_secret: Secret::new("guess"), ..credentials };
    assert!(guess.ask(&client).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_posted_document_is_answered() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let door = door(&log, &story).await;
    let (good, bad) = (order("700123", 41, "REL"), order("", 42, "REL"));
    let body = fixtures::sap::body(&[(T_MS, &good), (T_MS, &bad)]);
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(&door.url).basic_auth(USER.0, Some(USER.1)).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let text = answer.text().await.unwrap();
    assert!(text.contains("<DOCNUM>0000000000000041</DOCNUM><STATUS>53</STATUS>"), "{text}");
    assert!(text.contains("<DOCNUM>0000000000000042</DOCNUM><STATUS>51</STATUS><STATXT>no_identity"), "{text}");
    assert_eq!((log.facts().len(), log.rejects().values().sum::<u64>()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_opened_keeps_no_other_waiting() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let place = tempfile::tempdir().unwrap();
    // A name in ISO 8859-1, and a file that may not be read: both older than the good one.
    let strange = place.path().join(std::ffi::OsStr::from_bytes(b"Auftr\xe4ge.txt"));
    std::fs::write(&strange, flat(&[(T_MS, &order("700001", 1, "REL"))])).unwrap();
    let closed = place.path().join("closed.txt");
    std::fs::write(&closed, flat(&[(T_MS, &order("700003", 3, "REL"))])).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::write(place.path().join("good.txt"), flat(&[(T_MS, &order("700002", 2, "REL"))])).unwrap();
    let config =
        SapFolderConfig { interval: Duration::from_millis(10), ..SapFolderConfig::new(place.path(), PARTITION) };
    let stop = CancellationToken::new();
    let watching = tokio::spawn(folder::watch(context(System::Sap, &log, &story), config, stop.clone()));
    // Who may read everything reads the third as well.
    let is_known = |log: &MemoryLog, id: &str| log.facts().iter().any(|fact| fact.record_id == id);
    log.until("both orders", |log| is_known(log, "700001") && is_known(log, "700002")).await;
    stop.cancel();
    watching.await.unwrap();
    assert!(!strange.exists(), "read and moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_set_that_is_not_asked_for_opens_no_gap() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let sets: Vec<_> = SapSet::usual().into_iter().filter(|set| set.name == "A_BusinessPartner").collect();
    let (refetches, mut queue) = refetch::queue(&connectors::Connectors::shipped(), &sets);
    let base = serve(sap::transport::router(context(System::Sap, &log, &story), config(), Some(refetches))).await;
    let door = SapEventDoor {
        url: format!("{base}/sap/events"),
        user: USER.0.to_owned(),
        password: USER.1.to_owned(),
        origin: "mesh.example".to_owned(),
    };
    let sender = Sender::new(1).unwrap();
    let told = event(&order("700123", 1, "REL"), T_MS).unwrap();
    let receipt = door.push(&sender, &told, Mode::Structured).await.unwrap();
    assert!(matches!(receipt, fixtures::Receipt::Taken), "{receipt:?}");
    assert_eq!(log.facts().len(), 0);
    assert_eq!(log.submissions.lock().unwrap().iter().map(|s| s.unmapped).sum::<usize>(), 1, "kept and counted");
    assert!(queue.try_recv().is_err());
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_when_they_are_whole_and_then_moved() {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(T_MS);
    let place = tempfile::tempdir().unwrap();
    let config =
        SapFolderConfig { interval: Duration::from_millis(10), ..SapFolderConfig::new(place.path(), PARTITION) };
    let (done, failed) = (config.done.clone(), config.failed.clone());
    let stop = CancellationToken::new();
    let watching = tokio::spawn(folder::watch(context(System::Sap, &log, &story), config, stop.clone()));
    let text = |orders: std::ops::Range<u64>| {
        let orders: Vec<_> = orders.map(|n| order(&format!("{}", 700_000 + n), n, "REL")).collect();
        flat(&orders.iter().map(|order| (T_MS, order)).collect::<Vec<_>>())
    };

    // A file under way has another name; one that ends within a record is still being written.
    let whole = text(0..1_500);
    std::fs::write(place.path().join("orders.txt.tmp"), &whole).unwrap();
    let half = &text(5_000..5_002)[..900];
    std::fs::write(place.path().join("half.txt"), half).unwrap();
    std::fs::write(place.path().join("first.txt"), text(2_000..2_001)).unwrap();
    log.until("the first file", |log| log.facts().len() == 1).await;
    std::fs::rename(place.path().join("orders.txt.tmp"), place.path().join("orders.txt")).unwrap();
    log.until("the large file", |log| log.facts().len() == 1_501).await;
    assert!(log.submissions.lock().unwrap().iter().all(|s| s.raw.len() < 1 << 20), "in portions");
    assert!(names(place.path()).contains("half.txt"));
    std::fs::write(place.path().join("half.txt"), text(5_000..5_002)).unwrap();
    log.until("the rest of the file", |log| log.facts().len() == 1_503).await;

    // One bad document leaves its neighbours alone and marks its file; XML comes by files as well.
    let broken = text(6_000..6_003).replacen("Z2SRVORD000", "           ", 1);
    std::fs::write(place.path().join("broken.txt"), broken).unwrap();
    let partner = order("800000", 1, "REL");
    std::fs::write(place.path().join("order.xml"), fixtures::sap::body(&[(T_MS, &partner)])).unwrap();
    std::fs::write(place.path().join("first.txt"), text(7_000..7_001)).unwrap();
    log.until("the others", |log| log.facts().len() == 1_507).await;
    assert_eq!(log.rejects().values().sum::<u64>(), 1);
    stop.cancel();
    watching.await.unwrap();
    let expected = ["first.txt", "first.txt.1", "half.txt", "order.xml", "orders.txt"].map(str::to_owned);
    assert_eq!(names(&done), BTreeSet::from(expected));
    assert_eq!(names(&failed), BTreeSet::from(["broken.txt".to_owned()]));
}
