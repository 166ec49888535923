//! Dates: equal, one error or swapped parts apart, alike, or of one year.

use super::{Comparison, Subject, best, bits};
use crate::feature::{Feature, Level, Levels};
use crate::kernel::edits_up_to_two;
use crate::standard::{DATES, Part};

pub(super) const COMPARISON: Comparison = Comparison {
    needs: bits([Part::BirthDate, Part::Date1, Part::Date2]),
    sets: &[Feature::BirthDate, Feature::Date1, Feature::Date2],
    compare,
};

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    for (part, feature) in DATES {
        let (a, b) = (left.standard.part(part), right.standard.part(part));
        if !a.is_empty() && !b.is_empty() {
            levels.set(feature, best(a, b, of_values));
        }
    }
}

fn of_values(a: &[u8], b: &[u8]) -> Level {
    let (&[.., _, _, _, _], true) = (a, a.len() == 8 && b.len() == 8) else {
        return if edits_up_to_two(a, b) == 1 { Level::Close } else { Level::Different };
    };
    let (year, same_year) = (&a[..4], a[..4] == b[..4]);
    let lacks_day = |date: &[u8]| &date[6..] == b"00";
    if same_year && (lacks_day(a) || lacks_day(b)) && !year.is_empty() {
        let same_month = a[4..6] == b[4..6] || &a[4..6] == b"00" || &b[4..6] == b"00";
        return if same_month { Level::Near } else { Level::Partial };
    }
    let swapped = same_year && a[4..6] == b[6..] && a[6..] == b[4..6];
    if swapped {
        return Level::Close;
    }
    match edits_up_to_two(a, b) {
        0 => Level::Exact,
        1 => Level::Close,
        // Two digits of a date differ by chance in one pair of some hundreds: only the year or the
        // day in the year makes it telling.
        2 if same_year || a[4..] == b[4..] => Level::Near,
        _ if same_year || a[4..] == b[4..] => Level::Partial,
        _ => Level::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::testing::check;
    use crate::kind::Kind;

    #[test]
    fn dates() {
        let dates = |a, b, level| check(&[(Kind::Date, a)], &[(Kind::Date, b)], Feature::BirthDate, level);
        dates("1980-02-29", "29/02/1980", Level::Exact);
        dates("1980-02-29", "1980-02-28", Level::Close);
        dates("1980-05-02", "1980-02-05", Level::Close);
        dates("1980-05-02", "1980-06-03", Level::Near);
        dates("1980", "1980-06-03", Level::Near);
        dates("1980-05-12", "1980-11-03", Level::Partial);
        dates("1980-05-12", "1957-05-12", Level::Near);
        dates("1980-05-02", "1981-02-05", Level::Different);
        dates("1980-05-02", "", Level::Silent);
    }
}
