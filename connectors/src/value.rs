//! Native values and how they are read: exact decimals, instants in the notations of the vendors.

use std::borrow::Cow;

use base64::Engine as _;
use ontology::Millis;

/// A value of one column, segment field or member, before any mapping.
#[derive(Debug, Clone, PartialEq)]
pub enum Native<'a> {
    /// Known to be empty.
    Null,
    /// Truth value.
    Bool(bool),
    /// A number, as it was written.
    Number(Cow<'a, str>),
    /// Text.
    Text(Cow<'a, str>),
    /// Exact decimal that the wire format gives as such.
    Decimal(Decimal),
    /// Something that no mapping reads: a list, a structure.
    Other(Cow<'a, str>),
}

impl Native<'_> {
    /// Text or digits, trimmed; none if it is empty or of another kind.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Native::Text(text) | Native::Number(text) => Some(trimmed(text)).filter(|t| !t.is_empty()),
            Native::Null | Native::Bool(_) | Native::Decimal(_) | Native::Other(_) => None,
        }
    }

    /// The text of an id or a name: as [`Native::scalar`], but of a whole number its digits, however its
    /// source writes it: captures that turn decimals into doubles make `1000.0` or `1.0E7` of an id.
    #[must_use]
    pub fn word(&self) -> Option<Cow<'_, str>> {
        let digits = match self {
            Native::Number(text) if text.contains(['.', 'e', 'E']) => Decimal::parse(text).and_then(Decimal::whole),
            Native::Decimal(decimal) => Some(decimal.whole()?),
            Native::Null | Native::Bool(_) | Native::Number(_) | Native::Text(_) | Native::Other(_) => None,
        };
        digits.map(|digits| Cow::Owned(digits.to_string())).or_else(|| self.scalar().map(Cow::Borrowed))
    }

    /// Whether nothing stands there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Native::Null => true,
            Native::Text(text) => trimmed(text).is_empty(),
            Native::Bool(_) | Native::Number(_) | Native::Decimal(_) | Native::Other(_) => false,
        }
    }

    /// The same value, without a copy of its text.
    #[must_use]
    pub fn borrowed(&self) -> Native<'_> {
        match self {
            Native::Null => Native::Null,
            Native::Bool(b) => Native::Bool(*b),
            Native::Number(digits) => Native::Number(Cow::Borrowed(digits)),
            Native::Text(text) => Native::Text(Cow::Borrowed(text)),
            Native::Decimal(decimal) => Native::Decimal(*decimal),
            Native::Other(text) => Native::Other(Cow::Borrowed(text)),
        }
    }

    /// The value as it stands in a finding.
    #[must_use]
    pub fn verbatim(&self) -> Cow<'_, str> {
        match self {
            Native::Null => Cow::Borrowed(""),
            Native::Bool(true) => Cow::Borrowed("true"),
            Native::Bool(false) => Cow::Borrowed("false"),
            Native::Number(text) | Native::Text(text) | Native::Other(text) => Cow::Borrowed(text),
            Native::Decimal(d) => Cow::Owned(format!("{}e-{}", d.mantissa, d.scale)),
        }
    }
}

