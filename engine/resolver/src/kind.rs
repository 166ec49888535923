//! Kinds of columns, and which feature each column of a table feeds.

use compact_str::CompactString;
use ontology::Vocabulary;

use crate::feature::Feature;
use crate::standard::Part;

/// What the values of a column are. How they are compared follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Given names of a person.
    GivenName,
    /// Family name of a person.
    FamilyName,
    /// Full name of a person, in either order.
    FullName,
    /// Name of an organisation.
    Organisation,
    /// Street, perhaps with the house number.
    Street,
    /// House number.
    HouseNumber,
    /// A whole postal address in one line.
    Address,
    /// City or suburb.
    City,
    /// Postal code.
    PostalCode,
    /// Region, state or province.
    Region,
    /// Country, ISO 3166 alpha-2 where known.
    Country,
    /// Telephone number.
    Phone,
    /// E-mail address.
    Email,
    /// Date; the first one of a table is taken for the date of birth.
    Date,
    /// Identifier within its scheme.
    Identifier,
    /// Web site or domain.
    WebDomain,
    /// One of a set of words.
    Category,
    /// Words in any order.
    FreeText,
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
    /// Whether the row is a person or an organisation.
    PartyType,
    /// Several values, parted by semicolons, bars or commas.
    List,
}

impl Vocabulary for Kind {
    const ALL: &'static [(Self, &'static str)] = &[
        (Kind::GivenName, "given_name"),
        (Kind::FamilyName, "family_name"),
        (Kind::FullName, "full_name"),
        (Kind::Organisation, "organisation"),
        (Kind::Street, "street"),
        (Kind::HouseNumber, "house_number"),
        (Kind::Address, "address"),
        (Kind::City, "city"),
        (Kind::PostalCode, "postal_code"),
        (Kind::Region, "region"),
        (Kind::Country, "country"),
        (Kind::Phone, "phone"),
        (Kind::Email, "email"),
        (Kind::Date, "date"),
        (Kind::Identifier, "identifier"),
        (Kind::WebDomain, "web_domain"),
        (Kind::Category, "category"),
        (Kind::FreeText, "free_text"),
        (Kind::Latitude, "latitude"),
        (Kind::Longitude, "longitude"),
        (Kind::PartyType, "party_type"),
        (Kind::List, "list"),
    ];
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What its values are.
    pub kind: Kind,
    /// For identifiers, dates, categories, free text and lists: two schemes are two features, equal
    /// schemes are several values of one. Ignored for the other kinds.
    pub scheme: CompactString,
}

/// Why columns cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lay out columns: {kind} has more than {count_max} schemes, merge some or leave {scheme} out")]
pub struct LayoutError {
    /// The kind with too many schemes.
    pub kind: &'static str,
    /// How many fit.
    pub count_max: usize,
    /// The first that did not fit.
    pub scheme: CompactString,
}

/// Which part of a record each column of a table feeds. A function of the columns and their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(crate) columns: Vec<(Kind, Part)>,
    names: Vec<(Feature, CompactString)>,
    pub(crate) country: CompactString,
}

/// Schemes of identifiers that have a feature of their own.
const TAX_SCHEMES: &[&str] = &["tax", "tax_id", "vat", "vat_id", "tin", "ein"];
const DUNS_SCHEMES: &[&str] = &["duns", "duns_number", "d-u-n-s"];

/// Parts for kinds with schemes, in the order in which they are given out.
const IDS: &[Part] = &[Part::Id1, Part::Id2, Part::Id3, Part::Id4, Part::Id5, Part::Id6];
const DATES: &[Part] = &[Part::BirthDate, Part::Date1, Part::Date2];
const CATEGORIES: &[Part] =
    &[Part::Category1, Part::Category2, Part::Category3, Part::Category4, Part::Category5, Part::Category6];
const TEXTS: &[Part] = &[Part::Text1, Part::Text2, Part::Text3];
const LISTS: &[Part] = &[Part::List1, Part::List2];

