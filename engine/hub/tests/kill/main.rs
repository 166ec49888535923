//! A hub that is killed at any instant loses nothing that it acknowledged, and derives from its log
//! what a hub that was never killed derives.
//!
//! ```text
//! Author ──events──▶ Load ──gRPC──▶ Hub (a child process, killed at will)
//!                     │ what was acknowledged
//!                     ▼
//!                   Ledger ◀── compared ──▶ Replay (the log it left, fed to a fresh engine)
//! ```
#![allow(clippy::unwrap_used)]

mod arena;
mod author;
mod backup;
mod child;
mod cut;
mod differential;
mod faults;
mod forwarding;
mod ledger;
mod load;
mod migration;
mod outputs;
mod poison;
mod redis;
mod replay;
mod replicas;
mod schema;
mod servers;
mod traces;

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use arena::Arena;
use child::{Hub, run};
use connectors::Clock as _;
use hub::clock::WallClock;
use ontology::Millis;
use sim::Chance;
use storage::{
    Atomic as _, Changes, Durability, Embedded, Intake, Log as _, NewBlock, NewQuarantined, Quarantine as _, Rows as _,
    Stands as _, Store as _, Table,
};

/// Kills at random instants.
const KILLS: usize = 60;
/// One kill in so many hits a hub that is still starting.
const STARTING_EVERY: usize = 6;
/// Longest life of a hub under load.
const LIFE_MS: i64 = 300;
/// How long a hub may go on without passing the point at which it is to die.
const POINT_PATIENCE: Duration = Duration::from_secs(120);
/// Clean stops under load.
const STOPS: usize = 4;
/// How far the journal may be written where the system refuses more; what the hub tells people is less.
const REFUSED_BYTES: u64 = 256 << 10;
/// SIGABRT.
const ABORTED: i32 = 6;

/// Points that a hub passes only after days; a process with a store of its own dies there instead.
const OF_OLD_STORES: [&str; 7] = [
    "storage.sync.before",
    "storage.sync.after",
    "storage.expire.before",
    "storage.expire.after",
    "storage.stand.part",
    "storage.stand.kept",
    "storage.forget.moved",
];
/// The point that is passed only where there is no store yet.
const OF_NEW_STORES: &str = "storage.open.format_written";
/// Tells the test binary to be that process, and where the store is.
const VICTIM: &str = "OPSHUB_VICTIM_STORE";

#[test]
fn kills_at_random_instants_lose_nothing_that_was_acknowledged() {
    let seed = seed_of("kills at random instants");
    let mut chance = Chance::of(seed);
    let mut arena = Arena::new(seed);
    for kill in 0..KILLS {
        let life = Duration::from_millis(chance.between(0, LIFE_MS).unsigned_abs());
        if kill % STARTING_EVERY == STARTING_EVERY - 1 {
            let hub = Hub::spawn(arena.folder(), None);
            hub.ends_within(life / 4);
            hub.kill();
            continue;
        }
        let (hub, ready) = arena.start();
        arena.load(hub, &ready, life, Hub::kill);
    }
    let (hub, _) = arena.start();
    hub.kill();
    let verdict = arena.judge();
    println!("{KILLS} kills, {} acknowledged facts", verdict.facts);
    assert!(verdict.facts > 1_000, "only {} facts were acknowledged", verdict.facts);
    check_digests(&arena, &verdict.digest, verdict.at);
}

/// Shards and batch sizes do not show in a digest.
fn check_digests(arena: &Arena, expected: &str, at: Millis) {
    let store = arena.folder().join("store");
    let at = at.0.to_string();
    for shards in ["1", "4"] {
        for batch in ["1", "64", "1000"] {
            let store = store.to_str().unwrap();
            let args = ["digest", "--store", store, "--json", "--shards", shards, "--batch", batch, "--at", &at];
            let printed: serde_json::Value = serde_json::from_str(&run(&args)).unwrap();
            assert_eq!(printed["digest"], expected, "{shards} shards, batches of {batch}");
        }
    }
}

#[test]
fn a_death_at_any_named_point_loses_nothing_that_was_acknowledged() {
    let seed = seed_of("deaths at named points");
    let points: Vec<&str> = storage::crash::POINTS.iter().chain(hub::crash::POINTS).copied().collect();
    assert!(points.len() >= 25);
    let (evens, odds): (Vec<_>, Vec<_>) = points.into_iter().enumerate().partition(|(place, _)| place % 2 == 0);
    std::thread::scope(|scope| {
        for half in [evens, odds] {
            scope.spawn(move || die_at_each(half.into_iter().map(|(_, point)| point), seed));
        }
    });
}

fn die_at_each(points: impl Iterator<Item = &'static str>, seed: u64) {
    let mut chance = Chance::of(seed);
    let mut arena = Arena::new(seed);
    let (hub, ready) = arena.start();
    arena.load(hub, &ready, Duration::from_millis(200), Hub::kill);
    for point in points {
        if OF_OLD_STORES.contains(&point) {
            die_as_victim(point);
        } else if point == OF_NEW_STORES {
            let mut new = Arena::new(seed);
            check_death(&mut new, point);
            drop(new.start());
            new.judge();
        } else {
            let is_once = point.starts_with("storage.open") || point.starts_with("recovery");
            let passage = if is_once { 1 } else { chance.between(1, 4) };
            check_death(&mut arena, &format!("{point}:{passage}"));
            drop(arena.start());
        }
    }
    arena.judge();
}

