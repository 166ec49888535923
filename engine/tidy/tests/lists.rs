//! Registration: a rule's file and its entry in the list of its folder come and go together.

use tidy::{SourceFile, expect_none, files};

/// Folders whose `mod.rs` lists every file in a slice called `ALL`, in reading order.
const LISTED: &[&str] = &[
    "engine/insight/src/correlate",
    "engine/insight/src/reconcile",
    "engine/insight/src/alerts",
    "engine/insight/src/kpis",
    "engine/resolver/src/compare",
];

/// Files in those folders that hold what several rules use and are no rule themselves.
const NOT_RULES: &[&str] = &["life", "rule", "subject", "tests"];

/// The text of the slice `ALL` in a module file; none if there is no such slice.
fn all_slice(text: &str) -> Option<&str> {
    let (_, after) = text.split_once(" ALL: ")?;
    let (_, body) = after.split_once('=')?;
    body.split_once("];").map(|(slice, _)| slice)
}

fn unlisted(folder: &str, sources: &[SourceFile]) -> Vec<String> {
    let module = format!("{folder}/mod.rs");
    let Some(list) = sources.iter().find(|f| f.path == module) else {
        return if sources.is_empty() { Vec::new() } else { vec![format!("{folder} has no mod.rs")] };
    };
    let Some(slice) = all_slice(&list.text) else { return vec![format!("{module} has no slice ALL")] };
    let inside = |file: &&SourceFile| file.path != module && !file.path[folder.len() + 1..].contains('/');
    let stems = sources.iter().filter(inside).map(|f| f.path[folder.len() + 1..].trim_end_matches(".rs"));
    stems
        .filter(|stem| !NOT_RULES.contains(stem))
        .filter(|stem| !slice.contains(&format!("{stem}::")))
        .map(|stem| format!("{folder}/{stem}.rs is not in ALL"))
        .collect()
}

#[test]
fn every_rule_file_is_in_the_list_of_its_folder() {
    let findings: Vec<String> = LISTED.iter().flat_map(|folder| unlisted(folder, &files(folder, &[".rs"]))).collect();
    expect_none(&findings, "a rule's file and its entry come together");
}

#[test]
fn a_file_that_is_not_listed_is_found() {
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let listed = file("x/mod.rs", "pub const ALL: &[Rule] = &[rc1::RULE];\n");
    let sources = [listed, file("x/rc1.rs", ""), file("x/rc2.rs", "")];
    assert_eq!(unlisted("x", &sources), vec!["x/rc2.rs is not in ALL"]);
    assert_eq!(unlisted("x", &sources[..2]), Vec::<String>::new());
    assert_eq!(unlisted("x", &sources[1..]), vec!["x has no mod.rs"]);
    assert_eq!(unlisted("x", &[]), Vec::<String>::new());
}
