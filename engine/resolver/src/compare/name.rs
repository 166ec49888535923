//! Names of organisations, word by word, because `Hartwell Foods` and `Hartwell Hotels` are two
//! firms. Words that many firms have in their names count little, numbers have to agree.

use ontology::status::PartyType;

use super::{Comparison, Subject, best, is_generic, words};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::{jaro_winkler_from, within_one_edit};
use crate::standard::{BETWEEN, Part, lexicon};

/// A person's name may stand against one that is not known to be a person's, so no part is needed.
pub(super) const COMPARISON: Comparison = Comparison { needs: 0, sets: &[Feature::Name], compare };

/// Words at least this alike are one word mistyped.
const WORD_SIMILARITY_MIN: f64 = 0.92;

/// Words shorter than this are compared exactly: one letter makes another word of them.
const MISTYPED_LENGTH_MIN: usize = 4;

/// Letters of an acronym at least.
const ACRONYM_LENGTH_MIN: usize = 3;

/// Words of a name that are looked at.
pub(crate) const WORDS_MAX: usize = 32;

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    let (a, b) = (left.standard.part(Part::Words), right.standard.part(Part::Words));
    if a.is_empty() && b.is_empty() {
        return;
    }
    let level = if !a.is_empty() && !b.is_empty() {
        of_organisations(left, right)
    } else if a.is_empty() {
        of_person_and_words(left, right)
    } else {
        of_person_and_words(right, left)
    };
    let is_generic = is_generic(left, right, Feature::Name) && level.agrees();
    levels.set(Feature::Name, if is_generic { Level::Generic } else { level });
}

fn of_organisations(left: &Subject, right: &Subject) -> Level {
    let (a, b) = (left.standard.part(Part::Words), right.standard.part(Part::Words));
    let level = best(a, b, of_words);
    let (form_a, form_b) = (left.standard.part(Part::LegalForms), right.standard.part(Part::LegalForms));
    let other_form = !form_a.is_empty() && !form_b.is_empty() && form_a != form_b;
    if level == Level::Exact && other_form { Level::Variant } else { level }
}

/// A person against a name that may be anybody's: `Samuel Quist` is not `Samuel Quist Optics`.
fn of_person_and_words(person: &Subject, other: &Subject) -> Level {
    let (given, family) = (person.standard.part(Part::Given), person.standard.part(Part::Family));
    if given.is_empty() && family.is_empty() {
        return Level::Silent;
    }
    let names = || words(given).chain(words(family));
    let same = |name: &[u8]| {
        let has = |one: &[u8]| words(name).any(|word| word == one);
        names().count() == words(name).count() && names().all(has)
    };
    if other.standard.part(Part::Words).split(|byte| *byte == BETWEEN).any(same) {
        return Level::Exact;
    }
    if other.standard.party_type == Some(PartyType::Organisation) {
        return Level::Different;
    }
    let shares_family = words(other.standard.part(Part::Words)).any(|word| words(family).any(|one| one == word));
    if shares_family { Level::Household } else { Level::Different }
}

/// Agreement of two names of sorted words.
fn of_words(a: &[u8], b: &[u8]) -> Level {
    if a == b {
        return Level::Exact;
    }
    let (short, long) = if words(a).count() <= words(b).count() { (a, b) } else { (b, a) };
    let matched = Matched::of(short, long);
    if matched.number_differs {
        return Level::Different;
    }
    let both_whole = matched.open_short == 0 && matched.open_long == 0;
    if both_whole {
        return Level::Close;
    }
    if same_letters(a, b) {
        return Level::Close;
    }
    if is_acronym(short, long) {
        return Level::Initial;
    }
    let has_telling = matched.telling > 0;
    if matched.open_short == 0 && matched.open_long_telling == 0 && has_telling {
        // Only words that any firm may add are left over.
        return Level::Near;
    }
    if matched.open_short_telling == 0 && matched.open_long_telling == 0 && has_telling {
        return Level::Household;
    }
    if matched.open_short == 0 {
        return if has_telling || words(short).count() > 1 { Level::Partial } else { Level::Different };
    }
    let mostly = matched.telling >= 2 && matched.telling > matched.open_short_telling + matched.open_long_telling;
    if mostly { Level::Partial } else { Level::Different }
}

/// How the words of two names pair up.
#[derive(Debug, Default)]
struct Matched {
    /// Pairs of words that are not business words.
    telling: usize,
    open_short: usize,
    open_short_telling: usize,
    open_long: usize,
    open_long_telling: usize,
    /// A number in one name has no equal in the other.
    number_differs: bool,
}

