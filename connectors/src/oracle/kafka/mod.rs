//! Change envelopes from Kafka topics.
//!
//! The hub keeps its positions itself, in one atom with what they brought; there is no consumer group
//! and nothing is committed to the broker, so no rebalance can move them. Records are handed over in
//! batches, and the next batch is not asked for before the log has this one: a slow log makes the
//! client's small queue run full, and the client stops fetching.
//!
//! A heartbeat of the capture proves that nothing older is missing only once everything that stood in
//! the topics when it was read is stored.

mod batch;
mod look;
mod places;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ontology::{Millis, System};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use self::batch::{HEARTBEAT_TOPIC, Line, Raw, gather};
pub(super) use self::look::look;
use self::places::{Partition, Places, Start, mark};
use super::change::table_of;
use super::relist::{Cause, Relist};
use crate::contract::{BODY_BYTES_MAX, Decoded, OVERSIZED_KEPT_BYTES, Reject, RejectCode, Sink, SinkError, Submission};
use crate::edge::Context;
use crate::edge::credentials::Secret;
use crate::edge::loopback::is_loopback;
use crate::edge::retry::Backoff;
use crate::edge::status::ConnectorState;

/// Name of the position: where all partitions of all topics stand.
pub const POSITION: &str = "oracle/kafka";

/// Longest wait for an answer about topics and offsets.
const CALL_MAX: Duration = Duration::from_secs(10);

/// How the topics are reached.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Addresses of brokers, `host:port` with commas between them.
    pub brokers: String,
    /// Which topics are read.
    pub topics: Topics,
    /// Partition of the source whose watermark the heartbeats move.
    pub partition: String,
    /// Further properties of the client, such as `security.protocol`; a value may be a secret.
    pub properties: BTreeMap<String, Secret>,
    /// Whether brokers on other machines may be reached without encryption.
    pub is_plaintext_allowed: bool,
    /// Time between looks for new topics and partitions.
    pub refresh: Duration,
}

/// Which topics are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// These.
    Named(Vec<String>),
    /// Those of a capture: `PREFIX.<schema>.<table>` of every table that the mapping reads, its
    /// heartbeats and the boundaries of its transactions.
    Prefix(String),
}

impl KafkaConfig {
    /// What is wrong with the settings, and the next step.
    pub fn check(&self) -> Result<(), String> {
        let protocol = self.properties.get("security.protocol").map_or("plaintext", Secret::expose);
        let is_encrypted = protocol.to_ascii_lowercase().ends_with("ssl");
        let far = || self.brokers.split(',').find(|broker| !is_loopback(broker.trim()));
        if !is_encrypted
            && !self.is_plaintext_allowed
            && let Some(broker) = far()
        {
            return Err(format!(
                "names the broker {broker} on another machine, which would be reached without encryption: set \
                 security.protocol, or let a proxy on this machine end TLS"
            ));
        }
        self.client().create_native_config().map(|_| ()).map_err(|error| {
            let is_plain = protocol.eq_ignore_ascii_case("plaintext");
            let hint = if is_plain { "" } else { "; TLS needs a hub built with the feature kafka-tls" };
            format!("is not accepted by the Kafka client: {error}{hint}")
        })
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (name, value) in &self.properties {
            client.set(name, value.expose());
        }
        client
            .set("bootstrap.servers", &self.brokers)
            // The client asks for a group's name; nothing is ever committed under it.
            .set("group.id", "opshub-unused")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", "16384")
            .set("queued.min.messages", "2000")
            .set("fetch.wait.max.ms", "100")
            .set("reconnect.backoff.max.ms", "5000");
        client
    }
}

/// Why reading ended; it begins again.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Said by the client, without any content of a record.
    #[error("reading the topics failed: {0}")]
    Client(#[from] KafkaError),
    /// Topics came or went, or a position is of another life of its topic.
    #[error("the topics changed")]
    Changed,
}

/// A heartbeat that waits for what stood in the topics when it was read.
struct Beat {
    until: Millis,
    highs: BTreeMap<Partition, i64>,
}

struct Reader<S> {
    context: Context<S>,
    config: KafkaConfig,
    relist: Relist,
    places: Places,
    beat: Option<Beat>,
}

/// Reads the topics until `stop`, or until the log is closed. `position` is what was stored under
/// [`POSITION`].
pub async fn run<S: Sink>(
    context: Context<S>,
    config: KafkaConfig,
    position: Option<Vec<u8>>,
    relist: Relist,
    stop: CancellationToken,
) {
    let places = position.map(|stored| Places::read(&stored)).unwrap_or_default();
    let mut reader = Reader { context, config, relist, places, beat: None };
    let mut backoff = Backoff::default();
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => break,
            ended = reader.read(&mut backoff) => ended,
        };
        match ended {
            Err(Broken::Sink(_)) => break,
            Ok(()) | Err(Broken::Changed) => continue,
            Err(error @ Broken::Client(_)) => reader.failed(&error),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
    reader.context.status.enter(ConnectorState::Stopped);
}

