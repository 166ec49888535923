//! Secrets stand in a configuration by reference, so that the file can be shown and kept.

use std::path::PathBuf;

use connectors::edge::credentials::Secret;
use serde::Deserialize;

use super::Error;

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file, without the line end behind it.
    File(PathBuf),
}

impl SecretRef {
    /// Reads the secret. `key` is where the reference stands.
    ///
    /// # Errors
    /// If it is not there or empty.
    pub fn read(&self, key: &str) -> Result<Secret, Error> {
        let text = match self {
            SecretRef::Env(name) => std::env::var(name)
                .map_err(|_| Error::key(key, format!("refers to the environment variable {name}, which is not set")))?,
            SecretRef::File(path) => std::fs::read_to_string(path).map_err(|error| {
                Error::key(key, format!("refers to the file {}, which cannot be read: {error}", path.display()))
            })?,
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(Error::key(key, "refers to an empty secret"));
        }
        Ok(Secret::new(secret))
    }
}

impl std::str::FromStr for SecretRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(SecretRef::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(SecretRef::File(PathBuf::from(path))),
            // What was written may be the secret itself, so it is not repeated.
            Some(_) | None => Err("a secret is given by reference: write env:NAME or file:PATH".to_owned()),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Collects the references to files below a key.
pub(super) fn files_in(key: &str, value: &toml::Value, found: &mut Vec<(String, PathBuf)>) {
    match value {
        toml::Value::String(text) => {
            if let Ok(SecretRef::File(path)) = text.parse() {
                found.push((key.to_owned(), path));
            }
        }
        toml::Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                files_in(&format!("{key}[{i}]"), value, found);
            }
        }
        toml::Value::Table(table) => {
            for (name, value) in table {
                let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                files_in(&below, value, found);
            }
        }
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => {}
    }
}
