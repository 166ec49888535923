//! From scores to probabilities that hold what they promise.

use ontology::Vocabulary;

/// Pairs of which somebody said whether they are one party, with the score they had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelled {
    /// Log2 odds that the model gave.
    pub bits: f64,
    /// Whether they are one party.
    pub is_match: bool,
}

/// How a curve is drawn through labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The monotone step function nearest to the labels, its steps joined by lines.
    Isotonic,
    /// A logistic function of the score, for few labels.
    Platt,
}

/// The methods by name.
pub const METHODS: &[(Method, &str)] = Method::ALL;

impl Vocabulary for Method {
    const ALL: &'static [(Self, &'static str)] = &[(Method::Isotonic, "isotonic"), (Method::Platt, "platt")];
}

/// Fewer labels than this of either kind are too few for steps of their own.
const ISOTONIC_LABELS_MIN: usize = 200;

/// Labels that a step of the curve holds at least: what it promises is then known to a few per cent.
const STEP_LABELS_MIN: f64 = 25.0;

/// A monotone curve from bits to probability: knots by rising bits, straight lines between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// How it was drawn.
    pub method: Method,
    /// Bits and probability, both rising.
    pub knots: Vec<[f64; 2]>,
}

impl Curve {
    /// Draws a curve through labels: isotonic if there are enough of them, logistic if not; none if
    /// all labels say the same.
    #[must_use]
    pub fn through(labels: &[Labelled]) -> Option<Curve> {
        let matches = labels.iter().filter(|label| label.is_match).count();
        let others = labels.len() - matches;
        if matches == 0 || others == 0 {
            return None;
        }
        let method = if matches.min(others) >= ISOTONIC_LABELS_MIN { Method::Isotonic } else { Method::Platt };
        let knots = match method {
            Method::Isotonic => isotonic(labels),
            Method::Platt => platt(labels),
        };
        Some(Curve { method, knots })
    }

    /// The probability that the curve gives to a score.
    #[must_use]
    pub fn at(&self, bits: f64) -> f64 {
        let above = self.knots.partition_point(|knot| knot[0] <= bits);
        match (above.checked_sub(1).and_then(|at| self.knots.get(at)), self.knots.get(above)) {
            (Some([x0, y0]), Some([x1, y1])) => y0 + (y1 - y0) * (bits - x0) / (x1 - x0),
            (Some([_, y]), None) | (None, Some([_, y])) => *y,
            (None, None) => 1.0 / (1.0 + (-bits).exp2()),
        }
    }
}

/// A run of neighbouring labels that one step holds.
#[derive(Debug, Clone, Copy)]
struct Step {
    labels: f64,
    matches: f64,
    bits: f64,
}

impl Step {
    /// Share of matches, a little inside of what was seen: a step without a single exception does
    /// not promise that there is none (Laplace's rule).
    fn share(&self) -> f64 {
        (self.matches + 1.0) / (self.labels + 2.0)
    }

    fn join(&mut self, other: Step) {
        self.labels += other.labels;
        self.matches += other.matches;
        self.bits += other.bits;
    }
}

fn isotonic(labels: &[Labelled]) -> Vec<[f64; 2]> {
    let mut sorted = labels.to_vec();
    sorted.sort_by(|a, b| a.bits.total_cmp(&b.bits).then(a.is_match.cmp(&b.is_match)));
    let mut steps: Vec<Step> = Vec::new();
    let mut last_bits = f64::NAN;
    for label in sorted {
        let one = Step { labels: 1.0, matches: f64::from(u8::from(label.is_match)), bits: label.bits };
        match steps.last_mut() {
            // Equal scores are one step, and a step is filled before the next begins.
            Some(step) if label.bits == last_bits || step.labels < STEP_LABELS_MIN => step.join(one),
            Some(_) | None => steps.push(one),
        }
        last_bits = label.bits;
    }
    if let [.., before, last] = &mut steps[..]
        && last.labels < STEP_LABELS_MIN
    {
        before.join(*last);
        steps.pop();
    }
    rising(steps).iter().map(|step| [step.bits / step.labels, step.share()]).collect()
}

/// Joins steps until each is higher than the one before.
fn rising(steps: Vec<Step>) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::with_capacity(steps.len());
    for mut step in steps {
        while let Some(before) = kept.last()
            && before.share() >= step.share()
        {
            step.join(*before);
            kept.pop();
        }
        kept.push(step);
    }
    kept
}

/// Newton steps that fit a logistic function: it has two parameters and one optimum.
const NEWTON_STEPS: usize = 60;

/// Knots of the curve, in bits around the middle of the labels.
const PLATT_KNOTS: usize = 41;