impl Layout {
    /// Lays out the columns of a table.
    ///
    /// # Errors
    /// There are more schemes of one kind than features for it.
    pub fn new(columns: &[Column]) -> Result<Self, LayoutError> {
        let mut layout = Layout { columns: Vec::new(), names: Vec::new(), country: CompactString::default() };
        let mut given: Vec<(Kind, CompactString, Part)> = Vec::new();
        // The column that calls itself a birth takes the place of the date of birth.
        let is_birth = |column: &Column| {
            let scheme = column.scheme.to_ascii_lowercase();
            column.kind == Kind::Date && ["birth", "born", "dob"].iter().any(|word| scheme.contains(word))
        };
        let has_birth = columns.iter().any(is_birth);
        for column in columns {
            let part = match column.kind {
                Kind::GivenName => Part::Given,
                Kind::FamilyName => Part::Family,
                Kind::FullName | Kind::Organisation => Part::Words,
                Kind::Street | Kind::Address => Part::Street,
                Kind::HouseNumber => Part::House,
                Kind::City => Part::City,
                Kind::PostalCode => Part::PostalCode,
                Kind::Region => Part::Region,
                // Kept for its place only: it is a circumstance and no evidence.
                Kind::Country | Kind::PartyType => Part::Country,
                Kind::Phone => Part::Phone,
                Kind::Email => Part::Email,
                Kind::WebDomain => Part::Domain,
                Kind::Latitude | Kind::Longitude => Part::Geo,
                Kind::Identifier if TAX_SCHEMES.contains(&column.scheme.as_str()) => Part::TaxId,
                Kind::Identifier if DUNS_SCHEMES.contains(&column.scheme.as_str()) => Part::Duns,
                Kind::Identifier => layout.next(&mut given, column, IDS)?,
                Kind::Date if has_birth && is_birth(column) => Part::BirthDate,
                Kind::Date if has_birth => layout.next(&mut given, column, &DATES[1..])?,
                Kind::Date => layout.next(&mut given, column, DATES)?,
                Kind::Category => layout.next(&mut given, column, CATEGORIES)?,
                Kind::FreeText => layout.next(&mut given, column, TEXTS)?,
                Kind::List => layout.next(&mut given, column, LISTS)?,
            };
            layout.columns.push((column.kind, part));
        }
        Ok(layout)
    }

    /// The same with a country by whose rules numbers are read where a row names none.
    #[must_use]
    pub fn with_country(mut self, country: &str) -> Self {
        self.country = CompactString::from(country);
        self
    }

    /// What people call a feature of this table.
    #[must_use]
    pub fn name_of(&self, feature: Feature) -> &str {
        let named = self.names.iter().find(|(known, _)| *known == feature);
        named.map_or_else(|| feature.name(), |(_, name)| name.as_str())
    }

    fn next(
        &mut self,
        given: &mut Vec<(Kind, CompactString, Part)>,
        column: &Column,
        parts: &[Part],
    ) -> Result<Part, LayoutError> {
        if let Some((_, _, part)) =
            given.iter().find(|(kind, scheme, _)| (*kind, scheme) == (column.kind, &column.scheme))
        {
            return Ok(*part);
        }
        let taken = given.iter().filter(|(kind, _, _)| *kind == column.kind).count();
        let part = parts.get(taken).copied().ok_or_else(|| LayoutError {
            kind: column.kind.name(),
            count_max: parts.len(),
            scheme: column.scheme.clone(),
        })?;
        given.push((column.kind, column.scheme.clone(), part));
        if !column.scheme.is_empty() {
            self.names.extend(part.feature().map(|feature| (feature, column.scheme.clone())));
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn column(kind: Kind, scheme: &str) -> Column {
        Column { kind, scheme: scheme.into() }
    }

    fn parts(columns: &[Column]) -> Vec<Part> {
        Layout::new(columns).unwrap().columns.into_iter().map(|(_, part)| part).collect()
    }

    #[test]
    fn schemes_are_features_in_the_order_of_columns() {
        let columns = [
            column(Kind::Identifier, "ssn"),
            column(Kind::Identifier, "vat"),
            column(Kind::Identifier, "passport"),
            column(Kind::Identifier, "ssn"),
            column(Kind::Category, "occupation"),
        ];
        assert_eq!(parts(&columns), [Part::Id1, Part::TaxId, Part::Id2, Part::Id1, Part::Category1]);
        let layout = Layout::new(&columns).unwrap();
        assert_eq!(layout.name_of(Feature::Category1), "occupation");
        assert_eq!(layout.name_of(Feature::Email), "email");
    }

    #[test]
    fn the_birth_is_found_by_name_else_it_is_the_first_date() {
        let named = [column(Kind::Date, "opened"), column(Kind::Date, "date_of_birth")];
        assert_eq!(parts(&named), [Part::Date1, Part::BirthDate]);
        let unnamed = [column(Kind::Date, "a"), column(Kind::Date, "b")];
        assert_eq!(parts(&unnamed), [Part::BirthDate, Part::Date1]);
    }

    #[test]
    fn one_scheme_too_many_is_refused_by_name() {
        let columns: Vec<Column> = (0..4).map(|at| column(Kind::FreeText, &format!("t{at}"))).collect();
        assert!(Layout::new(&columns[..3]).is_ok());
        let error = Layout::new(&columns).unwrap_err();
        assert_eq!(error.to_string(), "lay out columns: free_text has more than 3 schemes, merge some or leave t3 out");
    }
}
