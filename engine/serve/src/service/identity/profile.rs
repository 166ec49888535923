//! Parties that are described instead of named: records that are nowhere stored.
//!
//! Whoever has two telephones is one party, and one of them is enough to be found by. So a profile with
//! several values of a feature is compared once with each, and of a candidate the best comparison counts.

use std::collections::BTreeMap;

use compact_str::CompactString;
use ontology::{EntityKey, EntityKind, FieldsBuilder, PartyRecord};
use proto::v1;
use resolver::Explanation;

use crate::reason::{Reason, Refusal};

/// Ways to choose one value of each feature, at most: each is compared with all records.
const CHOICES_MAX: usize = 64;

/// The records that a profile may be read as, one for each choice of values.
pub(super) fn described(profile: &v1::PartyProfile) -> Result<Vec<PartyRecord>, Refusal> {
    type Place = fn(&mut PartyRecord) -> &mut CompactString;
    let features: [(&[String], Place); 5] = [
        (&profile.names, |party| &mut party.name),
        (&profile.phones, |party| &mut party.phone),
        (&profile.emails, |party| &mut party.email),
        (&profile.tax_ids, |party| &mut party.tax_id),
        (&profile.addresses, |party| &mut party.address),
    ];
    let features = features.map(|(values, place)| (said(values), place));
    let key = EntityKey::new(EntityKind::CallerProfile, "");
    let mut party = PartyRecord::read(&key, &FieldsBuilder::default().build());
    party.xrefs.clear();
    for key in said(&profile.cross_references) {
        for scheme in ["account", "ar_customer", "partner", "customer"] {
            party.xrefs.push((scheme, key.into()));
        }
    }
    if features.iter().all(|(values, _)| values.is_empty()) && party.xrefs.is_empty() {
        return Err(Refusal::new(Reason::ProfileEmpty));
    }
    let choices = features.iter().fold(1_usize, |choices, (values, _)| choices.saturating_mul(values.len().max(1)));
    if choices > CHOICES_MAX {
        let problem = format!("makes {choices} choices of one value each, at most {CHOICES_MAX} are compared");
        return Err(Refusal::field("profile", problem));
    }
    let mut parties = vec![party];
    for (values, place) in features.iter().filter(|(values, _)| !values.is_empty()) {
        let with = |party: &PartyRecord, value: &str| {
            let mut party = party.clone();
            *place(&mut party) = value.into();
            party
        };
        parties = parties.iter().flat_map(|party| values.iter().map(move |value| with(party, value))).collect();
    }
    Ok(parties)
}

/// The most confident explanation of each candidate, best first.
pub(super) fn best_of_each(found: Vec<Explanation>) -> Vec<Explanation> {
    let mut best: BTreeMap<EntityKey, Explanation> = BTreeMap::new();
    for one in found {
        match best.get(&one.right) {
            Some(known) if known.confidence >= one.confidence => {}
            Some(_) | None => drop(best.insert(one.right.clone(), one)),
        }
    }
    let mut best: Vec<Explanation> = best.into_values().collect();
    best.sort_by_key(|one| std::cmp::Reverse(one.confidence));
    best
}

/// Values that say something, each once.
fn said(values: &[String]) -> Vec<&str> {
    let mut said: Vec<&str> = values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    said.sort_unstable();
    said.dedup();
    said
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn every_choice_of_values_is_a_record() {
        let profile = v1::PartyProfile {
            names: texts(&["Acme", " ", "Acme Ltd", "Acme "]),
            phones: texts(&["1", "2"]),
            addresses: texts(&["12 Mill Lane, Leeds"]),
            ..v1::PartyProfile::default()
        };
        let parties = described(&profile).unwrap();
        let told: Vec<(&str, &str)> = parties.iter().map(|party| (party.name.as_str(), party.phone.as_str())).collect();
        assert_eq!(told, [("Acme", "1"), ("Acme", "2"), ("Acme Ltd", "1"), ("Acme Ltd", "2")]);
        assert!(parties.iter().all(|party| party.address == "12 Mill Lane, Leeds" && party.email.is_empty()));
    }

    #[test]
    fn choices_are_bounded_and_nothing_is_nobody() {
        let many: Vec<String> = (0..8).map(|at| at.to_string()).collect();
        let of = |phones: &[String]| v1::PartyProfile {
            emails: many.clone(),
            phones: phones.to_vec(),
            ..v1::PartyProfile::default()
        };
        assert_eq!(described(&of(&many)).unwrap().len(), CHOICES_MAX);
        let over: Vec<String> = (0..9).map(|at| at.to_string()).collect();
        assert_eq!(described(&of(&over)).unwrap_err().reason(), Reason::InvalidField);
        let blank = v1::PartyProfile { names: texts(&[" "]), ..v1::PartyProfile::default() };
        assert_eq!(described(&blank).unwrap_err().reason(), Reason::ProfileEmpty);
        let keyed = v1::PartyProfile { cross_references: texts(&["A-1"]), ..v1::PartyProfile::default() };
        assert_eq!(described(&keyed).unwrap()[0].xrefs.len(), 4);
    }
}
