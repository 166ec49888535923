//! Postal code, city and region together: the finest that both records name decides.

use super::{Comparison, Subject, bits, is_generic};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::{jaro_winkler_from, within_one_edit};
use crate::standard::Part;

pub(super) const COMPARISON: Comparison =
    Comparison { needs: bits([Part::PostalCode, Part::City, Part::Region]), sets: &[Feature::Place], compare };

/// Cities at least this alike are one city mistyped.
const CITY_SIMILARITY_MIN: f64 = 0.9;

/// First characters of a postal code that name its district.
const DISTRICT_LENGTH: usize = 3;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let level = of_places(left, right);
    let is_generic = is_generic(left, right, Feature::Place) && level.agrees();
    levels.set(Feature::Place, if is_generic { Level::Generic } else { level });
}

fn of_places(left: &Subject, right: &Subject) -> Level {
    let both = |part: Part| (left.standard.part(part), right.standard.part(part));
    let (code_a, code_b) = both(Part::PostalCode);
    let (city_a, city_b) = both(Part::City);
    let city = of_cities(city_a, city_b);
    if code_a.is_empty() || code_b.is_empty() {
        return match city {
            Some(true) => Level::Partial,
            Some(false) => Level::Different,
            // A region alone parts, but does not join.
            None => match both(Part::Region) {
                (a, b) if a.is_empty() || b.is_empty() || a == b => Level::Silent,
                _ => Level::Different,
            },
        };
    }
    if code_a == code_b {
        return Level::Exact;
    }
    let is_mistyped = within_one_edit(code_a, code_b);
    match city {
        Some(true) if is_mistyped => Level::Close,
        Some(true) => Level::Partial,
        None if is_mistyped => Level::Close,
        Some(false) if is_mistyped => Level::Near,
        Some(false) | None if is_one_district(code_a, code_b) => Level::Near,
        Some(false) | None => Level::Different,
    }
}

/// Whether the cities are one; none if a record names none.
fn of_cities(a: &[u8], b: &[u8]) -> Option<bool> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    Some(a == b || jaro_winkler_from(a, b, CITY_SIMILARITY_MIN).is_some())
}

/// Codes of five characters and more begin with their district.
fn is_one_district(a: &[u8], b: &[u8]) -> bool {
    a.len().min(b.len()) > DISTRICT_LENGTH + 1 && a[..DISTRICT_LENGTH] == b[..DISTRICT_LENGTH]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn places() {
        let places = |a: (&'static str, &'static str), b: (&'static str, &'static str), level| {
            let of = |(code, city)| [(Kind::PostalCode, code), (Kind::City, city)];
            check(&of(a), &of(b), Feature::Place, level);
        };
        places(("62704", "Springfield"), ("62704-1234", ""), Level::Exact);
        places(("62704", "Springfield"), ("62740", "Springfeild"), Level::Close);
        places(("62704", ""), ("62740", ""), Level::Close);
        places(("62704", "Springfield"), ("62740", "Boston"), Level::Near);
        places(("TQ13 8DF", ""), ("TQ13 8HU", ""), Level::Near);
        places(("", "Springfield"), ("62704", "Springfield"), Level::Partial);
        places(("62704", "Springfield"), ("90210", "Springfield"), Level::Partial);
        places(("62704", "Springfield"), ("90210", "Boston"), Level::Different);
        places(("", ""), ("90210", "Boston"), Level::Silent);
        check(&[(Kind::Region, "OR")], &[(Kind::Region, "NV")], Feature::Place, Level::Different);
        check(&[(Kind::Region, "OR")], &[(Kind::Region, "or")], Feature::Place, Level::Silent);
    }
}
