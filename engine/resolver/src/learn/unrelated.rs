//! How records agree that have nothing to do with each other.

use super::mixture::{MATCH, posterior};
use super::{Chances, Estimate, LEVELS_MAX, Pattern, Shape};

/// How many random pairs the shipped model's chances count for.
const START_PAIRS: f64 = 10_000.0;

/// The chances of every level among unrelated records, from patterns of random pairs. Matches among
/// them, frequent in small tables, are discounted by what is known of matches so far: `known` has
/// the classes' estimates and `match_share` how frequent matches are among random pairs.
///
/// A level that no pair shows is as rare as the number of pairs lets one claim, and no rarer.
#[must_use]
pub fn chance_of_unrelated(shapes: &[Shape], random: &[Pattern], known: Option<(&[Estimate], f64)>) -> Vec<Chances> {
    let mut seen = vec![[0.0; LEVELS_MAX]; shapes.len()];
    for pattern in random {
        let unrelated = match known {
            Some((estimates, match_share)) => {
                1.0 - posterior(estimates, &pattern.levels, [match_share, 1.0 - match_share, 0.0])[MATCH]
            }
            None => 1.0,
        };
        for (feature, level) in &pattern.levels {
            seen[usize::from(*feature)][usize::from(*level)] += unrelated * pattern.count as f64;
        }
    }
    shapes.iter().zip(&seen).map(|(shape, seen)| chances(shape, seen)).collect()
}

fn chances(shape: &Shape, seen: &Chances) -> Chances {
    let mut chances = shape.drawn(seen, &shape.start.u, START_PAIRS);
    let pairs: f64 = seen.iter().sum();
    let finest = 0.5 / (pairs + START_PAIRS);
    for level in shape.levels.iter().map(|level| usize::from(*level)) {
        chances[level] = chances[level].max(finest.min(shape.start.u[level]));
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(exact: f64) -> Shape {
        let mut start = [0.0; LEVELS_MAX];
        (start[2], start[9]) = (exact, 1.0 - exact);
        let mut m = [0.0; LEVELS_MAX];
        (m[2], m[9]) = (0.95, 0.05);
        Shape { levels: vec![2, 9], is_home: false, start: Estimate { m, u: start, home: start } }
    }

    fn pattern(level: u8, count: u64) -> Pattern {
        Pattern { levels: Box::new([(0, level)]), count }
    }

    #[test]
    fn chances_follow_the_pairs() {
        let u = chance_of_unrelated(&[shape(0.5)], &[pattern(2, 100_000), pattern(9, 900_000)], None);
        assert!((u[0][2] - 0.1).abs() < 0.005, "{}", u[0][2]);
        assert!((u[0][2] + u[0][9] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_no_pair_shows_is_as_rare_as_the_sample_can_tell() {
        let u = chance_of_unrelated(&[shape(1e-9)], &[pattern(9, 990_000)], None);
        assert!((u[0][2] - 1e-9).abs() < 1e-12, "no rarer than the shipped model says: {}", u[0][2]);
        let u = chance_of_unrelated(&[shape(1e-3)], &[pattern(9, 990_000)], None);
        assert!((u[0][2] - 1e-5).abs() < 1e-7, "{}", u[0][2]);
        assert_eq!(chance_of_unrelated(&[shape(0.25)], &[], None)[0][2], 0.25);
    }

    #[test]
    fn matches_among_random_pairs_are_discounted() {
        let shapes = [shape(1e-6), shape(1e-6)];
        let pair = |level: u8, count| Pattern { levels: Box::new([(0, level), (1, level)]), count };
        let random = [pair(2, 500), pair(9, 999_500)];
        let raw = chance_of_unrelated(&shapes, &random, None);
        let known: Vec<Estimate> = shapes.iter().map(|shape| shape.start).collect();
        let discounted = chance_of_unrelated(&shapes, &random, Some((&known, 5e-4)));
        assert!(raw[0][2] > 4e-4 && discounted[0][2] < 2e-6, "{} {}", raw[0][2], discounted[0][2]);
    }
}
