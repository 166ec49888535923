//! The peer, run on the same table in the same minute.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde::Deserialize;

/// How the peer is called: a program and its first arguments, to which the table's kind, its path,
/// an output folder and `--one` with a number of new records are added (`benches/peers/splink_side.py`
/// takes them so).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    words: Vec<String>,
}

/// What the peer used.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Usage {
    /// Seconds of CPU of all its threads.
    pub(super) cpu_s: f64,
    /// Peak of resident memory.
    pub(super) rss_bytes: f64,
    /// Median time of one new record against the whole table, milliseconds.
    pub(super) new_record_wall_ms: f64,
}

impl Peer {
    /// The peer called by `command`, words parted by blanks; none if there are no words.
    #[must_use]
    pub fn of(command: &str) -> Option<Self> {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(Peer { words })
    }

    /// Lets the peer resolve a table, and then compare a dozen new records with it, one by one.
    pub(super) fn resolve(&self, kind: &str, table: &Path) -> anyhow::Result<Usage> {
        let out = tempfile::tempdir()?;
        let status = Command::new(&self.words[0])
            .args(&self.words[1..])
            .arg(kind)
            .arg(table)
            .arg(out.path())
            .args(["--one", "12"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("run the peer {}", self.words.join(" ")))?;
        anyhow::ensure!(status.success(), "run the peer {}: it ended with {status}", self.words.join(" "));
        let text = std::fs::read_to_string(out.path().join("run.json")).context("read what the peer used")?;
        serde_json::from_str(&text).context("read what the peer used")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_peer_that_fails_or_is_not_there_is_told() {
        assert_eq!(Peer::of("  "), None);
        let table = Path::new("t.csv");
        let failed = Peer::of("false").unwrap().resolve("synth", table).unwrap_err().to_string();
        assert!(failed.contains("run the peer false: it ended with"), "{failed}");
        let absent = Peer::of("/no/such/program x").unwrap().resolve("synth", table).unwrap_err().to_string();
        assert!(absent.contains("run the peer /no/such/program x"), "{absent}");
    }
}
