//! Fingerprints of records as they came: an equal one is the same record, and no work.

use ontology::{PartyRecord, Vocabulary};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

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
        address,
        house_number,
        city,
        postal_code,
        region,
        country,
        web_domain,
        xrefs,
        is_described: _,
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
        address,
        house_number,
        city,
        postal_code,
        region,
        country,
        web_domain,
    ];
    let mut said = Said::new();
    said.extend_from_slice(party_type.map_or("", Vocabulary::name).as_bytes());
    texts.into_iter().for_each(|text| add(&mut said, text));
    for (scheme, value) in xrefs {
        add(&mut said, scheme);
        add(&mut said, value);
    }
    blocked.iter().for_each(|field| add(&mut said, field.name()));
    digest(&said)
}

/// The same over a row of a table.
pub(crate) fn of_row(row: &Row) -> [u64; 2] {
    let mut said = Said::new();
    said.push(row.source);
    add(&mut said, &row.country);
    for (kind, part, value) in &row.values {
        said.extend_from_slice(&[*kind as u8, *part as u8]);
        add(&mut said, value);
    }
    digest(&said)
}

/// All that a record says, one thing after the other; most records say less than is held in place.
type Said = SmallVec<[u8; 512]>;

/// Adds a text with its length, so that none runs into the next.
fn add(said: &mut Said, text: &str) {
    said.extend_from_slice(&text.len().to_le_bytes());
    said.extend_from_slice(text.as_bytes());
}

fn digest(said: &Said) -> [u64; 2] {
    let all = xxh3_128(said);
    // The lower half, and the upper one moved down.
    [all as u64, (all >> 64) as u64]
}
