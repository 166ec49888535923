//! Identifiers: what punctuation and placeholders hide.

use compact_str::CompactString;

/// A cross-reference key: trimmed and in upper case.
pub(crate) fn key(raw: &str) -> CompactString {
    let mut text = CompactString::from(raw.trim());
    text.make_ascii_uppercase();
    text
}

/// Upper-case letters and digits; empty for placeholders such as `000000000`.
pub(crate) fn identifier(raw: &str) -> CompactString {
    let kept = raw.strip_suffix(".0").unwrap_or(raw);
    let id: CompactString =
        kept.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect();
    if is_placeholder(&id) { CompactString::default() } else { id }
}

/// A tax id without the country that some systems write before it.
pub(crate) fn without_country(tax_id: &[u8]) -> &[u8] {
    match tax_id {
        [a, b, rest @ ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && !rest.is_empty() => rest,
        _ => tax_id,
    }
}

/// The digits of a D-U-N-S number.
pub(crate) fn duns(raw: &str) -> CompactString {
    let digits: CompactString = raw.chars().filter(char::is_ascii_digit).collect();
    if is_placeholder(&digits) { CompactString::default() } else { digits }
}

fn is_placeholder(id: &str) -> bool {
    let first = id.bytes().next();
    id.len() < 4
        || id.bytes().all(|byte| Some(byte) == first)
        || ["NONE", "NULL", "UNKNOWN", "TEST", "XXXX"].contains(&id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn punctuation_is_dropped_and_placeholders_are_nothing() {
        assert_eq!(identifier("de 123.456-788"), "DE123456788");
        assert_eq!(identifier("000-00-0000"), "");
        assert_eq!(identifier("n/a"), "");
        assert_eq!(identifier("unknown"), "");
        assert_eq!(identifier("1804974.0"), "1804974");
        assert_eq!(duns("15-048-3782"), "150483782");
        assert_eq!(key(" acct-1205 "), "ACCT-1205");
    }

    #[test]
    fn a_country_before_a_tax_id_is_found() {
        assert_eq!(without_country(b"DE123456789"), b"123456789");
        assert_eq!(without_country(b"123456789"), b"123456789");
        assert_eq!(without_country(b"DE"), b"DE");
    }
}
