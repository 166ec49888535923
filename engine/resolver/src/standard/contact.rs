//! Ways to reach a party: e-mail, telephone, web domain.

use compact_str::CompactString;
use rlibphonenumber::enums::Region;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

/// Digits below which a number is an extension and reaches nobody from outside.
const DIGITS_MIN: usize = 5;

/// A mail address in lower case, without what follows a plus in its local part; empty if it is none.
pub(crate) fn email(raw: &str) -> CompactString {
    let trimmed = raw.trim();
    let address = trimmed.strip_prefix("mailto:").unwrap_or(trimmed);
    match address.split_once('@') {
        Some((local, host)) if !local.is_empty() && !host.is_empty() && !host.contains('@') => {
            let mut text = CompactString::from(address);
            text.make_ascii_lowercase();
            if !text.is_ascii() {
                text = CompactString::from(address.to_lowercase());
            }
            match local.find('+').filter(|at| *at > 0) {
                Some(at) => CompactString::from([&text[..at], &text[text.find('@').unwrap_or(at)..]].concat()),
                None => text,
            }
        }
        Some(_) | None => CompactString::default(),
    }
}

/// The host name of a web address, in lower case and without `www.`; empty if there is none.
pub(crate) fn domain(raw: &str) -> CompactString {
    let lower = raw.trim().to_lowercase();
    let address = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    let host = address.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let host = host.strip_prefix("www.").unwrap_or(host);
    if host.contains('.') { CompactString::from(host) } else { CompactString::default() }
}

/// The domain of a standard mail address, unless anybody can have a mailbox there.
pub(crate) fn domain_of_email(email: &str, free_mail_sorted: &[CompactString]) -> CompactString {
    let host = email.split_once('@').map_or("", |(_, host)| host);
    let is_free = free_mail_sorted.binary_search_by(|free| free.as_str().cmp(host)).is_ok();
    if is_free { CompactString::default() } else { domain(host) }
}

/// A number in E.164, read by the dialling rules of `country` (ISO 3166 alpha-2; US if unknown). A
/// number that no rule accepts is kept as its digits, so that equal ones still meet; empty if there
/// are too few.
pub(crate) fn phone(raw: &str, country: &str) -> CompactString {
    let trimmed = raw.trim();
    if trimmed.is_empty() || is_e164(trimmed) {
        return CompactString::from(trimmed);
    }
    let is_international = trimmed.starts_with('+') || trimmed.starts_with("00");
    let named = Region::try_from(country.trim().to_ascii_uppercase().as_str()).ok();
    let region = named.unwrap_or(Region::US);
    if named.is_some() || is_international || looks_american(trimmed) {
        match PHONE_NUMBER_UTIL.parse(trimmed, Some(region)) {
            Ok(number) if named.is_some() || number.is_valid() => {
                return CompactString::from(number.format_as(PhoneNumberFormat::E164).as_ref());
            }
            Ok(_) | Err(_) => {}
        }
    }
    let digits: CompactString = trimmed.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= DIGITS_MIN { digits } else { CompactString::default() }
}

/// Ten digits that do not begin with a zero, or eleven that begin with a one.
fn looks_american(number: &str) -> bool {
    let mut digits = number.bytes().filter(u8::is_ascii_digit);
    let first = digits.next();
    let more = digits.count();
    (more == 9 && first != Some(b'0')) || (more == 10 && first == Some(b'1'))
}

/// Already in standard form: reading it again would cost most of the time of an update.
fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else { return false };
    (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mail_addresses_are_lower_case_or_nothing() {
        assert_eq!(email(" Info@X.Example "), "info@x.example");
        assert_eq!(email("mailto:a@b.example"), "a@b.example");
        assert_eq!(email("Ann+news@B.example"), "ann@b.example");
        assert_eq!(email("+a@b.example"), "+a@b.example");
        for bad in ["", "info", "@x.example", "a@", "a@b@c"] {
            assert_eq!(email(bad), "", "{bad}");
        }
    }

    #[test]
    fn domains_come_from_sites_and_from_mail_unless_free() {
        assert_eq!(domain("https://www.X.example:8080/about?a=b"), "x.example");
        assert_eq!(domain("localhost"), "");
        let free = [CompactString::from("gmail.com")];
        assert_eq!(domain_of_email("a@x.example", &free), "x.example");
        assert_eq!(domain_of_email("a@gmail.com", &free), "");
        assert_eq!(domain_of_email("", &free), "");
    }

    #[test]
    fn numbers_become_e164_by_country() {
        assert_eq!(phone("(212) 555-0123", "US"), "+12125550123");
        assert_eq!(phone("212-736-5000", ""), "+12127365000");
        assert_eq!(phone("020 7946 0123", "gb"), "+442079460123");
        assert_eq!(phone("0044 20 7946 0123", "GB"), "+442079460123");
        assert_eq!(phone("+49 30 23125 001", "US"), "+493023125001");
        assert_eq!(phone("+15550000001", "US"), "+15550000001");
        assert_eq!(phone("0412 345 678", ""), "0412345678");
        assert_eq!(phone("anonymous", "US"), "");
        assert_eq!(phone("112", ""), "");
        assert_eq!(phone("", "US"), "");
    }
}
