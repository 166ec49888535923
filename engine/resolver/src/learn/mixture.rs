//! Which of three classes pairs belong to, found by expectation-maximisation.

use super::{Chances, Estimate, LEVELS_MAX, Pattern, Shape};

/// How many pairs of a class the shipped model's chances count for.
const START_PAIRS: f64 = 200.0;

/// Passes after which fitting ends, converged or not.
const PASSES_MAX: usize = 200;

/// The largest change of a chance at which a fit has converged.
const CHANGE_MIN: f64 = 3e-4;

/// No chance is smaller: an impossible level would decide alone.
const CHANCE_MIN: f64 = 1e-9;

/// Place of the class of pairs that are one party.
pub(super) const MATCH: usize = 0;
/// Place of the class of pairs of two parties of one household or firm. Unrelated pairs stand between.
pub(super) const HOME: usize = 2;

/// Shares of the three classes: match, unrelated, home.
pub(super) type Shares = [f64; 3];

/// Pairs that one kind of blocking key proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the rule is called in reports.
    pub name: String,
    /// Features that the key fixes: all its pairs agree on them, so that they teach nothing here.
    pub fixed: Vec<u8>,
    /// The pairs, sorted.
    pub patterns: Vec<Pattern>,
}

/// Training rules with what is known before.
#[derive(Debug, Clone, Copy)]
pub struct Mixture<'a> {
    /// Features.
    pub shapes: &'a [Shape],
    /// Chances among unrelated records; fitting leaves them as they are.
    pub unrelated: &'a [Chances],
    /// The rules.
    pub rules: &'a [Rule],
}

/// What fitting found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Chances of every level, by feature.
    pub estimates: Vec<Estimate>,
    /// Number of matches that each feature's `m` was learned from, by feature.
    pub matches_seen: Vec<f64>,
    /// Share of matches, unrelated pairs and pairs of one home, by rule.
    pub shares: Vec<[f64; 3]>,
    /// Passes over the patterns.
    pub passes: usize,
    /// Whether the estimates had come to rest.
    pub has_converged: bool,
}

impl Mixture<'_> {
    /// Finds the chances among matches and homes under which the rules' pairs are most probable.
    /// One set of chances serves all rules, so that a match is the same thing in each of them; how
    /// frequent the classes are is each rule's own.
    #[must_use]
    pub fn fit(&self) -> Fitted {
        let mut fitted = Fitted {
            estimates: self.start(),
            matches_seen: vec![0.0; self.shapes.len()],
            shares: vec![[0.4, 0.4, 0.2]; self.rules.len()],
            passes: 0,
            has_converged: false,
        };
        while fitted.passes < PASSES_MAX && !fitted.has_converged {
            fitted.passes += 1;
            let next = self.pass(&mut fitted);
            let change = largest_change(&fitted.estimates, &next);
            fitted.estimates = next;
            fitted.has_converged = change < CHANGE_MIN;
        }
        fitted
    }

    fn start(&self) -> Vec<Estimate> {
        let with_u = |(shape, u): (&Shape, &Chances)| {
            let home = if shape.is_home { shape.start.home } else { *u };
            Estimate { m: shape.start.m, u: *u, home }
        };
        self.shapes.iter().zip(self.unrelated).map(with_u).collect()
    }

    /// One pass: which class each pattern belongs to under the estimates, and the estimates under that.
    fn pass(&self, fitted: &mut Fitted) -> Vec<Estimate> {
        let mut seen = vec![[[0.0; LEVELS_MAX]; 2]; self.shapes.len()];
        for (rule, shares) in self.rules.iter().zip(&mut fitted.shares) {
            let logs = Logs::of(&fitted.estimates, &rule.fixed);
            let mut totals = [0.0; 3];
            for pattern in &rule.patterns {
                let classes = logs.posterior(&pattern.levels, *shares);
                let count = pattern.count as f64;
                for (total, class) in totals.iter_mut().zip(classes) {
                    *total += class * count;
                }
                for (feature, level) in pattern.levels.iter().filter(|(feature, _)| !rule.fixed.contains(feature)) {
                    let of_feature = &mut seen[usize::from(*feature)];
                    of_feature[0][usize::from(*level)] += classes[MATCH] * count;
                    of_feature[1][usize::from(*level)] += classes[HOME] * count;
                }
            }
            let all: f64 = totals.iter().sum();
            if all > 0.0 {
                // A pair more for each class: none dies out for want of examples in one pass.
                *shares = totals.map(|total| (total + 1.0) / (all + 3.0));
            }
        }
        let each = self.shapes.iter().zip(&seen).zip(&fitted.estimates);
        let next = each.map(|((shape, [matches, homes]), now)| Estimate {
            m: shape.drawn(matches, &shape.start.m, START_PAIRS),
            u: now.u,
            home: if shape.is_home { shape.drawn(homes, &shape.start.home, START_PAIRS) } else { now.u },
        });
        let next = next.collect();
        fitted.matches_seen = seen.iter().map(|[matches, _]| matches.iter().sum()).collect();
        next
    }
}

