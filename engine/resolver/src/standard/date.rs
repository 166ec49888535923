//! Dates in the many ways in which people write them, as eight digits, year first.

use compact_str::CompactString;

/// English names of months by their first three letters; other languages write digits or share them.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Years of two digits above this are of the last century.
const PIVOT: u32 = 30;

/// The date as `YYYYMMDD`, with `00` for a month or day that is not given; empty if it is no date.
/// Where day and month could be either, the month comes first if `month_first`.
pub(crate) fn date(raw: &str, month_first: bool) -> CompactString {
    let trimmed = raw.trim();
    let day_only = trimmed.split(['T', ' ']).next().unwrap_or_default();
    if day_only.len() == 8 && day_only.bytes().all(|byte| byte.is_ascii_digit()) {
        return compact(day_only);
    }
    let mut numbers: [(u32, usize); 3] = [(0, 0); 3];
    let (mut count, mut month) = (0, 0);
    let ends_word = |letter: char| !letter.is_ascii_alphanumeric();
    for word in trimmed.split(ends_word).filter(|word| !word.is_empty()) {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let Some(slot) = numbers.get_mut(count) else { break };
            let Ok(number) = word[..digits].parse() else { return CompactString::default() };
            *slot = (number, digits);
            count += 1;
        } else if let Some(at) = MONTHS.iter().position(|name| word.to_ascii_lowercase().starts_with(name)) {
            month = u32::try_from(at + 1).expect("twelve months");
        }
    }
    let numbers = &numbers[..count];
    match (numbers, month) {
        ([year], 0) if year.1 == 4 => checked(year.0, 0, 0),
        ([year, month], 0) if year.1 == 4 => checked(year.0, month.0, 0),
        ([year, a, b], 0) if year.1 == 4 => ordered(year.0, a.0, b.0),
        ([a, b, year], 0) if month_first => in_parts(century(*year), a.0, b.0),
        ([a, b, year], 0) => in_parts(century(*year), b.0, a.0),
        ([year, day], month) if month > 0 && year.1 == 4 => checked(year.0, month, day.0),
        ([day, year], month) if month > 0 => checked(century(*year), month, day.0),
        ([year], month) if month > 0 && year.1 == 4 => checked(year.0, month, 0),
        (_, _) => CompactString::default(),
    }
}

/// Eight digits: year first unless only day or month first makes sense.
fn compact(digits: &str) -> CompactString {
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    let (year, month, day) = (number(&digits[..4]), number(&digits[4..6]), number(&digits[6..]));
    let turned = number(&digits[4..]);
    if !(1000..=2100).contains(&year) && (1800..=2100).contains(&turned) {
        return in_parts(turned, number(&digits[2..4]), number(&digits[..2]));
    }
    // What is no date is kept where it is one typing error away from one, to be compared as such.
    if year == 0 && month == 0 && day == 0 { CompactString::default() } else { CompactString::from(digits) }
}

/// After a year the month comes first, unless it cannot be one.
fn ordered(year: u32, a: u32, b: u32) -> CompactString {
    in_parts(year, a, b)
}

fn in_parts(year: u32, month: u32, day: u32) -> CompactString {
    if month > 12 && day <= 12 { checked(year, day, month) } else { checked(year, month, day) }
}

fn checked(year: u32, month: u32, day: u32) -> CompactString {
    if (1..=9999).contains(&year) && month <= 12 && day <= 31 {
        compact_str::format_compact!("{year:04}{month:02}{day:02}")
    } else {
        CompactString::default()
    }
}

fn century((year, digits): (u32, usize)) -> u32 {
    match digits {
        1 | 2 if year > PIVOT => 1900 + year,
        1 | 2 => 2000 + year,
        _ => year,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(raw: &str, expected: &str) {
        assert_eq!(date(raw, true), expected, "{raw}");
    }

    #[test]
    fn many_ways_to_write_a_date() {
        check("1980-02-29", "19800229");
        check("1980-02-29T00:00:00Z", "19800229");
        check("19800229", "19800229");
        check("29/02/1980", "19800229");
        check("2/29/1980", "19800229");
        check("Mar 1 1970", "19700301");
        check("19-Feb-91", "19910219");
        check("1 February 2003", "20030201");
        check("4/2/31", "19310402");
        check("1/8/16", "20160108");
        check("1504-21-01", "15040121");
        check("1978", "19780000");
        check("1978-05", "19780500");
        check("29021980", "19800229");
        assert_eq!(date("01/02/1980", false), "19800201");
        for none in ["", "unknown", "0", "00000000", "99999999999999"] {
            check(none, "");
        }
    }
}
