//! Random histories in both forms: the same facts give the same customers in a folder, on servers, and
//! by the oracle, in groups of any size, in any number of partitions, through restarts, and by several
//! processes that take turns.
//!
//! `OPSHUB_SIM_SEED` plays one seed again, `OPSHUB_SIM_HISTORIES` sets how many are played.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub::app::{App, AppOptions};
use hub::clock::StoryClock;
use hub::runner::Payload;
use hub::targets::Targets;
use insight::Settings;
use ontology::Millis;
use pipeline::{Engine, Input};
use resolver::Model;
use sim::delivery::{BatchSize, Delivery};
use sim::difference::{equal, texts};
use sim::seeds::check_all;
use sim::{Chance, History, Oracle};
use storage::{Embedded, Options, Priority, Store};

use crate::servers::Servers;

/// Histories that are played unless the environment says otherwise.
const HISTORIES: u64 = 20;
/// Of so many histories one is played by several processes, and by how many.
const SHARED_EVERY: u64 = 5;
const PROCESSES: usize = 3;
/// Partitions that rows on servers lie in.
const PARTITIONS: [u32; 2] = [4, 8];
/// How long one that follows may take to read what the owner wrote.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a folder is opened that is still locked.
const TRIES: u32 = 100_000;
/// Group commits of one fact each are transactions each, so of those there are fewer facts.
const SINGLE_FACTS_MAX: usize = 40;

/// Group commits as a seed draws them.
fn delivery(seed: u64, chance: &mut Chance) -> Delivery {
    let history = History::of(seed);
    match seed % 3 {
        0 => {
            let facts = history.facts.into_iter().take(SINGLE_FACTS_MAX).collect();
            Delivery::in_order(facts, chance, BatchSize::Of(1))
        }
        1 => Delivery::of(&history, chance, BatchSize::Of(64)),
        _ => Delivery::of(&history, chance, BatchSize::Of(1_000)),
    }
}

/// Plays a delivery on a store, with an end and a start before `restart`, and gives all customers.
async fn play(
    delivery: &Delivery,
    restart: usize,
    open: impl Fn() -> Arc<dyn Store> + Clone + Send + 'static,
) -> Vec<String> {
    let (until, mut position) = (delivery.settled_at(), 0);
    let clock = Arc::new(StoryClock::standing(delivery.0[0].ingested_at));
    let start = async || {
        let store = tokio::task::spawn_blocking(open.clone()).await.unwrap();
        App::start(store, AppOptions::local(clock.clone())).await
    };
    let mut app = start().await.unwrap();
    for (at, batch) in delivery.0.iter().enumerate() {
        if at == restart {
            app.stop().await.unwrap();
            app = start().await.unwrap();
        }
        clock.advance_to(batch.ingested_at);
        let facts = batch.facts.clone();
        position += facts.len() as u64;
        let last = app.handle().append(facts, Vec::new(), Payload::default(), None, Priority::Source).await.unwrap();
        assert_eq!(last.0, position);
    }
    clock.advance_to(until);
    let customers = app.handle().ask(move |engine| customers(engine, until)).await.unwrap();
    app.stop().await.unwrap();
    customers
}

/// Plays a delivery by several processes that share a store. Before `turn` the next takes it over from its
/// owner, who is not told. Gives all customers as each of the others has them in the end.
async fn play_shared(delivery: &Delivery, turn: usize, servers: Arc<Servers>) -> Vec<Vec<String>> {
    let (until, mut position) = (delivery.settled_at(), 0);
    let clock = Arc::new(StoryClock::standing(delivery.0[0].ingested_at));
    let mut apps = Vec::new();
    for _ in 0..PROCESSES {
        let servers = servers.clone();
        let store = tokio::task::spawn_blocking(move || servers.follow()).await.unwrap();
        let (options, model) = (AppOptions::local(clock.clone()), Model::shipped());
        apps.push(App::follow(store, options, Targets::default(), model, Box::new(|_| ())).await.unwrap());
    }
    let mut owner = 0;
    apps[owner].own(String::new()).await.unwrap();
    for (at, batch) in delivery.0.iter().enumerate() {
        if at == turn {
            owner += 1;
            apps[owner].own(String::new()).await.unwrap();
        }
        clock.advance_to(batch.ingested_at);
        let (facts, handle) = (batch.facts.clone(), apps[owner].handle());
        position += facts.len() as u64;
        let last = handle.append(facts, Vec::new(), Payload::default(), None, Priority::Source).await.unwrap();
        assert_eq!(last.0, position);
    }
    clock.advance_to(until);
    let mut shown = Vec::new();
    for app in &apps[owner..] {
        let handle = app.handle();
        let reads_all = async { while handle.ask(|engine| engine.position().0).await.unwrap() < position {} };
        tokio::time::timeout(PATIENCE, reads_all).await.unwrap();
        shown.push(handle.ask(move |engine| customers(engine, until)).await.unwrap());
    }
    for (place, app) in apps.into_iter().enumerate() {
        let stopped = app.stop().await;
        assert!(place < owner || stopped.is_ok(), "{stopped:?}");
    }
    shown
}

fn customers(engine: &mut Engine, now: Millis) -> Vec<String> {
    engine.step(Input::Tick { now });
    texts(engine.canonical(now))
}

/// Opens a store that this process has closed. Other tests start processes: between its fork and its exec
/// each of them holds the lock too, so it may take a moment until nobody does.
fn open_folder(path: &Path) -> Embedded {
    for _ in 0..TRIES {
        match Embedded::open(path, Options::default()) {
            Err(storage::Error::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} is in use after {TRIES} tries", path.display());
}

fn check(seed: u64) -> Result<(), String> {
    let mut chance = Chance::of(seed.wrapping_mul(37));
    let delivery = delivery(seed, &mut chance);
    let restart = chance.below(delivery.0.len());
    let oracle = Oracle::of(delivery.facts(), Settings::default(), Model::shipped());
    let expected = texts(oracle.canonical(delivery.settled_at()).into_values());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let in_folder = move || -> Arc<dyn Store> { Arc::new(open_folder(&path)) };
    equal("in a folder", &runtime.block_on(play(&delivery, restart, in_folder)), &expected)?;
    let servers = Arc::new(Servers::in_partitions(*chance.pick(&PARTITIONS)));
    let opened = servers.clone();
    let on_servers = move || -> Arc<dyn Store> { Arc::new(opened.store()) };
    if seed.is_multiple_of(SHARED_EVERY) {
        let shown = runtime.block_on(play_shared(&delivery, restart, servers));
        return shown.iter().try_for_each(|customers| equal("by one of several processes", customers, &expected));
    }
    equal("on servers", &runtime.block_on(play(&delivery, restart, on_servers)), &expected)
}

#[test]
fn both_forms_are_what_a_fold_of_all_facts_is() {
    check_all(HISTORIES, check);
}
