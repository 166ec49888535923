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
use crate::model::Model;
use crate::standard::{BETWEEN, Part, Standard};

pub(crate) use identifier::conflicts as tax_ids_conflict;
pub(crate) use key::conflicts as keys_conflict;
pub(crate) use name::{WORDS_MAX, has_digit};

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
    /// The features whose levels it sets.
    sets: &'static [Feature],
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

/// Every comparison; what tells most for its cost comes first, so that hopeless pairs end soon.
pub(crate) const ALL: &[Comparison] = &[
    key::COMPARISON,
    identifier::COMPARISON,
    date::COMPARISON,
    person::COMPARISON,
    phone::COMPARISON,
    email::COMPARISON,
    place::COMPARISON,
    name::COMPARISON,
    address::COMPARISON,
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

/// Compares two records until it is certain that they score below `floor_millibits`: then none.
/// A key or tax id in common is compared to the end, because rules give those a confidence of their own.
pub(crate) fn compare_above(model: &Model, left: &Subject, right: &Subject, floor_millibits: i32) -> Option<Levels> {
    let common = left.standard.common(&right.standard);
    let needed = |comparison: &&Comparison| comparison.needs & common != 0 || comparison.needs == 0;
    let best = |feature: &Feature| {
        let rarity = feature.term_place().map_or(0, |place| i32::from(left.standard.rarities[place]).max(0) * 250);
        model.best_millibits(*feature) + rarity
    };
    // Two places cost what a move costs at most: each is held to that, and once is given back below.
    let worth = |feature: Feature, level: Level| {
        let weight = model.weight_millibits(feature, level);
        if matches!(feature, Feature::Address | Feature::Place) { weight.max(model.moved_millibits) } else { weight }
    };
    let mut levels = Levels::default();
    let mut bound = model.prior_millibits - model.moved_millibits;
    for comparison in ALL.iter().filter(needed) {
        bound += comparison.sets.iter().map(best).sum::<i32>();
    }
    for comparison in ALL.iter().filter(needed) {
        (comparison.compare)(left, right, &mut levels);
        for feature in comparison.sets {
            let level = levels.of(*feature);
            if level != Level::Exact {
                bound += worth(*feature, level) - best(feature);
            }
        }
        let has_floor = levels.of(Feature::Key) == Level::Exact || levels.of(Feature::TaxId) == Level::Exact;
        if !has_floor && bound < floor_millibits {
            return None;
        }
    }
    Some(levels)
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
pub(crate) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::testing::subject;
    use super::*;
    use crate::kind::Kind;
    use crate::score::{Circumstances, Standing, score};

    fn value() -> impl Strategy<Value = [&'static str; 6]> {
        let given = prop::sample::select(vec!["Anna", "Ana", "Tobias", ""]);
        let family = prop::sample::select(vec!["Bauer", "Baur", "Kessler", ""]);
        let street = prop::sample::select(vec!["12 Mill Lane", "12 Mil Lane", "9 Abbey Road", ""]);
        let code = prop::sample::select(vec!["62704", "62740", "90210", ""]);
        let born = prop::sample::select(vec!["1980-05-02", "1980-02-05", "1957-11-30", ""]);
        let phone = prop::sample::select(vec!["0412345678", "0412345687", "0399111222", ""]);
        (given, family, street, code, born, phone).prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f])
    }

    const KINDS: [Kind; 6] =
        [Kind::GivenName, Kind::FamilyName, Kind::Street, Kind::PostalCode, Kind::Date, Kind::Phone];

    proptest! {
        #[test]
        fn ending_early_never_ends_what_would_be_kept(a in value(), b in value()) {
            let of = |values: [&'static str; 6]| subject(&KINDS.into_iter().zip(values).collect::<Vec<_>>());
            let (left, right, model) = (of(a), of(b), Model::shipped());
            let whole = compare(&left, &right);
            let total = score(&model, whole, Circumstances::of(&left, &right), Standing::default()).total_millibits;
            for floor in [-20_000, -4_000, 0, 5_000] {
                match compare_above(&model, &left, &right, floor) {
                    Some(levels) => prop_assert_eq!(levels, whole),
                    None => prop_assert!(total < floor, "{} {}", total, floor),
                }
            }
        }
    }
}
