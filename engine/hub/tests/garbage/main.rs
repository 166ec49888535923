//! What cannot be understood is found again byte for byte, and delays nobody else.
#![allow(clippy::unwrap_used)]

mod payload;
mod stage;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fixtures::Receipt;
use fixtures::oracle::entries;
use fixtures::story::{Change, Happening, System as Vendor};
use payload::{Vandal, good, nobody, world};
use stage::{Stage, wall_ms};

/// Payloads of each vendor in a stream with a little garbage.
const PAYLOADS: usize = 200;
/// One payload in so many is garbage.
const GARBAGE_EVERY: usize = 100;
/// Good changes of each neighbour of a vendor that sends nothing but garbage.
const NEIGHBOURS: usize = 40;
/// Least garbage of each of the senders that flood a door at once.
const FLOOD_MIN: usize = 50;
/// Garbage that a sender has ready before it looks up; the event bus gets it at once.
const BURST: usize = 10;
/// Seed of the world and of what is damaged.
const SEED: u64 = 19;

/// How long good payloads took. That all were visible while the garbage went on is what counts: on
/// a busy machine everything takes long.
fn tell(vendor: Vendor, latencies: &[Duration]) {
    let slowest = latencies.iter().max().unwrap();
    println!("{}: {} good payloads, the slowest visible after {slowest:?}", vendor.name(), latencies.len());
}

/// What was sent as garbage is in quarantine, each once, and nothing else of that vendor is.
fn check_found(stage: &Stage, vendor: Vendor, mut garbage: Vec<Vec<u8>>) {
    garbage.sort();
    let found = stage.quarantined(vendor);
    assert_eq!(found.len(), garbage.len(), "records of {} in quarantine", vendor.name());
    let differs = found.iter().zip(&garbage).find(|(found, sent)| found != sent);
    let told = differs.map(|(found, sent)| (String::from_utf8_lossy(found), String::from_utf8_lossy(sent)));
    assert!(told.is_none(), "quarantined of {}, and sent: {told:?}", vendor.name());
}

