//! Blocking keys: what two records must have in common to become a candidate pair.
//!
//! Identifying values block by themselves and are retired when they turn out generic. Names block
//! whole and together with a place or a date of birth, so that a typing error in one part leaves
//! another block in common. Retirement is a function of the records present, never of their order.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::feature::Feature;
use crate::standard::Standard;

/// Letters of a word that a block of names takes: errors come late in words more often than early.
const PREFIX_LENGTH: usize = 4;

/// Words of a name that block together with a place.
const WORDS_MAX: usize = 3;

/// A hashed blocking key. The lowest bit says whether it is an identifying value, to which the
/// limit of generic values applies, or a block of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockKey(u64);

impl BlockKey {
    fn new(kind: &str, first: &str, second: &str, is_value: bool) -> Self {
        // Fixed keys: the same on every machine and in every run.
        let mut hasher = DefaultHasher::new();
        (kind, first, second).hash(&mut hasher);
        BlockKey(hasher.finish() & !1 | u64::from(is_value))
    }

    pub(crate) fn is_value(self) -> bool {
        self.0 & 1 == 1
    }
}

/// What a blocking key was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The value of a feature.
    Value(Feature),
    /// The i-th cross-reference key.
    Key(u8),
    /// Parts of a name with a place or a date.
    Names,
}

/// The blocking keys of a record, sorted, without repeats.
pub(crate) fn keys_of(standard: &Standard) -> Box<[(BlockKey, Origin)]> {
    let mut keys = Vec::with_capacity(16);
    for (at, (scheme, value)) in standard.keys.iter().enumerate() {
        if let Ok(at) = u8::try_from(at) {
            keys.push((BlockKey::new(scheme, value, "", true), Origin::Key(at)));
        }
    }
    values(standard, &mut keys);
    names(standard, &mut keys);
    keys.sort_unstable();
    keys.dedup_by_key(|(key, _)| *key);
    keys.into_boxed_slice()
}

fn values(standard: &Standard, keys: &mut Vec<(BlockKey, Origin)>) {
    let bare_tax_id = crate::standard::without_country(&standard.tax_id);
    let single = [
        (Feature::TaxId, bare_tax_id),
        (Feature::Duns, standard.duns.as_str()),
        (Feature::Email, standard.email.as_str()),
        (Feature::Phone, standard.phone.as_str()),
        (Feature::WebDomain, standard.web_domain.as_str()),
    ];
    for (feature, value) in single {
        if !value.is_empty() {
            let kind = ontology::Vocabulary::name(feature);
            keys.push((BlockKey::new(kind, value, "", true), Origin::Value(feature)));
        }
    }
    let address = &standard.address;
    let place = if address.postal_code.is_empty() { &address.city } else { &address.postal_code };
    if !address.street.is_empty() && !address.house.is_empty() && !place.is_empty() {
        let house = [address.street.as_str(), " ", address.house.as_str()].concat();
        keys.push((BlockKey::new("address", &house, place, true), Origin::Value(Feature::Address)));
    }
}

fn names(standard: &Standard, keys: &mut Vec<(BlockKey, Origin)>) {
    let name = &standard.name;
    if name.is_empty() {
        return;
    }
    let mut block = |kind: &str, first: &str, second: &str| {
        if !first.is_empty() && !second.is_empty() {
            keys.push((BlockKey::new(kind, first, second, false), Origin::Names));
        }
    };
    block("name", &name.words, "whole");
    block("name and city", &name.words, &standard.address.city);
    let born = standard.birth_date.as_str();
    if !born.is_empty() {
        block("family and birth", prefix(&name.family), born);
        block("given and birth", prefix(&name.given), born);
        block("name and year", &name.words, &born[..4]);
    }
    // The postcode is the finer place; the city stands in where a record has none.
    let (kind, place) = match standard.address.postal_code.as_str() {
        "" => ("word and city", standard.address.city.as_str()),
        postal_code => ("word and postcode", postal_code),
    };
    for word in name.words.split(' ').take(WORDS_MAX) {
        block(kind, prefix(word), place);
    }
}

fn prefix(word: &str) -> &str {
    // Folded text is ASCII, so every byte is a boundary.
    &word[..word.len().min(PREFIX_LENGTH)]
}
