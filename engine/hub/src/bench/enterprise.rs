//! `opshub bench enterprise`: one embedded process, agents who watch their customers, others who read,
//! and events at ten times what is expected of an enterprise: on average, then in a billing run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use benches::cpu::Stopwatch;
use benches::machine::resident_bytes;
use benches::read::quantile;
use benches::report::{Figure, Report};
use benches::stream::{Event, FactMaker, Workload, reference};
use bytes::Bytes;
use ontology::{Fact, LogPos};
use proto::v1;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use serve::token::read_position;
use storage::Embedded;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tonic::transport::{Channel, Endpoint};

use super::{append, applied, begin_of, deliver};
use crate::app::{App, AppOptions};
use crate::clock::StoryClock;

/// Events a second of ten times the expected day: 170,000.
const AVERAGE_PER_S: f64 = 2.0;
/// Events a second of ten times the expected billing run.
const BILLING_PER_S: f64 = 70.0;
/// Customers that an agent watches, and watches on a connection.
const WATCHED: usize = 10;
const WATCHES_PER_CONNECTION: usize = 10;
/// Pause of a reader between two reads.
const READ_EVERY: Duration = Duration::from_millis(200);

/// Goals: a change is readable, and at the agents, before anybody notices that it was not; one core of two
/// and 1.5 GiB leave room for the rest of the machine.
const VISIBLE_P99_MS_MAX: f64 = 250.0;
const WATCHED_P99_MS_MAX: f64 = 500.0;
const READ_P99_MS_MAX: f64 = 100.0;
const CORES_MAX: f64 = 1.0;
const RESIDENT_BYTES_MAX: f64 = 1.5 * (1_u64 << 30) as f64;

/// How the bench runs.
#[derive(Debug, Clone)]
pub struct EnterpriseOptions {
    /// Customers, and events that have happened before.
    pub history: Workload,
    /// Agents, each of whom watches ten customers.
    pub agents: usize,
    /// Readers, each of whom reads five customers a second.
    pub readers: usize,
    /// Length of each part.
    pub lasts: Duration,
}

/// Times in microseconds.
#[derive(Default)]
struct Times {
    visible: Vec<u64>,
    watched: Vec<u64>,
    read: Vec<u64>,
}

/// What all tasks share.
#[derive(Clone, Default)]
struct Shared {
    times: Arc<Mutex<Times>>,
    /// When facts were handed over, by their position.
    handed: Arc<Mutex<HashMap<LogPos, Stopwatch>>>,
}

impl Shared {
    fn note(&self, add: impl FnOnce(&mut Times)) {
        add(&mut self.times.lock().expect("no holder of the times panics"));
    }

    fn take(&self) -> Times {
        std::mem::take(&mut *self.times.lock().expect("no holder of the times panics"))
    }
}

/// Fills a hub, lets agents and readers in, and puts events through its door at both rates.
///
/// # Errors
/// When the hub cannot be filled or a call fails.
pub async fn enterprise(options: &EnterpriseOptions) -> anyhow::Result<Report> {
    let dir = tempfile::Builder::new().prefix("opshub-bench-").tempdir()?;
    let live = ((AVERAGE_PER_S + BILLING_PER_S) * options.lasts.as_secs_f64()).ceil() as u64;
    let all = Workload::new(options.history.customers, options.history.events + live, options.history.seed);
    let mut before = Bytes::from(all.to_bytes());
    let history = before.split_inclusive(|byte| *byte == b'\n').take(usize::try_from(options.history.events)?);
    let rest = before.split_off(history.map(<[u8]>::len).sum());
    let clock = Arc::new(StoryClock::standing(begin_of(&all)));
    clock.run(1.0);
    let store = Arc::new(Embedded::open(dir.path(), storage::Options::default())?);
    let app = App::start(store, AppOptions::local(clock)).await?;
    deliver(&app.handle(), &app.published, before).await?;

    let shared = Shared::default();
    let names: Arc<[String]> = app.published.ids().iter().map(|id| format!("customers/{id}")).collect();
    anyhow::ensure!(!names.is_empty(), "the workload has no customers");
    let mut tasks = JoinSet::new();
    let endpoint = Endpoint::from_shared(format!("http://{}", app.api()))?.tcp_nodelay(true);
    watch(options, &endpoint, &names, &shared, &mut tasks).await?;
    read(options, &endpoint, &names, &shared, &mut tasks).await?;

    let mut maker = FactMaker::default();
    let mut events = reference::lines(&rest);
    let mut results = Vec::new();
    for (part, per_s) in [("average", AVERAGE_PER_S), ("billing_run", BILLING_PER_S)] {
        drop(shared.take());
        let watch = Stopwatch::start();
        let count = (per_s * options.lasts.as_secs_f64()).round() as usize;
        let mut facts = Vec::with_capacity(count);
        for line in events.by_ref().take(count) {
            facts.push(maker.fact(&Event::parse(line)?));
        }
        send(&app, facts, per_s, &shared).await?;
        let spent = watch.spent();
        results.extend(figures(part, per_s, &shared.take(), spent.cpu_s / spent.wall_s, options));
    }
    let resident = Figure::at_most("resident", resident_bytes() as f64, "bytes", RESIDENT_BYTES_MAX);
    results.push(resident.with("customers", names.len()).with("events", all.events));
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    app.stop().await?;
    Ok(Report::new("enterprise", results))
}

