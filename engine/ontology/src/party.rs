//! A party record as identity resolution reads it.

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::field::Field;
use crate::fields::FieldReader;
use crate::key::EntityKey;
use crate::status::PartyType;

/// The identifying fields of one party record (spec 4.1), as the source wrote them. The resolver
/// standardises them once per version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyRecord {
    /// Which record; its kind tells the system.
    pub key: EntityKey,
    /// Person or organisation, if the source says so.
    pub party_type: Option<PartyType>,
    /// Full name.
    pub name: CompactString,
    /// Given names of a person.
    pub given_name: CompactString,
    /// Family name of a person.
    pub family_name: CompactString,
    /// Tax id.
    pub tax_id: CompactString,
    /// D-U-N-S number.
    pub duns: CompactString,
    /// E-mail address.
    pub email: CompactString,
    /// Telephone number.
    pub phone: CompactString,
    /// Date of birth, ISO text.
    pub birth_date: CompactString,
    /// Street, perhaps with the number.
    pub street: CompactString,
    /// A whole address in one line, where its parts were not told apart. Sources tell them apart.
    pub address: CompactString,
    /// House number.
    pub house_number: CompactString,
    /// City.
    pub city: CompactString,
    /// Postal code.
    pub postal_code: CompactString,
    /// Region.
    pub region: CompactString,
    /// Country, ISO 3166 alpha-2 where known.
    pub country: CompactString,
    /// Web domain.
    pub web_domain: CompactString,
    /// Cross-reference keys: scheme (`account`, `ar_customer`, `partner`, `customer`) and value.
    /// A record's own id and account number are keys of its own scheme, so that a key agrees when
    /// one record names the other or both name a third.
    pub xrefs: SmallVec<[(&'static str, CompactString); 3]>,
    /// Whether the party is only asked about. Its keys are then named under every scheme.
    pub is_described: bool,
    /// Fields on which a blocking data finding rests: they may not support an automatic link.
    pub blocked: SmallVec<[Field; 2]>,
}

impl PartyRecord {
    /// Reads the identifying fields of record `key`.
    pub fn read(key: &EntityKey, fields: &impl FieldReader) -> Self {
        let text = |field| CompactString::new(fields.text(field).unwrap_or_default());
        PartyRecord {
            key: key.clone(),
            party_type: fields.coded(Field::PartyType).known(),
            name: text(Field::Name),
            given_name: text(Field::GivenName),
            family_name: text(Field::FamilyName),
            tax_id: text(Field::TaxId),
            duns: text(Field::Duns),
            email: text(Field::Email),
            phone: text(Field::Phone),
            birth_date: text(Field::BirthDate),
            street: text(Field::Street),
            address: CompactString::default(),
            house_number: text(Field::HouseNumber),
            city: text(Field::City),
            postal_code: text(Field::PostalCode),
            region: text(Field::Region),
            country: text(Field::Country),
            web_domain: text(Field::WebDomain),
            xrefs: xrefs(key, fields),
            is_described: false,
            blocked: SmallVec::new(),
        }
    }
}

/// The scheme of keys that name records of a party kind.
#[must_use]
pub fn own_scheme(key: &EntityKey) -> &'static str {
    use crate::key::EntityKind as K;
    match key.kind {
        K::Account => "account",
        K::ArCustomer => "ar_customer",
        K::BusinessPartner => "partner",
        K::CallerProfile
        | K::Case
        | K::Invoice
        | K::InvoiceLine
        | K::Payment
        | K::Dispute
        | K::CreditNote
        | K::Interaction
        | K::ServiceOrder
        | K::FieldDispatch
        | K::KnowledgeArticle
        | K::DirectoryEntry
        | K::ExchangeRate
        | K::DesktopTelemetry
        | K::Transfer
        | K::Judgement
        | K::DiscrepancyDecision
        | K::AlertDecision
        | K::Watermark
        | K::CommandOutcome
        | K::Configuration => "caller",
    }
}

fn xrefs(key: &EntityKey, fields: &impl FieldReader) -> SmallVec<[(&'static str, CompactString); 3]> {
    let mut found = SmallVec::new();
    let own = own_scheme(key);
    found.push((own, key.id.clone()));
    let named = [
        (own, Field::AccountNumber),
        ("account", Field::AccountXref),
        ("ar_customer", Field::ArCustomerXref),
        ("partner", Field::PartnerXref),
        ("customer", Field::CustomerXref),
        ("account", Field::EnteredNumber),
    ];
    for (scheme, field) in named {
        if let Some(value) = fields.text(field) {
            found.push((scheme, CompactString::new(value)));
        }
    }
    found.sort();
    found.dedup();
    found
}