impl<S: Sink> Reader<S> {
    fn failed(&self, error: &Broken) {
        self.context.status.failed(&error.to_string(), self.context.clock.now());
        self.context.status.enter(ConnectorState::Retrying);
    }

    /// One life of the client.
    async fn read(&mut self, backoff: &mut Backoff) -> Result<(), Broken> {
        let consumer: Arc<StreamConsumer> = Arc::new(self.config.client().create()?);
        let partitions = self.partitions(&consumer).await?;
        self.assign(&consumer, &partitions).await?;
        self.context.status.enter(ConnectorState::Running);
        let mut refresh = tokio::time::interval(self.config.refresh);
        refresh.tick().await;
        loop {
            let (lines, error) = tokio::select! {
                gathered = gather(&consumer) => gathered,
                _ = refresh.tick() => {
                    if self.partitions(&consumer).await? != partitions {
                        return Err(Broken::Changed);
                    }
                    continue;
                }
            };
            if !lines.is_empty() {
                backoff.reset();
                self.take(&consumer, &partitions, lines).await?;
            }
            match error {
                None => {}
                Some(error) if is_position(&error) => return Err(Broken::Changed),
                Some(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error.into()),
                // The client connects again by itself.
                Some(error) => self.failed(&error.into()),
            }
        }
    }

    /// The partitions that there are of the topics that are wanted.
    async fn partitions(&self, consumer: &Arc<StreamConsumer>) -> Result<Vec<Partition>, Broken> {
        let metadata = blocking(consumer, |consumer| consumer.fetch_metadata(None, CALL_MAX)).await?;
        let mut partitions = Vec::new();
        for topic in metadata.topics().iter().filter(|topic| self.is_wanted(topic.name())) {
            partitions.extend(topic.partitions().iter().map(|p| (topic.name().to_owned(), p.id())));
        }
        partitions.sort();
        if let Topics::Named(names) = &self.config.topics
            && let Some(missing) = names.iter().find(|name| !partitions.iter().any(|(topic, _)| topic == *name))
        {
            let text = format!("the topic {missing} is not there: the other topics are read meanwhile");
            self.context.status.failed(&text, self.context.clock.now());
        }
        Ok(partitions)
    }

    fn is_wanted(&self, topic: &str) -> bool {
        match &self.config.topics {
            Topics::Named(names) => names.iter().any(|name| name == topic),
            Topics::Prefix(prefix) => {
                let is_heartbeat = topic.strip_prefix(HEARTBEAT_TOPIC).is_some_and(|rest| rest == prefix);
                let is_table = topic.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'));
                let is_boundary = topic.strip_prefix(prefix.as_str()) == Some(".transaction");
                is_heartbeat || is_boundary || (is_table && self.table(topic).is_some())
            }
        }
    }

    /// The mapped table that a topic is of.
    fn table(&self, topic: &str) -> Option<String> {
        let mapping = self.context.connectors.mapping(System::Oracle)?;
        mapping.object(table_of(topic)).map(|object| object.name.clone())
    }

    /// Begins where the last run ended, as far as the topics still hold it.
    async fn assign(&mut self, consumer: &Arc<StreamConsumer>, partitions: &[Partition]) -> Result<(), Broken> {
        let kept = watermarks(consumer, partitions).await?;
        let mut list = TopicPartitionList::new();
        for (partition, (low, high)) in &kept {
            let offset = match self.places.start(partition, *low, *high) {
                Start::Oldest => Offset::Offset(*low),
                Start::At(next) | Start::Before(next) => Offset::Offset(next),
                Start::Lost => {
                    self.lose(partition).await?;
                    Offset::Offset(*low)
                }
            };
            list.add_partition_offset(&partition.0, partition.1, offset)?;
        }
        Ok(consumer.assign(&list)?)
    }

    /// The position is of no use: what is kept is read from its beginning, and the table from its view.
    async fn lose(&mut self, partition: &Partition) -> Result<(), SinkError> {
        self.places.forget(partition);
        metrics::counter!("opshub_connector_rewinds_total", "system" => "oracle").increment(1);
        let Some(table) = self.table(&partition.0) else { return Ok(()) };
        if !self.relist.ask(&self.context, &table, Cause::Doubt).await? {
            let text = format!(
                "the position in {}/{} is out of reach, and no list job is set up to read {table} again: changes \
                 that the topic no longer keeps are missing",
                partition.0, partition.1
            );
            self.context.status.failed(&text, self.context.clock.now());
        }
        Ok(())
    }

