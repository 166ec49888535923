//! How values of the API are written for people.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use proto::v1;

/// A table as wide as the terminal allows. Nothing is printed of a table without rows.
#[must_use]
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head);
    table.add_rows(rows);
    table.to_string()
}

/// The word of an enum value's name, without the enum's own: `CASE_STATUS_IN_PROGRESS` of
/// `CASE_STATUS` is `in progress`.
#[must_use]
pub fn word(name: &str, of: &str) -> String {
    let word = name.strip_prefix(of).unwrap_or(name).trim_start_matches('_');
    word.to_ascii_lowercase().replace('_', " ")
}

/// A record as `kind/id`.
#[must_use]
pub fn reference(reference: Option<&v1::SourceRef>) -> String {
    reference.map(|r| format!("{}/{}", r.entity_type, r.native_id)).unwrap_or_default()
}

/// An amount with its currency, with two digits at least: `120.50 USD`.
#[must_use]
pub fn money(money: Option<&v1::Money>) -> String {
    let Some(money) = money else { return String::new() };
    let sign = if money.units < 0 || money.nanos < 0 { "-" } else { "" };
    let nanos = format!("{:09}", money.nanos.unsigned_abs());
    let digits = nanos.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{} {}", money.units.unsigned_abs(), &nanos[..digits], money.currency_code)
}

/// An instant to the second, UTC.
#[must_use]
pub fn instant(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| jiff::Timestamp::new(at.seconds, 0).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// A length of time in its two largest units: `2h 5m`.
#[must_use]
pub fn since(span: Option<&prost_types::Duration>) -> String {
    let Some(span) = span else { return String::new() };
    let seconds = span.seconds.max(0);
    let parts = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let from = parts.iter().position(|(_, count)| *count > 0).unwrap_or(parts.len() - 1);
    let mut text = String::new();
    for (unit, count) in parts.iter().skip(from).take(2).filter(|(unit, count)| *count > 0 || *unit == "s") {
        let gap = if text.is_empty() { "" } else { " " };
        write!(text, "{gap}{count}{unit}").expect("writing to a string cannot fail");
    }
    text
}

/// A number of things: `1 case`, `2 cases`.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_keep_every_digit_and_show_two_at_least() {
        let of = |units, nanos| v1::Money { currency_code: "USD".to_owned(), units, nanos };
        assert_eq!(money(Some(&of(120, 500_000_000))), "120.50 USD");
        assert_eq!(money(Some(&of(0, -10_000_000))), "-0.01 USD");
        assert_eq!(money(Some(&of(-3, -125_000_000))), "-3.125 USD");
        assert_eq!(money(Some(&of(7, 0))), "7.00 USD");
        assert_eq!(money(None), "");
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        let of = |seconds| since(Some(&prost_types::Duration { seconds, nanos: 0 }));
        assert_eq!(of(0), "0s");
        assert_eq!(of(59), "59s");
        assert_eq!(of(60), "1m 0s");
        assert_eq!(of(7_500), "2h 5m");
        assert_eq!(of(86_400), "1d");
        assert_eq!(of(-5), "0s");
    }

    #[test]
    fn words_lose_the_name_of_their_enum() {
        assert_eq!(word("CASE_STATUS_IN_PROGRESS", "CASE_STATUS"), "in progress");
        assert_eq!(word("HELD", "QUARANTINE_STATE"), "held");
        assert_eq!((count(1, "case"), count(0, "case")), ("1 case".to_owned(), "0 cases".to_owned()));
    }
}