/// `text` without blanks around it; most have none, or plain ones at the end.
#[inline]
#[must_use]
pub fn trimmed(text: &str) -> &str {
    let text = text.trim_ascii();
    match text.as_bytes() {
        [] => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// Named native values: a row, a segment, an event body.
pub trait Columns {
    /// The value of `column`; none if the payload says nothing of it.
    fn column(&self, column: &str) -> Option<Native<'_>>;
}

/// Most digits of a decimal that is rounded: more than a database writes.
const DIGITS_MAX: usize = 400;

/// An exact decimal `mantissa x 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// Digits with sign.
    pub mantissa: i64,
    /// Places after the point, at most [`Decimal::SCALE_MAX`].
    pub scale: u8,
}

impl Decimal {
    /// Most places after the point that an `i64` can carry.
    pub const SCALE_MAX: u8 = 18;

    /// Reads decimal text: sign before or (SAP) after, an exponent if there is one.
    ///
    /// ```
    /// use connectors::value::Decimal;
    /// assert_eq!(Decimal::parse("342.50"), Some(Decimal { mantissa: 34250, scale: 2 }));
    /// assert_eq!(Decimal::parse("12.00-"), Some(Decimal { mantissa: -1200, scale: 2 }));
    /// assert_eq!(Decimal::parse("12,5x"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (text, is_negative) = match text.strip_suffix('-') {
            Some(rest) => (rest, true),
            None => match text.strip_prefix('-') {
                Some(rest) => (rest, true),
                None => (text.strip_prefix('+').unwrap_or(text), false),
            },
        };
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(part.bytes()) {
            let digit = char::from(digit).to_digit(10)?;
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit))?;
        }
        let scale = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
        Self::scaled(if is_negative { -mantissa } else { mantissa }, scale)
    }

    /// The exact value `unscaled x 10^-scale`; none if it does not fit.
    #[must_use]
    pub fn scaled(unscaled: i128, scale: i32) -> Option<Self> {
        let (mut unscaled, mut scale) = (unscaled, scale);
        if unscaled == 0 {
            scale = scale.clamp(0, i32::from(Self::SCALE_MAX));
        }
        while scale > i32::from(Self::SCALE_MAX) || (scale > 0 && i64::try_from(unscaled).is_err()) {
            if unscaled % 10 != 0 {
                return None;
            }
            unscaled /= 10;
            scale -= 1;
        }
        if scale < 0 {
            unscaled = unscaled.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
            scale = 0;
        }
        Some(Decimal { mantissa: i64::try_from(unscaled).ok()?, scale: u8::try_from(scale).ok()? })
    }

    /// Reads decimal text of any number of digits, rounded to those that fit, half to even; none if it
    /// is no decimal, or larger than fits.
    ///
    /// ```
    /// use connectors::value::Decimal;
    /// let rate = Decimal::rounded("1.08695652173913043478260869565217391304");
    /// assert_eq!(rate, Some(Decimal { mantissa: 1_086_956_521_739_130_435, scale: 18 }));
    /// ```
    #[must_use]
    pub fn rounded(text: &str) -> Option<Self> {
        let text = text.trim();
        let (text, is_negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let mut digits = Vec::with_capacity(whole.len() + part.len());
        for digit in whole.bytes().chain(part.bytes()) {
            digits.push(char::from(digit).to_digit(10)?);
        }
        if digits.is_empty() || digits.len() > DIGITS_MAX {
            return None;
        }
        // As many places as fit; each that does not fit is tried without.
        let places = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
        let most = u8::try_from(places.clamp(0, i32::from(Self::SCALE_MAX))).ok()?;
        let kept_at = |scale: u8| {
            let dropped = usize::try_from(places.checked_sub(i32::from(scale))?).ok()?;
            let (kept, rest) = digits.split_at(digits.len().saturating_sub(dropped));
            let mut mantissa: i64 = 0;
            for digit in kept {
                mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(*digit))?;
            }
            // Fewer digits than places that are dropped begin with zeros: they round to nothing.
            let (first, behind) = match rest.split_first() {
                Some((first, behind)) if dropped <= digits.len() => (*first, behind),
                Some(_) | None => (0, rest),
            };
            let is_more = behind.iter().any(|digit| *digit > 0);
            let is_up = first > 5 || (first == 5 && (is_more || mantissa % 2 == 1));
            mantissa = mantissa.checked_add(i64::from(is_up))?;
            Some(Decimal { mantissa: if is_negative { -mantissa } else { mantissa }, scale })
        };
        (0..=most).rev().find_map(kept_at)
    }

    /// Big-endian two's complement in base64, as change capture writes exact decimals.
    #[must_use]
    pub fn from_base64(text: &str, scale: i32) -> Option<Self> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
        Self::scaled(twos_complement(&bytes)?, scale)
    }

    /// The whole number that it is; none where something stands behind the point.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        let unit = 10_i64.checked_pow(u32::from(self.scale))?;
        (self.mantissa % unit == 0).then(|| self.mantissa / unit)
    }

    /// `self` compared with a whole number.
    #[must_use]
    pub fn cmp_int(self, int: i64) -> std::cmp::Ordering {
        i128::from(self.mantissa).cmp(&(i128::from(int) * 10_i128.pow(u32::from(self.scale))))
    }
}

