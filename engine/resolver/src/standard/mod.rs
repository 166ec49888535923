//! The standard form of a record: computed once per record version and packed into one piece of
//! memory, so that comparing two records reads two places and allocates nothing.

mod address;
mod build;
mod contact;
mod date;
mod identifier;
mod lexicon;
mod organisation;
mod packed;
mod part;
mod person;
mod text;
mod umlauts;

use compact_str::CompactString;
use ontology::status::PartyType;

use crate::feature::{Feature, FeatureSet, TERM_FEATURES};

pub(crate) use identifier::without_country;
pub(crate) use lexicon::lexicon;
use packed::{Packed, Parts};
pub(crate) use part::{CATEGORIES, DATES, IDS, LISTS, Part, TEXTS};

/// Between the values of a part that has several.
pub(crate) const BETWEEN: u8 = b'\n';

/// A record ready for comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standard {
    packed: Packed,
    /// How much rarer than usual each value with term frequencies is, in quarters of a bit.
    pub(crate) rarities: [i8; TERM_FEATURES.len()],
    /// Features that may not support an automatic link.
    pub(crate) blocked: FeatureSet,
    /// Whether it is a Webex caller profile, to which rules of its own apply.
    pub(crate) is_caller: bool,
    /// Whether the party is only asked about, and its keys are named under every scheme.
    pub(crate) is_described: bool,
    /// Whether different tax ids and keys forbid a link: in tables they may be typing errors.
    pub(crate) vetoes: bool,
    /// Which table the record comes from; the place of its system for the hub's records.
    pub(crate) source: u8,
    pub(crate) party_type: Option<PartyType>,
    /// Scheme in which the record has an id of its own.
    pub(crate) own_scheme: &'static str,
}

impl Standard {
    /// A part's bytes, all its values; empty if the record has none.
    #[inline]
    pub(crate) fn part(&self, part: Part) -> &[u8] {
        self.packed.part(part)
    }

    /// A part as text.
    pub(crate) fn text(&self, part: Part) -> &str {
        std::str::from_utf8(self.part(part)).expect("parts are packed from text")
    }

