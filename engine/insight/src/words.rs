//! The words in which the hub tells people about times, amounts and lists, in one place so that
//! every sentence says the same thing in the same way.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ontology::{Coded, Currency, Millis, Money, Vocabulary};

/// How many days back a time is told in days; older ones are told by date.
const DAYS_AGO_MAX: i64 = 30;

/// When `at` was, as told at `now` to somebody in `tz`: `today`, `yesterday`, `3 days ago`, and an
/// ISO date when it is more than 30 days ago or still to come.
#[must_use]
pub fn when(at: Millis, now: Millis, tz: &TimeZone) -> String {
    match days_ago(at, now, tz) {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days @ 2..=DAYS_AGO_MAX => format!("{days} days ago"),
        _ => date(at, tz),
    }
}

/// The calendar date of an instant in `tz`, as ISO 8601 writes it.
#[must_use]
pub fn date(at: Millis, tz: &TimeZone) -> String {
    civil_date(at, tz).to_string()
}

/// How many calendar days lie between `at` and `now` in `tz`; negative if `at` is on a later day.
#[must_use]
pub fn days_ago(at: Millis, now: Millis, tz: &TimeZone) -> i64 {
    days_between(civil_date(at, tz), civil_date(now, tz))
}

/// How many days lie between two; negative if `then` is the later one.
#[must_use]
pub fn days_between(then: Date, today: Date) -> i64 {
    today.duration_since(then).as_hours() / 24
}

/// The day that an instant falls on in `tz`. Instants that no calendar reaches stand at its end.
#[must_use]
pub fn civil_date(at: Millis, tz: &TimeZone) -> Date {
    let end = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at.0).unwrap_or(end).to_zoned(tz.clone()).date()
}

/// A length of time to the nearest minute, half up and at least one: `8min`, `1h05min`.
#[must_use]
pub fn duration(seconds: i64) -> String {
    let minutes = (seconds.max(0).saturating_add(30) / 60).max(1);
    if minutes < 60 { format!("{minutes}min") } else { format!("{}h{:02}min", minutes / 60, minutes % 60) }
}

/// Parts of a sentence: `a`, `a and b`, `a, b, and c`.
#[must_use]
pub fn join<S: AsRef<str>>(parts: &[S]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first, second] => format!("{} and {}", first.as_ref(), second.as_ref()),
        [front @ .., last] => {
            let mut joined = String::new();
            for part in front {
                joined.push_str(part.as_ref());
                joined.push_str(", ");
            }
            joined.push_str("and ");
            joined.push_str(last.as_ref());
            joined
        }
    }
}

/// A number with its noun: `1 call`, `2 calls`.
#[must_use]
pub fn count(n: usize, singular: &str, plural: &str) -> String {
    format!("{n} {}", if n == 1 { singular } else { plural })
}

/// An amount as a record gives it, a decimal and a currency code; none if either is missing or the
/// amount is finer than the currency's minor unit.
#[must_use]
pub fn money(decimal: Option<(i64, u8)>, currency: Option<&str>) -> Option<Money> {
    let (mantissa, scale) = decimal?;
    Money::from_decimal(mantissa, scale, Currency::parse(currency?)?)
}

