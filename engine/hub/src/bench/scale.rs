//! `opshub bench scale`: the store on Kafka and Redis beside the one in a folder, in one run.
//!
//! What is measured is what there is: one process evaluates everything, and each further one that answers
//! reads does the same work again. Rows whose goals ask for more say that they are not met.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use benches::cpu::Stopwatch;
use benches::read::quantile;
use benches::report::{Figure, Report};
use benches::stream::{Event, FactMaker, Workload, reference};
use bytes::Bytes;
use futures::StreamExt as _;
use pipeline::EngineSettings;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message as _};
use resolver::Model;
use serve::views::Published;
use storage::{DistributedOptions, Embedded, Log as _, Operations, Store};
use tokio::task::JoinSet;
use tokio::time::interval;

use super::{PATIENCE, append, applied, begin_of, by_clock, deliver};
use crate::as_of::{self, Moment};
use crate::clock::StoryClock;
use crate::rented::Rented;
use crate::runner::{Handle, Runner};

/// CPU of the engine on servers over CPU of the parse, at most; 3.0 is aimed at.
const SERVERS_OVER_PARSE_MAX: f64 = 4.0;
/// CPU per fact of two workers over one, at most.
const TWO_OVER_ONE_MAX: f64 = 1.1;
/// Source to visible may be so many times what the same broker takes for a record, plus so much.
const VISIBLE_FACTOR: f64 = 2.0;
const VISIBLE_EXTRA_MS: f64 = 20.0;
/// Facts a second of the latency part: half of what one process takes in with a fact per delivery.
const PER_S: f64 = 200.0;
/// Calls of the store that a batch may cost at the most: one load and one commit.
const CALLS_MAX: f64 = 1.0;
const PAYLOAD_BYTES: usize = 600;
/// Pause before brokers are asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How the bench runs.
#[derive(Debug, Clone)]
pub struct ScaleOptions {
    /// What comes in.
    pub workload: Workload,
    /// Servers of the store; a name of the bench's own is put behind theirs.
    pub servers: DistributedOptions,
    /// Length of the latency part.
    pub lasts: Duration,
}

/// What one run of the workload took.
struct Run {
    cpu_s: f64,
    facts: u64,
    /// Blocks of the log: what the engine takes at once.
    batches: u64,
    operations: Operations,
}

/// Measures.
///
/// # Errors
/// When a server does not answer or the hub fails.
pub fn scale(options: &ScaleOptions) -> anyhow::Result<Report> {
    let rented = Rented::on(&options.servers);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let bytes = Bytes::from(options.workload.to_bytes());
    let parse_cpu_s = parse(&bytes)?;
    let dir = tempfile::Builder::new().prefix("opshub-bench-").tempdir()?;
    let embedded = Arc::new(Embedded::open(dir.path(), storage::Options::default())?);
    let in_folder = runtime.block_on(run(embedded, &options.workload, bytes.clone()))?;
    let store = Arc::new(rented.open()?);
    let on_servers = runtime.block_on(run(store.clone(), &options.workload, bytes))?;
    let watch = Stopwatch::start();
    let newest = Moment::at(&*store, store.last())?;
    as_of::engine_at(&*store, newest, EngineSettings::default(), Model::shipped())?;
    let again_cpu_s = watch.spent().cpu_s;
    let visible = runtime.block_on(latency(store, options))?;
    let plain = runtime.block_on(produce_to_consume(rented.options(), options.lasts))?;
    Ok(report(parse_cpu_s, &in_folder, &on_servers, again_cpu_s, &visible, &plain))
}

fn parse(bytes: &[u8]) -> anyhow::Result<f64> {
    let watch = Stopwatch::start();
    reference::parse_owned(bytes).context("parse the workload")?;
    Ok(watch.spent().cpu_s)
}

fn start(
    store: Arc<dyn Store>,
    workload: &Workload,
) -> anyhow::Result<(Runner, Arc<Published<pipeline::CustomerView>>)> {
    let clock = Arc::new(StoryClock::standing(begin_of(workload)));
    clock.run(1.0);
    let (options, publish, published) = by_clock(clock);
    Ok((Runner::start(store, options, publish)?, published))
}

