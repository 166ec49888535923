//! The standard form of a record: computed once per record version, so that comparing two records
//! only ever compares folded text and allocates nothing.

mod address;
mod contact;
mod identifier;
mod name;
mod text;

use compact_str::CompactString;
use ontology::party::own_scheme;
use ontology::status::PartyType;
use ontology::{EntityKind, PartyRecord};
use smallvec::SmallVec;

use crate::feature::{Feature, FeatureSet};
use crate::model::Model;

pub(crate) use address::Address;
pub(crate) use identifier::without_country;
pub(crate) use name::Name;

/// A record ready for comparing. Empty text means that the record has no (usable) value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standard {
    /// Whether it is a Webex caller profile, to which rules of its own apply.
    pub(crate) is_caller: bool,
    /// Scheme in which the record has an id of its own.
    pub(crate) own_scheme: &'static str,
    pub(crate) party_type: Option<PartyType>,
    pub(crate) name: Name,
    /// Upper-case letters and digits.
    pub(crate) tax_id: CompactString,
    /// Digits.
    pub(crate) duns: CompactString,
    /// Lower case.
    pub(crate) email: CompactString,
    /// E.164.
    pub(crate) phone: CompactString,
    /// Eight digits, year first.
    pub(crate) birth_date: CompactString,
    pub(crate) address: Address,
    /// Host name without `www.`; from the mail address if the record names none.
    pub(crate) web_domain: CompactString,
    /// Scheme and value, sorted.
    pub(crate) keys: SmallVec<[(&'static str, CompactString); 3]>,
    /// Features that may not support an automatic link.
    pub(crate) blocked: FeatureSet,
}

impl Standard {
    pub(crate) fn of(record: &PartyRecord, model: &Model) -> Self {
        let mut blocked = FeatureSet::default();
        for feature in record.blocked.iter().filter_map(|field| Feature::of_field(*field)) {
            blocked.insert(feature);
        }
        let email = contact::email(&record.email);
        let mut web_domain = contact::domain(&record.web_domain);
        if web_domain.is_empty() {
            web_domain = contact::domain_of_email(&email, &model.free_mail);
            if !web_domain.is_empty() && blocked.contains(Feature::Email) {
                blocked.insert(Feature::WebDomain);
            }
        }
        let name = Name::of(record);
        let party_type = record.party_type.or_else(|| name.is_of_person().then_some(PartyType::Person));
        let mut keys: SmallVec<[(&'static str, CompactString); 3]> = record
            .xrefs
            .iter()
            .map(|(scheme, value)| (*scheme, identifier::key(value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        Standard {
            is_caller: record.key.kind == EntityKind::CallerProfile,
            own_scheme: own_scheme(&record.key),
            party_type,
            name,
            tax_id: identifier::tax_id(&record.tax_id),
            duns: identifier::duns(&record.duns),
            email,
            phone: contact::phone(&record.phone, &record.country),
            birth_date: identifier::birth_date(&record.birth_date),
            address: Address::of(record),
            web_domain,
            keys,
            blocked,
        }
    }

    /// The value of a feature as an explanation shows it.
    pub(crate) fn shown(&self, feature: Feature) -> CompactString {
        match feature {
            Feature::Key => {
                let keys: Vec<String> = self.keys.iter().map(|(scheme, value)| format!("{scheme}:{value}")).collect();
                CompactString::from(keys.join(" "))
            }
            Feature::TaxId => self.tax_id.clone(),
            Feature::Duns => self.duns.clone(),
            Feature::Email => self.email.clone(),
            Feature::Name => self.name.shown(),
            Feature::BirthDate => self.birth_date.clone(),
            Feature::Phone => self.phone.clone(),
            Feature::Address => self.address.shown(),
            Feature::WebDomain => self.web_domain.clone(),
        }
    }
}
