//! How a bench tells its figures: a table for people, JSON for programs, raw figures in both.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::machine::Machine;

/// Which side of a goal is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// At most the goal.
    Lower,
    /// At least the goal.
    Higher,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Name of the measure, for example `pipeline_over_parse`.
    pub measure: String,
    /// The figure.
    pub value: f64,
    /// Its unit; `ratio` for a ratio.
    pub unit: String,
    /// What it should be; none for a figure that is only told.
    pub goal: Option<f64>,
    /// Which side of the goal is good.
    pub better: Better,
    /// Whether the goal is reached; a figure without a goal always is.
    pub met: bool,
    /// What the figure was made of.
    pub raw: Map<String, Value>,
}

impl Figure {
    /// A figure without a goal.
    pub fn told(measure: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Figure {
            measure: measure.into(),
            value,
            unit: unit.into(),
            goal: None,
            better: Better::Lower,
            met: true,
            raw: Map::new(),
        }
    }

    /// A figure that should be at most `goal`.
    pub fn at_most(measure: impl Into<String>, value: f64, unit: impl Into<String>, goal: f64) -> Self {
        Figure { goal: Some(goal), met: value <= goal, ..Self::told(measure, value, unit) }
    }

    /// A figure that should be at least `goal`.
    pub fn at_least(measure: impl Into<String>, value: f64, unit: impl Into<String>, goal: f64) -> Self {
        Figure { goal: Some(goal), met: value >= goal, better: Better::Higher, ..Self::told(measure, value, unit) }
    }

    /// Adds a raw figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.raw.insert(name.to_owned(), value.into());
        self
    }
}

/// What one bench found on one machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Name of the bench.
    pub bench: String,
    /// What it ran on.
    pub machine: Machine,
    /// The figures, most important first.
    pub results: Vec<Figure>,
}

impl Report {
    /// A report on this machine.
    pub fn new(bench: impl Into<String>, results: Vec<Figure>) -> Self {
        Report { bench: bench.into(), machine: Machine::here(), results }
    }

    /// Whether every goal is reached.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.results.iter().all(|figure| figure.met)
    }

    /// The report as JSON, indented.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report holds nothing that JSON cannot say")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, model, load_average: [load, ..], is_release, .. } = &self.machine;
        let build = if *is_release { "" } else { ", debug build: figures mean nothing" };
        writeln!(f, "bench {} on {cores} cores, {model}, load {load:.2}{build}", self.bench)?;
        for figure in &self.results {
            let Figure { measure, value, unit, goal, better, met, raw } = figure;
            write!(f, "  {measure:<28} {value:>12.3} {unit:<10}")?;
            if let Some(goal) = goal {
                let bound = match better {
                    Better::Lower => "at most",
                    Better::Higher => "at least",
                };
                write!(f, " {bound} {goal}: {}", if *met { "met" } else { "NOT met" })?;
            }
            writeln!(f)?;
            for (name, value) in raw {
                writeln!(f, "      {name} = {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_goal_is_met_exactly_at_its_bound_on_either_side() {
        assert!(Figure::at_most("a", 5.0, "ratio", 5.0).met);
        assert!(!Figure::at_most("a", 5.000_001, "ratio", 5.0).met);
        assert!(Figure::at_least("b", 0.75, "ratio", 0.75).met);
        assert!(!Figure::at_least("b", 0.749, "ratio", 0.75).met);
        assert!(Figure::told("c", 1e9, "bytes").met);
    }

    #[test]
    fn programs_find_the_keys_they_were_promised() {
        let figure = Figure::at_most("pipeline_over_parse", 2.5, "ratio", 5.0).with("parse_cpu_s", 1.5);
        let report = Report::new("ingest", vec![figure, Figure::told("rss", 1.0, "bytes")]);
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["bench"], "ingest");
        assert!(json["machine"]["cores"].as_u64().unwrap() >= 1);
        assert_eq!(json["results"][0]["measure"], "pipeline_over_parse");
        assert_eq!(json["results"][0]["goal"], 5.0);
        assert_eq!(json["results"][0]["met"], true);
        assert_eq!(json["results"][0]["raw"]["parse_cpu_s"], 1.5);
        assert_eq!(json["results"][1]["goal"], Value::Null);
        let text = report.to_string();
        assert!(text.contains("pipeline_over_parse") && text.contains("at most 5: met"), "{text}");
    }
}
