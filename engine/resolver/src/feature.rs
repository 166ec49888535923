//! What records are compared on, and how well two records may agree on it.

use ontology::{Field, Vocabulary};

/// One kind of evidence, in the order in which contributions are summed and shown. The first twelve
/// are what the hub's party records carry (spec 4.1); the others are for columns of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Feature {
    /// Cross-reference keys.
    Key,
    /// Tax or VAT id.
    TaxId,
    /// D-U-N-S number.
    Duns,
    /// E-mail address.
    Email,
    /// Name of an organisation, or of a party that names no family.
    Name,
    /// Given names of a person.
    GivenName,
    /// Family name of a person.
    FamilyName,
    /// Date of birth.
    BirthDate,
    /// Telephone number.
    Phone,
    /// Street and house number.
    Address,
    /// Postal code, city and region.
    Place,
    /// Web domain, or the domain of the e-mail address.
    WebDomain,
    /// Another identifier, first.
    Id1,
    /// Another identifier, second.
    Id2,
    /// Another identifier, third.
    Id3,
    /// Another identifier, fourth.
    Id4,
    /// Another identifier, fifth.
    Id5,
    /// Another identifier, sixth.
    Id6,
    /// Another date, first.
    Date1,
    /// Another date, second.
    Date2,
    /// A category, first.
    Category1,
    /// A category, second.
    Category2,
    /// A category, third.
    Category3,
    /// A category, fourth.
    Category4,
    /// A category, fifth.
    Category5,
    /// A category, sixth.
    Category6,
    /// Free text, first.
    Text1,
    /// Free text, second.
    Text2,
    /// Free text, third.
    Text3,
    /// A list of values, first.
    List1,
    /// A list of values, second.
    List2,
    /// A point on the map.
    Geo,
}

impl Vocabulary for Feature {
    const ALL: &'static [(Self, &'static str)] = &[
        (Feature::Key, "key"),
        (Feature::TaxId, "tax_id"),
        (Feature::Duns, "duns"),
        (Feature::Email, "email"),
        (Feature::Name, "name"),
        (Feature::GivenName, "given_name"),
        (Feature::FamilyName, "family_name"),
        (Feature::BirthDate, "birth_date"),
        (Feature::Phone, "phone"),
        (Feature::Address, "address"),
        (Feature::Place, "place"),
        (Feature::WebDomain, "web_domain"),
        (Feature::Id1, "id_1"),
        (Feature::Id2, "id_2"),
        (Feature::Id3, "id_3"),
        (Feature::Id4, "id_4"),
        (Feature::Id5, "id_5"),
        (Feature::Id6, "id_6"),
        (Feature::Date1, "date_1"),
        (Feature::Date2, "date_2"),
        (Feature::Category1, "category_1"),
        (Feature::Category2, "category_2"),
        (Feature::Category3, "category_3"),
        (Feature::Category4, "category_4"),
        (Feature::Category5, "category_5"),
        (Feature::Category6, "category_6"),
        (Feature::Text1, "text_1"),
        (Feature::Text2, "text_2"),
        (Feature::Text3, "text_3"),
        (Feature::List1, "list_1"),
        (Feature::List2, "list_2"),
        (Feature::Geo, "geo"),
    ];
}

/// Whether a feature tells parties apart by itself, or parties of one home share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Evidence of its own.
    Own,
    /// Members of a household, and sites or sisters of a firm, have it in common: taken together
    /// these features are one piece of evidence.
    Home,
}

impl Feature {
    /// How many features there are.
    pub const COUNT: usize = Feature::ALL.len();

    /// The feature at a place in [`Vocabulary::ALL`].
    #[must_use]
    pub fn at(place: usize) -> Option<Feature> {
        Feature::ALL.get(place).map(|(feature, _)| *feature)
    }

