//! When a replica that cannot go on begins again from the rows by itself.
//!
//! What it counted on is gone: the log lost what it was to read next, another log stands there, or the rows
//! went back behind what it had forgotten. Whoever starts anew reads the rows as they are, so this process
//! does, in the place of ending and being started again. Meanwhile nobody is answered here, as at any
//! start. Damage that lasts ends it after some tries.

use std::time::Duration;

use connectors::Clock as _;
use connectors::edge::retry::Backoff;
use ontology::Millis;

use crate::clock::WallClock;
use crate::commands::Failure;
use crate::runner::RowsWentBack;

/// How often in a row a process begins again.
const TRIES_MAX: u32 = 5;
/// One that went on for so long begins a new row.
const WENT_WELL_MS: i64 = 10 * Millis::MINUTE_MS;

/// How often a process has begun again.
#[derive(Default)]
pub(super) struct Again {
    backoff: Backoff,
    /// When it was ready last.
    ready_at: Option<Millis>,
}

impl Again {
    /// Whether it has not begun again yet.
    pub(super) fn is_first(&self) -> bool {
        self.backoff.attempts() == 0
    }

    /// It is ready.
    pub(super) fn ready(&mut self) {
        self.ready_at = Some(WallClock::default().now());
    }

    /// How long to wait before it begins again; none if it is to end with this failure.
    pub(super) fn after(&mut self, failure: &Failure) -> Option<Duration> {
        let lived_ms = self.ready_at.take().map_or(0, |ready_at| WallClock::default().now().since(ready_at));
        self.wait(is_of_what_was_read(failure), lived_ms)
    }

    fn wait(&mut self, is_of_what_was_read: bool, lived_ms: i64) -> Option<Duration> {
        if lived_ms >= WENT_WELL_MS {
            self.backoff.reset();
        }
        (is_of_what_was_read && self.backoff.attempts() < TRIES_MAX).then(|| self.backoff.next_delay())
    }
}

/// Whether reading the rows anew may help.
fn is_of_what_was_read(failure: &Failure) -> bool {
    let mut causes = failure.error.iter().flat_map(anyhow::Error::chain);
    causes.any(|cause| match cause.downcast_ref::<storage::Error>() {
        Some(error) => matches!(error, storage::Error::Damaged { .. }),
        None => cause.is::<RowsWentBack>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_and_is_gone_is_read_anew() {
        let check = |error: anyhow::Error, expected: bool| {
            let text = format!("{error:#}");
            assert_eq!(is_of_what_was_read(&Failure::from(error)), expected, "{text}");
        };
        let damaged = || storage::Error::Damaged { what: "the log".to_owned(), why: "it goes on elsewhere".to_owned() };
        check(damaged().into(), true);
        check(anyhow::Error::from(damaged()).context("follow the owner"), true);
        check(RowsWentBack { stored: ontology::LogPos(1), counted_on: ontology::LogPos(2) }.into(), true);
        check(storage::Error::NotOwner.into(), false);
        check(anyhow::anyhow!("the log or the engine has stopped"), false);
        assert!(!is_of_what_was_read(&Failure::told(1)));
    }

    #[test]
    fn tries_are_bounded_until_it_went_well_for_a_while() {
        let mut again = Again::default();
        assert_eq!(again.wait(false, 0), None);
        let waits: Vec<_> = (0..TRIES_MAX).map(|_| again.wait(true, WENT_WELL_MS - 1)).collect();
        assert!(waits.iter().all(Option::is_some) && waits.first() < waits.last(), "{waits:?}");
        assert_eq!(again.wait(true, WENT_WELL_MS - 1), None);
        assert!(again.wait(true, WENT_WELL_MS).is_some());
    }
}
