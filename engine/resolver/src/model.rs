//! The model as it decides: parameters checked and turned into weights.

use compact_str::CompactString;
use hashbrown::HashMap;
use ontology::Vocabulary;

use crate::confidence::Confidence;
use crate::feature::{Feature, Group, Level, TERM_FEATURES};
use crate::parameters::{Parameters, Probabilities, Terms};

/// No weight or prior lies outside this many bits either way: sums then stay far from overflow.
const BITS_MAX: f64 = 64.0;

/// Rarity counts this many bits either way at most.
const RARITY_BITS_MAX: f64 = 8.0;

/// Pairs below this are forgotten unless a person or a caller has to do with them: proposing the pair
/// again is cheaper than keeping it.
pub(crate) const KEPT_MIN: Confidence = Confidence(50_000);

/// Why a model cannot be used.
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
    /// A name that nothing has.
    #[error("parse model: no {what} is called {name}")]
    Unknown {
        /// Feature or level.
        what: &'static str,
        /// The name.
        name: CompactString,
    },
    /// A level that comparing the feature never gives.
    #[error("parse model: {feature} has no level {level}")]
    Level {
        /// The feature.
        feature: &'static str,
        /// The level.
        level: &'static str,
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
    /// Records of one system that a block may hold before it is refined or retired.
    pub block_max: u32,
    /// Whether a number that one customer alone shows links a caller, and how surely.
    pub sole_customer: Option<Confidence>,
    /// Whether given names that do not agree are weighed like all else, or left to a person.
    pub(crate) weighs_given_names: bool,
    pub(crate) prior_millibits: i32,
    pub(crate) caller_prior_millibits: i32,
    pub(crate) home_millibits: i32,
    pub(crate) moved_millibits: i32,
    pub(crate) free_mail: Vec<CompactString>,
    /// Per feature and level: log2(m/u), thousandths.
    weights: [[i32; Level::COUNT]; Feature::COUNT],
    /// Per feature and level: log2(home/u), thousandths.
    home_weights: [[i32; Level::COUNT]; Feature::COUNT],
    /// Per feature: the most that any level is worth.
    best: [i32; Feature::COUNT],
    /// Below this total a pair is forgotten, thousandths.
    pub(crate) kept_millibits: i32,
    /// In the order of the features with terms.
    terms: [Option<Rarities>; TERM_FEATURES.len()],
    /// Total millibits and the probability observed there.
    calibration: Vec<(i32, f64)>,
    parameters: Parameters,
}

/// How much rarer than usual the values of a feature are, in quarters of a bit.
#[derive(Debug, Clone, Default)]
struct Rarities {
    rest: i8,
    values: HashMap<CompactString, i8>,
}

impl Model {
    /// The model that ships with the hub.
    #[must_use]
    pub fn shipped() -> Self {
        Model::from_parameters(Parameters::shipped()).expect("the shipped model is valid, a test reads it")
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// The text is not a model, or a number in it is out of range.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Model::from_parameters(Parameters::parse(text)?)
    }

    /// A model of checked parameters.
    ///
    /// # Errors
    /// A number is out of range.
    pub fn from_parameters(parameters: Parameters) -> Result<Self, Error> {
        check(&parameters)?;
        let mut weights = [[0; Level::COUNT]; Feature::COUNT];
        let mut home_weights = [[0; Level::COUNT]; Feature::COUNT];
        for (feature, _) in Feature::ALL {
            for level in feature.levels() {
                let known = parameters.features[*feature as usize][*level as usize];
                let (weight, home) = weights_of(known)?;
                weights[*feature as usize][*level as usize] = weight;
                home_weights[*feature as usize][*level as usize] =
                    if feature.group() == Group::Home { home } else { 0 };
            }
        }
        let best = weights.map(|levels| levels.into_iter().max().unwrap_or(0).max(0));
        let terms = |feature: Feature| {
            let usual = parameters.features[feature as usize][Level::Exact as usize].u;
            parameters.terms.get(&feature).map(|terms| Rarities::of(terms, usual))
        };
        let mut free_mail = parameters.free_mail.clone();
        free_mail.sort_unstable();
        let points = parameters.calibration.iter();
        let mut model = Model {
            version: parameters.version.clone(),
            link_min: Confidence::of_probability(parameters.decision.link_min),
            review_min: Confidence::of_probability(parameters.decision.review_min),
            confidence_max: Confidence::of_probability(parameters.decision.confidence_max),
            generic_max: parameters.limits.generic_records_max,
            block_max: parameters.limits.block_records_max,
            sole_customer: parameters
                .callers
                .sole_customer_links
                .then(|| Confidence::of_probability(parameters.callers.sole_customer_confidence)),
            weighs_given_names: parameters.decision.weighs_given_names,
            prior_millibits: millibits("prior.pair_bits", parameters.prior.pair_bits)?,
            caller_prior_millibits: millibits("prior.caller_bits", parameters.prior.caller_bits)?,
            home_millibits: millibits("prior.home_bits", parameters.prior.home_bits)?,
            moved_millibits: millibits("prior.moved_bits", parameters.prior.moved_bits)?,
            free_mail,
            weights,
            home_weights,
            best,
            kept_millibits: 0,
            terms: TERM_FEATURES.map(terms),
            calibration: points
                .map(|[bits, p]| Ok((millibits("calibration", *bits)?, *p)))
                .collect::<Result<_, Error>>()?,
            parameters,
        };
        model.kept_millibits = model.first_kept();
        Ok(model)
    }

