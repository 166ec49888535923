//! The whole edge against the vendor simulators: what the world sends arrives as facts, what it
//! planted is in quarantine, and nothing else is.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{MemoryLog, Story, context, serve};
use connectors::edge::credentials::Secret;
use connectors::edge::oauth::Login;
use connectors::salesforce::rest::RestConfig;
use connectors::{oracle, salesforce, sap, wxcc};
use fixtures::player::{Doors, Player, Vendors};
use fixtures::world::{Size, World};
use ontology::{Millis, Op, System, ValueRef};
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "/data/ChangeEvents";
const WEBHOOK_SECRET: &str = "webhook-secret";

async fn doors(log: &MemoryLog, story: &Story) -> Doors {
    let routers = oracle::transport::router(
        context(System::Oracle, log, story),
        oracle::OracleConfig { token: Secret::new("push-token"), partition: "erp".to_owned() },
        oracle::Relist::none(),
    )
    .merge(wxcc::transport::router(
        context(System::Wxcc, log, story),
        wxcc::WxccConfig {
            secrets: vec![Secret::new("older-secret"), Secret::new(WEBHOOK_SECRET)],
            partition: "webhooks".to_owned(),
            is_freshness_checked: false,
        },
    ))
    .merge(sap::transport::router(
        context(System::Sap, log, story),
        sap::SapConfig::new("sap", Secret::new("sap-password"), "idoc"),
        None,
    ));
    let base = serve(routers).await;
    Doors {
        oracle: Some(fixtures::oracle::OracleDoor {
            url: format!("{base}/oracle/changes"),
            token: "push-token".to_owned(),
        }),
        wxcc: Some(fixtures::wxcc::WebexDoor::new(format!("{base}/webhooks/wxcc"), WEBHOOK_SECRET)),
        sap: Some(fixtures::sap::SapDoor {
            url: format!("{base}/sap/idoc"),
            user: "sap".to_owned(),
            password: "sap-password".to_owned(),
        }),
    }
}

fn salesforce_config(vendors: &Vendors) -> salesforce::SalesforceConfig {
    let secret = Secret::new("opshub-secret");
    let rest = RestConfig::client_credentials(vendors.salesforce.http_url(), "opshub", secret);
    salesforce::SalesforceConfig {
        is_full_read_first: false,
        silence_max: Duration::from_secs(20),
        audit: None,
        allowance: None,
        ..salesforce::SalesforceConfig::new(rest, vendors.salesforce.grpc_url())
    }
}

