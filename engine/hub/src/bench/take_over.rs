//! `opshub bench take-over`: an owner goes silent, and the replica beside it takes its store over.
//!
//! The replica is the whole hub with all customers in state. The owner writes facts and tells the time as
//! a hub does, but stores no rows: its successor has to add whatever came since the beginning. The owner's
//! place in the queue is a static member's, which leaves the group without a word, as a process does that
//! is killed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use benches::cpu::Stopwatch;
use benches::machine::resident_bytes;
use benches::report::{Figure, Report};
use benches::stream::{Event, FactMaker, Workload, reference};
use bytes::Bytes;
use connectors::{Clock as _, SharedClock};
use ontology::{CustomerId, Fact, LogPos};
use pipeline::CustomerView;
use serve::views::Published;
use storage::{Distributed, DistributedOptions, Intake, Log as _, NewBlock, Turn};
use tokio::sync::watch;
use tokio::time::interval;

use super::{PATIENCE, append, applied, begin_of, by_clock, deliver};
use crate::clock::StoryClock;
use crate::rented::Rented;
use crate::runner::Runner;

/// From the loss of the owner to the first acknowledgement of its successor, at most.
const PAUSE_S_MAX: f64 = 15.0;
/// Facts a second before the loss.
const PER_S: f64 = 200.0;
/// How often the owner tells how far time has come.
const TELL_EVERY_MS: i64 = 1_000;
/// Pause of the reader between two reads.
const READ_EVERY: Duration = Duration::from_millis(2);

/// How the bench runs.
#[derive(Debug, Clone)]
pub struct TakeOverOptions {
    /// Customers, and events that have happened before.
    pub history: Workload,
    /// Servers of the store; a name of the bench's own is put behind theirs.
    pub servers: DistributedOptions,
    /// How long the owner works before it is lost.
    pub lasts: Duration,
}

/// A place in the queue of owners, and whether its turn has come.
struct Place {
    turn: Turn,
    is_mine: watch::Receiver<bool>,
}

impl Place {
    async fn queue(options: &DistributedOptions, member: &str) -> anyhow::Result<Self> {
        let (tell, is_mine) = watch::channel(false);
        let options = DistributedOptions { member: Some(member.to_owned()), ..options.clone() };
        // Nobody listens any more once the turn has come.
        let changed = move |mine| tell.send(mine).unwrap_or_default();
        let queue = move || Turn::queue(&options, changed);
        Ok(Place { turn: tokio::task::spawn_blocking(queue).await??, is_mine })
    }

    async fn comes(&mut self) -> anyhow::Result<()> {
        let come = tokio::time::timeout(PATIENCE, self.is_mine.wait_for(|mine| *mine)).await;
        come.context("the turn to own the store does not come")??;
        Ok(())
    }
}

/// Measures.
///
/// # Errors
/// When a server does not answer or the hub fails.
pub async fn take_over(options: &TakeOverOptions) -> anyhow::Result<Report> {
    let rented = Rented::on(&options.servers);
    let servers = rented.options();
    let clock = Arc::new(StoryClock::standing(begin_of(&options.history)));
    clock.run(1.0);
    fill(servers, options, clock.clone()).await?;

    let mut owners = Place::queue(servers, "owner").await?;
    owners.comes().await?;
    let owner = opened(servers, |options| {
        let store = Distributed::follow(options)?;
        store.claim("").map(|()| store)
    });
    let owner = owner.await?;
    let watch = Stopwatch::start();
    let (replica, published) = follow(servers, clock.clone()).await?;
    let start_s = watch.spent().wall_s;
    let mut successors = Place::queue(servers, "successor").await?;
    let mut facts = facts(options)?;
    let next = facts.pop().context("the workload has no facts")?;
    let last = write(owner, &clock, facts).await?;
    applied(&published, last).await?;

    let (stop, is_over) = watch::channel(false);
    let reads = tokio::spawn(read(published.clone(), is_over));
    let watch = Stopwatch::start();
    // Its thread is waited for when a place is dropped.
    tokio::task::spawn_blocking(move || drop(owners.turn)).await?;
    successors.comes().await?;
    let turn_s = watch.spent().wall_s;
    replica.own(String::new()).await?;
    let owned_s = watch.spent().wall_s;
    let position = append(&replica.handle(), next).await?;
    let pause_s = watch.spent().wall_s;
    applied(&published, position).await?;
    let visible_s = watch.spent().wall_s;
    drop(stop);
    let unread_ms = reads.await?;
    let results = vec![
        Figure::at_most("pause", pause_s, "s", PAUSE_S_MAX)
            .with("its_turn_came_s", turn_s)
            .with("it_owned_s", owned_s)
            .with("visible_s", visible_s)
            .with("silence_max_s", servers.silence_max.as_secs_f64())
            .with("customers", published.ids().len())
            .with("facts", position.0)
            .with("facts_not_in_rows", position.0 - options.history.events),
        Figure::told("reads_away", unread_ms, "ms"),
        Figure::told("start_of_a_replica", start_s, "s").with("resident_bytes", resident_bytes()),
    ];
    tokio::task::spawn_blocking(move || replica.stop()).await??;
    Ok(Report::new("take-over", results))
}

