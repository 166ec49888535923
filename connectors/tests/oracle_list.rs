//! The list job against the REST views: nothing slips past, what is gone is noticed, and no failure
//! of the source proves anything.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{MemoryLog, Story, context, serve};
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::oracle::check::{Paths, check};
use connectors::oracle::list::{POSITION, list};
use connectors::oracle::relist::Cause;
use connectors::oracle::{OracleConfig, OracleListConfig, OrdsConfig, Relist};
use connectors::{Connectors, Mapping};
use fixtures::faults::{FaultSwitch, Faults, Rate};
use fixtures::oracle::{CLIENT, OracleServer};
use fixtures::story::{Change, Fields, Happening, OracleChange, System as Vendor, Value};
use ontology::{Op, System, Vocabulary as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TABLES: [&str; 2] = ["CREDIT_NOTE", "AR_INVOICE"];

struct Stage {
    log: MemoryLog,
    server: OracleServer,
    switch: FaultSwitch,
    scn: u64,
}

async fn stage() -> Stage {
    let switch = FaultSwitch::default();
    let server = OracleServer::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), switch.clone()).await.unwrap();
    Stage { log: MemoryLog::default(), server, switch, scn: 0 }
}

fn note(id: &str) -> Fields {
    [
        ("CREDIT_NOTE_ID", Value::from(id)),
        ("INVOICE_ID", "I-1".into()),
        ("DISPUTE_ID", Value::Null),
        ("CASE_REF", Value::Null),
        ("AMOUNT", Value::Money(150)),
        ("CURRENCY", "USD".into()),
        ("STATUS", "DRAFT".into()),
    ]
    .into_iter()
    .collect()
}

fn happening(id: &str, scn: u64, op: char) -> Happening {
    let row = Some(note(id));
    let (before, after) = if op == 'd' { (row, None) } else { (None, row) };
    let change =
        OracleChange { table: "CREDIT_NOTE", id: id.to_owned(), op, before, after, scn, commit_scn: Some(scn), ssn: 0 };
    let at_ms = i64::try_from(scn).unwrap() * 1_000;
    Happening { at_ms, deliver_ms: at_ms, system: Vendor::Oracle, change: Change::Oracle(change) }
}

impl Stage {
    fn write(&mut self, id: &str) {
        self.scn += 1;
        self.server.apply(&happening(id, self.scn, 'c'));
        self.server.quiet_until(0);
    }

    fn delete(&mut self, id: &str) {
        self.scn += 1;
        self.server.apply(&happening(id, self.scn, 'd'));
        self.server.quiet_until(0);
    }

    fn config(&self) -> OracleListConfig {
        OracleListConfig {
            ords: OrdsConfig {
                base_url: format!("{}/ords/ar", self.server.http_url()),
                client_id: CLIENT.0.to_owned(),
                client_secret: Secret::new(CLIENT.1),
            },
            tables: TABLES.map(str::to_owned).to_vec(),
            partition: "erp".to_owned(),
            interval: Duration::from_millis(10),
            is_full_read_first: true,
            full_interval: None,
            is_wall_time: false,
        }
    }

    fn context(&self) -> Context<MemoryLog> {
        context(System::Oracle, &self.log, &Story::default())
    }

    fn start(&self, relist: &Relist) -> (CancellationToken, JoinHandle<()>) {
        self.start_in(self.context(), relist)
    }

    fn start_in(&self, context: Context<MemoryLog>, relist: &Relist) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let stored = self.log.clone();
        let position = move |name: &str| stored.position(name);
        let job = list(context, self.config(), position, relist.clone(), stop.clone());
        (stop, tokio::spawn(job))
    }

    /// Waits until everything up to now is proven, and stops the job.
    async fn settled(&self, job: (CancellationToken, JoinHandle<()>)) {
        self.log.proven("erp", i64::try_from(self.scn).unwrap() * 1_000).await;
        job.0.cancel();
        job.1.await.unwrap();
    }
}

/// Waits for something that no log tells of.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "waited in vain");
}

fn images(log: &MemoryLog) -> BTreeSet<String> {
    let facts = log.facts().into_iter();
    facts.filter(|fact| fact.op == Op::Image).map(|fact| fact.record_id.to_string()).collect()
}

