//! Order, repeats, batches, shards and restarts change no byte of what is derived.
//!
//! `OPSHUB_SIM_SEED` plays one seed again, `OPSHUB_SIM_HISTORIES` sets how many are played.
#![allow(clippy::unwrap_used)]

use insight::Settings;
use ontology::Fact;
use resolver::Model;
use sim::delivery::{BatchSize, Delivery};
use sim::difference::{equal, texts};
use sim::seeds::check_all;
use sim::{Chance, History, Oracle, play};

const SIZES: [BatchSize; 4] = [BatchSize::Of(1), BatchSize::Of(64), BatchSize::Of(1_000), BatchSize::UpTo(9)];

fn oracle(delivery: &Delivery) -> Vec<String> {
    let oracle = Oracle::of(delivery.facts(), Settings::default(), Model::shipped());
    texts(oracle.canonical(delivery.settled_at()).into_values())
}

/// Two shuffles of a history, one of them through a restart: batch sizes and shards go round.
fn check(seed: u64) -> Result<(), String> {
    let history = History::of(seed);
    let mut chance = Chance::of(seed.wrapping_mul(31));
    let at = usize::try_from(seed).unwrap();
    let (shards, other_shards) = if at.is_multiple_of(2) { (1, 4) } else { (4, 1) };

    let delivery = Delivery::of(&history, &mut chance, SIZES[at / 2 % 4]);
    let expected = oracle(&delivery);
    let now = delivery.settled_at();
    let played = play::play(&delivery, shards, now);
    equal("at once", &texts(played.engine.canonical(now)), &expected)?;

    let delivery = Delivery::of(&history, &mut chance, SIZES[(at / 2 + 2) % 4]);
    let now = delivery.settled_at();
    let kill = chance.below(delivery.0.len() + 1);
    let stops = (chance.below(kill + 1), kill);
    let played = play::play_restarting(&delivery, stops, other_shards, now).map_err(|error| error.to_string())?;
    equal("through a restart", &texts(played.engine.canonical(now)), &expected)?;
    equal("published through a restart", &played.published(), &expected)
}

#[test]
fn the_engine_is_what_a_fold_of_all_facts_is() {
    check_all(2_000, check);
}

/// Facts of a history that is played in every order.
const SHORT: usize = 7;

/// Seven facts have 5,040 orders; every order of one history, and a share of them of nineteen.
const ORDERS_SHARE: usize = 40;

#[test]
fn every_order_of_seven_facts_gives_the_same() {
    check_all(20, |seed| {
        let history = History::of_length(seed.wrapping_add(1 << 32), SHORT);
        let share = if seed == 0 { 1 } else { ORDERS_SHARE };
        let mut chance = Chance::of(seed);
        let deliver = |order: &[Fact], chance: &mut Chance| {
            let size = SIZES[chance.below(SIZES.len())];
            Delivery::in_order(order.to_vec(), chance, size)
        };
        let expected = oracle(&deliver(&history.facts, &mut chance));
        for order in orders(SHORT).into_iter().skip(seed as usize).step_by(share) {
            let facts: Vec<Fact> = order.iter().map(|place| history.facts[*place].clone()).collect();
            let delivery = deliver(&facts, &mut chance);
            let now = delivery.settled_at();
            let played = play::play(&delivery, 1, now);
            equal(&format!("order {order:?}"), &texts(played.engine.canonical(now)), &expected)?;
        }
        Ok(())
    });
}

/// All orders of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![vec![]];
    for _ in 0..count {
        let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            let missing = (0..count).filter(|next| !order.contains(next));
            missing.map(|next| [order.clone(), vec![next]].concat()).collect()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    orders
}
