//! What records are compared on, and how well two records may agree on it.

use ontology::{Field, Vocabulary};

/// One kind of evidence (spec 4.1), in the order in which contributions are summed and shown.
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
    /// Name of a person or an organisation.
    Name,
    /// Date of birth.
    BirthDate,
    /// Telephone number.
    Phone,
    /// Postal address.
    Address,
    /// Web domain, or the domain of the e-mail address.
    WebDomain,
}

impl Vocabulary for Feature {
    const ALL: &'static [(Self, &'static str)] = &[
        (Feature::Key, "key"),
        (Feature::TaxId, "tax_id"),
        (Feature::Duns, "duns"),
        (Feature::Email, "email"),
        (Feature::Name, "name"),
        (Feature::BirthDate, "birth_date"),
        (Feature::Phone, "phone"),
        (Feature::Address, "address"),
        (Feature::WebDomain, "web_domain"),
    ];
}

impl Feature {
    /// How many features there are.
    pub const COUNT: usize = 9;

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
            (Field::GivenName, Feature::Name),
            (Field::FamilyName, Feature::Name),
            (Field::BirthDate, Feature::BirthDate),
            (Field::Phone, Feature::Phone),
            (Field::Street, Feature::Address),
            (Field::HouseNumber, Feature::Address),
            (Field::City, Feature::Address),
            (Field::PostalCode, Feature::Address),
            (Field::Region, Feature::Address),
            (Field::Country, Feature::Address),
            (Field::WebDomain, Feature::WebDomain),
        ];
        READ.iter().find(|(read, _)| *read == field).map(|(_, feature)| *feature)
    }

    /// The field by which a finding on this feature is named.
    pub(crate) fn field(self) -> Field {
        match self {
            Feature::Key => Field::AccountXref,
            Feature::TaxId => Field::TaxId,
            Feature::Duns => Field::Duns,
            Feature::Email => Field::Email,
            Feature::Name => Field::Name,
            Feature::BirthDate => Field::BirthDate,
            Feature::Phone => Field::Phone,
            Feature::Address => Field::Street,
            Feature::WebDomain => Field::WebDomain,
        }
    }
}

/// A set of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FeatureSet(u16);

impl FeatureSet {
    pub(crate) fn insert(&mut self, feature: Feature) {
        self.0 |= 1 << feature as u16;
    }

    pub(crate) fn contains(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u16) != 0
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
pub enum Level {
    /// At least one record has no value.
    Silent,
    /// The value is shared by too many records to say anything.
    Generic,
    /// Equal in standard form.
    Exact,
    /// A typing error apart.
    Close,
    /// One contains the other, or only the place of the address agrees.
    Partial,
    /// Family name agrees, given name does not: probably two members of one household.
    Household,
    /// Clearly different.
    Different,
}

impl Vocabulary for Level {
    const ALL: &'static [(Self, &'static str)] = &[
        (Level::Silent, "silent"),
        (Level::Generic, "generic"),
        (Level::Exact, "exact"),
        (Level::Close, "close"),
        (Level::Partial, "partial"),
        (Level::Household, "household"),
        (Level::Different, "different"),
    ];
}

impl Level {
    /// Equal or a typing error apart.
    pub(crate) fn agrees(self) -> bool {
        matches!(self, Level::Exact | Level::Close)
    }

    /// Says nothing either way.
    pub(crate) fn says_nothing(self) -> bool {
        matches!(self, Level::Silent | Level::Generic)
    }
}

/// The levels of a pair, one per feature: what an edge keeps, so that a score can be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels(pub(crate) [Level; Feature::COUNT]);

impl Levels {
    /// The level of one feature.
    #[must_use]
    pub fn of(&self, feature: Feature) -> Level {
        self.0[feature as usize]
    }

    /// Features with their levels, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, Level)> + '_ {
        Feature::ALL.iter().map(|(feature, _)| (*feature, self.of(*feature)))
    }
}