/// Puts the history into a store, rows included, and leaves it.
async fn fill(servers: &DistributedOptions, options: &TakeOverOptions, clock: SharedClock) -> anyhow::Result<()> {
    let store = Arc::new(opened(servers, |options| Distributed::open(options.clone())).await?);
    let (runner_options, publish, published) = by_clock(clock);
    let runner = tokio::task::spawn_blocking(move || Runner::start(store, runner_options, publish)).await??;
    deliver(&runner.handle(), &published, Bytes::from(options.history.to_bytes())).await?;
    tokio::task::spawn_blocking(move || runner.stop()).await?
}

async fn opened(
    servers: &DistributedOptions,
    open: impl FnOnce(&DistributedOptions) -> storage::Result<Distributed> + Send + 'static,
) -> anyhow::Result<Distributed> {
    let servers = servers.clone();
    Ok(tokio::task::spawn_blocking(move || open(&servers)).await??)
}

async fn follow(
    servers: &DistributedOptions,
    clock: SharedClock,
) -> anyhow::Result<(Runner, Arc<Published<CustomerView>>)> {
    let store = opened(servers, Distributed::follow).await?;
    let (options, publish, published) = by_clock(clock);
    let start = move || Runner::follow(store, options, publish, Box::new(|_| {}));
    Ok((tokio::task::spawn_blocking(start).await??, published))
}

/// What comes after the history, as facts.
fn facts(options: &TakeOverOptions) -> anyhow::Result<Vec<Fact>> {
    let history = &options.history;
    let count = (PER_S * options.lasts.as_secs_f64()) as u64 + 1;
    let bytes = Workload::new(history.customers, count, history.seed + 1).to_bytes();
    let mut maker = FactMaker::default();
    reference::lines(&bytes).map(|line| Ok(maker.fact(&Event::parse(line)?))).collect()
}

/// What an owner writes: facts one by one, and now and then how far time has come.
async fn write(owner: Distributed, clock: &StoryClock, facts: Vec<Fact>) -> anyhow::Result<LogPos> {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / PER_S));
    let mut last = owner.last();
    let mut told = clock.now();
    for fact in facts {
        ticks.tick().await;
        let (store, now) = (owner.clone(), clock.now().max(told + 1));
        let is_due = now.since(told) >= TELL_EVERY_MS;
        let written = tokio::task::spawn_blocking(move || {
            let mut block = NewBlock::new(now);
            block.push_with(|out| fact.encode(out));
            let positions = store.append(Intake::new().block(block))?;
            if is_due {
                store.tell_time(now)?;
            }
            storage::Result::Ok(positions)
        });
        last = written.await??.start;
        told = if is_due { now } else { told };
    }
    Ok(LogPos(last.0))
}

/// Reads customers in turn until `is_over`; the longest time between two answers, in milliseconds.
async fn read(published: Arc<Published<CustomerView>>, mut is_over: watch::Receiver<bool>) -> f64 {
    let ids = published.ids();
    let mut longest = 0.0_f64;
    for id in ids.iter().cycle() {
        let watch = Stopwatch::start();
        let is_stopped = tokio::time::timeout(READ_EVERY, is_over.changed()).await.is_ok();
        if is_stopped {
            break;
        }
        if published.slot(&CustomerId(id.clone())).is_some() {
            longest = longest.max(watch.spent().wall_s * 1e3);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_replica_takes_over_from_an_owner_that_went_silent_and_reads_go_on() {
        let mut servers = DistributedOptions::new(
            fixtures::services::address("OPSHUB_KAFKA"),
            fixtures::services::redis_urls("OPSHUB_REDIS"),
            "test",
        );
        // The shortest that brokers take.
        servers.silence_max = Duration::from_secs(6);
        let options =
            TakeOverOptions { history: Workload::new(20, 500, 3), servers, lasts: Duration::from_millis(100) };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let report = runtime.block_on(take_over(&options)).unwrap();
        let pause = &report.results[0];
        assert!(pause.measure == "pause" && pause.value > 0.0, "{report}");
        assert_eq!(pause.raw["facts"], 500 + 20 + 1, "{report}");
    }
}
