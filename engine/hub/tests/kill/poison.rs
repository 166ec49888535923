//! A fact that ends the process wherever it is applied: after three deaths the hub starts without it.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use ontology::{Field, Vocabulary as _};
use proto::v1::field_value::Kind;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::{Event, FieldValue, Operation, PublishEventsRequest, System, Version};
use storage::{Position, QuarantineFilter, QuarantineState, Quarantined, Store};

use crate::arena::Arena;
use crate::author::Author;
use crate::child::{Hub, Ready, run};
use crate::replicas::agree;
use crate::{ABORTED, replay, seed_of, wall};

/// The record that a hub dies of, and what tells it so.
const RECORD: &str = "kills";
const DIES_OF_IT: Option<&str> = Some("record:kills");
/// How long the hub is under load before.
const LOADED: Duration = Duration::from_millis(200);
/// Starts that die: of all that is behind the snapshot, of a part of it, of the fact alone.
const DEATHS: usize = 3;

/// What ends the hub, and what others send beside it in the same request.
fn poisoned() -> Vec<Event> {
    let mut neighbours = Author::new("beside".to_owned(), 7, wall());
    let named = FieldValue { kind: Some(Kind::Text("Alder Works".to_owned())) };
    let poison = Event {
        event_id: RECORD.to_owned(),
        system: System::Salesforce.into(),
        object: "account".to_owned(),
        record_id: RECORD.to_owned(),
        operation: Operation::Image.into(),
        version: Some(Version { major: 1, ..Version::default() }),
        change_time: Some(prost_types::Timestamp { seconds: wall().0 / 1_000, nanos: 0 }),
        fields: [(Field::Name.name().to_owned(), named)].into(),
        contract_version: 1,
        mapping_version: 1,
        ..Event::default()
    };
    let mut events = neighbours.fit(4);
    events.push(poison);
    events.extend(neighbours.fit(4));
    events
}

fn publish(arena: &Arena, ready: &Ready) {
    arena.runtime().block_on(async {
        let mut client = IngestServiceClient::connect(format!("http://{}", ready.api)).await.unwrap();
        let request = PublishEventsRequest { events: poisoned(), ..PublishEventsRequest::default() };
        // The hub may be gone before it has answered; it dies of what is in the log.
        let _ = client.publish_events(request).await;
    });
}

fn died(hub: Hub, arena: &Arena) {
    let status = hub.end();
    assert_eq!(status.signal(), Some(ABORTED), "{status:?}: {}", arena.told());
}

/// What a store has set aside, and the fact in it.
fn set_aside(store: &dyn Store) -> Quarantined {
    let filter = QuarantineFilter { reason: Some("poison".to_owned()), ..QuarantineFilter::default() };
    let found = store.list(&filter, None, 10).unwrap().records;
    let [record] = &found[..] else { panic!("one fact is set aside: {found:?}") };
    let position: u64 = String::from_utf8(record.source_position.clone()).unwrap().parse().unwrap();
    let block = store.read(Position(position)).unwrap().next().unwrap().unwrap();
    let (_, bytes) = block.facts().find(|(at, _)| at.0 == position).unwrap();
    assert_eq!(store.raw(record.id).unwrap(), bytes, "its bytes are those in the log");
    assert!(String::from_utf8_lossy(bytes).contains(RECORD));
    record.clone()
}

/// Plays it on an arena; `open` opens the store that a hub left.
fn check(mut arena: Arena, open: impl Fn(&Arena) -> Box<dyn Store>) {
    let hub = arena.spawn("first", DIES_OF_IT);
    let ready = arena.ready(&hub);
    let load = arena.begin_load(&ready);
    hub.ends_within(LOADED);
    publish(&arena, &ready);
    died(hub, &arena);
    arena.end_load(load);
    for _ in 0..DEATHS {
        let hub = arena.spawn("first", DIES_OF_IT);
        assert!(hub.ready().is_none(), "it has not died often enough: {}", arena.told());
        died(hub, &arena);
    }
    let hub = arena.spawn("first", DIES_OF_IT);
    let ready = arena.ready(&hub);
    // One who follows passes it over, too.
    if arena.is_on_servers() {
        let second = arena.spawn("second", DIES_OF_IT);
        let said = second.says().unwrap_or_else(|| panic!("{}", arena.told()));
        agree(&arena, &[second], [&ready, &said]);
    }
    hub.kill();
    let record = set_aside(&*open(&arena));
    assert_eq!((record.state, record.source.as_str()), (QuarantineState::Held, "salesforce/log"));
    arena.judge();
    let (hub, ready) = arena.start();
    let name = record.id.to_string();
    run(&["quarantine", "replay", "--api", &ready.api, "--yes", &name]);
    arena.note(&ready);
    hub.terminate();
    assert_eq!(hub.end().code(), Some(0));
    let store = open(&arena);
    let again = set_aside(&*store);
    assert!(matches!(again.state, QuarantineState::Replayed(_)), "{again:?}");
    let block = store.read(store.last()).unwrap().next().unwrap().unwrap();
    assert_eq!(block.facts().last().unwrap().1, store.raw(again.id).unwrap(), "it is in the log once more");
    drop(store);
    arena.judge();
}

#[test]
fn a_fact_that_ends_the_hub_is_set_aside_by_the_third_death_at_it() {
    check(Arena::new(seed_of("poison")), |arena| Box::new(replay::open(arena.folder())));
}

#[test]
fn a_fact_that_ends_the_hub_is_set_aside_on_servers_too() {
    check(Arena::on_servers(seed_of("poison on servers")), |arena| Box::new(arena.servers().open()));
}
