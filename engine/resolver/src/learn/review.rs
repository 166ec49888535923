//! What a review teaches: probabilities of the scores that people were asked about.
//!
//! A review holds the pairs of which the model was unsure, and no others. Its decisions say what such
//! pairs are worth, and nothing about pairs that score higher or lower: a curve drawn through them
//! alone would promise of a certain pair what it promises of the best doubtful one. So the model's own
//! probabilities are kept, and only the band that was decided on is redrawn; and where few decided,
//! the model's word outweighs theirs.

use super::calibration::{Curve, Labelled, Method};

/// Decisions that what the model promises counts for, in every step.
const MODEL_DECISIONS: f64 = 50.0;

/// Decisions that a step of the curve holds at least.
const STEP_DECISIONS_MIN: f64 = 25.0;

/// Bits between two knots where the model's own probabilities are kept.
const KNOT_BITS: f64 = 0.25;

/// Bits beyond which probabilities differ from 0 and 1 by less than a millionth.
const BITS_MAX: f64 = 20.0;

/// Decisions on pairs of about one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReviewStep {
    /// Mean score of the pairs, in bits.
    pub bits: f64,
    /// Number of decisions.
    pub decisions: f64,
    /// How many of them said that the pair is one party.
    pub accepted: f64,
    /// Mean probability that the model promises.
    pub promised: f64,
}

impl ReviewStep {
    /// The probability after the review.
    #[must_use]
    pub fn corrected(&self) -> f64 {
        (self.accepted + MODEL_DECISIONS * self.promised) / (self.decisions + MODEL_DECISIONS)
    }

    fn join(&mut self, other: ReviewStep) {
        let all = self.decisions + other.decisions;
        let mean = |one: f64, two: f64| (one * self.decisions + two * other.decisions) / all;
        (self.bits, self.promised) = (mean(self.bits, other.bits), mean(self.promised, other.promised));
        (self.decisions, self.accepted) = (all, self.accepted + other.accepted);
    }
}

/// Decisions in steps of rising score, each with a higher corrected probability than the one before.
#[must_use]
pub fn review_steps(decisions: &[Labelled], promised: impl Fn(f64) -> f64) -> Vec<ReviewStep> {
    let mut sorted = decisions.to_vec();
    sorted.sort_by(|a, b| a.bits.total_cmp(&b.bits).then(a.is_match.cmp(&b.is_match)));
    let mut steps: Vec<ReviewStep> = Vec::new();
    let mut last_bits = f64::NAN;
    for Labelled { bits, is_match } in sorted {
        let accepted = f64::from(u8::from(is_match));
        let one = ReviewStep { bits, decisions: 1.0, accepted, promised: promised(bits) };
        match steps.last_mut() {
            // Equal scores are one step, and a step is filled before the next begins.
            Some(step) if bits == last_bits || step.decisions < STEP_DECISIONS_MIN => step.join(one),
            Some(_) | None => steps.push(one),
        }
        last_bits = bits;
    }
    if let [.., before, last] = &mut steps[..]
        && last.decisions < STEP_DECISIONS_MIN
    {
        before.join(*last);
        steps.pop();
    }
    let mut rising: Vec<ReviewStep> = Vec::with_capacity(steps.len());
    for mut step in steps {
        while let Some(before) = rising.last()
            && before.corrected() >= step.corrected()
        {
            step.join(*before);
            rising.pop();
        }
        rising.push(step);
    }
    rising
}

/// The probabilities of a model with those of the decided scores redrawn through `steps`; none
/// without steps. `band` are the lowest and the highest score that was decided on.
#[must_use]
pub fn review_curve(steps: &[ReviewStep], band: [f64; 2], promised: impl Fn(f64) -> f64) -> Option<Curve> {
    let (first, last) = (steps.first()?, steps.last()?);
    let [low, high] = band;
    let count = (2.0 * BITS_MAX / KNOT_BITS) as usize;
    let grid = (0..=count).map(|at| at as f64 * KNOT_BITS - BITS_MAX);
    let below = grid.clone().filter(|bits| *bits < low);
    let below = below.map(|bits| [bits, promised(bits).min(first.corrected())]);
    let within = steps.iter().map(|step| [step.bits, step.corrected()]);
    let above = grid.filter(|bits| *bits > high).map(|bits| [bits, promised(bits).max(last.corrected())]);
    Some(Curve { method: Method::Isotonic, knots: below.chain(within).chain(above).collect() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn logistic(bits: f64) -> f64 {
        1.0 / (1.0 + (-bits).exp2())
    }

    /// `n` decisions at each score, of which a share says yes.
    fn decisions(points: &[(f64, f64)], n: usize) -> Vec<Labelled> {
        let at = |(bits, share): &(f64, f64)| {
            let (bits, accepted) = (*bits, (share * n as f64).round() as usize);
            (0..n).map(move |i| Labelled { bits, is_match: i < accepted })
        };
        points.iter().flat_map(at).collect()
    }

    fn curve(points: &[(f64, f64)], n: usize) -> Curve {
        let steps = review_steps(&decisions(points, n), logistic);
        review_curve(&steps, [points[0].0, points[points.len() - 1].0], logistic).unwrap()
    }

    #[test]
    fn scores_that_nobody_decided_on_keep_what_the_model_promises() {
        let found = curve(&[(1.5, 0.2), (2.5, 0.3), (4.0, 0.4)], 400);
        for bits in [-15.0, -3.0, 6.0, 12.0, 19.0] {
            assert!((found.at(bits) - logistic(bits)).abs() < 0.01, "{bits}: {}", found.at(bits));
        }
        assert!(found.at(0.5) <= found.at(1.5), "what scores less is never promised more: {:?}", found.knots);
        assert!(found.at(6.0) > 0.98 && found.at(19.0) > 0.999_99);
        assert!(found.at(4.0) < 0.5 && found.at(1.5) < 0.3, "{:?}", found.knots);
    }

    #[test]
    fn many_decisions_outweigh_the_model_and_few_do_not() {
        let promised = logistic(2.0);
        assert!((curve(&[(2.0, 0.1)], 5_000).at(2.0) - 0.1).abs() < 0.02);
        assert!((curve(&[(2.0, 0.1)], 3).at(2.0) - promised).abs() < 0.05);
        let evenly = ReviewStep { bits: 2.0, decisions: MODEL_DECISIONS, accepted: 0.0, promised };
        assert!((evenly.corrected() - promised / 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_unanimous_review_lifts_a_pair_over_the_gate_only_if_it_is_large() {
        assert!(curve(&[(2.5, 1.0)], 30).at(2.5) < 0.95);
        assert!(curve(&[(2.5, 1.0)], 200).at(2.5) > 0.95);
    }

    #[test]
    fn the_curve_never_falls_whatever_people_decide() {
        for points in [[(1.3, 1.0), (2.0, 0.0), (4.2, 0.5)], [(1.3, 0.0), (2.0, 1.0), (4.2, 1.0)]] {
            let found = curve(&points, 300);
            assert!(found.knots.windows(2).all(|w| w[0][0] < w[1][0] && w[0][1] <= w[1][1]), "{:?}", found.knots);
        }
    }

    #[test]
    fn without_decisions_there_is_no_curve() {
        assert_eq!(review_steps(&[], logistic), []);
        assert_eq!(review_curve(&[], [0.0, 0.0], logistic), None);
    }
}
