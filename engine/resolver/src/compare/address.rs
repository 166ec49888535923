//! Street and house number together: a street alone is shared by many.

use super::{Comparison, Subject, bits, is_generic, words};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::{edits_up_to_two, jaro_winkler_from, within_one_edit};
use crate::standard::Part;

pub(super) const COMPARISON: Comparison =
    Comparison { needs: bits([Part::Street]), sets: &[Feature::Address], compare };

/// Streets at least this alike are one street mistyped.
const STREET_SIMILARITY_MIN: f64 = 0.93;

/// Streets shorter than this are other ones after two errors.
const TWO_ERRORS_LENGTH_MIN: usize = 8;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let level = of_streets(left, right);
    let is_generic = is_generic(left, right, Feature::Address) && level.agrees();
    levels.set(Feature::Address, if is_generic { Level::Generic } else { level });
}

fn of_streets(left: &Subject, right: &Subject) -> Level {
    let (a, b) = (left.standard.part(Part::Street), right.standard.part(Part::Street));
    let (x, y) = (left.standard.part(Part::House), right.standard.part(Part::House));
    let is_equal = a == b;
    if !is_equal && !is_one_street(a, b) {
        return Level::Different;
    }
    if x.is_empty() || y.is_empty() {
        let both = x.is_empty() && y.is_empty();
        return if both && is_equal { Level::Close } else { Level::Near };
    }
    if x == y {
        return if is_equal { Level::Exact } else { Level::Close };
    }
    // `12` and `12a`, `21` and `12`: a part of the building, or a typing error.
    if is_equal && within_one_edit(x, y) { Level::Near } else { Level::Partial }
}

fn is_one_street(a: &[u8], b: &[u8]) -> bool {
    let length = a.len().min(b.len());
    let edits = edits_up_to_two(a, b);
    if edits <= 1 && length >= 4 || edits == 2 && length >= TWO_ERRORS_LENGTH_MIN {
        return true;
    }
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let is_within = words(short).count() > 1 && words(short).all(|word| words(long).any(|other| other == word));
    is_within || jaro_winkler_from(a, b, STREET_SIMILARITY_MIN).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn streets() {
        let streets = |a, b, level| check(&[(Kind::Street, a)], &[(Kind::Street, b)], Feature::Address, level);
        streets("12 Mill Lane", "Mill Ln 12", Level::Exact);
        streets("12 Mill Lane", "12 Mil Lane", Level::Close);
        streets("Mill Lane", "Mill Lane", Level::Close);
        streets("12 Mill Lane", "12a Mill Lane", Level::Near);
        streets("12 Mill Lane", "Mill Lane", Level::Near);
        streets("12 Mill Lane", "95 Mill Lane", Level::Partial);
        streets("12 Mill Lane", "12 Abbey Road", Level::Different);
        streets("445 Overpass Rd San Ramon", "445 Overpass Road", Level::Close);
        streets("12 Mill Lane", "", Level::Silent);
    }
}
