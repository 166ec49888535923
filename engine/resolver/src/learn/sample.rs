//! Random pairs, the same for the same seed.

/// Draws before giving up on a pair that has not been drawn yet: two draws of one record are as
/// frequent as one in the number of records.
const DRAWS_MAX: usize = 64;

/// At most `wanted` pairs of `records` records, the smaller first, by `seed`. Where there are no
/// more pairs than wanted, all of them; otherwise a pair may come twice, rarely.
#[must_use]
pub fn random_pairs(records: u32, wanted: usize, seed: u64) -> Vec<(u32, u32)> {
    let all = u64::from(records) * u64::from(records.saturating_sub(1)) / 2;
    if all <= wanted as u64 {
        return (0..records).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    }
    let mut state = seed;
    let mut pairs = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        let drawn = (0..DRAWS_MAX).map(|_| (below(&mut state, records), below(&mut state, records)));
        pairs.extend(drawn.into_iter().find(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))));
    }
    pairs
}

/// A number below `bound`, by multiplication: its unevenness, below one in 2^32 / bound, is nothing
/// beside the sample's.
fn below(state: &mut u64, bound: u32) -> u32 {
    // The upper half of a product of two 32-bit numbers fits 32 bits.
    (((next(state) >> 32) * u64::from(bound)) >> 32) as u32
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_records_give_every_pair_once() {
        assert_eq!(random_pairs(3, 3, 1), [(0, 1), (0, 2), (1, 2)]);
        assert_eq!(random_pairs(1, 10, 1), []);
        assert_eq!(random_pairs(0, 10, 1), []);
    }

    #[test]
    fn many_records_give_as_many_pairs_as_wanted_evenly() {
        let pairs = random_pairs(1_000, 100_000, 7);
        assert_eq!(pairs.len(), 100_000);
        assert!(pairs.iter().all(|(a, b)| a < b && *b < 1_000));
        let low = pairs.iter().filter(|(a, _)| *a < 500).count();
        // Three quarters of all pairs have a record in the lower half.
        assert!((74_000..76_000).contains(&low), "{low}");
        assert_eq!(pairs, random_pairs(1_000, 100_000, 7));
        assert_ne!(pairs, random_pairs(1_000, 100_000, 8));
    }
}
