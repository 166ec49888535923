//! How a store is taken over: first the log, then the rows, each fencing the owner before.

use super::log::KafkaLog;
use super::marks::{Head, Marks};
use super::rows::RedisRows;
use super::topics::Topics;
use super::writer::Writer;
use super::{DistributedOptions, Inner};
use crate::{Error, Result};

/// The epoch is drawn above the one in the log and the one in Redis, and kept in the log: Redis may
/// go back to an older state, the epoch may not.
pub(super) fn open(options: DistributedOptions) -> Result<Inner> {
    let (inner, is_migrating) = open_for_migration(options)?;
    if is_migrating {
        let what = format!("the store {}", inner.log.name());
        let found = "a migration into it was broken off".to_owned();
        return Err(Error::Unfit { what, found, needed: "brought to its end: run `opshub migrate` again".to_owned() });
    }
    Ok(inner)
}

/// The same, also where a migration has begun; whether one has.
pub(super) fn open_for_migration(options: DistributedOptions) -> Result<(Inner, bool)> {
    let topics = Topics::of(&options.name);
    topics.ensure(&options)?;
    let writer = Writer::claim(&options)?;
    crate::crash::point("distributed.claim.log");
    let marks = Marks::read(&options, &topics.marks, &topics.quarantine)?;
    let rows = RedisRows::claim(&options, marks.head.epoch)?;
    crate::crash::point("distributed.claim.rows");
    let last = marks.head.last;
    if rows.applied() > last {
        let why = format!("Redis holds rows up to position {} and Kafka's log ends at {last}", rows.applied());
        return Err(Error::damaged(format!("the store {}", options.name), why));
    }
    let log = KafkaLog::new(&options, topics, marks, writer)?;
    {
        let mut marks = log.marks();
        let head = Head { epoch: rows.epoch(), ..marks.head.clone() };
        log.advance(&mut marks, head, [])?;
    }
    let is_migrating = log.marks().is_migrating;
    Ok((Inner { log, rows }, is_migrating))
}
