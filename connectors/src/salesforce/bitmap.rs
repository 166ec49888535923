//! Which fields an event says changed: bitmaps over the writer's schema.
//!
//! `0xHEX` is over the record's fields, `N-0xHEX` over the members of compound field N. The most
//! significant digit comes first, bit 0 is the first field. Length is unbounded, so no integer
//! type holds a bitmap.

/// A field of an event's schema, with its members if it is a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaField {
    /// Name.
    pub name: String,
    /// Names of its members, empty for a plain field.
    pub members: Vec<String>,
}

/// What a list of bitmaps names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Fields, and members as `Field.Member`.
    pub names: Vec<String>,
    /// Bits or elements that name nothing in this schema: a schema race, or nonsense.
    pub unknown: usize,
}

/// Reads `bitmaps` over `fields`.
#[must_use]
pub fn named<S: AsRef<str>>(bitmaps: &[S], fields: &[SchemaField]) -> Named {
    let mut named = Named::default();
    for bitmap in bitmaps {
        let bitmap = bitmap.as_ref();
        match bitmap.split_once('-') {
            None => {
                let Some(bits) = bits(bitmap) else {
                    named.unknown += 1;
                    continue;
                };
                for bit in bits {
                    match fields.get(bit) {
                        // Bit 0 is the header itself.
                        Some(_) if bit == 0 => {}
                        Some(field) => named.names.push(field.name.clone()),
                        None => named.unknown += 1,
                    }
                }
            }
            Some((parent, hex)) => members(parent, hex, fields, &mut named),
        }
    }
    named
}

fn members(parent: &str, hex: &str, fields: &[SchemaField], named: &mut Named) {
    let field = parent.parse::<usize>().ok().and_then(|place| fields.get(place));
    let (Some(field), Some(bits)) = (field, bits(hex)) else {
        named.unknown += 1;
        return;
    };
    for bit in bits {
        match field.members.get(bit) {
            Some(member) => named.names.push(format!("{}.{member}", field.name)),
            None => named.unknown += 1,
        }
    }
}

/// The places of the bits that are set, lowest first.
fn bits(bitmap: &str) -> Option<Vec<usize>> {
    let hex = bitmap.strip_prefix("0x").or_else(|| bitmap.strip_prefix("0X"))?;
    let mut places = Vec::new();
    for (digit_place, digit) in hex.bytes().rev().enumerate() {
        let digit = char::from(digit).to_digit(16)?;
        places.extend((0..4).filter(|bit| digit & (1 << bit) != 0).map(|bit| digit_place * 4 + bit));
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn schema(fields: &[(&str, &[&str])]) -> Vec<SchemaField> {
        let text = |s: &&str| (*s).to_owned();
        fields.iter().map(|(n, m)| SchemaField { name: text(n), members: m.iter().map(text).collect() }).collect()
    }

    fn check(bitmaps: &[&str], fields: &[SchemaField], expected: &[&str], unknown: usize) {
        let found = named(bitmaps, fields);
        assert_eq!(found.names, expected, "{bitmaps:?}");
        assert_eq!(found.unknown, unknown, "{bitmaps:?}");
    }

    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(bits("0x650004E0").unwrap(), [5, 6, 7, 10, 24, 26, 29, 30]);
        let person = schema(&[
            ("Header", &[]),
            ("Name", &["Salutation", "FirstName", "LastName"]),
            ("Phone", &[]),
            ("F3", &[]),
            ("F4", &[]),
            ("F5", &[]),
            ("F6", &[]),
            ("F7", &[]),
            ("F8", &[]),
        ]);
        check(&["0x104", "1-0x6"], &person, &["Phone", "F8", "Name.FirstName", "Name.LastName"], 0);
        let account = schema(&[
            ("Header", &[]),
            ("Name", &[]),
            ("Type", &[]),
            ("BillingAddress", &["Street", "City", "State"]),
            ("Phone", &[]),
        ]);
        check(&["0x16"], &account, &["Name", "Type", "Phone"], 0);
        let address = ["BillingAddress", "BillingAddress.City", "BillingAddress.State"];
        check(&["0x08", "3-0x06"], &account, &address, 0);
        check(&["3-0x06"], &account, &address[1..], 0);
        check(&["0xFF00"], &account, &[], 8);
        check(&[], &account, &[], 0);
        check(&["x-0x1"], &account, &[], 1);
    }

    #[test]
    fn odd_bitmaps_do_no_harm() {
        let account = schema(&[("Header", &[]), ("Name", &[])]);
        check(&["0x1"], &account, &[], 0);
        check(&["0xe"], &account, &["Name"], 2);
        check(&["0X2"], &account, &["Name"], 0);
        check(&["", "0x", "2", "0xg", "1-", "99-0x1", "-0x1", "1-0x1"], &account, &[], 7);
        assert_eq!(named(&[format!("0x{}", "f".repeat(10_000))], &account).unknown, 39_998);
    }
}