    /// Whether parties of one home share the feature.
    #[must_use]
    pub fn group(self) -> Group {
        match self {
            Feature::Email
            | Feature::Name
            | Feature::FamilyName
            | Feature::Phone
            | Feature::Address
            | Feature::Place
            | Feature::WebDomain => Group::Home,
            Feature::Key
            | Feature::TaxId
            | Feature::Duns
            | Feature::GivenName
            | Feature::BirthDate
            | Feature::Id1
            | Feature::Id2
            | Feature::Id3
            | Feature::Id4
            | Feature::Id5
            | Feature::Id6
            | Feature::Date1
            | Feature::Date2
            | Feature::Category1
            | Feature::Category2
            | Feature::Category3
            | Feature::Category4
            | Feature::Category5
            | Feature::Category6
            | Feature::Text1
            | Feature::Text2
            | Feature::Text3
            | Feature::List1
            | Feature::List2
            | Feature::Geo => Group::Own,
        }
    }

    /// Levels that a comparison of the feature may give besides [`Level::Silent`] and
    /// [`Level::Generic`], best first.
    #[must_use]
    pub fn levels(self) -> &'static [Level] {
        use Level as L;
        match self {
            Feature::Key => &[L::Exact, L::Different],
            Feature::TaxId
            | Feature::Duns
            | Feature::Id1
            | Feature::Id2
            | Feature::Id3
            | Feature::Id4
            | Feature::Id5
            | Feature::Id6 => &[L::Exact, L::Close, L::Near, L::Different],
            Feature::Email => &[L::Exact, L::Close, L::Near, L::Partial, L::Different],
            Feature::Name => {
                &[L::Exact, L::Variant, L::Close, L::Near, L::Partial, L::Initial, L::Household, L::Different]
            }
            Feature::GivenName => {
                &[L::Exact, L::Variant, L::Close, L::Near, L::Partial, L::Initial, L::Household, L::Different]
            }
            Feature::FamilyName => &[L::Exact, L::Variant, L::Close, L::Near, L::Partial, L::Initial, L::Different],
            Feature::BirthDate | Feature::Date1 | Feature::Date2 => {
                &[L::Exact, L::Close, L::Near, L::Partial, L::Different]
            }
            Feature::Phone => &[L::Exact, L::Variant, L::Close, L::Near, L::Different],
            Feature::Address => &[L::Exact, L::Close, L::Near, L::Partial, L::Different],
            Feature::Place => &[L::Exact, L::Close, L::Near, L::Partial, L::Different],
            Feature::WebDomain => &[L::Exact, L::Close, L::Different],
            Feature::Category1
            | Feature::Category2
            | Feature::Category3
            | Feature::Category4
            | Feature::Category5
            | Feature::Category6 => &[L::Exact, L::Close, L::Partial, L::Different],
            Feature::Text1 | Feature::Text2 | Feature::Text3 => {
                &[L::Exact, L::Close, L::Near, L::Partial, L::Different]
            }
            Feature::List1 | Feature::List2 => &[L::Exact, L::Near, L::Partial, L::Different],
            Feature::Geo => &[L::Exact, L::Close, L::Near, L::Partial, L::Different],
        }
    }

    /// Place of the feature among those whose agreement is worth more the rarer the value is; none
    /// for the others.
    pub(crate) fn term_place(self) -> Option<usize> {
        TERM_FEATURES.iter().position(|feature| *feature == self)
    }

    /// Whether agreement is worth more the rarer the value is.
    #[must_use]
    pub fn has_terms(self) -> bool {
        self.term_place().is_some()
    }

    /// The feature that a field is read into; none if the field identifies nobody.
    pub(crate) fn of_field(field: Field) -> Option<Feature> {
        const READ: &[(Field, Feature)] = &[
            (Field::AccountNumber, Feature::Key),
            (Field::AccountXref, Feature::Key),
            (Field::ArCustomerXref, Feature::Key),
            (Field::PartnerXref, Feature::Key),
            (Field::CustomerXref, Feature::Key),
            (Field::EnteredNumber, Feature::Key),
            (Field::TaxId, Feature::TaxId),
            (Field::Duns, Feature::Duns),
            (Field::Email, Feature::Email),
            (Field::Name, Feature::Name),
            (Field::GivenName, Feature::GivenName),
            (Field::FamilyName, Feature::FamilyName),
            (Field::BirthDate, Feature::BirthDate),
            (Field::Phone, Feature::Phone),
            (Field::Street, Feature::Address),
            (Field::HouseNumber, Feature::Address),
            (Field::City, Feature::Place),
            (Field::PostalCode, Feature::Place),
            (Field::Region, Feature::Place),
            (Field::Country, Feature::Place),
            (Field::WebDomain, Feature::WebDomain),
        ];
        READ.iter().find(|(read, _)| *read == field).map(|(_, feature)| *feature)
    }

    /// The field by which a finding on this feature is named; none for columns of tables.
    pub(crate) fn field(self) -> Option<Field> {
        match self {
            Feature::Key => Some(Field::AccountXref),
            Feature::TaxId => Some(Field::TaxId),
            Feature::Duns => Some(Field::Duns),
            Feature::Email => Some(Field::Email),
            Feature::Name => Some(Field::Name),
            Feature::GivenName => Some(Field::GivenName),
            Feature::FamilyName => Some(Field::FamilyName),
            Feature::BirthDate => Some(Field::BirthDate),
            Feature::Phone => Some(Field::Phone),
            Feature::Address => Some(Field::Street),
            Feature::Place => Some(Field::City),
            Feature::WebDomain => Some(Field::WebDomain),
            Feature::Id1
            | Feature::Id2
            | Feature::Id3
            | Feature::Id4
            | Feature::Id5
            | Feature::Id6
            | Feature::Date1
            | Feature::Date2
            | Feature::Category1
            | Feature::Category2
            | Feature::Category3
            | Feature::Category4
            | Feature::Category5
            | Feature::Category6
            | Feature::Text1
            | Feature::Text2
            | Feature::Text3
            | Feature::List1
            | Feature::List2
            | Feature::Geo => None,
        }
    }
}

