//! Whether pairs are one party as often as they were said to be.

use serde::Serialize;

use super::interval::wilson;
use crate::outcome::Pair;

/// Where bins of probability begin, in millionths: finer towards certainty, where decisions are made.
const EDGES: &[u32] = &[0, 10_000, 100_000, 300_000, 500_000, 700_000, 800_000, 900_000, 950_000, 990_000, 999_000];

/// Pairs of about the same probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// Probabilities from and below, such as `0.900-0.950`.
    pub bin: String,
    /// Mean probability that was promised.
    pub predicted: f64,
    /// Share that is one party.
    pub observed: f64,
    /// Lower end of the share's 95 % interval.
    pub observed_low: f64,
    /// Upper end of it.
    pub observed_high: f64,
    /// Number of pairs.
    pub n: u64,
}

/// The bins that hold pairs, by rising probability.
pub(super) fn bins(pairs: &[(Pair, bool)]) -> Vec<Bin> {
    let mut sums = vec![[0_u64; 3]; EDGES.len()];
    for (pair, is_right) in pairs {
        let bin = EDGES.partition_point(|edge| *edge <= pair.millionths).saturating_sub(1);
        sums[bin][0] += 1;
        sums[bin][1] += u64::from(pair.millionths);
        sums[bin][2] += u64::from(*is_right);
    }
    let told = |(at, [n, millionths, right]): (usize, [u64; 3])| {
        let (observed_low, observed_high) = wilson(right, n);
        let edge = |at: usize| EDGES.get(at).map_or(1.0, |edge| f64::from(*edge) / 1e6);
        Bin {
            bin: format!("{:.3}-{:.3}", edge(at), edge(at + 1)),
            predicted: millionths as f64 / n as f64 / 1e6,
            observed: right as f64 / n as f64,
            observed_low,
            observed_high,
            n,
        }
    };
    sums.into_iter().enumerate().filter(|(_, [n, ..])| *n > 0).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Decision;

    #[test]
    fn pairs_fall_into_bins_at_their_lower_edge() {
        let pair = |millionths| Pair { left: 0, right: 1, millionths, millibits: 0, decision: Decision::None, why: "" };
        let pairs = [(pair(950_000), true), (pair(949_999), false), (pair(1_000_000), true), (pair(960_000), false)];
        let found = bins(&pairs);
        let told: Vec<_> = found.iter().map(|bin| (bin.bin.as_str(), bin.n, bin.observed)).collect();
        assert_eq!(told, [("0.900-0.950", 1, 0.0), ("0.950-0.990", 2, 0.5), ("0.999-1.000", 1, 1.0)]);
        assert!((found[1].predicted - 0.955).abs() < 1e-9);
        assert_eq!(bins(&[]), []);
    }
}
