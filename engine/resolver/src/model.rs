//! The model: weights, prior and limits, read from a versioned file.

use compact_str::CompactString;
use serde::Deserialize;

use crate::confidence::Confidence;
use crate::feature::{Feature, Level};

/// The shipped model's text.
const SHIPPED: &str = include_str!("../model/default.toml");

/// No weight or prior lies outside this many bits either way: sums then stay far from overflow.
const BITS_MAX: f64 = 64.0;

/// Why a model file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the model's format.
    #[error("parse model: {0}")]
    Parse(#[from] toml::de::Error),
    /// A number out of its range.
    #[error("check model: {name} is {value}, expected {expected}")]
    Range {
        /// Which entry.
        name: &'static str,
        /// What it holds.
        value: f64,
        /// What it may hold.
        expected: &'static str,
    },
}

/// Weights, prior and limits. Two resolvers with equal models and records decide alike.
#[derive(Debug, Clone)]
pub struct Model {
    /// Version that explanations name.
    pub version: CompactString,
    /// At or above: linked.
    pub link_min: Confidence,
    /// At or above, and below `link_min`: review.
    pub review_min: Confidence,
    /// The most that a score may claim.
    pub confidence_max: Confidence,
    /// Records of one system that may share a value before it is generic.
    pub generic_max: u32,
    /// Records of one system that a block of names may hold before it is retired.
    pub block_max: u32,
    /// Whether a number that one customer alone shows links a caller, and how surely.
    pub sole_customer: Option<Confidence>,
    pub(crate) prior_millibits: i32,
    pub(crate) caller_prior_millibits: i32,
    pub(crate) location_millibits_max: i32,
    pub(crate) free_mail: Vec<CompactString>,
    weights: [Weights; Feature::COUNT],
}

/// Match weights of one feature's levels, in millibits.
#[derive(Debug, Clone, Copy, Default)]
struct Weights {
    exact: i32,
    close: i32,
    partial: i32,
    household: i32,
    different: i32,
}

impl Model {
    /// The model that ships with the hub.
    #[must_use]
    pub fn shipped() -> Self {
        Model::parse(SHIPPED).expect("the shipped model is valid, a test reads it")
    }

    /// Reads a model file; unknown entries are refused, because a misspelt weight would be a zero.
    ///
    /// # Errors
    /// The text is not a model, or a number in it is out of range.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: ModelFile = toml::from_str(text)?;
        file.check()?;
        let mut weights = [Weights::default(); Feature::COUNT];
        for (feature, row) in file.weights.rows() {
            weights[feature as usize] = row.millibits()?;
        }
        Ok(Model {
            version: CompactString::from(file.version),
            link_min: Confidence::of_probability(file.decision.link_min),
            review_min: Confidence::of_probability(file.decision.review_min),
            confidence_max: Confidence::of_probability(file.decision.confidence_max),
            generic_max: file.generic.records_per_system_max,
            block_max: file.blocking.records_per_system_max,
            sole_customer: file
                .callers
                .sole_customer_links
                .then(|| Confidence::of_probability(file.callers.sole_customer_confidence)),
            prior_millibits: millibits("prior.pair_bits", file.prior.pair_bits)?,
            caller_prior_millibits: millibits("prior.caller_bits", file.prior.caller_bits)?,
            location_millibits_max: millibits("household.location_bits_max", file.household.location_bits_max)?,
            free_mail: sorted(file.contact.free_mail),
            weights,
        })
    }

    /// What a level of a feature is worth, in millibits.
    pub(crate) fn weight_millibits(&self, feature: Feature, level: Level) -> i32 {
        let weights = &self.weights[feature as usize];
        match level {
            Level::Silent | Level::Generic => 0,
            Level::Exact => weights.exact,
            Level::Close => weights.close,
            Level::Partial => weights.partial,
            Level::Household => weights.household,
            Level::Different => weights.different,
        }
    }
}

fn sorted(mut names: Vec<CompactString>) -> Vec<CompactString> {
    names.sort_unstable();
    names
}

fn millibits(name: &'static str, bits: f64) -> Result<i32, Error> {
    if !(-BITS_MAX..=BITS_MAX).contains(&bits) {
        return Err(Error::Range { name, value: bits, expected: "-64 to 64 bits" });
    }
    // In range, as checked above.
    Ok((bits * 1000.0).round_ties_even() as i32)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    version: String,
    decision: DecisionFile,
    prior: PriorFile,
    generic: LimitFile,
    blocking: LimitFile,
    callers: CallersFile,
    household: HouseholdFile,
    weights: WeightsFile,
    contact: ContactFile,
}

