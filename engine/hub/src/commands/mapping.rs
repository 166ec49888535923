//! `opshub mapping`: a mapping file, tried on payloads before a hub reads by it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use connectors::mapping::check::{Checked, CheckedFact, check};
use connectors::{Connectors, Delivery, Framing, Headers, Mapping};
use ontology::{Millis, System, Vocabulary as _};

use super::{CONFIG_INVALID, Failure, NOT_FOUND, PROBLEMS_FOUND};
use crate::client::table;

/// Tries a mapping file on payloads before a hub reads by it.
#[derive(Debug, Subcommand)]
pub enum MappingCommand {
    /// Check a mapping file, and show field by field what payloads become under it.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The mapping file, or the name of a system for the one that is shipped.
    #[arg(value_name = "FILE")]
    mapping: PathBuf,
    /// A payload as the system sends it; may be named several times.
    #[arg(long, value_name = "PAYLOAD")]
    sample: Vec<PathBuf>,
    /// Read each line of a payload by itself; so is a file that ends in .jsonl.
    #[arg(long)]
    lines: bool,
    /// A header that the payloads come with, such as 'X-Debezium-Destination: erp.AR.AR_INVOICE'; may be
    /// named several times.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &MappingCommand) -> Result<(), Failure> {
    match command {
        MappingCommand::Check(args) => run_check(args),
    }
}

fn run_check(args: &CheckArgs) -> Result<(), Failure> {
    let mapping = read(&args.mapping)?;
    let system = mapping.system;
    let (version, objects) = (mapping.version, mapping.objects.len());
    let fields: usize = mapping.objects.iter().map(|object| object.fields.len()).sum();
    let connectors = Connectors::new(vec![mapping]);
    let headers = args.header.iter().filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()));
    let headers: Headers = headers.collect();
    let mut samples = Vec::new();
    for path in &args.sample {
        let raw = std::fs::read(path).map_err(|error| {
            Failure::with(NOT_FOUND, anyhow::anyhow!("read the sample {}: {error}", path.display()))
        })?;
        let is_lines = args.lines || path.extension().is_some_and(|ending| ending == "jsonl");
        let framing = if is_lines { Framing::Lines } else { Framing::Document };
        let delivery = Delivery { raw: &raw, framing, headers: &headers, observed_at: Millis(0) };
        samples.push((path.display().to_string(), check(&connectors, system, &delivery)));
    }
    if args.json {
        let samples: Vec<_> = samples.iter().map(|(path, checked)| json(path, checked)).collect();
        let told = serde_json::json!({
            "system": system.name(), "version": version, "objects": objects, "fields": fields, "samples": samples,
        });
        println!("{told}");
    } else {
        println!("mapping of {}, version {version}: {objects} objects, {fields} fields", system.name());
        samples.iter().for_each(|(path, checked)| print(path, checked));
    }
    if samples.iter().all(|(_, checked)| checked.is_clean()) { Ok(()) } else { Err(Failure::told(PROBLEMS_FOUND)) }
}

/// A header as it is written on the command line.
fn header(text: &str) -> Result<String, String> {
    let is_header = text.split_once(':').is_some_and(|(name, _)| !name.trim().is_empty());
    is_header.then(|| text.to_owned()).ok_or_else(|| "expected 'NAME: VALUE'".to_owned())
}

/// A file; or, where there is none and a system is called so, the shipped mapping.
fn read(path: &Path) -> Result<Mapping, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Mapping::parse(&text).map_err(|error| {
            Failure::with(CONFIG_INVALID, anyhow::anyhow!("check the mapping {}: {error}", path.display()))
        }),
        Err(error) => path.to_str().and_then(System::parse).and_then(Mapping::shipped).ok_or_else(|| {
            let text =
                format!("read the mapping {}: {error}; it is no system with a shipped one either", path.display());
            Failure::with(NOT_FOUND, anyhow::anyhow!(text))
        }),
    }
}

fn print(path: &str, checked: &Checked) {
    println!("\n{path}");
    for fact in &checked.facts {
        println!("\n  {}", fact.summary);
        let rows = fact.fields.iter().map(|field| {
            [printable(&field.columns), printable(&field.native), field.field.to_owned(), printable(&field.value)]
        });
        println!("{}", table(["column", "native value", "field", "value"], rows));
        print_unread(fact);
    }
    for reject in &checked.rejects {
        println!("\n  quarantine {}: {} (bytes {:?})", reject.code.name(), printable(&reject.detail), reject.range);
    }
    if checked.ignored > 0 {
        println!("\n  {} entries that are no business of the hub", checked.ignored);
    }
}

fn print_unread(fact: &CheckedFact) {
    if !fact.unread.is_empty() {
        let columns = fact.unread.iter().map(|(name, value)| format!("{}={}", printable(name), printable(value)));
        println!("  not mapped: {}", columns.collect::<Vec<_>>().join("  "));
    }
}

/// What a payload says must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn json(path: &str, checked: &Checked) -> serde_json::Value {
    let facts: Vec<_> = checked
        .facts
        .iter()
        .map(|fact| {
            let fields: Vec<_> = fact
                .fields
                .iter()
                .map(|f| serde_json::json!({"columns": f.columns, "native": f.native, "field": f.field, "value": f.value}))
                .collect();
            let unread: Vec<_> = fact.unread.iter().map(|(name, value)| serde_json::json!([name, value])).collect();
            serde_json::json!({ "summary": fact.summary, "fields": fields, "not_mapped": unread })
        })
        .collect();
    let rejects: Vec<_> = checked
        .rejects
        .iter()
        .map(|reject| serde_json::json!({ "code": reject.code.name(), "detail": reject.detail }))
        .collect();
    serde_json::json!({ "sample": path, "facts": facts, "quarantine": rejects, "ignored": checked.ignored })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args(mapping: &Path, sample: &[&Path]) -> CheckArgs {
        let sample = sample.iter().map(|path| path.to_path_buf()).collect();
        CheckArgs { mapping: mapping.to_owned(), sample, lines: false, header: Vec::new(), json: true }
    }

    #[test]
    fn a_mapping_and_its_samples_are_told_apart_by_the_exit_code() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let row = "{\"op\":\"c\",\"source\":{\"ts_ms\":1,\"table\":\"CREDIT_NOTE\",\"scn\":\"7\"},\
                   \"after\":{\"CREDIT_NOTE_ID\":\"CN-1\",\"AMOUNT\":\"1.00\",\"STATUS\":\"DRAFT\"}}";
        let good = write("good.json", row);
        let lines = write("good.jsonl", &format!("{row}\n{row}\n"));
        let strange = write("strange.json", &row.replace("DRAFT", "GEBUCHT"));
        let broken = write("bad.toml", "version = 1\nsystem = \"sapp\"\n");
        let shipped = Path::new("oracle");
        assert!(run_check(&args(shipped, &[&good, &lines])).is_ok());
        assert_eq!(run_check(&args(shipped, &[&good, &strange])).unwrap_err().code, PROBLEMS_FOUND);
        assert_eq!(run_check(&args(&broken, &[])).unwrap_err().code, CONFIG_INVALID);
        assert_eq!(run_check(&args(Path::new("none.toml"), &[])).unwrap_err().code, NOT_FOUND);
        assert_eq!(run_check(&args(shipped, &[Path::new("none.json")])).unwrap_err().code, NOT_FOUND);
    }
}
