//! Registration: a rule's file and its entry in the list of its folder come and go together.

use tidy::{SourceFile, expect_none, files};

/// Folders whose `mod.rs` lists every file in a slice called `ALL`, in reading order, each with the
/// files in it that hold what several rules use, or what is raised elsewhere, and are no entries.
const LISTED: &[(&str, &[&str])] = &[
    ("engine/insight/src/correlate/anomalies", &[]),
    ("engine/insight/src/reconcile", &["life", "related", "spans"]),
    // Alerts on sources and transfers depend on more than a customer: who watches those raises them.
    ("engine/insight/src/alerts", &["sync", "handoff_gap"]),
    ("engine/insight/src/kpis", &["contribution", "histogram"]),
];

/// The text of the public slice `ALL` in a module file; none if there is no such slice.
fn all_slice(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("\npub const ALL: ")?;
    let (_, body) = after.split_once('=')?;
    body.split_once("];").map(|(slice, _)| slice)
}

fn unlisted(folder: &str, shared: &[&str], sources: &[SourceFile]) -> Vec<String> {
    let module = format!("{folder}/mod.rs");
    let Some(list) = sources.iter().find(|f| f.path == module) else {
        return if sources.is_empty() { Vec::new() } else { vec![format!("{folder} has no mod.rs")] };
    };
    let Some(slice) = all_slice(&list.text) else { return vec![format!("{module} has no slice ALL")] };
    let inside = |file: &&SourceFile| file.path != module && !file.path[folder.len() + 1..].contains('/');
    let stems = sources.iter().filter(inside).map(|f| f.path[folder.len() + 1..].trim_end_matches(".rs"));
    stems
        .filter(|stem| *stem != "tests" && !shared.contains(stem))
        .filter(|stem| !slice.contains(&format!("{stem}::")))
        .map(|stem| format!("{folder}/{stem}.rs is not in ALL"))
        .collect()
}

#[test]
fn every_rule_file_is_in_the_list_of_its_folder() {
    let unlisted = |(folder, shared): &(&str, &[&str])| unlisted(folder, shared, &files(folder, &[".rs"]));
    let findings: Vec<String> = LISTED.iter().flat_map(unlisted).collect();
    expect_none(&findings, "a rule's file and its entry come together");
}

#[test]
fn a_file_that_is_not_listed_is_found() {
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let listed = file("x/mod.rs", "//! Rules.\npub const ALL: &[Rule] = &[rc1::RULE];\n");
    let sources = [listed, file("x/rc1.rs", ""), file("x/rc2.rs", "")];
    assert_eq!(unlisted("x", &["shared"], &sources), vec!["x/rc2.rs is not in ALL"]);
    assert_eq!(unlisted("x", &["shared"], &sources[..2]), Vec::<String>::new());
    assert_eq!(unlisted("x", &["shared"], &sources[1..]), vec!["x has no mod.rs"]);
    assert_eq!(unlisted("x", &[], &[]), Vec::<String>::new());
}
