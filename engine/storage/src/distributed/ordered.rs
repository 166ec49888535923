//! A topic whose keys only rise: values are found by their key, and read on from there.
//!
//! A value longer than a record may be is cut into chunks of one key. Each record begins with its
//! place among them and their number, 32 bits each, little-endian.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::options::DistributedOptions;
use super::topics::unreachable;
use crate::codec::Decoder;
use crate::{Error, Result};

/// Bytes of a value in one record: well below what brokers take unless configured.
const CHUNK_BYTES: usize = 512 << 10;

/// Pause before a broker is asked again.
pub(super) const ASK_PAUSE: Duration = Duration::from_millis(100);
/// Pause before it is looked again whether everything that was sent can be read.
const SETTLE_PAUSE: Duration = Duration::from_millis(5);

/// The one partition of every topic.
pub(super) const PARTITION: i32 = 0;

/// One record as it lies in its topic.
pub(super) struct Stored {
    pub(super) offset: i64,
    pub(super) key: Vec<u8>,
    /// None of a key that is gone.
    pub(super) value: Option<Vec<u8>>,
}

impl Stored {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        Stored {
            offset: message.offset(),
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}

/// A consumer that is told what to read, and reads only what was committed.
pub(super) fn consumer(options: &DistributedOptions) -> Result<BaseConsumer> {
    reading(options).create().map_err(unreachable)
}

fn reading(options: &DistributedOptions) -> ClientConfig {
    let mut config = options.client();
    // A group is named because the client wants one; nothing is committed under it.
    config.set("group.id", format!("{}.reader", options.name)).set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    config.set("auto.offset.reset", "error").set("fetch.wait.max.ms", "10");
    config
}

/// Whether it may pass by itself: the brokers are still agreeing who leads a partition, as they do of one
/// that is new, or one of them is away, which says nothing of the others.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, LeaderNotAvailable, NetworkException, NotLeaderForPartition,
        UnknownPartition,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            AllBrokersDown
                | BrokerTransportFailure
                | LeaderNotAvailable
                | NetworkException
                | NotLeaderForPartition
                | UnknownPartition
        )
    )
}

/// Reads one topic from any place on: only what was committed.
pub(super) struct Reader {
    consumer: BaseConsumer,
    topic: String,
    patience: Duration,
}

impl Reader {
    pub(super) fn open(options: &DistributedOptions, topic: &str) -> Result<Self> {
        Reader::by(&reading(options), options, topic)
    }

    /// One to which records count as well whose transaction is not known to have ended.
    fn of_all(options: &DistributedOptions, topic: &str) -> Result<Self> {
        Reader::by(reading(options).set("isolation.level", "read_uncommitted"), options, topic)
    }

    fn by(config: &ClientConfig, options: &DistributedOptions, topic: &str) -> Result<Self> {
        let consumer = config.create().map_err(unreachable)?;
        Ok(Reader { consumer, topic: topic.to_owned(), patience: options.patience })
    }

    /// The oldest offset kept and the one after the newest record that counts.
    pub(super) fn ends(&self) -> Result<(i64, i64)> {
        let mut waited = Duration::ZERO;
        loop {
            match self.consumer.fetch_watermarks(&self.topic, PARTITION, self.patience) {
                Err(error) if is_passing(&error) && waited < self.patience => {
                    std::thread::sleep(ASK_PAUSE);
                    waited += ASK_PAUSE;
                }
                ends => return ends.map_err(unreachable),
            }
        }
    }

