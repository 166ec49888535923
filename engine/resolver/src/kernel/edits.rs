//! Typing errors between two values: insertions, deletions, substitutions, swaps of neighbours.

/// What the common ends leave over is compared by a table of at most this width.
const MIDDLE_MAX: usize = 24;

/// Whether one error at most parts the values.
pub(crate) fn within_one_edit(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 {
        return false;
    }
    let Some(at) = short.iter().zip(long).position(|(x, y)| x != y) else { return true };
    if short.len() < long.len() {
        return short[at..] == long[at + 1..];
    }
    let substituted = short[at + 1..] == long[at + 1..];
    let swapped = at + 1 < short.len()
        && short[at] == long[at + 1]
        && short[at + 1] == long[at]
        && short[at + 2..] == long[at + 2..];
    substituted || swapped
}

/// How many errors part the values: 0, 1, 2, or 3 for more. No part of a value is edited twice.
pub(crate) fn edits_up_to_two(a: &[u8], b: &[u8]) -> u8 {
    if a == b {
        return 0;
    }
    if a.len().abs_diff(b.len()) > 2 || have_other_bytes(a, b) {
        return 3;
    }
    if within_one_edit(a, b) {
        return 1;
    }
    let (a, b) = middles(a, b);
    if a.len().max(b.len()) > MIDDLE_MAX {
        return 3;
    }
    if within_two(a, b) { 2 } else { 3 }
}

/// Whether more than two bytes of one value have no equal in the other: then no two errors part them.
/// Bytes that share a place of the table only make values look more alike.
fn have_other_bytes(a: &[u8], b: &[u8]) -> bool {
    let mut counts = [0i16; 32];
    for byte in a {
        counts[usize::from(byte & 31)] += 1;
    }
    for byte in b {
        counts[usize::from(byte & 31)] -= 1;
    }
    let (mut more, mut less) = (0i16, 0i16);
    for count in counts {
        more += count.max(0);
        less += count.min(0);
    }
    more > 2 || less < -2
}

/// The values without their common beginning and end.
fn middles<'a>(a: &'a [u8], b: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let front = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[front..], &b[front..]);
    let back = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    (&a[..a.len() - back], &b[..b.len() - back])
}

/// Rows of the table of distances within two of the diagonal, kept for the last three rows.
fn within_two(a: &[u8], b: &[u8]) -> bool {
    const FAR: u8 = 9;
    let mut before = [FAR; MIDDLE_MAX + 2];
    let mut last = [FAR; MIDDLE_MAX + 2];
    for (place, cell) in last.iter_mut().enumerate().take(3) {
        // At most 2.
        *cell = place as u8;
    }
    for i in 1..=a.len() {
        let mut row = [FAR; MIDDLE_MAX + 2];
        if i <= 2 {
            row[0] = i as u8;
        }
        for j in i.saturating_sub(2).max(1)..=b.len().min(i + 2) {
            let same = u8::from(a[i - 1] != b[j - 1]);
            let mut cell = (last[j - 1] + same).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cell = cell.min(before[j - 2] + 1);
            }
            row[j] = cell.min(FAR);
        }
        before = last;
        last = row;
    }
    last[b.len()] <= 2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn check(a: &str, b: &str) {
        let expected = u8::try_from(strsim::osa_distance(a, b).min(3)).unwrap();
        assert_eq!(edits_up_to_two(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        assert_eq!(edits_up_to_two(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        assert_eq!(within_one_edit(a.as_bytes(), b.as_bytes()), expected <= 1, "{a} {b}");
    }

    #[test]
    fn known_pairs() {
        for (a, b) in [("", ""), ("", "ab"), ("ab", "ba"), ("19800229", "19800292"), ("abcd", "badc"), ("ca", "abc")] {
            check(a, b);
        }
        let long = "x".repeat(80);
        check(&long, &format!("{long}y"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(a in "[abc]{0,9}", b in "[abc]{0,9}", c in "[0-9]{8}") {
            check(&a, &b);
            check(&a, &c);
            let mut swapped: Vec<char> = c.chars().collect();
            swapped.swap(2, 3);
            check(&c, &swapped.into_iter().collect::<String>());
        }
    }
}
