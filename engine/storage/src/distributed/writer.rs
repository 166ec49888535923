//! Writes to Kafka: one transaction per call, and one writer at a time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::options::DistributedOptions;
use super::ordered::PARTITION;
use super::topics::unreachable;
use crate::{Error, Result};

/// Largest record that the client takes; values are cut far below.
const RECORD_BYTES_MAX: &str = "16000000";
/// Pause while the client's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// How long it is waited before it is looked again whether all records have arrived.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(1);
/// Ends of the names of the producers that take turns.
const TURNS: [&str; 2] = ["owner", "owner.2"];

/// What is written in one transaction: topic, key, and value or `None` for a key that is gone.
pub(super) type Record<'a> = (&'a str, Vec<u8>, Option<Vec<u8>>);

/// A producer of transactions.
type Transacting = ThreadedProducer<DefaultProducerContext>;

/// The producers of a store's owner.
///
/// Two take turns, because brokers that have acknowledged a commit still write its marks, and meanwhile
/// refuse another transaction of the same producer: the client then comes again 20 ms later. Whoever
/// claims fences both, the first one first, and begins with the first one: of two who claim at once,
/// only the one who fenced it last can write anything, and it goes on only if it fenced the other last,
/// too.
pub(super) struct Writer {
    producers: Vec<Transacting>,
    /// How many transactions were begun.
    begun: AtomicUsize,
    /// Why nothing is written any more.
    over: OnceLock<String>,
    patience: Duration,
}

impl Writer {
    /// Becomes the one writer: transactions of the writer before are ended, its next call fails.
    pub(super) fn claim(options: &DistributedOptions) -> Result<Self> {
        let producers = TURNS.iter().map(|end| producer(options, end)).collect::<Result<_>>()?;
        Ok(Writer { producers, begun: AtomicUsize::new(0), over: OnceLock::new(), patience: options.patience })
    }

    /// Writes all records or none. Callers come one after another.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nothing was written; [`Error::Stop`] when another writer took over,
    /// or nobody can say whether it was written, and ever after.
    pub(super) fn transact<'a>(&self, records: impl IntoIterator<Item = Record<'a>>) -> Result<()> {
        if let Some(cause) = self.over.get() {
            return Err(Error::Stop { cause: cause.clone() });
        }
        let turn = self.begun.fetch_add(1, Ordering::Relaxed);
        let producer = &self.producers[turn % self.producers.len()];
        let written = write(producer, records, self.patience).map_err(|error| failed(producer, error, self.patience));
        if let Err(Error::Stop { cause }) = &written {
            self.over.get_or_init(|| cause.clone());
        }
        written
    }
}

fn producer(options: &DistributedOptions, end: &str) -> Result<Transacting> {
    let mut config = options.client();
    config.set("transactional.id", format!("{}.{end}", options.name)).set("acks", "all");
    config.set("enable.idempotence", "true").set("message.max.bytes", RECORD_BYTES_MAX);
    // The log writer gathers group commits by itself.
    config.set("linger.ms", "0").set("compression.type", "zstd");
    let producer: Transacting = config.create().map_err(unreachable)?;
    producer.init_transactions(options.patience).map_err(unreachable)?;
    Ok(producer)
}

fn write<'a>(
    producer: &Transacting,
    records: impl IntoIterator<Item = Record<'a>>,
    patience: Duration,
) -> std::result::Result<(), KafkaError> {
    producer.begin_transaction()?;
    for (topic, key, value) in records {
        send(producer, topic, &key, value.as_deref())?;
    }
    await_arrival(producer, patience)?;
    crate::crash::point("distributed.log.before_commit");
    loop {
        match producer.commit_transaction(patience) {
            Ok(()) => break,
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                tracing::warn!(%error, "commit to the log: tried again");
            }
            Err(error) => return Err(error),
        }
    }
    crate::crash::point("distributed.log.after_commit");
    Ok(())
}

fn send(producer: &Transacting, topic: &str, key: &[u8], value: Option<&[u8]>) -> std::result::Result<(), KafkaError> {
    loop {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(PARTITION).key(key);
        record.payload = value;
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                std::thread::sleep(QUEUE_FULL_PAUSE);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Waits until the brokers have all records. A commit would wait for them itself, but in steps of 100 ms.
fn await_arrival(producer: &Transacting, patience: Duration) -> std::result::Result<(), KafkaError> {
    let mut waited = Duration::ZERO;
    while producer.in_flight_count() > 0 {
        if waited >= patience {
            return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
        }
        producer.poll(ARRIVAL_PAUSE);
        waited += ARRIVAL_PAUSE;
    }
    Ok(())
}

/// Takes the transaction back if that can be done.
fn failed(producer: &Transacting, error: KafkaError, patience: Duration) -> Error {
    let is_final = match &error {
        KafkaError::Transaction(error) => error.is_fatal() || !error.txn_requires_abort(),
        other => other.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal),
    };
    if is_final {
        return Error::Stop { cause: format!("Kafka: {error}") };
    }
    match producer.abort_transaction(patience) {
        Ok(()) => unreachable(error),
        Err(abort) => Error::Stop { cause: format!("Kafka: {error}; and taking it back: {abort}") },
    }
}
