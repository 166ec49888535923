//! Folding of text: script, accents, case and punctuation carry no identity.

use compact_str::CompactString;
use smallvec::SmallVec;

use super::umlauts::plain;

/// The words of a value; most values have few.
pub(crate) type Words = SmallVec<[CompactString; 6]>;

/// Words of one value that are read; what follows tells nobody apart.
const WORDS_MAX: usize = 32;

/// The words of `text` in lower-case ASCII letters and digits. Full stops and apostrophes join
/// (`S.A.`, `O'Neill`), everything else that is neither letter nor digit parts. Umlauts lose their dots,
/// also where they are written as two letters.
pub(crate) fn fold(text: &str) -> Words {
    let mut words = Words::new();
    if text.is_ascii() {
        split(text, &mut words);
    } else {
        split(&any_ascii::any_ascii(text), &mut words);
    }
    words
}

/// What joins the letters around it.
const JOINING: [char; 3] = ['.', '\'', '`'];

fn split(ascii: &str, words: &mut Words) {
    let parts = |letter: char| !letter.is_ascii_alphanumeric() && !JOINING.contains(&letter);
    for piece in ascii.split(parts) {
        let mut word = CompactString::new(piece);
        if piece.contains(JOINING) {
            word.retain(|letter| !JOINING.contains(&letter));
        }
        if word.is_empty() {
            continue;
        }
        if words.len() == WORDS_MAX {
            return;
        }
        word.make_ascii_lowercase();
        words.push(plain(word));
    }
}

/// Whether a word stands in a sorted list.
pub(super) fn is_listed(sorted: &[&str], word: &str) -> bool {
    debug_assert!(sorted.is_sorted(), "lists are searched by halves");
    sorted.binary_search(&word).is_ok()
}

/// Words joined by blanks.
pub(crate) fn joined<'a>(words: impl IntoIterator<Item = &'a CompactString>) -> CompactString {
    let mut text = CompactString::default();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn accents_case_and_punctuation_fold() {
        assert_eq!(fold("  Société Générale S.A. ").as_slice(), ["societe", "generale", "sa"]);
        assert_eq!(fold("O'Neill & Sons-Co").as_slice(), ["oneill", "sons", "co"]);
        assert_eq!(fold("Ямато").as_slice(), ["yamato"]);
        assert!(fold("...").is_empty());
        assert_eq!(joined(&fold("Ana  María")), "ana maria");
    }

    #[test]
    fn a_flood_of_words_is_cut() {
        assert_eq!(fold(&"a ".repeat(5000)).len(), WORDS_MAX);
    }
}
