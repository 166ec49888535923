//! Decisions of people on pairs: taken over in a run, and learned from.

use std::path::Path;

use hashbrown::HashMap;
use ontology::Millis;
use ontology::status::Verdict;
use resolver::learn::{Labelled, ReviewStep, review_curve, review_steps};
use resolver::{Judgement, LinkState, Model, Parameters, Resolver};
use serde::Serialize;

use crate::error::Error;
use crate::evaluate::wilson;
use crate::load::Loaded;
use crate::records::Records;
use crate::table::{Row, Table};
use crate::train::version;

/// Columns of a table of decisions, in any order and among others.
const COLUMNS: [&str; 3] = ["left", "right", "same"];

/// Whether pairs of records, the smaller place first, are one party.
pub type Decisions = HashMap<(u32, u32), bool>;

/// Reads a table with columns `left`, `right` and `same`: a run's `review.csv` to which somebody added
/// the third. Pairs with an empty answer wait on; the latest row on a pair counts.
///
/// # Errors
/// The file is no such table, an answer is neither yes nor no, or no pair is of the inputs.
pub fn read_decisions(path: &Path, records: &Records) -> Result<Decisions, Error> {
    let mut table = Table::open(path)?;
    let places = places(&table).ok_or_else(|| {
        let why = format!("expected columns left, right and same; there are {}", table.header().join(", "));
        Error::table(path, why)
    })?;
    let names = records.by_name();
    let mut decisions = Decisions::new();
    let mut answers = 0_usize;
    while let Some((line, row)) = table.next_row()? {
        let cells = match row {
            Row::Cells(cells) => cells,
            Row::Bad(bad) => return Err(Error::table(path, format!("line {line}: {}", bad.reason))),
        };
        let [left, right, same] = places.map(|place| cells.get(place).unwrap_or_default().trim());
        let Some(is_same) = answer(same).map_err(|why| Error::table(path, format!("line {line}: {why}")))? else {
            continue;
        };
        answers += 1;
        if let (Some(left), Some(right)) = (names.get(left), names.get(right)) {
            decisions.insert((*left.min(right), *left.max(right)), is_same);
        }
    }
    if decisions.is_empty() && answers > 0 {
        let why = "none of its pairs is of two records of the inputs: records are named as in clusters.csv";
        return Err(Error::table(path, why));
    }
    Ok(decisions)
}

/// Whether a table's header is that of decisions.
pub(crate) fn are_decisions(header: &[String]) -> bool {
    COLUMNS.iter().all(|column| header.iter().any(|name| name == column))
}

fn places(table: &Table) -> Option<[usize; 3]> {
    let place = |column: &str| table.header().iter().position(|name| name == column);
    let [left, right, same] = COLUMNS.map(place);
    Some([left?, right?, same?])
}

/// Yes, no, or not decided yet.
fn answer(same: &str) -> Result<Option<bool>, String> {
    match same.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "1" => Ok(Some(true)),
        "no" | "n" | "false" | "0" => Ok(Some(false)),
        "" => Ok(None),
        _ => Err(format!("same is {same:?}: expected yes, no, or nothing")),
    }
}

impl Loaded {
    /// Takes decisions over: pairs that people joined or parted, whatever they score.
    pub fn judge(&mut self, decisions: &Decisions) {
        for ((left, right), is_same) in decisions {
            let (left, right) = (self.records.key(*left), self.records.key(*right));
            let judgement = Judgement {
                record: format!("{left} {right}").into(),
                verdict: if *is_same { Verdict::Link } else { Verdict::Unlink },
                actor: "review".into(),
                reason: "decided in a review".into(),
                decided_at: Millis(0),
            };
            self.resolver.judge(left, right, judgement);
        }
        self.resolver.drain();
    }
}

/// A model whose probabilities were corrected by decisions.
#[derive(Debug)]
pub struct Recalibrated {
    /// What the model file holds.
    pub parameters: Parameters,
    /// What the decisions said.
    pub report: DecisionsReport,
}

/// What decisions said of a model's probabilities.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionsReport {
    /// Version of the model that was corrected.
    pub from: String,
    /// Version of the corrected model.
    pub version: String,
    /// Decided pairs of which both records are there.
    pub decided: usize,
    /// Those of them that the model alone had left for a person: only they say what its doubts are
    /// worth. The others were held back by a rule or a veto, or decided by itself.
    pub used: usize,
    /// Links that the model made by itself and people undid.
    pub undone: usize,
    /// The curve: decisions by rising score.
    pub steps: Vec<StepReport>,
    /// What to be careful about.
    pub notes: Vec<String>,
}

/// Decisions on pairs of about one score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Mean score, log2 odds.
    pub bits: f64,
    /// Number of decisions.
    pub decisions: u64,
    /// Probability that the model promised.
    pub promised: f64,
    /// Share that people accepted.
    pub accepted: f64,
    /// Lower end of the share's 95 % interval.
    pub accepted_low: f64,
    /// Upper end of it.
    pub accepted_high: f64,
    /// Probability that the corrected model promises.
    pub corrected: f64,
}

