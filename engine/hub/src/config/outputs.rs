//! The section of outputs: where actions and events go.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Error, SecretRef, address, kafka as client};
use crate::outputs::KafkaOutput;
use crate::receiver::{Receiver, Webhook};

/// Partitions of topics that the hub makes, unless configured.
const PARTITIONS: i32 = 6;
/// Secrets that actions are signed with at once.
const SECRETS_MAX: usize = 2;

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
    /// The address; `https`, or on this machine `http`.
    pub url: String,
    /// What actions are signed with, one or two while one is being replaced; needed for another machine.
    #[serde(default)]
    pub secrets: Vec<SecretRef>,
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

pub(super) fn webhook(section: WebhookSection) -> Result<Receiver, Error> {
    let url = address::web("outputs.webhook.url", &section.url)?;
    if address::is_plain_elsewhere(&url) {
        return Err(Error::key("outputs.webhook.url", "leads to another machine without TLS: write https"));
    }
    let key = "outputs.webhook.secrets";
    if section.secrets.is_empty() && !address::is_here(&url) {
        return Err(Error::key(key, "is missing: what goes to another machine is signed; write [\"file:PATH\"]"));
    }
    if section.secrets.len() > SECRETS_MAX {
        return Err(Error::key(key, format!("names more than {SECRETS_MAX}: the one in use, and the one it replaces")));
    }
    let secrets = section.secrets.iter().enumerate();
    let secrets = secrets.map(|(i, secret)| secret.read(&format!("{key}[{i}]"))).collect::<Result<_, _>>()?;
    Ok(Receiver::Webhook(Webhook { url: section.url, secrets }))
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

    #[test]
    fn actions_go_to_another_machine_by_tls_and_signed() {
        let check = |text: &str, expected: Result<usize, &str>| {
            let told = webhook(toml::from_str(text).unwrap());
            match (told, expected) {
                (Ok(Receiver::Webhook(webhook)), Ok(secrets)) => assert_eq!(webhook.secrets.len(), secrets, "{text}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (told, expected) => panic!("{text}: {told:?}, not {expected:?}"),
            }
        };
        check("url = \"https://desk.example/x\"\nsecrets = [\"env:PATH\"]\n", Ok(1));
        check("url = \"http://127.0.0.1:1/x\"\n", Ok(0));
        check("url = \"http://[::1]:1/x\"\n", Ok(0));
        check("url = \"http://localhost/x\"\nsecrets = [\"env:PATH\", \"env:PATH\"]\n", Ok(2));
        check("url = \"http://desk.example/x\"\nsecrets = [\"env:PATH\"]\n", Err("without TLS: write https"));
        check("url = \"https://desk.example/x\"\n", Err("outputs.webhook.secrets is missing"));
        check("url = \"ftp://localhost/x\"\n", Err("no address of http"));
        check("url = \"desk\"\n", Err("which is no address"));
        let three = "[\"env:PATH\", \"env:PATH\", \"env:PATH\"]";
        check(&format!("url = \"https://desk.example/x\"\nsecrets = {three}\n"), Err("names more than 2"));
        check("url = \"https://desk.example/x\"\nsecrets = [\"file:/none\"]\n", Err("outputs.webhook.secrets[0]"));
    }

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
        for wrong in ["127.0.0.1:99999", "127.0.0.1", "localhost:1,", ":9092", "localhost:0"] {
            check(&format!("brokers = \"{wrong}\"\n"), "is no host:port");
        }
        check("brokers = \"far:1\"\n", "TLS and credentials");
        check("brokers = \"localhost:1\"\npartitions = 0\n", "outputs.kafka.partitions is below 1");
        check("brokers = \"localhost:1\"\ntopic_prefix = \"a b\"\n", "outputs.kafka.topic_prefix");
        check("brokers = \"localhost:1\"\n[secrets]\n\"sasl.password\" = \"file:/none\"\n", "secrets.sasl.password");
    }
}