    /// Reads on from this offset.
    pub(super) fn seek(&self, offset: i64) -> Result<()> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, PARTITION, Offset::Offset(offset)).map_err(unreachable)?;
        self.consumer.assign(&place).map_err(unreachable)
    }

    /// The next record; none at the end of what is committed. A broker that fails is waited for: another
    /// may lead soon.
    pub(super) fn next(&self) -> Result<Option<Stored>> {
        let (mut waited, mut why) = (Duration::ZERO, "none answered".to_owned());
        while waited < self.patience {
            match self.consumer.poll(ASK_PAUSE) {
                Some(Ok(message)) => return Ok(Some(Stored::of(&message))),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(error)) if is_passing(&error) => why = error.to_string(),
                Some(Err(error)) => return Err(unreachable(error)),
                None => {}
            }
            waited += ASK_PAUSE;
        }
        Err(Error::Unreachable {
            doing: "read the log",
            server: "Kafka",
            cause: format!("no record of {} within {} s: {why}", self.topic, self.patience.as_secs()),
            retry_after_ms: 1_000,
        })
    }
}

/// The records that hold `value` under `key`.
pub(super) fn chunks(key: u64, value: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let count = u32::try_from(value.len().div_ceil(CHUNK_BYTES)).expect("values are below 4 GiB");
    (0..count).zip(value.chunks(CHUNK_BYTES)).map(move |(index, chunk)| {
        let mut record = Vec::with_capacity(8 + chunk.len());
        record.extend_from_slice(&index.to_le_bytes());
        record.extend_from_slice(&count.to_le_bytes());
        record.extend_from_slice(chunk);
        (key.to_be_bytes().to_vec(), record)
    })
}

/// A value put together again.
pub(super) struct Whole {
    pub(super) key: u64,
    pub(super) value: Vec<u8>,
}

/// Puts values together from their records, in order.
#[derive(Default)]
pub(super) struct Assembly(Option<(Whole, u32)>);

impl Assembly {
    /// Takes the next record; the value that it completes, if one.
    pub(super) fn take(&mut self, topic: &str, stored: &Stored) -> Result<Option<Whole>> {
        let (key, index, count, chunk) = part(topic, stored)?;
        match &mut self.0 {
            None if index == 0 => self.0 = Some((Whole { key, value: chunk.to_vec() }, 1)),
            // The beginning of this value is no longer kept.
            None => return Ok(None),
            Some((begun, seen)) if begun.key == key && *seen == index => {
                begun.value.extend_from_slice(chunk);
                *seen += 1;
            }
            Some(_) => return Err(damaged(topic, stored, "a value before it is cut short")),
        }
        Ok(self.0.take_if(|(_, seen)| *seen == count).map(|(whole, _)| whole))
    }
}

/// Reads whole values in order, from where the reader stands.
pub(super) struct Values {
    reader: Reader,
    begun: Assembly,
}

impl Values {
    /// The next value that begins from here on; none at the end. Asked again at the end, it waits for
    /// the next record.
    pub(super) fn next(&mut self) -> Result<Option<Whole>> {
        while let Some(stored) = self.reader.next()? {
            if let Some(whole) = self.begun.take(&self.reader.topic, &stored)? {
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }
}

fn part<'a>(topic: &str, stored: &'a Stored) -> Result<(u64, u32, u32, &'a [u8])> {
    let key = key_of(topic, stored)?;
    let mut from = Decoder(stored.value.as_deref().unwrap_or_default());
    let head = from.u32().zip(from.u32());
    let (index, count) = head.ok_or_else(|| damaged(topic, stored, "its head is incomplete"))?;
    Ok((key, index, count, from.0))
}

fn key_of(topic: &str, stored: &Stored) -> Result<u64> {
    let key = stored.key.as_slice().try_into().map(u64::from_be_bytes);
    key.map_err(|_| damaged(topic, stored, "its key is no number"))
}

fn damaged(topic: &str, stored: &Stored, why: &str) -> Error {
    Error::damaged(format!("the record at offset {} of {topic}", stored.offset), why)
}

/// A topic whose keys only rise.
pub(super) struct Ordered {
    options: DistributedOptions,
    topic: String,
    /// Looks things up; reading on has readers of its own.
    looking: Mutex<Reader>,
}

impl Ordered {
    pub(super) fn open(options: &DistributedOptions, topic: &str) -> Result<Self> {
        let looking = Mutex::new(Reader::open(options, topic)?);
        Ok(Ordered { options: options.clone(), topic: topic.to_owned(), looking })
    }

