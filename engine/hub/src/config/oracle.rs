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

use super::address::Plaintext;
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
    /// Whether the views show wall time of the mapping's zone, though a `Z` stands behind it; default `false`.
    pub wall_time: bool,
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

pub(super) fn resolve(
    section: OracleSection,
    connectors: &Connectors,
    plaintext: Plaintext,
) -> Result<OracleSetup, Error> {
    let at = Section("connectors.oracle");
    let partition = section.partition.unwrap_or_else(|| "erp".to_owned());
    let has_path = section.kafka.is_some() || section.queue.is_some() || section.file.is_some();
    let door = match section.token {
        None if has_path => None,
        token => Some(OracleConfig { token: at.secret("token", token)?, partition: partition.clone() }),
    };
    Ok(OracleSetup {
        door,
        list: section.list.map(|section| list(section, &partition, connectors, plaintext)).transpose()?,
        kafka: section.kafka.map(|section| kafka(section, &partition)).transpose()?,
        queue: section.queue.map(|section| queue(section, plaintext)).transpose()?,
        file: section.file.map(file).transpose()?,
        partition,
    })
}

fn list(
    section: OracleListSection,
    partition: &str,
    connectors: &Connectors,
    plaintext: Plaintext,
) -> Result<OracleListConfig, Error> {
    let at = Section("connectors.oracle.list");
    let mapping = connectors.mapping(System::Oracle).expect("every source has a mapping");
    let mapped: BTreeSet<String> = mapping.objects.iter().map(|object| object.name.clone()).collect();
    let tables = match section.tables {
        None => mapped.into_iter().collect(),
        Some(named) => tables(named, &mapped)?,
    };
    Ok(OracleListConfig {
        ords: ords(&at, plaintext, section.base_url, section.client_id, section.client_secret)?,
        tables,
        partition: partition.to_owned(),
        interval: at.span("interval", section.interval, LIST_EVERY)?,
        is_full_read_first: section.read_all_first.unwrap_or(true),
        full_interval: Some(at.span("read_all_every", section.read_all_every, READ_ALL_EVERY)?),
        is_wall_time: section.wall_time,
    })
}

/// Tables that are read: some that the mapping has, for rows of others would only fill the quarantine.
fn tables(named: Vec<String>, mapped: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    let wrong = |problem: String| Err(Error::key("connectors.oracle.list.tables", problem));
    let known = || mapped.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match named.iter().find(|name| !mapped.contains(*name)) {
        Some(name) => wrong(format!("names `{name}`, which the mapping has not: write some of {}", known())),
        None if named.is_empty() => wrong(format!("is empty: leave it out for all, or write some of {}", known())),
        None => Ok(named),
    }
}

fn ords(
    at: &Section,
    plaintext: Plaintext,
    base_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretRef>,
) -> Result<OrdsConfig, Error> {
    Ok(OrdsConfig {
        base_url: at.login(plaintext, "base_url", base_url)?,
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
        refresh: at.span("refresh", section.refresh, REFRESH)?,
    };
    config.check().map_err(|problem| Error::key("connectors.oracle.kafka", problem))?;
    Ok(config)
}

fn queue(section: OracleQueueSection, plaintext: Plaintext) -> Result<QueueConfig, Error> {
    let at = Section("connectors.oracle.queue");
    if section.topics.is_empty() {
        return Err(Error::key("connectors.oracle.queue.topics", "names no topic: write at least one"));
    }
    Ok(QueueConfig {
        ords: ords(&at, plaintext, section.base_url, section.client_id, section.client_secret)?,
        group: at.need("group", section.group)?,
        topics: section.topics,
        partition: section.partition.unwrap_or_else(|| "queue".to_owned()),
        interval: at.span("interval", section.interval, ASK_EVERY)?,
    })
}

fn file(section: OracleFileSection) -> Result<FileConfig, Error> {
    let at = Section("connectors.oracle.file");
    let path = at.need("path", section.path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // The file itself may come later; the folder that it comes to is there.
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let problem = format!("lies in {}, where there is no folder: make it, or name another", folder.display());
        return Err(Error::key("connectors.oracle.file.path", problem));
    }
    Ok(FileConfig { path, interval: at.span("interval", section.interval, ASK_EVERY)?, is_followed: true })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<OracleSetup, String> {
        let section: OracleSection = toml::from_str(text).unwrap();
        resolve(section, &Connectors::shipped(), Plaintext::default()).map_err(|error| error.to_string())
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
        check("[queue]\ntopics = [\"T\"]\nbase_url = \"https://x\"\n", "client_id is missing");
        check("[file]\npath = \"/no/such/folder/changes.jsonl\"\n", "there is no folder");
        let list = "token = \"env:PATH\"\n[list]\nclient_id = \"c\"\nclient_secret = \"env:PATH\"\nbase_url = ";
        check(&format!("{list}\"erp.acme.example/ords/ar\"\n"), "connectors.oracle.list.base_url is `erp.acme");
        check(&format!("{list}\"http://erp.acme.example/ords/ar\"\n"), "in the clear");
        let list = format!("{list}\"https://erp.acme.example/ords/ar\"\n");
        assert_eq!(resolved(&format!("{list}interval = \"1s\"\n")).unwrap().list.unwrap().interval, ASK_EVERY);
        let is_wall = |more: &str| resolved(&format!("{list}{more}")).unwrap().list.unwrap().is_wall_time;
        assert!(!is_wall("") && is_wall("wall_time = true\n"));
        check(&format!("{list}interval = \"0s\"\n"), "connectors.oracle.list.interval is 0s");
        check(&format!("{list}read_all_every = \"0s\"\n"), "read_all_every is 0s");
        check(&format!("{list}tables = [\"NOPE\"]\n"), "names `NOPE`, which the mapping has not: write some of ");
        check(&format!("{list}tables = []\n"), "connectors.oracle.list.tables is empty");
        check("[file]\n", "file.path is missing");
    }
}
