//! How frequent the classes are among all pairs.

use super::mixture::{HOME, Logs, MATCH};
use super::{Estimate, Pattern};

/// Passes after which counting ends: each brings the shares nearer to their fixed point.
const PASSES_MAX: usize = 500;

/// Relative change at which the shares have come to rest.
const CHANGE_MIN: f64 = 1e-6;

/// No class but the unrelated is more frequent: candidates are proposed because they are alike.
const SHARE_MAX: f64 = 0.49;

/// Shares of all pairs of records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Priors {
    /// Pairs of one party.
    pub match_share: f64,
    /// Pairs of two parties of one household or firm.
    pub home_share: f64,
}

/// Counts matches and pairs of one home among all pairs, from the patterns of the candidates: pairs
/// that blocking did not propose are taken to be unrelated. `pairs` is the number of all pairs that
/// may be one party, `start` where counting begins.
#[must_use]
pub fn priors(estimates: &[Estimate], candidates: &[Pattern], pairs: f64, start: Priors) -> Priors {
    // One pair in all is the least that can be told from none.
    let least = 1.0 / pairs.max(4.0);
    let logs = Logs::of(estimates, &[]);
    let mut now = start;
    for _ in 0..PASSES_MAX {
        let unrelated = (1.0 - now.match_share - now.home_share).max(least);
        let mut found = [0.0; 3];
        for pattern in candidates {
            let classes = logs.posterior(&pattern.levels, [now.match_share, unrelated, now.home_share]);
            for (found, class) in found.iter_mut().zip(classes) {
                *found += class * pattern.count as f64;
            }
        }
        let share = |class: usize| (found[class] / pairs.max(1.0)).clamp(least, SHARE_MAX);
        let next = Priors { match_share: share(MATCH), home_share: share(HOME) };
        let change =
            (next.match_share / now.match_share - 1.0).abs().max((next.home_share / now.home_share - 1.0).abs());
        now = next;
        if change < CHANGE_MIN {
            break;
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Chances, LEVELS_MAX};

    const START: Priors = Priors { match_share: 1e-4, home_share: 1e-4 };

    fn two(agree: f64) -> Chances {
        let mut chances = [0.0; LEVELS_MAX];
        (chances[2], chances[9]) = (agree, 1.0 - agree);
        chances
    }

    fn estimates() -> [Estimate; 3] {
        let own = Estimate { m: two(0.9), u: two(0.0001), home: two(0.0001) };
        [own, own, Estimate { m: two(0.9), u: two(0.0001), home: two(0.9) }]
    }

    fn pattern(levels: [u8; 3], count: u64) -> Pattern {
        Pattern { levels: levels.iter().enumerate().map(|(f, l)| (f as u8, *l)).collect(), count }
    }

    #[test]
    fn matches_and_homes_are_counted() {
        let candidates = [pattern([2, 2, 2], 900), pattern([9, 9, 2], 450), pattern([9, 9, 9], 10_000)];
        let found = priors(&estimates(), &candidates, 1e6, START);
        assert!((found.match_share * 1e6 - 900.0).abs() < 20.0, "{found:?}");
        assert!((300.0..500.0).contains(&(found.home_share * 1e6)), "{found:?}");
    }

    #[test]
    fn none_at_all_is_one_pair_at_most() {
        let found = priors(&estimates(), &[pattern([9, 9, 9], 1_000)], 1e6, START);
        assert!((found.match_share - 1e-6).abs() < 1e-12, "{found:?}");
        let found = priors(&estimates(), &[], 0.0, START);
        assert!(found.match_share > 0.0 && found.match_share <= 0.5, "{found:?}");
    }
}
