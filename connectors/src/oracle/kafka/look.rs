//! A look at the topics without reading them: which are there, and the last record of one.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, error::KafkaError};

use super::super::change::table_of;
use super::super::decode::record_line;
use super::{CALL_MAX, HEARTBEAT_TOPIC, KafkaConfig, Topics};

/// Longest wait for the last record.
const RECORD_WAIT: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Topics that would be read, with how many partitions they have.
    pub topics: Vec<(String, usize)>,
    /// Topics that are wanted and not there.
    pub missing: Vec<String>,
    /// Whether the capture beats.
    pub has_heartbeats: bool,
    /// The last record of one of the topics, as the line that the decoder reads.
    pub last: Option<String>,
}

/// Looks at the topics of `config`; `tables` are those that the mapping reads.
pub async fn look(config: &KafkaConfig, tables: &[String]) -> Result<Found, String> {
    config.check()?;
    let (config, tables) = (config.clone(), tables.to_vec());
    let looked = tokio::task::spawn_blocking(move || find(&config, &tables)).await;
    looked.map_err(|_| "the look was broken off".to_owned())?.map_err(|error| error.to_string())
}

fn find(config: &KafkaConfig, tables: &[String]) -> Result<Found, KafkaError> {
    let consumer: BaseConsumer = config.client().create()?;
    let metadata = consumer.fetch_metadata(None, CALL_MAX)?;
    let mut found = Found::default();
    let there: Vec<(&str, usize)> = metadata.topics().iter().map(|t| (t.name(), t.partitions().len())).collect();
    let is_of = |topic: &str, prefix: &str, table: &str| {
        topic.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
            && table_of(topic).eq_ignore_ascii_case(table)
    };
    match &config.topics {
        Topics::Named(names) => {
            for name in names {
                match there.iter().find(|(topic, _)| topic == name) {
                    Some((topic, partitions)) => found.topics.push(((*topic).to_owned(), *partitions)),
                    None => found.missing.push(name.clone()),
                }
            }
        }
        Topics::Prefix(prefix) => {
            for table in tables {
                let mut of_table = there.iter().filter(|(topic, _)| is_of(topic, prefix, table)).peekable();
                if of_table.peek().is_none() {
                    found.missing.push(format!("{prefix}.<schema>.{table}"));
                }
                found.topics.extend(of_table.map(|(topic, partitions)| ((*topic).to_owned(), *partitions)));
            }
        }
    }
    found.has_heartbeats = there.iter().any(|(topic, _)| match &config.topics {
        Topics::Named(names) => topic.starts_with(HEARTBEAT_TOPIC) && names.iter().any(|name| name == topic),
        Topics::Prefix(prefix) => topic.strip_prefix(HEARTBEAT_TOPIC) == Some(prefix),
    });
    found.last = last_record(&consumer, &found.topics)?;
    Ok(found)
}

/// The last record of the first topic that has one.
fn last_record(consumer: &BaseConsumer, topics: &[(String, usize)]) -> Result<Option<String>, KafkaError> {
    let data = topics.iter().filter(|(topic, _)| !topic.starts_with(HEARTBEAT_TOPIC));
    for (topic, partition) in data.flat_map(|(topic, partitions)| (0..*partitions).map(move |p| (topic, p))) {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let (low, high) = consumer.fetch_watermarks(topic, partition, CALL_MAX)?;
        if high <= low {
            continue;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(high - 1))?;
        consumer.assign(&list)?;
        return match consumer.poll(RECORD_WAIT) {
            Some(Ok(message)) => {
                let line = record_line(topic, partition, message.offset(), message.key(), message.payload());
                Ok(Some(line))
            }
            Some(Err(error)) => Err(error),
            None => Ok(None),
        };
    }
    Ok(None)
}