fn tombstones(log: &MemoryLog) -> Vec<String> {
    let facts = log.facts().into_iter();
    facts.filter(|fact| fact.op == Op::Delete).map(|fact| format!("{} {}", fact.record_id, fact.version)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_slips_past_between_two_pages() {
    let mut stage = stage().await;
    let ids: Vec<String> = (0..3_000).map(|n| format!("CN-{n:04}")).collect();
    ids.iter().for_each(|id| stage.write(id));
    let job = stage.start(&Relist::none());
    // Rows of the front move to the end while the pages are read.
    for round in 0..20 {
        for id in ids.iter().skip(round * 25).take(25) {
            stage.write(id);
        }
        tokio::task::yield_now().await;
        stage.log.until("a page", |log| images(log).len() >= (round + 1) * 100).await;
    }
    stage.settled(job).await;
    assert_eq!(images(&stage.log).len(), ids.len());
    assert!(tombstones(&stage.log).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_of_one_commit_are_paged_by_their_ids() {
    let mut stage = stage().await;
    stage.scn = 1;
    for n in 0..1_201 {
        stage.server.apply(&happening(&format!("CN-{n:04}"), 1, 'c'));
    }
    stage.server.quiet_until(0);
    let job = stage.start(&Relist::none());
    stage.settled(job).await;
    assert_eq!(images(&stage.log).len(), 1_201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_gone_gets_a_tombstone_when_the_table_is_read_whole() {
    let mut stage = stage().await;
    (0..30).for_each(|n| stage.write(&format!("CN-{n}")));
    let job = stage.start(&Relist::none());
    stage.settled(job).await;
    stage.delete("CN-7");
    let tables = TABLES.map(str::to_owned);
    let relist = Relist::of(&tables, |_| None);
    assert!(relist.ask(&stage.context(), "CREDIT_NOTE", Cause::Doubt).await.unwrap());
    // The job was not there to hear it: what was asked for is kept.
    let stored = stage.log.clone();
    let relist = Relist::of(&tables, move |name: &str| stored.position(name));
    let job = stage.start(&relist);
    stage.settled(job).await;
    assert_eq!(tombstones(&stage.log), ["CN-7 31.0.0"]);
    let left = stage.log.position("oracle/relist/CREDIT_NOTE").unwrap();
    assert!(left.is_empty(), "it was read, and need not be again");
    assert_eq!(stage.log.position(POSITION).unwrap(), b"31");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_shows_too_little_deletes_nothing_but_an_emptied_table_does() {
    let mut stage = stage().await;
    (0..30).for_each(|n| stage.write(&format!("CN-{n}")));
    let job = stage.start(&Relist::none());
    stage.settled(job).await;
    stage.server.truncate("CREDIT_NOTE");
    let relist = Relist::of(&TABLES.map(str::to_owned), |_| None);
    let context = stage.context();
    relist.ask(&context, "CREDIT_NOTE", Cause::Doubt).await.unwrap();
    let status = context.status.clone();
    let job = stage.start_in(context, &relist);
    until(|| status.get().last_error.contains("does not show 30 of 30 known rows")).await;
    assert!(tombstones(&stage.log).is_empty());

    // The capture says that the table was emptied: then it is no mistake of the view.
    let config = OracleConfig { token: Secret::new("token"), partition: "erp".to_owned() };
    let url = serve(connectors::oracle::transport::router(stage.context(), config, relist)).await;
    let truncate = r#"{"op":"t","source":{"table":"CREDIT_NOTE","ts_ms":1,"scn":"40","commit_scn":"40"}}"#;
    let client = connectors::edge::http::client();
    let answer = client.post(format!("{url}/oracle/changes")).bearer_auth("token").body(truncate).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    stage.log.until("tombstones", |log| tombstones(log).len() == 30).await;
    assert!(stage.log.rejects().is_empty());
    job.0.cancel();
    job.1.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_list_job_a_person_decides_about_an_emptied_table() {
    let stage = stage().await;
    let config = OracleConfig { token: Secret::new("token"), partition: "erp".to_owned() };
    let url = serve(connectors::oracle::transport::router(stage.context(), config, Relist::none())).await;
    let truncate = r#"{"op":"t","source":{"table":"CREDIT_NOTE","ts_ms":1,"scn":"40","commit_scn":"40"}}"#;
    let client = connectors::edge::http::client();
    let answer = client.post(format!("{url}/oracle/changes")).bearer_auth("token").body(truncate).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    assert_eq!(stage.log.rejects().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_does_not_say_of_what_belongs_to_what_its_row_is_known_to_be_of() {
    let stage = stage().await;
    let story = Story::default();
    let context = context(System::Oracle, &stage.log, &story);
    let relist = Relist::of(&["AR_PAYMENT_SCHEDULE".to_owned()], |_| None);
    let config = OracleConfig { token: Secret::new("token"), partition: "erp".to_owned() };
    let url = serve(connectors::oracle::transport::router(context, config, relist)).await;
    let client = connectors::edge::http::client();
    let push = async |op: &str, pos: u64, side: &str, row: &str| {
        let body = format!(
            r#"{{"table":"AR.AR_PAYMENT_SCHEDULE","op_type":"{op}","pos":"{pos}","{side}":{{"SCHEDULE_ID":{row}}}}}"#
        );
        let request = client.post(format!("{url}/oracle/changes")).bearer_auth("token").body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
        let told = stage.log.facts().into_iter().map(|f| format!("{} {} of {}", f.op.name(), f.record_id, f.entity.id));
        (told.collect::<Vec<_>>(), stage.log.rejects().values().sum::<u64>())
    };
    let asked = || stage.log.position("oracle/relist/AR_PAYMENT_SCHEDULE");
    let mut expected = vec!["image 1 of I-1".to_owned()];
    assert_eq!(push("I", 1, "after", r#"1,"INVOICE_ID":"I-1","OUTSTANDING":"5.00""#).await, (expected.clone(), 0));
    expected.push("image 1 of I-1".to_owned());
    assert_eq!(push("U", 2, "after", r#"1,"OUTSTANDING":"4.00""#).await, (expected.clone(), 0));
    // A row that came later is found in what came since, a stranger is not.
    expected.push("image 2 of I-2".to_owned());
    assert_eq!(push("I", 3, "after", r#"2,"INVOICE_ID":"I-2","OUTSTANDING":"5.00""#).await, (expected.clone(), 0));
    expected.push("delete 2 of I-2".to_owned());
    assert_eq!(push("D", 4, "before", "2").await, (expected.clone(), 0));
    assert_eq!(push("U", 5, "after", r#"3,"OUTSTANDING":"4.00""#).await, (expected.clone(), 1));
    assert_eq!(asked(), None, "the list shows what changed");
    assert_eq!(push("D", 6, "before", "3").await, (expected.clone(), 2));
    assert_eq!(asked().as_deref(), Some(&b"doubt"[..]), "only the whole table shows that it is gone");
    // It came by another path: the hub is asked again after a minute.
    let mut row = stage.log.facts().remove(0);
    row.record_id = "3".into();
    let submission =
        connectors::Submission::new(System::Oracle, "erp", Default::default(), Default::default(), row.observed_at);
    let submission = connectors::Submission { facts: vec![row], ..submission };
    connectors::Sink::submit(&stage.log, submission).await.unwrap();
    expected.push("image 3 of I-1".to_owned());
    story.set(59_999);
    assert_eq!(push("U", 7, "after", r#"3,"OUTSTANDING":"4.00""#).await, (expected.clone(), 3));
    story.set(60_000);
    expected.push("image 3 of I-1".to_owned());
    assert_eq!(push("U", 8, "after", r#"3,"OUTSTANDING":"4.00""#).await, (expected, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_which_a_transaction_told_more_changes_than_arrived_is_read_whole() {
    let mut stage = stage().await;
    ["CN-1", "CN-2", "CN-3"].into_iter().for_each(|id| stage.write(id));
    let story = Story::default();
    let context = context(System::Oracle, &stage.log, &story);
    let status = context.status.clone();
    let relist = Relist::of(&TABLES.map(str::to_owned), |_| None);
    let config = OracleConfig { token: Secret::new("token"), partition: "erp".to_owned() };
    let url = serve(connectors::oracle::transport::router(context, config, relist.clone())).await;
    let client = connectors::edge::http::client();
    let push = async |body: String| {
        let request = client.post(format!("{url}/oracle/changes")).bearer_auth("token").body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
    };
    let change = |order: u64| {
        format!(
            "{{\"op\":\"c\",\"source\":{{\"table\":\"CREDIT_NOTE\",\"ts_ms\":1,\"scn\":\"{order}\",\"commit_scn\":\"9\"}},\
             \"after\":{{\"CREDIT_NOTE_ID\":\"CN-{order}\",\"AMOUNT\":\"1.00\",\"STATUS\":\"DRAFT\"}},\
             \"transaction\":{{\"id\":\"5.6.641\",\"total_order\":\"{order}\",\"data_collection_order\":{order}}}}}"
        )
    };
    push(r#"{"status":"BEGIN","id":"5.6.641","ts_ms":1,"event_count":null,"data_collections":null}"#.to_owned()).await;
    push(format!("[{},{},{}]", change(3), change(1), change(1))).await;
    let end = r#"{"status":"END","id":"5.6.641","ts_ms":1,"event_count":"4","data_collections":[
        {"data_collection":"ORCLPDB1.AR.CREDIT_NOTE","event_count":"3"},{"data_collection":"ORCLPDB1.AR.NOT_OURS","event_count":1}]}"#;
    push(end.to_owned()).await;
    let asked = |log: &MemoryLog| log.position("oracle/relist/CREDIT_NOTE");
    story.set(59_999);
    push(r#"{"ts_ms":1}"#.to_owned()).await;
    assert_eq!((asked(&stage.log), status.get().last_error.as_str()), (None, ""), "it may still come");
    story.set(60_000);
    push(r#"{"ts_ms":2}"#.to_owned()).await;
    assert_eq!(asked(&stage.log).as_deref(), Some(&b"doubt"[..]));
    let said = "2 of 3 changes of CREDIT_NOTE in transaction 5.6.641 arrived; the list job reads it whole";
    assert_eq!(status.get().last_error, said);
    let job = stage.start(&relist);
    stage.settled(job).await;
    assert!(images(&stage.log).contains("CN-2"), "it was read again");
    assert!(asked(&stage.log).is_some_and(|left| left.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_end_and_calls_that_fail_prove_nothing_and_lose_nothing() {
    let mut stage = stage().await;
    (0..1_100).for_each(|n| stage.write(&format!("CN-{n}")));
    stage.switch.set(Faults { token_expired: Rate::percent(40), ..Faults::default() });
    let job = stage.start(&Relist::none());
    stage.settled(job).await;
    assert_eq!(images(&stage.log).len(), 1_100);

    stage.switch.set(Faults { fail: Rate::ALWAYS, ..Faults::default() });
    stage.write("CN-new");
    let context = stage.context();
    let status = context.status.clone();
    let job = stage.start_in(context, &Relist::none());
    until(|| status.get().last_error.contains("503")).await;
    assert_eq!(images(&stage.log).len(), 1_100);
    stage.switch.clear();
    stage.settled(job).await;
    assert!(images(&stage.log).contains("CN-new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_is_missing_keeps_no_other_table_waiting() {
    let mut stage = stage().await;
    stage.write("CN-1");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/oracle.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let more = "\n[[object]]\nname = \"AR_OTHER\"\nentity = \"invoice\"\nrecord = \"ID\"\nfields = [{ from = \"A\", to = \"amount\", kind = \"decimal\" }]\n";
    let connectors = Connectors::new(vec![Mapping::parse(&(text + more)).unwrap()]);
    let context = Context { connectors, ..stage.context() };
    let status = context.status.clone();
    let config = OracleListConfig { tables: ["AR_OTHER", "CREDIT_NOTE"].map(str::to_owned).to_vec(), ..stage.config() };
    let stop = CancellationToken::new();
    let job = tokio::spawn(list(context, config, |_| None, Relist::none(), stop.clone()));
    stage.log.until("the other table", |log| images(log).contains("CN-1")).await;
    stop.cancel();
    job.await.unwrap();
    assert!(status.get().last_error.contains("AR_OTHER"), "{}", status.get().last_error);
    assert!(stage.log.position(POSITION).is_none(), "nothing is proven");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_views_are_tried_out_one_by_one() {
    let mut stage = stage().await;
    stage.write("CN-1");
    let clock: connectors::SharedClock = std::sync::Arc::new(|| ontology::Millis(1_500));
    let tried = async |config: &OracleListConfig| {
        let paths = Paths { list: Some(config), ..Paths::default() };
        let trials = check(paths, &Connectors::shipped(), clock.clone()).await;
        trials.into_iter().map(|trial| format!("{}: {:?}", trial.what, trial.result)).collect::<Vec<_>>()
    };
    let good = tried(&stage.config()).await;
    assert!(good.iter().all(|trial| trial.contains("Ok(")), "{good:?}");
    assert!(good.iter().any(|trial| trial.contains("becomes a fact")), "{good:?}");

    let mut config = stage.config();
    config.tables = vec!["NOWHERE".to_owned()];
    assert!(tried(&config).await.last().unwrap().contains("no mapping reads it"));
    config.ords.client_secret = Secret::new("wrong");
    let refused = tried(&config).await;
    assert!(refused.len() == 1 && refused[0].contains("does not accept the credential"), "{refused:?}");
    let nothing = check(Paths::default(), &Connectors::shipped(), clock.clone()).await;
    assert!(nothing[0].result.as_ref().is_ok_and(|found| found.contains("post one event")), "a source may only push");
}
