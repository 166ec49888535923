//! Free text: the share of words in common.

use super::{Comparison, Subject, bits, words};
use crate::feature::{Feature, Level, Levels};
use crate::standard::{Part, TEXTS};

pub(super) const COMPARISON: Comparison = Comparison {
    needs: bits([Part::Text1, Part::Text2, Part::Text3]),
    sets: &[Feature::Text1, Feature::Text2, Feature::Text3],
    compare,
};

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    for (part, feature) in TEXTS {
        let (a, b) = (left.standard.part(part), right.standard.part(part));
        if !a.is_empty() && !b.is_empty() {
            levels.set(feature, of_values(a, b));
        }
    }
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    if a == b {
        return Level::Exact;
    }
    let (x, y) = (words(a).count(), words(b).count());
    let (short, long) = if x <= y { (a, b) } else { (b, a) };
    // Counted from both sides and the smaller taken, so that repeats in one text count once.
    let of_short = words(short).filter(|word| words(long).any(|other| other == *word)).count();
    let of_long = words(long).filter(|word| words(short).any(|other| other == *word)).count();
    let (common, most) = (of_short.min(of_long), x.max(y));
    match common * 20 / most.max(1) {
        16.. => Level::Close,
        10.. => Level::Near,
        5.. => Level::Partial,
        _ => Level::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn texts() {
        let pairs = |a, b, level| check(&[(Kind::FreeText, a)], &[(Kind::FreeText, b)], Feature::Text1, level);
        pairs("red steel bolt", "Red steel bolt.", Level::Exact);
        pairs("red steel bolt m8 long", "red steel bolt m8", Level::Close);
        pairs("red steel bolt", "steel bolt", Level::Near);
        pairs("red steel bolt m8", "a red plastic cap", Level::Partial);
        pairs("red steel bolt", "plastic cap", Level::Different);
    }
}