/// One delivery for each fact, at this rate; ends when the last is readable.
async fn send(app: &App, facts: Vec<Fact>, per_s: f64, shared: &Shared) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_s));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for fact in facts {
        ticks.tick().await;
        let (handle, published, shared) = (app.handle(), app.published.clone(), shared.clone());
        under_way.spawn(async move {
            let watch = Stopwatch::start();
            let position = append(&handle, fact).await?;
            shared.handed.lock().expect("no holder panics").insert(position, watch);
            applied(&published, position).await?;
            shared.note(|times| times.visible.push(micros(watch)));
            anyhow::Ok(())
        });
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

fn micros(watch: Stopwatch) -> u64 {
    (watch.spent().wall_s * 1e6) as u64
}

/// Agents: each follows ten customers, those of the next one after its own.
async fn watch(
    options: &EnterpriseOptions,
    endpoint: &Endpoint,
    names: &[String],
    shared: &Shared,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut channel: Option<Channel> = None;
    for agent in 0..options.agents {
        if agent % WATCHES_PER_CONNECTION == 0 || channel.is_none() {
            channel = Some(endpoint.connect().await?);
        }
        let Some(channel) = channel.clone() else { continue };
        let own = (0..WATCHED.min(names.len())).map(|at| names[(agent * WATCHED + at) % names.len()].clone());
        let request =
            v1::WatchCustomerStatesRequest { names: own.collect(), skip_snapshot: true, ..Default::default() };
        let mut messages = CustomerStateServiceClient::new(channel).watch_customer_states(request).await?.into_inner();
        let shared = shared.clone();
        tasks.spawn(async move {
            while let Some(message) = messages.message().await? {
                let Some(v1::watch_customer_states_response::Event::Upsert(upsert)) = message.event else { continue };
                let state = upsert.customer_state.unwrap_or_default();
                let position = read_position("position", &state.position).ok().flatten();
                let handed = position
                    .and_then(|position| shared.handed.lock().expect("no holder panics").get(&position).copied());
                if let Some(watch) = handed {
                    shared.note(|times| times.watched.push(micros(watch)));
                }
            }
            Ok(())
        });
    }
    Ok(())
}

/// Readers: each asks for one customer after another.
async fn read(
    options: &EnterpriseOptions,
    endpoint: &Endpoint,
    names: &Arc<[String]>,
    shared: &Shared,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let channel = endpoint.connect().await?;
    for reader in 0..options.readers {
        let (names, shared) = (names.clone(), shared.clone());
        let mut client = CustomerStateServiceClient::new(channel.clone());
        tasks.spawn(async move {
            let mut ticks = interval(READ_EVERY);
            for turn in 0.. {
                ticks.tick().await;
                let name = names[(reader * 101 + turn * 7) % names.len()].clone();
                let watch = Stopwatch::start();
                let customer = Some(v1::get_customer_state_request::Customer::Name(name));
                client.get_customer_state(v1::GetCustomerStateRequest { customer, ..Default::default() }).await?;
                shared.note(|times| times.read.push(micros(watch)));
            }
            Ok(())
        });
    }
    Ok(())
}

fn figures(part: &str, per_s: f64, times: &Times, cores: f64, options: &EnterpriseOptions) -> [Figure; 4] {
    let p99 = |measure: &str, of: &[u64], goal: f64| {
        Figure::at_most(format!("{part}_{measure}"), quantile(of, 0.99) as f64 / 1e3, "ms", goal)
            .with("p50_ms", quantile(of, 0.50) as f64 / 1e3)
            .with("count", of.len())
    };
    [
        p99("visible_p99", &times.visible, VISIBLE_P99_MS_MAX).with("events_per_s", per_s),
        p99("watched_p99", &times.watched, WATCHED_P99_MS_MAX).with("agents", options.agents),
        p99("read_p99", &times.read, READ_P99_MS_MAX).with("readers", options.readers),
        // Agents, readers and the sender are in the process too.
        Figure::at_most(format!("{part}_cpu"), cores, "cores", CORES_MAX),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn agents_and_readers_see_what_comes() {
        let options = EnterpriseOptions {
            history: Workload::new(20, 500, 3),
            agents: 3,
            readers: 2,
            lasts: Duration::from_millis(500),
        };
        let report = enterprise(&options).await.unwrap();
        let of = |measure: &str| report.results.iter().find(|figure| figure.measure == measure).unwrap();
        assert_eq!(of("average_visible_p99").raw["count"], 1);
        assert_eq!(of("billing_run_visible_p99").raw["count"], 35);
        assert!(of("billing_run_read_p99").raw["count"].as_u64().unwrap() > 0);
        assert!(of("resident").value > 0.0 && report.results.len() == 9);
    }
}
