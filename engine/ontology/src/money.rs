//! Money as integer minor units of an ISO 4217 currency; never floating point.

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

impl Currency {
    /// US dollar.
    pub const USD: Currency = Currency { code: *b"USD", decimals: 2 };

    /// Reads an alphabetic code such as `EUR`; none if ISO 4217 does not list it.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        let exponent = iso_currency::Currency::from_code(code)?.exponent();
        let decimals = exponent.and_then(|exponent| u8::try_from(exponent).ok()).unwrap_or(2);
        Some(Currency { code: bytes, decimals })
    }

    /// The alphabetic code.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("a currency code was parsed from ASCII")
    }

    /// How many decimal places one minor unit has: 2 for USD, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn decimals(&self) -> u8 {
        self.decimals
    }
}

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units (cents for USD).
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// An amount of `minor` units.
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Money { minor, currency }
    }

    /// The exact amount `mantissa x 10^-scale` in minor units; none if it does not fit or has
    /// digits below the minor unit.
    #[must_use]
    pub fn from_decimal(mantissa: i64, scale: u8, currency: Currency) -> Option<Self> {
        let decimals = currency.decimals();
        let minor = if scale <= decimals {
            mantissa.checked_mul(10_i64.checked_pow(u32::from(decimals - scale))?)?
        } else {
            let unit = 10_i64.checked_pow(u32::from(scale - decimals))?;
            if mantissa % unit != 0 {
                return None;
            }
            mantissa / unit
        };
        Some(Money { minor, currency })
    }

    /// Converts at `rate_micros` millionths of `to` per unit of this currency, rounding half to even.
    #[must_use]
    pub fn convert(self, to: Currency, rate_micros: i64) -> Option<Self> {
        let shift = i32::from(to.decimals()) - i32::from(self.currency.decimals());
        let mut numerator = i128::from(self.minor) * i128::from(rate_micros);
        let mut denominator: i128 = 1_000_000;
        if shift >= 0 {
            numerator *= 10_i128.pow(shift.unsigned_abs());
        } else {
            denominator *= 10_i128.pow(shift.unsigned_abs());
        }
        i64::try_from(div_half_even(numerator, denominator)).ok().map(|minor| Money { minor, currency: to })
    }

    /// As people read it: `$342`, `$342.50`, `EUR 500`; no decimals if the amount is whole.
    #[must_use]
    pub fn display(self) -> String {
        let decimals = u32::from(self.currency.decimals());
        let unit = 10_i64.pow(decimals);
        let (whole, rest) =
            (self.minor.unsigned_abs() / unit.unsigned_abs(), self.minor.unsigned_abs() % unit.unsigned_abs());
        let sign = if self.minor < 0 { "-" } else { "" };
        let prefix = if self.currency == Currency::USD { "$".to_owned() } else { format!("{} ", self.currency.code()) };
        if rest == 0 {
            format!("{sign}{prefix}{whole}")
        } else {
            format!("{sign}{prefix}{whole}.{rest:0width$}", width = decimals as usize)
        }
    }
}

/// Divides rounding half to even; `denominator` is positive.
#[must_use]
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator) * 2;
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn decimals_become_minor_units_exactly_or_not_at_all() {
        let eur = Currency::parse("EUR").unwrap();
        let jpy = Currency::parse("JPY").unwrap();
        assert_eq!(Money::from_decimal(3425, 1, eur).unwrap().minor, 34250);
        assert_eq!(Money::from_decimal(342_500, 3, eur).unwrap().minor, 34250);
        assert_eq!(Money::from_decimal(342_501, 3, eur), None);
        assert_eq!(Money::from_decimal(5, 0, jpy).unwrap().minor, 5);
        assert_eq!(Money::from_decimal(i64::MAX, 0, eur), None);
        assert_eq!(Currency::parse("XQQ"), None);
        assert_eq!(Currency::parse("usd"), None);
    }

    #[test]
    fn money_reads_as_people_write_it() {
        let eur = Currency::parse("EUR").unwrap();
        assert_eq!(Money::new(34200, Currency::USD).display(), "$342");
        assert_eq!(Money::new(34205, Currency::USD).display(), "$342.05");
        assert_eq!(Money::new(-50, eur).display(), "-EUR 0.50");
    }

    #[test]
    fn conversion_rounds_half_to_even() {
        let eur = Currency::parse("EUR").unwrap();
        let usd = Money::new(56_000, Currency::USD);
        assert_eq!(usd.convert(eur, 900_000).unwrap().minor, 50_400);
        assert_eq!(Money::new(5, eur).convert(Currency::USD, 500_000).unwrap().minor, 2);
        assert_eq!(Money::new(7, eur).convert(Currency::USD, 500_000).unwrap().minor, 4);
        assert_eq!(div_half_even(-5, 2), -2);
    }
}
