//! The model file: what a model is made of, read strictly and written readably.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use compact_str::CompactString;
use ontology::Vocabulary;
use serde::Deserialize;

use crate::feature::{Feature, Level};
use crate::model::Error;

/// The shipped model's text.
const SHIPPED: &str = include_str!("../model/default.toml");

/// How often a level is seen, of all pairs in which both records say something.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probabilities {
    /// Among pairs of one customer.
    pub m: f64,
    /// Among pairs of two customers who have nothing to do with each other.
    pub u: f64,
    /// Among pairs of two customers of one home: a household, the sites of a firm. Read for features
    /// of [`crate::Group::Home`] only; zero means as `u`.
    #[serde(default)]
    pub home: f64,
}

/// Thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// At or above: linked.
    pub link_min: f64,
    /// At or above, and below `link_min`: review.
    pub review_min: f64,
    /// The most that a score may claim.
    pub confidence_max: f64,
    /// Whether people whose given names do not agree may be linked by weight: for models that have seen
    /// so many matches that they know how often one person's names differ. Otherwise only an identifier
    /// links them, because twins, spouses and parents share all else.
    #[serde(default)]
    pub weighs_given_names: bool,
}

/// What is believed before features are read.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// Log2 odds that a pair is one customer.
    pub pair_bits: f64,
    /// The same where one record is a caller profile.
    pub caller_bits: f64,
    /// Log2 of the share of pairs of two customers who are of one home.
    pub home_bits: f64,
    /// What different places and streets together cost at most, because people and firms move.
    pub moved_bits: f64,
}

/// Limits on what proposes pairs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Records of one system that may share a value before it is generic.
    pub generic_records_max: u32,
    /// Records of one system that a block may hold before it is refined or retired.
    pub block_records_max: u32,
}

/// How callers are linked.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callers {
    /// Whether a number or address that only one customer shows links a caller profile.
    pub sole_customer_links: bool,
    /// How surely.
    pub sole_customer_confidence: f64,
}

/// Frequencies of a feature's values.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Mean frequency of a value that is not listed.
    pub rest: f64,
    /// Share of records with the value, for values that are common.
    pub values: BTreeMap<CompactString, f64>,
}

/// Everything that a model file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Version that explanations name.
    pub version: CompactString,
    /// Thresholds.
    pub decision: Decision,
    /// Beliefs before features are read.
    pub prior: Prior,
    /// Limits on what proposes pairs.
    pub limits: Limits,
    /// How callers are linked.
    pub callers: Callers,
    /// Per feature and level, by their places; all zero where a feature has no such level.
    pub features: Vec<[Probabilities; Level::COUNT]>,
    /// Frequencies of values.
    pub terms: BTreeMap<Feature, Terms>,
    /// Total bits and the probability that was observed there, both rising; between points it is
    /// read off the line. Empty: probability as the bits say.
    pub calibration: Vec<[f64; 2]>,
    /// Domains that hand out mailboxes to anybody.
    pub free_mail: Vec<CompactString>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: CompactString,
    decision: Decision,
    prior: Prior,
    limits: Limits,
    callers: Callers,
    contact: Contact,
    features: BTreeMap<String, BTreeMap<String, Probabilities>>,
    #[serde(default)]
    terms: BTreeMap<String, Terms>,
    #[serde(default)]
    calibration: Vec<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contact {
    free_mail: Vec<CompactString>,
}

impl Parameters {
    /// The parameters that ship with the hub.
    #[must_use]
    pub fn shipped() -> Self {
        Parameters::parse(SHIPPED).expect("the shipped model is valid, a test reads it")
    }

