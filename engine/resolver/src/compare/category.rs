//! Categories: equal, mistyped, or with a word in common.

use super::{Comparison, Subject, best, bits, words};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::within_one_edit;
use crate::standard::{CATEGORIES, Part};

pub(super) const COMPARISON: Comparison = Comparison {
    needs: bits([Part::Category1, Part::Category2, Part::Category3, Part::Category4, Part::Category5, Part::Category6]),
    sets: &[
        Feature::Category1,
        Feature::Category2,
        Feature::Category3,
        Feature::Category4,
        Feature::Category5,
        Feature::Category6,
    ],
    compare,
};

/// Words shorter than this join what has nothing to do with each other.
const WORD_LENGTH_MIN: usize = 4;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    for (part, feature) in CATEGORIES {
        let (a, b) = (left.standard.part(part), right.standard.part(part));
        if !a.is_empty() && !b.is_empty() {
            levels.set(feature, best(a, b, of_values));
        }
    }
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    if a.len().min(b.len()) >= WORD_LENGTH_MIN && within_one_edit(a, b) {
        return Level::Close;
    }
    let shared = words(a).any(|word| word.len() >= WORD_LENGTH_MIN && words(b).any(|other| other == word));
    if shared { Level::Partial } else { Level::Different }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn categories() {
        let pairs = |a, b, level| check(&[(Kind::Category, a)], &[(Kind::Category, b)], Feature::Category1, level);
        pairs("Politician", "politician", Level::Exact);
        pairs("politician", "politican", Level::Close);
        pairs("West Devon", "devon", Level::Partial);
        pairs("m", "f", Level::Different);
        pairs("m", "", Level::Silent);
    }
}
