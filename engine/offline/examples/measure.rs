//! Measures the resolver on a table without the hub around it.
//!
//! `measure run|stream|train TABLE... --map MAP [--model MODEL] [--truth COLUMN] [--out FILE|DIR]`
//!
//! `run` and `stream` print figures against the truth as JSON, `train` prints what was learned.
#![allow(clippy::disallowed_methods, reason = "how long things take is the subject here")]

use std::path::PathBuf;
use std::time::Instant;

use benches::cpu::Stopwatch;
use offline::{Inputs, Labels, Records, Stream, Truth};
use resolver::{Model, Parameters};

#[derive(Default)]
struct Args {
    verb: String,
    inputs: Inputs,
    model: Option<PathBuf>,
    truth: Option<String>,
    out: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = parse();
    let tables = args.inputs.open(args.truth.as_deref())?;
    let model = match &args.model {
        Some(path) => Model::from_parameters(Parameters::parse(&std::fs::read_to_string(path)?)?)?,
        None => Model::shipped(),
    };
    let version = model.version.to_string();
    let watch = Stopwatch::start();
    let told = |name: &str| eprintln!("{name}: {:.2} CPU s, {:.2} s", watch.spent().cpu_s, watch.spent().wall_s);
    let (records, outcome) = match args.verb.as_str() {
        "train" => {
            let labels = args.truth.as_deref().map(Labels::named);
            let trained = offline::train(&args.inputs, "measured", labels.as_ref(), &mut |_| ())?;
            told("trained");
            if let Some(out) = &args.out {
                std::fs::write(out, trained.parameters.to_toml())?;
            }
            println!("{}", serde_json::to_string_pretty(&trained.report)?);
            return Ok(());
        }
        "stream" => {
            let mut stream = Stream::new(&tables, model)?;
            let mut nanos: Vec<u32> = Vec::new();
            let records = tables.read(|entry| {
                let began = Instant::now();
                stream.take(&entry);
                nanos.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
            })?;
            told("streamed");
            nanos.sort_unstable();
            let at = |share: f64| f64::from(nanos[(nanos.len() as f64 * share) as usize]) / 1e6;
            eprintln!(
                "per record: p50 {:.4} ms, p99 {:.3} ms, p999 {:.3} ms, max {:.1} ms",
                at(0.5),
                at(0.99),
                at(0.999),
                at(0.999_999_9)
            );
            let resolver = stream.into_resolver();
            let outcome = offline::outcome(&resolver, &records);
            (records, outcome)
        }
        _ => {
            let run = offline::run(tables, model, &mut |_| ())?;
            told("resolved");
            (run.loaded.records, run.outcome)
        }
    };
    eprintln!("resident peak {:.0} MB", peak_bytes() as f64 / 1e6);
    if let Some(out) = &args.out {
        outcome.write(out, &records, &outcome.summary(&records, &version))?;
        args.inputs.keep_maps(out)?;
    }
    if args.truth.is_some() {
        let across = records.linking == offline::Linking::Across;
        let candidates = outcome.pairs.len() as u64;
        let found = offline::evaluate(&records, &truth(&records), &outcome, candidates, across);
        println!("{}", serde_json::to_string_pretty(&found)?);
    }
    Ok(())
}

fn truth(records: &Records) -> Truth {
    Truth::of_words(records.asked.iter().map(|word| word.as_str()))
}

/// Largest memory of this process that was in RAM at once.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1_024
}

fn parse() -> Args {
    let mut args = Args::default();
    let mut words = std::env::args().skip(1);
    args.verb = words.next().unwrap_or_default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--map" => args.inputs.maps.extend(words.next().map(PathBuf::from)),
            "--model" => args.model = words.next().map(PathBuf::from),
            "--truth" => args.truth = words.next(),
            "--out" => args.out = words.next().map(PathBuf::from),
            table => args.inputs.files.push(table.into()),
        }
    }
    args
}
