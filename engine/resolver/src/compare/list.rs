//! Lists of values: all, many, some or none in common.

use super::{Comparison, Subject, bits};
use crate::feature::{Feature, Level, Levels};
use crate::standard::{BETWEEN, LISTS, Part};

pub(super) const COMPARISON: Comparison =
    Comparison { needs: bits([Part::List1, Part::List2]), sets: &[Feature::List1, Feature::List2], compare };

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    for (part, feature) in LISTS {
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
    let values = |list: &'_ [u8]| list.split(|byte| *byte == BETWEEN).count();
    let has = |list: &[u8], value: &[u8]| list.split(|byte| *byte == BETWEEN).any(|other| other == value);
    let common = a.split(|byte| *byte == BETWEEN).filter(|value| has(b, value)).count();
    if common == 0 {
        Level::Different
    } else if common * 2 >= values(a).min(values(b)) {
        Level::Near
    } else {
        Level::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn lists() {
        let pairs = |a, b, level| check(&[(Kind::List, a)], &[(Kind::List, b)], Feature::List1, level);
        pairs("x; y", "y, x", Level::Exact);
        pairs("x; y; z", "y | q", Level::Near);
        pairs("x; y; z", "y | q | r", Level::Partial);
        pairs("x; y", "q", Level::Different);
    }
}
