//! The Salesforce connector against an organisation where things go wrong: what the organisation
//! changed arrives whole, whatever was lost on the way.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the simulator stamps tokens by the real clock")]

mod contents;
mod shown;
mod whole;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{MemoryLog, Story, context};
use connectors::edge::credentials::Secret;
use connectors::edge::status::{ConnectorStatus, StatusHandle};
use connectors::salesforce::Positions;
use connectors::salesforce::allowance::AllowanceConfig;
use connectors::salesforce::audit::{AuditConfig, compared_until, position_name};
use connectors::salesforce::auth::{Grant, JwtKey};
use connectors::salesforce::rest::{Rest, RestConfig};
use connectors::salesforce::transport::{SalesforceConfig, TOPIC, run};
use fixtures::faults::{FaultSwitch, Faults, Rate};
use fixtures::salesforce::{SalesforceConfig as Organisation, SalesforceServer, TEST_KEY_PEM};
use fixtures::story::{Change, Happening, SalesforceChange, SalesforceKind, fields};
use fixtures::world::{Size, World};
use ontology::{Fact, Millis, Op, System};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An organisation, and what it can do wrong.
struct Vendor {
    server: SalesforceServer,
    faults: FaultSwitch,
    story: Story,
}

/// A running connector.
struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
    status: StatusHandle,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn vendor(config: Organisation) -> Vendor {
    let faults = FaultSwitch::default();
    let config = Organisation { keepalive: Duration::from_millis(20), ..config };
    let server = SalesforceServer::start_with(config, faults.clone()).await.unwrap();
    Vendor { server, faults, story: Story::default() }
}

impl Vendor {
    fn publish(&self, happenings: &[Happening]) {
        for happening in happenings {
            self.server.publish(happening).unwrap();
        }
        self.quiet_until(happenings.last().map_or(0, |last| last.at_ms));
    }

    /// Nothing more happens up to `now_ms`.
    fn quiet_until(&self, now_ms: i64) {
        self.server.quiet_until(now_ms);
        self.story.set(now_ms);
    }

    fn config(&self) -> SalesforceConfig {
        let rest = RestConfig::client_credentials(self.server.http_url(), "opshub", Secret::new("opshub-secret"));
        SalesforceConfig {
            is_full_read_first: false,
            silence_max: Duration::from_millis(500),
            audit: None,
            allowance: None,
            ..SalesforceConfig::new(rest, self.server.grpc_url())
        }
    }

    fn run(&self, log: &MemoryLog, config: SalesforceConfig) -> Running {
        let (stop, context) = (CancellationToken::new(), context(System::Salesforce, log, &self.story));
        let status = context.status.clone();
        let objects = ["Account", "Case", "Knowledge_Article__c", "Directory_Entry__c"].into_iter();
        let stored = Positions::stored(TOPIC, objects, |name| Ok::<_, std::convert::Infallible>(log.position(name)));
        let positions = stored.unwrap_or_else(|never| match never {});
        Running { task: tokio::spawn(run(context, config, positions, stop.clone())), stop, status }
    }
}

/// The changes of a small world in Salesforce, in order, without gaps of its own.
fn changes(seed: u64, count: usize) -> Vec<Happening> {
    let world = World::generate(seed, Size::customers(30));
    let is_whole = |happening: &&Happening| match &happening.change {
        Change::Salesforce(change) => change.kind != SalesforceKind::Gap,
        _ => false,
    };
    let changes: Vec<_> = world.history().iter().filter(is_whole).take(count).cloned().collect();
    assert_eq!(changes.len(), count, "the world is too small");
    changes
}

fn case(id: &str, kind: SalesforceKind, at_ms: i64, subject: &str) -> Happening {
    let values = fields([("AccountId", "ACCT-1".into()), ("Status", "New".into()), ("Subject", subject.into())]);
    let change = SalesforceChange {
        object: "Case",
        ids: vec![id.to_owned()],
        kind,
        fields: if kind == SalesforceKind::Delete { fields([]) } else { values },
        commit_number: at_ms,
        transaction_key: format!("{id}-{at_ms}"),
        event_id: format!("event-{id}-{at_ms}"),
    };
    Happening {
        at_ms,
        deliver_ms: at_ms,
        system: fixtures::story::System::Salesforce,
        change: Change::Salesforce(change),
    }
}

