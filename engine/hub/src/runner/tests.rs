use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use connectors::SharedClock;
use fixtures::services::{address, redis_urls};
use ontology::{EntityKey, EntityKind, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version};
use pipeline::{Engine, EngineSettings, Input};
use sim::delivery::{BatchSize, Delivery};
use sim::difference::{equal, texts};
use sim::{Chance, History};
use storage::{
    Distributed, DistributedOptions, Embedded, FreeSpace, Intake, Log as _, Memory, NewBlock, Position, Priority,
    Rows as _,
};

use super::{Payload, Runner, RunnerOptions, recovery, write_snapshot};
use serve::standing::Standing;

use crate::clock::StoryClock;
use crate::rented::Rented;

const NOW: Millis = Millis(1_773_154_800_000);
const PATIENCE: Duration = Duration::from_secs(60);

fn gap_of(record_id: String) -> Fact {
    Fact {
        event_id: record_id.as_str().into(),
        system: System::Salesforce,
        object: "Case".into(),
        entity: EntityKey::new(EntityKind::Case, &record_id),
        record_id: record_id.into(),
        op: Op::Gap,
        version: Version::new(9, 1, 1),
        changed_at: NOW,
        observed_at: NOW,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: FieldsBuilder::default().build(),
    }
}

fn options(now: Millis) -> RunnerOptions {
    let clock: SharedClock = Arc::new(StoryClock::standing(now));
    RunnerOptions {
        engine: EngineSettings::default(),
        model: resolver::Model::shipped(),
        clock,
        batch_max: 10,
        unmonitored: Vec::new(),
        standing: Standing::default(),
    }
}

#[test]
fn what_is_decided_again_while_the_log_is_replayed_reaches_the_outbox() {
    let store = Arc::new(Memory::default());
    // A change that is known and not applied for longer than a source may lag; then the process was lost.
    for (number, at) in [(1, NOW), (2, NOW + 10 * Millis::MINUTE_MS)] {
        let mut block = NewBlock::new(at);
        block.push_with(|out| gap_of(format!("500{number}")).encode(out));
        store.append(Intake::new().block(block)).unwrap();
    }
    let runner = Runner::start(store.clone(), options(NOW + 10 * Millis::MINUTE_MS), Box::new(|_| ())).unwrap();
    runner.stop().unwrap();
    let told: Vec<String> =
        store.pending().unwrap().map(|row| String::from_utf8_lossy(&row.unwrap().1).into_owned()).collect();
    assert!(told.iter().any(|action| action.contains("\"rule\":\"11-1\"")), "{told:?}");
}

/// A hub with a second fact that no row holds yet, on a disk that is full from now on.
fn hub_on_a_full_disk() -> (tempfile::TempDir, Embedded, Runner, Arc<AtomicBool>) {
    let (dir, has_room) = (tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(true)));
    let (asked, is_asked) = sync_channel(64);
    let room = has_room.clone();
    let free_space: storage::FreeSpaceProbe = Arc::new(move || {
        let has_room = room.load(Ordering::Acquire);
        let _ = asked.try_send(());
        Ok(FreeSpace { free_bytes: if has_room { 1 << 40 } else { 0 }, total_bytes: 1 << 40 })
    });
    let options_of_store = storage::Options { free_space: Some(free_space), ..storage::Options::default() };
    let store = Embedded::open(dir.path(), options_of_store).unwrap();
    let clock = Arc::new(StoryClock::standing(NOW));
    let options = RunnerOptions { clock: clock.clone(), ..options(NOW) };
    let runner = Runner::start(Arc::new(store.clone()), options, Box::new(|_| ())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = runner.handle();
    // The first fact may be stored at once; the second then waits for the next snapshot.
    for number in 1..=2 {
        let fact = vec![gap_of(format!("500{number}"))];
        let appended = handle.append(fact, Vec::new(), Payload::default(), None, Priority::Source);
        assert_eq!(runtime.block_on(appended).unwrap(), LogPos(number));
        runtime.block_on(handle.ask(|_| ())).unwrap();
    }
    has_room.store(false, Ordering::Release);
    while is_asked.try_recv().is_ok() {}
    clock.advance_to(NOW + Millis::MINUTE_MS);
    clock.run(1.0);
    // Rows were refused, and are tried again and again.
    for _ in 0..3 {
        is_asked.recv_timeout(PATIENCE).unwrap();
    }
    (dir, store, runner, has_room)
}

#[test]
fn rows_wait_for_room_on_a_full_disk_and_the_hub_goes_on() {
    let (_dir, store, runner, has_room) = hub_on_a_full_disk();
    assert!(store.applied().unwrap() < Position(2));
    assert!(!runner.has_ended());
    has_room.store(true, Ordering::Release);
    runner.stop().unwrap();
    assert_eq!(store.applied().unwrap(), Position(2));
}

