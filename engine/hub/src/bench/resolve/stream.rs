//! A million records, one at a time: CPU, memory, and how long each one waits.

#![allow(clippy::disallowed_methods, reason = "how long a record takes is the subject of this bench")]

use std::fs;
use std::time::Instant;

use benches::cpu::Stopwatch;
use benches::report::Figure;
use offline::{Linking, Stream, Truth};
use resolver::Model;

use super::peer::Peer;
use super::{Subject, TRUTH, measure_of, quality};

/// Records at the end whose time stands for one new record against all the others.
const LAST: usize = 1_000;

pub(super) fn measure(subject: &Subject, peer: Option<&Peer>) -> anyhow::Result<Vec<Figure>> {
    let watch = Stopwatch::start();
    let trained = offline::train(&subject.inputs, subject.name, None, &mut |_| ())?;
    let train_cpu_s = watch.spent().cpu_s;
    let model = Model::from_parameters(trained.parameters)?;
    begin_peak();
    let tables = subject.open(Some(TRUTH))?;
    let mut stream = Stream::new(&tables, model)?;
    let mut nanos: Vec<u32> = Vec::new();
    let watch = Stopwatch::start();
    let records = tables.read(|entry| {
        let began = Instant::now();
        stream.take(&entry);
        nanos.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
    })?;
    let cpu_s = watch.spent().cpu_s;
    let peak_bytes = peak_bytes();
    let resolver = stream.into_resolver();
    let outcome = offline::outcome(&resolver, &records);
    let candidates = outcome.pairs.len() as u64;
    let last: Vec<u32> = nanos[nanos.len().saturating_sub(LAST)..].to_vec();
    let name = |row: &str, measure: &str| measure_of(subject, row, measure);
    let mut figures = vec![
        Figure::at_most(name("R5", "p99_ms"), quantile(&mut nanos, 0.99), "ms", 1.0),
        Figure::at_most(name("R5", "p999_ms"), quantile(&mut nanos, 0.999), "ms", 5.0),
        Figure::at_most(name("R6", "peak_gb"), peak_bytes as f64 / 1e9, "GB", 1.5),
    ];
    let new_record_ms = quantile(&mut last.clone(), 0.5);
    let (cpu, new_record) = match peer {
        Some(peer) => {
            let used = peer.resolve("synth", subject.table())?;
            let ratio = Figure::at_most(name("R5", "cpu_over_peer"), cpu_s / used.cpu_s, "ratio", 0.5);
            let over = new_record_ms / used.new_record_wall_ms;
            let new_record = Figure::at_most(name("R8", "new_record_over_peer"), over, "ratio", 0.001);
            (
                ratio.with("peer_cpu_s", used.cpu_s).with("peer_peak_gb", used.rss_bytes / 1e9),
                new_record.with("peer_ms", used.new_record_wall_ms),
            )
        }
        None => (
            Figure::told(name("R5", "cpu_s"), cpu_s, "s"),
            Figure::told(name("R8", "new_record_ms"), new_record_ms, "ms"),
        ),
    };
    figures.insert(0, cpu.with("cpu_s", cpu_s).with("train_cpu_s", train_cpu_s).with("records", records.len() as u64));
    figures.push(new_record.with("new_record_ms", new_record_ms));
    let truth = Truth::of_words(records.asked.iter().map(|word| word.as_str()));
    let found = offline::evaluate(&records, &truth, &outcome, candidates, records.linking == Linking::Across);
    figures.extend(quality::told(subject, &found));
    Ok(figures)
}

/// The value below which the given share lies, in milliseconds; zero of nothing.
fn quantile(nanos: &mut [u32], share: f64) -> f64 {
    nanos.sort_unstable();
    let at = (nanos.len() as f64 * share) as usize;
    nanos.get(at.min(nanos.len().saturating_sub(1))).map_or(0.0, |nanos| f64::from(*nanos) / 1e6)
}

/// Lets the peak of memory begin anew where the kernel allows it; elsewhere it is that of the whole
/// process, which is more.
fn begin_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Largest memory of this process that was in RAM at once; 0 if the kernel does not say.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut nanos: Vec<u32> = (1..=1_000).rev().map(|ms| ms * 1_000_000).collect();
        assert!((quantile(&mut nanos, 0.99) - 991.0).abs() < 1e-9);
        assert!((quantile(&mut nanos, 1.0) - 1_000.0).abs() < 1e-9);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
