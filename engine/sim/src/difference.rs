//! What two lists of customers differ in, short enough to be read.

use ontology::canonical::Json;

/// Bytes that are shown before and behind the first difference.
const AROUND: usize = 400;

/// Canonical texts of customers, in order of id.
pub fn texts(customers: impl IntoIterator<Item = Json>) -> Vec<String> {
    customers.into_iter().map(|json| json.to_string()).collect()
}

/// Says where `found` first differs from what was expected.
///
/// # Errors
/// When it differs.
pub fn equal(name: &str, found: &[String], expected: &[String]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let place = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let [a, b] = [found, expected].map(|all| all.get(place).map_or("", String::as_str));
    let at = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let around =
        |text: &str| String::from_utf8_lossy(&text.as_bytes()[from(at).min(text.len())..to(at, text)]).into_owned();
    let (counts, a, b) = (format!("{} customers, expected {}", found.len(), expected.len()), around(a), around(b));
    Err(format!("{name}: {counts}; customer {place} is\n ...{a}...\n and should be\n ...{b}..."))
}

fn from(at: usize) -> usize {
    at.saturating_sub(AROUND)
}

fn to(at: usize, text: &str) -> usize {
    (at + AROUND).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[&str], expected: &[&str], said: Option<&str>) {
        let own = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let difference = equal("x", &own(found), &own(expected)).err();
        assert_eq!(difference.is_some(), said.is_some());
        assert!(difference.unwrap_or_default().contains(said.unwrap_or_default()));
    }

    #[test]
    fn the_first_difference_is_shown() {
        check(&["a", "b"], &["a", "b"], None);
        check(&["a", "bc"], &["a", "bd"], Some("customer 1"));
        check(&["a"], &["a", "b"], Some("1 customers, expected 2"));
        check(&["ä"], &["ö"], Some("customer 0"));
    }
}
