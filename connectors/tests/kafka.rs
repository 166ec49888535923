//! The Kafka transport against a real broker, which `fixtures/services up` starts: what a capture
//! writes into topics arrives, once, through stops, full logs, forgotten records and new topics.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::{MemoryLog, Story, context};
use connectors::oracle::Relist;
use connectors::oracle::check::{Paths, check};
use connectors::oracle::kafka::{KafkaConfig, POSITION, Topics, run};
use connectors::{Connectors, Delivery, Framing};
use fixtures::faults::{FaultSwitch, Faults, Rate};
use fixtures::oracle::kafka::KafkaCapture;
use fixtures::services;
use fixtures::story::{Change, OracleChange};
use fixtures::world::{Size, World};
use ontology::{Millis, Op, System};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Stage {
    log: MemoryLog,
    story: Story,
    capture: KafkaCapture,
    prefix: String,
    changes: Vec<(i64, OracleChange)>,
    relist: Relist,
}

async fn stage(seed: u64, switch: FaultSwitch) -> Stage {
    let prefix = format!("t{}", uuid::Uuid::new_v4().simple());
    let capture = KafkaCapture::start(&services::address("OPSHUB_KAFKA"), &prefix, switch).await.unwrap();
    let world = World::generate(seed, Size::customers(10));
    let changes = world.history().iter().filter_map(|one| match &one.change {
        Change::Oracle(change) => Some((one.at_ms, change.clone())),
        _ => None,
    });
    let changes: Vec<_> = changes.collect();
    let tables = connectors::Mapping::shipped(System::Oracle).unwrap().objects;
    let tables: Vec<String> = tables.into_iter().map(|object| object.name).collect();
    let log = MemoryLog::default();
    let relist = Relist::of(&tables, |_| None);
    Stage { log, story: Story::default(), capture, prefix, changes, relist }
}

impl Stage {
    fn config(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: services::address("OPSHUB_KAFKA"),
            topics: Topics::Prefix(self.prefix.clone()),
            partition: "erp".to_owned(),
            properties: BTreeMap::new(),
            is_plaintext_allowed: false,
            refresh: Duration::from_millis(200),
        }
    }

    fn start(&self) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let context = context(System::Oracle, &self.log, &self.story);
        let position = self.log.position(POSITION);
        (stop.clone(), tokio::spawn(run(context, self.config(), position, self.relist.clone(), stop)))
    }

    async fn capture(&self, range: std::ops::Range<usize>) {
        let changes: Vec<_> = self.changes[range].iter().map(|(at, change)| (*at, change)).collect();
        self.capture.capture(&changes, i64::MAX).await.unwrap();
    }

    async fn arrived(&self, expected: &[String]) {
        self.log.until("every change", |log| ids(log).len() >= expected.len()).await;
        assert_eq!(ids(&self.log), expected);
    }

    /// The facts of the first changes, by their ids, sorted.
    fn expected(&self, count: usize) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for (at_ms, change) in &self.changes[..count] {
            let line = fixtures::oracle::entries(change, *at_ms).join("\n");
            let delivery = Delivery { framing: Framing::Lines, ..Delivery::document(line.as_bytes(), Millis(0)) };
            ids.extend(
                Connectors::shipped().decode(System::Oracle, &delivery).facts.iter().map(|f| f.event_id.to_string()),
            );
        }
        ids.sort();
        ids
    }
}

