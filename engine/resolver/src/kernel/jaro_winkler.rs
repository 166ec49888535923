//! Jaro-Winkler similarity by bit parallelism.
//!
//! Words up to sixteen bytes, nearly all names, are searched sixteen places at a time: a byte is
//! compared with all places of the other word in a few operations on one wide integer. Longer words
//! take a table of places per byte value. With a cutoff most pairs end before any search, because
//! lengths and the common beginning bound what the similarity can be.

/// Longest value that is read; longer ones are compared by their beginnings.
const LENGTH_MAX: usize = 64;

/// Places that one wide integer holds, a byte each.
const LANES: usize = 16;

/// One in each lane.
const ONES: u128 = u128::from_ne_bytes([1; LANES]);

/// All bits but the highest of each lane.
const LOW: u128 = u128::from_ne_bytes([0x7f; LANES]);

/// Similarity above which a common beginning counts, as Winkler defined it.
const BOOST_MIN: f64 = 0.7;

/// Jaro-Winkler similarity of two values if it is at least `cutoff`. Symmetric.
pub(crate) fn jaro_winkler_from(left: &[u8], right: &[u8], cutoff: f64) -> Option<f64> {
    let (a, b) = (head(left), head(right));
    // The longer one is searched for the bytes of the shorter: the same whichever comes first.
    let (a, b) = if (a.len(), a) <= (b.len(), b) { (a, b) } else { (b, a) };
    if a.is_empty() {
        return if b.is_empty() { Some(1.0) } else { (cutoff <= 0.0).then_some(0.0) };
    }
    let common = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count();
    let misses_max = misses_up_to(cutoff, a.len(), b.len(), common)?;
    let (of_a, of_b) =
        if b.len() <= LANES { matches_in_lanes(a, b, misses_max)? } else { matches_by_table(a, b, misses_max)? };
    let found = of_a.count_ones();
    if found == 0 {
        return (cutoff <= 0.0).then_some(0.0);
    }
    let halves = transposed(a, of_a, b, of_b);
    let m = f64::from(found);
    let jaro = (m / length(a) + m / length(b) + (m - f64::from(halves / 2)) / m) / 3.0;
    Some(boosted(jaro, common)).filter(|similarity| *similarity >= cutoff)
}

/// Bytes of the shorter value that may go unmatched if all others match in place; none if even without
/// such a byte the similarity stays below the cutoff.
fn misses_up_to(cutoff: f64, shorter: usize, longer: usize, common: usize) -> Option<usize> {
    // Lengths are at most 64, so the conversions are exact.
    let per_match = 1.0 / shorter as f64 + 1.0 / longer as f64;
    // A little more than it can be, so that rounding does not matter.
    let reaches = |matched: usize| boosted((matched as f64 * per_match + 1.0) / 3.0, common) + 1e-9 >= cutoff;
    (0..=shorter).take_while(|misses| reaches(shorter - misses)).last()
}

fn boosted(jaro: f64, common: usize) -> f64 {
    // At most 4, so the conversion is exact.
    if jaro > BOOST_MIN { jaro + 0.1 * common as f64 * (1.0 - jaro) } else { jaro }
}

fn head(value: &[u8]) -> &[u8] {
    &value[..value.len().min(LENGTH_MAX)]
}

fn length(value: &[u8]) -> f64 {
    // At most 64, so the conversion is exact.
    value.len() as f64
}

/// How far apart equal bytes may stand to match.
fn reach(longer: usize) -> usize {
    (longer / 2).saturating_sub(1)
}

/// Matched places of both values as bits, for values of at most sixteen bytes; none if more bytes of the
/// first than `misses_max` match nothing.
fn matches_in_lanes(a: &[u8], b: &[u8], misses_max: usize) -> Option<(u64, u64)> {
    let mut lanes = [0u8; LANES];
    lanes[..b.len()].copy_from_slice(b);
    let text = u128::from_le_bytes(lanes);
    // The highest bit of each lane that holds a byte of `b` not matched yet.
    let mut free = if b.len() == LANES { ONES << 7 } else { (ONES << 7) & ((1 << (b.len() * 8)) - 1) };
    let reach = reach(b.len());
    let (mut of_a, mut misses) = (0u64, 0);
    let mut taken = 0u128;
    for (at, byte) in a.iter().enumerate() {
        let differing = text ^ (ONES * u128::from(*byte));
        // Highest bit of a lane set where the lane is zero, exactly: the sum never leaves its lane.
        let equal = !(((differing & LOW) + LOW) | differing | LOW);
        let window = window_of_lanes(at.saturating_sub(reach), at + reach + 1);
        let hits = equal & free & window;
        if hits != 0 {
            let first = hits & hits.wrapping_neg();
            free ^= first;
            taken |= first;
            of_a |= 1 << at;
            continue;
        }
        misses += 1;
        if misses > misses_max {
            return None;
        }
    }
    let mut of_b = 0u64;
    while taken != 0 {
        of_b |= 1 << (taken.trailing_zeros() / 8);
        taken &= taken - 1;
    }
    Some((of_a, of_b))
}

