//! A model from the user's own records, labelled or not.

mod report;

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use hashbrown::HashMap;
use ontology::Vocabulary;
use resolver::learn::{
    Chances, Curve, Estimate, Fitted, LEVELS_MAX, Labelled, Mixture, Pattern, Priors, Rule, Shape, chance_of_unrelated,
    priors, random_pairs,
};
use resolver::{BlockKind, Feature, Group, Level, Levels, Model, Parameters, Probabilities, Resolver, Terms};

use crate::error::Error;
use crate::evaluate::{Labels, Truth};
use crate::load::{Deciding, Loaded, load};
use crate::map::Linking;
use crate::progress::Progress;
use crate::records::{Inputs, Records};

pub use report::{CalibrationReport, FeatureReport, LevelReport, RuleReport, TrainReport};

/// Random pairs that chances among unrelated records are read off.
const RANDOM_PAIRS: usize = 1_000_000;

/// Seed of the random pairs: the same tables give the same model.
const SEED: u64 = 0x6f70_7368_7562;

/// Values of a feature whose frequency the model keeps.
const TERMS_MAX: usize = 5_000;

/// Records that a value must be on for its frequency to be kept.
const TERM_RECORDS_MIN: u64 = 2;

/// The most that a trained model claims: pairs above all doubt still have an order among them.
const CONFIDENCE_MAX: f64 = 0.999_999;

/// Matches from which a model knows how often one person's given names differ: five times as many as
/// the shipped model counts for.
const FAMILIES_MATCHES_MIN: f64 = 1_000.0;

/// Rounds in which matches among random pairs are discounted and chances fitted anew.
const ROUNDS: usize = 2;

/// A trained model with what it was learned from.
#[derive(Debug)]
pub struct Trained {
    /// What the model file holds.
    pub parameters: Parameters,
    /// What was learned, and how surely.
    pub report: TrainReport,
}