fn start_list_jobs(vendors: &Vendors, log: &MemoryLog, story: &Story, stop: &CancellationToken) {
    let interval = Duration::from_millis(50);
    let tables = connectors::Mapping::shipped(System::Oracle).unwrap().objects;
    tokio::spawn(oracle::transport::list(
        context(System::Oracle, log, story),
        oracle::OracleListConfig {
            ords: oracle::OrdsConfig {
                base_url: format!("{}/ords/ar", vendors.oracle.http_url()),
                client_id: fixtures::oracle::CLIENT.0.to_owned(),
                client_secret: Secret::new(fixtures::oracle::CLIENT.1),
            },
            tables: tables.into_iter().map(|o| o.name).collect(),
            partition: "erp-list".to_owned(),
            interval,
            is_full_read_first: false,
            full_interval: None,
            is_wall_time: false,
        },
        |name: &str| (name == oracle::list::POSITION).then(|| b"0".to_vec()),
        oracle::Relist::none(),
        stop.clone(),
    ));
    tokio::spawn(wxcc::search::search(
        context(System::Wxcc, log, story),
        wxcc::WxccSearchConfig {
            interval,
            lag_ms: 0,
            first_ms: 200 * Millis::DAY_MS,
            with_transcripts: true,
            ..wxcc::WxccSearchConfig::new(
                &vendors.wxcc.http_url(),
                fixtures::wxcc::ORG_ID,
                wxcc::WxccAuth::Token(Secret::new(fixtures::wxcc::TOKEN)),
                "search",
            )
        },
        None,
        stop.clone(),
    ));
    tokio::spawn(sap::list::list(
        context(System::Sap, log, story),
        sap::SapListConfig {
            interval,
            ..sap::SapListConfig::new(
                sap::SapAccess {
                    base_url: format!("{}/sap/opu/odata/sap", vendors.sap.http_url()),
                    login: Login::basic(fixtures::sap::USER.0, Secret::new(fixtures::sap::USER.1)),
                },
                "odata",
            )
        },
        Some(0_i64.to_be_bytes().to_vec()),
        stop.clone(),
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_world_arrives_whole() {
    let (log, story, stop) = (MemoryLog::default(), Story::default(), CancellationToken::new());
    let vendors = Arc::new(Vendors::start().await.unwrap());
    let world = Arc::new(World::generate(7, Size::customers(40)));
    let doors = doors(&log, &story).await;
    let connector = tokio::spawn(salesforce::transport::run(
        context(System::Salesforce, &log, &story),
        salesforce_config(&vendors),
        salesforce::Positions::default(),
        stop.clone(),
    ));

    let mut player = Player::new(Arc::clone(&world), Arc::clone(&vendors), doors).unwrap();
    let clock = story.clone();
    player.history(|slice, _| clock.set(slice.to_ms)).await.unwrap();
    log.proven(TOPIC, player.now_ms()).await;
    log.until("every gap to be read", |log| open_gaps(log).is_empty()).await;

    let planted: BTreeMap<_, _> = world
        .planted(player.now_ms())
        .into_iter()
        .map(|((system, reason), count)| ((system.name().to_owned(), reason.code().to_owned()), count))
        .collect();
    assert_eq!(log.rejects(), planted);
    let details: Vec<_> = log.submissions.lock().unwrap().iter().flat_map(|s| s.rejects.clone()).collect();
    assert!(details.iter().all(|r| !r.raw.is_empty()), "raw bytes are kept");
    every_word_is_known(&log);
    every_party_is_known(&world, &log);

    let pushed = log.facts().len();
    start_list_jobs(&vendors, &log, &story, &stop);
    for partition in ["erp-list", "search", "odata"] {
        log.proven(partition, player.now_ms()).await;
    }
    assert_eq!(log.rejects(), planted, "lists bring no bad rows");
    assert!(log.facts().len() > pushed);
    every_word_is_known(&log);
    every_contact_is_known(&world, &log);
    lists_agree_with_pushes(&log);

    stop.cancel();
    connector.await.unwrap();
}

/// Publishes what Salesforce says in the story up to the `count`-th happening.
fn publish(world: &World, vendors: &Vendors, range: std::ops::Range<usize>) {
    let said = world.history().iter().filter(|h| matches!(h.change, fixtures::story::Change::Salesforce(_)));
    for happening in said.skip(range.start).take(range.len()) {
        vendors.salesforce.publish(happening).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_survives_restarts_new_tokens_and_a_lost_position() {
    let (log, story) = (MemoryLog::default(), Story::default());
    let vendors = Vendors::start().await.unwrap();
    let world = World::generate(11, Size::customers(10));
    let run = |log: &MemoryLog, position, stop: &CancellationToken| {
        let context = context(System::Salesforce, log, &story);
        let status = context.status.clone();
        let config = salesforce_config(&vendors);
        let positions = salesforce::Positions { stream: position, ..salesforce::Positions::default() };
        (tokio::spawn(salesforce::transport::run(context, config, positions, stop.clone())), status)
    };
    publish(&world, &vendors, 0..40);
    story.set(1);
    let stop = CancellationToken::new();
    let (running, _) = run(&log, None, &stop);
    log.proven(TOPIC, 1).await;
    stop.cancel();
    running.await.unwrap();

    // A restart goes on after the last event that is stored, with a token that is no longer good.
    let first = log.facts().into_iter().filter(|f| f.op != Op::Heartbeat).count();
    let position = log.position(TOPIC);
    vendors.salesforce.revoke_tokens();
    publish(&world, &vendors, 40..60);
    story.set(2);
    let (stop, second) = (CancellationToken::new(), MemoryLog::default());
    let (running, _) = run(&second, position.clone(), &stop);
    second.proven(TOPIC, 2).await;
    vendors.salesforce.revoke_tokens();
    publish(&world, &vendors, 60..70);
    stop.cancel();
    running.await.unwrap();
    let said: BTreeSet<_> = log.facts().iter().map(|f| f.event_id.clone()).collect();
    let again = second.facts().into_iter().filter(|f| f.op != Op::Heartbeat && said.contains(&f.event_id)).count();
    assert!(first >= 40 && again <= 1, "{first} facts, {again} again");

    // A position outside retention: every record is read, and the stream goes on.
    vendors.salesforce.expire_before(vendors.salesforce.published());
    let (stop, third) = (CancellationToken::new(), MemoryLog::default());
    let (running, _) = run(&third, position, &stop);
    story.set(3);
    third.proven(TOPIC, 3).await;
    stop.cancel();
    running.await.unwrap();
    let read: BTreeSet<_> = third.facts().iter().filter(|f| f.read_at.is_some()).map(|f| f.entity.clone()).collect();
    let all: BTreeSet<_> =
        [&log, &second].iter().flat_map(|log| log.facts()).filter(|f| f.op == Op::Image).map(|f| f.entity).collect();
    assert!(all.difference(&read).count() == 0, "{:?}", all.difference(&read).collect::<Vec<_>>());
}

fn open_gaps(log: &MemoryLog) -> BTreeSet<(String, String)> {
    let facts = log.facts();
    let key = |f: &ontology::Fact| (f.record_id.to_string(), f.version.to_string());
    let read: BTreeSet<_> = facts.iter().filter(|f| f.read_at.is_some()).map(key).collect();
    facts.iter().filter(|f| f.op == Op::Gap).map(key).filter(|gap| !read.contains(gap)).collect()
}

/// A row read by a list job says what the pushed row said that last changed it. Oracle's loses to it;
/// SAP's stands just above it, so that the same stands in the end whether the document came or not.
fn lists_agree_with_pushes(log: &MemoryLog) {
    let mut said = BTreeMap::new();
    let mut compared = 0;
    for fact in log.facts().into_iter().filter(|f| f.op == Op::Image) {
        // The row SCN of Oracle and the document of SAP; a push adds what orders it within them.
        let change = (fact.version.major, if fact.system == System::Sap { fact.version.minor } else { 0 });
        let key = (fact.object.clone(), fact.record_id.clone(), change);
        if fact.read_at.is_none() {
            said.insert(key, (fact.version, fact.fields));
        } else if let Some((version, pushed)) = said.get(&key) {
            let is_above = fact.version > *version;
            assert_eq!(is_above, fact.system == System::Sap, "{key:?}: {version} {}", fact.version);
            let (pushed, listed) = (plain(pushed), plain(&fact.fields));
            assert_eq!(pushed, listed, "{key:?}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

/// The fields as text; an amount is the same with and without zeros at its end, which a JSON number
/// does not have.
fn plain(fields: &ontology::Fields) -> Vec<String> {
    let shown = fields.iter().map(|(field, value)| match value {
        ValueRef::Decimal { mut mantissa, mut scale } => {
            while scale > 0 && mantissa % 10 == 0 {
                (mantissa, scale) = (mantissa / 10, scale - 1);
            }
            format!("{field:?} {mantissa}e-{scale}")
        }
        other => format!("{field:?} {other:?}"),
    });
    shown.collect()
}

/// No status outside the mappings, and no bad value but the planted estimates.
fn every_word_is_known(log: &MemoryLog) {
    let mut strange = BTreeSet::new();
    for fact in log.facts() {
        for (field, value) in fact.fields.iter() {
            match value {
                ValueRef::Unknown(raw) => strange.insert(format!("{} {field:?} unknown {raw}", fact.object)),
                ValueRef::Bad("abc") => false,
                ValueRef::Bad(raw) => strange.insert(format!("{} {field:?} bad {raw}", fact.object)),
                _ => false,
            };
        }
    }
    assert!(strange.is_empty(), "{strange:?}");
}

fn every_party_is_known(world: &World, log: &MemoryLog) {
    let facts = log.facts();
    let known: BTreeSet<_> = facts
        .iter()
        .filter(|f| f.entity.kind.is_party())
        .map(|f| (ontology::Vocabulary::name(f.system), f.entity.id.to_string()))
        .collect();
    let missing: Vec<_> = world
        .truth()
        .party
        .keys()
        .filter(|key| key.system != "wxcc" && !known.contains(&(key.system, key.id.clone())))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn every_contact_is_known(world: &World, log: &MemoryLog) {
    let known: BTreeSet<_> = log.facts().iter().map(|f| f.entity.id.to_string()).collect();
    let mut missing = BTreeSet::new();
    for happening in world.history() {
        if let fixtures::story::Change::Webex(change) = &happening.change
            && let Some(task) = change.data["taskId"].as_str()
            && !known.contains(task)
        {
            missing.insert(task.to_owned());
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
