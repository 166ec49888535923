//! Hubs that share a store on servers: one owns it, the others follow, answer every read, and take over
//! from an owner that is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::watch_customer_states_response::Event;
use proto::v1::{
    CustomerState, GetProcessRequest, QueryCustomerStatesRequest, Role, WatchCustomerStatesRequest,
    WatchCustomerStatesResponse,
};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::arena::Arena;
use crate::child::{Hub, Ready};
use crate::load::checkpoint;
use crate::seed_of;

/// How long a watch may take to tell what happened.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked whether something came to be, and for how long each time.
const LOOKS: usize = 600;
const LOOK: Duration = Duration::from_millis(100);
/// How long hubs are under load at a time.
const LOADED: Duration = Duration::from_millis(500);
/// Largest page of customers.
const PAGE: i32 = 1_000;

type Client = CustomerStateServiceClient<Channel>;
type Seen = BTreeMap<String, CustomerState>;

fn client(arena: &Arena, ready: &Ready) -> Client {
    arena.runtime().block_on(Client::connect(format!("http://{}", ready.api))).unwrap()
}

/// Every customer as a hub shows it.
fn customers(arena: &Arena, client: &mut Client) -> Seen {
    let request = QueryCustomerStatesRequest { page_size: PAGE, ..QueryCustomerStatesRequest::default() };
    let page = arena.runtime().block_on(client.query_customer_states(request)).unwrap().into_inner();
    assert!(page.next_page_token.is_empty(), "a page holds them all");
    page.customer_states.into_iter().map(|state| (state.name.clone(), state)).collect()
}

/// Waits until two hubs have the same digest at the same position.
pub fn agree(arena: &Arena, hubs: &[Hub], said: [&Ready; 2]) {
    let mut last = None;
    for _ in 0..LOOKS {
        let [one, other] = said.map(|ready| checkpoint(arena.runtime(), &ready.api));
        if one.position == other.position && one.digest == other.digest {
            return;
        }
        last = Some((one, other));
        // What is on its way takes a moment.
        hubs[0].ends_within(LOOK);
    }
    panic!("the hubs do not agree: {last:?}");
}

/// One who watches all customers.
struct Watcher {
    stream: Streaming<WatchCustomerStatesResponse>,
    token: String,
}

impl Watcher {
    fn begin(arena: &Arena, client: &mut Client, resume_token: String) -> Self {
        let bookmark_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        let request = WatchCustomerStatesRequest {
            resume_token: resume_token.clone(),
            bookmark_interval,
            ..WatchCustomerStatesRequest::default()
        };
        let stream = arena.runtime().block_on(client.watch_customer_states(request)).unwrap().into_inner();
        Watcher { stream, token: resume_token }
    }

    /// Reads on, noting what is told, until `is_enough`.
    fn read(&mut self, arena: &Arena, seen: &mut Seen, is_enough: impl Fn(&Seen, &Event) -> bool) {
        let reading = async {
            loop {
                let message = self.stream.message().await.unwrap().expect("a watch does not end");
                self.token = message.resume_token;
                let event = message.event.unwrap();
                match &event {
                    Event::Upsert(upsert) => {
                        let state = upsert.customer_state.clone().unwrap();
                        seen.insert(state.name.clone(), state);
                    }
                    Event::RemovedName(name) => drop(seen.remove(name)),
                    Event::Bookmark(_) => {}
                    Event::Reset(reset) => panic!("the watch had to begin again: {reset:?}"),
                }
                if is_enough(seen, &event) {
                    return;
                }
            }
        };
        arena.runtime().block_on(async { tokio::time::timeout(PATIENCE, reading).await }).expect("the watch goes on");
    }
}

/// Names with what distinguishes one state from another.
fn states(seen: &Seen) -> BTreeMap<&str, (usize, usize)> {
    let told = |state: &CustomerState| (state.members.len(), state.open_cases.len());
    seen.iter().map(|(name, state)| (name.as_str(), told(state))).collect()
}

/// What a process says that it does with the store, and where it says the owner is.
fn process(arena: &Arena, hub: &Ready) -> (Role, String) {
    arena.runtime().block_on(async {
        let mut admin = AdminServiceClient::connect(format!("http://{}", hub.api)).await.unwrap();
        let told = admin.get_process(GetProcessRequest {}).await.unwrap().into_inner();
        (told.role(), told.owner)
    })
}

/// Waits until one of several hubs owns the store; which one, and what it says.
fn next_owner(hubs: &[Hub]) -> (usize, Ready) {
    for _ in 0..LOOKS {
        for (place, hub) in hubs.iter().enumerate() {
            if let Some(ready) = hub.says_within(LOOK / 2).filter(|ready| ready.role == "owner") {
                return (place, ready);
            }
        }
    }
    panic!("no hub took the store over within {LOOKS} looks of {LOOK:?}");
}

