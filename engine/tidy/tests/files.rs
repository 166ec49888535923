//! Sizes, unfinished work and words that do not belong in the tree.

use tidy::{SourceFile, expect_none, files};

/// A file is read in one sitting: more lines than this, tests at its end aside, are reported.
const LINES_GOOD_MAX: usize = 500;

/// More lines than this fail.
const LINES_MAX: usize = 800;

/// What unfinished work looks like, in any Rust file. Written apart so that this file passes.
const UNFINISHED: &[&str] =
    &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!("), concat!("#[ign", "ore")];

/// Queues without a bound, in any Rust file.
const UNBOUNDED: &[&str] = &[
    concat!("unbounded", "_channel("),
    concat!("mpsc::", "channel()"),
    concat!("mpsc::", "unbounded("),
    concat!("crossbeam_channel::", "unbounded"),
];

/// Tests wait for what they test, never for time to pass.
const SLEEPING: &[&str] = &[concat!("thread::", "sleep("), concat!("time::", "sleep(")];

/// Words of one machine or one registry: they tell a reader nothing and go stale.
const FOREIGN: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("proxy.golang", ".org"),
    concat!("repo.maven", ".apache"),
    concat!("deb.debian", ".org"),
    concat!("/work/", "main"),
    concat!("/work/", "shared"),
    concat!("/root/", ".cargo"),
];

/// Endings of the files that people read and write.
const TEXTS: &[&str] =
    &[".rs", ".toml", ".md", ".proto", ".yaml", ".yml", ".py", ".json", ".sh", ".tpl", ".html", ".js"];

fn naming<'a>(files: &'a [SourceFile], words: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    files.iter().flat_map(move |file| {
        file.text.lines().enumerate().flat_map(move |(index, line)| {
            let hits = words.iter().filter(move |word| line.contains(**word));
            hits.map(move |word| format!("{}:{} has {word}", file.path, index + 1))
        })
    })
}

#[test]
fn a_file_is_read_in_one_sitting() {
    let mut findings = Vec::new();
    for file in files("", &[".rs"]) {
        let lines = file.lines_without_tests();
        if lines > LINES_MAX {
            findings.push(format!("{} has {lines} lines", file.path));
        } else if lines > LINES_GOOD_MAX {
            println!("{} has {lines} lines, above {LINES_GOOD_MAX}: split it when you next touch it", file.path);
        }
    }
    expect_none(&findings, "a file has at most 800 lines without its tests");
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    let sources = files("", &[".rs"]);
    expect_none(&naming(&sources, UNFINISHED).collect::<Vec<_>>(), "nothing is left unfinished or switched off");
}

#[test]
fn every_queue_has_a_bound() {
    let sources = files("", &[".rs"]);
    expect_none(&naming(&sources, UNBOUNDED).collect::<Vec<_>>(), "every queue has a bound");
}

#[test]
fn a_lifted_ban_says_why() {
    let mut findings = Vec::new();
    for file in files("", &[".rs"]) {
        let mut above = "";
        for (index, line) in file.text.lines().enumerate() {
            let lifts = line.trim_start().starts_with("#") && line.contains("clippy::disallowed");
            if lifts && !line.contains("reason") && !above.trim_start().starts_with("//") {
                findings.push(format!("{}:{}", file.path, index + 1));
            }
            above = line;
        }
    }
    expect_none(&findings, "whoever lifts a ban of clippy.toml says why, there or in the line above");
}

#[test]
fn no_test_sleeps() {
    let mut findings = Vec::new();
    for file in files("", &[".rs"]) {
        for (number, line) in file.test_code() {
            if SLEEPING.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{number} sleeps", file.path));
            }
        }
    }
    expect_none(&findings, "a test waits for what it tests, never for time to pass");
}

#[test]
fn the_tree_speaks_of_itself_alone() {
    let texts = files("", TEXTS);
    expect_none(
        &naming(&texts, FOREIGN).collect::<Vec<_>>(),
        "no host names of registries and no paths of one machine",
    );
}

#[test]
fn a_word_is_found_with_its_place() {
    let file = SourceFile { path: "a.rs".to_owned(), text: "fine\nnot fine\n".to_owned() };
    assert_eq!(naming(&[file], &["not"]).collect::<Vec<_>>(), vec!["a.rs:2 has not"]);
}