/// A name such as `PlanUpgrade`, `OVERCHARGE` or `not_delivered` in lower-case words.
#[must_use]
pub fn plain(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut is_after_lower = false;
    for c in name.chars() {
        let is_gap = c == '_' || c == '-' || c.is_whitespace();
        let begins_word = is_gap || (c.is_uppercase() && is_after_lower);
        if begins_word && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        if !is_gap {
            words.extend(c.to_lowercase());
        }
        is_after_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.truncate(words.trim_end().len());
    words
}

/// The word of a coded field in lower-case words: the source's own when the mapping has none.
#[must_use]
pub fn coded<V: Vocabulary>(word: Coded<'_, V>) -> Option<String> {
    match word {
        Coded::Known(word) => Some(plain(word.name())),
        Coded::Unknown(raw) if !raw.is_empty() => Some(plain(raw)),
        Coded::Unknown(_) | Coded::Missing => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ontology::status::ServiceOrderStatus;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn check_when(then: &str, now: &str, tz: &TimeZone, expected: &str) {
        assert_eq!(when(at(then), at(now), tz), expected, "{then} told at {now}");
    }

    #[test]
    fn times_are_told_by_calendar_day() {
        let (utc, now) = (TimeZone::UTC, "2026-03-10T15:00:00Z");
        check_when("2026-03-10T00:00:00Z", now, &utc, "today");
        check_when("2026-03-10T23:59:59.999Z", now, &utc, "today");
        check_when("2026-03-09T23:59:59.999Z", now, &utc, "yesterday");
        check_when("2026-03-08T23:59:59Z", now, &utc, "2 days ago");
        check_when("2026-02-08T00:00:00Z", now, &utc, "30 days ago");
        check_when("2026-02-07T23:59:59Z", now, &utc, "2026-02-07");
        check_when("2026-03-11T00:00:00Z", now, &utc, "2026-03-11");
    }

    #[test]
    fn the_business_zone_decides_the_day() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        check_when("2026-03-09T23:30:00Z", "2026-03-10T15:00:00Z", &berlin, "today");
        check_when("2026-03-09T22:30:00Z", "2026-03-10T15:00:00Z", &berlin, "yesterday");
        // The night of the change to summer time has 23 hours and is still one day.
        check_when("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", &berlin, "yesterday");
        check_when("2026-03-28T23:30:00Z", "2026-03-30T00:30:00Z", &berlin, "yesterday");
    }

    #[test]
    fn instants_beyond_every_calendar_do_not_panic() {
        assert_eq!(when(Millis::MAX, Millis(0), &TimeZone::UTC), "9999-12-30");
        assert!(when(Millis::MIN, Millis(0), &TimeZone::UTC).starts_with('-'));
    }

    #[test]
    fn durations_round_half_up_to_minutes() {
        for (seconds, expected) in [
            (-5, "1min"),
            (0, "1min"),
            (89, "1min"),
            (90, "2min"),
            (720, "12min"),
            (3_569, "59min"),
            (3_570, "1h00min"),
            (3_900, "1h05min"),
            (i64::MAX, "2562047788015215h30min"),
        ] {
            assert_eq!(duration(seconds), expected, "{seconds} s");
        }
    }

    #[test]
    fn lists_join_with_a_comma_before_the_last_and() {
        assert_eq!(join::<&str>(&[]), "");
        assert_eq!(join(&["a"]), "a");
        assert_eq!(join(&["a", "b"]), "a and b");
        assert_eq!(join(&["a", "b", "c"]), "a, b, and c");
        assert_eq!(count(1, "discrepancy", "discrepancies"), "1 discrepancy");
        assert_eq!(count(0, "discrepancy", "discrepancies"), "0 discrepancies");
    }

    #[test]
    fn names_become_lower_case_words_whatever_their_style() {
        for (name, expected) in [
            ("PlanUpgrade", "plan upgrade"),
            ("OVERCHARGE", "overcharge"),
            ("Service not Delivered", "service not delivered"),
            ("not_delivered ", "not delivered"),
            ("", ""),
        ] {
            assert_eq!(plain(name), expected);
        }
        assert_eq!(coded(Coded::Known(ServiceOrderStatus::InProgress)).unwrap(), "in progress");
        assert_eq!(coded::<ServiceOrderStatus>(Coded::Unknown("Geparkt")).unwrap(), "geparkt");
        assert_eq!(coded::<ServiceOrderStatus>(Coded::Missing), None);
    }

    #[test]
    fn money_needs_an_amount_and_a_currency() {
        assert_eq!(money(Some((34_200, 2)), Some("USD")).unwrap().display(), "$342");
        assert_eq!(money(Some((3_425, 1)), Some("EUR")).unwrap().display(), "EUR 342.50");
        assert_eq!(money(Some((1, 0)), None), None);
        assert_eq!(money(None, Some("USD")), None);
        assert_eq!(money(Some((1, 3)), Some("USD")), None);
        assert_eq!(money(Some((1, 0)), Some("usd")), None);
    }
}
