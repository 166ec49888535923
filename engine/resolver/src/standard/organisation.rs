//! Names of organisations: legal forms and joining words go, abbreviations close up, order is lost.

use compact_str::CompactString;

use super::lexicon::{hyphened, lexicon};
use super::text::{Words, fold, joined};

/// Words between the parts of a name.
const JOINING: &[&str] =
    &["and", "et", "the", "und", "y", "e", "og", "och", "i", "of", "for", "de", "der", "die", "des"];

/// Words of a legal form at most.
const FORM_WORDS_MAX: usize = 4;

/// A folded organisation name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Organisation {
    /// Words in alphabetical order, joined by blanks, without legal forms.
    pub(crate) words: CompactString,
    /// Legal forms in alphabetical order.
    pub(crate) legal_forms: CompactString,
}

impl Organisation {
    pub(crate) fn of(name: &str) -> Self {
        let all = with_closed_letters(fold(name));
        let (mut words, mut forms) = (Words::new(), Words::new());
        let mut at = 0;
        while at < all.len() {
            if let Some((form, length)) = legal_form_at(&all, at) {
                forms.push(CompactString::const_new(form));
                at += length;
            } else {
                if !JOINING.contains(&all[at].as_str()) {
                    words.push(all[at].clone());
                }
                at += 1;
            }
        }
        if words.is_empty() {
            // A name made of nothing else is still a name.
            words = all;
            forms.clear();
        }
        words.sort_unstable();
        words.dedup();
        forms.sort_unstable();
        forms.dedup();
        Organisation { words: joined(&words), legal_forms: joined(&forms) }
    }
}

/// The legal form that begins at a word, and how many words it has.
fn legal_form_at(words: &[CompactString], at: usize) -> Option<(&'static str, usize)> {
    let longest = FORM_WORDS_MAX.min(words.len() - at);
    for length in (2..=longest).rev() {
        if let Some(form) = lexicon().legal_form(&hyphened(&words[at..at + length])) {
            return Some((form, length));
        }
    }
    lexicon().legal_form(&words[at]).map(|form| (form, 1))
}

/// Closes up single letters written apart: `s a r l` to `sarl`, `i b m` to `ibm`.
fn with_closed_letters(words: Words) -> Words {
    let mut closed = Words::new();
    let mut letters = CompactString::default();
    for word in words {
        if word.len() == 1 && word.as_bytes()[0].is_ascii_lowercase() {
            letters.push_str(&word);
            continue;
        }
        if !letters.is_empty() {
            closed.push(std::mem::take(&mut letters));
        }
        closed.push(word);
    }
    if !letters.is_empty() {
        closed.push(letters);
    }
    closed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(name: &str, words: &str, legal_forms: &str) {
        let found = Organisation::of(name);
        assert_eq!((found.words.as_str(), found.legal_forms.as_str()), (words, legal_forms), "{name}");
    }

    #[test]
    fn legal_forms_and_word_order_do_not_matter() {
        check("Acme GmbH & Co. KG", "acme", "co gmbh kg");
        check("The ACME Logistics, Inc.", "acme logistics", "inc");
        check("Logistics Acme", "acme logistics", "");
        check("Boulangerie Dupont S. A. R. L.", "boulangerie dupont", "sarl");
        check("Kowalski Sp. z o.o.", "kowalski", "zoo");
        check("Acme Limited Liability Company", "acme", "llc");
        check("I.B.M.", "ibm", "");
        check("GmbH", "gmbh", "");
        check("ООО Ромашка", "romashka", "ooo");
        check("", "", "");
    }
}