impl Matched {
    /// Pairs each word of the shorter name with the first of the longer that is the same.
    fn of(short: &[u8], long: &[u8]) -> Self {
        let mut found = Matched::default();
        let mut taken = 0u32;
        let mut numbers = 0usize;
        for word in words(short) {
            let pairs = |(at, other): &(usize, &[u8])| taken & (1 << at) == 0 && same_word(word, other);
            let is_telling = !lexicon().is_business_word(word);
            match words(long).take(WORDS_MAX).enumerate().find(pairs) {
                Some((at, _)) => {
                    taken |= 1 << at;
                    found.telling += usize::from(is_telling);
                }
                None => {
                    found.open_short += 1;
                    found.open_short_telling += usize::from(is_telling);
                    numbers += usize::from(has_digit(word));
                }
            }
        }
        let mut open_numbers = 0usize;
        for (_, word) in words(long).take(WORDS_MAX).enumerate().filter(|(at, _)| taken & (1 << at) == 0) {
            found.open_long += 1;
            found.open_long_telling += usize::from(!lexicon().is_business_word(word));
            open_numbers += usize::from(has_digit(word));
        }
        found.number_differs = numbers > 0 && open_numbers > 0;
        found
    }
}

/// The same letters parted otherwise: `Silver Brook` and `Silverbrook`. Words are sorted, so it is
/// the letters that are counted.
fn same_letters(a: &[u8], b: &[u8]) -> bool {
    let counts = |name: &[u8]| {
        let mut counts = [0u16; 128];
        for byte in name.iter().filter(|byte| **byte != b' ') {
            counts[usize::from(byte & 127)] += 1;
        }
        counts
    };
    let letters = |name: &'_ [u8]| name.iter().filter(|byte| **byte != b' ').count();
    letters(a) == letters(b) && words(a).count() != words(b).count() && counts(a) == counts(b)
}

/// Whether one word holds the first letters of the other name's words, in any order.
fn is_acronym(short: &[u8], long: &[u8]) -> bool {
    if words(short).count() != 1 || short.len() < ACRONYM_LENGTH_MIN || words(long).count() != short.len() {
        return false;
    }
    let count = |letter: u8| short.iter().filter(|other| **other == letter).count();
    let firsts = |letter: u8| words(long).filter(|word| word[0] == letter).count();
    short.iter().all(|letter| count(*letter) == firsts(*letter))
}

/// Whether a word is compared as a number is: equal or not.
pub(crate) fn has_digit(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit)
}

fn same_word(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    if a.len().min(b.len()) < MISTYPED_LENGTH_MIN || has_digit(a) || has_digit(b) {
        return false;
    }
    within_one_edit(a, b) || jaro_winkler_from(a, b, WORD_SIMILARITY_MIN).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    fn firms(left: &'static str, right: &'static str, expected: Level) {
        check(&[(Kind::Organisation, left)], &[(Kind::Organisation, right)], Feature::Name, expected);
    }

    #[test]
    fn firms_are_compared_word_by_word() {
        firms("Hartwell Logistics", "HARTWELL LOGISTICS Ltd", Level::Exact);
        firms("Hartwell GmbH", "Hartwell AG", Level::Variant);
        firms("Hartwell Logistics", "Hartwell Logistisc", Level::Close);
        firms("Hartwell", "Hartwell Holding", Level::Near);
        firms("Hartwell Logistics", "Hartwell Leeds Logistics", Level::Partial);
        firms("Silver Brook", "Silverbrook", Level::Close);
        firms("Hartwell Foods", "Hartwell Hotels", Level::Household);
        firms("Hartwell Foods", "Orchard Foods", Level::Different);
        firms("International Business Machines", "IBM", Level::Initial);
        firms("Alpha Site 12", "Alpha Site 13", Level::Different);
        firms("Bank", "Bank Services", Level::Different);
        firms("abc", "abd", Level::Different);
    }

    #[test]
    fn a_person_is_not_the_firm_named_after_them() {
        let person = [(Kind::GivenName, "Samuel"), (Kind::FamilyName, "Quist")];
        let against = |name: &'static str, level| {
            check(&person, &[(Kind::Organisation, name)], Feature::Name, level);
        };
        against("Quist Samuel", Level::Exact);
        against("Samuel Quist Optics", Level::Household);
        against("Orchard Dairy", Level::Different);
    }
}
