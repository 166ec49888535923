//! How alike two folded words are. No allocation: both kernels work on the stack.

/// Longest word that the kernels read; longer ones are compared by their beginnings.
const LENGTH_MAX: usize = 64;

/// Jaro-Winkler similarity in [0, 1] of two words of ASCII letters and digits.
pub(crate) fn jaro_winkler(left: &str, right: &str) -> f64 {
    let (a, b) = (head(left), head(right));
    let jaro = jaro(a, b);
    let common = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count();
    // At most 4 letters, so the conversion is exact.
    jaro + 0.1 * common as f64 * (1.0 - jaro)
}

fn head(word: &str) -> &[u8] {
    &word.as_bytes()[..word.len().min(LENGTH_MAX)]
}

fn jaro(a: &[u8], b: &[u8]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return if a.len() == b.len() { 1.0 } else { 0.0 };
    }
    let reach = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut of_a, mut of_b) = (0u64, 0u64);
    for (i, letter) in a.iter().enumerate() {
        let end = b.len().min(i + reach + 1);
        for (j, other) in b.iter().enumerate().take(end).skip(i.saturating_sub(reach)) {
            if letter == other && of_b & (1 << j) == 0 {
                of_a |= 1 << i;
                of_b |= 1 << j;
                break;
            }
        }
    }
    let matches = of_a.count_ones();
    if matches == 0 {
        return 0.0;
    }
    let halves = transposed(a, of_a, b, of_b);
    let m = f64::from(matches);
    // Lengths are at most 64, so the conversions are exact.
    (m / a.len() as f64 + m / b.len() as f64 + (m - f64::from(halves / 2)) / m) / 3.0
}

/// Matched letters that stand in another order.
fn transposed(a: &[u8], mut of_a: u64, b: &[u8], mut of_b: u64) -> u32 {
    let mut halves = 0;
    while of_a != 0 {
        if a[of_a.trailing_zeros() as usize] != b[of_b.trailing_zeros() as usize] {
            halves += 1;
        }
        of_a &= of_a - 1;
        of_b &= of_b - 1;
    }
    halves
}

/// Whether one insertion, deletion, substitution or swap of neighbours at most parts the words.
pub(crate) fn within_one_edit(left: &str, right: &str) -> bool {
    let (a, b) = (left.as_bytes(), right.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_agrees_with_the_library() {
        let words = ["", "a", "martha", "marhta", "dixon", "dicksonx", "jellyfish", "smellyfish", "bauer", "brauer"];
        for left in words {
            for right in words {
                let (ours, theirs) = (jaro_winkler(left, right), strsim::jaro_winkler(left, right));
                assert!((ours - theirs).abs() < 1e-9, "{left} {right}: {ours} {theirs}");
            }
        }
    }

    #[test]
    fn one_edit_and_no_more() {
        for (left, right, expected) in [
            ("bauer", "bauer", true),
            ("bauer", "baur", true),
            ("bauer", "bayer", true),
            ("bauer", "baeur", true),
            ("bauer", "bräuer", false),
            ("bauer", "buaer", true),
            ("bauer", "bura", false),
            ("", "a", true),
            ("", "ab", false),
        ] {
            assert_eq!(within_one_edit(left, right), expected, "{left} {right}");
            assert_eq!(within_one_edit(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn long_words_do_not_panic() {
        let long = "x".repeat(200);
        assert!(jaro_winkler(&long, &long) > 0.999);
        assert!(within_one_edit(&long, &long));
    }
}