/// What events said, each once: ids, versions and content.
fn said(log: &MemoryLog) -> BTreeMap<String, String> {
    let events = log.facts().into_iter().filter(|f| f.op != Op::Heartbeat && f.read_at.is_none());
    events
        .map(|f| (format!("{}/{}", f.event_id, f.record_id), format!("{:?} {} {:?}", f.op, f.version, f.fields)))
        .collect()
}

fn expect_said(log: &MemoryLog, expected: &MemoryLog) {
    let (said, expected) = (said(log), said(expected));
    let missing: Vec<_> = expected.iter().filter(|(id, word)| said.get(*id) != Some(word)).map(|(id, _)| id).collect();
    let more: Vec<_> = said.keys().filter(|id| !expected.contains_key(*id)).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing or other {missing:?}, more {more:?}");
}

/// The newest whole word on each record.
fn newest(log: &MemoryLog) -> BTreeMap<String, Fact> {
    let mut newest: BTreeMap<String, Fact> = BTreeMap::new();
    for fact in log.facts().into_iter().filter(|f| matches!(f.op, Op::Image | Op::Delete | Op::Undelete)) {
        let known = newest.get(fact.record_id.as_str());
        if known.is_none_or(|known| known.stamp() <= fact.stamp()) {
            newest.insert(fact.record_id.to_string(), fact);
        }
    }
    newest
}

