//! Story files: reading, errors with lines, and the schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Error;
use super::story::Story;

/// A story with where it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The story.
    pub story: Story,
    /// Its file.
    pub file: PathBuf,
    /// Line of each step; empty where the file writes steps in another way than as a block list.
    pub lines: Vec<usize>,
    /// Line of each key of the head, and of the keys below it as `settings.grace`.
    head: BTreeMap<String, usize>,
}

impl Loaded {
    /// Reads a story from text; `file` is what errors name.
    ///
    /// # Errors
    /// [`Error::Format`] with the line.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Error> {
        let story: Story = yaml_serde::from_str(text).map_err(|error| Error::Format {
            file: file.display().to_string(),
            line: error.location().map(|location| location.line()),
            why: error.to_string(),
        })?;
        let lines = Some(step_lines(text)).filter(|lines| lines.len() == story.steps.len()).unwrap_or_default();
        Ok(Loaded { story, file: file.to_owned(), lines, head: head_lines(text) })
    }

    /// The line of a key of the head, or of the key that it stands below; none where it cannot be told.
    #[must_use]
    pub fn line_of(&self, key: &str) -> Option<usize> {
        let above = key.split_once('.').map_or(key, |(above, _)| above);
        self.head.get(key).or_else(|| self.head.get(above)).copied()
    }

    /// The folder that file names in the story are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    pub(super) fn wrong(&self, line: Option<usize>, why: String) -> Error {
        Error::Format { file: self.file.display().to_string(), line, why }
    }
}

/// Reads one story, or all stories of a folder in the order of their names.
///
/// # Errors
/// When a file cannot be read or is no story, or a folder has none.
pub fn load(path: &Path) -> Result<Vec<Loaded>, Error> {
    let unreadable = |why| Error::Read { file: path.display().to_string(), why };
    let mut files = Vec::new();
    if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                files.push(file);
            }
        }
        files.sort();
        // Nothing played is nothing shown: a folder that was mistaken for another must not pass.
        if files.is_empty() {
            let why = "the folder has no story: no file in it ends in .yaml or .yml";
            return Err(unreadable(std::io::Error::new(std::io::ErrorKind::NotFound, why)));
        }
    } else {
        files.push(path.to_owned());
    }
    files.iter().map(|file| read(file)).collect()
}

/// Reads one story.
///
/// # Errors
/// When the file cannot be read or is no story.
pub fn read(file: &Path) -> Result<Loaded, Error> {
    let shown = file.display().to_string();
    let bytes = std::fs::read(file).map_err(|why| Error::Read { file: shown.clone(), why })?;
    match String::from_utf8(bytes) {
        Ok(text) => Loaded::parse(&text, file),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = Some(1 + valid.iter().filter(|byte| **byte == b'\n').count());
            Err(Error::Format { file: shown, line, why: "expected a text in UTF-8".to_owned() })
        }
    }
}

/// The JSON Schema of the format.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Story).to_value()
}

/// Lines of the keys at the left margin, and of those one step below them.
fn head_lines(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let mut above = "";
    let mut indent = None;
    for (line, number) in text.lines().zip(1..) {
        let body = line.trim_start();
        let depth = line.len() - body.len();
        let key = body.split_once(':').map(|(key, _)| key);
        let Some(key) = key.filter(|key| key.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())) else {
            continue;
        };
        if depth == 0 {
            (above, indent) = (key, None);
            lines.entry(key.to_owned()).or_insert(number);
        } else if depth == *indent.get_or_insert(depth) {
            lines.entry(format!("{above}.{key}")).or_insert(number);
        }
    }
    lines
}

/// Lines on which the items of the top-level list `steps` begin.
fn step_lines(text: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut indent = None;
    let numbered = text.lines().zip(1..).skip_while(|(line, _)| !line.starts_with("steps:")).skip(1);
    for (line, number) in numbered {
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let depth = line.len() - body.len();
        let is_item = body.starts_with("- ") || body == "-";
        if depth == 0 && !is_item {
            break;
        }
        if is_item && depth == *indent.get_or_insert(depth) {
            lines.push(number);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Loaded, Error> {
        Loaded::parse(text, Path::new("story.yaml"))
    }

    #[test]
    fn steps_know_their_lines() {
        let text = "name: n\nsteps:\n  # first\n  - until: +1s\n  - facts:\n      - entity: case/1\n      - entity: case/2\n\n  - advance: 1s\nspec: A01\n";
        assert_eq!(parse(text).unwrap().lines, [4, 5, 9]);
        assert_eq!(parse("name: n\nsteps: [{until: +1s}]\n").unwrap().lines, Vec::<usize>::new());
    }

    #[test]
    fn keys_of_the_head_know_their_lines() {
        let loaded =
            parse("name: n\n# start: no\nsettings:\n\n  shards: 2\n  grace: 5m\nsources: { sap: fresh }\n").unwrap();
        let lines = ["name", "settings", "settings.grace", "settings.hold", "sources.sap", "start"];
        assert_eq!(lines.map(|key| loaded.line_of(key)), [Some(1), Some(3), Some(6), Some(3), Some(7), None]);
    }

    #[test]
    fn a_misspelt_word_is_refused_with_its_line() {
        let error = parse("name: n\nsteps:\n  - until: +1s\n  - untill: +2s\n").unwrap_err();
        let Error::Format { line, why, .. } = &error else { panic!("{error}") };
        assert_eq!(*line, Some(4), "{why}");
        assert!(why.contains("untill"), "{why}");
    }

    #[test]
    fn the_schema_names_every_step() {
        let text = schema().to_string();
        for step in
            ["customer", "facts", "native", "until", "refetch", "replay_quarantine", "restart", "expect", "return"]
        {
            assert!(text.contains(&format!("\"{step}\"")), "{step}");
        }
        assert!(text.contains("\"maxProperties\":1"));
    }
}
