//! Words that are known beforehand: legal forms, business words, streets, nicknames. Each list is a
//! file under `data` that says where it comes from.

use std::cmp::Reverse;
use std::sync::OnceLock;

use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

/// The lists, parsed.
#[derive(Debug)]
pub(crate) struct Lexicon {
    legal_forms: HashMap<&'static str, &'static str>,
    business_words: HashSet<&'static str>,
    street_words: HashMap<&'static str, &'static str>,
    /// Groups of names that a name stands in.
    nicknames: HashMap<&'static str, SmallVec<[u16; 4]>>,
    /// The largest group that a name stands in.
    chief_groups: HashMap<&'static str, u16>,
    /// Sorted, none the beginning of another.
    umlaut_stems: Vec<&'static str>,
}

/// The lists, parsed when first asked for.
pub(crate) fn lexicon() -> &'static Lexicon {
    static LEXICON: OnceLock<Lexicon> = OnceLock::new();
    LEXICON.get_or_init(Lexicon::read)
}

impl Lexicon {
    fn read() -> Self {
        let mut nicknames: HashMap<&'static str, SmallVec<[u16; 4]>> = HashMap::new();
        for (group, line) in lines(include_str!("../../data/nicknames.txt")).enumerate() {
            let group = u16::try_from(group).expect("a test counts the groups");
            for name in line.split(' ') {
                nicknames.entry(name).or_default().push(group);
            }
        }
        Lexicon {
            legal_forms: kept_forms(include_str!("../../data/legal_forms.txt")),
            business_words: lines(include_str!("../../data/business_words.txt")).flat_map(|l| l.split(' ')).collect(),
            street_words: kept_forms(include_str!("../../data/street_words.txt")),
            chief_groups: chief_groups(&nicknames),
            umlaut_stems: lines(include_str!("../../data/umlauts.txt")).collect(),
            nicknames,
        }
    }

    /// The form kept of a legal form.
    pub(crate) fn legal_form(&self, word: &str) -> Option<&'static str> {
        self.legal_forms.get(word).copied()
    }

    /// Whether many organisations have the word in their names.
    pub(crate) fn is_business_word(&self, word: &[u8]) -> bool {
        let Ok(word) = std::str::from_utf8(word) else { return false };
        self.business_words.contains(word)
            || word.strip_suffix('s').is_some_and(|one| self.business_words.contains(one))
    }

    /// The form kept of a word for a kind of street.
    pub(crate) fn street_word(&self, word: &str) -> Option<&'static str> {
        self.street_words.get(word).copied()
    }

    /// Whether a word is known as a given name.
    pub(crate) fn is_name(&self, word: &[u8]) -> bool {
        std::str::from_utf8(word).is_ok_and(|word| self.nicknames.contains_key(word))
    }

    /// The groups of names that a given name stands in.
    pub(crate) fn groups(&self, name: &[u8]) -> impl Iterator<Item = u16> + '_ {
        let groups = std::str::from_utf8(name).ok().and_then(|name| self.nicknames.get(name));
        groups.into_iter().flatten().copied()
    }

    /// Whether two given names may be one: both stand in one group.
    pub(crate) fn are_one_name(&self, a: &[u8], b: &[u8]) -> bool {
        let groups = |name: &[u8]| std::str::from_utf8(name).ok().and_then(|name| self.nicknames.get(name));
        match (groups(a), groups(b)) {
            (Some(a), Some(b)) => a.iter().any(|group| b.contains(group)),
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }

    /// The beginning of a word within which two letters stand for an umlaut.
    pub(crate) fn umlaut_stem(&self, word: &str) -> Option<&'static str> {
        let at = self.umlaut_stems.partition_point(|stem| *stem <= word).checked_sub(1)?;
        Some(self.umlaut_stems[at]).filter(|stem| word.starts_with(stem))
    }

    /// The largest group that a name stands in: one for `bob` and `robert`.
    pub(crate) fn chief_group(&self, name: &str) -> Option<u16> {
        self.chief_groups.get(name).copied()
    }
}

/// Each name with the largest of its groups, the first of equals.
fn chief_groups(nicknames: &HashMap<&'static str, SmallVec<[u16; 4]>>) -> HashMap<&'static str, u16> {
    let mut sizes: HashMap<u16, usize> = HashMap::new();
    nicknames.values().flatten().for_each(|group| *sizes.entry(*group).or_default() += 1);
    let size_of = |group: &u16| sizes.get(group).copied().unwrap_or_default();
    let chief =
        |groups: &SmallVec<[u16; 4]>| groups.iter().copied().min_by_key(|group| (Reverse(size_of(group)), *group));
    nicknames.iter().filter_map(|(name, groups)| chief(groups).map(|group| (*name, group))).collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Lines of a form kept and other ways to write it.
fn kept_forms(text: &'static str) -> HashMap<&'static str, &'static str> {
    let mut forms = HashMap::new();
    for line in lines(text) {
        let mut words = line.split(' ');
        let Some(kept) = words.next() else { continue };
        forms.insert(kept, kept);
        words.for_each(|word| {
            forms.insert(word, kept);
        });
    }
    forms
}

/// Several words of a legal form joined by hyphens, as the list writes them.
pub(crate) fn hyphened(words: &[CompactString]) -> CompactString {
    let mut text = CompactString::default();
    for word in words {
        if !text.is_empty() {
            text.push('-');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::standard::text::{fold, joined};

    #[test]
    fn lists_are_folded_and_fit() {
        let lists = [
            include_str!("../../data/nicknames.txt"),
            include_str!("../../data/legal_forms.txt"),
            include_str!("../../data/business_words.txt"),
            include_str!("../../data/street_words.txt"),
        ];
        for line in lists.into_iter().flat_map(lines) {
            let is_folded = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b" -".contains(&byte);
            assert!(line.bytes().all(is_folded), "{line}");
            assert_eq!(joined(&fold(line)), line.replace('-', " "), "a word that is never asked for");
        }
        let stems: Vec<&str> = lines(include_str!("../../data/umlauts.txt")).collect();
        assert!(stems.windows(2).all(|two| two[0] < two[1] && !two[1].starts_with(two[0])));
        assert!(lines(lists[0]).count() < usize::from(u16::MAX));
    }

    #[test]
    fn words_are_known_in_all_their_forms() {
        let known = lexicon();
        assert_eq!(known.legal_form("limited"), Some("ltd"));
        assert_eq!(known.street_word("rd"), Some("road"));
        assert!(known.are_one_name(b"bob", b"robert") && known.are_one_name(b"bill", b"will"));
        assert!(!known.are_one_name(b"anna", b"robert") && !known.are_one_name(b"zzz", b"zzz"));
        assert!(known.is_business_word(b"holding") && !known.is_business_word(b"acme"));
    }
}
