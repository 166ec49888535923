//! What somebody who misspelt a word probably meant.

/// Completes the message of a strict reader about an unknown word: the first quoted word is the one
/// that was found, the others are those that were expected.
pub(super) fn hint(message: &str) -> Option<String> {
    let mut quoted = message.lines().next()?.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let found = quoted.next()?;
    nearest(found, quoted).map(|near| format!(", did you mean `{near}`?"))
}

/// The word that takes the fewest edits, if they are at most a third of its letters.
pub(super) fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (edits, near) = known.map(|word| (edits(found, word), word)).min()?;
    (edits <= near.chars().count().div_ceil(3)).then_some(near)
}

/// Insertions, deletions and replacements that turn one word into the other.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["listen", "certificates", "key", "tokens"];
        assert_eq!(nearest("lisen", known.into_iter()), Some("listen"));
        assert_eq!(nearest("token", known.into_iter()), Some("tokens"));
        assert_eq!(nearest("colour", known.into_iter()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }

    #[test]
    fn only_a_message_about_an_unknown_word_gets_a_hint() {
        let message = "unknown field `lisen`, expected one of `listen`, `key`";
        assert_eq!(hint(message).as_deref(), Some(", did you mean `listen`?"));
        assert_eq!(hint("invalid type: integer `5`, expected a string"), None);
        assert_eq!(hint(""), None);
    }
}
