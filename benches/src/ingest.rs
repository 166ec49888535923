//! `opshub bench ingest`: the whole pipeline, durable, over parsing the same bytes.

use std::fmt::Display;

use crate::cpu::{Spent, Stopwatch};
use crate::report::{Figure, Report};
use crate::stream::reference::{self, MAIN_MD5, SMOKE_MD5};
use crate::stream::{BenchCustomer, Workload, checksum};

/// CPU of the pipeline over CPU of the parse, at most.
pub const PIPELINE_OVER_PARSE_MAX: f64 = 5.0;

/// What the hub did with the workload.
#[derive(Debug, Clone, Default)]
pub struct PipelineRun {
    /// From the first line read to the last customer evaluated and the last block synced to disk.
    pub spent: Spent,
    /// Facts in the log.
    pub facts: u64,
    /// Records that are kept, deleted ones too.
    pub records: u64,
    /// The answer, read from the hub's own state.
    pub customers: Vec<BenchCustomer>,
    /// Growth of resident memory over the run, in bytes.
    pub resident_growth_bytes: u64,
    /// Size of the store on disk, in bytes.
    pub store_bytes: u64,
    /// Shards that the stages ran on.
    pub shards: usize,
}

/// Makes the workload, times the parse, has `pipeline` do the job, and compares.
///
/// The parse is timed before and after the pipeline and the mean taken, so that a machine that
/// grows slower during the run does not favour either side.
///
/// # Errors
/// If the workload cannot be parsed or the pipeline fails.
pub fn run<E: Display>(
    workload: &Workload,
    pipeline: impl FnOnce(&[u8]) -> Result<PipelineRun, E>,
) -> Result<Report, String> {
    let bytes = workload.to_bytes();
    let expected = match workload {
        known if *known == Workload::smoke() => SMOKE_MD5.to_owned(),
        known if *known == Workload::main() => MAIN_MD5.to_owned(),
        _ => checksum(reference::fold(&bytes).map_err(|error| format!("fold the workload: {error}"))?),
    };
    let before = Parse::measure(&bytes)?;
    let run = pipeline(&bytes).map_err(|error| format!("run the pipeline: {error}"))?;
    let parse = before.mean(Parse::measure(&bytes)?);
    Ok(report(workload, bytes.len(), &parse, run, &expected))
}

/// CPU of reading every line into types, in both ways.
#[derive(Debug, Clone, Copy)]
struct Parse {
    owned_cpu_s: f64,
    borrowed_cpu_s: f64,
}

impl Parse {
    fn measure(bytes: &[u8]) -> Result<Self, String> {
        let watch = Stopwatch::start();
        reference::parse_owned(bytes).map_err(|error| format!("parse the workload: {error}"))?;
        let owned_cpu_s = watch.spent().cpu_s;
        let watch = Stopwatch::start();
        reference::parse_borrowed(bytes).map_err(|error| format!("parse the workload: {error}"))?;
        Ok(Parse { owned_cpu_s, borrowed_cpu_s: watch.spent().cpu_s })
    }

    fn mean(self, other: Parse) -> Parse {
        Parse {
            owned_cpu_s: (self.owned_cpu_s + other.owned_cpu_s) / 2.0,
            borrowed_cpu_s: (self.borrowed_cpu_s + other.borrowed_cpu_s) / 2.0,
        }
    }
}

fn report(workload: &Workload, bytes: usize, parse: &Parse, run: PipelineRun, expected: &str) -> Report {
    let PipelineRun { spent, facts, records, customers, resident_growth_bytes, store_bytes, shards } = run;
    let customer_count = customers.len() as f64;
    let found = checksum(customers);
    let per = |total: f64, count: f64| if count > 0.0 { total / count } else { 0.0 };
    let is_equal = if found == expected { 1.0 } else { 0.0 };
    let ratio =
        Figure::at_most("pipeline_over_parse", per(spent.cpu_s, parse.owned_cpu_s), "ratio", PIPELINE_OVER_PARSE_MAX)
            .with("pipeline_cpu_s", spent.cpu_s)
            .with("pipeline_wall_s", spent.wall_s)
            .with("parse_cpu_s", parse.owned_cpu_s)
            .with("events", workload.events)
            .with("bytes", bytes)
            .with("facts", facts)
            .with("shards", shards);
    let borrowed = Figure::told("pipeline_over_borrowed_parse", per(spent.cpu_s, parse.borrowed_cpu_s), "ratio")
        .with("parse_cpu_s", parse.borrowed_cpu_s);
    let answer =
        Figure::at_least("answer_equal", is_equal, "0 or 1", 1.0).with("expected", expected).with("found", found);
    let cost = Figure::told("cpu_per_fact", per(spent.cpu_s * 1e6, facts as f64), "us");
    let per_customer =
        Figure::told("resident_per_customer", per(resident_growth_bytes as f64, customer_count), "bytes")
            .with("customers", customer_count)
            .with("resident_growth_bytes", resident_growth_bytes);
    let per_record = Figure::told("resident_per_record", per(resident_growth_bytes as f64, records as f64), "bytes")
        .with("records", records);
    let stored =
        Figure::told("store_per_fact", per(store_bytes as f64, facts as f64), "bytes").with("store_bytes", store_bytes);
    Report::new("ingest", vec![ratio, answer, borrowed, cost, per_customer, per_record, stored])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plain(bytes: &[u8]) -> Result<PipelineRun, String> {
        let watch = Stopwatch::start();
        let customers = reference::fold(bytes).map_err(|error| error.to_string())?;
        Ok(PipelineRun { spent: watch.spent(), facts: 500, records: 400, customers, ..PipelineRun::default() })
    }

    #[test]
    fn a_right_answer_is_told_with_ratio_and_raw_figures() {
        let report = run(&Workload::new(20, 500, 1), plain).unwrap();
        assert_eq!(report.results[0].measure, "pipeline_over_parse");
        assert!(report.results[0].value > 0.0);
        assert_eq!(report.results[0].raw["facts"], 500);
        assert!(report.results[1].met);
    }

    #[test]
    fn a_wrong_answer_is_not_met_and_a_failure_is_passed_on() {
        let wrong = |bytes: &[u8]| {
            let mut run = plain(bytes)?;
            run.customers[0].open_cases += 1;
            Ok::<_, String>(run)
        };
        let report = run(&Workload::new(20, 500, 1), wrong).unwrap();
        assert!(!report.results[1].met && !report.is_met());
        let failure = run(&Workload::new(20, 500, 1), |_| Err("disk full")).unwrap_err();
        assert_eq!(failure, "run the pipeline: disk full");
    }
}
