//! Postal addresses: streets in a common form, numbers and units apart, postal codes without blanks.

use compact_str::CompactString;

use super::lexicon::lexicon;
use super::text::{Words, fold, is_listed, joined};

/// Words after which only the part of a building follows; sorted.
const UNIT_WORDS: &[&str] = &[
    "apartment",
    "appt",
    "apt",
    "etage",
    "fl",
    "flat",
    "floor",
    "level",
    "piso",
    "room",
    "ste",
    "stiege",
    "suite",
    "unit",
];

/// Digits that a postal code in a line of text may have.
const POSTAL_DIGITS: std::ops::RangeInclusive<usize> = 4..=6;

/// A folded address. Empty text means not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Address {
    /// Street words in the order written, without the house number.
    pub(crate) street: CompactString,
    /// House number with its letter.
    pub(crate) house: CompactString,
    pub(crate) city: CompactString,
    /// Letters and digits, upper case.
    pub(crate) postal_code: CompactString,
    pub(crate) region: CompactString,
}

impl Address {
    /// Takes in a street, which may hold the number.
    pub(crate) fn add_street(&mut self, raw: &str) {
        let mut words = fold(raw);
        if let Some(at) = words.iter().position(|word| is_listed(UNIT_WORDS, word)).filter(|at| *at > 0) {
            // `Suite 9` goes, but what stands before a number may be a unit: `Unit 3 12 Mill Lane`.
            words.truncate(at);
        } else if words.len() > 3 && is_listed(UNIT_WORDS, &words[0]) {
            words.drain(..2);
        }
        if let Some(at) = words.iter().position(|word| is_house(word)).filter(|_| words.len() > 1) {
            let found = words.remove(at);
            if self.house.is_empty() {
                self.house = found;
            }
        }
        if self.street.is_empty() {
            self.street = joined(&words.into_iter().map(street_word).collect::<Words>());
        }
    }

    /// Takes in a house number.
    pub(crate) fn add_house(&mut self, raw: &str) {
        let number: CompactString = fold(raw).iter().flat_map(|word| word.chars()).collect();
        if !number.is_empty() {
            self.house = number;
        }
    }

    /// Takes in a city.
    pub(crate) fn add_city(&mut self, raw: &str) {
        self.city = joined(&fold(raw));
    }

    /// Takes in a postal code.
    pub(crate) fn add_postal_code(&mut self, raw: &str) {
        self.postal_code = postal_code(raw);
    }

    /// Takes in a region.
    pub(crate) fn add_region(&mut self, raw: &str) {
        self.region = joined(&fold(raw));
    }

    /// Takes in a whole address in one line: `12 Mill Lane, Leeds LS1 4AB`. What other columns said
    /// before stays.
    pub(crate) fn add_line(&mut self, raw: &str) {
        let (street, rest) = raw.split_once([',', '\n', ';']).unwrap_or((raw, ""));
        // A name of a house before the number gives way to the segment with the number.
        let (street, rest) = match rest.split_once(',') {
            Some((next, tail)) if !has_digit(street) && starts_with_digit(next) => (next, tail),
            Some(_) | None => (street, rest),
        };
        let mut street_words = fold(street);
        let mut place = fold(rest);
        let code_in =
            |words: &Words, from: usize| words.iter().rposition(|word| is_postal(word)).filter(|at| *at >= from);
        let code = match code_in(&place, 0) {
            Some(at) => Some(place.remove(at)),
            None => code_in(&street_words, 2).map(|at| street_words.remove(at)),
        };
        if self.postal_code.is_empty() {
            self.postal_code = code.map(|code| postal_code(&code)).unwrap_or_default();
        }
        if self.region.is_empty() && place.len() > 1 && place.last().is_some_and(|word| word.len() == 2) {
            self.region = place.pop().unwrap_or_default();
        }
        if self.city.is_empty() {
            self.city = joined(place.iter().filter(|word| !has_digit(word)));
        }
        self.add_street(&joined(&street_words));
    }
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

fn starts_with_digit(text: &str) -> bool {
    text.trim_start().starts_with(|letter: char| letter.is_ascii_digit())
}

fn is_postal(word: &str) -> bool {
    POSTAL_DIGITS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_house(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && word.len() - digits <= 1
}

fn street_word(word: CompactString) -> CompactString {
    if let Some(kept) = lexicon().street_word(&word) {
        return CompactString::const_new(kept);
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
    // Spreadsheets make `2119.0` of a code.
    let kept = kept.strip_suffix(".0").unwrap_or(kept);
    kept.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(street: &str, house_number: &str, expected: (&str, &str)) {
        let mut found = Address::default();
        found.add_house(house_number);
        found.add_street(street);
        assert_eq!((found.street.as_str(), found.house.as_str()), expected, "{street}");
    }

    #[test]
    fn street_and_number_are_parted() {
        check("12 Mill Ln.", "", ("mill lane", "12"));
        check("Mill Lane", "12", ("mill lane", "12"));
        check("Lindenstr. 5a", "", ("lindenstrasse", "5a"));
        check("Lindenstraße", "5a", ("lindenstrasse", "5a"));
        check("200 5th Avenue Suite 9", "", ("5th avenue", "200"));
        check("Unit 3 12 Mill Lane", "", ("mill lane", "12"));
        check("17", "", ("17", ""));
        check("", "", ("", ""));
    }

    fn check_line(line: &str, expected: [&str; 5]) {
        let mut found = Address::default();
        found.add_line(line);
        let parts = [&found.house, &found.street, &found.city, &found.region, &found.postal_code];
        assert_eq!(parts.map(CompactString::as_str), expected, "{line}");
    }

    #[test]
    fn a_line_is_taken_apart() {
        check_line("123 Main Street, Las Vegas NV 89132", ["123", "main street", "las vegas", "nv", "89132"]);
        check_line("638 Downey St, Salem, OR", ["638", "downey street", "salem", "or", ""]);
        check_line("Rose Cottage, 4 Hill Rd, Ely", ["4", "hill road", "ely", "", ""]);
        check_line("Hauptstr. 5, 10115 Berlin", ["5", "hauptstrasse", "berlin", "", "10115"]);
        check_line("", ["", "", "", "", ""]);
    }

    #[test]
    fn postal_codes_lose_blanks_and_routes() {
        assert_eq!(postal_code("62704-1234"), "62704");
        assert_eq!(postal_code("ls1 4ab"), "LS14AB");
        assert_eq!(postal_code("00-950"), "00950");
        assert_eq!(postal_code("2119.0"), "2119");
        assert_eq!(postal_code(""), "");
    }
}