    /// The values from the first whose key is at least `key`; from the first of all if none is given.
    pub(super) fn values_from(&self, key: Option<u64>) -> Result<Values> {
        let place = match key {
            Some(key) => self.first_at_least(key)?,
            None => self.look(Reader::ends)?.0,
        };
        let reader = Reader::open(&self.options, &self.topic)?;
        reader.seek(place)?;
        Ok(Values { reader, begun: Assembly::default() })
    }

    /// Waits until everything can be read that had been sent before. Brokers that have acknowledged a
    /// transaction still write its marks, and nobody is shown its records before. One that its writer left
    /// open, because it died, is not waited for longer than for a server that does not answer.
    pub(super) fn settle(&self) -> Result<()> {
        let (_, sent) = Reader::of_all(&self.options, &self.topic)?.ends()?;
        let mut waited = Duration::ZERO;
        while self.look(Reader::ends)?.1 < sent && waited < self.options.patience {
            std::thread::sleep(SETTLE_PAUSE);
            waited += SETTLE_PAUSE;
        }
        Ok(())
    }

    /// What `look` finds here: what it misses may not have been readable yet.
    pub(super) fn find<T>(&self, look: impl Fn() -> Result<Option<T>>) -> Result<Option<T>> {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        self.settle()?;
        look()
    }

    /// The greatest key that is at most `key`; none if all are greater.
    pub(super) fn key_at_most(&self, key: u64) -> Result<Option<u64>> {
        let (lowest, _) = self.look(Reader::ends)?;
        let place =
            key.checked_add(1).map_or_else(|| Ok(self.look(Reader::ends)?.1), |next| self.first_at_least(next))?;
        let mut back = 1;
        while place - back >= lowest {
            // Marks of transactions lie between records, at the most one per transaction.
            if let Some((offset, found)) = self.peek(place - back)?
                && offset < place
            {
                return Ok(Some(found));
            }
            back += 1;
        }
        Ok(None)
    }

    /// The first key that is kept whole; none in an empty topic.
    pub(super) fn first_key(&self) -> Result<Option<u64>> {
        self.look(|reader| {
            reader.seek(reader.ends()?.0)?;
            while let Some(stored) = reader.next()? {
                if let (key, 0, ..) = part(&self.topic, &stored)? {
                    return Ok(Some(key));
                }
            }
            Ok(None)
        })
    }