/// The logistic function of the score that makes the labels most probable, told by knots. A weak
/// prior (slope 1 per bit, as the model claims) keeps it finite where labels part without overlap.
fn platt(labels: &[Labelled]) -> Vec<[f64; 2]> {
    const PRIOR_WEIGHT: f64 = 1.0;
    let scale = std::f64::consts::LN_2;
    let (mut slope, mut offset) = (scale, 0.0);
    for _ in 0..NEWTON_STEPS {
        let mut gradient = [PRIOR_WEIGHT * (scale - slope), -PRIOR_WEIGHT * offset];
        let mut curvature = [PRIOR_WEIGHT, 0.0, PRIOR_WEIGHT];
        for Labelled { bits, is_match } in labels {
            let promised = 1.0 / (1.0 + (-(slope * bits + offset)).exp());
            let missing = f64::from(u8::from(*is_match)) - promised;
            let weight = promised * (1.0 - promised);
            gradient = [gradient[0] + missing * bits, gradient[1] + missing];
            curvature = [curvature[0] + weight * bits * bits, curvature[1] + weight * bits, curvature[2] + weight];
        }
        let [a, b, c] = curvature;
        let determinant = a * c - b * b;
        let step =
            [(c * gradient[0] - b * gradient[1]) / determinant, (a * gradient[1] - b * gradient[0]) / determinant];
        // A curve that fell with the score would turn the order of pairs around.
        slope = (slope + step[0]).max(1e-3);
        offset += step[1];
        if step[0].abs().max(step[1].abs()) < 1e-9 {
            break;
        }
    }
    let reach = 20.0 / slope;
    let middle = -offset / slope;
    let knot = |at: usize| {
        let bits = middle + reach * (at as f64 / (PLATT_KNOTS - 1) as f64 * 2.0 - 1.0);
        [bits, 1.0 / (1.0 + (-(slope * bits + offset)).exp())]
    };
    (0..PLATT_KNOTS).map(knot).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// At each score the given share of `n` labels is a match.
    fn labels(points: &[(f64, f64)], n: usize) -> Vec<Labelled> {
        let at = |(bits, share): &(f64, f64)| {
            let (bits, matches) = (*bits, (share * n as f64).round() as usize);
            (0..n).map(move |i| Labelled { bits, is_match: i < matches })
        };
        points.iter().flat_map(at).collect()
    }

    #[test]
    fn many_labels_give_the_shares_that_they_show() {
        let curve = Curve::through(&labels(&[(-5.0, 0.02), (0.0, 0.3), (5.0, 0.8), (12.0, 0.97)], 1_000)).unwrap();
        assert_eq!(curve.method, Method::Isotonic);
        for (bits, share) in [(-5.0, 0.02), (0.0, 0.3), (5.0, 0.8), (12.0, 0.97), (99.0, 0.97), (-99.0, 0.02)] {
            assert!((curve.at(bits) - share).abs() < 0.005, "{bits}: {}", curve.at(bits));
        }
        assert!((curve.at(2.5) - 0.55).abs() < 0.01, "half way: {}", curve.at(2.5));
    }

    #[test]
    fn the_curve_never_falls() {
        let curve = Curve::through(&labels(&[(0.0, 0.5), (1.0, 0.3), (2.0, 0.4), (3.0, 0.9)], 500)).unwrap();
        assert!(curve.knots.windows(2).all(|w| w[0][0] < w[1][0] && w[0][1] < w[1][1]), "{:?}", curve.knots);
        assert!((curve.at(1.0) - 0.4).abs() < 0.01, "{}", curve.at(1.0));
    }

    #[test]
    fn few_labels_give_a_logistic_curve() {
        let curve = Curve::through(&labels(&[(-4.0, 0.05), (-1.0, 0.3), (1.0, 0.7), (4.0, 0.95)], 40)).unwrap();
        assert_eq!(curve.method, Method::Platt);
        assert!((curve.at(0.0) - 0.5).abs() < 0.02, "{}", curve.at(0.0));
        assert!(curve.at(4.0) > 0.9 && curve.at(-4.0) < 0.1);
        assert!(curve.knots.windows(2).all(|w| w[0][1] < w[1][1]));
    }

    #[test]
    fn labels_that_part_cleanly_stay_finite() {
        let curve = Curve::through(&labels(&[(-6.0, 0.0), (6.0, 1.0)], 30)).unwrap();
        assert!(curve.knots.iter().flatten().all(|value| value.is_finite()), "{:?}", curve.knots);
        assert!(curve.at(6.0) > 0.97 && curve.at(6.0) < 1.0);
    }

    #[test]
    fn labels_of_one_kind_draw_nothing() {
        assert_eq!(Curve::through(&labels(&[(3.0, 1.0)], 500)), None);
        assert_eq!(Curve::through(&[]), None);
    }
}
