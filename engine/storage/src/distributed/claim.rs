//! How a store is opened to be read, and how it is taken over: first the log, then the rows, each
//! fencing the owner before.

use super::log::KafkaLog;
use super::marks::{Head, Marks, owner_record};
use super::rows::RedisRows;
use super::topics::Topics;
use super::writer::Writer;
use super::{DistributedOptions, Inner};
use crate::operations::Counted;
use crate::{Error, Result};

/// Opens a store that another process may own.
pub(super) fn follow(options: &DistributedOptions) -> Result<Inner> {
    let store = read(options)?;
    refuse_half(&store)?;
    Ok(store)
}

/// Claims a store that was opened to be read; those who follow are told `told`.
pub(super) fn claim(store: &Inner, told: &str) -> Result<()> {
    fence(store, told)?;
    refuse_half(store)
}

/// Opens and claims a store also where a migration into it has begun; whether one has.
pub(super) fn open_for_migration(options: &DistributedOptions) -> Result<(Inner, bool)> {
    let store = read(options)?;
    fence(&store, "")?;
    let is_migrating = store.log.marks().is_migrating;
    Ok((store, is_migrating))
}

/// Refuses a store that a migration has filled in part.
fn refuse_half(store: &Inner) -> Result<()> {
    if store.log.marks().is_migrating {
        let what = format!("the store {}", store.log.name());
        let found = "a migration into it was broken off".to_owned();
        return Err(Error::Unfit { what, found, needed: "brought to its end: run `opshub migrate` again".to_owned() });
    }
    Ok(())
}

fn read(options: &DistributedOptions) -> Result<Inner> {
    let topics = Topics::of(&options.name);
    topics.ensure(options)?;
    let marks = Marks::read(options, &topics.marks, &topics.quarantine)?;
    let rows = RedisRows::open(options)?;
    let log = KafkaLog::new(options, topics, marks)?;
    Ok(Inner { log, rows, counted: Counted::default() })
}

/// The epoch is drawn above the one in the log and the one in Redis, and kept in the log: Redis may
/// go back to an older state, the epoch may not.
fn fence(store: &Inner, told: &str) -> Result<()> {
    let Inner { log, rows, .. } = store;
    let options = &log.options;
    let writer = Writer::claim(options)?;
    crate::crash::point("distributed.claim.log");
    // Read again now that nobody else writes.
    let marks = Marks::read(options, &log.topics.marks, &log.topics.quarantine)?;
    let (epoch, applied) = rows.claim(marks.head.epoch)?;
    crate::crash::point("distributed.claim.rows");
    let last = marks.head.last;
    if applied > last {
        let why = format!("Redis holds rows up to position {applied} and Kafka's log ends at {last}");
        return Err(Error::damaged(format!("the store {}", options.name), why));
    }
    log.own(writer, marks)?;
    let mut marks = log.marks();
    let head = Head { epoch, ..marks.head.clone() };
    let (key, value) = owner_record(told);
    log.advance(&mut marks, head, [(log.topics.marks.as_str(), key, value)])?;
    told.clone_into(&mut marks.owner);
    Ok(())
}
