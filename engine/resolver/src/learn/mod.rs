//! Estimating a model from records that nobody has labelled, and calibrating it where somebody has.
//!
//! Pairs are seen as *patterns*: how well they agree on each feature. A pair belongs to one of three
//! classes, each with its own chance of every level of every feature:
//!
//! - *match*: two records of one party (`m`),
//! - *unrelated*: two records taken at random (`u`),
//! - *home*: two parties that share a household or a firm (`home`). They agree on what the home
//!   gives them (family name, address, number) and are unrelated in all else.
//!
//! [`chance_of_unrelated`] reads `u` off random pairs; [`Mixture::fit`] finds `m` and `home` by
//! expectation-maximisation over several training rules at once, each leaving out the features that
//! it fixes; [`priors`] counts how frequent the classes are; [`Curve`] maps scores to probabilities;
//! [`review_steps`] does so where people decided on the doubtful pairs alone.
//! Everything is a pure function of its arguments; seeds are arguments.
//!
//! Method: Fellegi and Sunter, "A theory for record linkage", JASA 64 (1969); Winkler, "Using the EM
//! algorithm for weight computation in the Fellegi-Sunter model of record linkage" (1988); pool
//! adjacent violators after Ayer et al. (1955); Platt (1999) for the curve from few labels.

mod calibration;
mod mixture;
mod priors;
mod review;
mod sample;
mod unrelated;

pub use calibration::{Curve, Labelled, METHODS, Method};
pub use mixture::{Fitted, Mixture, Rule};
pub use priors::{Priors, priors};
pub use review::{ReviewStep, review_curve, review_steps};
pub use sample::random_pairs;
pub use unrelated::chance_of_unrelated;

/// Largest number of levels of a feature, those that say nothing included.
pub const LEVELS_MAX: usize = 16;

/// The chance of each level of one feature in one class, by the level's index. Levels that say
/// nothing have none.
pub type Chances = [f64; LEVELS_MAX];

/// What is known of a feature before any pair is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Indexes of the levels that say something.
    pub levels: Vec<u8>,
    /// Whether a household or a firm gives it to its members.
    pub is_home: bool,
    /// Chances in the shipped model: where estimates begin, and what stands where data is silent.
    pub start: Estimate,
}

/// The chances of one feature's levels in the three classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Among records of one party.
    pub m: Chances,
    /// Among records taken at random.
    pub u: Chances,
    /// Among records of two parties of one home.
    pub home: Chances,
}

/// Pairs that agree alike: places of features with the index of their level, silent ones left out,
/// and how many pairs they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    /// Feature and level, by feature.
    pub levels: Box<[(u8, u8)]>,
    /// Number of pairs.
    pub count: u64,
}

impl Shape {
    /// The chances that `seen` (by level index) gives, drawn towards `towards` with the weight of
    /// `weight` pairs.
    fn drawn(&self, seen: &Chances, towards: &Chances, weight: f64) -> Chances {
        let total: f64 = self.levels.iter().map(|level| seen[usize::from(*level)]).sum();
        let mut chances = [0.0; LEVELS_MAX];
        for level in self.levels.iter().map(|level| usize::from(*level)) {
            chances[level] = (seen[level] + weight * towards[level]) / (total + weight);
        }
        chances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_drawn_to_the_start_as_far_as_data_is_few() {
        let mut towards = [0.0; LEVELS_MAX];
        (towards[2], towards[3]) = (0.9, 0.1);
        let shape =
            Shape { levels: vec![2, 3], is_home: false, start: Estimate { m: towards, u: towards, home: towards } };
        assert_eq!(shape.drawn(&[0.0; LEVELS_MAX], &towards, 20.0)[2], 0.9);
        let mut seen = [0.0; LEVELS_MAX];
        seen[3] = 20.0;
        assert!((shape.drawn(&seen, &towards, 20.0)[2] - 0.45).abs() < 1e-12);
        seen[3] = 1e9;
        assert!(shape.drawn(&seen, &towards, 20.0)[2] < 1e-6);
    }
}
