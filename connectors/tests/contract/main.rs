//! The contract that every connector keeps, checked by the same tests against each simulator:
//!
//! - it starts from a stored position and does not read again what it has;
//! - it acknowledges, or moves its position, only when the log has what it took;
//! - it loses nothing when it is killed at any instant and started again;
//! - a full log pauses its source, and what waited arrives afterwards;
//! - expired credentials, throttling, failures and slow answers delay and lose nothing;
//! - what was dropped, repeated, late or overtaken on the way is made good by its list job;
//! - a quiet source is proven alive, a dead one is not, and operators see why;
//! - it ends when it is told to;
//! - its metrics have the names of all connectors.
#![allow(clippy::unwrap_used)]

mod checks;
mod metrics_seen;
mod rig;
mod sources;
#[path = "../support/mod.rs"]
mod support;

use ontology::{System, Vocabulary as _};
use rig::Source;
use sources::{oracle::Oracle, salesforce::Salesforce, sap::Sap, wxcc::Wxcc, zendesk::Zendesk};

/// Every check, on one connector.
async fn keeps_the_contract<S: Source>() {
    metrics_seen::install();
    let told = |check: &str| println!("{}: {check}", S::SYSTEM.name());
    told("arrives whole");
    checks::arrives_whole::<S>().await;
    told("starts from a stored position");
    checks::starts_from_a_stored_position::<S>().await;
    told("loses nothing when killed");
    checks::loses_nothing_when_killed::<S>().await;
    told("waits for a full log");
    checks::waits_for_a_full_log::<S>().await;
    told("outlasts failing calls");
    checks::outlasts_failing_calls::<S>().await;
    told("makes good for a lossy line");
    checks::makes_good_for_a_lossy_line::<S>().await;
    told("proves a quiet source and not a dead one");
    checks::proves_a_quiet_source_and_not_a_dead_one::<S>().await;
    metrics_seen::expect(S::SYSTEM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn salesforce() {
    keeps_the_contract::<Salesforce>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oracle() {
    keeps_the_contract::<Oracle>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wxcc() {
    keeps_the_contract::<Wxcc>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sap() {
    keeps_the_contract::<Sap>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zendesk() {
    keeps_the_contract::<Zendesk>().await;
}

#[test]
fn every_connector_has_its_contract_checked() {
    let checked = [Salesforce::SYSTEM, Oracle::SYSTEM, Wxcc::SYSTEM, Sap::SYSTEM, Zendesk::SYSTEM];
    let all: std::collections::BTreeSet<System> = connectors::Connectors::SYSTEMS.into_iter().collect();
    assert_eq!(all, checked.into_iter().collect());
}
