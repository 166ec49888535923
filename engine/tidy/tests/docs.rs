//! Documents are true to the tree: decisions are numbered, named paths exist, fixtures are used.

use std::collections::BTreeSet;

use tidy::{SourceFile, expect_none, files, root};

/// A decision fits a page.
const ADR_LINES_MAX: usize = 90;

/// Parts that every decision has, in this order.
const ADR_PARTS: &[&str] = &["## Context", "## Decision", "## Consequences"];

#[test]
fn decisions_are_numbered_without_gaps_and_fit_a_page() {
    let mut findings = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in files("docs/adr", &[".md"]) {
        let name = file.path.trim_start_matches("docs/adr/");
        let number = name.get(..4).and_then(|digits| digits.parse::<usize>().ok());
        match number {
            Some(number) if !numbers.insert(number) => findings.push(format!("{name}: number {number} is taken")),
            Some(_) => {}
            None => findings.push(format!("{name} has no number of four digits")),
        }
        if file.text.lines().count() > ADR_LINES_MAX {
            findings.push(format!("{name} is longer than a page"));
        }
        let places: Vec<Option<usize>> = ADR_PARTS.iter().map(|part| file.text.find(part)).collect();
        if places.contains(&None) || !places.is_sorted() {
            findings.push(format!("{name} lacks one of {ADR_PARTS:?} in this order"));
        }
    }
    if numbers.iter().copied().ne(1..=numbers.len()) {
        findings.push(format!("numbers have a gap: {numbers:?}"));
    }
    expect_none(&findings, "decisions are numbered and short");
}

/// Paths in backticks that start in a folder of ours.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let tops = ["engine/", "connectors/", "proto/", "fixtures/", "benches/", "helm/", "docs/", "scripts/"];
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(move |word| tops.iter().any(|top| word.starts_with(top)))
        .filter(|word| !word.contains([' ', '<', '*', '{', '\n']))
}

#[test]
fn paths_named_in_documents_exist() {
    let mut findings = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "benches/README.md"] {
        for SourceFile { path, text } in files(name.rsplit_once('/').map_or("", |(f, _)| f), &[".md"]) {
            if path != name {
                continue;
            }
            let missing = named_paths(&text).filter(|inside| !root().join(inside).exists());
            findings.extend(missing.map(|inside| format!("{path} names {inside}, which is not there")));
        }
    }
    expect_none(&findings, "documents name what exists");
}

#[test]
fn every_fixture_is_used() {
    let programs = files("", &[".rs", ".py", "test", "Cargo.toml"]);
    let fixtures = files("fixtures", &[".json", ".yaml", ".yml", ".xml", ".txt", ".csv", ".avsc", ".jsonl", ".idoc"]);
    let mut findings = Vec::new();
    for file in &fixtures {
        let (folder, name) = file.path.rsplit_once('/').expect("a fixture lies in a folder");
        let last = folder.rsplit('/').next().expect("a path has a last part");
        let used = |program: &SourceFile| {
            program.text.contains(name)
                || program.text.contains(folder)
                || program.text.contains(&format!("\"{last}\""))
        };
        if !programs.iter().any(used) {
            findings.push(format!("{} is named by no program, nor is its folder", file.path));
        }
    }
    expect_none(&findings, "every fixture is used");
}

#[test]
fn paths_are_told_from_other_words() {
    let text = "see `engine/hub` and `cargo run`, not `engine/<x>/y` nor engine/none";
    assert_eq!(named_paths(text).collect::<Vec<_>>(), vec!["engine/hub"]);
}