/// Facts whose way from the source a hub has timed.
fn timed(arena: &Arena, hub: &Ready) -> f64 {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let page = arena.runtime().block_on(async {
        reqwest::get(format!("http://{}/metrics", hub.metrics)).await.unwrap().text().await.unwrap()
    });
    let counts = page.lines().filter(|line| line.starts_with("opshub_sync_latency_seconds_count"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Starts hubs that follow the owner.
fn replicas(arena: &Arena, members: &[&str]) -> (Vec<Hub>, Vec<Ready>) {
    let hubs: Vec<Hub> = members.iter().map(|member| arena.spawn(member, None)).collect();
    let said: Vec<Ready> = hubs.iter().map(|hub| hub.says().unwrap_or_else(|| panic!("{}", arena.told()))).collect();
    assert!(said.iter().all(|ready| ready.role == "replica"), "{said:?}");
    (hubs, said)
}

#[test]
fn replicas_answer_while_an_owner_is_replaced_and_a_watch_goes_on_at_another() {
    let mut arena = Arena::on_servers(seed_of("replicas"));
    let (owner, first) = arena.start();
    let (hubs, said) = replicas(&arena, &["second", "third"]);
    assert_eq!(process(&arena, &first), (Role::Owner, String::new()));
    assert_eq!(process(&arena, &said[1]), (Role::Replica, format!("http://{}/", first.api)));
    let mut clients = [client(&arena, &said[0]), client(&arena, &said[1])];
    let mut seen = Seen::new();
    let mut watcher = Watcher::begin(&arena, &mut clients[0], String::new());
    watcher.read(&arena, &mut seen, |_, event| matches!(event, Event::Bookmark(mark) if mark.snapshot_complete));
    // What is written at a replica goes to the owner.
    arena.load(owner, &said[1], LOADED, Hub::kill);
    for client in &mut clients {
        assert!(!customers(&arena, client).is_empty(), "reads go on while nobody owns the store");
    }
    let (place, owner) = next_owner(&hubs);
    assert_ne!(owner.api, first.api);
    let other = &said[1 - place];
    arena.note(&owner);
    agree(&arena, &hubs, [&owner, other]);
    assert_eq!(process(&arena, &owner).0, Role::Owner, "it was a replica before");
    assert_eq!(timed(&arena, other), 0.0, "a fact is timed by the owner alone");
    watcher.read(&arena, &mut seen, |_, event| matches!(event, Event::Upsert(_)));
    let mut resumed = Watcher::begin(&arena, &mut clients[1], watcher.token.clone());
    resumed.read(&arena, &mut seen, |_, event| matches!(event, Event::Bookmark(_)));
    assert_eq!(states(&seen), states(&customers(&arena, &mut clients[1])), "a watcher has missed nothing");
    drop(hubs);
    arena.judge();
}

/// Takes all blocks of facts out of the log, as its retention does with old ones.
fn forget(arena: &Arena) {
    let options = arena.servers().options();
    let mut client = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> = client.set("bootstrap.servers", &options.brokers).create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&format!("{}.facts", options.name), 0, Offset::End).unwrap();
    arena.runtime().block_on(admin.delete_records(&all, &AdminOptions::new())).unwrap();
}

#[test]
fn a_replica_that_the_log_left_behind_begins_again_from_the_rows() {
    let mut arena = Arena::on_servers(seed_of("left behind"));
    let (owner, ready) = arena.start();
    let (hubs, said) = replicas(&arena, &["second"]);
    hubs[0].signal("STOP");
    arena.load(owner, &ready, LOADED, |owner| {
        owner.terminate();
        assert_eq!(owner.end().code(), Some(0));
    });
    forget(&arena);
    let (_owner, ready) = arena.start();
    hubs[0].signal("CONT");
    let again = hubs[0].says().unwrap_or_else(|| panic!("the replica ended: {}", arena.told()));
    assert_eq!((again.role.as_str(), &again.api), ("replica", &said[0].api), "it listens where it did");
    assert!(again.log_pos() >= ready.log_pos() && again.log_pos() > said[0].log_pos());
    agree(&arena, &hubs, [&ready, &again]);
}

#[test]
fn an_owner_that_was_stopped_for_too_long_ends_and_spoils_nothing() {
    let mut arena = Arena::on_servers(seed_of("a stopped owner"));
    let (stopped, ready) = arena.start();
    let (mut hubs, said) = replicas(&arena, &["second"]);
    arena.load(stopped, &ready, LOADED, |stopped| {
        stopped.signal("STOP");
        next_owner(&hubs);
        stopped.signal("CONT");
        assert_eq!(stopped.end().code(), Some(1), "it notices that it owns the store no longer");
    });
    arena.load(hubs.remove(0), &said[0], LOADED, |hub| {
        hub.terminate();
        assert_eq!(hub.end().code(), Some(0));
    });
    arena.judge();
}
