//! Turns: one decision about a subject at a time.
//!
//! A decision is checked against what can be read, and can be read itself only a moment after it is
//! durable. Who decides next about the same subject waits for that, so that of several people who saw
//! the same state one is answered and the others are told that they came late.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::reason::{Reason, Refusal};

/// How many decisions can be under way at once, at most. Subjects that share a place wait for each other.
const PLACES: usize = 256;

/// Who may decide.
pub(crate) struct Turns {
    places: Vec<Arc<Mutex<()>>>,
    hasher: RandomState,
}

/// The right to decide about some subjects, until it is dropped.
pub(crate) struct Turn {
    _places: Vec<OwnedMutexGuard<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Turns { places: (0..PLACES).map(|_| Arc::default()).collect(), hasher: RandomState::default() }
    }
}

impl Turns {
    /// Waits until nobody else decides about `subject`.
    ///
    /// # Errors
    /// `NOT_YET_APPLIED` if a decision before is not readable by `until`.
    pub async fn take(&self, subject: &str, until: Instant) -> Result<Turn, Refusal> {
        self.take_all([subject], until).await
    }

    /// The same for all of `subjects` at once.
    ///
    /// # Errors
    /// As [`Turns::take`].
    pub async fn take_all<S: AsRef<str>>(
        &self,
        subjects: impl IntoIterator<Item = S>,
        until: Instant,
    ) -> Result<Turn, Refusal> {
        let place = |subject: S| (self.hasher.hash_one(subject.as_ref()) as usize) % PLACES;
        let mut places: Vec<usize> = subjects.into_iter().map(place).collect();
        // In one order for everybody: nobody holds what another waits for who holds what they wait for.
        places.sort_unstable();
        places.dedup();
        let mut held = Vec::with_capacity(places.len());
        for place in places {
            let place = tokio::time::timeout_at(until, self.places[place].clone().lock_owned()).await;
            held.push(place.map_err(|_| Refusal::new(Reason::NotYetApplied))?);
        }
        Ok(Turn { _places: held })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::gate::Deadline;

    #[tokio::test(start_paused = true)]
    async fn one_decides_and_the_next_waits_until_it_is_over_or_too_late() {
        let turns = Turns::default();
        let until = || Deadline::after(Duration::from_secs(5)).wait_until();
        let first = turns.take("handoffs/1", until()).await.unwrap();
        let late = turns.take("handoffs/1", until()).await.err().unwrap();
        assert_eq!(late.reason(), Reason::NotYetApplied);
        let next = async { turns.take("handoffs/1", until()).await.is_ok() };
        let over = async { drop(first) };
        assert!(tokio::join!(next, over).0);
    }

    #[tokio::test(start_paused = true)]
    async fn many_subjects_are_decided_about_at_once_whatever_order_they_are_named_in() {
        let turns = Turns::default();
        let until = || Deadline::after(Duration::from_secs(5)).wait_until();
        let names: Vec<String> = (0..2 * PLACES).map(|n| n.to_string()).collect();
        let all = turns.take_all(&names, until()).await.unwrap();
        assert!(turns.take(&names[7], until()).await.is_err());
        let backwards = async { turns.take_all(names.iter().rev(), until()).await.is_ok() };
        let again = async { turns.take_all(&names, until()).await.is_ok() };
        let over = async { drop(all) };
        assert_eq!(tokio::join!(backwards, again, over), (true, true, ()));
    }
}
