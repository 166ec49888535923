//! The section of Oracle: the paths that changes come by, and the list job over its REST views.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use connectors::Connectors;
use connectors::edge::credentials::Secret;
use connectors::oracle::file::FileConfig;
use connectors::oracle::kafka::{KafkaConfig, Topics};
use connectors::oracle::queue::QueueConfig;
use connectors::oracle::{OracleConfig, OracleListConfig, OrdsConfig};
use ontology::System;
use serde::Deserialize;

use super::connectors::{LIST_EVERY, Section};
use super::file::Span;
use super::{Error, SecretRef};

/// Time between whole readings of the tables.
const READ_ALL_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Time between looks for new topics.
const REFRESH: Duration = Duration::from_secs(60);
/// Time between two questions of an empty queue, and between looks at a file.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Oracle: the paths that changes come by, and the list job over its REST views.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleSection {
    /// Bearer token that senders carry; without it there is no door.
    pub token: Option<SecretRef>,
    /// Name of the capture; default `erp`.
    pub partition: Option<String>,
    /// The list job.
    pub list: Option<OracleListSection>,
    /// Topics that the capture writes to.
    pub kafka: Option<OracleKafkaSection>,
    /// Queues in the database.
    pub queue: Option<OracleQueueSection>,
    /// A file that the capture appends to.
    pub file: Option<OracleFileSection>,
}

/// The list job over Oracle's REST views.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleListSection {
    /// Base address.
    pub base_url: Option<String>,
    /// Client id.
    pub client_id: Option<String>,
    /// Client secret.
    pub client_secret: Option<SecretRef>,
    /// Tables to ask for; default all that the mapping reads.
    pub tables: Option<Vec<String>>,
    /// Time between runs; default `60s`.
    pub interval: Option<Span>,
    /// Read all tables whole before anything else; default `true`.
    pub read_all_first: Option<bool>,
    /// Time between whole readings of all tables, which find deleted rows; default `24h`.
    pub read_all_every: Option<Span>,
}

/// Topics that the capture writes to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleKafkaSection {
    /// Brokers, `host:port` with commas between them.
    pub brokers: Option<String>,
    /// The capture's prefix of topics; the mapped tables' topics and the heartbeats are found by it.
    pub topic_prefix: Option<String>,
    /// Topics by their names, in place of the prefix.
    pub topics: Option<Vec<String>>,
    /// Further properties of the Kafka client, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
    /// Properties that are secrets, such as `sasl.password`, by reference.
    pub secrets: BTreeMap<String, SecretRef>,
    /// Whether brokers on other machines are reached without encryption; default `false`.
    pub plaintext: bool,
    /// Time between looks for new topics; default `60s`.
    pub refresh: Option<Span>,
}

/// Queues in the database, over its REST side.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleQueueSection {
    /// Base address of the schema.
    pub base_url: Option<String>,
    /// Client id.
    pub client_id: Option<String>,
    /// Client secret.
    pub client_secret: Option<SecretRef>,
    /// Group of consumers; it belongs to this hub alone.
    pub group: Option<String>,
    /// Topics.
    pub topics: Vec<String>,
    /// Name of the partition; default `queue`.
    pub partition: Option<String>,
    /// Time between two questions while the queue is empty; default `1s`.
    pub interval: Option<Span>,
}

/// A file of change envelopes, one a line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleFileSection {
    /// The file.
    pub path: Option<PathBuf>,
    /// Time between looks; default `1s`.
    pub interval: Option<Span>,
}

/// The paths that Oracle's changes come by.
#[derive(Debug)]
pub struct OracleSetup {
    /// Partition of what the capture tells, whatever the path.
    pub partition: String,
    /// The door.
    pub door: Option<OracleConfig>,
    /// The list job.
    pub list: Option<OracleListConfig>,
    /// Topics.
    pub kafka: Option<KafkaConfig>,
    /// Queues.
    pub queue: Option<QueueConfig>,
    /// A file.
    pub file: Option<FileConfig>,
}

pub(super) fn resolve(section: OracleSection, connectors: &Connectors) -> Result<OracleSetup, Error> {
    let at = Section("connectors.oracle");
    let partition = section.partition.unwrap_or_else(|| "erp".to_owned());
    let has_path = section.kafka.is_some() || section.queue.is_some() || section.file.is_some();
    let door = match section.token {
        None if has_path => None,
        token => Some(OracleConfig { token: at.secret("token", token)?, partition: partition.clone() }),
    };
    Ok(OracleSetup {
        door,
        list: section.list.map(|section| list(section, &partition, connectors)).transpose()?,
        kafka: section.kafka.map(|section| kafka(section, &partition)).transpose()?,
        queue: section.queue.map(queue).transpose()?,
        file: section.file.map(file).transpose()?,
        partition,
    })
}