/// Puts the workload through a hub on this store, to the last snapshot.
async fn run(store: Arc<dyn Store>, workload: &Workload, bytes: Bytes) -> anyhow::Result<Run> {
    let watch = Stopwatch::start();
    let (runner, published) = start(store.clone(), workload)?;
    let before = store.operations();
    let facts = deliver(&runner.handle(), &published, bytes).await?;
    let all = store.operations();
    tokio::task::spawn_blocking(move || runner.stop()).await??;
    let cpu_s = watch.spent().cpu_s;
    let operations = Operations {
        log_commits: all.log_commits - before.log_commits,
        row_commits: all.row_commits - before.row_commits,
        row_loads: all.row_loads - before.row_loads,
    };
    let batches = tokio::task::spawn_blocking(move || store.verify()).await??.blocks;
    Ok(Run { cpu_s, facts, batches, operations })
}

/// From handing a fact over to reading its customer, in microseconds.
async fn latency(store: Arc<dyn Store>, options: &ScaleOptions) -> anyhow::Result<Vec<u64>> {
    let count = (PER_S * options.lasts.as_secs_f64()) as u64;
    let workload = Workload::new(options.workload.customers, count, options.workload.seed + 1);
    let (runner, published) = start(store, &options.workload)?;
    let mut maker = FactMaker::default();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / PER_S));
    let mut under_way = JoinSet::new();
    for line in reference::lines(&workload.to_bytes()) {
        let fact = maker.fact(&Event::parse(line)?);
        ticks.tick().await;
        let (handle, published): (Handle, _) = (runner.handle(), published.clone());
        under_way.spawn(async move {
            let watch = Stopwatch::start();
            let position = append(&handle, fact).await?;
            applied(&published, position).await?;
            anyhow::Ok((watch.spent().wall_s * 1e6) as u64)
        });
    }
    let mut took = Vec::new();
    while let Some(done) = under_way.join_next().await {
        took.push(done??);
    }
    tokio::task::spawn_blocking(move || runner.stop()).await??;
    Ok(took)
}

/// From producing a record to consuming it on the same brokers, at the same rate, in microseconds. Records
/// come when they come, as facts do: a broker that stands still makes all that come meanwhile late.
async fn produce_to_consume(servers: &DistributedOptions, lasts: Duration) -> anyhow::Result<Vec<u64>> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &servers.brokers).set("group.id", &servers.name);
    for (name, value) in &servers.kafka {
        client.set(name, value);
    }
    // The topic of payloads takes records that nobody reads: nothing in it is of use after the bench.
    let topic = format!("{}.payloads", servers.name);
    // Records of the store that are not yet committed hold up none of the bench's.
    let consumer: StreamConsumer =
        client.clone().set("fetch.wait.max.ms", "10").set("isolation.level", "read_uncommitted").create()?;
    let mut place = rdkafka::TopicPartitionList::new();
    // By number: a consumer that is told "the end" finds it some time later, behind the first record.
    let (_, end) = tokio::time::timeout(PATIENCE, ends(&consumer, &topic)).await.context("no broker leads")?;
    place.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(end))?;
    consumer.assign(&place)?;
    let producer: FutureProducer = client.set("linger.ms", "0").set("acks", "all").create()?;
    let watch = Stopwatch::start();
    let now_us = || (watch.spent().wall_s * 1e6) as u64;
    let send = || {
        let mut payload = [b'x'; PAYLOAD_BYTES];
        payload[..size_of::<u64>()].copy_from_slice(&now_us().to_le_bytes());
        let record = FutureRecord::<str, [u8]>::to(&topic).partition(0).key("bench").payload(&payload);
        producer.send_result(record).map_err(|(error, _)| error)
    };
    let mut records = consumer.stream();
    // What the client says of its connections passes: it connects again by itself.
    let mut next = async || {
        loop {
            match records.next().await.context("the consumer has ended")? {
                Ok(record) => return anyhow::Ok(record),
                Err(error) => tracing::debug!(%error, "consume a record: tried again"),
            }
        }
    };
    let mut receive = async || {
        let record = tokio::time::timeout(PATIENCE, next()).await.context("no record came back from the brokers")??;
        let sent = record.payload().and_then(|payload| payload.first_chunk()).context("not a record of the bench")?;
        anyhow::Ok(now_us().saturating_sub(u64::from_le_bytes(*sent)))
    };
    // The first tells that the consumer is there.
    send()?.await?.map_err(|(error, _)| error)?;
    receive().await?;
    let count = (PER_S * lasts.as_secs_f64()) as usize;
    let sending = async {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / PER_S));
        for _ in 0..count {
            ticks.tick().await;
            // That it arrived is seen by its being received.
            drop(send()?);
        }
        anyhow::Ok(())
    };
    let receiving = async {
        let mut took = Vec::with_capacity(count);
        while took.len() < count {
            took.push(receive().await?);
        }
        Ok(took)
    };
    Ok(tokio::try_join!(sending, receiving)?.1)
}