/// Features with term frequencies: some names, towns and categories are common, most are not.
pub(crate) const TERM_FEATURES: [Feature; 10] = [
    Feature::Name,
    Feature::GivenName,
    Feature::FamilyName,
    Feature::Place,
    Feature::Category1,
    Feature::Category2,
    Feature::Category3,
    Feature::Category4,
    Feature::Category5,
    Feature::Category6,
];

/// A set of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FeatureSet(u32);

impl FeatureSet {
    pub(crate) fn insert(&mut self, feature: Feature) {
        self.0 |= 1 << feature as u32;
    }

    pub(crate) fn contains(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u32) != 0
    }

    pub(crate) fn union(self, other: FeatureSet) -> FeatureSet {
        FeatureSet(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// How well two records agree on a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// At least one record has no value.
    Silent,
    /// The value is shared by too many records to say anything.
    Generic,
    /// Equal in standard form.
    Exact,
    /// Another way to say the same: a nickname, another legal form, a number without its country.
    Variant,
    /// One error apart, or parts in the wrong places.
    Close,
    /// Two errors apart, or alike as a whole.
    Near,
    /// One contains the other, or only a part agrees: the town but not the postal code, the year.
    Partial,
    /// An initial of the other.
    Initial,
    /// Begins alike and goes on differently: probably a sister of the same home.
    Household,
    /// Clearly different.
    Different,
}

impl Vocabulary for Level {
    const ALL: &'static [(Self, &'static str)] = &[
        (Level::Silent, "silent"),
        (Level::Generic, "generic"),
        (Level::Exact, "exact"),
        (Level::Variant, "variant"),
        (Level::Close, "close"),
        (Level::Near, "near"),
        (Level::Partial, "partial"),
        (Level::Initial, "initial"),
        (Level::Household, "household"),
        (Level::Different, "different"),
    ];
}

