//! From a record as it came to its standard form.

use compact_str::CompactString;
use ontology::party::own_scheme;
use ontology::status::PartyType;
use ontology::{EntityKind, PartyRecord};

use super::address::Address;
use super::organisation::Organisation;
use super::person::Person;
use super::text::{fold, joined};
use super::{Part, Parts, Standard, contact, date, identifier};
use crate::feature::{Feature, FeatureSet, TERM_FEATURES};
use crate::kind::Kind;
use crate::model::Model;
use crate::row::Row;

/// Letters and digits of a list's values are parted by these.
const LIST_BETWEEN: &[char] = &[';', '|', ','];

impl Standard {
    /// The standard form of a record of the hub.
    pub(crate) fn of(record: &PartyRecord, model: &Model) -> Self {
        let mut parts = Parts(Vec::with_capacity(16));
        for (scheme, value) in &record.xrefs {
            let value = identifier::key(value);
            if !value.is_empty() {
                parts.add(Part::Keys, compact_str::format_compact!("{scheme}:{value}"));
            }
        }
        parts.add(Part::TaxId, identifier::identifier(&record.tax_id));
        parts.add(Part::Duns, identifier::duns(&record.duns));
        parts.add(Part::Email, contact::email(&record.email));
        parts.add(Part::Phone, contact::phone(&record.phone, default_country(&record.country)));
        parts.add(Part::BirthDate, date::date(&record.birth_date, true));
        let mut address = Address::default();
        address.add_house(&record.house_number);
        address.add_street(&record.street);
        address.add_city(&record.city);
        address.add_postal_code(&record.postal_code);
        address.add_region(&record.region);
        if !record.address.is_empty() {
            address.add_line(&record.address);
        }
        add_address(&mut parts, address);
        let is_person = name_of_record(record, &mut parts);
        let mut blocked = FeatureSet::default();
        for feature in record.blocked.iter().filter_map(|field| Feature::of_field(*field)) {
            blocked.insert(feature);
            if feature == Feature::Name {
                blocked.insert(Feature::GivenName);
                blocked.insert(Feature::FamilyName);
            }
        }
        if add_domain(&mut parts, &record.web_domain, model) && blocked.contains(Feature::Email) {
            blocked.insert(Feature::WebDomain);
        }
        let party_type = record.party_type.or_else(|| is_person.then_some(PartyType::Person));
        let source = EntityKind::PARTIES.iter().position(|kind| *kind == record.key.kind);
        let shell = Shell {
            blocked,
            is_caller: record.key.kind == EntityKind::CallerProfile,
            is_described: record.is_described,
            vetoes: true,
            source: source.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX),
            party_type,
            own_scheme: own_scheme(&record.key),
        };
        shell.fill(parts, model)
    }

    /// The standard form of a row of a table.
    pub(crate) fn of_row(row: &Row, model: &Model) -> Self {
        let mut parts = Parts(Vec::with_capacity(16));
        let mut address = Address::default();
        let (mut given, mut family) = (CompactString::default(), CompactString::default());
        let (mut latitude, mut longitude) = (None, None);
        let mut web = CompactString::default();
        let (mut party_type, mut has_full_name) = (None, false);
        for (kind, part, value) in &row.values {
            match kind {
                Kind::GivenName => append(&mut given, value),
                Kind::FamilyName => append(&mut family, value),
                Kind::Street => address.add_street(value),
                Kind::HouseNumber => address.add_house(value),
                Kind::City => address.add_city(value),
                Kind::PostalCode => address.add_postal_code(value),
                Kind::Region => address.add_region(value),
                Kind::WebDomain => web.clone_from(value),
                Kind::Latitude => latitude = value.trim().parse::<f64>().ok(),
                Kind::Longitude => longitude = value.trim().parse::<f64>().ok(),
                Kind::FullName => has_full_name = true,
                Kind::Address => {}
                Kind::PartyType => party_type = party_type_of(value),
                Kind::Organisation => add_organisation(&mut parts, value),
                Kind::Country => parts.add(Part::Country, joined(&fold(value))),
                Kind::Phone => parts.add(Part::Phone, contact::phone(value, &row.country)),
                Kind::Email => parts.add(Part::Email, contact::email(value)),
                Kind::Date => parts.add(*part, date::date(value, is_month_first(&row.country))),
                Kind::Identifier => parts.add(*part, identifier::identifier(value)),
                Kind::Category | Kind::FreeText => parts.add(*part, joined(&fold(value))),
                Kind::List => value.split(LIST_BETWEEN).for_each(|one| parts.add(*part, joined(&fold(one)))),
            }
        }
        for (_, _, line) in row.values.iter().filter(|(kind, _, _)| *kind == Kind::Address) {
            address.add_line(line);
        }
        add_address(&mut parts, address);
        let person = Person::of_parts(&given, &family);
        if !person.is_empty() {
            add_person(&mut parts, &person);
        } else if has_full_name {
            let full = row.values.iter().find(|(kind, _, _)| *kind == Kind::FullName);
            if let Some((_, _, name)) = full {
                if party_type == Some(PartyType::Organisation) {
                    add_organisation(&mut parts, name);
                } else {
                    add_person(&mut parts, &Person::of_full(name));
                }
            }
        }
        if let (Some(latitude), Some(longitude)) = (latitude, longitude)
            && latitude.abs() <= 90.0
            && longitude.abs() <= 180.0
        {
            parts.add(Part::Geo, compact_str::format_compact!("{latitude:.5} {longitude:.5}"));
        }
        add_domain(&mut parts, &web, model);
        let shell = Shell {
            blocked: FeatureSet::default(),
            is_caller: false,
            is_described: false,
            vetoes: false,
            source: row.source,
            party_type,
            own_scheme: own_scheme(&row.key),
        };
        shell.fill(parts, model)
    }
}

