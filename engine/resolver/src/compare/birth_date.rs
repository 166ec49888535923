//! Dates of birth: equal, one digit or a swap of day and month apart, or different.

use super::{Comparison, Subject};
use crate::feature::{Feature, Level};

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::BirthDate, compare };

fn compare(left: &Subject, right: &Subject) -> Level {
    let (a, b) = (left.standard.birth_date.as_str(), right.standard.birth_date.as_str());
    if a.is_empty() || b.is_empty() {
        Level::Silent
    } else if a == b {
        Level::Exact
    } else if mistyped(a, b) {
        Level::Close
    } else {
        Level::Different
    }
}

/// Eight digits each, year first.
fn mistyped(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).filter(|(x, y)| x != y).count();
    let swapped = a[..4] == b[..4] && a[4..6] == b[6..] && a[6..] == b[4..6];
    differing == 1 || swapped
}

#[cfg(test)]
mod tests {
    use super::mistyped;

    #[test]
    fn one_digit_or_swapped_parts_are_close() {
        assert!(mistyped("19800229", "19800228"));
        assert!(mistyped("19800502", "19800205"));
        assert!(!mistyped("19800229", "19810228"));
        assert!(!mistyped("19800502", "19810205"));
    }
}
