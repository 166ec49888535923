//! The parts that a standard record consists of.

use crate::feature::Feature;

/// One part of a record in standard form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Part {
    /// Cross-reference keys, each `scheme:value`.
    Keys,
    /// Upper-case letters and digits.
    TaxId,
    /// Digits.
    Duns,
    /// Lower case.
    Email,
    /// Sorted words of an organisation's name, or of a name that is not known to be a person's.
    Words,
    /// Legal forms of the organisation, sorted.
    LegalForms,
    /// Given names in the order written.
    Given,
    /// Family names in the order written.
    Family,
    /// Which of several of one name, a digit: 1 for a senior, 2 for a junior or the second.
    Generation,
    /// Eight digits, year first.
    BirthDate,
    /// E.164, or the digits of a number that no rule accepts.
    Phone,
    Street,
    House,
    City,
    PostalCode,
    Region,
    Country,
    /// Host name without `www.`; from the mail address if the record names none.
    Domain,
    Id1,
    Id2,
    Id3,
    Id4,
    Id5,
    Id6,
    Date1,
    Date2,
    Category1,
    Category2,
    Category3,
    Category4,
    Category5,
    Category6,
    Text1,
    Text2,
    Text3,
    List1,
    List2,
    /// Latitude and longitude in degrees, parted by a blank.
    Geo,
}

impl Part {
    /// How many parts there are.
    pub(crate) const COUNT: usize = Part::Geo as usize + 1;

    /// The feature that the part is compared by; none for parts that only help others.
    pub(crate) fn feature(self) -> Option<Feature> {
        match self {
            Part::Keys => Some(Feature::Key),
            Part::TaxId => Some(Feature::TaxId),
            Part::Duns => Some(Feature::Duns),
            Part::Email => Some(Feature::Email),
            Part::Words => Some(Feature::Name),
            Part::Given => Some(Feature::GivenName),
            Part::Family => Some(Feature::FamilyName),
            Part::BirthDate => Some(Feature::BirthDate),
            Part::Phone => Some(Feature::Phone),
            Part::Street => Some(Feature::Address),
            Part::City => Some(Feature::Place),
            Part::Domain => Some(Feature::WebDomain),
            Part::Id1 => Some(Feature::Id1),
            Part::Id2 => Some(Feature::Id2),
            Part::Id3 => Some(Feature::Id3),
            Part::Id4 => Some(Feature::Id4),
            Part::Id5 => Some(Feature::Id5),
            Part::Id6 => Some(Feature::Id6),
            Part::Date1 => Some(Feature::Date1),
            Part::Date2 => Some(Feature::Date2),
            Part::Category1 => Some(Feature::Category1),
            Part::Category2 => Some(Feature::Category2),
            Part::Category3 => Some(Feature::Category3),
            Part::Category4 => Some(Feature::Category4),
            Part::Category5 => Some(Feature::Category5),
            Part::Category6 => Some(Feature::Category6),
            Part::Text1 => Some(Feature::Text1),
            Part::Text2 => Some(Feature::Text2),
            Part::Text3 => Some(Feature::Text3),
            Part::List1 => Some(Feature::List1),
            Part::List2 => Some(Feature::List2),
            Part::Geo => Some(Feature::Geo),
            Part::LegalForms | Part::Generation | Part::House | Part::PostalCode | Part::Region | Part::Country => None,
        }
    }
}

/// Identifiers of tables with the features that compare them.
pub(crate) const IDS: [(Part, Feature); 6] = [
    (Part::Id1, Feature::Id1),
    (Part::Id2, Feature::Id2),
    (Part::Id3, Feature::Id3),
    (Part::Id4, Feature::Id4),
    (Part::Id5, Feature::Id5),
    (Part::Id6, Feature::Id6),
];

/// Dates with the features that compare them.
pub(crate) const DATES: [(Part, Feature); 3] =
    [(Part::BirthDate, Feature::BirthDate), (Part::Date1, Feature::Date1), (Part::Date2, Feature::Date2)];

/// Categories with the features that compare them.
pub(crate) const CATEGORIES: [(Part, Feature); 6] = [
    (Part::Category1, Feature::Category1),
    (Part::Category2, Feature::Category2),
    (Part::Category3, Feature::Category3),
    (Part::Category4, Feature::Category4),
    (Part::Category5, Feature::Category5),
    (Part::Category6, Feature::Category6),
];

/// Texts with the features that compare them.
pub(crate) const TEXTS: [(Part, Feature); 3] =
    [(Part::Text1, Feature::Text1), (Part::Text2, Feature::Text2), (Part::Text3, Feature::Text3)];

/// Lists with the features that compare them.
pub(crate) const LISTS: [(Part, Feature); 2] = [(Part::List1, Feature::List1), (Part::List2, Feature::List2)];
