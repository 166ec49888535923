//! Identifiers: what punctuation and placeholders hide.

use compact_str::CompactString;

/// A cross-reference key: trimmed and in upper case.
pub(crate) fn key(raw: &str) -> CompactString {
    CompactString::from(raw.trim().to_ascii_uppercase())
}

/// A tax id: upper-case letters and digits; empty for placeholders such as `000000000`.
pub(crate) fn tax_id(raw: &str) -> CompactString {
    let id: CompactString =
        raw.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect();
    if is_placeholder(&id) { CompactString::default() } else { id }
}

/// A tax id without the country that some systems write before it.
pub(crate) fn without_country(tax_id: &str) -> &str {
    match tax_id.as_bytes() {
        [a, b, rest @ ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && !rest.is_empty() => &tax_id[2..],
        _ => tax_id,
    }
}

/// The digits of a D-U-N-S number.
pub(crate) fn duns(raw: &str) -> CompactString {
    let digits: CompactString = raw.chars().filter(char::is_ascii_digit).collect();
    if is_placeholder(&digits) { CompactString::default() } else { digits }
}

/// Eight digits of an ISO date, with or without hyphens and time of day; empty if it is no date.
pub(crate) fn birth_date(raw: &str) -> CompactString {
    let date = raw.trim().split(['T', ' ']).next().unwrap_or_default();
    let digits: CompactString = date.chars().filter(|letter| *letter != '-').collect();
    if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits
    } else {
        CompactString::default()
    }
}

fn is_placeholder(id: &str) -> bool {
    let first = id.bytes().next();
    id.len() < 4 || id.bytes().all(|byte| Some(byte) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_dropped_and_placeholders_are_nothing() {
        assert_eq!(tax_id("de 123.456-789"), "DE123456789");
        assert_eq!(tax_id("000-00-0000"), "");
        assert_eq!(tax_id("n/a"), "");
        assert_eq!(duns("15-048-3782"), "150483782");
        assert_eq!(key(" acct-1205 "), "ACCT-1205");
    }

    #[test]
    fn a_country_before_a_tax_id_is_found() {
        assert_eq!(without_country("DE123456789"), "123456789");
        assert_eq!(without_country("123456789"), "123456789");
        assert_eq!(without_country("DE"), "DE");
    }

    #[test]
    fn dates_are_eight_digits_or_nothing() {
        assert_eq!(birth_date("1980-02-29"), "19800229");
        assert_eq!(birth_date("1980-02-29T00:00:00Z"), "19800229");
        assert_eq!(birth_date("19800229"), "19800229");
        assert_eq!(birth_date("29/02/1980"), "");
        assert_eq!(birth_date(""), "");
    }
}