/// First and last offset of the one partition of a topic. Brokers that stood still agree anew who leads it.
async fn ends(consumer: &StreamConsumer, topic: &str) -> (i64, i64) {
    let mut looks = interval(LOOK_AGAIN);
    loop {
        looks.tick().await;
        match consumer.fetch_watermarks(topic, 0, PATIENCE) {
            Ok(ends) => return ends,
            Err(error) => tracing::debug!(%error, "look where a topic ends: tried again"),
        }
    }
}

fn report(parse_cpu_s: f64, folder: &Run, servers: &Run, again_cpu_s: f64, visible: &[u64], plain: &[u64]) -> Report {
    let per_fact = |run: &Run| run.cpu_s * 1e6 / run.facts.max(1) as f64;
    let p99_ms = |of: &[u64]| quantile(of, 0.99) as f64 / 1e3;
    let goal_ms = VISIBLE_FACTOR * p99_ms(plain) + VISIBLE_EXTRA_MS;
    let over = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    Report::new(
        "scale",
        vec![
            Figure::at_most(
                "cpu_two_workers_over_one",
                over(servers.cpu_s + again_cpu_s, servers.cpu_s),
                "ratio",
                TWO_OVER_ONE_MAX,
            )
            .with("one_cpu_s", servers.cpu_s)
            .with("second_cpu_s", again_cpu_s)
            .with("why", "one process evaluates everything: a second one does the same work again"),
            Figure::at_most("servers_over_parse", over(servers.cpu_s, parse_cpu_s), "ratio", SERVERS_OVER_PARSE_MAX)
                .with("parse_cpu_s", parse_cpu_s),
            Figure::told("servers_over_folder", over(per_fact(servers), per_fact(folder)), "ratio")
                .with("servers_us_per_fact", per_fact(servers))
                .with("folder_us_per_fact", per_fact(folder)),
            Figure::at_most("visible_p99", p99_ms(visible), "ms", goal_ms)
                .with("p50_ms", quantile(visible, 0.5) as f64 / 1e3)
                .with("produce_to_consume_p99_ms", p99_ms(plain))
                .with("facts_per_s", PER_S),
            Figure::told("facts_per_batch", over(servers.facts as f64, servers.batches as f64), "facts")
                .with("batches", servers.batches)
                .with("batches_in_folder", folder.batches),
            per_batch("log_commits_per_batch", [servers, folder], CALLS_MAX, |calls| calls.log_commits),
            per_batch("row_commits_per_batch", [servers, folder], CALLS_MAX, |calls| calls.row_commits),
            per_batch("row_loads_per_batch", [servers, folder], CALLS_MAX, |calls| calls.row_loads)
                .with("why", "every stage, identity too, holds its rows in memory: they are read at the start"),
        ],
    )
}

/// Calls of the store over batches; that of the other form stands beside it.
fn per_batch(name: &str, [servers, folder]: [&Run; 2], most: f64, calls: impl Fn(&Operations) -> u64) -> Figure {
    let of = |run: &Run| calls(&run.operations) as f64 / run.batches.max(1) as f64;
    Figure::at_most(name, of(servers), "calls", most).with("in_folder", of(folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_forms_take_all_facts_and_what_does_not_scale_is_told() {
        let servers = DistributedOptions {
            patience: PATIENCE,
            ..DistributedOptions::new(
                fixtures::services::address("OPSHUB_KAFKA"),
                fixtures::services::redis_urls("OPSHUB_REDIS"),
                "test",
            )
        };
        let workload = Workload::new(20, 500, 3);
        let report = scale(&ScaleOptions { workload, servers, lasts: Duration::from_millis(100) }).unwrap();
        let two = &report.results[0];
        assert!(two.measure == "cpu_two_workers_over_one" && two.value > 1.0, "{report}");
        let (calls, others): (Vec<_>, Vec<_>) = report.results.iter().partition(|figure| figure.unit == "calls");
        assert!(others.iter().all(|figure| figure.value > 0.0), "{report}");
        let calls: Vec<_> = calls.iter().map(|figure| (figure.measure.as_str(), figure.value)).collect();
        assert!(calls.contains(&("log_commits_per_batch", 1.0)), "{report}");
        assert!(calls.contains(&("row_loads_per_batch", 0.0)), "{report}");
    }
}
