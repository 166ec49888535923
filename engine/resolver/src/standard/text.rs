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

fn split(ascii: &str, words: &mut Words) {
    let mut word = CompactString::default();
    for byte in ascii.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => word.push(char::from(byte)),
            b'A'..=b'Z' => word.push(char::from(byte.to_ascii_lowercase())),
            b'.' | b'\'' | b'`' => {}
            _ if word.is_empty() => {}
            _ if words.len() == WORDS_MAX => return,
            _ => words.push(plain(std::mem::take(&mut word))),
        }
    }
    if !word.is_empty() && words.len() < WORDS_MAX {
        words.push(plain(word));
    }
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
