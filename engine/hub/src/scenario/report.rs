//! What came out of playing stories, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

/// One thing that is not as a story expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Line of the step in the story's file.
    pub line: Option<usize>,
    /// What was compared.
    pub what: String,
    /// What the story expects.
    pub expected: String,
    /// What the hub says.
    pub found: String,
}

/// What became of one story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What it is called.
    pub name: String,
    /// The requirement that it shows.
    pub spec: Option<String>,
    /// Its file.
    pub file: String,
    /// Whether everything was as expected.
    pub passed: bool,
    /// What was not.
    pub differences: Vec<Difference>,
}

/// What became of all stories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Report {
    /// How many passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Each of them.
    pub stories: Vec<Outcome>,
}

impl Report {
    /// Adds a story.
    pub fn add(&mut self, outcome: Outcome) {
        if outcome.passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        self.stories.push(outcome);
    }

    /// The report for people: one line a story, three a difference, a sum.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for story in &self.stories {
            let mark = if story.passed { "passed" } else { "FAILED" };
            let spec = story.spec.as_deref().unwrap_or("-");
            // Writing to a string does not fail.
            let _ = writeln!(out, "{mark}  {spec:<5}  {}", story.name);
            for difference in &story.differences {
                let line = difference.line.map(|line| format!(":{line}")).unwrap_or_default();
                let _ = writeln!(out, "    {}{line}: {}", story.file, difference.what);
                let _ = writeln!(out, "        expected  {}", difference.expected);
                let _ = writeln!(out, "        found     {}", difference.found);
            }
        }
        let _ = writeln!(out, "{} passed, {} failed", self.passed, self.failed);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_with_file_line_and_both_sides() {
        let difference =
            Difference { line: Some(7), what: "state".into(), expected: "open".into(), found: "nothing".into() };
        let mut report = Report::default();
        report.add(Outcome {
            name: "A story".into(),
            spec: Some("A03".into()),
            file: "a.yaml".into(),
            passed: false,
            differences: vec![difference],
        });
        let text = report.text();
        assert!(text.contains("a.yaml:7: state\n        expected  open\n        found     nothing\n"), "{text}");
        assert!(text.ends_with("0 passed, 1 failed\n"), "{text}");
    }
}
