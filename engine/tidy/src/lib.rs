//! The tree as its rules see it: files, manifests, and the code in them without comments and tests.
//!
//! A rule that only stands in a document is broken within a month. Each file under `tests/` states
//! one group of rules and reads the tree through this crate.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing we wrote.
const NOT_OURS: &[&str] = &["target", ".git", ".venv", "node_modules", "__pycache__", ".opshub"];

/// The top folder of the tree.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies two folders deep").to_path_buf()
}

/// One text file of the tree.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path from the top folder, with forward slashes.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// Number of lines in front of the tests at the file's end. A file under a `tests` folder is
    /// counted whole.
    #[must_use]
    pub fn lines_without_tests(&self) -> usize {
        self.text.lines().take_while(|line| !opens_tests(line)).count()
    }

    /// Code lines outside tests, with their numbers from 1; comments are left out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let all_tests = self.is_test();
        self.text
            .lines()
            .enumerate()
            .take_while(move |(_, line)| !all_tests && !opens_tests(line))
            .filter(|(_, line)| !is_comment(line))
            .map(|(index, line)| (index + 1, line))
    }

    /// Code lines of tests, with their numbers from 1; comments are left out.
    pub fn test_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let all_tests = self.is_test();
        self.text
            .lines()
            .enumerate()
            .skip_while(move |(_, line)| !all_tests && !opens_tests(line))
            .filter(|(_, line)| !is_comment(line))
            .map(|(index, line)| (index + 1, line))
    }

    /// Whether the whole file is a test.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }
}

fn opens_tests(line: &str) -> bool {
    line.trim_end() == "#[cfg(test)]"
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Every text file below `folder` (from the top folder, `""` for all) whose name ends in one of
/// `endings`, sorted by path. Files that are not UTF-8 are left out.
#[must_use]
pub fn files(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    let mut waiting = vec![root.join(folder)];
    while let Some(place) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&place) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    waiting.push(path);
                }
                continue;
            }
            if !endings.iter().any(|ending| name.ends_with(ending)) {
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let inside = path.strip_prefix(&root).expect("the walk starts at the root");
            found.push(SourceFile { path: inside.to_string_lossy().replace('\\', "/"), text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// One crate of the workspace as its manifest declares it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Folder from the top folder, for example `engine/ontology`.
    pub folder: String,
    /// Name in code, which is also the name of the folder.
    pub name: String,
    /// Names of the packages it needs to build and run, as declared.
    pub dependencies: Vec<String>,
    /// Names of the packages that only its tests need.
    pub dev_dependencies: Vec<String>,
    /// The manifest itself.
    pub table: toml::Table,
}

/// The manifests of all members of the workspace, in the order of the root manifest.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    let workspace = read_manifest("Cargo.toml");
    let members = workspace["workspace"]["members"].as_array().expect("the workspace lists its members");
    members.iter().map(|member| manifest(member.as_str().expect("a member is a path"))).collect()
}

fn manifest(folder: &str) -> Manifest {
    let table = read_manifest(&format!("{folder}/Cargo.toml"));
    let mut dependencies = names(&table, "dependencies");
    dependencies.extend(names(&table, "build-dependencies"));
    Manifest {
        folder: folder.to_owned(),
        name: folder.rsplit('/').next().expect("a path has a last part").to_owned(),
        dependencies,
        dev_dependencies: names(&table, "dev-dependencies"),
        table,
    }
}

fn read_manifest(path: &str) -> toml::Table {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("cannot parse {path}: {error}"))
}

fn names(table: &toml::Table, section: &str) -> Vec<String> {
    table.get(section).and_then(toml::Value::as_table).map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

/// Fails with every finding at once, so that one run shows all there is to mend.
///
/// # Panics
/// If there is any finding.
pub fn expect_none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn code_ends_where_tests_begin_and_comments_do_not_count() {
        let source = file("a/src/lib.rs", "use x;\n// no\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(source.code().collect::<Vec<_>>(), vec![(1, "use x;")]);
        assert_eq!(source.test_code().map(|(n, _)| n).collect::<Vec<_>>(), vec![3, 4]);
        assert_eq!(source.lines_without_tests(), 2);
    }

    #[test]
    fn a_file_of_tests_has_no_other_code() {
        let source = file("a/tests/b.rs", "use x;\n");
        assert_eq!(source.code().count(), 0);
        assert_eq!(source.test_code().count(), 1);
    }

    #[test]
    fn every_member_of_the_workspace_is_read() {
        let names: Vec<String> = manifests().into_iter().map(|m| m.name).collect();
        assert!(names.contains(&"ontology".to_owned()) && names.contains(&"tidy".to_owned()), "{names:?}");
    }
}
