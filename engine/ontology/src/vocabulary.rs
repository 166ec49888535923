//! Closed lists of words: each has a stable code for storage and a name for people and programs.

/// A closed list of words. A word's code is its place in [`Vocabulary::ALL`], so new words are
/// appended and none is ever removed or moved.
pub trait Vocabulary: Copy + PartialEq + 'static {
    /// Every word with its name, in code order.
    const ALL: &'static [(Self, &'static str)];

    /// The stable code of this word.
    fn code(self) -> u8 {
        let place = Self::ALL.iter().position(|(word, _)| *word == self);
        u8::try_from(place.expect("every word of a vocabulary stands in ALL"))
            .expect("a vocabulary has fewer than 256 words")
    }

    /// The name of this word, as in the specification.
    fn name(self) -> &'static str {
        Self::ALL[usize::from(self.code())].1
    }

    /// The word with this code.
    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).map(|(word, _)| *word)
    }

    /// The word with this name, ignoring ASCII case.
    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(word, _)| *word)
    }
}

/// A word as it stands in a record: known, outside our vocabulary, or not there.
///
/// `Unknown` counts as *not finished* and never as *resolved* wherever a status decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coded<'a, T> {
    /// A word of the vocabulary.
    Known(T),
    /// What the source said, verbatim, when the mapping has no word for it.
    Unknown(&'a str),
    /// The field is null or was never sent.
    Missing,
}

impl<T: Copy> Coded<'_, T> {
    /// The word, if it is one of ours.
    pub fn known(self) -> Option<T> {
        match self {
            Coded::Known(word) => Some(word),
            Coded::Unknown(_) | Coded::Missing => None,
        }
    }
}

/// Splits a name such as `PlanUpgrade` into lower-case words: `plan upgrade`.
#[must_use]
pub fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            words.push(' ');
        }
        if c == '_' {
            words.push(' ');
        } else {
            words.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_lower_case_words() {
        assert_eq!(in_words("PlanUpgrade"), "plan upgrade");
        assert_eq!(in_words("Overcharge"), "overcharge");
        assert_eq!(in_words("credit_hold"), "credit hold");
        assert_eq!(in_words(""), "");
    }
}
