//! What a command may write over: its own former results, and nothing that people made.

use std::fs;
use std::path::Path;

use crate::commands::Failure;

/// What only a run writes: a folder with it is the folder of a run.
const RUN: &str = "run.json";
/// The file that people add their decisions to, and its header as a run writes it.
const REVIEW: (&str, &str) = ("review.csv", "left,right,probability,weight_bits,why_not_automatic");
/// What else a run writes.
const RESULTS: [&str; 4] = ["links.csv", "clusters.csv", "candidates.csv.gz", "rejected.csv"];

/// Looks before a run reads anything whether its results may go to `folder`.
pub(super) fn check_folder(folder: &Path, inputs: &[&Path]) -> Result<(), Failure> {
    let refuse = |why: String| {
        let text = format!("write the results to {}: {why}; name another folder with --out", folder.display());
        Err(Failure::from(anyhow::anyhow!(text)))
    };
    if folder.exists() && !folder.is_dir() {
        return refuse("it is no folder".to_owned());
    }
    if let Some(input) = inputs.iter().find(|input| is_result(input, folder)) {
        return refuse(format!("the run reads {} there and would write over it", input.display()));
    }
    let there = |name: &str| folder.join(name).exists();
    let is_run = folder.join(RUN).exists();
    if let Some(name) = RESULTS.into_iter().chain([REVIEW.0]).find(|name| there(name) && !is_run) {
        return refuse(format!("its {name} is of no run, and would be lost"));
    }
    if there(REVIEW.0) && header(&folder.join(REVIEW.0)) != REVIEW.1 {
        return refuse(format!(
            "somebody has changed the columns of its {}, and the decisions would be lost",
            REVIEW.0
        ));
    }
    Ok(())
}

/// Looks whether one result may go to `file`, which must be none of the files that the command reads.
pub(super) fn check_file(file: &Path, inputs: &[&Path]) -> Result<(), Failure> {
    if file.is_dir() {
        let text = format!("write {}: it is a folder; name a file", file.display());
        return Err(anyhow::anyhow!(text).into());
    }
    if inputs.iter().any(|input| is_same(input, file)) {
        let text =
            format!("write {}: the command reads that file and would write over it; name another", file.display());
        return Err(anyhow::anyhow!(text).into());
    }
    Ok(())
}

fn is_same(left: &Path, right: &Path) -> bool {
    matches!((left.canonicalize(), right.canonicalize()), (Ok(left), Ok(right)) if left == right)
}

/// Whether a file is one that a run with this folder writes.
fn is_result(file: &Path, folder: &Path) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_written = name == RUN
        || name == REVIEW.0
        || RESULTS.contains(&name)
        || (name.starts_with("map-") && name.ends_with(".toml"));
    is_written && file.parent().is_some_and(|parent| is_same(parent, folder))
}

/// The first line of a table; nothing if it cannot be read as text.
fn header(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim().to_owned()
}