impl Level {
    /// How many levels there are.
    pub const COUNT: usize = Level::ALL.len();

    /// Equal, said otherwise, or an error apart.
    pub(crate) fn agrees(self) -> bool {
        matches!(self, Level::Exact | Level::Variant | Level::Close)
    }

    /// Says nothing either way.
    pub(crate) fn says_nothing(self) -> bool {
        matches!(self, Level::Silent | Level::Generic)
    }

    fn at(place: u8) -> Level {
        Level::ALL.get(usize::from(place)).map_or(Level::Silent, |(level, _)| *level)
    }
}

/// The levels of a pair, one per feature in four bits: what an edge keeps, so that a score can be
/// told again and a pattern counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Levels([u64; 2]);

/// Features that one word of [`Levels`] holds.
const IN_WORD: usize = 16;

impl Levels {
    /// The level of one feature.
    #[must_use]
    pub fn of(&self, feature: Feature) -> Level {
        Level::at(self.index(feature as usize))
    }

    /// The level of the feature at `place` as its place among all levels: 0 is silent.
    #[must_use]
    pub fn index(&self, place: usize) -> u8 {
        let bits = self.0[place / IN_WORD] >> (place % IN_WORD * 4) & 15;
        // Four bits.
        bits as u8
    }

    /// The same with another level of one feature.
    #[must_use]
    pub fn with(mut self, feature: Feature, level: Level) -> Self {
        self.set(feature, level);
        self
    }

    pub(crate) fn set(&mut self, feature: Feature, level: Level) {
        let (word, shift) = (feature as usize / IN_WORD, feature as usize % IN_WORD * 4);
        self.0[word] = self.0[word] & !(15 << shift) | (level as u64) << shift;
    }

    /// Features with their levels, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, Level)> + '_ {
        Feature::ALL.iter().map(|(feature, _)| (*feature, self.of(*feature)))
    }

    /// Features that say something or nothing besides being silent, in order; skips the silent ones
    /// a word at a time.
    pub(crate) fn spoken(&self) -> impl Iterator<Item = (Feature, Level)> + '_ {
        let mut words = self.0;
        std::iter::from_fn(move || {
            let word = words.iter().position(|word| *word != 0)?;
            let place = words[word].trailing_zeros() as usize / 4;
            let level = words[word] >> (place * 4) & 15;
            words[word] &= !(15 << (place * 4));
            Feature::at(word * IN_WORD + place).map(|feature| (feature, Level::at(level as u8)))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn features_and_levels_stand_in_order_and_fit_their_bits() {
        for (at, (feature, _)) in Feature::ALL.iter().enumerate() {
            assert_eq!(*feature as usize, at);
            assert_eq!(Feature::at(at), Some(*feature));
        }
        for (at, (level, _)) in Level::ALL.iter().enumerate() {
            assert_eq!(*level as usize, at);
        }
        const { assert!(Feature::COUNT <= 2 * IN_WORD && Level::COUNT <= 16) };
    }

    #[test]
    fn a_vector_gives_back_what_was_set_and_skips_the_silent() {
        let mut levels = Levels::default();
        for (at, (feature, _)) in Feature::ALL.iter().enumerate() {
            levels.set(*feature, Level::at((at % Level::COUNT) as u8));
        }
        levels.set(Feature::Geo, Level::Near);
        levels.set(Feature::Geo, Level::Exact);
        assert_eq!(levels.of(Feature::Geo), Level::Exact);
        assert_eq!(levels.of(Feature::TaxId), Level::Generic);
        let spoken: Vec<Feature> = levels.spoken().map(|(feature, _)| feature).collect();
        let expected: Vec<Feature> =
            levels.iter().filter(|(_, level)| *level != Level::Silent).map(|(feature, _)| feature).collect();
        assert_eq!(spoken, expected);
        assert!(Levels::default().spoken().next().is_none());
    }
}
