//! Telephone numbers: equal, with and without the country's prefix, or mistyped.

use super::{Comparison, Subject, best, bits, is_generic};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::edits_up_to_two;
use crate::standard::Part;

pub(super) const COMPARISON: Comparison = Comparison { needs: bits([Part::Phone]), sets: &[Feature::Phone], compare };

/// Last digits that make one subscriber of two ways to write the number.
const SUBSCRIBER_DIGITS: usize = 8;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let generic = is_generic(left, right, Feature::Phone);
    let (a, b) = (left.standard.part(Part::Phone), right.standard.part(Part::Phone));
    levels.set(Feature::Phone, if generic { Level::Generic } else { best(a, b, of_values) });
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    let is_national = a.first() != Some(&b'+') || b.first() != Some(&b'+');
    let tail = |number: &'_ [u8]| number.len().saturating_sub(SUBSCRIBER_DIGITS);
    if is_national && a.len().min(b.len()) > SUBSCRIBER_DIGITS && a[tail(a)..] == b[tail(b)..] {
        return Level::Variant;
    }
    match edits_up_to_two(a, b) {
        0 => Level::Exact,
        1 => Level::Close,
        2 => Level::Near,
        _ => Level::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn numbers() {
        let numbers = |a, b, level| check(&[(Kind::Phone, a)], &[(Kind::Phone, b)], Feature::Phone, level);
        numbers("+1 212 736 5000", "212-736-5000", Level::Exact);
        numbers("+61 412 345 678", "0412 345 678", Level::Variant);
        numbers("0412 345 678", "0412 345 687", Level::Close);
        numbers("0412 345 678", "0421 345 687", Level::Near);
        numbers("0412 345 678", "0399 111 222", Level::Different);
        numbers("0412 345 678", "", Level::Silent);
    }
}