/// A big-endian two's complement integer; none if it is empty or wider than 128 bits.
pub(crate) fn twos_complement(bytes: &[u8]) -> Option<i128> {
    let (first, _) = bytes.split_first()?;
    let fill = if first & 0x80 == 0 { 0x00 } else { 0xff };
    let excess = bytes.len().saturating_sub(16);
    if bytes[..excess].iter().any(|b| *b != fill) {
        return None;
    }
    let tail = &bytes[excess..];
    let mut wide = [fill; 16];
    wide[16 - tail.len()..].copy_from_slice(tail);
    let value = i128::from_be_bytes(wide);
    // A stripped sign byte must not have carried the sign.
    ((value < 0) == (fill == 0xff)).then_some(value)
}

/// The decimal that big-endian two's complement and a scale stand for, as text; none if it is empty or
/// longer than a database writes.
pub(crate) fn decimal_text(bytes: &[u8], scale: i32) -> Option<String> {
    const BYTES_MAX: usize = 64;
    let is_negative = *bytes.first()? & 0x80 != 0;
    let mut rest: Vec<u8> = bytes.to_vec();
    if is_negative {
        // The magnitude: inverted, plus one.
        rest.iter_mut().for_each(|byte| *byte = !*byte);
        for byte in rest.iter_mut().rev() {
            let (sum, is_over) = byte.overflowing_add(1);
            *byte = sum;
            if !is_over {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while bytes.len() <= BYTES_MAX && rest.iter().any(|byte| *byte > 0) {
        let mut remainder = 0_u32;
        for byte in &mut rest {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 10).ok()?;
            remainder = value % 10;
        }
        digits.push(char::from_digit(remainder, 10)?);
    }
    let sign = if is_negative { "-" } else { "" };
    let digits: String = digits.into_iter().rev().collect();
    let digits = if digits.is_empty() { "0" } else { digits.as_str() };
    let exponent = if scale == 0 { String::new() } else { format!("e{}", -i64::from(scale)) };
    (bytes.len() <= BYTES_MAX).then(|| format!("{sign}{digits}{exponent}"))
}

/// What a number stands for where an instant is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// Milliseconds since 1970.
    #[default]
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
    /// Days since 1970.
    Days,
}

impl TimeUnit {
    /// The instant that `count` units stand for, rounded down to a millisecond.
    #[must_use]
    pub fn instant(self, count: i64) -> Option<Millis> {
        Some(Millis(match self {
            TimeUnit::Millis => count,
            TimeUnit::Micros => count.div_euclid(1_000),
            TimeUnit::Nanos => count.div_euclid(1_000_000),
            TimeUnit::Days => count.checked_mul(Millis::DAY_MS)?,
        }))
    }
}

/// Reads an instant written as text: ISO 8601 with or without zone, or a date alone. What has no
/// zone is wall time of `zone`.
#[must_use]
pub fn parse_instant(text: &str, zone: &jiff::tz::TimeZone) -> Option<Millis> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Millis(instant.as_millisecond()));
    }
    let wall = match text.parse::<jiff::civil::DateTime>() {
        Ok(wall) => wall,
        Err(_) => text.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0),
    };
    wall_instant(wall, zone)
}

/// A text that is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date was not understood")]
pub struct NoDate;

