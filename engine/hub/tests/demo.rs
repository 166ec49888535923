//! The demo, played whole over real sockets: its story, its truth, and the same story twice.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use fixtures::services::address;
use hub::demo::{Options, Summary, play};

fn options(seed: u64, shards: usize) -> Options {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Options { seed, customers: 40, speed: 2.0, for_ms: Some(5_000), api: any, doors: any, shards, servers: None }
}

/// The summary, and the canonical JSON of every customer.
async fn told(seed: u64, shards: usize) -> (Summary, Vec<String>) {
    let (stage, end) = play(&options(seed, shards), |_| {}).await.unwrap();
    let summary = Summary::of(&stage, seed, end).await.unwrap();
    let handle = stage.app.handle();
    let customers = handle.ask(move |engine| engine.canonical(end).map(|c| c.to_string()).collect()).await.unwrap();
    drop(handle);
    stage.strike().await.unwrap();
    (summary, customers)
}

/// What stands around the first place at which two texts differ.
fn difference(a: &str, b: &str) -> String {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let excerpt = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[same.saturating_sub(300)..(same + 80).min(text.len())]).into_owned()
    };
    format!("{}\n{}", excerpt(a), excerpt(b))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_told_and_the_truth_is_found() {
    let page = serve::metrics::install().unwrap();
    let (told, _) = told(11, 1).await;
    // What is measured on the way is measured.
    let page = page.render();
    for metric in [
        "opshub_stage_seconds_count{stage=\"decode\"}",
        "opshub_stage_seconds_count{stage=\"log\"}",
        "opshub_stage_seconds_count{stage=\"publish\"}",
        "opshub_stage_seconds_count{stage=\"rows\"}",
        "opshub_stage_seconds_count{stage=\"step\"}",
        "opshub_source_last_applied_timestamp_seconds{source=\"wxcc\"}",
        "opshub_source_pending_changes{source=\"oracle\"}",
    ] {
        assert!(page.lines().any(|line| line.starts_with(metric)), "{metric} is not in {page}");
    }
    assert!(told.facts.values().all(|count| *count > 0), "{:?}", told.facts);
    assert_eq!(told.quarantined, told.planted);
    assert!((1..=told.links.automatic).contains(&told.links.records), "{:?}", told.links);
    assert!(told.links.between <= told.links.review, "{:?}", told.links);
    assert!(told.links.precision >= 0.97 && told.links.recall >= 0.80, "{:?}", told.links);
    let narratives: Vec<&str> = told.handoffs.iter().map(|handoff| handoff.narrative.as_str()).collect();
    assert!(narratives.contains(&A01), "{narratives:?}");
    let correlations: Vec<&str> = told.correlations.iter().map(|c| c.sentence.as_str()).collect();
    assert!(correlations.contains(&A02), "{correlations:?}");
    let discrepancies: Vec<&str> = told.discrepancies.iter().map(|d| d.sentence.as_str()).collect();
    assert!(discrepancies.contains(&A03), "{discrepancies:?}");
}

const A01: &str = "Transferring to billing team — attaching case SF-2026-8831, Oracle invoice #INV-4521 (dispute: $342 \
                   overcharge), 2 prior WXCC calls (12min, 8min), and SAP service order SO-7722 (completed yesterday).";
const A02: &str = "Invoice spike for Account ACCT-1205 correlates with SAP service order SO-7701 (plan upgrade) executed \
                   3 days ago — likely correct charge, not an error.";
const A03: &str = "Salesforce case SF-2026-9001 marked resolved but Oracle credit note CN-4410 still pending approval — \
                   flagging for finance review.";

#[tokio::test(flavor = "multi_thread")]
async fn one_seed_tells_one_story_on_any_number_of_shards() {
    let (first, customers) = told(12, 1).await;
    let (again, customers_again) = told(12, 4).await;
    for (one, other) in customers.iter().zip(&customers_again) {
        assert!(one == other, "{}", difference(one, other));
    }
    assert_eq!(first.digest, again.digest);
    assert_eq!(first.customers, again.customers);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_on_servers_tell_the_same_story() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_opshub"));
    demo.args(["demo", "--distributed", "--json", "--seed", "13", "--customers", "40", "--speed", "2", "--for", "5s"]);
    demo.env("OPSHUB_KAFKA", address("OPSHUB_KAFKA")).env("OPSHUB_REDIS", address("OPSHUB_REDIS"));
    let played = tokio::task::spawn_blocking(move || demo.output());
    let (alone, _) = told(13, 1).await;
    let output = played.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let processes = summary["processes"].as_array().unwrap();
    let roles: Vec<&str> = processes.iter().map(|process| process["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["owner", "replica", "replica"]);
    // They are asked one after the other, and sources go on saying that they live: positions may differ.
    for process in processes {
        assert_eq!(process["digest"], alone.digest.as_str());
    }
}

#[test]
fn the_demo_on_servers_needs_to_know_them() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_opshub"));
    let output = demo.args(["demo", "--distributed", "--headless"]).env_remove("OPSHUB_KAFKA").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("fixtures/services up"));
}

/// A demo of the story's own customers that keeps its store in `folder`, and the lines that it prints.
fn live(folder: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_opshub"));
    demo.args(["demo", "--customers", "0"]).env("TMPDIR", folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut demo = demo.spawn().unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    (demo, lines)
}

/// Reads until a line begins so.
fn read_to(lines: &mut Lines<BufReader<ChildStdout>>, begin: &str) {
    assert!(lines.any(|line| line.unwrap().starts_with(begin)), "no line begins with {begin}");
}

fn signal(demo: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &demo.id().to_string()]).status().unwrap().success());
}

#[test]
fn whoever_ends_a_live_demo_gets_its_summary_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, mut lines) = live(folder.path());
    read_to(&mut lines, "RC1");
    signal(&demo, "-INT");
    read_to(&mut lines, "digest");
    assert_eq!(demo.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_readme_shows_lines_that_the_demo_prints() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let sample = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let is_story = |line: &&str| ["RC1", "correlation", "handoff"].iter().any(|what| line.starts_with(what));
    let mut shown: Vec<&str> = sample.lines().filter(is_story).collect();
    assert_eq!(shown.len(), 3, "{sample}");
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, mut lines) = live(folder.path());
    while !shown.is_empty() {
        let line = lines.next().unwrap_or_else(|| panic!("the demo does not print {shown:?}")).unwrap();
        shown.retain(|expected| *expected != line);
    }
    signal(&demo, "-INT");
    let links = lines.map(Result::unwrap).find(|line| line.starts_with("links ")).unwrap();
    assert!(links.contains(" records linked by ") && links.contains(" automatic pairs, "), "{links}");
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}

#[test]
fn a_demo_that_is_ended_in_its_history_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut demo, mut lines) = live(folder.path());
    read_to(&mut lines, "Story");
    signal(&demo, "-TERM");
    assert_eq!(demo.wait().unwrap().code(), Some(130));
}