/// Learns a model from tables. `name` begins its version. `labels` say which records are one
/// party, where somebody knows: chances are learned without them, and the curve from score to
/// probability with them.
///
/// # Errors
/// A file cannot be read on, the columns do not fit the resolver, or there are too few records.
pub fn train(
    inputs: &Inputs,
    name: &str,
    labels: Option<&Labels>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Trained, Error> {
    let shipped = Parameters::shipped();
    let loaded = load(inputs.open(None)?, Model::shipped(), Deciding::Never, on_progress)?;
    on_progress(Progress::Counting);
    let evidence = Evidence::of(&loaded);
    on_progress(Progress::Fitting);
    let shapes = shapes(&shipped);
    let learned = evidence.learn(&shapes, start(&shipped));
    let mut parameters = learned.parameters(shipped, &shapes);
    parameters.terms = terms(&loaded.resolver);
    parameters.calibration = Vec::new();
    parameters.decision.confidence_max = CONFIDENCE_MAX;
    parameters.decision.weighs_given_names = learned.shares.match_share * evidence.pairs >= FAMILIES_MATCHES_MIN;
    let calibration = match labels {
        Some(labels) => curve(inputs, labels, &parameters, on_progress)?,
        None => None,
    };
    if let Some(drawn) = &calibration {
        parameters.calibration.clone_from(&drawn.curve.knots);
    }
    parameters.version = version(name, &parameters);
    let report = report::of(&parameters, &evidence, &learned, &loaded, calibration.as_ref());
    Ok(Trained { parameters, report })
}

/// The curve with the labels that it was drawn through.
struct Calibration {
    curve: Curve,
    labels: usize,
    matches: usize,
}

/// Name and a hash of all that the model holds: two models of one version decide alike.
pub(crate) fn version(name: &str, parameters: &Parameters) -> CompactString {
    let mut unnamed = parameters.clone();
    unnamed.version = CompactString::default();
    let hash = xxhash_rust::xxh3::xxh3_64(unnamed.to_toml().as_bytes());
    format_compact!("{name}-{:08x}", hash >> 32)
}

/// Patterns counted over a table.
struct Evidence {
    /// Patterns of random pairs.
    random: Vec<Pattern>,
    /// Patterns of the candidates, by kind of blocking key.
    rules: Vec<Rule>,
    /// Patterns of all candidates, each pair once.
    candidates: Vec<Pattern>,
    /// Number of pairs that may be one party.
    pairs: f64,
}

type Tally = HashMap<Levels, u64>;

impl Evidence {
    fn of(loaded: &Loaded) -> Self {
        let Loaded { resolver, records, .. } = loaded;
        let count = u32::try_from(records.len()).expect("fewer than 2^32 records");
        let mut random = Tally::new();
        for (a, b) in random_pairs(count, RANDOM_PAIRS, SEED) {
            if records.may_be_one(a, b)
                && let Some(levels) = resolver.compare(a, b)
            {
                *random.entry(levels).or_default() += 1;
            }
        }
        let mut by_kind: Vec<Tally> = vec![Tally::new(); BlockKind::ALL.len()];
        let mut all = Tally::new();
        resolver.for_each_candidate(|_, _, levels, met| {
            *all.entry(levels).or_default() += 1;
            for kind in met.iter() {
                *by_kind[usize::from(kind.code())].entry(levels).or_default() += 1;
            }
        });
        let rule = |((kind, name), tally): (&(BlockKind, &str), &Tally)| Rule {
            name: (*name).to_owned(),
            fixed: kind.fixes().iter().map(|feature| *feature as u8).collect(),
            patterns: patterns(tally),
        };
        Evidence {
            random: patterns(&random),
            rules: BlockKind::ALL.iter().zip(&by_kind).map(rule).filter(|rule| !rule.patterns.is_empty()).collect(),
            candidates: patterns(&all),
            pairs: records.pairs(),
        }
    }

    fn learn(&self, shapes: &[Shape], start: Priors) -> Learned {
        let mut unrelated = chance_of_unrelated(shapes, &self.random, None);
        let mut fitted = self.fit(shapes, &unrelated);
        let mut shares = priors(&fitted.estimates, &self.candidates, self.pairs, start);
        for _ in 0..ROUNDS {
            let known = Some((fitted.estimates.as_slice(), shares.match_share));
            unrelated = chance_of_unrelated(shapes, &self.random, known);
            fitted = self.fit(shapes, &unrelated);
            shares = priors(&fitted.estimates, &self.candidates, self.pairs, shares);
        }
        Learned { fitted, shares }
    }

    fn fit(&self, shapes: &[Shape], unrelated: &[Chances]) -> Fitted {
        Mixture { shapes, unrelated, rules: &self.rules }.fit()
    }
}

/// What patterns taught.
struct Learned {
    fitted: Fitted,
    shares: Priors,
}

impl Learned {
    /// The shipped parameters with what was learned in their place.
    fn parameters(&self, mut shipped: Parameters, shapes: &[Shape]) -> Parameters {
        for ((row, estimate), shape) in shipped.features.iter_mut().zip(&self.fitted.estimates).zip(shapes) {
            for level in shape.levels.iter().map(|level| usize::from(*level)) {
                row[level] = Probabilities { m: estimate.m[level], u: estimate.u[level], home: estimate.home[level] };
            }
        }
        shipped.prior.pair_bits = (self.shares.match_share / (1.0 - self.shares.match_share)).log2();
        shipped.prior.home_bits = self.shares.home_share.log2();
        shipped.prior.moved_bits = moved_bits(&self.fitted.estimates[Feature::Address as usize]);
        shipped
    }
}

/// Log2 of the share of matches whose addresses differ: that many moved.
fn moved_bits(address: &Estimate) -> f64 {
    let said: f64 = address.m.iter().sum();
    let differ = address.m[Level::Different as usize];
    if said > 0.0 { (differ / said).clamp(1e-4, 1.0).log2() } else { 0.0 }
}

/// What the shipped model knows of each feature.
fn shapes(shipped: &Parameters) -> Vec<Shape> {
    let shape = |((feature, _), row): (&(Feature, &str), &[Probabilities; Level::COUNT])| {
        let mut start = Estimate { m: [0.0; LEVELS_MAX], u: [0.0; LEVELS_MAX], home: [0.0; LEVELS_MAX] };
        for (level, chances) in row.iter().enumerate() {
            (start.m[level], start.u[level], start.home[level]) = (chances.m, chances.u, chances.home);
        }
        Shape {
            levels: feature.levels().iter().map(|level| *level as u8).collect(),
            is_home: feature.group() == Group::Home,
            start,
        }
    };
    Feature::ALL.iter().zip(&shipped.features).map(shape).collect()
}

fn start(shipped: &Parameters) -> Priors {
    Priors { match_share: shipped.prior.pair_bits.exp2(), home_share: shipped.prior.home_bits.exp2() }
}

fn patterns(tally: &Tally) -> Vec<Pattern> {
    let says = |level: u8| level != Level::Silent as u8 && level != Level::Generic as u8;
    let pattern = |(levels, count): (&Levels, &u64)| {
        let each = (0..Feature::COUNT).map(|feature| (feature as u8, levels.index(feature)));
        Pattern { levels: each.filter(|(_, level)| says(*level)).collect(), count: *count }
    };
    let mut patterns: Vec<Pattern> = tally.iter().map(pattern).collect();
    patterns.sort_unstable();
    patterns
}

/// How frequent values are, for features of which agreement is worth more the rarer the value.
fn terms(resolver: &Resolver) -> BTreeMap<Feature, Terms> {
    let features = Feature::ALL.iter().map(|(feature, _)| *feature).filter(|feature| feature.has_terms());
    features.filter_map(|feature| Some((feature, terms_of(resolver, feature)?))).collect()
}

/// Frequencies of one feature's values; none if no record has any.
fn terms_of(resolver: &Resolver, feature: Feature) -> Option<Terms> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for term in resolver.slots().filter_map(|slot| resolver.term_of(slot, feature)) {
        *counts.entry(term).or_default() += 1;
    }
    let records: u64 = counts.values().sum();
    if records == 0 {
        return None;
    }
    let mut frequent: Vec<(&str, u64)> = counts.into_iter().collect();
    frequent.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let listed = frequent.iter().take(TERMS_MAX).take_while(|(_, n)| *n >= TERM_RECORDS_MIN).count();
    let share = |n: u64| n as f64 / records as f64;
    let rest = &frequent[listed..];
    Some(Terms {
        rest: if rest.is_empty() { share(1) } else { share(rest.iter().map(|(_, n)| n).sum()) / rest.len() as f64 },
        values: frequent[..listed].iter().map(|(term, n)| (CompactString::from(*term), share(*n))).collect(),
    })
}

