//! What is absent from the core crates: I/O, async, clocks, randomness, threads of their own.
//! Absence cannot be seen in code, so it is tested.

use tidy::{SourceFile, expect_none, files};

/// Crates that are plain functions of their arguments.
const CORE: &[&str] = &["ontology", "resolver", "state", "insight", "pipeline"];

/// What they may not name, and why.
const ABSENT: &[(&str, &str)] = &[
    ("SystemTime", "time is an argument"),
    ("Instant::", "time is an argument"),
    ("time::Instant", "time is an argument"),
    ("::now(", "time is an argument"),
    ("std::fs", "loading and committing happen outside"),
    ("std::net", "loading and committing happen outside"),
    ("std::io", "loading and committing happen outside"),
    ("std::env", "configuration is an argument"),
    ("std::process", "a core function returns"),
    // `thread::scope` is allowed: it forks and joins within one call, so results cannot depend on it.
    ("thread::spawn", "nothing outlives the call that began it"),
    ("thread::sleep", "time is an argument"),
    ("thread::current", "a result may not depend on where it was computed"),
    ("thread_local!", "a result may not depend on where it was computed"),
    ("tokio", "the core is not async"),
    ("async fn", "the core is not async"),
    ("async move", "the core is not async"),
    (".await", "the core is not async"),
    ("rand::", "the core has no randomness"),
    ("getrandom", "the core has no randomness"),
    ("new_v4", "ids follow from what a thing is"),
    ("println!", "findings are values"),
    ("eprintln!", "findings are values"),
    ("tracing::", "findings are values"),
    ("metrics::", "the outside counts"),
    ("disallowed_methods", "a ban of clippy.toml is not lifted here"),
];

fn absent_in(file: &SourceFile) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in file.code() {
        for (word, why) in ABSENT {
            if line.contains(word) {
                findings.push(format!("{}:{number} names {word}: {why}", file.path));
            }
        }
    }
    findings
}

#[test]
fn the_core_has_no_io_no_async_no_clock_and_no_randomness() {
    let sources = CORE.iter().flat_map(|name| files(&format!("engine/{name}/src"), &[".rs"]));
    let findings: Vec<String> = sources.flat_map(|file| absent_in(&file)).collect();
    expect_none(&findings, "the core is plain functions");
}

#[test]
fn decoders_are_as_pure_as_the_core() {
    let sources = files("connectors/src", &[".rs"]).into_iter().filter(|f| f.path.contains("decode"));
    let findings: Vec<String> = sources.flat_map(|file| absent_in(&file)).collect();
    expect_none(&findings, "a decoder is a plain function");
}

#[test]
fn a_breach_is_seen_with_its_line() {
    let file = SourceFile {
        path: "engine/state/src/lib.rs".to_owned(),
        text: "// Instant::now() in prose is fine\nlet t = Instant::now();\n".to_owned(),
    };
    let findings = absent_in(&file);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("engine/state/src/lib.rs:2 "), "{findings:?}");
}
