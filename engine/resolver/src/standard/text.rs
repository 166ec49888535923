//! Folding of text: script, accents, case and punctuation carry no identity.

/// Appends the words of `text` in lower-case ASCII letters and digits to `words`. Full stops and
/// apostrophes join (`S.A.`, `O'Neill`), everything else that is neither letter nor digit parts.
pub(crate) fn fold_into(text: &str, words: &mut Vec<String>) {
    if text.is_ascii() {
        split(text, words);
    } else {
        split(&any_ascii::any_ascii(text), words);
    }
}

/// The words of `text`, folded.
pub(crate) fn fold(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    fold_into(text, &mut words);
    words
}

fn split(ascii: &str, words: &mut Vec<String>) {
    let mut word = String::new();
    for byte in ascii.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => word.push(char::from(byte)),
            b'A'..=b'Z' => word.push(char::from(byte.to_ascii_lowercase())),
            b'.' | b'\'' | b'`' => {}
            _ if word.is_empty() => {}
            _ => words.push(std::mem::take(&mut word)),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn accents_case_and_punctuation_fold() {
        assert_eq!(fold("  Société Générale S.A. "), ["societe", "generale", "sa"]);
        assert_eq!(fold("O'Neill & Sons-Co"), ["oneill", "sons", "co"]);
        assert_eq!(fold("Ямато"), ["yamato"]);
        assert!(fold("...").is_empty());
    }
}
