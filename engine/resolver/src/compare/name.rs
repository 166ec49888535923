//! Names. People are compared by given and family name, because members of a household share one of
//! them; organisations word by word, because `Hartwell Foods` and `Hartwell Hotels` are two firms.

use ontology::status::PartyType;

use super::{Comparison, Subject};
use crate::feature::{Feature, Level};
use crate::similarity::{jaro_winkler, within_one_edit};
use crate::standard::Name;

pub(super) const COMPARISON: Comparison = Comparison { feature: Feature::Name, compare };

/// Words at least this alike are one word mistyped.
const WORD_SIMILARITY_MIN: f64 = 0.92;

/// Words shorter than this are compared exactly: one letter makes another word of them.
const MISTYPED_LENGTH_MIN: usize = 4;

fn compare(left: &Subject, right: &Subject) -> Level {
    let (a, b) = (&left.standard.name, &right.standard.name);
    if a.is_empty() || b.is_empty() {
        return Level::Silent;
    }
    if a.is_of_person() && b.is_of_person() {
        return of_people(a, b);
    }
    let is_organisation = |subject: &Subject| subject.standard.party_type == Some(PartyType::Organisation);
    let is_person = |subject: &Subject| subject.standard.name.is_of_person();
    let level = of_organisations(&a.words, &b.words);
    let mixed = (is_person(left) && is_organisation(right)) || (is_organisation(left) && is_person(right));
    // `Samuel Quist` is not `Samuel Quist Optics`.
    if mixed && level != Level::Exact { Level::Different } else { level }
}

fn of_people(a: &Name, b: &Name) -> Level {
    if a.words == b.words {
        return Level::Exact;
    }
    if same_word(&a.family, &b.family) {
        return match given(&a.given, &b.given) {
            Level::Exact if a.family == b.family => Level::Exact,
            Level::Exact | Level::Close => Level::Close,
            Level::Partial | Level::Silent | Level::Generic => Level::Partial,
            Level::Household | Level::Different => Level::Household,
        };
    }
    // Given and family name entered the wrong way round.
    let crossed = same_word(&a.family, first(&b.given)) && same_word(first(&a.given), &b.family);
    if crossed { Level::Close } else { Level::Different }
}

/// Agreement of given names by their first one: middle names come and go.
fn given(a: &str, b: &str) -> Level {
    let (x, y) = (first(a), first(b));
    if x.is_empty() || y.is_empty() {
        Level::Silent
    } else if x == y {
        Level::Exact
    } else if same_word(x, y) {
        Level::Close
    } else if (x.len() == 1 || y.len() == 1) && x.as_bytes()[0] == y.as_bytes()[0] {
        Level::Partial
    } else {
        Level::Different
    }
}

fn first(words: &str) -> &str {
    words.split(' ').next().unwrap_or_default()
}

fn of_organisations(a: &str, b: &str) -> Level {
    if a == b {
        return Level::Exact;
    }
    let (short, long) = if word_count(a) <= word_count(b) { (a, b) } else { (b, a) };
    if short.split(' ').all(|word| long.split(' ').any(|other| same_word(word, other))) {
        return if word_count(short) == word_count(long) { Level::Close } else { Level::Partial };
    }
    // The same letters parted otherwise: `Silver Brook` and `Silverbrook`.
    let letters = |words: &'_ str| words.bytes().filter(|byte| *byte != b' ').count();
    let joined = letters(a) == letters(b) && word_count(a) != word_count(b) && same_letters(a, b);
    if joined { Level::Close } else { Level::Different }
}

fn word_count(words: &str) -> usize {
    words.split(' ').count()
}

fn same_letters(a: &str, b: &str) -> bool {
    let counts = |words: &str| {
        let mut counts = [0u16; 128];
        for byte in words.bytes().filter(|byte| *byte != b' ') {
            counts[usize::from(byte & 127)] += 1;
        }
        counts
    };
    counts(a) == counts(b)
}

fn same_word(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let has_digit = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
    if a.len().min(b.len()) < MISTYPED_LENGTH_MIN || has_digit(a) || has_digit(b) {
        return false;
    }
    within_one_edit(a, b) || jaro_winkler(a, b) >= WORD_SIMILARITY_MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use compact_str::CompactString;

    fn check_firms(left: &str, right: &str, expected: Level) {
        assert_eq!(of_organisations(left, right), expected, "{left} {right}");
        assert_eq!(of_organisations(right, left), expected, "{right} {left}");
    }

    fn person(given: &str, family: &str) -> Name {
        let words = format!("{given} {family}");
        let mut sorted: Vec<&str> = words.split_whitespace().collect();
        sorted.sort_unstable();
        Name {
            words: CompactString::from(sorted.join(" ")),
            given: CompactString::from(given),
            family: CompactString::from(family),
        }
    }

    fn check_people(left: (&str, &str), right: (&str, &str), expected: Level) {
        assert_eq!(of_people(&person(left.0, left.1), &person(right.0, right.1)), expected, "{left:?} {right:?}");
        assert_eq!(of_people(&person(right.0, right.1), &person(left.0, left.1)), expected, "{right:?} {left:?}");
    }

    #[test]
    fn firms_are_compared_word_by_word() {
        check_firms("hartwell logistics", "hartwell logistics", Level::Exact);
        check_firms("hartwell logistics", "hartwell logistisc", Level::Close);
        check_firms("hartwell logistics", "hartwell leeds logistics", Level::Partial);
        check_firms("brook silver", "silverbrook", Level::Close);
        check_firms("foods hartwell", "hartwell hotels", Level::Different);
        check_firms("12 alpha site", "13 alpha site", Level::Different);
        check_firms("abc", "abd", Level::Different);
    }

    #[test]
    fn members_of_a_household_are_told_apart() {
        check_people(("anna", "bauer"), ("anna", "bauer"), Level::Exact);
        check_people(("anna maria", "bauer"), ("anna", "bauer"), Level::Exact);
        check_people(("hannah", "bauer"), ("hanna", "bauer"), Level::Close);
        check_people(("anna", "bauer"), ("anna", "bauerr"), Level::Close);
        check_people(("a", "bauer"), ("anna", "bauer"), Level::Partial);
        check_people(("", "bauer"), ("anna", "bauer"), Level::Partial);
        check_people(("anna", "bauer"), ("tobias", "bauer"), Level::Household);
        check_people(("bauer", "anna"), ("anna", "bauer"), Level::Exact);
        check_people(("anna", "bauer"), ("anna", "kessler"), Level::Different);
    }
}
