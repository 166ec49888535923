//! Postal addresses: the same house, nearly the same writing of it, only the same place, or another.

use super::{Comparison, Subject};
use crate::feature::{Feature, Level};
use crate::similarity::jaro_winkler;
use crate::standard::Address;

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::Address, compare };

/// Streets at least this alike are one street.
const STREET_SIMILARITY_MIN: f64 = 0.90;

fn compare(left: &Subject, right: &Subject) -> Level {
    let level = level(&left.standard.address, &right.standard.address);
    let is_generic = left.generic.contains(Feature::Address) || right.generic.contains(Feature::Address);
    if is_generic && level.agrees() { Level::Generic } else { level }
}

fn level(a: &Address, b: &Address) -> Level {
    let place = same_place(a, b);
    if place == Some(false) {
        return Level::Different;
    }
    let street = both(&a.street, &b.street).map(|(x, y)| x == y || jaro_winkler(x, y) >= STREET_SIMILARITY_MIN);
    let house = both(&a.house, &b.house).map(|(x, y)| x == y);
    match (place, street, house) {
        (None, None, _) => Level::Silent,
        (_, Some(false), _) | (_, Some(true), Some(false)) => Level::Different,
        (Some(_), None, _) => Level::Partial,
        // A street without its town is found in many towns.
        (None, Some(true), _) => Level::Partial,
        (Some(_), Some(true), Some(true)) if a.street == b.street => Level::Exact,
        (Some(_), Some(true), Some(true) | None) => Level::Close,
    }
}

/// Whether town or postal code agree; none if neither is known on both sides. One of the two may
/// be mistyped.
fn same_place(a: &Address, b: &Address) -> Option<bool> {
    let postal = both(&a.postal_code, &b.postal_code).map(|(x, y)| x == y);
    let city = both(&a.city, &b.city).map(|(x, y)| x == y);
    match (postal, city) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(one), Some(other)) => Some(one || other),
    }
}

fn both<'a>(a: &'a str, b: &'a str) -> Option<(&'a str, &'a str)> {
    (!a.is_empty() && !b.is_empty()).then_some((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use compact_str::CompactString;

    fn check(left: [&str; 4], right: [&str; 4], expected: Level) {
        let read = |[street, house, city, postal_code]: [&str; 4]| Address {
            street: CompactString::from(street),
            house: CompactString::from(house),
            city: CompactString::from(city),
            postal_code: CompactString::from(postal_code),
        };
        assert_eq!(level(&read(left), &read(right)), expected, "{left:?} {right:?}");
        assert_eq!(level(&read(right), &read(left)), expected, "{right:?} {left:?}");
    }

    #[test]
    fn addresses_agree_by_degrees() {
        let full = ["mill lane", "12", "leeds", "LS1"];
        check(full, full, Level::Exact);
        check(full, ["mil lane", "12", "leeds", "LS1"], Level::Close);
        check(full, ["mill lane", "", "leeds", "LS1"], Level::Close);
        check(full, ["mill lane", "12", "leeds", "LS9"], Level::Exact);
        check(full, ["", "", "leeds", ""], Level::Partial);
        check(full, ["mill lane", "12", "", ""], Level::Partial);
        check(full, ["mill lane", "13", "leeds", "LS1"], Level::Different);
        check(full, ["abbey road", "12", "leeds", "LS1"], Level::Different);
        check(full, ["mill lane", "12", "york", "YO1"], Level::Different);
        check(full, ["", "", "", ""], Level::Silent);
    }
}