/// The ids of all changes in the log, sorted, repeats included.
fn ids(log: &MemoryLog) -> Vec<String> {
    let changes = log.facts().into_iter().filter(|fact| fact.op != Op::Heartbeat);
    let mut ids: Vec<String> = changes.map(|fact| fact.event_id.to_string()).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_arrive_once_however_often_the_reader_is_killed() {
    let stage = stage(3, FaultSwitch::default()).await;
    let third = stage.changes.len() / 3;
    stage.capture(0..third).await;
    // Killed in the middle of whatever it does, four times.
    for kill in 1..=4 {
        let (_, reader) = stage.start();
        stage.log.until("some changes", |log| ids(log).len() > kill * third / 5).await;
        reader.abort();
        assert!(reader.await.is_err());
    }
    let (stop, reader) = stage.start();
    stage.arrived(&stage.expected(third)).await;
    stage.capture(third..stage.changes.len()).await;
    let expected = stage.expected(stage.changes.len());
    stage.arrived(&expected).await;
    stop.cancel();
    reader.await.unwrap();

    let (stop, reader) = stage.start();
    stage.capture.heartbeat(7_000).await.unwrap();
    stage.log.proven("erp", 7_000).await;
    assert_eq!(ids(&stage.log), expected, "nothing is read twice");
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_makes_the_reader_wait_and_proof_comes_last() {
    let stage = stage(4, FaultSwitch::default()).await;
    stage.log.is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let (stop, reader) = stage.start();
    stage.capture(0..stage.changes.len()).await;
    stage.capture.heartbeat(9_000).await.unwrap();
    stage.log.is_full.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.log.proven("erp", 9_000).await;
    assert_eq!(ids(&stage.log), stage.expected(stage.changes.len()), "the proof comes after what it is of");
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_decoder_reads_is_kept_and_keeps_nobody_waiting() {
    let stage = stage(5, FaultSwitch::default()).await;
    let (stop, reader) = stage.start();
    stage.capture.raw("AR_INVOICE", b"{cut\n").await.unwrap();
    stage.capture.raw("AR_INVOICE", &[0, 0, 0, 0, 1, 2, 3]).await.unwrap();
    stage.capture(0..50).await;
    stage.arrived(&stage.expected(50)).await;
    stage.log.until("both", |log| log.rejects().values().sum::<u64>() == 2).await;
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_out_of_reach_asks_for_the_tables() {
    let stage = stage(6, FaultSwitch::default()).await;
    let (stop, reader) = stage.start();
    stage.capture(0..100).await;
    stage.arrived(&stage.expected(100)).await;
    stop.cancel();
    reader.await.unwrap();

    // What comes while nobody reads is forgotten by the broker.
    stage.capture(100..200).await;
    stage.capture.expire("AR_INVOICE").await.unwrap();
    let (stop, reader) = stage.start();
    let asked =
        |log: &MemoryLog, table: &str| log.position(&format!("oracle/relist/{table}")) == Some(b"doubt".to_vec());
    stage.log.until("the ask", |log| asked(log, "AR_INVOICE")).await;
    assert!(!asked(&stage.log, "AR_PAYMENT"), "its topic is whole");
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_begin_anew_are_read_from_their_beginning() {
    let stage = stage(7, FaultSwitch::default()).await;
    let (stop, reader) = stage.start();
    stage.capture(0..100).await;
    stage.arrived(&stage.expected(100)).await;
    stop.cancel();
    reader.await.unwrap();

    stage.capture.begin_anew().await.unwrap();
    // As many records as before and other ones: offsets alone would not tell.
    stage.capture(100..300).await;
    let (stop, reader) = stage.start();
    stage.arrived(&stage.expected(300)).await;
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_and_disorder_change_nothing_but_the_order() {
    let faults = Faults { repeat: Rate::percent(10), reorder: Rate::percent(10), ..Faults::default() };
    let stage = stage(8, FaultSwitch::new(faults)).await;
    let (stop, reader) = stage.start();
    stage.capture(0..300).await;
    let expected: BTreeSet<String> = stage.expected(300).into_iter().collect();
    let distinct = |log: &MemoryLog| ids(log).into_iter().collect::<BTreeSet<_>>();
    stage.log.until("every change", |log| distinct(log).len() == expected.len()).await;
    assert_eq!(distinct(&stage.log), expected);
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topics_are_tried_out_and_nothing_is_moved() {
    let stage = stage(9, FaultSwitch::default()).await;
    stage.capture(0..40).await;
    let clock: connectors::SharedClock = std::sync::Arc::new(|| Millis(0));
    let config = stage.config();
    let tried = async |config: &KafkaConfig| {
        let paths = Paths { kafka: Some(config), ..Paths::default() };
        check(paths, &Connectors::shipped(), clock.clone()).await
    };
    let good = tried(&config).await;
    assert!(good.iter().all(|trial| trial.result.is_ok()), "{good:?}");
    assert!(good.last().unwrap().result.as_ref().unwrap().contains("becomes a fact"), "{good:?}");
    let named = KafkaConfig { topics: Topics::Named(vec!["nowhere".to_owned()]), ..config };
    let bad: Vec<_> = tried(&named).await.into_iter().filter(|trial| trial.result.is_err()).collect();
    assert_eq!(bad.iter().map(|trial| trial.what.as_str()).collect::<Vec<_>>(), ["topic nowhere", "heartbeats"]);
    assert!(stage.log.facts().is_empty());
}