/// The curve from the model's bits to the share of candidates that are one party; none if the labels
/// say only one thing. The tables are read again: how rare a record's values are is looked up in the
/// model that the resolver has when the record comes.
fn curve(
    inputs: &Inputs,
    labels: &Labels,
    parameters: &Parameters,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Option<Calibration>, Error> {
    let model = Model::from_parameters(parameters.clone())
        .map_err(|error| Error::TooLittle { attempted: "check the trained model", why: error.to_string() })?;
    let Loaded { resolver, records, .. } = load(inputs.open(labels.column())?, model, Deciding::Never, on_progress)?;
    let pairs = labels.pairs(&records)?;
    let truth = if pairs.is_some() { Truth::default() } else { labels.truth(&records)? };
    let answer = |left: u32, right: u32| match &pairs {
        Some(pairs) => pairs.get(&(left.min(right), left.max(right))).copied(),
        None => truth.of(left).zip(truth.of(right)).map(|(one, other)| one == other),
    };
    let mut labelled = Vec::new();
    resolver.for_each_candidate(|left, right, levels, _| {
        if let Some(is_match) = answer(left, right)
            && let Some((millibits, _)) = resolver.score_by(resolver.model(), left, right, levels)
        {
            labelled.push(Labelled { bits: f64::from(millibits) / 1e3, is_match });
        }
    });
    let matches = labelled.iter().filter(|label| label.is_match).count();
    Ok(Curve::through(&labelled).map(|curve| Calibration { curve, labels: labelled.len(), matches }))
}

impl Records {
    /// Whether the map lets two records be one party.
    fn may_be_one(&self, a: u32, b: u32) -> bool {
        self.linking == Linking::All || self.source_of(a) != self.source_of(b)
    }

    /// Number of pairs that may be one party.
    fn pairs(&self) -> f64 {
        let of = |records: usize| records as f64 * (records as f64 - 1.0) / 2.0;
        let within = match self.linking {
            Linking::All => 0.0,
            Linking::Across => self.source_sizes().into_iter().map(of).sum(),
        };
        of(self.len()) - within
    }
}
