//! Instants as integers. Time is always an argument here; nothing below `hub` reads a clock.

use std::ops::{Add, Sub};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Millis {
    /// The earliest instant there is.
    pub const MIN: Millis = Millis(i64::MIN);
    /// The latest instant there is.
    pub const MAX: Millis = Millis(i64::MAX);
    /// One second in milliseconds.
    pub const SECOND_MS: i64 = 1_000;
    /// One minute in milliseconds.
    pub const MINUTE_MS: i64 = 60 * Self::SECOND_MS;
    /// One hour in milliseconds.
    pub const HOUR_MS: i64 = 60 * Self::MINUTE_MS;
    /// One day of 24 hours in milliseconds.
    pub const DAY_MS: i64 = 24 * Self::HOUR_MS;

    /// Milliseconds from `earlier` to `self`, saturating, negative if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<i64> for Millis {
    type Output = Millis;
    fn add(self, delay_ms: i64) -> Millis {
        Millis(self.0.saturating_add(delay_ms))
    }
}

impl Sub<i64> for Millis {
    type Output = Millis;
    fn sub(self, delay_ms: i64) -> Millis {
        Millis(self.0.saturating_sub(delay_ms))
    }
}
