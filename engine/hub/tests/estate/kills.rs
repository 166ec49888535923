//! A hub that is killed again and again while five systems send comes to what an undisturbed one
//! comes to.
//!
//! `OPSHUB_ESTATE_KILLS` sets how often it is killed and `OPSHUB_ESTATE_S` over how many seconds the
//! story is told; both are few unless they are set.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use connectors::Clock as _;
use fixtures::faults::Faults;
use ontology::Millis;
use proto::v1::admin_service_client::AdminServiceClient;
use sim::Chance;

use crate::child::{Hub, Ready, run};
use crate::estate::{ANY, Estate};
use crate::{SYSTEMS, difference};

/// Seed of the world, and of the instants at which the hub dies.
const SEED: u64 = 11;
/// Pieces of the story that are told in a second.
const SLICES_PER_S: i64 = 20;
/// How long a hub may take to read what is left.
const PATIENCE: Duration = Duration::from_secs(60);
/// How far the export of tickets stays behind.
const HELD_BACK_MS: i64 = Millis::MINUTE_MS + 1;
/// Times that a hub is given to read again what was told without content.
const TRIES: usize = 5;

fn setting(name: &str, usual: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn wall_ms() -> i64 {
    hub::clock::WallClock::default().now().0
}

/// A hub on one store and one address of its doors, however often it is started.
struct Post {
    folder: tempfile::TempDir,
    configuration: String,
    doors: SocketAddr,
}

impl Post {
    fn new(estate: &Estate) -> Post {
        // The address is free at this moment, and stays the doors' own for every hub.
        let doors = std::net::TcpListener::bind(ANY).unwrap().local_addr().unwrap();
        let configuration = estate.configuration(&SYSTEMS, true, "200ms").to_str().unwrap().to_owned();
        Post { folder: tempfile::tempdir().unwrap(), configuration, doors }
    }

    fn start(&self) -> Hub {
        let doors = self.doors.to_string();
        Hub::spawn_with(self.folder.path(), None, &["--config", &self.configuration, "--doors", &doors])
    }
}

/// Tells the story in `seconds` to a hub that is killed `kills` times meanwhile, and gives what holds
/// of every customer afterwards, at `at`.
async fn told(kills: i64, seconds: i64, at: Millis) -> Vec<String> {
    let estate = Estate::start(SEED, Faults::default()).await;
    let post = Post::new(&estate);
    let mut player = estate.player(post.doors).stamp_webhooks_by(wall_ms);
    let (begin, end) = (player.now_ms(), estate.world.story().last().unwrap().deliver_ms);
    let slices = (seconds * SLICES_PER_S).max(1);
    let mut chance = Chance::of(SEED);
    let mut deaths: Vec<i64> =
        (0..kills).map(|kill| kill * slices / kills + chance.between(0, slices / kills)).collect();
    deaths.reverse();
    let mut hub = post.start();
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / SLICES_PER_S.unsigned_abs()));
    for slice in 0..slices {
        ticks.tick().await;
        let until = begin + (end - begin) * (slice + 1) / slices;
        let Some(piece) = player.next_slice(until, Some(end - begin)) else { continue };
        let death = async {
            if deaths.last().is_some_and(|death| *death <= slice) {
                deaths.pop();
                // Somewhere in the middle of what is being sent.
                tokio::time::interval(Duration::from_millis(1)).tick().await;
                hub.kill();
                hub = post.start();
            }
            hub
        };
        let (sent, alive) = tokio::join!(player.play(&piece), death);
        sent.unwrap();
        hub = alive;
    }
    player.arrive().await.unwrap();
    settled(&estate, &post, hub, Millis(end), at).await
}

/// Waits until nothing is missing, and gives what holds of every customer at `at`.
async fn settled(estate: &Estate, post: &Post, mut hub: Hub, end: Millis, at: Millis) -> Vec<String> {
    let mut now = end;
    for _ in 0..TRIES {
        let (running, ready) = tokio::task::spawn_blocking(move || {
            let ready = hub.ready();
            (hub, ready)
        })
        .await
        .unwrap();
        let ready = ready.unwrap_or_else(|| panic!("the hub did not start: {}", said(post.folder.path())));
        for _ in 0..2 {
            now = now + Millis::HOUR_MS;
            estate.quiet_until(now.0);
            proven(&ready, now).await;
        }
        running.terminate();
        let ended = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
        assert!(ended.success(), "{ended}: {}", said(post.folder.path()));
        let store = post.folder.path().join("store");
        let at = at.0.to_string();
        let printed = run(&["digest", "--standing", "--canonical", "--at", &at, "--store", store.to_str().unwrap()]);
        if !printed.contains("\"gap\":\"") {
            return printed.lines().map(str::to_owned).collect();
        }
        hub = post.start();
    }
    panic!("a change that was told without content is never read")
}

/// Waits until every source is proven up to `now`.
async fn proven(ready: &Ready, now: Millis) {
    let mut client = AdminServiceClient::connect(format!("http://{}", ready.api)).await.unwrap();
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let request = proto::v1::ListSourcesRequest { page_size: 100, ..Default::default() };
            let sources = client.list_sources(request).await.unwrap().into_inner().sources;
            let until =
                |source: &proto::v1::Source| source.watermark_time.as_ref().map_or(0, |time| time.seconds * 1_000);
            let is_proven = |source: &proto::v1::Source| until(source) >= now.0 - HELD_BACK_MS - Millis::SECOND_MS;
            if sources.len() >= SYSTEMS.len() && sources.iter().all(is_proven) {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looking).await.is_ok(), "not proven up to {now:?}");
}

/// What the hubs told people, for the message of a failed test.
fn said(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("stderr.txt")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_under_the_traffic_of_five_systems_loses_nothing() {
    let (kills, seconds) = (setting("OPSHUB_ESTATE_KILLS", 3), setting("OPSHUB_ESTATE_S", 3));
    // Behind everything that either run takes in.
    let at = Millis(wall_ms() + Millis::DAY_MS);
    let expected = told(0, 1, at).await;
    assert!(expected.len() > 10, "{} customers", expected.len());
    let found = told(kills, seconds, at).await;
    println!("{kills} kills in {seconds} s, {} customers", found.len());
    assert!(found == expected, "{kills} kills: {}", difference(&found, &expected));
}
