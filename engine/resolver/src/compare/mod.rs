//! Comparisons, one file per kind of value: each says how well two records agree on one feature.

mod address;
mod birth_date;
mod duns;
mod email;
mod key;
mod name;
mod phone;
mod tax_id;
mod web_domain;

use crate::feature::{Feature, FeatureSet, Level, Levels};
use crate::standard::Standard;

pub(crate) use key::conflicts as keys_conflict;
pub(crate) use tax_id::conflicts as tax_ids_conflict;

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
    /// Keys that still tell somebody apart.
    pub(crate) fn telling_keys(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let keys = self.standard.keys.iter().enumerate();
        keys.filter(|(at, _)| *at >= 64 || self.generic_keys & (1 << at) == 0)
            .map(|(_, (scheme, value))| (*scheme, value.as_str()))
    }
}

/// How one feature is compared.
pub(crate) struct Comparison {
    pub(crate) feature: Feature,
    pub(crate) compare: fn(&Subject, &Subject) -> Level,
}

/// Every comparison, in the order of [`Feature`].
pub(crate) const ALL: &[Comparison] = &[
    key::COMPARISON,
    tax_id::COMPARISON,
    duns::COMPARISON,
    email::COMPARISON,
    name::COMPARISON,
    birth_date::COMPARISON,
    phone::COMPARISON,
    address::COMPARISON,
    web_domain::COMPARISON,
];

/// Compares two records on every feature. The caller passes the smaller key first, because string
/// similarity is not exactly symmetric.
pub(crate) fn compare(left: &Subject, right: &Subject) -> Levels {
    let mut levels = [Level::Silent; Feature::COUNT];
    for comparison in ALL {
        levels[comparison.feature as usize] = (comparison.compare)(left, right);
    }
    Levels(levels)
}

/// The level of two values that are equal or not, and say nothing if either is generic.
fn equality(feature: Feature, left: (&Subject, &str), right: (&Subject, &str)) -> Level {
    if left.1.is_empty() || right.1.is_empty() {
        Level::Silent
    } else if left.0.generic.contains(feature) || right.0.generic.contains(feature) {
        Level::Generic
    } else if left.1 == right.1 {
        Level::Exact
    } else {
        Level::Different
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_stand_in_the_order_of_features() {
        for (at, comparison) in ALL.iter().enumerate() {
            assert_eq!(comparison.feature as usize, at);
        }
        assert_eq!(ALL.len(), Feature::COUNT);
    }
}