fn list(section: OracleListSection, partition: &str, connectors: &Connectors) -> Result<OracleListConfig, Error> {
    let at = Section("connectors.oracle.list");
    let mapped = || {
        let mapping = connectors.mapping(System::Oracle).expect("every source has a mapping");
        let tables: BTreeSet<String> = mapping.objects.iter().map(|object| object.name.clone()).collect();
        tables.into_iter().collect()
    };
    Ok(OracleListConfig {
        ords: ords(&at, section.base_url, section.client_id, section.client_secret)?,
        tables: section.tables.unwrap_or_else(mapped),
        partition: partition.to_owned(),
        interval: section.interval.map_or(LIST_EVERY, Span::timer),
        is_full_read_first: section.read_all_first.unwrap_or(true),
        full_interval: Some(section.read_all_every.map_or(READ_ALL_EVERY, Span::timer)),
    })
}

fn ords(
    at: &Section,
    base_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretRef>,
) -> Result<OrdsConfig, Error> {
    Ok(OrdsConfig {
        base_url: at.address("base_url", base_url)?.trim_end_matches('/').to_owned(),
        client_id: at.need("client_id", client_id)?,
        client_secret: at.secret("client_secret", client_secret)?,
    })
}

fn kafka(section: OracleKafkaSection, partition: &str) -> Result<KafkaConfig, Error> {
    let at = Section("connectors.oracle.kafka");
    let topics = match (section.topic_prefix, section.topics) {
        (Some(prefix), None) => Topics::Prefix(prefix),
        (None, Some(topics)) if !topics.is_empty() => Topics::Named(topics),
        _ => {
            let problem = "needs either topic_prefix or topics: write the capture's prefix, or the topics by name";
            return Err(Error::key("connectors.oracle.kafka", problem));
        }
    };
    let mut properties: BTreeMap<String, Secret> =
        section.properties.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    for (name, reference) in section.secrets {
        let value = reference.read(&format!("connectors.oracle.kafka.secrets.{name}"))?;
        properties.insert(name, value);
    }
    let config = KafkaConfig {
        brokers: at.need("brokers", section.brokers)?,
        topics,
        partition: partition.to_owned(),
        properties,
        is_plaintext_allowed: section.plaintext,
        refresh: section.refresh.map_or(REFRESH, Span::timer),
    };
    config.check().map_err(|problem| Error::key("connectors.oracle.kafka", problem))?;
    Ok(config)
}

fn queue(section: OracleQueueSection) -> Result<QueueConfig, Error> {
    let at = Section("connectors.oracle.queue");
    if section.topics.is_empty() {
        return Err(Error::key("connectors.oracle.queue.topics", "names no topic: write at least one"));
    }
    Ok(QueueConfig {
        ords: ords(&at, section.base_url, section.client_id, section.client_secret)?,
        group: at.need("group", section.group)?,
        topics: section.topics,
        partition: section.partition.unwrap_or_else(|| "queue".to_owned()),
        interval: section.interval.map_or(ASK_EVERY, Span::timer),
    })
}

fn file(section: OracleFileSection) -> Result<FileConfig, Error> {
    Ok(FileConfig {
        path: Section("connectors.oracle.file").need("path", section.path)?,
        interval: section.interval.map_or(ASK_EVERY, Span::timer),
        is_followed: true,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<OracleSetup, String> {
        let section: OracleSection = toml::from_str(text).unwrap();
        resolve(section, &Connectors::shipped()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_path_stands_by_itself() {
        let kafka = resolved("[kafka]\nbrokers = \"localhost:1\"\ntopic_prefix = \"erp\"\n").unwrap();
        assert!(kafka.door.is_none() && kafka.list.is_none());
        assert_eq!(kafka.kafka.unwrap().topics, Topics::Prefix("erp".to_owned()));
        let file = resolved("partition = \"p\"\n[file]\npath = \"changes.jsonl\"\n").unwrap();
        assert_eq!((file.partition.as_str(), file.file.is_some()), ("p", true));
        let lone = resolved("[list]\nbase_url = \"x\"\n").unwrap_err();
        assert!(lone.contains("connectors.oracle.token is missing"), "{lone}");
    }

    #[test]
    fn what_is_missing_or_unsafe_is_told() {
        let check = |text: &str, expected: &str| {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("[kafka]\nbrokers = \"localhost:1\"\n", "either topic_prefix or topics");
        check("[kafka]\nbrokers = \"localhost:1\"\ntopic_prefix = \"a\"\ntopics = [\"b\"]\n", "either topic_prefix");
        check("[kafka]\ntopic_prefix = \"a\"\n", "kafka.brokers is missing");
        check("[kafka]\nbrokers = \"far:1\"\ntopic_prefix = \"a\"\n", "without encryption");
        check("[queue]\nbase_url = \"x\"\n", "names no topic");
        check("[queue]\ntopics = [\"T\"]\nbase_url = \"x\"\n", "client_id is missing");
        check("[file]\n", "file.path is missing");
    }
}
