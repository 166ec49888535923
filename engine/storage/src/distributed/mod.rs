//! The distributed form of a store: Kafka is the log, Redis holds the rows.
//!
//! ```text
//! append ──one transaction──▶ facts · payloads · inputs · quarantine · marks   (Kafka)
//! write  ──one script───────▶ rows · outbox · applied position · epoch         (Redis, one hash tag)
//! ```
//!
//! One owner writes at a time. Who claims the store becomes its owner: Kafka fences the producer of
//! the one before, and every change of the rows names the epoch that the owner drew, so whatever a
//! former owner still has under way is refused by both servers. Neither rests on a clock.
//!
//! Others follow the store: they read what the owner writes, as it grows, and may claim it later.
//!
//! Redis may lose what it acknowledged: rows and position share a slot, so both go back together and
//! the facts behind them are applied again from the log.

mod claim;
mod log;
mod marks;
mod migration;
mod options;
mod ordered;
mod quarantine;
mod redis;
mod rows;
mod tail;
mod topics;
mod turn;
mod writer;

use std::sync::Arc;

use ontology::Millis;

use crate::operations::Counted;
use crate::{Log as _, Operations, Quarantine as _, QuarantineFilter, Table};
use crate::{Position, Result, Rows as _, Store, Verified};

pub use migration::Migrated;
pub use options::DistributedOptions;
pub use tail::{Tail, Told};
pub use turn::Turn;

/// A store on Kafka and Redis. Clones are handles to the same store.
#[derive(Clone)]
pub struct Distributed(Arc<Inner>);

/// What a look at a store finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether its log has been made.
    pub has_topics: bool,
    /// Epoch of the newest owner; 0 if Redis knows of none.
    pub epoch: u64,
    /// Position up to which facts are in the rows.
    pub applied: Position,
}

struct Inner {
    log: log::KafkaLog,
    rows: rows::RedisRows,
    counted: Counted,
}

impl Distributed {
    /// Opens the store as its owner: whoever owned it before can write nothing from now on.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`] when a server does not answer, [`crate::Error::Unfit`] when one
    /// is not set up as needed, [`crate::Error::Damaged`] when what they hold does not belong
    /// together.
    pub fn open(options: DistributedOptions) -> Result<Self> {
        let store = Self::follow(&options)?;
        store.claim("")?;
        Ok(store)
    }

    /// Opens the store to be read while another process may own it. Until it is claimed, every write
    /// fails with [`crate::Error::NotOwner`].
    ///
    /// # Errors
    /// As [`Distributed::open`].
    pub fn follow(options: &DistributedOptions) -> Result<Self> {
        claim::follow(options).map(|inner| Distributed(Arc::new(inner)))
    }

    /// Becomes the owner of the store: whoever owned it before can write nothing from now on. Those who
    /// follow it are told `told`.
    ///
    /// # Errors
    /// As [`Distributed::open`], and [`crate::Error::Invalid`] when it was claimed before.
    pub fn claim(&self, told: &str) -> Result<()> {
        claim::claim(&self.0, told)
    }

    /// What the newest owner tells those who follow it, as far as its log was read; empty before the
    /// first.
    #[must_use]
    pub fn owner(&self) -> String {
        self.0.log.marks().owner.clone()
    }

    /// How far time had come in the log, as far as it was read; none before an owner told.
    #[must_use]
    pub fn time(&self) -> Option<Millis> {
        self.0.log.marks().time.map(|(now, _)| now)
    }

    /// Says in the log that time has come to `now`, in milliseconds since 1970: whatever is appended
    /// from here on is later. Those who follow fire by it what is due.
    ///
    /// # Errors
    /// As [`crate::Log::append`].
    pub fn tell_time(&self, now: Millis) -> Result<()> {
        self.0.log.tell_time(now)
    }

    /// Looks at a store without owning it, and without changing anything.
    ///
    /// # Errors
    /// As [`Distributed::open`].
    pub fn look(options: &DistributedOptions) -> Result<Look> {
        let has_topics = topics::Topics::of(&options.name).are_there(options)?;
        let (epoch, applied) = rows::RedisRows::look(options)?;
        Ok(Look { has_topics, epoch, applied })
    }

    /// Removes a store from its servers, with everything in it.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`] when a server does not answer.
    pub fn remove(options: &DistributedOptions) -> Result<()> {
        rows::RedisRows::remove(options)?;
        topics::Topics::of(&options.name).remove(options)
    }
}

impl Store for Distributed {
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn verify(&self) -> Result<Verified> {
        let mut seen = Verified::default();
        let start = self.start()?;
        if start <= self.last() {
            let mut previous = None;
            for block in self.read(start)? {
                let block = block?;
                if previous.is_some_and(|digest| digest != *block.previous()) {
                    let what = format!("the block at position {}", block.first());
                    return Err(crate::Error::damaged(what, "it does not follow the block before it"));
                }
                previous = Some(*block.digest());
                seen.blocks += 1;
                seen.facts += u64::from(block.count());
            }
        }
        seen.raw_blocks = self.0.log.count_payloads()?;
        for table in Table::ALL {
            seen.rows += count(self.scan(table, b"")?)?;
        }
        seen.rows += count(self.pending()?)? + self.sources()?.len() as u64;
        seen.quarantined = self.list(&QuarantineFilter::default(), None, usize::MAX)?.records.len() as u64;
        Ok(seen)
    }

    fn backup(&self, _out: &mut dyn std::io::Write) -> Result<crate::Backup> {
        let why = "the topics of the log are backed up by Kafka's own means, and rows are built again from them";
        Err(crate::Error::Invalid { what: "a backup", why })
    }

    fn operations(&self) -> Operations {
        self.0.counted.so_far()
    }
}

fn count(mut pairs: crate::Pairs) -> Result<u64> {
    pairs.try_fold(0, |count, pair| pair.map(|_| count + 1))
}