fn check_death(arena: &mut Arena, point: &str) {
    let status = arena.die_at(point, POINT_PATIENCE);
    let signal = status.and_then(|status| status.signal());
    assert_eq!(signal, Some(ABORTED), "a death at {point}, the hub ended with {status:?}: {}", arena.told());
}

/// Dies at `point` in a process of its own and reads what is left.
fn die_as_victim(point: &str) {
    let folder = tempfile::tempdir().unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_victim_of_crash_points_lives_unless_it_is_told_to_die"])
        .env(VICTIM, folder.path())
        .env("OPSHUB_CRASH_POINT", point)
        .output()
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(ABORTED), "a death at {point}");
    let store = Embedded::open(folder.path(), storage::Options::default()).unwrap();
    let verified = store.verify().unwrap();
    assert_eq!(verified.facts, 2, "facts after a death at {point}");
    // What was broken off is done by the same call again.
    let base = store.last();
    store.write(Changes::new().put(Table::Entity, "case/1", "row").applied(base), Durability::Synced).unwrap();
    store.keep_stand(b"head", &|| true).unwrap();
    store.forget_before(base, &|| true).unwrap();
    assert_eq!((store.verify().unwrap().facts, store.start().unwrap()), (1, base), "after a death at {point}");
    assert_eq!(store.stand_rows(base).unwrap().count(), 1, "rows of the base after a death at {point}");
}

#[test]
fn a_victim_of_crash_points_lives_unless_it_is_told_to_die() {
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = std::env::var_os(VICTIM).map_or_else(|| elsewhere.path().to_owned(), Into::into);
    let store = Embedded::open(&folder, storage::Options::default()).unwrap();
    for day in [0, 1] {
        let at = Millis(day * Millis::DAY_MS);
        let mut block = NewBlock::new(at);
        let first = block.push(b"a fact");
        block.push_raw(first, 1, b"", b"its payload");
        let aside = NewQuarantined { received_at: at, raw: b"?".to_vec(), ..NewQuarantined::default() };
        let intake = Intake::new().block(block).quarantine(aside);
        store.commit(storage::Batch { intake, ..storage::Batch::default() }, Durability::Synced).unwrap();
    }
    store.sync().unwrap();
    let later = Millis(1_000 * Millis::DAY_MS);
    assert_eq!(store.expire_raws(later).unwrap(), 2);
    assert_eq!(store.expire_quarantined(later).unwrap(), 2);
    assert_eq!(store.verify().unwrap().facts, 2);
    store.write(Changes::new().put(Table::Entity, "case/1", "row").applied(store.last()), Durability::Relaxed).unwrap();
    let base = store.keep_stand(b"head", &|| true).unwrap().unwrap().position;
    assert_eq!(store.forget_before(base, &|| true).unwrap(), 1);
}

#[test]
fn a_hub_that_is_asked_to_stop_under_load_ends_cleanly_and_loses_nothing() {
    let seed = seed_of("clean stops");
    let mut chance = Chance::of(seed);
    let mut arena = Arena::new(seed);
    for _ in 0..STOPS {
        let (hub, ready) = arena.start();
        let life = Duration::from_millis(chance.between(50, LIFE_MS).unsigned_abs());
        let mut status = None;
        arena.load(hub, &ready, life, |hub| {
            hub.terminate();
            status = Some(hub.end());
        });
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", arena.told());
        let store = replay::open(arena.folder());
        let applied = storage::Rows::applied(&store).unwrap();
        assert_eq!(applied, store.last(), "a clean stop leaves nothing to replay");
    }
    drop(arena.start());
    arena.judge();
}

#[test]
fn a_write_that_the_system_refuses_ends_the_hub_with_a_word_and_loses_nothing() {
    let mut arena = Arena::new(seed_of("a refused write"));
    let hub = Hub::spawn_limited(arena.folder());
    let ready = arena.ready(&hub);
    hub.let_files_grow_to(REFUSED_BYTES);
    let mut status = None;
    arena.load(hub, &ready, POINT_PATIENCE, |hub| status = Some(hub.end()));
    let told = arena.told();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{told}");
    assert!(told.contains("write a commit") && told.contains("restart to continue from the disk"), "{told}");
    drop(arena.start());
    arena.judge();
}

/// The time of day, as the process under test sees it.
fn wall() -> Millis {
    WallClock::default().now()
}

/// The seed of a test: `OPSHUB_SEED`, or a new one. It is printed, so that a failed run can be
/// repeated as far as its draws go.
fn seed_of(test: &str) -> u64 {
    let given = std::env::var("OPSHUB_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| wall().0.unsigned_abs());
    println!("{test}: OPSHUB_SEED={seed}");
    seed
}
