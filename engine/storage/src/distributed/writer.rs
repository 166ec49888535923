//! Writes to Kafka: one transaction per call, and one writer at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::options::DistributedOptions;
use super::ordered::PARTITION;
use super::topics::unreachable;
use crate::{Error, Result};

/// Largest record that the client takes; values are cut far below.
const RECORD_BYTES_MAX: &str = "16000000";
/// Pause while the client's queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
/// How often other threads are let go first until the client has let go of records that have arrived.
const YIELDS_MAX: usize = 10_000;
/// Ends of the names of the producers that take turns.
const TURNS: [&str; 2] = ["owner", "owner.2"];

/// What is written in one transaction: topic, key, and value or `None` for a key that is gone.
pub(super) type Record<'a> = (&'a str, Vec<u8>, Option<Vec<u8>>);

/// A producer of transactions.
type Transacting = ThreadedProducer<Arrivals>;

/// Records that were handed to the client and that the brokers have not answered yet.
///
/// The client's own ways to wait for them look again and again, at the cost of a whole core.
#[derive(Default)]
struct Arrivals {
    awaited: Mutex<usize>,
    none_left: Condvar,
}

impl Arrivals {
    fn expect_one(&self) {
        *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn take_one(&self) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        *awaited = awaited.saturating_sub(1);
        if *awaited == 0 {
            self.none_left.notify_all();
        }
    }

    /// Whether all were answered within `patience`.
    fn wait(&self, patience: Duration) -> bool {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.none_left.wait_timeout_while(awaited, patience, |awaited| *awaited > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl ClientContext for Arrivals {}

impl ProducerContext for Arrivals {
    type DeliveryOpaque = ();

    /// A record that failed is answered, too: the commit then says why.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {
        self.take_one();
    }
}

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
    let producer: Transacting = config.create_with_context(Arrivals::default()).map_err(unreachable)?;
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
        // Said before it is sent: the answer may be there before this goes on.
        producer.client().context().expect_one();
        let sent = producer.send(record);
        if sent.is_err() {
            producer.client().context().take_one();
        }
        match sent {
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
    if !producer.client().context().wait(patience) {
        return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
    }
    // The client counts a record until the thread that told of it has let go of it, which takes microseconds.
    // Where it takes longer, the commit waits.
    for _ in 0..YIELDS_MAX {
        if producer.in_flight_count() == 0 {
            break;
        }
        std::thread::yield_now();
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