/// All bits of the lanes from `start` up to but not including `end`.
fn window_of_lanes(start: usize, end: usize) -> u128 {
    let below = |lane: usize| if lane >= LANES { u128::MAX } else { (1 << (lane * 8)) - 1 };
    below(end) & !below(start)
}

/// Matched places of both values as bits, for values of at most 64 bytes. Bytes that are not ASCII
/// share a place of the table with one that is and are told apart when they are met. None if more bytes
/// of the first than `misses_max` match nothing.
fn matches_by_table(a: &[u8], b: &[u8], misses_max: usize) -> Option<(u64, u64)> {
    let mut places = [0u64; 128];
    for (at, byte) in b.iter().enumerate() {
        places[usize::from(byte & 127)] |= 1 << at;
    }
    let reach = reach(b.len());
    let (mut of_a, mut of_b) = (0u64, 0u64);
    for (at, byte) in a.iter().enumerate() {
        let below = |place: usize| if place >= 64 { u64::MAX } else { (1 << place) - 1 };
        let window = below(at + reach + 1) & !below(at.saturating_sub(reach));
        let mut hits = places[usize::from(byte & 127)] & window & !of_b;
        while hits != 0 {
            let first = hits & hits.wrapping_neg();
            if b[first.trailing_zeros() as usize] == *byte {
                of_a |= 1 << at;
                of_b |= first;
                break;
            }
            hits ^= first;
        }
        if at + 1 - of_a.count_ones() as usize > misses_max {
            return None;
        }
    }
    Some((of_a, of_b))
}

/// Matched bytes that stand in another order.
fn transposed(a: &[u8], mut of_a: u64, b: &[u8], mut of_b: u64) -> u32 {
    let mut halves = 0;
    while of_a != 0 {
        halves += u32::from(a[of_a.trailing_zeros() as usize] != b[of_b.trailing_zeros() as usize]);
        of_a &= of_a - 1;
        of_b &= of_b - 1;
    }
    halves
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn check(a: &str, b: &str) {
        let jaro_winkler = |x: &str, y: &str| jaro_winkler_from(x.as_bytes(), y.as_bytes(), 0.0).unwrap();
        let ours = jaro_winkler(a, b);
        assert_eq!(ours.to_bits(), jaro_winkler(b, a).to_bits(), "{a} {b} is not symmetric");
        // The reference searches the second for the first, so it is asked in our order.
        let (x, y) = if (a.len(), a) <= (b.len(), b) { (a, b) } else { (b, a) };
        let theirs = strsim::generic_jaro_winkler(&Bytes(x), &Bytes(y));
        assert!((ours - theirs).abs() < 1e-12, "{a} {b}: {ours} {theirs}");
        for cutoff in [0.5, 0.8, 0.88, 0.92, 1.0] {
            let cut = jaro_winkler_from(a.as_bytes(), b.as_bytes(), cutoff);
            assert_eq!(cut, Some(ours).filter(|s| *s >= cutoff), "{a} {b} cut at {cutoff}");
        }
    }

    struct Bytes<'a>(&'a str);

    impl<'b> IntoIterator for &'b Bytes<'_> {
        type Item = u8;
        type IntoIter = std::iter::Copied<std::slice::Iter<'b, u8>>;

        fn into_iter(self) -> Self::IntoIter {
            self.0.as_bytes().iter().copied()
        }
    }

    #[test]
    fn known_pairs() {
        for (a, b) in [
            ("", ""),
            ("", "a"),
            ("martha", "marhta"),
            ("dixon", "dicksonx"),
            ("jellyfish", "smellyfish"),
            ("abcdefghijklmnop", "abcdefghijklmnop"),
            ("abcdefghijklmnopq", "qbcdefghijklmnopa"),
            ("sixteen bytes ok", "sixteen bytes okay"),
            ("müller", "muller"),
        ] {
            check(a, b);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(a in "[a-d]{0,20}", b in "[a-d]{0,20}", c in "[a-z0-9 é]{0,32}", d in "[a-z0-9 é]{0,32}") {
            check(&a, &b);
            check(&c, &d);
            check(&a, &c);
        }
    }
}