    /// Offset of the first record whose key is at least `key`, or the end.
    pub(super) fn first_at_least(&self, key: u64) -> Result<i64> {
        let (mut low, mut high) = self.look(Reader::ends)?;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.peek(middle)? {
                Some((offset, found)) if found < key => low = offset + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Offset and key of the first record from `offset` on.
    fn peek(&self, offset: i64) -> Result<Option<(i64, u64)>> {
        self.look(|reader| {
            reader.seek(offset)?;
            let Some(stored) = reader.next()? else { return Ok(None) };
            Ok(Some((stored.offset, key_of(&self.topic, &stored)?)))
        })
    }

    fn look<T>(&self, look: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        look(&self.looking.lock().expect("no call panics while it looks something up"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;
    use crate::{Distributed, Intake, Log as _, NewBlock};

    #[test]
    fn a_place_that_is_not_kept_is_told_and_nothing_is_read_in_its_stead() {
        let name = format!("ordered-{}", std::process::id());
        let redis = vec![format!("redis://{}", fixtures::services::address("OPSHUB_REDIS"))];
        let options = DistributedOptions::new(fixtures::services::address("OPSHUB_KAFKA"), redis, name);
        let store = Distributed::open(options.clone()).unwrap();
        store.tell_time(ontology::Millis(5)).unwrap();
        let reader = Reader::open(&options, &store.0.log.topics.marks).unwrap();
        let (first, end) = reader.ends().unwrap();
        reader.seek(first).unwrap();
        assert!(reader.next().unwrap().is_some());
        reader.seek(end + 100).unwrap();
        let told = reader.next().map(|stored| stored.map(|stored| stored.offset)).unwrap_err();
        Distributed::remove(&options).unwrap();
        assert_eq!(told.class(), crate::Class::Retry, "{told}");
    }

    #[test]
    fn what_is_sent_and_not_yet_shown_is_waited_for() {
        let name = format!("settling-{}", std::process::id());
        let redis = vec![format!("redis://{}", fixtures::services::address("OPSHUB_REDIS"))];
        let options = DistributedOptions::new(fixtures::services::address("OPSHUB_KAFKA"), redis, name);
        let store = Distributed::open(options.clone()).unwrap();
        let facts = &store.0.log.facts;
        let producer: BaseProducer =
            options.client().set("transactional.id", format!("{}.open", options.name)).create().unwrap();
        producer.init_transactions(options.patience).unwrap();
        producer.begin_transaction().unwrap();
        let (key, value) = chunks(7, b"a block").next().unwrap();
        producer.send(BaseRecord::to(&facts.topic).partition(PARTITION).key(&key).payload(&value)).unwrap();
        producer.flush(options.patience).unwrap();
        assert_eq!(facts.first_key().unwrap(), None, "it is not committed");
        let (looked, missed) = sync_channel(1);
        let found = std::thread::scope(|scope| {
            let finding = scope.spawn(|| {
                facts.find(|| {
                    let found = facts.first_key();
                    // Nobody listens to the second look.
                    let _ = looked.try_send(());
                    found
                })
            });
            missed.recv().unwrap();
            producer.commit_transaction(options.patience).unwrap();
            finding.join().unwrap()
        });
        drop(store);
        Distributed::remove(&options).unwrap();
        assert_eq!(found.unwrap(), Some(7));
    }

    #[test]
    fn a_log_of_which_nothing_is_left_does_not_hold_every_fact() {
        let name = format!("forgotten-{}", std::process::id());
        let redis = vec![format!("redis://{}", fixtures::services::address("OPSHUB_REDIS"))];
        let options = DistributedOptions::new(fixtures::services::address("OPSHUB_KAFKA"), redis, name);
        let store = Distributed::open(options.clone()).unwrap();
        let log = &store.0.log;
        assert!(log.keeps_all().unwrap(), "there was none yet");
        let mut block = NewBlock::new(ontology::Millis(5));
        block.push(b"a fact");
        store.append(Intake::new().block(block)).unwrap();
        assert!(log.keeps_all().unwrap());
        // Retention does the same.
        let admin: AdminClient<DefaultClientContext> = options.client().create().unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(&log.topics.facts, PARTITION, Offset::End).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(admin.delete_records(&all, &AdminOptions::new())).unwrap();
        let (keeps_all, start) = (log.keeps_all(), store.start());
        Distributed::remove(&options).unwrap();
        assert!(!keeps_all.unwrap());
        assert_eq!(start.unwrap(), store.last().next());
    }

    #[test]
    fn a_value_is_cut_where_a_record_is_full() {
        for (len, parts) in [(1, 1), (CHUNK_BYTES, 1), (CHUNK_BYTES + 1, 2), (3 * CHUNK_BYTES, 3)] {
            let value: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let records: Vec<_> = chunks(7, &value).collect();
            assert_eq!(records.len(), parts);
            let joined: Vec<u8> = records.iter().flat_map(|(_, record)| record[8..].to_vec()).collect();
            assert_eq!(joined, value);
            assert!(records.iter().all(|(key, _)| *key == 7u64.to_be_bytes()));
        }
    }
}
