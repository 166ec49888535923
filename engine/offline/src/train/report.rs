//! What training learned, told to people and programs.

use ontology::Vocabulary;
use resolver::{Feature, Group, Parameters};
use serde::Serialize;

use super::{Calibration, Evidence, Learned};
use crate::load::Loaded;

/// Matches that a feature should be learned from: with fewer, the shipped chances weigh more.
const MATCHES_FEW: f64 = 200.0;

/// What training learned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainReport {
    /// Version of the model.
    pub version: String,
    /// Records it was learned from.
    pub records: usize,
    /// Random pairs that chances among unrelated records were read off.
    pub random_pairs: u64,
    /// Pairs that blocking proposed.
    pub candidates: u64,
    /// The training rules.
    pub rules: Vec<RuleReport>,
    /// Passes over the pairs until the estimates came to rest.
    pub passes: usize,
    /// Whether they came to rest.
    pub has_converged: bool,
    /// Matches among all pairs, as estimated.
    pub matches_expected: f64,
    /// Log2 odds that a random pair is one party.
    pub pair_bits: f64,
    /// Log2 of the share of pairs that are two parties of one household or firm.
    pub home_bits: f64,
    /// Log2 of the share of matches that moved.
    pub moved_bits: f64,
    /// Features of which the records say something.
    pub features: Vec<FeatureReport>,
    /// The curve from score to probability, if labels were given.
    pub calibration: Option<CalibrationReport>,
    /// What to be careful about.
    pub notes: Vec<String>,
}

/// One training rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleReport {
    /// Kind of blocking key.
    pub rule: String,
    /// Pairs that share one.
    pub pairs: u64,
    /// Share of them that is one party.
    pub match_share: f64,
    /// Share of them that is two parties of one household or firm.
    pub home_share: f64,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureReport {
    /// What people call it.
    pub feature: String,
    /// Number of matches it was learned from.
    pub matches: f64,
    /// Its levels, best first.
    pub levels: Vec<LevelReport>,
}

/// One level of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelReport {
    /// Name of the level.
    pub level: String,
    /// Chance among records of one party.
    pub m: f64,
    /// Chance among unrelated records.
    pub u: f64,
    /// Chance among two parties of one household or firm; none where it is that of unrelated records.
    pub home: Option<f64>,
    /// Match weight: log2 of m over u.
    pub bits: f64,
}

/// The curve from score to probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationReport {
    /// How it was drawn: `isotonic` or `platt`.
    pub method: &'static str,
    /// Pairs of known truth that it was drawn through.
    pub labels: usize,
    /// How many of them are one party.
    pub matches: usize,
    /// Bits and probability, rising; straight lines between them.
    pub knots: Vec<[f64; 2]>,
}

/// The report on what was learned.
pub(super) fn of(
    parameters: &Parameters,
    evidence: &Evidence,
    learned: &Learned,
    loaded: &Loaded,
    calibration: Option<&Calibration>,
) -> TrainReport {
    let count = |patterns: &[resolver::learn::Pattern]| patterns.iter().map(|pattern| pattern.count).sum();
    let rule = |(rule, shares): (&resolver::learn::Rule, &[f64; 3])| RuleReport {
        rule: rule.name.clone(),
        pairs: count(&rule.patterns),
        match_share: shares[0],
        home_share: shares[2],
    };
    let mut report = TrainReport {
        version: parameters.version.to_string(),
        records: loaded.records.len(),
        random_pairs: count(&evidence.random),
        candidates: count(&evidence.candidates),
        rules: evidence.rules.iter().zip(&learned.fitted.shares).map(rule).collect(),
        passes: learned.fitted.passes,
        has_converged: learned.fitted.has_converged,
        matches_expected: learned.shares.match_share * evidence.pairs,
        pair_bits: parameters.prior.pair_bits,
        home_bits: parameters.prior.home_bits,
        moved_bits: parameters.prior.moved_bits,
        features: features(parameters, evidence, learned, loaded),
        calibration: calibration.map(|calibration| CalibrationReport {
            method: calibration.curve.method.name(),
            labels: calibration.labels,
            matches: calibration.matches,
            knots: calibration.curve.knots.clone(),
        }),
        notes: Vec::new(),
    };
    report.notes = notes(&report);
    if !parameters.decision.weighs_given_names {
        let expected = report.matches_expected;
        report.notes.push(format!(
            "about {expected:.0} matches are too few to know how often one person's given names differ: people \
             whose given names do not agree are linked by an identifier alone, or by a person"
        ));
    }
    report
}

fn features(parameters: &Parameters, evidence: &Evidence, learned: &Learned, loaded: &Loaded) -> Vec<FeatureReport> {
    let is_said = |place: usize| {
        let said = |(feature, _): &(u8, u8)| usize::from(*feature) == place;
        evidence.random.iter().chain(&evidence.candidates).any(|pattern| pattern.levels.iter().any(said))
    };
    let told = |(place, (feature, _)): (usize, &(Feature, &str))| {
        let level = |level: &resolver::Level| {
            let chances = parameters.features[place][*level as usize];
            LevelReport {
                level: level.name().to_owned(),
                m: chances.m,
                u: chances.u,
                home: (feature.group() == Group::Home).then_some(chances.home),
                bits: (chances.m / chances.u).log2(),
            }
        };
        FeatureReport {
            feature: loaded.layout.name_of(*feature).to_owned(),
            matches: learned.fitted.matches_seen[place],
            levels: feature.levels().iter().map(level).collect(),
        }
    };
    Feature::ALL.iter().enumerate().filter(|(place, _)| is_said(*place)).map(told).collect()
}

fn notes(report: &TrainReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.candidates == 0 {
        notes.push("no two records share anything that pairs are proposed by: the model is the shipped one".to_owned());
    }
    if !report.has_converged {
        notes.push(format!("the estimates had not come to rest after {} passes", report.passes));
    }
    let few = report.features.iter().filter(|feature| feature.matches < MATCHES_FEW);
    let few: Vec<String> = few.map(|feature| format!("{} ({:.0})", feature.feature, feature.matches)).collect();
    if !few.is_empty() {
        let why = "learned from few matches, so that the shipped chances, which count as 200, weigh most";
        notes.push(format!("{why}: {}", few.join(", ")));
    }
    notes
}