fn largest_change(before: &[Estimate], after: &[Estimate]) -> f64 {
    let pairs = before.iter().zip(after).flat_map(|(b, a)| {
        let m = b.m.into_iter().zip(a.m);
        m.chain(b.home.into_iter().zip(a.home))
    });
    pairs.map(|(b, a)| (b - a).abs()).fold(0.0, f64::max)
}

/// How probable each class is for a pair that agrees by `levels`, if classes are as frequent as `shares`.
pub(super) fn posterior(estimates: &[Estimate], levels: &[(u8, u8)], shares: Shares) -> Shares {
    Logs::of(estimates, &[]).posterior(levels, shares)
}

/// Logarithms of chances, so that a pattern costs additions.
#[derive(Debug)]
pub(super) struct Logs {
    /// By feature and level: of the three classes. Zero where a feature is fixed.
    by_feature: Vec<[Shares; LEVELS_MAX]>,
}

impl Logs {
    pub(super) fn of(estimates: &[Estimate], fixed: &[u8]) -> Self {
        let of_feature = |(feature, estimate): (usize, &Estimate)| {
            let mut logs = [[0.0; 3]; LEVELS_MAX];
            if fixed.iter().any(|fixed| usize::from(*fixed) == feature) {
                return logs;
            }
            for (level, log) in logs.iter_mut().enumerate() {
                let chances = [estimate.m[level], estimate.u[level], estimate.home[level]];
                // A level without a chance in any class is one of which the model knows nothing.
                if chances.iter().any(|chance| *chance > 0.0) {
                    *log = chances.map(|chance| chance.max(CHANCE_MIN).ln());
                }
            }
            logs
        };
        Logs { by_feature: estimates.iter().enumerate().map(of_feature).collect() }
    }

