//! Who is calling: the many forms of a number or an address, brought to one.

use rlibphonenumber::enums::Region;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

/// The country whose people write numbers without its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(Region);

impl Country {
    /// Reads the two letters of ISO 3166; none for a country without telephones of its own.
    ///
    /// ```
    /// use connectors::wxcc::caller::Country;
    /// assert!(Country::parse("DE").is_some() && Country::parse("gb").is_some());
    /// assert!(Country::parse("UK").is_none() && Country::parse("DEU").is_none());
    /// ```
    #[must_use]
    pub fn parse(letters: &str) -> Option<Self> {
        let region = Region::try_from(letters.to_ascii_uppercase().as_str()).ok()?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Country(region))
    }

    /// A number in E.164, read by the dialling rules of the country; none if they accept no such number.
    fn e164(self, number: &str) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(number, Some(self.0)).ok().filter(|number| number.is_valid())?;
        Some(number.format_as(PhoneNumberFormat::E164).to_string())
    }
}

/// A caller, as far as the contact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A telephone number in E.164, or the digits alone where the country is not known.
    Phone(String),
    /// An e-mail address in lower case.
    Email(String),
}

impl Caller {
    /// Reads `origin` of a contact; none for a hidden number or the name of an entry point. A number
    /// without the code of a country is of `country`; where none is given, of North America if it may be.
    ///
    /// ```
    /// use connectors::wxcc::caller::{Caller, Country};
    /// assert_eq!(Caller::parse("2125550123", None), Some(Caller::Phone("+12125550123".to_owned())));
    /// let germany = Country::parse("DE");
    /// assert_eq!(Caller::parse("030 23125001", germany), Some(Caller::Phone("+493023125001".to_owned())));
    /// assert_eq!(Caller::parse("anonymous", germany), None);
    /// ```
    #[must_use]
    pub fn parse(origin: &str, country: Option<Country>) -> Option<Self> {
        let origin = origin.trim();
        if let Some(sip) = origin.strip_prefix("sip:").or_else(|| origin.strip_prefix("sips:")) {
            let user = sip.split(['@', ';']).next().unwrap_or_default();
            return Self::number(user, country);
        }
        if let Some((name, domain)) = origin.split_once('@') {
            let is_address = !name.is_empty() && domain.contains('.') && !origin.contains(char::is_whitespace);
            return is_address.then(|| Caller::Email(origin.to_lowercase()));
        }
        Self::number(origin, country)
    }

    /// The id of the caller's profile.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Caller::Phone(id) | Caller::Email(id) => id,
        }
    }

    fn number(text: &str, country: Option<Country>) -> Option<Self> {
        let text = text.strip_prefix("tel:").unwrap_or(text);
        let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        // E.164 has at most 15 digits; below five it is an extension or a service.
        if !is_number || !(5..=15).contains(&digits.len()) {
            return None;
        }
        if let Some(country) = country.filter(|_| !text.starts_with('+')) {
            return Some(Caller::Phone(country.e164(text).unwrap_or(digits)));
        }
        Some(Caller::Phone(match digits.len() {
            _ if text.starts_with('+') => format!("+{digits}"),
            10 => format!("+1{digits}"),
            11 if digits.starts_with('1') => format!("+{digits}"),
            _ => digits,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str, expected: Option<&str>) {
        assert_eq!(Caller::parse(origin, None).as_ref().map(Caller::id), expected, "{origin}");
    }

    #[test]
    fn numbers_without_a_code_are_of_the_country() {
        let check = |country: &str, origin: &str, expected: &str| {
            let country = Country::parse(country).expect("a country");
            let caller = Caller::parse(origin, Some(country));
            assert_eq!(caller.as_ref().map(Caller::id), Some(expected), "{origin}");
        };
        check("DE", "030 23125001", "+493023125001");
        check("de", "03023125001", "+493023125001");
        check("DE", "004930 23125001", "+493023125001");
        check("DE", "4930 23125001", "+493023125001");
        check("GB", "020 7946 0123", "+442079460123");
        check("IT", "06 6982 0123", "+390669820123");
        check("AU", "sip:0412345678@carrier.example", "+61412345678");
        check("US", "212-736-5000", "+12127365000");
        check("DE", "+12125550123", "+12125550123");
        // No number of the country: what equal ones can still be told by.
        check("DE", "12345", "12345");
        check("DE", "999999999999999", "999999999999999");
    }

    #[test]
    fn origins_come_to_one_form() {
        check("+4930123456", Some("+4930123456"));
        check(" +1 (212) 555-0123 ", Some("+12125550123"));
        check("12125550123", Some("+12125550123"));
        check("sip:+12125550123@carrier.example;user=phone", Some("+12125550123"));
        check("Ann@Example.COM", Some("ann@example.com"));
        check("anonymous", None);
        check("Chat_temp_WXC-CHAT-EP1", None);
        check("1234", None);
        check("12345", Some("12345"));
        check("1234567890123456", None);
        check("@", None);
        check("", None);
    }
}