/// Reads SAP's `YYYYMMDD` and `HHMMSS`; initial values are none, `240000` is the next midnight.
pub fn parse_sap_instant(date: &str, time: &str, zone: &jiff::tz::TimeZone) -> Result<Option<Millis>, NoDate> {
    let Some(date) = parse_sap_date(date)? else { return Ok(None) };
    let time = time.trim();
    let (hour, minute, second) = if time.is_empty() {
        (0, 0, 0)
    } else {
        let part = |range: std::ops::Range<usize>| time.get(range).and_then(|t| t.parse::<i8>().ok());
        if time.len() != 6 || !time.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NoDate);
        }
        (part(0..2).ok_or(NoDate)?, part(2..4).ok_or(NoDate)?, part(4..6).ok_or(NoDate)?)
    };
    let (date, hour) =
        if (hour, minute, second) == (24, 0, 0) { (date.tomorrow().map_err(|_| NoDate)?, 0) } else { (date, hour) };
    let time = jiff::civil::Time::new(hour, minute, second, 0).map_err(|_| NoDate)?;
    wall_instant(date.to_datetime(time), zone).map(Some).ok_or(NoDate)
}

/// Reads SAP's `YYYYMMDD`; zeros, blanks and the open end `99991231` are none.
pub fn parse_sap_date(date: &str) -> Result<Option<jiff::civil::Date>, NoDate> {
    let date = date.trim();
    if matches!(date, "" | "00000000" | "99991231") {
        return Ok(None);
    }
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoDate);
    }
    let number = date.parse::<i32>().map_err(|_| NoDate)?;
    let parts = |n: i32| i8::try_from(n).map_err(|_| NoDate);
    let year = i16::try_from(number / 10_000).map_err(|_| NoDate)?;
    jiff::civil::Date::new(year, parts(number / 100 % 100)?, parts(number % 100)?).map(Some).map_err(|_| NoDate)
}

/// The day of an instant in `zone` as ISO text.
#[must_use]
pub fn day_of(instant: Millis, zone: &jiff::tz::TimeZone) -> Option<String> {
    let stamp = jiff::Timestamp::from_millisecond(instant.0).ok()?;
    Some(stamp.to_zoned(zone.clone()).date().to_string())
}

