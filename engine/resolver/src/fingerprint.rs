//! Fingerprints of records as they came: an equal one is the same record, and no work.

use ontology::{PartyRecord, Vocabulary};
use xxhash_rust::xxh3::Xxh3;

use crate::row::Row;

/// 128 bits of hash over every field that the resolver reads.
pub(crate) fn of_record(record: &PartyRecord) -> [u64; 2] {
    let PartyRecord {
        key: _,
        party_type,
        name,
        given_name,
        family_name,
        tax_id,
        duns,
        email,
        phone,
        birth_date,
        street,
        house_number,
        city,
        postal_code,
        region,
        country,
        web_domain,
        xrefs,
        blocked,
    } = record;
    let texts = [
        name,
        given_name,
        family_name,
        tax_id,
        duns,
        email,
        phone,
        birth_date,
        street,
        house_number,
        city,
        postal_code,
        region,
        country,
        web_domain,
    ];
    let mut hasher = Xxh3::new();
    hasher.update(party_type.map_or("", Vocabulary::name).as_bytes());
    texts.into_iter().for_each(|text| add(&mut hasher, text));
    for (scheme, value) in xrefs {
        add(&mut hasher, scheme);
        add(&mut hasher, value);
    }
    blocked.iter().for_each(|field| add(&mut hasher, field.name()));
    digest(&hasher)
}

/// The same over a row of a table.
pub(crate) fn of_row(row: &Row) -> [u64; 2] {
    let mut hasher = Xxh3::new();
    hasher.update(&[row.source]);
    add(&mut hasher, &row.country);
    for (kind, part, value) in &row.values {
        hasher.update(&[*kind as u8, *part as u8]);
        add(&mut hasher, value);
    }
    digest(&hasher)
}

/// Adds a text with its length, so that none runs into the next.
fn add(hasher: &mut Xxh3, text: &str) {
    hasher.update(&text.len().to_le_bytes());
    hasher.update(text.as_bytes());
}

fn digest(hasher: &Xxh3) -> [u64; 2] {
    let all = hasher.digest128();
    // The lower half, and the upper one moved down.
    [all as u64, (all >> 64) as u64]
}
