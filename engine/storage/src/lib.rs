//! Storage: the log of facts, the rows derived from it, quarantine and source positions.
//!
//! A fact is durable here before its source is acknowledged; everything else can be rebuilt from
//! the log. Facts and rows are bytes: what they mean is known further up.
//!
//! - [`Log`]: blocks of facts, one per group commit, with source positions and quarantined inputs
//!   in the same atom, and native payloads kept for a while beside them.
//! - [`Rows`]: derived rows, the outbox and the applied position, again one atom.
//! - [`Quarantine`]: inputs that were not understood.
//! - [`Store`]: all three. [`Embedded`] keeps them on disk and [`Memory`] is the same contract
//!   without a disk: both are [`Atomic`] and commit across the three. [`Distributed`] keeps the log
//!   in Kafka and the rows in Redis.
//!
//! Calls block; the caller decides on which thread. The first failed write stops all writing
//! ([`Error::Stop`]), because after a failed sync only a restart shows what the disk holds.

mod backup;
mod block;
mod codec;
pub mod crash;
mod distributed;
mod embedded;
mod error;
mod figures;
mod log;
mod memory;
mod operations;
mod position;
mod quarantine;
mod raw;
mod rows;
mod space;
mod stand;
mod store;

pub use backup::{BACKUP_FORMAT, Backup, read_backup};
pub use block::{BLOCK_BYTES_MAX, Block, DIGEST_START, Digest, NewBlock};
pub use distributed::{Distributed, DistributedOptions, Look, Migrated, PARTITIONS, PARTITIONS_MAX, Tail, Told, Turn};
pub use embedded::{Embedded, FORMAT, Options, WriteProbe};
pub use error::{Class, Error, Result};
pub use figures::describe;
pub use log::{Blocks, Intake, Log, Priority};
pub use memory::Memory;
pub use operations::Operations;
pub use position::Position;
pub use quarantine::{
    NewQuarantined, Quarantine, QuarantineFilter, QuarantineId, QuarantinePage, QuarantineState, Quarantined,
};
pub use raw::Raw;
pub use rows::{Changes, Durability, KEY_BYTES_MAX, Pairs, Rows, Table, VALUE_BYTES_MAX};
pub use space::{FreeSpace, FreeSpaceProbe, SpaceLimits, free_space};
pub use stand::{Stand, StandRows, Stands};
pub use store::{Atomic, Batch, Store, Verified};

/// How long things are kept that are not kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Native payloads, in milliseconds since they came in.
    pub raw_ms: i64,
    /// Quarantined records, in milliseconds since they came in.
    pub quarantine_ms: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { raw_ms: 7 * ontology::Millis::DAY_MS, quarantine_ms: 90 * ontology::Millis::DAY_MS }
    }
}