#[test]
fn a_hub_that_ends_does_not_wait_for_room() {
    let (_dir, store, runner, _) = hub_on_a_full_disk();
    let error = runner.stop().unwrap_err();
    assert!(error.to_string().contains("free"), "{error}");
    assert!(store.applied().unwrap() < Position(2));
    assert_eq!(store.last(), Position(2));
}

/// Batches after each of which the owner stores a snapshot.
const SNAPSHOTS: usize = 40;

#[test]
fn what_is_read_while_the_owner_writes_is_one_state() {
    let servers = (address("OPSHUB_KAFKA"), redis_urls("OPSHUB_REDIS"));
    let rented = Rented::on(&DistributedOptions::new(servers.0, servers.1, "test"));
    let owner = rented.open().unwrap();
    let mut chance = Chance::of(5);
    let delivery = Delivery::of(&History::of(5), &mut chance, BatchSize::Of(4));
    let new_engine = || Engine::new(EngineSettings::default(), resolver::Model::shipped());
    let is_over = AtomicBool::new(false);
    let (mut written, mut reads) = (new_engine(), Vec::new());
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reads = Vec::new();
            while !is_over.load(Ordering::Acquire) {
                let store = Distributed::follow(rented.options()).unwrap();
                let restored = recovery::read_while_written(&store).unwrap();
                reads.push((store, restored));
            }
            reads
        });
        for batch in delivery.0.iter().take(SNAPSHOTS) {
            let mut block = NewBlock::new(batch.ingested_at);
            for fact in &batch.facts {
                block.push_with(|out| fact.encode(out));
            }
            owner.append(Intake::new().block(block)).unwrap();
            written.step(Input::Facts { facts: batch.facts.clone(), ingested_at: batch.ingested_at });
            write_snapshot(&owner, &written.take_snapshot(), &BTreeMap::new()).unwrap();
        }
        is_over.store(true, Ordering::Release);
        reads = reading.join().unwrap();
    });
    let now = written.now();
    assert!(!reads.is_empty());
    for (_, restored) in reads {
        let position = restored.position;
        let mut engine = new_engine();
        recovery::take_up(&owner, &mut engine, restored, recovery::Reading::Follows, &mut |_, _| {}).unwrap();
        equal(&format!("read at {position:?}"), &texts(engine.canonical(now)), &texts(written.canonical(now))).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stamped_before_what_the_store_holds() {
    let store = Arc::new(Memory::default());
    let mut instants = Vec::new();
    // A clock that was an hour ahead when the process before ended.
    for now in [NOW + Millis::HOUR_MS, NOW] {
        let runner = Runner::start(store.clone(), options(now), Box::new(|_| ())).unwrap();
        let fact = gap_of(now.0.to_string());
        runner.handle().append(vec![fact], Vec::new(), Payload::default(), None, Priority::Source).await.unwrap();
        tokio::task::spawn_blocking(move || runner.stop()).await.unwrap().unwrap();
        instants = store.read(Position::FIRST).unwrap().map(|block| block.unwrap().ingested_at()).collect();
    }
    assert_eq!(instants, [NOW + Millis::HOUR_MS; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_in_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(dir.path(), storage::Options::default()).unwrap());
    let runner = Runner::start(store, options(NOW), Box::new(|_| ())).unwrap();
    let handle = runner.handle();
    for number in 1..=100 {
        let gap = gap_of(format!("500{number}"));
        let appended = handle.append(vec![gap], Vec::new(), Payload::default(), None, Priority::Source).await;
        let known = handle.ask(|engine| engine.sources().gaps().len()).await.unwrap();
        assert_eq!((appended.is_ok(), known), (true, number));
    }
    drop(handle);
    tokio::task::spawn_blocking(move || runner.stop()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hears_no_owner_for_half_a_minute_says_so_until_it_owns_the_store() {
    let (clock, options) = (Arc::new(StoryClock::standing(NOW)), options(NOW));
    let options = RunnerOptions { clock: clock.clone(), ..options };
    let standing = options.standing.clone();
    let following = move || {
        let servers = (address("OPSHUB_KAFKA"), redis_urls("OPSHUB_REDIS"));
        let rented = Rented::on(&DistributedOptions::new(servers.0, servers.1, "test"));
        drop(rented.open().unwrap());
        let store = Distributed::follow(rented.options()).unwrap();
        (Runner::follow(store, options, Box::new(|_| ()), Box::new(|_| ())).unwrap(), rented)
    };
    let (runner, rented) = tokio::task::spawn_blocking(following).await.unwrap();
    assert!(standing.is_whole());
    clock.advance_to(NOW + Millis::MINUTE_MS);
    tokio::time::timeout(PATIENCE, standing.changes(true)).await.unwrap();
    assert_eq!(standing.lacks(), "the log");
    runner.own(String::new()).await.unwrap();
    assert!(standing.is_whole());
    tokio::task::spawn_blocking(move || runner.stop().map(|()| drop(rented))).await.unwrap().unwrap();
}
