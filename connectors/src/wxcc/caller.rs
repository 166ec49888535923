//! Who is calling: the many forms of a number or an address, brought to one.

/// A caller, as far as the contact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A telephone number in E.164, or the digits alone where the country is not known.
    Phone(String),
    /// An e-mail address in lower case.
    Email(String),
}

impl Caller {
    /// Reads `origin` of a contact; none for a hidden number or the name of an entry point.
    ///
    /// ```
    /// use connectors::wxcc::caller::Caller;
    /// assert_eq!(Caller::parse("2125550123"), Some(Caller::Phone("+12125550123".to_owned())));
    /// assert_eq!(Caller::parse("anonymous"), None);
    /// ```
    #[must_use]
    pub fn parse(origin: &str) -> Option<Self> {
        let origin = origin.trim();
        if let Some(sip) = origin.strip_prefix("sip:").or_else(|| origin.strip_prefix("sips:")) {
            let user = sip.split(['@', ';']).next().unwrap_or_default();
            return Self::number(user);
        }
        if let Some((name, domain)) = origin.split_once('@') {
            let is_address = !name.is_empty() && domain.contains('.') && !origin.contains(char::is_whitespace);
            return is_address.then(|| Caller::Email(origin.to_lowercase()));
        }
        Self::number(origin)
    }

    /// The id of the caller's profile.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Caller::Phone(id) | Caller::Email(id) => id,
        }
    }

    fn number(text: &str) -> Option<Self> {
        let text = text.strip_prefix("tel:").unwrap_or(text);
        let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        // E.164 has at most 15 digits; below five it is an extension or a service.
        if !is_number || !(5..=15).contains(&digits.len()) {
            return None;
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
        assert_eq!(Caller::parse(origin).as_ref().map(Caller::id), expected, "{origin}");
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
