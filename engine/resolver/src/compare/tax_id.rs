//! Tax ids: equal, with or without the country before them, or not. Different ones are a veto.

use super::{Comparison, Subject};
use crate::feature::{Feature, Level};
use crate::standard::without_country;

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::TaxId, compare };

fn compare(left: &Subject, right: &Subject) -> Level {
    let (a, b) = (left.standard.tax_id.as_str(), right.standard.tax_id.as_str());
    if a.is_empty() || b.is_empty() {
        Level::Silent
    } else if left.generic.contains(Feature::TaxId) || right.generic.contains(Feature::TaxId) {
        // A placeholder that many records carry neither links nor parts.
        Level::Generic
    } else if a == b || same_but_country(a, b) {
        Level::Exact
    } else {
        Level::Different
    }
}

fn same_but_country(a: &str, b: &str) -> bool {
    let (bare_a, bare_b) = (without_country(a), without_country(b));
    bare_a == bare_b && (bare_a.len() == a.len() || bare_b.len() == b.len())
}

/// Whether the records cannot be one customer by their tax ids.
pub(crate) fn conflicts(left: &Subject, right: &Subject) -> bool {
    compare(left, right) == Level::Different
}

#[cfg(test)]
mod tests {
    use super::same_but_country;

    #[test]
    fn a_country_on_one_side_only_is_no_difference() {
        assert!(same_but_country("DE123456789", "123456789"));
        assert!(!same_but_country("DE123456789", "GB123456789"));
        assert!(!same_but_country("DE123456789", "123456788"));
    }
}
