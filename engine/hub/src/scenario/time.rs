//! Instants and durations as stories write them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ontology::Millis;

/// Units of a duration with their length in milliseconds; longer names first where one begins with
/// the other.
const UNITS: [(&str, i64); 5] =
    [("ms", 1), ("s", Millis::SECOND_MS), ("m", Millis::MINUTE_MS), ("h", Millis::HOUR_MS), ("d", Millis::DAY_MS)];

/// The longest duration, in days: instants stay within the calendar.
const DAYS_MAX: i64 = 36_525;
/// How far from T the clock of a story may go, in days. Sources speak once a minute of story time.
const CLOCK_DAYS_MAX: i64 = 400;

/// Reads instants relative to the start of a story.
#[derive(Debug, Clone)]
pub struct Times {
    /// The story's T.
    pub start: Millis,
    /// Zone in which a bare date begins.
    pub zone: TimeZone,
}

impl Times {
    /// Reads `T`, `+90s`, `T-3d`, `2026-03-09` or `2026-03-09T14:00:00Z`.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn instant(&self, text: &str) -> Result<Millis, String> {
        let text = text.trim();
        let offset = text.strip_prefix('T').unwrap_or(text);
        if offset.is_empty() && !text.is_empty() {
            return Ok(self.start);
        }
        match offset.as_bytes().first() {
            Some(b'+') => return Ok(self.start + duration(&offset[1..])?),
            Some(b'-') => return Ok(self.start - duration(&offset[1..])?),
            Some(_) | None => {}
        }
        absolute(text, &self.zone)
    }

    /// Reads an instant to which the story's clock moves.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn reached(&self, text: &str) -> Result<Millis, String> {
        let at = self.instant(text)?;
        if at.since(self.start) > CLOCK_DAYS_MAX * Millis::DAY_MS {
            return Err(format!("the clock of a story goes as far as T+{CLOCK_DAYS_MAX}d, not to {}", self.told(at)));
        }
        Ok(at)
    }

    /// Tells an instant as stories write it.
    #[must_use]
    pub fn told(&self, at: Millis) -> String {
        let since = at.since(self.start);
        let sign = if since < 0 { '-' } else { '+' };
        if since.abs() > 9 * Millis::DAY_MS {
            return Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string());
        }
        format!("T{sign}{}", told_duration(since.abs()))
    }
}

/// Reads a date or an RFC 3339 instant.
///
/// # Errors
/// What was expected instead.
pub fn absolute(text: &str, zone: &TimeZone) -> Result<Millis, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Millis(at.as_millisecond()));
    }
    let midnight =
        text.parse::<Date>().ok().filter(|_| text.len() == 10).and_then(|date| date.to_zoned(zone.clone()).ok());
    midnight.map(|at| Millis(at.timestamp().as_millisecond())).ok_or_else(|| {
        format!("expected an instant such as +60s, T-3d, 2026-03-09 or 2026-03-09T14:00:00Z, found `{text}`")
    })
}

/// Reads a duration such as `60s`, `5m`, `1h30m` or `500ms`, in milliseconds.
///
/// # Errors
/// What was expected instead.
pub fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("expected a duration such as 60s, 5m, 1h30m or 3d, found `{text}`");
    let mut rest = text.trim();
    let mut total_ms: i64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let (unit, length_ms) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(wrong)?;
        let part_ms = count.checked_mul(*length_ms).ok_or_else(wrong)?;
        total_ms = total_ms.checked_add(part_ms).ok_or_else(wrong)?;
        rest = &rest[unit.len()..];
    }
    if total_ms > DAYS_MAX * Millis::DAY_MS {
        return Err(format!("expected a duration of at most {DAYS_MAX}d, found `{text}`"));
    }
    Ok(total_ms)
}

/// Tells a duration of `ms` milliseconds in the same form.
#[must_use]
pub fn told_duration(ms: i64) -> String {
    let mut rest = ms;
    let mut out = String::new();
    for (unit, length_ms) in UNITS.iter().rev() {
        let count = rest / length_ms;
        rest %= length_ms;
        if count > 0 {
            out.push_str(&format!("{count}{unit}"));
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn times() -> Times {
        Times { start: absolute("2026-03-10T15:00:00Z", &TimeZone::UTC).unwrap(), zone: TimeZone::UTC }
    }

    #[track_caller]
    fn check(text: &str, since_start_ms: i64) {
        assert_eq!(times().instant(text).unwrap().since(times().start), since_start_ms, "{text}");
    }

    #[test]
    fn instants_are_read_relative_to_the_start_or_absolute() {
        check("T", 0);
        check("+60s", 60_000);
        check("T+1h30m", 5_400_000);
        check("-3d", -3 * Millis::DAY_MS);
        check("2026-03-10", -15 * Millis::HOUR_MS);
        check("2026-03-10T15:00:00.250Z", 250);
    }

    #[test]
    fn a_bare_date_begins_in_the_zone_of_the_business() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = absolute("2026-03-10", &zone).unwrap();
        assert_eq!(at, absolute("2026-03-09T23:00:00Z", &zone).unwrap());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "60", "+", "+60", "+60x", "yesterday", "2026-13-01", "+99999999999999999999d", "T60s", "+1.5h"]
        {
            assert!(times().instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_goes_too_far_is_refused() {
        check("+36525d", 36_525 * Millis::DAY_MS);
        check("-36525d", -36_525 * Millis::DAY_MS);
        for text in ["+36525d1ms", "-36526d", "+1000000000d"] {
            assert!(times().instant(text).unwrap_err().contains("at most 36525d"), "{text}");
        }
        assert!(times().reached("+400d").is_ok());
        assert!(times().reached("+400d1ms").unwrap_err().contains("as far as T+400d"));
    }

    #[test]
    fn durations_are_told_as_they_are_written() {
        for text in ["60s", "1h30m", "3d", "500ms", "1m1ms"] {
            assert_eq!(duration(&told_duration(duration(text).unwrap())), duration(text), "{text}");
        }
        assert_eq!((told_duration(0), told_duration(60_000)), ("0s".to_owned(), "1m".to_owned()));
        assert_eq!(times().told(times().start + 61_000), "T+1m1s");
    }
}
