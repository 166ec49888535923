//! Writes to Kafka: one transaction per call, and one writer at a time.

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

/// What is written in one transaction: topic, key, and value or `None` for a key that is gone.
pub(super) type Record<'a> = (&'a str, Vec<u8>, Option<Vec<u8>>);

/// The producer of a store's owner.
pub(super) struct Writer {
    producer: ThreadedProducer<DefaultProducerContext>,
    patience: Duration,
}

impl Writer {
    /// Becomes the one writer: transactions of the writer before are ended, its next call fails.
    pub(super) fn claim(options: &DistributedOptions) -> Result<Self> {
        let mut config = options.client();
        config.set("transactional.id", format!("{}.owner", options.name)).set("acks", "all");
        config.set("enable.idempotence", "true").set("message.max.bytes", RECORD_BYTES_MAX);
        // The log writer gathers group commits by itself.
        config.set("linger.ms", "0").set("compression.type", "zstd");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().map_err(unreachable)?;
        producer.init_transactions(options.patience).map_err(unreachable)?;
        Ok(Writer { producer, patience: options.patience })
    }

    /// Writes all records or none.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nothing was written; [`Error::Stop`] when another writer took over,
    /// or nobody can say whether it was written.
    pub(super) fn transact<'a>(&self, records: impl IntoIterator<Item = Record<'a>>) -> Result<()> {
        self.producer.begin_transaction().map_err(|error| self.failed(error))?;
        for (topic, key, value) in records {
            self.send(topic, &key, value.as_deref()).map_err(|error| self.failed(error))?;
        }
        self.await_arrival();
        crate::crash::point("distributed.log.before_commit");
        loop {
            match self.producer.commit_transaction(self.patience) {
                Ok(()) => break,
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    tracing::warn!(%error, "commit to the log: tried again");
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        crate::crash::point("distributed.log.after_commit");
        Ok(())
    }

    /// Waits until the brokers have all records, or for as long as the patience lasts: the commit then says
    /// what is missing. A commit would wait for them itself, but in steps of 100 ms.
    fn await_arrival(&self) {
        let mut waited = Duration::ZERO;
        while self.producer.in_flight_count() > 0 && waited < self.patience {
            self.producer.poll(ARRIVAL_PAUSE);
            waited += ARRIVAL_PAUSE;
        }
    }

    fn send(&self, topic: &str, key: &[u8], value: Option<&[u8]>) -> std::result::Result<(), KafkaError> {
        loop {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(PARTITION).key(key);
            record.payload = value;
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Takes the transaction back if that can be done.
    fn failed(&self, error: KafkaError) -> Error {
        let is_final = match &error {
            KafkaError::Transaction(error) => error.is_fatal() || !error.txn_requires_abort(),
            other => other.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal),
        };
        if is_final {
            return Error::Stop { cause: format!("Kafka: {error}") };
        }
        match self.producer.abort_transaction(self.patience) {
            Ok(()) => unreachable(error),
            Err(abort) => Error::Stop { cause: format!("Kafka: {error}; and taking it back: {abort}") },
        }
    }
}
