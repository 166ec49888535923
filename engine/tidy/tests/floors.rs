//! Who may use whom. A crate uses only lower floors, and a package with consequences (I/O, async,
//! wire types, metrics, another language) has one home.

use tidy::{Manifest, expect_none, files, manifests};

/// The floor of each crate. `docs/adr/0001-house-and-floors.md` says why they lie so.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["ontology", "proto", "fixtures", "tidy"]),
    (1, &["resolver", "state", "storage"]),
    (2, &["insight"]),
    (3, &["pipeline", "connectors"]),
    (4, &["serve", "sim", "benches", "offline"]),
    (5, &["hub"]),
];

/// Crates that know of no other crate of ours but these.
const KNOWS_ONLY: &[(&str, &[&str])] = &[
    ("ontology", &[]),
    ("proto", &[]),
    ("fixtures", &[]),
    ("tidy", &[]),
    ("storage", &["ontology"]),
    ("connectors", &["ontology"]),
    ("benches", &["ontology"]),
];

/// Packages and the only crates that may declare them.
const HOMES: &[(&str, &[&str])] = &[
    ("apache-avro", &["benches", "connectors", "fixtures"]),
    ("axum", &["connectors", "fixtures", "hub", "serve"]),
    ("clap", &["hub"]),
    ("dashmap", &["serve"]),
    ("fjall", &["storage"]),
    ("jsonwebtoken", &["serve"]),
    ("metrics", &["connectors", "hub", "serve", "storage"]),
    ("metrics-exporter-prometheus", &["hub", "serve"]),
    ("mimalloc", &["hub"]),
    ("proto", &["hub", "serve", "storage"]),
    ("prost", &["connectors", "fixtures", "hub", "proto", "serve"]),
    ("quick-xml", &["benches", "connectors", "fixtures"]),
    ("rayon", &["resolver"]),
    ("rdkafka", &["connectors", "fixtures", "hub", "storage"]),
    ("redis", &["storage"]),
    ("reqwest", &["connectors", "fixtures", "hub"]),
    ("rlibphonenumber", &["connectors", "resolver"]),
    ("serde", &["benches", "connectors", "fixtures", "hub", "offline", "resolver", "serve"]),
    ("serde_json", &["benches", "connectors", "fixtures", "hub", "offline", "serve"]),
    ("strsim", &["offline", "resolver"]),
    ("tokio", &["connectors", "fixtures", "hub", "serve", "storage"]),
    ("tonic", &["connectors", "fixtures", "hub", "proto", "serve"]),
    ("uuid", &["connectors", "fixtures", "hub", "serve"]),
    ("x509-parser", &["serve"]),
    ("yaml_serde", &["hub"]),
];

fn floor_of(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, crates)| crates.contains(&name)).map(|(floor, _)| *floor)
}

fn ours(declared: &[String]) -> impl Iterator<Item = &str> {
    declared.iter().map(String::as_str).filter(|name| floor_of(name).is_some())
}

#[test]
fn every_crate_stands_on_a_floor_and_is_named_after_its_folder() {
    let mut findings = Vec::new();
    for Manifest { folder, name, table, .. } in manifests() {
        if floor_of(&name).is_none() {
            findings.push(format!("{folder} has no floor"));
        }
        let package = table["package"]["name"].as_str().unwrap_or_default();
        // The binary's crate carries the product's name, so that `cargo install` gives `opshub`.
        let expected = if name == "hub" { "opshub".to_owned() } else { format!("opshub-{name}") };
        if package != expected {
            findings.push(format!("{folder} is package {package}, not {expected}"));
        }
    }
    expect_none(&findings, "a crate is named after its folder and stands on one floor");
}

#[test]
fn a_crate_uses_only_lower_floors() {
    let mut findings = Vec::new();
    for manifest in manifests() {
        let floor = floor_of(&manifest.name);
        for used in ours(&manifest.dependencies) {
            if floor_of(used) >= floor {
                findings.push(format!("{} uses {used}, which is not below it", manifest.name));
            }
        }
        // A test may look at its neighbours, never upwards.
        for used in ours(&manifest.dev_dependencies) {
            if floor_of(used) > floor {
                findings.push(format!("the tests of {} use {used}, which is above it", manifest.name));
            }
        }
    }
    expect_none(&findings, "a crate uses only lower floors");
}

#[test]
fn closed_crates_know_only_what_they_may() {
    let mut findings = Vec::new();
    for manifest in manifests() {
        let Some((_, allowed)) = KNOWS_ONLY.iter().find(|(name, _)| *name == manifest.name) else { continue };
        for used in ours(&manifest.dependencies) {
            if !allowed.contains(&used) {
                findings.push(format!("{} knows {used}", manifest.name));
            }
        }
    }
    expect_none(&findings, "these crates are closed");
}

#[test]
fn a_named_package_stays_at_home() {
    let mut findings = Vec::new();
    for manifest in manifests() {
        for used in manifest.dependencies.iter().chain(&manifest.dev_dependencies) {
            let Some((_, homes)) = HOMES.iter().find(|(package, _)| package == used) else { continue };
            if !homes.contains(&manifest.name.as_str()) {
                findings.push(format!("{} declares {used}, whose homes are {homes:?}", manifest.name));
            }
        }
    }
    expect_none(&findings, "a named package has one home");
}

#[test]
fn versions_and_lints_are_stated_once_in_the_root() {
    let mut findings = Vec::new();
    for Manifest { name, table, .. } in manifests() {
        if table.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("{name} does not take the workspace lints"));
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(declared) = table.get(section).and_then(toml::Value::as_table) else { continue };
            for (package, value) in declared {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    findings.push(format!("{name} states its own version of {package}"));
                }
            }
        }
    }
    expect_none(&findings, "versions are stated once, in the root manifest");
}

/// The packages that the engine is built on, each with a path of production that it carries.
const CARRIES: &[(&str, &str)] = &[
    ("dashmap", "engine/serve/src/views.rs"),
    ("metrics", "engine/storage/src/figures.rs"),
    ("prost", "engine/hub/src/outputs/events.rs"),
    ("rayon", "engine/resolver/src/drain.rs"),
    ("rdkafka", "engine/storage/src/distributed/writer.rs"),
    ("redis", "engine/storage/src/distributed/redis.rs"),
    ("serde", "connectors/src/sap/list.rs"),
    ("strsim", "engine/offline/src/map.rs"),
    ("tokio", "engine/hub/src/app.rs"),
    ("tonic", "engine/serve/src/server.rs"),
];

#[test]
fn every_package_that_the_engine_is_built_on_carries_a_path_of_production() {
    let findings: Vec<String> = CARRIES
        .iter()
        .filter(|(package, path)| {
            let used = format!("{package}::");
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let sources = files(folder, &[".rs"]);
            let file = sources.iter().find(|file| file.path == *path);
            !file.is_some_and(|file| file.code().any(|(_, line)| line.contains(&used)))
        })
        .map(|(package, path)| format!("{path} does not use {package}"))
        .collect();
    expect_none(&findings, "a package that nothing in production uses is not declared");
}
