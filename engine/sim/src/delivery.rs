//! How a history reaches the log: repeated, shuffled, cut into group commits.

use ontology::{Fact, LogPos, Millis};

use crate::chance::Chance;
use crate::history::{History, NOON};

/// When the first group commit is taken: after everything has happened.
const FIRST_INGEST: Millis = Millis(NOON.0 + 3 * Millis::HOUR_MS);

/// How large a group commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// Always this many facts.
    Of(usize),
    /// Up to this many.
    UpTo(usize),
}

/// Facts of one group commit.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The facts, in log order.
    pub facts: Vec<Fact>,
    /// When the log took them.
    pub ingested_at: Millis,
}

/// Every delivery of a history, as the log took it.
#[derive(Debug, Clone)]
pub struct Delivery(pub Vec<Batch>);

impl Delivery {
    /// Delivers each fact one to four times, in any order, in batches with rising ingest times.
    #[must_use]
    pub fn of(history: &History, chance: &mut Chance, size: BatchSize) -> Self {
        let mut deliveries = Vec::new();
        for fact in &history.facts {
            for repeat in 0..=chance.below(4) {
                let mut delivered = fact.clone();
                // A repeat may be seen later than the first, which stands for all. A clock that was
                // ahead of the first would not be ahead of such a repeat.
                if repeat > 0 && !fact.has_clock_skew() && chance.is(30) {
                    delivered.observed_at = fact.observed_at + chance.between(1, 60_000);
                }
                deliveries.push(delivered);
            }
        }
        chance.shuffle(&mut deliveries);
        Self::cut(deliveries, chance, size)
    }

    /// Delivers facts once each in the order given.
    #[must_use]
    pub fn in_order(facts: Vec<Fact>, chance: &mut Chance, size: BatchSize) -> Self {
        Self::cut(facts, chance, size)
    }

    fn cut(deliveries: Vec<Fact>, chance: &mut Chance, size: BatchSize) -> Self {
        let mut batches = Vec::new();
        let (mut position, mut ingested_at) = (0, FIRST_INGEST);
        let mut deliveries = deliveries.into_iter().peekable();
        while deliveries.peek().is_some() {
            let count = match size {
                BatchSize::Of(count) => count,
                BatchSize::UpTo(count) => 1 + chance.below(count),
            };
            ingested_at = ingested_at + chance.between(1, 40_000);
            let place = |fact: Fact| {
                position += 1;
                Fact { log_pos: LogPos(position), ingested_at, ..fact }
            };
            batches.push(Batch { facts: deliveries.by_ref().take(count).map(place).collect(), ingested_at });
        }
        Delivery(batches)
    }

    /// All deliveries, as a fold sees them.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        self.0.iter().flat_map(|batch| batch.facts.iter().cloned()).collect()
    }

    /// An instant at which all grace times have run out.
    #[must_use]
    pub fn settled_at(&self) -> Millis {
        self.0.last().map_or(FIRST_INGEST, |batch| batch.ingested_at) + 2 * Millis::HOUR_MS
    }
}
