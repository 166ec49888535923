//! What a column may hold.

use ontology::Vocabulary;

/// Kind of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Given names of a person.
    GivenName,
    /// Family name of a person.
    FamilyName,
    /// Full name of a person, or of a person or an organisation.
    FullName,
    /// Name of an organisation.
    Organisation,
    /// Whether the record is of a person or an organisation.
    PartyType,
    /// One line with the whole address.
    Address,
    /// Street, perhaps with the number.
    Street,
    /// House number.
    HouseNumber,
    /// City.
    City,
    /// Postcode.
    Postcode,
    /// State, province or county.
    Region,
    /// Country.
    Country,
    /// Telephone number.
    Phone,
    /// E-mail address.
    Email,
    /// Date, such as one of birth.
    Date,
    /// Number or code that somebody gave out; its scheme says who.
    Identifier,
    /// Web domain or address of a site.
    WebDomain,
    /// One of few words, such as a gender or an occupation.
    Category,
    /// Text of which words in common say something.
    FreeText,
    /// Degrees north.
    Latitude,
    /// Degrees east.
    Longitude,
    /// Several values of one scheme, in any order.
    List,
}

impl Vocabulary for Kind {
    const ALL: &'static [(Self, &'static str)] = &[
        (Kind::GivenName, "given_name"),
        (Kind::FamilyName, "family_name"),
        (Kind::FullName, "full_name"),
        (Kind::Organisation, "organisation"),
        (Kind::PartyType, "party_type"),
        (Kind::Address, "address"),
        (Kind::Street, "street"),
        (Kind::HouseNumber, "house_number"),
        (Kind::City, "city"),
        (Kind::Postcode, "postcode"),
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
        (Kind::List, "list"),
    ];
}
