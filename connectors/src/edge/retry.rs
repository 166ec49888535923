//! Waiting longer each time, never in step with others.

use std::time::Duration;

/// Doubling delays from one second to a minute, each shortened by a random part.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempts: u32,
}

/// Longest delay.
pub const DELAY_MAX: Duration = Duration::from_secs(60);

impl Backoff {
    /// How long to wait before the next attempt: 1, 2, 4 ... 60 s, less up to a quarter.
    pub fn next_delay(&mut self) -> Duration {
        let full = Duration::from_secs(1 << self.attempts.min(6)).min(DELAY_MAX);
        self.attempts = self.attempts.saturating_add(1);
        let chance = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0;
        full.mul_f64(1.0 - chance / 4.0)
    }

    /// How often has been waited.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// It went well: the next delay is a short one again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let delay = backoff.next_delay();
            let full = Duration::from_secs(expected);
            assert!(delay <= full && delay >= full.mul_f64(0.74), "{delay:?} for {expected}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_secs(1));
    }
}