const S: i64 = 1_000;
const BEGIN: i64 = 1_770_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_assertion_logs_in_and_a_wrong_one_is_told_in_the_vendors_words() {
    let vendor = vendor(Organisation::default()).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    vendor.story.set(i64::try_from(now.as_millis()).unwrap());
    let grant = |username: &str, audience: &str| Grant::JwtBearer {
        username: username.to_owned(),
        audience: audience.to_owned(),
        key: JwtKey::from_pem(TEST_KEY_PEM).unwrap(),
    };
    let session = |client_id: &str, grant: Grant| {
        let config = RestConfig { login_url: vendor.server.http_url(), client_id: client_id.to_owned(), grant };
        let clock = context(System::Salesforce, &MemoryLog::default(), &vendor.story).clock;
        async move { Rest::new(config, clock).session().await }
    };
    let (user, audience) = ("integration@acme.example", "https://login.salesforce.com");
    let good = session("opshub", grant(user, audience)).await.unwrap();
    assert_eq!(good.org_id, fixtures::salesforce::ORG_ID);
    for (client_id, user, audience, words) in [
        ("other", user, audience, "client identifier invalid"),
        ("opshub", "someone@acme.example", audience, "user hasn't approved this consumer"),
        ("opshub", user, "https://test.salesforce.com", "audience is invalid"),
    ] {
        let error = session(client_id, grant(user, audience)).await.unwrap_err();
        assert_eq!(error.to_string(), "salesforce answered invalid_grant (status 400)");
        assert!(format!("{error:?}").contains(words), "{error:?}");
    }
    vendor.story.set(0);
    let error = session("opshub", grant(user, audience)).await.unwrap_err();
    assert!(format!("{error:?}").contains("expired"), "an assertion of 1970: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_that_were_open_at_a_stop_are_read_after_the_start() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.publish(&[case("C1", SalesforceKind::Create, BEGIN, "one")]);
    vendor.faults.set(Faults { gap: Rate::ALWAYS, ..Faults::default() });
    vendor.publish(&[
        case("C1", SalesforceKind::Update, BEGIN + S, "two"),
        case("C2", SalesforceKind::Create, BEGIN + 2 * S, "two"),
        case("C3", SalesforceKind::Create, BEGIN + 3 * S, "three"),
        case("C3", SalesforceKind::Delete, BEGIN + 4 * S, ""),
    ]);
    vendor.faults.clear();
    let running = vendor.run(&log, vendor.config());
    log.until("the gaps", |log| log.facts().iter().filter(|f| f.op == Op::Gap).count() == 3).await;
    running.stop().await;
    // Whatever it read in between is forgotten: the log begins with the gaps alone.
    log.submissions.lock().unwrap().retain(|s| !s.facts.iter().any(|f| f.read_at.is_some()));
    let gaps = |log: &MemoryLog| {
        let known = newest(log);
        let open = log.facts().into_iter().filter(|f| f.op == Op::Gap);
        open.filter(|gap| known.get(gap.record_id.as_str()).is_none_or(|word| word.version < gap.version)).count()
    };
    assert_eq!(gaps(&log), 2, "the third is followed by a deletion, which says all");

    let running = vendor.run(&log, vendor.config());
    log.until("the gaps to be closed", |log| gaps(log) == 0).await;
    running.stop().await;
    let newest = newest(&log);
    assert_eq!((newest["C1"].op, newest["C1"].version.major), (Op::Image, (BEGIN + S).unsigned_abs()));
    assert_eq!(newest["C3"].op, Op::Delete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_position_reads_all_and_buries_what_is_gone() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let create = |id: &str, n: i64| case(id, SalesforceKind::Create, BEGIN + n * S, "first");
    vendor.publish(&[create("C1", 1), create("C2", 2), create("C3", 3), create("C4", 4)]);
    let running = vendor.run(&log, vendor.config());
    log.proven(TOPIC, BEGIN + 4 * S).await;
    running.stop().await;

    // While nobody listens one record changes, one is deleted, one is even purged; then the events
    // are out of reach.
    vendor.publish(&[
        case("C1", SalesforceKind::Update, BEGIN + 10 * S, "second"),
        case("C2", SalesforceKind::Delete, BEGIN + 11 * S, ""),
        case("C5", SalesforceKind::Create, BEGIN + 12 * S, "new"),
    ]);
    vendor.server.purge("Case", "C3");
    vendor.server.renumber();
    vendor.quiet_until(BEGIN + 20 * S);
    let running = vendor.run(&log, vendor.config());
    log.proven(TOPIC, BEGIN + 20 * S).await;
    running.stop().await;
    let newest = newest(&log);
    let told = |id: &str| (newest[id].op, i64::try_from(newest[id].version.major).unwrap() - BEGIN);
    assert_eq!(told("C1"), (Op::Image, 10 * S));
    assert_eq!(told("C2"), (Op::Delete, 11 * S), "the query shows what is in the recycle bin");
    assert_eq!(told("C3"), (Op::Delete, 20 * S), "gone when the reading began");
    assert_eq!(told("C4"), (Op::Image, 4 * S));
    assert_eq!(told("C5"), (Op::Image, 12 * S));

    // The new numbering is a position like any other.
    vendor.publish(&[case("C6", SalesforceKind::Create, BEGIN + 30 * S, "later")]);
    let again = log.facts().len();
    let running = vendor.run(&log, vendor.config());
    log.proven(TOPIC, BEGIN + 30 * S).await;
    running.stop().await;
    let read = log.facts()[again..].iter().filter(|f| f.read_at.is_some()).count();
    assert_eq!(read, 0, "nothing is read whole twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overflow_moves_no_position_until_all_is_read() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let create = |n: i64| case(&format!("C{n}"), SalesforceKind::Create, BEGIN + n * S, "first");
    vendor.publish(&(1..=5).map(create).collect::<Vec<_>>());
    let running = vendor.run(&log, vendor.config());
    log.proven(TOPIC, BEGIN + 5 * S).await;
    let before = log.position(TOPIC).unwrap();
    assert_eq!(vendor.server.events_until(&before), Some(5));

    // More changes than the bus tells of, while the data side is down.
    vendor.faults.set(Faults { throttle: Rate::ALWAYS, ..Faults::default() });
    let update = |n: i64| case(&format!("C{n}"), SalesforceKind::Update, BEGIN + (10 + n) * S, "second");
    vendor.server.overflow(&(1..=3).map(update).collect::<Vec<_>>()).unwrap();
    vendor.publish(&[create(20)]);
    log.until("the event behind the overflow", |log| {
        said(log).contains_key(&format!("event-C20-{}/C20", BEGIN + 20 * S))
    })
    .await;
    assert_eq!(log.position(TOPIC), Some(before), "the overflow would be forgotten by a crash now");
    running.stop().await;

    vendor.faults.clear();
    let running = vendor.run(&log, vendor.config());
    log.until("the position", |log| log.position(TOPIC).and_then(|p| vendor.server.events_until(&p)) == Some(7)).await;
    running.stop().await;
    let newest = newest(&log);
    for n in 1..=5 {
        let fact = &newest[&format!("C{n}")];
        assert_eq!(
            (fact.op, fact.version.major),
            (Op::Image, (BEGIN + 13 * S).unsigned_abs()),
            "C{n}: {}",
            fact.version
        );
    }
    assert!(newest["C20"].version.major == (BEGIN + 20 * S).unsigned_abs(), "no newer word is overruled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_reads_all_even_what_was_not_touched() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let create = case("C1", SalesforceKind::Create, BEGIN, "first");
    vendor.publish(std::slice::from_ref(&create));
    let running = vendor.run(&log, vendor.config());
    let Change::Salesforce(like) = &create.change else { panic!("a change of salesforce") };
    let like = SalesforceChange { commit_number: 77, event_id: "convert".to_owned(), ..like.clone() };
    vendor.server.convert(&like, BEGIN + 5 * S).unwrap();
    log.until("the record as it stands after the conversion", |log| {
        newest(log).get("C1").is_some_and(|f| f.read_at.is_some())
    })
    .await;
    running.stop().await;
    let fact = newest(&log)["C1"].clone();
    assert_eq!((fact.version.major, fact.version.minor), ((BEGIN + 5 * S).unsigned_abs(), 77));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_repeated_and_disordered_events_come_back_exactly() {
    let all = changes(5, 150);
    let last_ms = all.last().unwrap().at_ms;
    let (clean, expected) = (vendor(Organisation::default()).await, MemoryLog::default());
    clean.publish(&all);
    let running = clean.run(&expected, clean.config());
    expected.proven(TOPIC, last_ms).await;
    running.stop().await;

    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let rate = Rate::percent(20);
    vendor.faults.set(Faults { seed: 9, drop: rate, repeat: rate, reorder: rate, ..Faults::default() });
    vendor.story.set(all[0].at_ms - 3_600 * S);
    let audit = AuditConfig { interval: Duration::from_millis(30), settle: Duration::from_secs(60) };
    let running = vendor.run(&log, SalesforceConfig { audit: Some(audit), ..vendor.config() });
    for part in all.chunks(25) {
        vendor.publish(part);
        log.until("a part", |log| {
            log.position(TOPIC)
                .and_then(|p| vendor.server.events_until(&p))
                .is_some_and(|n| n + 26 > vendor.server.published())
        })
        .await;
    }
    vendor.quiet_until(last_ms + 300 * S);
    let whole = said(&expected);
    let come = |log: &MemoryLog| said(log).len() >= whole.len();
    let waited = tokio::time::timeout(Duration::from_secs(60), log.until("what was lost", come)).await;
    if waited.is_err() {
        expect_said(&log, &expected);
    }
    log.until("the proof", |log| {
        let proof = log.position(&position_name(TOPIC));
        proof.and_then(|place| compared_until(&place)) >= Some(Millis(last_ms + 240 * S))
    })
    .await;
    running.stop().await;
    assert!(!log.facts().iter().any(|f| f.read_at.is_some()), "all came back as events");
    expect_said(&log, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bus_never_tells_is_read_by_the_audit() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.quiet_until(BEGIN);
    let audit = AuditConfig { interval: Duration::from_millis(20), settle: Duration::from_secs(1) };
    let running = vendor.run(&log, SalesforceConfig { audit: Some(audit), ..vendor.config() });
    vendor.publish(&[case("C1", SalesforceKind::Create, BEGIN + 10 * S, "told")]);
    log.proven(TOPIC, BEGIN + 10 * S).await;
    // The bus says nothing, as of an object that is not selected for change events.
    vendor.server.change_untold(&case("C2", SalesforceKind::Create, BEGIN + 20 * S, "untold"));
    vendor.quiet_until(BEGIN + 60 * S);
    log.until("the case", |log| newest(log).contains_key("C2")).await;
    log.until("a quiet source to stay fresh", |log| {
        log.facts().iter().any(|f| f.op == Op::Heartbeat && f.changed_at.0 >= BEGIN + 59 * S)
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_everything_fails_now_and_then() {
    let all = changes(6, 120);
    let (clean, expected) = (vendor(Organisation::default()).await, MemoryLog::default());
    clean.publish(&all);
    let running = clean.run(&expected, clean.config());
    expected.proven(TOPIC, all.last().unwrap().at_ms).await;
    running.stop().await;

    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let rare = Rate::percent(5);
    vendor.faults.set(Faults {
        token_expired: rare,
        throttle: rare,
        fail: rare,
        slow: rare,
        slow_by: Duration::from_millis(5),
        schema_change_after: Some(60),
        ..Faults::default()
    });
    let running = vendor.run(&log, vendor.config());
    for part in all.chunks(30) {
        vendor.publish(part);
        let (published, server) = (vendor.server.published(), &vendor.server);
        log.until("a part", |log| log.position(TOPIC).and_then(|p| server.events_until(&p)) == Some(published)).await;
    }
    running.stop().await;
    // Fields of another schema are read by that schema.
    expect_said(&log, &expected);
    assert_eq!(log.rejects().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_allowance_is_told_before_it_is_used_up() {
    let config = Organisation { deliveries_max: 40, ..Organisation::default() };
    let (vendor, log) = (vendor(config).await, MemoryLog::default());
    let allowance = AllowanceConfig { interval: Duration::from_millis(20), ..AllowanceConfig::default() };
    let running = vendor.run(&log, SalesforceConfig { allowance: Some(allowance), ..vendor.config() });
    let create = |n: i64| case(&format!("C{n}"), SalesforceKind::Create, BEGIN + n * S, "first");
    vendor.publish(&(1..=37).map(create).collect::<Vec<_>>());
    let told = async {
        let is_found = |status: ConnectorStatus| {
            let found = status.findings.get("few_deliveries_left");
            found.is_some_and(|found| found.text.starts_with("3 of 40 event deliveries"))
        };
        while !is_found(running.status.get()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    log.until("all events", |log| newest(log).len() == 37).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_stream_is_given_up() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let running = vendor.run(&log, vendor.config());
    log.proven(TOPIC, 0).await;
    vendor.faults.set(Faults { fail: Rate::ALWAYS, half_open: Rate::ALWAYS, ..Faults::default() });
    vendor.publish(&[case("C1", SalesforceKind::Create, BEGIN, "first")]);
    let told = async {
        while !running.status.get().last_error.ends_with("no keepalive came") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    vendor.faults.clear();
    log.until("the event", |log| newest(log).contains_key("C1")).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_makes_the_stream_wait() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    let running = vendor.run(&log, vendor.config());
    log.proven(TOPIC, 0).await;
    log.is_full.store(true, Ordering::SeqCst);
    let create = |n: i64| case(&format!("C{n}"), SalesforceKind::Create, BEGIN + n * S, "first");
    vendor.publish(&(1..=1_000).map(create).collect::<Vec<_>>());
    let sent = async {
        while vendor.server.delivered() < 100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent).await.unwrap();
    assert_eq!(vendor.server.delivered(), 100, "no more than was asked for");
    log.is_full.store(false, Ordering::SeqCst);
    log.proven(TOPIC, BEGIN + 1_000 * S).await;
    running.stop().await;
    assert_eq!(newest(&log).len(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organisation_is_tried_out_before_it_is_relied_on() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.publish(&[case("C1", SalesforceKind::Create, BEGIN, "first")]);
    let of_log = context(System::Salesforce, &log, &vendor.story);
    let check = |config: SalesforceConfig| {
        let (connectors, clock) = (of_log.connectors.clone(), of_log.clock.clone());
        async move { connectors::salesforce::check::check(&config, &connectors, clock).await }
    };
    let trials = check(vendor.config()).await;
    let bad: Vec<_> = trials.iter().filter(|trial| trial.result.is_err()).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let event = trials.last().unwrap().result.clone().unwrap();
    assert!(event.starts_with("image of case with "), "{event}");
    assert!(log.facts().is_empty(), "nothing is stored");

    let mut stranger = vendor.config();
    stranger.rest.client_id = "nobody".to_owned();
    let trials = check(stranger).await;
    assert_eq!(trials.len(), 1);
    let wrong = trials[0].result.clone().unwrap_err();
    assert!(wrong.ends_with("client identifier invalid"), "{wrong}");

    let elsewhere = SalesforceConfig { topic: "/data/Nothing__chn".to_owned(), ..vendor.config() };
    vendor.story.set(BEGIN + 600 * S);
    let trials = check(elsewhere).await;
    let bad: Vec<&str> = trials.iter().filter(|trial| trial.result.is_err()).map(|trial| trial.what.as_str()).collect();
    assert_eq!(bad, ["clock", "topic", "event"]);
}
