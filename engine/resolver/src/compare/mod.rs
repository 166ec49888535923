//! Comparisons, one file per kind of value: each says how well two records agree. Comparing is
//! symmetric, reads standard forms only and allocates nothing.

mod address;
mod category;
mod date;
mod email;
mod geo;
mod identifier;
mod key;
mod list;
mod name;
mod person;
mod phone;
mod place;
mod text;
mod web_domain;

use crate::feature::{Feature, FeatureSet, Level, Levels};
use crate::standard::{BETWEEN, Part, Standard};

pub(crate) use identifier::conflicts as tax_ids_conflict;
pub(crate) use key::conflicts as keys_conflict;

/// A record as a comparison sees it: standard form, and which of its values are generic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) standard: Standard,
    /// Features whose value is generic; for keys see `generic_keys`.
    pub(crate) generic: FeatureSet,
    /// Bit i: key i of the standard form is generic.
    pub(crate) generic_keys: u64,
}

impl Subject {
    pub(crate) fn of(standard: Standard) -> Self {
        Subject { standard, generic: FeatureSet::default(), generic_keys: 0 }
    }

    /// Keys that still tell somebody apart, as scheme and value.
    pub(crate) fn telling_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        let keys = self.standard.values(Part::Keys).enumerate();
        keys.filter(|(at, _)| *at >= 64 || self.generic_keys & (1 << at) == 0)
            .filter_map(|(_, key)| key.split_once(':'))
    }
}

/// How one kind of value is compared.
pub(crate) struct Comparison {
    /// Parts without which in both records there is nothing to compare, as bits: any one will do.
    needs: u64,
    /// Sets the levels that it knows of; what it leaves is silent.
    compare: fn(&Subject, &Subject, &mut Levels),
}

const fn bits<const N: usize>(parts: [Part; N]) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < N {
        bits |= 1 << parts[at] as u64;
        at += 1;
    }
    bits
}

/// Every comparison.
pub(crate) const ALL: &[Comparison] = &[
    key::COMPARISON,
    identifier::COMPARISON,
    email::COMPARISON,
    person::COMPARISON,
    name::COMPARISON,
    date::COMPARISON,
    phone::COMPARISON,
    address::COMPARISON,
    place::COMPARISON,
    web_domain::COMPARISON,
    category::COMPARISON,
    text::COMPARISON,
    list::COMPARISON,
    geo::COMPARISON,
];

/// Compares two records on every feature.
pub(crate) fn compare(left: &Subject, right: &Subject) -> Levels {
    let common = left.standard.common(&right.standard);
    let mut levels = Levels::default();
    for comparison in ALL.iter().filter(|comparison| comparison.needs & common != 0 || comparison.needs == 0) {
        (comparison.compare)(left, right, &mut levels);
    }
    levels
}

/// Whether a feature's value says nothing because too many share it.
fn is_generic(left: &Subject, right: &Subject, feature: Feature) -> bool {
    left.generic.contains(feature) || right.generic.contains(feature)
}

/// The best level of any value of one record with any of the other; silent if one has none.
fn best(a: &[u8], b: &[u8], level: impl Fn(&[u8], &[u8]) -> Level) -> Level {
    if a.is_empty() || b.is_empty() {
        return Level::Silent;
    }
    if a == b && !a.contains(&BETWEEN) {
        return Level::Exact;
    }
    let mut found = Level::Different;
    for x in a.split(|byte| *byte == BETWEEN) {
        for y in b.split(|byte| *byte == BETWEEN) {
            found = found.min(if x == y { Level::Exact } else { level(x, y) });
        }
    }
    found
}

/// The words of a value.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
pub(crate) mod testing {
    //! Subjects for tests, written in a line each.

    use compact_str::CompactString;
    use ontology::{EntityKey, EntityKind};

    use super::{Subject, compare};
    use crate::feature::{Feature, Level};
    use crate::kind::{Column, Kind, Layout};
    use crate::model::Model;
    use crate::standard::Standard;

    /// A record of a table with one value per kind.
    pub(crate) fn subject(values: &[(Kind, &str)]) -> Subject {
        let columns: Vec<Column> =
            values.iter().map(|(kind, _)| Column { kind: *kind, scheme: CompactString::default() }).collect();
        let layout = Layout::new(&columns).expect("tests stay within the limits");
        let texts: Vec<&str> = values.iter().map(|(_, text)| *text).collect();
        let row = layout.row(EntityKey::new(EntityKind::Account, "1"), 0, &texts);
        Subject::of(Standard::of_row(&row, &Model::shipped()))
    }

    /// Checks the level of a feature, both ways round.
    pub(crate) fn check(left: &[(Kind, &str)], right: &[(Kind, &str)], feature: Feature, expected: Level) {
        let (a, b) = (subject(left), subject(right));
        let found = compare(&a, &b);
        assert_eq!(found.of(feature), expected, "{left:?} {right:?}");
        assert_eq!(compare(&b, &a), found, "{left:?} {right:?} is not symmetric");
    }
}