/// A wall time in `zone`; one that daylight saving skips or repeats is read as the earlier offset
/// would have it, so that no input can fail here but one out of range.
fn wall_instant(wall: jiff::civil::DateTime, zone: &jiff::tz::TimeZone) -> Option<Millis> {
    let instant = zone.to_ambiguous_timestamp(wall).compatible().ok()?;
    Some(Millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jiff::tz::TimeZone;

    fn decimal(mantissa: i64, scale: u8) -> Option<Decimal> {
        Some(Decimal { mantissa, scale })
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(Decimal::parse("342.50"), decimal(34250, 2));
        assert_eq!(Decimal::parse(" 100 "), decimal(100, 0));
        assert_eq!(Decimal::parse("-.5"), decimal(-5, 1));
        assert_eq!(Decimal::parse("1.5e3"), decimal(1500, 0));
        assert_eq!(Decimal::parse("1e-2"), decimal(1, 2));
        assert_eq!(Decimal::parse("-0"), decimal(0, 0));
        assert_eq!(Decimal::parse("9223372036854775807"), decimal(i64::MAX, 0));
        assert_eq!(Decimal::parse("1.0000000000000000000000"), decimal(1_000_000_000_000_000_000, 18));
        for bad in ["", "-", ".", "12,5x", "1e999", "9223372036854775808", "1.2.3", "--1", "1-2", "*", "0x1", "1e"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn blanks_of_every_kind_are_trimmed() {
        for text in ["", " ", "a", " a ", "\u{a0}a\u{2003}", "ä ", "\u{b}a\u{b}", "\u{a0} a\u{a0} ", " a\u{a0}b "] {
            assert_eq!(trimmed(text), text.trim(), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_are_words_however_they_are_written() {
        let word = |digits: &'static str| Native::Number(digits.into()).word().unwrap().into_owned();
        assert_eq!([word("1000"), word("1000.0"), word("1.2345678E7")], ["1000", "1000", "12345678"]);
        assert_eq!(
            [word("0.5"), word("1e999"), word("98765432109876543210")],
            ["0.5", "1e999", "98765432109876543210"]
        );
        let of = |mantissa, scale| Native::Decimal(Decimal { mantissa, scale }).word().map(Cow::into_owned);
        assert_eq!((of(3_000, 0), of(3_000, 2), of(3_050, 2)), (Some("3000".to_owned()), Some("30".to_owned()), None));
        assert_eq!(Native::Text("1000.0".into()).word().as_deref(), Some("1000.0"), "text is what it is");
        assert_eq!(Native::Text(" ".into()).word(), None);
    }

    #[test]
    fn base64_decimals_read_as_published() {
        assert_eq!(Decimal::from_base64("AIXK", 2), decimal(34250, 2));
        assert_eq!(Decimal::from_base64("/3o2", 2), decimal(-34250, 2));
        assert_eq!(Decimal::from_base64("AA==", 0), decimal(0, 0));
        assert_eq!(Decimal::from_base64("AIA=", 0), decimal(128, 0));
        assert_eq!(Decimal::from_base64("gA==", 0), decimal(-128, 0));
        assert_eq!(
            twos_complement(&[0, 0xab, 0x54, 0xa9, 0x8c, 0xeb, 0x1f, 0x0a, 0xd2]),
            Some(12_345_678_901_234_567_890)
        );
        assert_eq!(Decimal::from_base64("AKtUqYzrHwrS", 2), decimal(1_234_567_890_123_456_789, 1));
        assert_eq!(Decimal::from_base64("AKtUqYzrHwrT", 2), None, "does not fit 64 bits");
        assert_eq!(Decimal::from_base64("Aw==", -2), decimal(300, 0));
        assert_eq!(Decimal::from_base64("", 2), None);
        assert_eq!(Decimal::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAUB", 2), decimal(1281, 2));
        assert_eq!(Decimal::from_base64("AIXK", i32::MAX), None);
        assert_eq!(Decimal::from_base64("AIXK", i32::MIN), None);
    }

    #[test]
    fn instants_read_in_every_notation() {
        let at = Some(Millis(1_773_154_800_000));
        for text in ["2026-03-10T15:00:00Z", "2026-03-10T15:00:00.000+0000", "2026-03-10 15:00:00.000000"] {
            assert_eq!(parse_instant(text, &TimeZone::UTC), at, "{text}");
        }
        assert_eq!(parse_instant("2026-03-10", &TimeZone::UTC), Some(Millis(1_773_100_800_000)));
        assert_eq!(parse_instant("2026-02-30", &TimeZone::UTC), None);
        assert_eq!(parse_instant("soon", &TimeZone::UTC), None);
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert!(parse_instant("2026-03-29 02:30:00", &berlin).is_some(), "an hour that does not exist");
    }

    #[test]
    fn sap_dates_know_initial_values() {
        let read = |date, time| parse_sap_instant(date, time, &TimeZone::UTC);
        assert_eq!(read("20260310", "150000"), Ok(Some(Millis(1_773_154_800_000))));
        assert_eq!(read("20260309", "240000"), Ok(Some(Millis(1_773_100_800_000))));
        assert_eq!(read("00000000", "000000"), Ok(None));
        assert_eq!(read("", ""), Ok(None));
        assert_eq!(read("99991231", "235959"), Ok(None));
        assert_eq!(read("20260230", ""), Err(NoDate));
        assert_eq!(read("20260310", "2500"), Err(NoDate));
        assert_eq!(read("2026031x", ""), Err(NoDate));
    }
}
