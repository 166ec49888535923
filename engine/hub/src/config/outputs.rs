//! The section of outputs: where actions and events go.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Error, SecretRef, kafka as client};
use crate::outputs::KafkaOutput;

/// Partitions of topics that the hub makes, unless configured.
const PARTITIONS: i32 = 6;

/// Where actions and events go.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputsSection {
    /// A web address that takes actions; without one they go to the hub's own log.
    pub webhook: Option<WebhookSection>,
    /// Topics that events are written to.
    pub kafka: Option<KafkaOutputSection>,
}

/// A web address that takes actions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// The address.
    pub url: String,
}

/// Topics that events are written to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaOutputSection {
    /// Brokers, `host:port` with commas between them.
    pub brokers: Option<String>,
    /// What the names of the topics begin with; default `opshub`.
    pub topic_prefix: Option<String>,
    /// What events say they come from; default `/opshub`.
    pub source: Option<String>,
    /// Partitions of topics that the hub makes; default `6`.
    pub partitions: Option<i32>,
    /// Further properties of the Kafka client, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
    /// Properties that are secrets, such as `sasl.password`, by reference.
    pub secrets: BTreeMap<String, SecretRef>,
}

pub(super) fn kafka(section: KafkaOutputSection) -> Result<KafkaOutput, Error> {
    let brokers = section.brokers.filter(|brokers| !brokers.trim().is_empty());
    let partitions = section.partitions.unwrap_or(PARTITIONS);
    if partitions < 1 {
        return Err(Error::key("outputs.kafka.partitions", "is below 1: a topic has at least one"));
    }
    let topic_prefix = client::topic_prefix("outputs.kafka.topic_prefix", section.topic_prefix)?;
    let properties = client::properties("outputs.kafka", section.properties, section.secrets)?;
    let output = KafkaOutput {
        brokers: brokers.ok_or_else(|| Error::key("outputs.kafka.brokers", "is missing: write host:port"))?,
        topic_prefix,
        source: section.source.unwrap_or_else(|| "/opshub".to_owned()),
        partitions,
        properties,
    };
    output.check().map_err(|problem| Error::key("outputs.kafka", problem))?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<KafkaOutput, String> {
        kafka(toml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_needs_brokers_and_nothing_else() {
        let output = resolved("brokers = \"localhost:1\"\n").unwrap();
        assert_eq!((output.topic_prefix.as_str(), output.source.as_str()), ("opshub", "/opshub"));
        assert_eq!(output.partitions, PARTITIONS);
    }

    #[test]
    fn what_is_missing_or_unsafe_is_told() {
        let check = |text: &str, expected: &str| {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("", "outputs.kafka.brokers is missing");
        check("brokers = \" \"\n", "outputs.kafka.brokers is missing");
        check("brokers = \"far:1\"\n", "TLS and credentials");
        check("brokers = \"localhost:1\"\npartitions = 0\n", "outputs.kafka.partitions is below 1");
        check("brokers = \"localhost:1\"\ntopic_prefix = \"a b\"\n", "outputs.kafka.topic_prefix");
        check("brokers = \"localhost:1\"\n[secrets]\n\"sasl.password\" = \"file:/none\"\n", "secrets.sasl.password");
    }
}