    /// Whether the record has a part.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.packed.present & (1 << part as u64) != 0
    }

    /// The parts that the record has, a bit each.
    pub(crate) fn present(&self) -> u64 {
        self.packed.present
    }

    /// A number that depends on the parts: whoever reads it has them near afterwards.
    pub(crate) fn touch(&self) -> u8 {
        self.packed.touch()
    }

    /// Parts that both records have, as bits: what a comparison need not look at.
    pub(crate) fn common(&self, other: &Standard) -> u64 {
        self.packed.present & other.packed.present
    }

    /// The values of a part.
    pub(crate) fn values(&self, part: Part) -> impl Iterator<Item = &str> {
        self.text(part).split(char::from(BETWEEN)).filter(|value| !value.is_empty())
    }

    /// The values of a part as bytes.
    pub(crate) fn value_bytes(&self, part: Part) -> impl Iterator<Item = &[u8]> {
        self.part(part).split(|byte| *byte == BETWEEN).filter(|value| !value.is_empty())
    }

    /// Whether the record names a person.
    pub(crate) fn is_of_person(&self) -> bool {
        self.has(Part::Family) || self.has(Part::Given)
    }

    /// The value of a feature as an explanation shows it.
    pub(crate) fn shown(&self, feature: Feature) -> CompactString {
        let values = |part: Part| -> CompactString {
            CompactString::from(self.text(part).replace(char::from(BETWEEN), " | ").as_str())
        };
        let together = |parts: &[Part]| -> CompactString {
            let filled: Vec<&str> = parts.iter().map(|part| self.text(*part)).filter(|text| !text.is_empty()).collect();
            CompactString::from(filled.join(" "))
        };
        match feature {
            Feature::Key => CompactString::from(self.text(Part::Keys).replace(char::from(BETWEEN), " ").as_str()),
            Feature::TaxId => values(Part::TaxId),
            Feature::Duns => values(Part::Duns),
            Feature::Email => values(Part::Email),
            Feature::Name => values(Part::Words),
            Feature::GivenName => together(&[Part::Given, Part::Generation]),
            Feature::FamilyName => values(Part::Family),
            Feature::BirthDate => values(Part::BirthDate),
            Feature::Phone => values(Part::Phone),
            Feature::Address => together(&[Part::Street, Part::House]),
            Feature::Place => together(&[Part::PostalCode, Part::City, Part::Region]),
            Feature::WebDomain => values(Part::Domain),
            Feature::Id1 => values(Part::Id1),
            Feature::Id2 => values(Part::Id2),
            Feature::Id3 => values(Part::Id3),
            Feature::Id4 => values(Part::Id4),
            Feature::Id5 => values(Part::Id5),
            Feature::Id6 => values(Part::Id6),
            Feature::Date1 => values(Part::Date1),
            Feature::Date2 => values(Part::Date2),
            Feature::Category1 => values(Part::Category1),
            Feature::Category2 => values(Part::Category2),
            Feature::Category3 => values(Part::Category3),
            Feature::Category4 => values(Part::Category4),
            Feature::Category5 => values(Part::Category5),
            Feature::Category6 => values(Part::Category6),
            Feature::Text1 => values(Part::Text1),
            Feature::Text2 => values(Part::Text2),
            Feature::Text3 => values(Part::Text3),
            Feature::List1 => values(Part::List1),
            Feature::List2 => values(Part::List2),
            Feature::Geo => values(Part::Geo),
        }
    }

    /// The value by which a term table is asked; none for features without one.
    pub(crate) fn term(&self, feature: Feature) -> Option<&str> {
        let part = match feature {
            Feature::Name => Part::Words,
            Feature::GivenName => return self.text(Part::Given).split(' ').next().filter(|word| !word.is_empty()),
            Feature::FamilyName => Part::Family,
            Feature::Place => Part::PostalCode,
            Feature::Category1 => Part::Category1,
            Feature::Category2 => Part::Category2,
            Feature::Category3 => Part::Category3,
            Feature::Category4 => Part::Category4,
            Feature::Category5 => Part::Category5,
            Feature::Category6 => Part::Category6,
            Feature::Key
            | Feature::TaxId
            | Feature::Duns
            | Feature::Email
            | Feature::BirthDate
            | Feature::Phone
            | Feature::Address
            | Feature::WebDomain
            | Feature::Id1
            | Feature::Id2
            | Feature::Id3
            | Feature::Id4
            | Feature::Id5
            | Feature::Id6
            | Feature::Date1
            | Feature::Date2
            | Feature::Text1
            | Feature::Text2
            | Feature::Text3
            | Feature::List1
            | Feature::List2
            | Feature::Geo => return None,
        };
        self.values(part).next()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn packed(values: &[(Part, &str)]) -> Standard {
        let mut parts = Parts::default();
        for (part, value) in values {
            parts.add(*part, CompactString::from(*value));
        }
        Standard {
            packed: parts.pack(),
            rarities: [0; TERM_FEATURES.len()],
            blocked: FeatureSet::default(),
            is_caller: false,
            is_described: false,
            vetoes: true,
            source: 0,
            party_type: None,
            own_scheme: "account",
        }
    }

    #[test]
    fn parts_come_back_as_they_were_packed() {
        let standard = packed(&[
            (Part::Geo, "1 2"),
            (Part::Keys, "a:1"),
            (Part::Email, "b@x"),
            (Part::Email, "a@x"),
            (Part::Email, "a@x"),
        ]);
        assert_eq!(standard.text(Part::Keys), "a:1");
        assert_eq!(standard.values(Part::Email).collect::<Vec<_>>(), ["a@x", "b@x"]);
        assert_eq!(standard.text(Part::Geo), "1 2");
        assert!(!standard.has(Part::Phone) && standard.part(Part::Phone).is_empty());
        assert!(packed(&[]).part(Part::Keys).is_empty());
    }

    #[test]
    fn long_records_are_packed_like_short_ones() {
        for length in 1..300 {
            let text = "x".repeat(length);
            let standard = packed(&[(Part::Given, "ann"), (Part::Street, &text), (Part::Geo, "1 2")]);
            let found = [Part::Keys, Part::Given, Part::Street, Part::House, Part::Geo].map(|part| standard.text(part));
            assert_eq!(found, ["", "ann", &text, "", "1 2"]);
        }
    }

    #[test]
    fn a_flood_of_values_is_cut_whole() {
        let values: Vec<String> = (0..300).map(|at| format!("{at:04}@flood.example")).collect();
        let standard = packed(&values.iter().map(|value| (Part::Email, value.as_str())).collect::<Vec<_>>());
        assert!((900..=1000).contains(&standard.part(Part::Email).len()));
        assert_eq!(standard.values(Part::Email).last().unwrap().len(), "0000@flood.example".len());
        let one = packed(&[(Part::Email, &"x".repeat(5000)), (Part::Geo, "1 2")]);
        assert_eq!((one.text(Part::Email), one.text(Part::Geo)), ("", "1 2"));
    }
}
