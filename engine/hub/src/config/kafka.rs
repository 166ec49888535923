//! What every section has that leads to Kafka.

use std::collections::BTreeMap;

use connectors::edge::credentials::Secret;

use super::{Error, SecretRef};

/// What the names of topics begin with: as it is written, or `opshub`.
pub(super) fn topic_prefix(key: &str, written: Option<String>) -> Result<String, Error> {
    let prefix = written.unwrap_or_else(|| "opshub".to_owned());
    let is_fit = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    if prefix.is_empty() || !prefix.chars().all(is_fit) {
        let problem = "is no beginning of a topic's name: write letters, digits, `.`, `_` and `-`";
        return Err(Error::key(key, problem));
    }
    Ok(prefix)
}

/// Properties of the client, those among them that are secrets read from where `section` says.
pub(super) fn properties(
    section: &str,
    plain: BTreeMap<String, String>,
    secrets: BTreeMap<String, SecretRef>,
) -> Result<BTreeMap<String, Secret>, Error> {
    let mut properties: BTreeMap<_, _> = plain.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    for (name, reference) in secrets {
        let value = reference.read(&format!("{section}.secrets.{name}"))?;
        properties.insert(name, value);
    }
    Ok(properties)
}
