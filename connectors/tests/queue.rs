//! The queue over REST against its simulator: stored before it is acknowledged, and again after every
//! kind of failure.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{MemoryLog, Story, context};
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::oracle::check::{Paths, check};
use connectors::oracle::queue::{QueueConfig, run};
use connectors::oracle::{OrdsConfig, Relist};
use connectors::{Connectors, Mapping};
use fixtures::faults::{FaultSwitch, Faults, Rate};
use fixtures::oracle::{CLIENT, GROUP, OracleServer};
use fixtures::story::{Change, Happening};
use fixtures::world::{Size, World};
use ontology::{Op, System};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TABLES: [&str; 2] = ["BILLING_DISPUTE", "CREDIT_NOTE"];

/// The shipped mapping, with the tables of the queue ordered by their own columns.
fn mapping() -> Mapping {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/oracle.toml");
    let mut text = std::fs::read_to_string(path).unwrap();
    for table in TABLES {
        let name = format!("name = \"{table}\"\n");
        assert!(text.contains(&name));
        let order = "ordered_by = [\"LAST_UPDATE_DATE\", \"OBJECT_VERSION_NUMBER\"]\n";
        text = text.replace(&name, &format!("{name}{order}"));
    }
    Mapping::parse(&text).unwrap()
}

struct Stage {
    log: MemoryLog,
    server: OracleServer,
    switch: FaultSwitch,
    story: Vec<Happening>,
}

async fn stage() -> Stage {
    let switch = FaultSwitch::default();
    let server =
        OracleServer::start_with(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), switch.clone()).await.unwrap();
    server.enqueue(&TABLES);
    let is_queued = |one: &&Happening| matches!(&one.change, Change::Oracle(change) if TABLES.contains(&change.table));
    let story = World::generate(3, Size::customers(40)).history().iter().filter(is_queued).cloned().collect();
    Stage { log: MemoryLog::default(), server, switch, story }
}

impl Stage {
    fn start(&self) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let base = context(System::Oracle, &self.log, &Story::default());
        let context = Context { connectors: Connectors::new(vec![mapping()]), ..base };
        let config = self.config();
        (stop.clone(), tokio::spawn(run(context, config, Relist::none(), stop)))
    }

    fn config(&self) -> QueueConfig {
        QueueConfig {
            ords: OrdsConfig {
                base_url: format!("{}/ords/ar", self.server.http_url()),
                client_id: CLIENT.0.to_owned(),
                client_secret: Secret::new(CLIENT.1),
            },
            group: GROUP.to_owned(),
            topics: TABLES.map(str::to_owned).to_vec(),
            partition: "queue".to_owned(),
            interval: Duration::from_millis(10),
        }
    }

    fn happen(&self, range: std::ops::Range<usize>) {
        self.story[range].iter().for_each(|one| self.server.apply(one));
    }

    /// Waits until the queue has nothing left to tell, and says which changes arrived.
    async fn emptied(&self) -> BTreeSet<String> {
        let waiting = async {
            while self.server.waiting() > 0 {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "{} left", self.server.waiting());
        let changes = self.log.facts().into_iter().filter(|fact| fact.op != Op::Heartbeat);
        changes.map(|fact| fact.event_id.to_string()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_stored_and_then_acknowledged() {
    let stage = stage().await;
    let all = stage.story.len();
    assert!(all > 50, "{all}");
    stage.log.is_full.store(true, Ordering::SeqCst);
    let (stop, reader) = stage.start();
    stage.happen(0..all);
    tokio::task::yield_now().await;
    assert_eq!(
        (stage.server.waiting(), stage.log.facts().len()),
        (all, 0),
        "nothing is acknowledged that is not stored"
    );
    stage.log.is_full.store(false, Ordering::SeqCst);
    assert_eq!(stage.emptied().await.len(), all);
    stage.log.proven("queue", 0).await;
    assert!(stage.log.rejects().is_empty());
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_killed_or_forgotten_loses_nothing() {
    let stage = stage().await;
    let all = stage.story.len();
    let (_, reader) = stage.start();
    stage.happen(0..all / 2);
    stage.log.until("the first ones", |log| !log.facts().is_empty()).await;
    reader.abort();
    assert!(reader.await.is_err());
    let (stop, reader) = stage.start();
    stage.emptied().await;
    stage.server.forget_consumers();
    stage.happen(all / 2..all);
    assert_eq!(stage.emptied().await.len(), all);
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_end_are_asked_for_anew() {
    let stage = stage().await;
    let all = stage.story.len();
    stage.switch.set(Faults { token_expired: Rate::percent(20), ..Faults::default() });
    let (stop, reader) = stage.start();
    stage.happen(0..all);
    assert_eq!(stage.emptied().await.len(), all);
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_tried_out_and_keeps_its_messages() {
    let stage = stage().await;
    stage.happen(0..5);
    let clock: connectors::SharedClock = std::sync::Arc::new(|| ontology::Millis(0));
    let tried = async |config: &QueueConfig| {
        let paths = Paths { queue: Some(config), ..Paths::default() };
        check(paths, &Connectors::new(vec![mapping()]), clock.clone()).await
    };
    let good = tried(&stage.config()).await;
    assert!(good.iter().all(|trial| trial.result.is_ok()), "{good:?}");
    assert!(good.last().unwrap().result.as_ref().unwrap().contains("becomes a fact"), "{good:?}");
    assert_eq!(stage.server.waiting(), 5);
    let bad = tried(&QueueConfig { group: "others".to_owned(), ..stage.config() }).await;
    assert!(bad[0].result.as_ref().unwrap_err().contains("ORA-24047"), "{bad:?}");
    let bad = tried(&QueueConfig { topics: vec!["NOWHERE".to_owned()], ..stage.config() }).await;
    assert!(bad[1].result.as_ref().unwrap_err().contains("ORA-24010"), "{bad:?}");
}