    /// Stores a batch with the positions that hold then.
    async fn take(
        &mut self,
        consumer: &Arc<StreamConsumer>,
        partitions: &[Partition],
        lines: Vec<Line>,
    ) -> Result<(), Broken> {
        let mut places = self.places.clone();
        let mut raw = Raw::default();
        let mut until = None;
        for line in lines {
            match self.places.get(&line.partition) {
                Some(place) if line.offset + 1 == place.next && mark(&line.text) != place.mark => {
                    self.lose(&line.partition).await?;
                    return Err(Broken::Changed);
                }
                Some(place) if line.offset < place.next => continue,
                Some(_) | None => {}
            }
            until = until.max(line.beat);
            places.pass(line.partition, line.offset, &line.text);
            if line.text.len() > BODY_BYTES_MAX {
                self.store(oversized(&self.context, &self.config.partition, line.text), &places).await?;
            } else {
                raw.push(&line.text, line.trace);
            }
        }
        let decoding = raw.decode(&self.context, &self.config.partition);
        let submission = self.relist.heed(&self.context, decoding).await?;
        self.store(submission, &places).await?;
        if let (Some(until), None) = (until, &self.beat) {
            let kept = watermarks(consumer, partitions).await?;
            let is_data = |partition: &Partition| !partition.0.starts_with(HEARTBEAT_TOPIC);
            let highs = kept.into_iter().filter(|(p, _)| is_data(p)).map(|(p, (low, high))| {
                // A partition of which nothing is kept has nothing to wait for.
                (p, if low == high { 0 } else { high })
            });
            self.beat = Some(Beat { until, highs: highs.collect() });
        }
        self.prove().await
    }

    async fn store(&mut self, submission: Submission, places: &Places) -> Result<(), Broken> {
        let position = places.write();
        self.context.submit_until_taken(submission.at(POSITION, &position)).await?;
        self.context.status.position(&position);
        self.places = places.clone();
        Ok(())
    }

    /// Tells the log of the heartbeat once everything before it is stored.
    async fn prove(&mut self) -> Result<(), Broken> {
        if let Some(beat) = self.beat.take_if(|beat| self.places.have_reached(&beat.highs)) {
            self.context.heartbeat(System::Oracle, &self.config.partition, beat.until).await?;
            self.context.status.watermark(beat.until);
        }
        Ok(())
    }
}

/// A record that is too long to be decoded: its beginning is kept.
fn oversized<S>(context: &Context<S>, partition: &str, mut text: String) -> Submission {
    let detail = format!("a record of {} bytes, of which the beginning is kept", text.len());
    let mut end = OVERSIZED_KEPT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    metrics::counter!("opshub_connector_rejects_total", "system" => "oracle", "code" => "oversized").increment(1);
    let rejects = vec![Reject::new(RejectCode::Oversized, detail, 0..text.len())];
    let decoded = Decoded { rejects, ..Decoded::default() };
    Submission::new(System::Oracle, partition, decoded, Bytes::from(text), context.clock.now())
}

/// Whether a position is not, or no longer, in its partition, or the partition is not there.
fn is_position(error: &KafkaError) -> bool {
    let KafkaError::MessageConsumption(code) = error else { return false };
    matches!(
        code,
        RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// Oldest offset that is kept of each partition, and the one that the next record will get.
async fn watermarks(
    consumer: &Arc<StreamConsumer>,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, (i64, i64)>, KafkaError> {
    let partitions = partitions.to_vec();
    blocking(consumer, move |consumer| {
        let kept = |(topic, partition): Partition| {
            let kept = consumer.fetch_watermarks(&topic, partition, CALL_MAX)?;
            Ok(((topic, partition), kept))
        };
        partitions.into_iter().map(kept).collect()
    })
    .await
}

/// The client's calls wait in the thread that makes them.
async fn blocking<T: Send + 'static>(
    consumer: &Arc<StreamConsumer>,
    call: impl FnOnce(&StreamConsumer) -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    let consumer = Arc::clone(consumer);
    let called = tokio::task::spawn_blocking(move || call(&consumer)).await;
    called.unwrap_or(Err(KafkaError::Canceled))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(brokers: &str, properties: &[(&str, &str)], is_plaintext_allowed: bool) -> Result<(), String> {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let config = KafkaConfig {
            brokers: brokers.to_owned(),
            topics: Topics::Prefix("erp".to_owned()),
            partition: "erp".to_owned(),
            properties,
            is_plaintext_allowed,
            refresh: Duration::from_secs(60),
        };
        config.check()
    }

    #[test]
    fn other_machines_are_not_reached_in_the_clear() {
        for near in ["127.0.0.1:9092", "localhost:1,127.0.0.2:1", "[::1]:9092"] {
            assert_eq!(check(near, &[], false), Ok(()), "{near}");
        }
        assert!(check("localhost:1, kafka.example:9092", &[], false).unwrap_err().contains("kafka.example:9092"));
        assert_eq!(check("kafka.example:9092", &[], true), Ok(()));
        let unknown = check("localhost:1", &[("no.such.property", "1")], false).unwrap_err();
        assert!(unknown.contains("no.such.property") && !unknown.contains("TLS"), "{unknown}");
        let encrypted = check("kafka.example:9092", &[("security.protocol", "ssl")], false);
        assert_eq!(encrypted.is_ok(), cfg!(feature = "kafka-tls"), "{encrypted:?}");
    }
}