/// Corrects a model by the decisions that a drained resolver with that model holds. `name` begins the
/// version.
///
/// # Errors
/// There is no decision on a pair that the model alone had left for a person.
pub fn recalibrate(resolver: &Resolver, name: &str) -> Result<Recalibrated, Error> {
    let model = resolver.model();
    let mut report = DecisionsReport {
        from: model.version.to_string(),
        version: String::new(),
        decided: 0,
        used: 0,
        undone: 0,
        steps: Vec::new(),
        notes: Vec::new(),
    };
    let labels = doubts(resolver, &mut report);
    let promised = |bits: f64| promised(model, bits);
    let steps = review_steps(&labels, promised);
    let bits = || labels.iter().map(|label| label.bits);
    let band = [bits().fold(f64::INFINITY, f64::min), bits().fold(f64::NEG_INFINITY, f64::max)];
    let Some(curve) = review_curve(&steps, band, promised) else {
        let why = format!(
            "of {} decided pairs none was in doubt by its score alone: decide pairs of the review queue first",
            report.decided
        );
        return Err(Error::TooLittle { attempted: "correct the model", why });
    };
    report.used = labels.len();
    report.steps = steps.iter().map(told).collect();
    report.notes = notes(&report);
    let mut parameters = model.parameters().clone();
    parameters.calibration = curve.knots;
    parameters.version = version(name, &parameters);
    report.version = parameters.version.to_string();
    Ok(Recalibrated { parameters, report })
}

/// Decisions on pairs of which the score alone left the model in doubt.
fn doubts(resolver: &Resolver, report: &mut DecisionsReport) -> Vec<Labelled> {
    let model = resolver.model();
    let mut labels = Vec::new();
    resolver.for_each_edge(|edge| {
        let is_match = match (edge.is_human, edge.state) {
            (true, _) => true,
            (false, LinkState::Unlinked) => false,
            (false, LinkState::Linked | LinkState::Review | LinkState::Below) => return,
        };
        report.decided += 1;
        let confidence = model.confidence_of(edge.total_millibits);
        if confidence >= model.link_min {
            report.undone += usize::from(!is_match);
        } else if confidence >= model.review_min {
            labels.push(Labelled { bits: f64::from(edge.total_millibits) / 1e3, is_match });
        }
    });
    labels
}

/// What a model promises of a score, in log2 odds.
fn promised(model: &Model, bits: f64) -> f64 {
    // Scores are below 2,048 bits: 32 features of 64 bits at most.
    f64::from(model.confidence_of((bits * 1e3).round_ties_even() as i32).0) / 1e6
}

fn told(step: &ReviewStep) -> StepReport {
    // Sums of ones.
    let (decisions, accepted) = (step.decisions as u64, step.accepted as u64);
    let (accepted_low, accepted_high) = wilson(accepted, decisions);
    StepReport {
        bits: step.bits,
        decisions,
        promised: step.promised,
        accepted: step.accepted / step.decisions,
        accepted_low,
        accepted_high,
        corrected: step.corrected(),
    }
}

fn notes(report: &DecisionsReport) -> Vec<String> {
    let mut notes = Vec::new();
    let others = report.decided - report.used;
    if others > 0 {
        notes.push(format!(
            "{others} decisions are on pairs that a rule or a veto held back or that the score alone had decided: \
             they are kept, and say nothing of the doubtful scores"
        ));
    }
    if report.undone > 0 {
        notes.push(format!("people undid {} links that the score alone had made: train the model anew", report.undone));
    }
    for step in report.steps.iter().filter(|step| !(step.accepted_low..=step.accepted_high).contains(&step.promised)) {
        notes.push(format!(
            "at {:+.1} bits the model promised {:.2} and people accepted {:.2} of {}",
            step.bits, step.promised, step.accepted, step.decisions
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Decisions, Error> {
        let records = Records::named(["a", "b", "c"].map(|id| (0, id)).into_iter());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_decisions(file.path(), &records)
    }

    #[test]
    fn a_review_with_answers_is_read_whatever_else_it_holds() {
        let found = read("left,right,probability,same\nb,a,0.8,yes\na,c,0.7,No\nb,c,0.9,\na,z,0.9,no\n").unwrap();
        assert_eq!((found.len(), found[&(0, 1)], found[&(0, 2)]), (2, true, false));
        assert!(!read("same,left,right\nyes,a,b\n\"0\",b,a\n").unwrap()[&(0, 1)], "the latest counts");
        assert!(read("left,right,same\na,b,\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_decision_is_told_with_its_line() {
        let why = |text: &str| read(text).unwrap_err().to_string();
        assert!(why("left,right,same\na,b,perhaps\n").contains("line 2: same is \"perhaps\": expected yes, no"));
        assert!(why("left,right\na,b\n").contains("expected columns left, right and same; there are left, right"));
        assert!(why("left,right,same\nx,y,yes\n").contains("none of its pairs"));
    }
}