    /// The largest total in whole bits below which no pair is kept; calibration never falls.
    fn first_kept(&self) -> i32 {
        let whole = (-64..=64).map(|bits| bits * 1000);
        whole.take_while(|bits| self.confidence_of(*bits) < KEPT_MIN).last().unwrap_or(i32::MIN)
    }

    /// What the model was made of.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What a level of a feature is worth for its own, thousandths of a bit.
    pub(crate) fn weight_millibits(&self, feature: Feature, level: Level) -> i32 {
        self.weights[feature as usize][level as usize]
    }

    /// The most that any level of a feature is worth, thousandths of a bit.
    pub(crate) fn best_millibits(&self, feature: Feature) -> i32 {
        self.best[feature as usize]
    }

    /// How much more often a level is seen among two of one home than among strangers.
    pub(crate) fn home_weight_millibits(&self, feature: Feature, level: Level) -> i32 {
        self.home_weights[feature as usize][level as usize]
    }

    /// How much rarer than usual a value is, in quarters of a bit; negative if it is common.
    pub(crate) fn rarity_of(&self, feature: Feature, term: &str) -> i8 {
        let known = feature.term_place().and_then(|place| self.terms[place].as_ref());
        let Some(rarities) = known else { return 0 };
        rarities.values.get(term).copied().unwrap_or(rarities.rest)
    }

    /// The confidence that evidence of this total, in thousandths of a bit, deserves before any rule.
    #[must_use]
    pub fn confidence_of(&self, total_millibits: i32) -> Confidence {
        let (Some(first), Some(last)) = (self.calibration.first(), self.calibration.last()) else {
            return Confidence::of_millibits(total_millibits);
        };
        if total_millibits <= first.0 {
            return Confidence::of_probability(first.1);
        }
        if total_millibits >= last.0 {
            return Confidence::of_probability(last.1);
        }
        let above = self.calibration.partition_point(|(bits, _)| *bits <= total_millibits);
        let ((x0, p0), (x1, p1)) = (self.calibration[above - 1], self.calibration[above]);
        let share = f64::from(total_millibits - x0) / f64::from(x1 - x0);
        Confidence::of_probability(p0 + share * (p1 - p0))
    }
}

impl Rarities {
    fn of(terms: &Terms, usual: f64) -> Self {
        let quarters = |frequency: f64| -> i8 {
            if frequency <= 0.0 || usual <= 0.0 {
                return 0;
            }
            let bits = (usual / frequency).log2().clamp(-RARITY_BITS_MAX, RARITY_BITS_MAX);
            // At most 32 either way.
            (bits * 4.0).round_ties_even() as i8
        };
        let values = terms.values.iter().map(|(value, frequency)| (value.clone(), quarters(*frequency))).collect();
        Rarities { rest: quarters(terms.rest), values }
    }
}

/// The weights of one level: log2(m/u) and log2(home/u).
fn weights_of(known: Probabilities) -> Result<(i32, i32), Error> {
    let Probabilities { m, u, home } = known;
    if (m, u) == (0.0, 0.0) {
        return Ok((0, 0));
    }
    for (name, value) in [("m", m), ("u", u)] {
        if !(0.0 < value && value <= 1.0) {
            return Err(Error::Range { name, value, expected: "more than 0, at most 1" });
        }
    }
    if !(0.0..=1.0).contains(&home) {
        return Err(Error::Range { name: "home", value: home, expected: "0 to 1" });
    }
    let home = if home == 0.0 { u } else { home };
    Ok((millibits("m / u", (m / u).log2())?, millibits("home / u", (home / u).log2())?))
}

