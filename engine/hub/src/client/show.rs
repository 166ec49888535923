//! How values of the API are written for people.

use std::fmt::Write as _;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use proto::v1;

/// A table for people. On a terminal the widest columns are folded between words until it fits; ids and
/// other words stay whole, so that they can be copied. Elsewhere each row is one line. Nothing is printed
/// of a table without rows.
#[must_use]
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    fitted(head, rows.into_iter().collect(), terminal.map(|(width, _)| usize::from(width.0)))
}

/// A table in at most `width_max` characters, if its longest words let it.
fn fitted<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, width_max: Option<usize>) -> String {
    let longest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str()).chain([head[column]]);
        cells.flat_map(str::split_whitespace).map(|word| word.chars().count()).max().unwrap_or_default()
    };
    let words: [usize; N] = std::array::from_fn(longest);
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(head);
    table.add_rows(rows);
    let told = table.to_string();
    let width = told.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let Some(mut over) = width_max.and_then(|most| width.checked_sub(most)).filter(|over| *over > 0) else {
        return told;
    };
    let mut widths: Vec<usize> = table.column_max_content_widths().into_iter().map(usize::from).collect();
    while over > 0 {
        let foldable = widths.iter_mut().zip(words).filter(|(width, word)| **width > *word);
        let Some((widest, _)) = foldable.max_by_key(|(width, _)| **width) else { break };
        *widest -= 1;
        over -= 1;
    }
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for (column, width) in table.column_iter_mut().zip(widths) {
        let width = u16::try_from(width).unwrap_or(u16::MAX).saturating_add(column.padding_width());
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
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
    fn a_table_folds_its_widest_column_and_keeps_words_whole() {
        let id = "customers/4f0d7e1c9ab34c1f8d21";
        let said = "the disk that holds the store is nearly full, and intake will stop soon";
        let told = |width: Option<usize>| fitted(["name", "found"], vec![[id.to_owned(), said.to_owned()]], width);
        let width = |told: &str| told.lines().map(|line| line.chars().count()).max();
        let whole = told(None);
        let natural = width(&whole).unwrap_or_default();
        assert!(whole.contains(&format!("{id}   {said}")), "{whole}");
        assert_eq!((told(Some(natural)), told(Some(500))), (whole.clone(), whole));
        for narrow in [natural - 1, 80, 60] {
            let folded = told(Some(narrow));
            assert!(width(&folded) <= Some(narrow) && folded.contains(id), "{narrow}\n{folded}");
            let words: Vec<&str> = folded.split_whitespace().filter(|word| said.contains(word)).collect();
            assert_eq!(words.join(" "), said, "{folded}");
        }
        assert!(told(Some(10)).contains(id), "what cannot be folded is wider than the terminal");
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
