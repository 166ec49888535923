//! Names of people: titles go, particles join the family name, both orders are read.

use super::text::{Words, fold, is_listed};

/// Titles, degrees and generations that come and go between systems; sorted.
const TITLES: &[&str] = &[
    "dipl",
    "don",
    "dona",
    "dr",
    "esq",
    "frau",
    "herr",
    "hon",
    "ii",
    "iii",
    "ing",
    "iv",
    "jr",
    "junior",
    "madame",
    "mag",
    "md",
    "miss",
    "mlle",
    "mme",
    "monsieur",
    "mr",
    "mrs",
    "ms",
    "mx",
    "phd",
    "prof",
    "professor",
    "rev",
    "senior",
    "senor",
    "senora",
    "sig",
    "sir",
    "sr",
    "sra",
    "srta",
];

/// Words that begin a family name and do not stand alone; sorted.
const PARTICLES: &[&str] = &[
    "af", "al", "ap", "av", "bar", "bat", "ben", "bin", "bint", "da", "das", "de", "degli", "dei", "del", "della",
    "den", "der", "des", "di", "do", "dos", "du", "el", "ibn", "la", "las", "le", "lo", "los", "mac", "mc", "o", "st",
    "ten", "ter", "van", "vander", "vom", "von", "zu", "zum", "zur",
];

/// Given and family names, folded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Person {
    /// Given names in the order written.
    pub(crate) given: Words,
    /// Family names in the order written, particles joined to what follows them.
    pub(crate) family: Words,
    /// Which of several of one name: 1 for a senior, 2 for a junior or the second.
    pub(crate) generation: Option<u8>,
}

impl Person {
    /// From fields of their own. A field that holds the whole name is read as one.
    pub(crate) fn of_parts(given: &str, family: &str) -> Self {
        let (given_words, family_words) = (fold(given), fold(family));
        let generation = generation_of(&family_words).or_else(|| generation_of(&given_words));
        let (given_words, family_words) = (without_titles(given_words), without_titles(family_words));
        if given_words.is_empty() && family_words.len() > 1 && family.contains(',') {
            return Person::of_full(family);
        }
        Person { given: given_words, family: with_particles(family_words), generation }
    }

    /// From `Given Family` or `Family, Given`.
    pub(crate) fn of_full(name: &str) -> Self {
        let generation = generation_of(&fold(name));
        if let Some((family, given)) = name.split_once(',') {
            let given_words = without_titles(fold(given));
            let family_words = fold(family);
            let is_suffix = fold(given).iter().all(|word| is_listed(TITLES, word));
            // `Smith, Ann Mary`, but not `Ann Smith, 1st Baron of Somewhere`.
            let is_ordinal = given_words.iter().any(|word| word.as_bytes()[0].is_ascii_digit());
            if !is_suffix && !is_ordinal && !family_words.is_empty() && given_words.len() <= 4 {
                let family = with_particles(without_titles(family_words));
                return Person { given: given_words, family, generation };
            }
            return Person { generation, ..Person::of_full(family) };
        }
        let mut words = with_particles(without_titles(fold(name)));
        let family = words.pop().into_iter().collect();
        Person { given: words, family, generation }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.family.is_empty()
    }
}

/// The generation that the words of a name tell, none of them its first. A last `I` may be an initial
/// as well, and is kept as one.
fn generation_of(words: &Words) -> Option<u8> {
    let number = |word: &str| match word {
        "sr" | "senior" => Some(1),
        "jr" | "junior" | "ii" => Some(2),
        "iii" => Some(3),
        "iv" => Some(4),
        _ => None,
    };
    let told = words.iter().skip(1).find_map(|word| number(word));
    told.or_else(|| words.iter().skip(1).next_back().filter(|word| *word == "i").map(|_| 1))
}

fn without_titles(mut words: Words) -> Words {
    if words.len() > 1 {
        let is_name = |word: &str| !is_listed(TITLES, word);
        if words.iter().any(|word| is_name(word)) {
            words.retain(|word| is_name(word));
        }
    }
    words
}

/// Joins particles with the word after them: `van der berg` to `vanderberg`.
fn with_particles(words: Words) -> Words {
    let mut joined = Words::new();
    let mut waiting = compact_str::CompactString::default();
    let count = words.len();
    for (at, word) in words.into_iter().enumerate() {
        waiting.push_str(&word);
        if at + 1 == count || !is_listed(PARTICLES, &word) {
            joined.push(std::mem::take(&mut waiting));
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::standard::text::joined;

    fn check_full(name: &str, given: &str, family: &str) {
        let found = Person::of_full(name);
        assert_eq!((joined(&found.given).as_str(), joined(&found.family).as_str()), (given, family), "{name}");
    }

    #[test]
    fn both_orders_are_read() {
        check_full("BAUER, Dr. Anna Maria", "anna maria", "bauer");
        check_full("Anna Maria Bauer", "anna maria", "bauer");
        check_full("Samuel Quist, Jr.", "samuel", "quist");
        check_full("Thomas Clifford, 1st Baron Clifford", "thomas", "clifford");
        check_full("Jan van der Berg", "jan", "vanderberg");
        check_full("van der Berg, Jan", "jan", "vanderberg");
        check_full("Ольга Иванова", "olga", "ivanova");
        check_full("Cher", "", "cher");
        check_full("", "", "");
    }

    #[test]
    fn generations_are_told_and_are_no_names() {
        let check = |given: &str, family: &str, generation| {
            let found = Person::of_parts(given, family);
            assert_eq!(found.generation, generation, "{given} {family}");
            assert_eq!(joined(&found.family), "dobbins");
        };
        check("David", "Dobbins Jr", Some(2));
        check("David II", "Dobbins", Some(2));
        check("David", "Dobbins Senior", Some(1));
        check("Morris I", "Dobbins", Some(1));
        check("Ian", "Dobbins", None);
        assert_eq!(Person::of_full("Dobbins, David III").generation, Some(3));
        assert_eq!(Person::of_full("Samuel Quist, Jr.").generation, Some(2));
        assert_eq!(Person::of_full("Junior Dobbins").generation, None);
    }

    #[test]
    fn fields_keep_double_names_and_lose_titles() {
        let found = Person::of_parts("Sra. María José", "García López");
        assert_eq!((joined(&found.given).as_str(), joined(&found.family).as_str()), ("maria jose", "garcia lopez"));
        let whole = Person::of_parts("", "Jones, Kaylee");
        assert_eq!((joined(&whole.given).as_str(), joined(&whole.family).as_str()), ("kaylee", "jones"));
        assert_eq!(joined(&Person::of_parts("Dr", "").given), "dr");
    }
}
