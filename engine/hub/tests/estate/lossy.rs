//! What lossy lines and the list jobs behind them come to is what sound lines come to (G13), and so is
//! what a source comes to that restarted under the hub with other positions.

use fixtures::faults::{Faults, Rate};
use ontology::Millis;

use crate::estate::Estate;
use crate::inside::Inside;
use crate::{SYSTEMS, difference};

/// Seed of the world.
const SEED: u64 = 7;

/// What a hub makes of the story when every line goes wrong as `faults` says: canonical JSON of
/// what holds, one customer a line, and the digest over it.
async fn told(faults: Faults) -> (Vec<String>, String) {
    let estate = Estate::start(SEED, faults).await;
    let begin = Millis(estate.world.story()[0].deliver_ms - 1);
    let inside = Inside::start(&estate.configuration(&SYSTEMS, true, "40ms"), begin, Vec::new()).await;
    let end = inside.play(&estate).await;
    let handle = inside.app.handle();
    let told = handle.ask(move |engine| {
        let customers = engine.standing(end).map(|customer| customer.to_string());
        (customers.collect(), engine.standing_digest(end))
    });
    let told = told.await.unwrap();
    drop(handle);
    inside.app.stop().await.unwrap();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lists_repair_is_what_a_lossless_run_holds() {
    let (expected, digest) = told(Faults::default()).await;
    assert!(expected.len() > 10, "{} customers", expected.len());
    let lossy = |percent| {
        let rate = Rate::percent(percent);
        Faults { seed: u64::from(percent), drop: rate, repeat: rate, reorder: rate, ..Faults::default() }
    };
    let restarts = Faults { new_replay_space_after: Some(100), ..Faults::default() };
    for (what, faults) in [("1 % lost", lossy(1)), ("20 % lost", lossy(20)), ("a new replay space", restarts)] {
        let (found, repaired) = told(faults).await;
        assert!(repaired == digest, "{what}: {}", difference(&found, &expected));
    }
}
