//! Postal addresses.

use compact_str::CompactString;
use ontology::PartyRecord;

use super::text::fold;

/// Words for kinds of streets, and the form kept.
const STREET_WORDS: &[(&str, &str)] = &[
    ("ave", "avenue"),
    ("av", "avenue"),
    ("blvd", "boulevard"),
    ("cl", "close"),
    ("ct", "court"),
    ("dr", "drive"),
    ("hwy", "highway"),
    ("ln", "lane"),
    ("pkwy", "parkway"),
    ("pl", "place"),
    ("rd", "road"),
    ("sq", "square"),
    ("st", "street"),
    ("str", "strasse"),
    ("ter", "terrace"),
    ("wy", "way"),
];

/// Words after which only the part of a building follows.
const UNIT_WORDS: &[&str] = &["apartment", "apt", "floor", "room", "suite", "ste", "unit"];

/// A folded address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Address {
    /// Street words in the order written, without the house number.
    pub(crate) street: CompactString,
    /// House number with its letter.
    pub(crate) house: CompactString,
    pub(crate) city: CompactString,
    /// Letters and digits, upper case.
    pub(crate) postal_code: CompactString,
}

impl Address {
    pub(crate) fn of(record: &PartyRecord) -> Self {
        let mut words = fold(&record.street);
        if let Some(at) = words.iter().position(|word| UNIT_WORDS.contains(&word.as_str())).filter(|at| *at > 0) {
            words.truncate(at);
        }
        let mut house = CompactString::from(fold(&record.house_number).concat());
        if let Some(at) = words.iter().position(|word| is_house(word)).filter(|_| words.len() > 1) {
            let found = words.remove(at);
            if house.is_empty() {
                house = CompactString::from(found);
            }
        }
        let street: Vec<String> = words.into_iter().map(street_word).collect();
        Address {
            street: CompactString::from(street.join(" ")),
            house,
            city: CompactString::from(fold(&record.city).join(" ")),
            postal_code: postal_code(&record.postal_code),
        }
    }

    /// The address as an explanation shows it.
    pub(crate) fn shown(&self) -> CompactString {
        let parts = [&self.street, &self.house, &self.postal_code, &self.city];
        let filled: Vec<&str> = parts.into_iter().map(CompactString::as_str).filter(|part| !part.is_empty()).collect();
        CompactString::from(filled.join(" "))
    }
}

fn is_house(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && word.len() - digits <= 1
}

fn street_word(word: String) -> String {
    if let Some((_, kept)) = STREET_WORDS.iter().find(|(short, _)| *short == word) {
        return (*kept).to_owned();
    }
    // `Lindenstr` and `Lindenstrasse` are one word in German.
    if word.len() > 5 && word.ends_with("str") { word + "asse" } else { word }
}

fn postal_code(raw: &str) -> CompactString {
    let trimmed = raw.trim();
    // The four digits after a US code name a delivery route and are rarely kept up.
    let kept = match trimmed.split_once('-') {
        Some((zip, route)) if zip.len() == 5 && route.len() == 4 => zip,
        Some(_) | None => trimmed,
    };
    kept.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ontology::{EntityKey, EntityKind, Fields};

    fn check(street: &str, house_number: &str, expected: (&str, &str)) {
        let key = EntityKey::new(EntityKind::Account, "1");
        let mut record = PartyRecord::read(&key, &Fields::default());
        record.street = CompactString::from(street);
        record.house_number = CompactString::from(house_number);
        let found = Address::of(&record);
        assert_eq!((found.street.as_str(), found.house.as_str()), expected, "{street}");
    }

    #[test]
    fn street_and_number_are_parted() {
        check("12 Mill Ln.", "", ("mill lane", "12"));
        check("Mill Lane", "12", ("mill lane", "12"));
        check("Lindenstr. 5a", "", ("lindenstrasse", "5a"));
        check("Lindenstraße", "5a", ("lindenstrasse", "5a"));
        check("200 5th Avenue Suite 9", "", ("5th avenue", "200"));
        check("17", "", ("17", ""));
        check("", "", ("", ""));
    }

    #[test]
    fn postal_codes_lose_blanks_and_routes() {
        assert_eq!(postal_code("62704-1234"), "62704");
        assert_eq!(postal_code("ls1 4ab"), "LS14AB");
        assert_eq!(postal_code("00-950"), "00950");
        assert_eq!(postal_code(""), "");
    }
}