    /// Reads a model file. Unknown entries are refused, because a misspelt weight would be a zero.
    ///
    /// # Errors
    /// The text is not a model file, or names a feature or level that there is not.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        let mut features = vec![[Probabilities::default(); Level::COUNT]; Feature::COUNT];
        for (name, levels) in &file.features {
            let feature = named::<Feature>("feature", name)?;
            for (level_name, probabilities) in levels {
                let level = named::<Level>("level", level_name)?;
                if !feature.levels().contains(&level) {
                    return Err(Error::Level { feature: feature.name(), level: level.name() });
                }
                features[feature as usize][level as usize] = *probabilities;
            }
        }
        let mut terms = BTreeMap::new();
        for (name, frequencies) in file.terms {
            terms.insert(named::<Feature>("feature", &name)?, frequencies);
        }
        Ok(Parameters {
            version: file.version,
            decision: file.decision,
            prior: file.prior,
            limits: file.limits,
            callers: file.callers,
            features,
            terms,
            calibration: file.calibration,
            free_mail: file.contact.free_mail,
        })
    }

    /// The model file that says the same; reading it gives these parameters again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.write_head(&mut text);
        for (feature, _) in Feature::ALL {
            let levels = &self.features[*feature as usize];
            let used = || feature.levels().iter().map(|level| (*level, levels[*level as usize]));
            if used().all(|(_, probabilities)| probabilities == Probabilities::default()) {
                continue;
            }
            line(&mut text, format_args!("\n[features.{}]", feature.name()));
            for (level, Probabilities { m, u, home }) in used() {
                let home = if home == 0.0 { String::new() } else { format!(", home = {home:e}") };
                line(&mut text, format_args!("{} = {{ m = {m:e}, u = {u:e}{home} }}", level.name()));
            }
        }
        for (feature, Terms { rest, values }) in &self.terms {
            line(
                &mut text,
                format_args!("\n[terms.{}]\nrest = {rest:e}\n[terms.{}.values]", feature.name(), feature.name()),
            );
            for (value, frequency) in values {
                line(&mut text, format_args!("{} = {frequency:e}", toml::Value::from(value.as_str())));
            }
        }
        text
    }

    fn write_head(&self, text: &mut String) {
        let Parameters { version, decision, prior, limits, callers, calibration, free_mail, .. } = self;
        line(text, format_args!("version = {}", toml::Value::from(version.as_str())));
        let points: Vec<String> = calibration.iter().map(|[bits, p]| format!("[{bits:e}, {p:e}]")).collect();
        line(text, format_args!("calibration = [{}]", points.join(", ")));
        let Decision { link_min, review_min, confidence_max, weighs_given_names } = decision;
        line(text, format_args!("\n[decision]\nlink_min = {link_min:?}\nreview_min = {review_min:?}"));
        line(text, format_args!("confidence_max = {confidence_max:?}\nweighs_given_names = {weighs_given_names}"));
        let Prior { pair_bits, caller_bits, home_bits, moved_bits } = prior;
        line(text, format_args!("\n[prior]\npair_bits = {pair_bits:?}\ncaller_bits = {caller_bits:?}"));
        line(text, format_args!("home_bits = {home_bits:?}\nmoved_bits = {moved_bits:?}"));
        let Limits { generic_records_max, block_records_max } = limits;
        line(text, format_args!("\n[limits]\ngeneric_records_max = {generic_records_max}"));
        line(text, format_args!("block_records_max = {block_records_max}"));
        let Callers { sole_customer_links, sole_customer_confidence } = callers;
        line(text, format_args!("\n[callers]\nsole_customer_links = {sole_customer_links}"));
        line(text, format_args!("sole_customer_confidence = {sole_customer_confidence:?}"));
        let domains: Vec<String> = free_mail.iter().map(|d| toml::Value::from(d.as_str()).to_string()).collect();
        line(text, format_args!("\n[contact]\nfree_mail = [{}]", domains.join(", ")));
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("writing to a string does not fail");
}

fn named<V: Vocabulary>(what: &'static str, name: &str) -> Result<V, Error> {
    let known = V::ALL.iter().find(|(_, known)| *known == name).map(|(value, _)| *value);
    known.ok_or_else(|| Error::Unknown { what, name: CompactString::from(name) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut parameters = Parameters::shipped();
        parameters.calibration = vec![[-3.5, 0.1], [4.25, 0.97]];
        let values = BTreeMap::from([("de \"la\" cruz".into(), 0.011), ("smith".into(), 1e-5)]);
        parameters.terms.insert(Feature::FamilyName, Terms { rest: 2.5e-6, values });
        assert_eq!(Parameters::parse(&parameters.to_toml()).unwrap(), parameters);
    }

    fn check(from: &str, to: &str, expected: &str) {
        assert!(SHIPPED.contains(from), "{from}");
        let error = Parameters::parse(&SHIPPED.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_misspelt_entry_is_refused() {
        check("[features.duns]", "[features.dnus]", "no feature is called dnus");
        check("pair_bits", "pair_bit", "pair_bit");
        check("[features.web_domain]\nexact", "[features.web_domain]\ninitial", "web_domain has no level initial");
        check("[features.web_domain]\nexact", "[features.web_domain]\nexcat", "no level is called excat");
    }
}
