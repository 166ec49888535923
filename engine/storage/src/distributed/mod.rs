//! The distributed form of a store: Kafka is the log, Redis holds the rows.
//!
//! ```text
//! append ──one transaction──▶ facts · payloads · inputs · quarantine · marks   (Kafka)
//! write  ──one seal─────────▶ rows · outbox · applied position · epoch         (Redis, a tag per partition)
//! ```
//!
//! One owner writes at a time. Who claims the store becomes its owner: Kafka fences the producer of
//! the one before, and every change of the rows names the epoch that the owner drew, so whatever a
//! former owner still has under way is refused by both servers. Neither rests on a clock.
//!
//! Others follow the store: they read what the owner writes, as it grows, and may claim it later.
//!
//! Redis may lose what it acknowledged, each of its nodes by itself: partitions of the rows are brought
//! to stand at one commit again, and the facts behind its position are applied again from the log.

mod agreement;
mod claim;
mod keys;
mod log;
mod marks;
mod migration;
mod options;
mod ordered;
mod quarantine;
mod reading;
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
use crate::{Position, Result, Rows as _, Stands, Store, Verified};

pub use migration::Migrated;
pub use options::{DistributedOptions, PARTITIONS, PARTITIONS_MAX};
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
    /// Partitions that the rows lie in, as Redis knows; 0 if it knows of no owner.
    pub partitions: u32,
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

    /// Counts that this process begins to apply the end of the log, which anybody may do, and gives how
    /// often its member did since it last came through: more than once if it died of it. It is a hint, by
    /// which nothing is decided for good: where Redis refuses it, it is the first time.
    #[must_use]
    pub fn begin_start(&self) -> u64 {
        let counted = self.0.rows.begin_start(self.member());
        counted.inspect_err(|error| tracing::warn!(%error, "count a start")).unwrap_or(1)
    }

    /// This process has come through what it began by [`Distributed::begin_start`].
    pub fn end_start(&self) {
        if let Err(error) = self.0.rows.end_start(self.member()) {
            tracing::warn!(%error, "count a start");
        }
    }

    fn member(&self) -> &str {
        self.0.log.options.member.as_deref().unwrap_or_default()
    }

    /// Looks at a store without owning it, and without changing anything.
    ///
    /// # Errors
    /// As [`Distributed::open`].
    pub fn look(options: &DistributedOptions) -> Result<Look> {
        let has_topics = topics::Topics::of(&options.name).are_there(options)?;
        let truth = rows::RedisRows::look(options)?;
        let partitions = claim::partitions_in(&truth).unwrap_or(0);
        Ok(Look { has_topics, epoch: truth.epoch.unwrap_or(0), applied: truth.applied, partitions })
    }

    /// Drops the rows of a store that no hub owns, so that its next owner builds them again from the log, in
    /// as many partitions as `options` ask for. Gives how many there were and how many there will be. The
    /// caller has the turn to own the store ([`Turn`]).
    ///
    /// # Errors
    /// As [`Distributed::open`], and [`crate::Error::Unfit`] when the log no longer holds every fact.
    pub fn repartition(options: &DistributedOptions) -> Result<(u32, u32)> {
        claim::repartition(options)
    }

    /// Removes a store from its servers, with everything in it.
    ///
    /// # Errors
    /// [`crate::Error::Unreachable`] when a server does not answer.
    pub fn remove(options: &DistributedOptions) -> Result<()> {
        let truth = rows::RedisRows::look(options)?;
        let wanted = options.partitions.unwrap_or(PARTITIONS);
        rows::RedisRows::remove(options, claim::partitions_in(&truth).unwrap_or(1).max(wanted))?;
        topics::Topics::of(&options.name).remove(options)
    }
}

/// Kafka's retention keeps the log short.
impl Stands for Distributed {}

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