/// What a record is besides its parts.
struct Shell {
    blocked: FeatureSet,
    is_caller: bool,
    is_described: bool,
    vetoes: bool,
    source: u8,
    party_type: Option<PartyType>,
    own_scheme: &'static str,
}

impl Shell {
    fn fill(self, parts: Parts, model: &Model) -> Standard {
        let Shell { blocked, is_caller, is_described, vetoes, source, party_type, own_scheme } = self;
        let (packed, rarities) = (parts.pack(), [0; TERM_FEATURES.len()]);
        let mut standard =
            Standard { packed, rarities, blocked, is_caller, is_described, vetoes, source, party_type, own_scheme };
        for (at, feature) in TERM_FEATURES.iter().enumerate() {
            if let Some(term) = standard.term(*feature) {
                standard.rarities[at] = model.rarity_of(*feature, term);
            }
        }
        standard
    }
}

/// Adds the name; whether it is a person's.
fn name_of_record(record: &PartyRecord, parts: &mut Parts) -> bool {
    let has_parts = !record.given_name.is_empty() || !record.family_name.is_empty();
    let is_person = match record.party_type {
        Some(PartyType::Person) => true,
        Some(PartyType::Organisation) => false,
        None => has_parts || !record.birth_date.is_empty(),
    };
    if !is_person {
        add_organisation(parts, &record.name);
        return false;
    }
    let person = if has_parts {
        Person::of_parts(&record.given_name, &record.family_name)
    } else {
        Person::of_full(&record.name)
    };
    add_person(parts, &person);
    !person.family.is_empty()
}

fn add_person(parts: &mut Parts, person: &Person) {
    parts.add(Part::Given, joined(&person.given));
    parts.add(Part::Family, joined(&person.family));
    if let Some(generation) = person.generation {
        parts.add(Part::Generation, compact_str::format_compact!("{generation}"));
    }
}

fn add_organisation(parts: &mut Parts, name: &str) {
    let organisation = Organisation::of(name);
    parts.add(Part::Words, organisation.words);
    parts.add(Part::LegalForms, organisation.legal_forms);
}

fn add_address(parts: &mut Parts, address: Address) {
    parts.add(Part::Street, address.street);
    parts.add(Part::House, address.house);
    parts.add(Part::City, address.city);
    parts.add(Part::PostalCode, address.postal_code);
    parts.add(Part::Region, address.region);
}

/// Adds the web domain; whether it was taken from the mail address.
fn add_domain(parts: &mut Parts, web: &str, model: &Model) -> bool {
    parts.add(Part::Domain, contact::domain(web));
    if parts.has(Part::Domain) {
        return false;
    }
    let email = parts.0.iter().find(|(part, _)| *part == Part::Email).map(|(_, email)| email.clone());
    let domain = contact::domain_of_email(&email.unwrap_or_default(), &model.free_mail);
    let is_found = !domain.is_empty();
    parts.add(Part::Domain, domain);
    is_found
}

fn append(text: &mut CompactString, value: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(value);
}

/// The kind of party that a word of a table means; none if it is not known.
fn party_type_of(raw: &str) -> Option<PartyType> {
    let word = fold(raw).into_iter().next()?;
    match word.as_str() {
        "person" | "individual" | "natural" | "human" | "p" | "b2c" | "consumer" => Some(PartyType::Person),
        "organisation" | "organization" | "org" | "company" | "business" | "legal" | "firm" | "o" | "b2b" => {
            Some(PartyType::Organisation)
        }
        _ => None,
    }
}

/// The hub's records are read by US rules where they name no country.
fn default_country(country: &str) -> &str {
    if country.trim().is_empty() { "US" } else { country }
}

fn is_month_first(country: &str) -> bool {
    matches!(country.trim(), "" | "US" | "us" | "USA" | "usa")
}
