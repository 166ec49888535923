//! What lossy lines and the list jobs behind them come to is what sound lines come to (G13), and so is
//! what a source comes to that restarted under the hub with other positions.

use fixtures::faults::{Faults, Rate};
use fixtures::story::{Change, Happening, SalesforceChange, SalesforceKind, System as Vendor, fields};
use fixtures::world::World;
use ontology::{Millis, System};

use crate::estate::Estate;
use crate::inside::Inside;
use crate::{SYSTEMS, difference};

/// Seed of the world.
const SEED: u64 = 7;

/// A change of one field of a case that lives, at `at`.
fn change(world: &World, at: Millis, field: &'static str, value: &str) -> Happening {
    let of_cases = |kind: SalesforceKind| {
        world.story().iter().filter_map(move |happening| match &happening.change {
            Change::Salesforce(change) if change.object == "Case" && change.kind == kind => change.ids.first(),
            _ => None,
        })
    };
    let is_deleted = |id: &&String| of_cases(SalesforceKind::Delete).any(|deleted| deleted == *id);
    let id = of_cases(SalesforceKind::Create).find(|id| !is_deleted(id)).unwrap();
    let change = SalesforceChange {
        object: "Case",
        ids: vec![id.clone()],
        kind: SalesforceKind::Update,
        fields: fields([(field, value.into())]),
        commit_number: at.0,
        transaction_key: format!("twice-{}", at.0),
        event_id: format!("twice-{}", at.0),
    };
    Happening { at_ms: at.0, deliver_ms: at.0, system: Vendor::Salesforce, change: Change::Salesforce(change) }
}

/// What a hub makes of the story when every line goes wrong as `faults` says: canonical JSON of
/// what holds, one customer a line, and the digest over it. In the end a record changes twice within
/// one list; where anything goes wrong, the first change is lost for good.
async fn told(faults: Faults) -> (Vec<String>, String) {
    let is_lossless = faults == Faults::default();
    let estate = Estate::start(SEED, faults).await;
    let begin = Millis(estate.world.story()[0].deliver_ms - 1);
    let inside = Inside::start(&estate.configuration(&SYSTEMS, true, "40ms"), begin, Vec::new()).await;
    let end = inside.play(&estate).await;
    let first = change(&estate.world, end + Millis::MINUTE_MS, "Status", "On Hold");
    if is_lossless {
        estate.vendors.salesforce.publish(&first).unwrap();
    } else {
        estate.vendors.salesforce.change_untold(&first);
    }
    let second = change(&estate.world, end + 2 * Millis::MINUTE_MS, "Origin", "Fax");
    estate.vendors.salesforce.publish(&second).unwrap();
    let end = end + Millis::HOUR_MS;
    inside.pass(&estate, end, &System::SOURCES).await;
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
    let runs =
        [("1 % lost", lossy(1)), ("5 % lost", lossy(5)), ("20 % lost", lossy(20)), ("a new replay space", restarts)];
    for (what, faults) in runs {
        let (found, repaired) = told(faults).await;
        assert!(repaired == digest, "{what}: {}", difference(&found, &expected));
    }
}
