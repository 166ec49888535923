//! The log as it grows, read by a process that does not own it.

use std::time::Duration;

use bytes::Bytes;
use ontology::Millis;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::Distributed;
use super::marks::Subject;
use super::ordered::{Assembly, PARTITION, Stored, consumer};
use super::topics::unreachable;
use crate::{Block, Digest, Error, Position, Result};

/// What one who follows a log is told, in order.
#[derive(Debug, Clone)]
pub enum Told {
    /// The next block.
    Block(Block),
    /// Time has come to `now`: everything after `position` was taken later.
    Time {
        /// Engine time.
        now: Millis,
        /// The newest fact by then. Blocks up to it may be told after this.
        position: Position,
    },
    /// Another process owns the store from now on, and says this to those who follow it.
    Owner(String),
}

/// A place in a log from which it is read as it grows. What is read of sources, quarantine and the
/// log's end is seen by the store that it belongs to.
pub struct Tail {
    store: Distributed,
    consumer: BaseConsumer,
    begun: Assembly,
    /// Position and digest that the next block goes on from; the digest of none is not known.
    next: Position,
    previous: Option<Digest>,
}

impl Distributed {
    /// Reads the log from this position on, as it grows.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when Kafka does not answer.
    pub fn tail(&self, from: Position) -> Result<Tail> {
        let log = &self.0.log;
        let unread = log.marks().unread;
        let mut places = TopicPartitionList::new();
        for (topic, offset) in [
            (&log.topics.facts, log.facts.first_at_least(from.0)?),
            (&log.topics.marks, unread.marks),
            (&log.topics.quarantine, unread.quarantine),
        ] {
            places.add_partition_offset(topic, PARTITION, Offset::Offset(offset)).map_err(unreachable)?;
        }
        let consumer = consumer(&log.options)?;
        consumer.assign(&places).map_err(unreachable)?;
        Ok(Tail { store: self.clone(), consumer, begun: Assembly::default(), next: from, previous: None })
    }
}

impl Tail {
    /// What comes next, waited for as long as `wait` at the most. Kafka being away is silence.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the log does not go on from what was read: it lost its beginning, or
    /// another log stands in its place.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Told>> {
        let message = match self.consumer.poll(wait) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Ok(message)) => message,
            Some(Err(error)) if is_out_of_reach(&error) => {
                let why = format!("what comes after position {} is no longer kept", self.next);
                return Err(Error::damaged("the log", why));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "follow the log: tried again");
                return Ok(None);
            }
        };
        let (topic, stored) = (message.topic().to_owned(), Stored::of(&message));
        drop(message);
        let topics = &self.store.0.log.topics;
        if topic == topics.facts {
            return match self.begun.take(&topic, &stored)? {
                Some(whole) => self.block(whole.value),
                None => Ok(None),
            };
        }
        let mut marks = self.store.0.log.marks();
        let unread = stored.offset + 1;
        let no_mark = || Error::damaged(format!("the record at offset {} of {topic}", stored.offset), "no mark");
        if topic == topics.quarantine {
            marks.unread.quarantine = unread;
            marks.take_quarantined(&stored.key, stored.value.as_deref()).ok_or_else(no_mark)?;
            return Ok(None);
        }
        marks.unread.marks = unread;
        let told = match marks.take_mark(&stored.key, stored.value.as_deref()).ok_or_else(no_mark)? {
            Subject::Time => marks.time.map(|(now, position)| Told::Time { now, position }),
            Subject::Owner => Some(Told::Owner(marks.owner.clone())),
            Subject::Head | Subject::Source | Subject::Partitions | Subject::Migration => None,
        };
        Ok(told)
    }

    /// The next block, if it goes on from the one before; none if it was read before.
    fn block(&mut self, value: Vec<u8>) -> Result<Option<Told>> {
        let damaged = |why: String| Error::damaged("the log", why);
        let next = self.next;
        let block = Block::open(Bytes::from(value)).map_err(|why| damaged(format!("at position {next}, {why}")))?;
        if block.last() < next {
            self.previous = Some(*block.digest());
            return Ok(None);
        }
        if block.first() != next {
            return Err(damaged(format!("it goes on at position {} instead of {next}", block.first())));
        }
        if self.previous.is_some_and(|digest| digest != *block.previous()) {
            return Err(damaged(format!("the block at position {next} does not follow the block before it")));
        }
        (self.next, self.previous) = (block.last().next(), Some(*block.digest()));
        Ok(Some(Told::Block(block)))
    }
}

/// Whether what is to be read next is not there any more.
fn is_out_of_reach(error: &KafkaError) -> bool {
    let out_of_reach = [
        RDKafkaErrorCode::OffsetOutOfRange,
        RDKafkaErrorCode::AutoOffsetReset,
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ];
    error.rdkafka_error_code().is_some_and(|code| out_of_reach.contains(&code))
}