impl ModelFile {
    fn check(&self) -> Result<(), Error> {
        let DecisionFile { link_min, review_min, confidence_max } = self.decision;
        let probabilities = [
            ("decision.link_min", link_min, review_min < link_min && link_min < 1.0),
            ("decision.review_min", review_min, 0.0 < review_min && review_min < link_min),
            // Spec 4.2 promises 0.99 where a key and another feature agree.
            ("decision.confidence_max", confidence_max, (0.99..=1.0).contains(&confidence_max)),
            (
                "callers.sole_customer_confidence",
                self.callers.sole_customer_confidence,
                (link_min..=confidence_max).contains(&self.callers.sole_customer_confidence),
            ),
        ];
        for (name, value, fits) in probabilities {
            if !fits {
                let expected = "0 < review_min < link_min < 1, 0.99 <= confidence_max <= 1, callers between";
                return Err(Error::Range { name, value, expected });
            }
        }
        let limits = [
            ("generic.records_per_system_max", self.generic.records_per_system_max),
            ("blocking.records_per_system_max", self.blocking.records_per_system_max),
        ];
        for (name, value) in limits {
            if !(1..=1000).contains(&value) {
                return Err(Error::Range { name, value: f64::from(value), expected: "1 to 1000 records" });
            }
        }
        Ok(())
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
struct DecisionFile {
    link_min: f64,
    review_min: f64,
    confidence_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriorFile {
    pair_bits: f64,
    caller_bits: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFile {
    records_per_system_max: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallersFile {
    sole_customer_links: bool,
    sole_customer_confidence: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HouseholdFile {
    location_bits_max: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactFile {
    free_mail: Vec<CompactString>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsFile {
    key: WeightsRow,
    tax_id: WeightsRow,
    duns: WeightsRow,
    email: WeightsRow,
    name: WeightsRow,
    birth_date: WeightsRow,
    phone: WeightsRow,
    address: WeightsRow,
    web_domain: WeightsRow,
}

impl WeightsFile {
    fn rows(&self) -> [(Feature, &WeightsRow); Feature::COUNT] {
        [
            (Feature::Key, &self.key),
            (Feature::TaxId, &self.tax_id),
            (Feature::Duns, &self.duns),
            (Feature::Email, &self.email),
            (Feature::Name, &self.name),
            (Feature::BirthDate, &self.birth_date),
            (Feature::Phone, &self.phone),
            (Feature::Address, &self.address),
            (Feature::WebDomain, &self.web_domain),
        ]
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct WeightsRow {
    exact: f64,
    close: f64,
    partial: f64,
    household: f64,
    different: f64,
}

impl WeightsRow {
    fn millibits(&self) -> Result<Weights, Error> {
        Ok(Weights {
            exact: millibits("weights.exact", self.exact)?,
            close: millibits("weights.close", self.close)?,
            partial: millibits("weights.partial", self.partial)?,
            household: millibits("weights.household", self.household)?,
            different: millibits("weights.different", self.different)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_model_is_valid_and_holds_the_promised_thresholds() {
        let model = Model::shipped();
        assert_eq!(model.link_min, Confidence(950_000));
        assert_eq!(model.review_min, Confidence(700_000));
        assert_eq!(model.generic_max, 10);
        assert_eq!(model.weight_millibits(Feature::Email, Level::Exact), 13_000);
        assert_eq!(model.weight_millibits(Feature::Email, Level::Generic), 0);
    }

    fn check(from: &str, to: &str, expected: &str) {
        assert!(SHIPPED.contains(from), "{from}");
        let error = Model::parse(&SHIPPED.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_misspelt_or_impossible_entry_is_refused() {
        check("duns = {", "dnus = {", "dnus");
        check("pair_bits = -14.0", "pair_bits = -65.0", "prior.pair_bits is -65");
        check("review_min = 0.70", "review_min = 0.95", "link_min");
        check("records_per_system_max = 10", "records_per_system_max = 0", "1 to 1000");
        check("exact = 24.0", "exact = nan", "weights.exact");
    }
}
