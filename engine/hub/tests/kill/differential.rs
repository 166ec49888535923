//! Random histories in both forms: the same facts give the same customers in a folder, on servers, and
//! by the oracle, in groups of any size and through restarts.
//!
//! `OPSHUB_SIM_SEED` plays one seed again, `OPSHUB_SIM_HISTORIES` sets how many are played.

use std::sync::Arc;

use hub::app::{App, AppOptions};
use hub::clock::StoryClock;
use hub::runner::Payload;
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

fn customers(engine: &mut Engine, now: Millis) -> Vec<String> {
    engine.step(Input::Tick { now });
    texts(engine.canonical(now))
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
    let in_folder = move || -> Arc<dyn Store> { Arc::new(Embedded::open(&path, Options::default()).unwrap()) };
    equal("in a folder", &runtime.block_on(play(&delivery, restart, in_folder)), &expected)?;
    let servers = Arc::new(Servers::new());
    let opened = servers.clone();
    let on_servers = move || -> Arc<dyn Store> { Arc::new(opened.store()) };
    equal("on servers", &runtime.block_on(play(&delivery, restart, on_servers)), &expected)
}

#[test]
fn both_forms_are_what_a_fold_of_all_facts_is() {
    check_all(HISTORIES, check);
}
