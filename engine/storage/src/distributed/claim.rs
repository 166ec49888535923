//! How a store is opened to be read, and how it is taken over: first the log, then the rows, each
//! fencing the owner before.

use super::agreement::Truth;
use super::log::KafkaLog;
use super::marks::{Head, Marks, owner_record, partitions_record};
use super::options::PARTITIONS;
use super::rows::{RedisRows, other_number};
use super::topics::Topics;
use super::writer::Writer;
use super::{DistributedOptions, Inner};
use crate::operations::Counted;
use crate::{Error, Result};

/// Opens a store that another process may own.
pub(super) fn follow(options: &DistributedOptions) -> Result<Inner> {
    let store = read(options)?;
    refuse_half(&store)?;
    store.rows.agree(&|| store.log.keeps_all())?;
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
    let rows = RedisRows::open(options, partitions_of(options, &marks)?)?;
    let log = KafkaLog::new(options, topics, marks)?;
    Ok(Inner { log, rows, counted: Counted::default() })
}

/// Partitions that the rows of a store lie in, which Redis knows; none before its first owner.
pub(super) fn partitions_in(truth: &Truth) -> Option<u32> {
    truth.partitions.or_else(|| truth.epoch.map(|_| 1))
}

/// Partitions of the rows: as many as the log says, or Redis where the first owner was killed before it
/// said so in the log, or else as are asked for.
fn partitions_of(options: &DistributedOptions, marks: &Marks) -> Result<u32> {
    let told = marks.partitions.or_else(|| (marks.head.epoch > 0).then_some(1));
    let recorded = match told {
        Some(told) => Some(told),
        None => partitions_in(&RedisRows::look(options)?),
    };
    match (recorded, options.partitions) {
        (Some(found), Some(wanted)) if found != wanted => {
            Err(other_number(&options.name, &found.to_string(), wanted as usize))
        }
        (Some(found), _) => Ok(found),
        (None, wanted) => Ok(wanted.unwrap_or(PARTITIONS).max(1)),
    }
}

/// Drops rows, which the next owner builds again in another number of partitions.
pub(super) fn repartition(options: &DistributedOptions) -> Result<(u32, u32)> {
    let wanted = options.partitions.unwrap_or(PARTITIONS);
    let store = read(&DistributedOptions { partitions: None, ..options.clone() })?;
    refuse_half(&store)?;
    let found = u32::try_from(store.rows.keys.count()).expect("it was a number of partitions");
    if !store.log.keeps_all()? {
        return Err(Error::Unfit {
            what: format!("the log of {} to build its rows again", options.name),
            found: "its oldest facts are no longer kept".to_owned(),
            needed: format!("one that holds every fact: keep to store.distributed.partitions = {found}"),
        });
    }
    fence(&store, "")?;
    // First the rows: until the log names the other number, the same command goes on with what is left.
    RedisRows::remove(options, found)?;
    let log = &store.log;
    let (key, value) = partitions_record(wanted);
    log.advance_by([(log.topics.marks.as_str(), key, value)], |head| head)?;
    Ok((found, wanted))
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
    let partitions = partitions_of(&DistributedOptions { partitions: None, ..options.clone() }, &marks)?;
    let count = rows.keys.count();
    if partitions as usize != count && (marks.partitions.is_some() || marks.head.epoch > 0) {
        return Err(other_number(&options.name, &partitions.to_string(), count));
    }
    let (epoch, applied) = rows.claim(marks.head.epoch, &|| log.keeps_all())?;
    crate::crash::point("distributed.claim.rows");
    let last = marks.head.last;
    if applied > last {
        let why = format!("Redis holds rows up to position {applied} and Kafka's log ends at {last}");
        return Err(Error::damaged(format!("the store {}", options.name), why));
    }
    log.own(writer, marks)?;
    let mut marks = log.marks();
    let head = Head { epoch, ..marks.head.clone() };
    let own = owner_record(told);
    let of_rows = partitions_record(u32::try_from(count).expect("it was a number of partitions"));
    let told_now = (marks.partitions.unwrap_or(1) as usize != count).then_some(of_rows);
    let records = [own].into_iter().chain(told_now).map(|(key, value)| (log.topics.marks.as_str(), key, value));
    log.advance(&mut marks, head, records)?;
    told.clone_into(&mut marks.owner);
    Ok(())
}
