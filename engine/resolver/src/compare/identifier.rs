//! Identifiers: equal, one or two typing errors apart, or not. Where both are tax ids of the hub's
//! systems, different ones are a veto.

use super::{Comparison, Subject, best, bits, is_generic};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::edits_up_to_two;
use crate::standard::{IDS, Part, without_country};

pub(super) const COMPARISON: Comparison = Comparison {
    needs: bits([Part::TaxId, Part::Duns, Part::Id1, Part::Id2, Part::Id3, Part::Id4, Part::Id5, Part::Id6]),
    sets: &[
        Feature::TaxId,
        Feature::Duns,
        Feature::Id1,
        Feature::Id2,
        Feature::Id3,
        Feature::Id4,
        Feature::Id5,
        Feature::Id6,
    ],
    compare,
};

/// Identifiers shorter than this are other ones after two errors.
const TWO_ERRORS_LENGTH_MIN: usize = 7;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let plain = [(Part::TaxId, Feature::TaxId), (Part::Duns, Feature::Duns)];
    for (part, feature) in plain.into_iter().chain(IDS) {
        let (a, b) = (left.standard.part(part), right.standard.part(part));
        if a.is_empty() || b.is_empty() {
            continue;
        }
        // A placeholder that many records carry neither links nor parts.
        let level = if is_generic(left, right, feature) { Level::Generic } else { best(a, b, of_values) };
        levels.set(feature, level);
    }
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    if same_but_country(a, b) {
        return Level::Exact;
    }
    match edits_up_to_two(a, b) {
        0 => Level::Exact,
        1 => Level::Close,
        2 if a.len().min(b.len()) >= TWO_ERRORS_LENGTH_MIN => Level::Near,
        _ => Level::Different,
    }
}

fn same_but_country(a: &[u8], b: &[u8]) -> bool {
    let (bare_a, bare_b) = (without_country(a), without_country(b));
    bare_a == bare_b && (bare_a.len() == a.len() || bare_b.len() == b.len())
}

/// Whether the records cannot be one customer by their tax ids.
pub(crate) fn conflicts(left: &Subject, right: &Subject) -> bool {
    let (a, b) = (left.standard.part(Part::TaxId), right.standard.part(Part::TaxId));
    !a.is_empty()
        && !b.is_empty()
        && !is_generic(left, right, Feature::TaxId)
        && best(a, b, |x, y| if same_but_country(x, y) { Level::Exact } else { Level::Different }) == Level::Different
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn a_country_on_one_side_only_is_no_difference() {
        assert!(same_but_country(b"DE123456788", b"123456788"));
        assert!(!same_but_country(b"DE123456788", b"GB123456788"));
        assert!(!same_but_country(b"DE123456788", b"123456789"));
    }

    #[test]
    fn errors_are_counted() {
        let ids = |a, b, level| check(&[(Kind::Identifier, a)], &[(Kind::Identifier, b)], Feature::Id1, level);
        ids("1804974", "180-4974", Level::Exact);
        ids("1804974", "1804947", Level::Close);
        ids("1804974", "1809479", Level::Near);
        ids("1804", "1840", Level::Close);
        ids("1804", "1849", Level::Different);
        ids("1804974", "9999999", Level::Silent);
        ids("1804974", "2277551", Level::Different);
    }
}
