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
    Ok(Inner { log, rows })
}
