//! Messages of a transactional event queue, over the database's REST side.
//!
//! A consumer of a group is made and subscribed; its messages are fetched, stored, and only then
//! committed. What was fetched and not committed is delivered again to the next consumer of the group:
//! versions make that harmless. The group keeps the position, so the hub keeps none.
//!
//! An empty answer proves that nothing was waiting when it was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ontology::{Millis, System};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::ords::{Ords, OrdsConfig};
use super::relist::Relist;
use crate::contract::{Framing, Sink, SinkError};
use crate::edge::Context;
use crate::edge::http::CallError;
use crate::edge::retry::Backoff;
use crate::edge::status::ConnectorState;

/// Where the queues are below the base address.
pub(super) const PATH: &str = "_/db-api/stable/database/txeventq";

/// Bytes of messages that are decoded at a time.
const BATCH_BYTES_MAX: usize = 512 << 10;

/// Shortest time between two proofs that the queue is empty, in milliseconds.
const PROOF_EVERY_MS: i64 = 1_000;

/// How the queue is reached.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The REST side.
    pub ords: OrdsConfig,
    /// Group of consumers; it exists and belongs to this hub alone.
    pub group: String,
    /// Topics.
    pub topics: Vec<String>,
    /// Partition of the source whose watermark the empty queue moves.
    pub partition: String,
    /// Time between two questions while the queue is empty.
    pub interval: Duration,
}

/// Why a consumer ended; another one begins.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Call(#[from] CallError),
}

#[derive(Deserialize)]
struct Instance {
    #[serde(alias = "instanceId", alias = "instance")]
    instance_id: String,
}

/// The answer to a fetch, where it is no plain list.
#[derive(Deserialize)]
struct Fetched<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

/// What of a message its acknowledgement needs.
#[derive(Deserialize)]
struct Place {
    topic: String,
    partition: i64,
    offset: i64,
}

struct Reader<S> {
    context: Context<S>,
    config: QueueConfig,
    ords: Ords,
    relist: Relist,
    /// The consumer, as a path.
    instance: Option<String>,
    proven_at: Millis,
}

/// Reads the queue until `stop`, or until the log is closed.
pub async fn run<S: Sink>(context: Context<S>, config: QueueConfig, relist: Relist, stop: CancellationToken) {
    let ords = Ords::new(config.ords.clone());
    let mut reader = Reader { context, config, ords, relist, instance: None, proven_at: Millis::MIN };
    let mut backoff = Backoff::default();
    loop {
        let delay = tokio::select! {
            () = stop.cancelled() => break,
            read = reader.read() => match read {
                Ok(0) => {
                    backoff.reset();
                    reader.config.interval
                }
                Ok(_) => {
                    backoff.reset();
                    Duration::ZERO
                }
                Err(Broken::Sink(_)) => break,
                Err(Broken::Call(error)) => reader.failed(&error, &mut backoff),
            },
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(delay) => {}
        }
    }
    reader.leave().await;
    reader.context.status.enter(ConnectorState::Stopped);
}

impl<S: Sink> Reader<S> {
    /// One fetch; how many messages it brought.
    async fn read(&mut self) -> Result<usize, Broken> {
        let instance = match &self.instance {
            Some(instance) => instance.clone(),
            None => self.join().await?,
        };
        let asked_at = self.context.clock.now();
        let answer = self.ords.get(&format!("{instance}/records")).await?;
        let messages = messages(&answer).map_err(|_| CallError::Answer("messages"))?;
        if messages.is_empty() {
            self.prove(asked_at).await?;
            return Ok(0);
        }
        let mut part = String::new();
        for message in &messages {
            part.push_str(if part.is_empty() { "[" } else { "," });
            part.push_str(message.get());
            if part.len() >= BATCH_BYTES_MAX {
                self.store(std::mem::take(&mut part)).await?;
            }
        }
        if !part.is_empty() {
            self.store(part).await?;
        }
        self.acknowledge(&instance, &messages).await?;
        Ok(messages.len())
    }

    /// Makes a consumer of the group and subscribes it.
    async fn join(&mut self) -> Result<String, CallError> {
        let group = format!("{PATH}/consumers/{}", self.config.group);
        let answer = self.ords.post(&group, &json!({})).await?;
        let made: Instance = serde_json::from_slice(&answer).map_err(|_| CallError::Answer("a consumer"))?;
        let instance = format!("{group}/instances/{}", made.instance_id);
        self.ords.post(&format!("{instance}/subscription"), &json!({ "topics": self.config.topics })).await?;
        self.context.status.enter(ConnectorState::Running);
        Ok(self.instance.insert(instance).clone())
    }

    async fn store(&mut self, mut part: String) -> Result<(), SinkError> {
        part.push(']');
        let raw = Bytes::from(part);
        let decoding = self.context.decode(System::Oracle, &self.config.partition, &raw, Framing::Document);
        let submission = self.relist.heed(&self.context, decoding).await?;
        self.context.submit_until_taken(submission).await.map(|_| ())
    }

    /// Tells the queue that it may forget the messages.
    async fn acknowledge(&mut self, instance: &str, messages: &[&RawValue]) -> Result<(), CallError> {
        let mut last = BTreeMap::new();
        for message in messages {
            let Place { topic, partition, offset } =
                serde_json::from_str(message.get()).map_err(|_| CallError::Answer("a message without offset"))?;
            let newest = last.entry((topic, partition)).or_insert(offset);
            *newest = offset.max(*newest);
        }
        let places: Vec<_> = last
            .iter()
            .map(|((topic, partition), offset)| json!({ "topic": topic, "partition": partition, "offset": offset }))
            .collect();
        self.ords.post(&format!("{instance}/offsets"), &json!({ "offsets": places })).await.map(|_| ())
    }

    async fn prove(&mut self, until: Millis) -> Result<(), SinkError> {
        if until.0.saturating_sub(self.proven_at.0) < PROOF_EVERY_MS {
            return Ok(());
        }
        self.context.heartbeat(System::Oracle, &self.config.partition, until).await?;
        self.context.status.watermark(until);
        self.proven_at = until;
        Ok(())
    }

    fn failed(&mut self, error: &CallError, backoff: &mut Backoff) -> Duration {
        self.context.status.failed(&error.to_string(), self.context.clock.now());
        self.context.status.enter(ConnectorState::Retrying);
        // The consumer may have been forgotten; what it had not acknowledged goes to the next one.
        if matches!(error, CallError::Status(400 | 404 | 409 | 410)) {
            self.instance = None;
        }
        backoff.next_delay()
    }

    /// Takes the consumer out of the group, so that its partitions need not wait for its end.
    async fn leave(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        if let Err(error) = self.ords.delete(&instance).await {
            tracing::debug!(%error, "leave the group of the queue");
        }
    }
}

/// The messages of an answer: a list, or an object that holds it.
pub(super) fn messages(answer: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    if answer.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(answer);
    }
    serde_json::from_slice(answer).map(|Fetched { records }| records)
}