    pub(super) fn posterior(&self, levels: &[(u8, u8)], shares: Shares) -> Shares {
        let mut logs = shares.map(f64::ln);
        for (feature, level) in levels {
            let of_level = &self.by_feature[usize::from(*feature)][usize::from(*level)];
            for (log, add) in logs.iter_mut().zip(of_level) {
                *log += add;
            }
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let odds = logs.map(|log| (log - largest).exp());
        let total: f64 = odds.iter().sum();
        odds.map(|odd| odd / total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels: 2 agrees, 9 differs.
    fn two(agree: f64) -> Chances {
        let mut chances = [0.0; LEVELS_MAX];
        (chances[2], chances[9]) = (agree, 1.0 - agree);
        chances
    }

    fn shape(is_home: bool) -> Shape {
        let start = Estimate { m: two(0.8), u: two(0.1), home: if is_home { two(0.8) } else { two(0.1) } };
        Shape { levels: vec![2, 9], is_home, start }
    }

    /// Patterns in which each class has its expected number of every combination of levels.
    fn patterns(truth: &[Estimate], shares: Shares, pairs: f64) -> Vec<Pattern> {
        let features = truth.len();
        let combination = |bits: usize| {
            let levels: Box<[(u8, u8)]> =
                (0..features).map(|f| (f as u8, if bits >> f & 1 == 1 { 2 } else { 9 })).collect();
            let chance = |class: fn(&Estimate) -> &Chances| -> f64 {
                levels.iter().map(|(f, l)| class(&truth[usize::from(*f)])[usize::from(*l)]).product()
            };
            let all = shares[0] * chance(|e| &e.m) + shares[1] * chance(|e| &e.u) + shares[2] * chance(|e| &e.home);
            Pattern { levels, count: (all * pairs).round() as u64 }
        };
        (0..1 << features).map(combination).collect()
    }

    /// Three features of the person, three of the home.
    fn truth() -> Vec<Estimate> {
        let own = [(0.95, 0.01), (0.9, 0.02), (0.85, 0.005)];
        let home = [(0.97, 0.01, 0.9), (0.8, 0.001, 0.85), (0.75, 0.002, 0.7)];
        let own = own.iter().map(|(m, u)| Estimate { m: two(*m), u: two(*u), home: two(*u) });
        own.chain(home.iter().map(|(m, u, h)| Estimate { m: two(*m), u: two(*u), home: two(*h) })).collect()
    }

    #[test]
    fn chances_of_matches_and_homes_are_found_without_labels() {
        let truth = truth();
        let shapes: Vec<Shape> = (0..6).map(|f| shape(f >= 3)).collect();
        let unrelated: Vec<Chances> = truth.iter().map(|e| e.u).collect();
        let rules = [
            Rule { name: "a".into(), fixed: vec![0], patterns: patterns(&truth, [0.5, 0.45, 0.05], 2e5) },
            Rule { name: "b".into(), fixed: vec![4], patterns: patterns(&truth, [0.3, 0.2, 0.5], 2e5) },
        ];
        let fitted = Mixture { shapes: &shapes, unrelated: &unrelated, rules: &rules }.fit();
        assert!(fitted.has_converged, "{} passes", fitted.passes);
        for (found, true_) in fitted.estimates.iter().zip(&truth) {
            assert!((found.m[2] - true_.m[2]).abs() < 0.01, "{} {}", found.m[2], true_.m[2]);
            assert!((found.home[2] - true_.home[2]).abs() < 0.01, "{} {}", found.home[2], true_.home[2]);
        }
        assert!((fitted.shares[1][0] - 0.3).abs() < 0.01, "{:?}", fitted.shares);
        assert!((fitted.shares[1][2] - 0.5).abs() < 0.01, "{:?}", fitted.shares);
    }

    #[test]
    fn what_every_rule_fixes_stays_as_shipped() {
        let truth = truth();
        let shapes: Vec<Shape> = (0..6).map(|f| shape(f >= 3)).collect();
        let unrelated: Vec<Chances> = truth.iter().map(|e| e.u).collect();
        let rules = [Rule { name: "a".into(), fixed: vec![0], patterns: patterns(&truth, [0.5, 0.45, 0.05], 1e5) }];
        let fitted = Mixture { shapes: &shapes, unrelated: &unrelated, rules: &rules }.fit();
        assert_eq!(fitted.estimates[0].m[2], 0.8);
        assert_eq!(fitted.matches_seen[0], 0.0);
        assert!(fitted.matches_seen[1] > 40_000.0);
    }

    #[test]
    fn no_pairs_teach_nothing() {
        let shapes = [shape(true)];
        let rules = [Rule { name: "a".into(), fixed: vec![], patterns: vec![] }];
        let fitted = Mixture { shapes: &shapes, unrelated: &[two(0.1)], rules: &rules }.fit();
        assert_eq!(fitted.estimates[0].m, two(0.8));
        assert!(fitted.has_converged);
    }

    #[test]
    fn a_level_without_chances_says_nothing() {
        let estimates = [Estimate { m: two(0.9), u: two(0.1), home: two(0.1) }];
        let shares = [0.2, 0.7, 0.1];
        let found = posterior(&estimates, &[(0, 5)], shares);
        assert!(found.iter().zip(shares).all(|(found, share)| (found - share).abs() < 1e-12), "{found:?}");
    }
}
