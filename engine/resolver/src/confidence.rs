//! Confidence as an integer, so that comparing and storing it is exact.

use std::fmt;

/// How sure the resolver is that two records are one customer: millionths, 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(pub u32);

impl Confidence {
    /// Certainty: a person's link.
    pub const CERTAIN: Confidence = Confidence(1_000_000);

    /// The confidence of evidence worth `millibits` (thousandths of log2 odds), rounded half to even.
    #[must_use]
    pub fn of_millibits(millibits: i32) -> Self {
        let odds_against = (-f64::from(millibits) / 1000.0).exp2();
        Confidence::of_probability(1.0 / (1.0 + odds_against))
    }

    /// A probability, clamped to [0, 1] and rounded half to even to millionths.
    #[must_use]
    pub fn of_probability(probability: f64) -> Self {
        let millionths = (probability.clamp(0.0, 1.0) * 1e6).round_ties_even();
        // Clamped above, so the conversion neither truncates nor wraps.
        Confidence(millionths as u32)
    }

    /// The largest confidence below this one.
    #[must_use]
    pub fn just_below(self) -> Self {
        Confidence(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_millionths() {
        assert_eq!(Confidence::of_millibits(0), Confidence(500_000));
        assert_eq!(Confidence::of_millibits(1000), Confidence(666_667));
        assert_eq!(Confidence::of_millibits(-1000), Confidence(333_333));
        assert_eq!(Confidence::of_millibits(i32::MAX), Confidence::CERTAIN);
        assert_eq!(Confidence::of_millibits(i32::MIN), Confidence(0));
    }

    #[test]
    fn halves_round_to_even_and_bounds_hold() {
        assert_eq!(Confidence::of_probability(0.000_000_5), Confidence(0));
        assert_eq!(Confidence::of_probability(0.000_001_5), Confidence(2));
        assert_eq!(Confidence::of_probability(1.5), Confidence::CERTAIN);
        assert_eq!(Confidence::of_probability(f64::NAN), Confidence(0));
        assert_eq!(Confidence(949_999).to_string(), "0.949999");
    }
}
