//! How far a share may lie from the one that was seen.

/// Standard deviations on either side of a 95 % interval.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share of which `hits` of `all` were seen (Wilson, 1927). Nothing seen says
/// nothing: 0 to 1.
///
/// ```
/// let (low, high) = offline::wilson(95, 100);
/// assert!((low - 0.8882).abs() < 1e-4 && (high - 0.9785).abs() < 1e-4);
/// ```
#[must_use]
pub fn wilson(hits: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let n = all as f64;
    let share = hits as f64 / n;
    let z2 = DEVIATIONS * DEVIATIONS;
    let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = DEVIATIONS * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    // At none and at all the ends are exact; rounding would put them a little beside.
    let low = if hits == 0 { 0.0 } else { (middle - reach).max(0.0) };
    let high = if hits == all { 1.0 } else { (middle + reach).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_share_and_stays_between_none_and_all() {
        for (hits, all) in [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7), (999_999, 1_000_000)] {
            let (low, high) = wilson(hits, all);
            let share = hits as f64 / all as f64;
            assert!(0.0 <= low && low <= share && share <= high && high <= 1.0, "{hits}/{all}: {low} {high}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(59, 59).0 < 0.95 && wilson(74, 74).0 > 0.95, "{:?}", wilson(74, 74));
    }
}
