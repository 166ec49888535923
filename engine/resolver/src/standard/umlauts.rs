//! Letters that German and Nordic languages write as one with dots, or as two: ü and ue, ø and oe, å and
//! aa. Other systems drop the dots, so all three ways fold to the letter alone, where no other language
//! writes the two letters: `mueller` and `müller` to `muller`, and `miguel` to itself.

use compact_str::CompactString;

use super::lexicon::lexicon;

/// Consonants that follow no such two letters but those of an umlaut.
const AFTER: [&[u8]; 6] = [b"ck", b"tz", b"hl", b"hm", b"hn", b"hr"];

/// A Danish ending for a farm, also within names.
const FARM: &str = "gaard";

/// Letters that a word has after a doubled consonant at least: `mueller`, but not `noelle` or `pruett`.
const REST_MIN: usize = 2;

/// Writes what a folded word spells with two letters for an umlaut with the one that it goes without.
pub(super) fn plain(word: CompactString) -> CompactString {
    let has_two = |two: &[u8]| matches!(two, b"ae" | b"oe" | b"ue" | b"aa");
    if !word.as_bytes().windows(2).any(has_two) {
        return word;
    }
    let stem = lexicon().umlaut_stem(&word).map_or(0, str::len);
    let farm = word.find(FARM).map(|at| at + 1);
    let letters = word.as_bytes();
    let is_second = |at: usize| {
        let Some(first) = at.checked_sub(1) else { return false };
        has_two(&letters[first..=at])
            && (at < stem || Some(first) == farm || (letters[at] == b'e' && is_umlaut(letters, first)))
    };
    letters.iter().enumerate().filter(|(at, _)| !is_second(*at)).map(|(_, letter)| char::from(*letter)).collect()
}

/// Whether the two letters at a place of a word, the second an e, can only be an umlaut.
fn is_umlaut(word: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| word[before]);
    // `bauer`, `rouen`; `miguel`, `quentin`.
    let is_parted = before.is_some_and(|letter| b"aeiouy".contains(&letter))
        || (word[at] == b'u' && before.is_some_and(|letter| b"gq".contains(&letter)));
    let after = &word[at + 2..];
    let is_doubled = match after {
        [one, other, rest @ ..] => one == other && !b"aeiouy".contains(one) && rest.len() >= REST_MIN,
        [] | [_] => false,
    };
    !is_parted && (is_doubled || AFTER.iter().any(|letters| after.starts_with(letters)))
}

#[cfg(test)]
mod tests {
    use crate::standard::text::{fold, joined};

    fn check(raw: &[&str], expected: &str) {
        for raw in raw {
            assert_eq!(joined(&fold(raw)), expected, "{raw}");
        }
    }

    #[test]
    fn german_names_are_one_in_three_ways_to_write_them() {
        check(&["Müller", "Mueller", "MUELLER", "Mu\u{308}ller", "Muller"], "muller");
        check(&["Jürgen Schröder", "Juergen Schroeder", "Jurgen Schroder"], "jurgen schroder");
        check(&["Günther Böhm", "Guenther Boehm"], "gunther bohm");
        check(&["Schäfer", "Schaefer"], "schafer");
        check(&["Weiß", "Weiss", "WEISS"], "weiss");
        check(&["Lück-Bräuer", "Lueck-Braeuer"], "luck brauer");
        check(&["Düsseldorf", "Duesseldorf"], "dusseldorf");
        check(&["München", "Muenchen"], "munchen");
        check(&["Bäckerei Götz", "Baeckerei Goetz"], "backerei gotz");
    }

    #[test]
    fn danish_and_norwegian_names_too() {
        check(&["Søren Nørgaard", "Soeren Noergaard", "Søren Nørgård"], "soren norgard");
        check(&["Bjørn", "Björn", "Bjoern"], "bjorn");
        check(&["Jørgensen", "Joergensen"], "jorgensen");
        check(&["Håkon", "Haakon"], "hakon");
        check(&["Århus", "Aarhus"], "arhus");
        check(&["Østergaard", "Oestergaard", "Östergård"], "ostergard");
    }

    #[test]
    fn names_of_other_languages_stay_as_they_are() {
        let names = "miguel samuel manuel michael raphael joel noel noelle gaelle joelle michaela michaelsen joe zoe chloe \
                     monroe sue rae mae bauer auer sauer enrique rodriguez guerra guerrero quentin boer bos boes koen \
                     roelofs maes claes verhaegen moen yuen taehyun jaemin xue phoebe boeing goethe pruett buell isaac \
                     aaron saad avenue blue value";
        for name in names.split_ascii_whitespace() {
            check(&[name], name);
        }
        check(&[""], "");
        check(&["ue", "UE"], "ue");
        check(&["aa"], "aa");
    }
}