/// Delivers changes one after another, now and then something else in between.
async fn stream(stage: &Stage, vendor: Vendor, changes: &[Happening]) -> (Vec<Duration>, Vec<Vec<u8>>) {
    let mut vandal = Vandal::new(SEED);
    let (mut latencies, mut garbage) = (Vec::new(), Vec::new());
    for (place, change) in changes.iter().enumerate() {
        if place % GARBAGE_EVERY == GARBAGE_EVERY / 2 {
            let bytes = vandal.garbage(vendor);
            stage.send(vendor, vec![bytes.clone()]).await;
            garbage.push(bytes);
        }
        latencies.push(stage.deliver(change).await);
    }
    (latencies, garbage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_little_garbage_in_every_stream_delays_nobody() {
    let (stage, world) = (Stage::set().await, world(SEED));
    let [salesforce, oracle, wxcc, sap] = Vendor::VENDORS.map(|vendor| good(&world, vendor, PAYLOADS));
    let (salesforce, oracle, wxcc, sap) = tokio::join!(
        stream(&stage, Vendor::Salesforce, &salesforce),
        stream(&stage, Vendor::Oracle, &oracle),
        stream(&stage, Vendor::Wxcc, &wxcc),
        stream(&stage, Vendor::Sap, &sap),
    );
    for (vendor, (latencies, garbage)) in Vendor::VENDORS.into_iter().zip([salesforce, oracle, wxcc, sap]) {
        tell(vendor, &latencies);
        assert_eq!(garbage.len(), PAYLOADS / GARBAGE_EVERY);
        check_found(&stage, vendor, garbage);
    }
    stage.strike().await;
}

/// Sends nothing but garbage until told to stop, and gives what it sent.
async fn flood(stage: &Stage, vendor: Vendor, number: u64, is_over: &AtomicBool) -> Vec<Vec<u8>> {
    let mut vandal = Vandal::new(SEED + number);
    let mut garbage = Vec::new();
    while !is_over.load(Ordering::Relaxed) || garbage.len() < FLOOD_MIN {
        let burst: Vec<_> = (0..BURST).map(|_| vandal.garbage(vendor)).collect();
        stage.send(vendor, burst.clone()).await;
        garbage.extend(burst);
    }
    garbage
}

/// Four floods at once.
async fn floods(stage: &Stage, vendor: Vendor, place: usize, is_over: &AtomicBool) -> Vec<Vec<u8>> {
    let flood = |number: u64| flood(stage, vendor, number * 100 + place as u64, is_over);
    let (first, second, third, fourth) = tokio::join!(flood(1), flood(2), flood(3), flood(4));
    [first, second, third, fourth].concat()
}

/// Floods one vendor's door, delivers what its neighbours have to say meanwhile, and then what the
/// flooded vendor itself has to say.
async fn check_flood(
    stage: &Stage,
    flooded: Vendor,
    changes: &[(Vendor, Vec<Happening>)],
    place: usize,
) -> Vec<Vec<u8>> {
    let is_over = AtomicBool::new(false);
    let deliver = async |(vendor, changes): &(Vendor, Vec<Happening>)| {
        if *vendor == flooded {
            return;
        }
        let mut latencies = Vec::new();
        for change in &changes[place * NEIGHBOURS..][..NEIGHBOURS] {
            latencies.push(stage.deliver(change).await);
        }
        tell(*vendor, &latencies);
    };
    let neighbours = async {
        let [first, second, third, fourth] = changes else { panic!("there are four vendors") };
        tokio::join!(deliver(first), deliver(second), deliver(third), deliver(fourth));
        is_over.store(true, Ordering::Relaxed);
    };
    let (garbage, ()) = tokio::join!(floods(stage, flooded, place, &is_over), neighbours);
    let (_, own) = changes.iter().find(|(vendor, _)| *vendor == flooded).unwrap();
    tell(flooded, &[stage.deliver(&own[place * NEIGHBOURS]).await]);
    garbage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_garbage_from_one_vendor_delays_no_other() {
    let (stage, world) = (Stage::set().await, world(SEED));
    let vendors = Vendor::VENDORS;
    let changes = vendors.map(|vendor| (vendor, good(&world, vendor, vendors.len() * NEIGHBOURS)));
    for (place, flooded) in vendors.into_iter().enumerate() {
        let garbage = check_flood(&stage, flooded, &changes, place).await;
        println!("{}: {} payloads of garbage", flooded.name(), garbage.len());
        check_found(&stage, flooded, garbage);
    }
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_garbage_from_the_other_desk_delays_no_one() {
    let (stage, world) = (Stage::set().await, world(SEED));
    let changes = good(&world, Vendor::Oracle, NEIGHBOURS);
    let is_over = AtomicBool::new(false);
    let neighbour = async {
        let mut latencies = Vec::new();
        for change in &changes {
            latencies.push(stage.deliver(change).await);
        }
        is_over.store(true, Ordering::Relaxed);
        latencies
    };
    let (garbage, latencies) = tokio::join!(floods(&stage, Vendor::Zendesk, 0, &is_over), neighbour);
    tell(Vendor::Oracle, &latencies);
    check_found(&stage, Vendor::Zendesk, garbage);
    stage.strike().await;
}

#[tokio::test]
async fn garbage_within_a_payload_leaves_its_neighbours_alone() {
    let (stage, world) = (Stage::set().await, world(SEED));
    let rows = good(&world, Vendor::Oracle, 2);
    let Change::Oracle(first) = &rows[0].change else { panic!("a change of Oracle") };
    let entry = entries(first, rows[0].at_ms).remove(0);
    let (bad_row, bad_document) = (nobody(Vendor::Oracle, 1), nobody(Vendor::Sap, 1));
    stage.send(Vendor::Oracle, vec![format!("[{entry},{bad_row},{entry}]").into_bytes()]).await;
    check_found(&stage, Vendor::Oracle, vec![bad_row.into_bytes()]);
    assert_eq!(stage.facts(), 2);

    let documents = good(&world, Vendor::Sap, 1);
    let Change::Sap(document) = &documents[0].change else { panic!("a change of SAP") };
    let body = fixtures::sap::body(&[(documents[0].at_ms, document)]);
    let end = body.rfind("</").unwrap();
    let mixed = format!("{}{bad_document}{}", &body[..end], &body[end..]);
    stage.send(Vendor::Sap, vec![mixed.into_bytes()]).await;
    check_found(&stage, Vendor::Sap, vec![bad_document.into_bytes()]);
    assert_eq!(stage.facts(), 3);
    stage.strike().await;
}

#[tokio::test]
async fn garbage_without_credentials_is_refused_and_not_kept() {
    let stage = Stage::set().await;
    let body = || nobody(Vendor::Wxcc, 1).into_bytes();
    let stranger = fixtures::wxcc::WebexDoor { secret: "another".to_owned(), ..stage.wxcc.clone() };
    let receipt = stranger.push_raw(&stage.sender, body(), wall_ms(), "task").await.unwrap();
    assert_eq!(receipt, Receipt::Refused(401));
    let receipt = stage.wxcc.push_raw(&stage.sender, body(), 0, "task").await.unwrap();
    assert_eq!(receipt, Receipt::Refused(401), "signed long ago");
    let stranger = fixtures::oracle::OracleDoor { token: "another".to_owned(), ..stage.oracle.clone() };
    assert_eq!(stranger.push_raw(&stage.sender, body()).await.unwrap(), Receipt::Refused(401));
    let stranger = fixtures::sap::SapDoor { password: "another".to_owned(), ..stage.sap.clone() };
    assert_eq!(stranger.push_raw(&stage.sender, body()).await.unwrap(), Receipt::Refused(401));
    let stranger = fixtures::zendesk::ZendeskDoor { secret: "another".to_owned(), ..stage.zendesk.clone() };
    let receipt = stranger.push_raw(&stage.sender, body(), wall_ms(), "garbage").await.unwrap();
    assert_eq!(receipt, Receipt::Refused(401));
    for vendor in Vendor::VENDORS.into_iter().chain([Vendor::Zendesk]) {
        check_found(&stage, vendor, Vec::new());
    }
    assert_eq!(stage.facts(), 0);
    stage.strike().await;
}