fn millibits(name: &'static str, bits: f64) -> Result<i32, Error> {
    if !(-BITS_MAX..=BITS_MAX).contains(&bits) {
        return Err(Error::Range { name, value: bits, expected: "-64 to 64 bits" });
    }
    // In range, as checked above.
    Ok((bits * 1000.0).round_ties_even() as i32)
}

fn check(parameters: &Parameters) -> Result<(), Error> {
    let (decision, callers) = (parameters.decision, parameters.callers);
    let (link_min, review_min, confidence_max) = (decision.link_min, decision.review_min, decision.confidence_max);
    let sole = callers.sole_customer_confidence;
    let probabilities = [
        ("decision.link_min", link_min, review_min < link_min && link_min < 1.0),
        ("decision.review_min", review_min, 0.0 < review_min && review_min < link_min),
        // Spec 4.2 promises 0.99 where a key and another feature agree.
        ("decision.confidence_max", confidence_max, (0.99..=1.0).contains(&confidence_max)),
        ("callers.sole_customer_confidence", sole, (link_min..=confidence_max).contains(&sole)),
    ];
    for (name, value, fits) in probabilities {
        if !fits {
            let expected = "0 < review_min < link_min < 1, 0.99 <= confidence_max <= 1, callers between";
            return Err(Error::Range { name, value, expected });
        }
    }
    let limits = [
        ("limits.generic_records_max", parameters.limits.generic_records_max),
        ("limits.block_records_max", parameters.limits.block_records_max),
    ];
    for (name, value) in limits {
        // A block inline in the index holds two records and is never past its limit.
        if !(2..=1000).contains(&value) {
            return Err(Error::Range { name, value: f64::from(value), expected: "2 to 1000 records" });
        }
    }
    if let Some(feature) = parameters.terms.keys().find(|feature| !TERM_FEATURES.contains(feature)) {
        return Err(Error::Level { feature: feature.name(), level: "terms" });
    }
    let rises = |pair: &[[f64; 2]]| pair[0][0] < pair[1][0] && pair[0][1] <= pair[1][1];
    let in_range = parameters.calibration.iter().all(|[_, p]| (0.0..=1.0).contains(p));
    if !in_range || !parameters.calibration.windows(2).all(rises) {
        let value = parameters.calibration.len() as f64;
        return Err(Error::Range { name: "calibration", value, expected: "points that rise in bits and probability" });
    }
    Ok(())
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

    fn check(change: impl Fn(&mut Parameters), expected: &str) {
        let mut parameters = Parameters::shipped();
        change(&mut parameters);
        let error = Model::from_parameters(parameters).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn impossible_numbers_are_refused() {
        check(|p| p.prior.pair_bits = -65.0, "prior.pair_bits is -65");
        check(|p| p.decision.review_min = 0.95, "link_min");
        check(|p| p.limits.generic_records_max = 0, "2 to 1000");
        check(|p| p.features[0][Level::Exact as usize].m = f64::NAN, "m is NaN");
        check(|p| p.features[0][Level::Exact as usize].u = 0.0, "u is 0");
        check(|p| p.calibration = vec![[1.0, 0.9], [2.0, 0.8]], "rise");
        check(|p| drop(p.terms.insert(Feature::Email, Terms::default())), "email has no level terms");
    }

    #[test]
    fn a_curve_is_read_between_its_points() {
        let mut parameters = Parameters::shipped();
        parameters.calibration = vec![[0.0, 0.2], [2.0, 0.6]];
        let model = Model::from_parameters(parameters).unwrap();
        let read = [-1000, 0, 1000, 2000, 9000].map(|bits| model.confidence_of(bits).0);
        assert_eq!(read, [200_000, 200_000, 400_000, 600_000, 600_000]);
        assert_eq!(Model::shipped().confidence_of(0), Confidence(500_000));
    }

    #[test]
    fn common_values_count_less_and_rare_ones_more() {
        let mut parameters = Parameters::shipped();
        let usual = parameters.features[Feature::FamilyName as usize][Level::Exact as usize].u;
        let values = [("smith".into(), usual * 4.0), ("quist".into(), usual / 1e6)].into();
        parameters.terms.insert(Feature::FamilyName, Terms { rest: usual / 2.0, values });
        let model = Model::from_parameters(parameters).unwrap();
        let rarity = |value| model.rarity_of(Feature::FamilyName, value);
        assert_eq!((rarity("smith"), rarity("quist"), rarity("other")), (-8, 32, 4));
        assert_eq!(model.rarity_of(Feature::GivenName, "smith"), 0);
    }
}
