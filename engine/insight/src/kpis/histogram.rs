//! A histogram of whole numbers whose quantiles are off by less than 1 %.
//!
//! Numbers below 256 have a bucket each; above, each power of two is cut into 128 buckets of equal
//! width, so that a bucket is at most 1/128 of the numbers in it wide.

use std::collections::BTreeMap;

/// Buckets per power of two, as a power of two.
const SPLIT_BITS: u32 = 7;

/// Counts of numbers by bucket. Empty buckets take no room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u16, u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    /// Counts a number.
    pub fn record(&mut self, value: u64) {
        *self.buckets.entry(bucket_of(value)).or_default() += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many numbers were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest, exactly; none if nothing was counted.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The smallest number that at least `per_mille` thousandths of all do not exceed, told as the
    /// largest of its bucket; none if nothing was counted.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let rank = (self.count * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some(largest_in(*bucket).min(self.max));
            }
        }
        None
    }
}

fn bucket_of(value: u64) -> u16 {
    let shift = shift_of(value);
    // At most (63 - 7) * 128 + 255.
    u16::try_from((u64::from(shift) << SPLIT_BITS) + (value >> shift)).expect("a bucket number is below 7,424")
}

/// How many low bits of `value` its bucket ignores.
fn shift_of(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).saturating_sub(SPLIT_BITS + 1)
}

fn largest_in(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let exact = 1 << (SPLIT_BITS + 1);
    if bucket < exact {
        return bucket;
    }
    let shift = (bucket >> SPLIT_BITS) - 1;
    let within = bucket - (shift << SPLIT_BITS);
    (within << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_numbers_and_the_largest_are_exact() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(950), histogram.max()), (None, None));
        histogram.record(420_000);
        assert_eq!((histogram.quantile(950), histogram.max()), (Some(420_000), Some(420_000)));
        for value in 0..255 {
            histogram.record(value);
        }
        assert_eq!(histogram.quantile(500), Some(127));
        assert_eq!(histogram.quantile(0), Some(0));
        assert_eq!(histogram.quantile(1_000), Some(420_000));
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let mut histogram = Histogram::default();
        for value in 1..=20 {
            histogram.record(value);
        }
        assert_eq!(histogram.quantile(950), Some(19));
        assert_eq!(histogram.quantile(951), Some(20));
    }

    proptest! {
        #[test]
        fn a_bucket_is_less_than_one_percent_wide(value in any::<u64>()) {
            let told = largest_in(bucket_of(value));
            prop_assert!(told >= value);
            prop_assert!(u128::from(told - value) * 100 < u128::from(value.max(1)));
        }

        #[test]
        fn merging_is_the_same_as_counting_together(a in prop::collection::vec(0_u64..1 << 40, 0..50), b in prop::collection::vec(0_u64..1 << 40, 0..50)) {
            let (mut left, mut right, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
            a.iter().for_each(|value| { left.record(*value); both.record(*value); });
            b.iter().for_each(|value| { right.record(*value); both.record(*value); });
            left.merge(&right);
            prop_assert_eq!(left, both);
        }
    }
}
