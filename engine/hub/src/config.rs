//! Configuration: defaults, then a TOML file, then `OPSHUB_SECTION__KEY`, then flags.
//!
//! What may be written is in `config/file.rs`; what the hub is started with lives here, checked as a
//! whole before anything opens. `docs/configuration.md` is the page for people.

mod address;
mod api;
mod commands;
mod connectors;
mod env;
mod example;
mod file;
mod freshness;
mod kafka;
mod oracle;
mod outputs;
mod sap;
mod secret;
mod store;
mod suggest;
mod wxcc;
mod zendesk;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use pipeline::EngineSettings;
use resolver::Model;
use serve::server::Options as ApiOptions;

use crate::actions::Receiver;
use crate::outputs::KafkaOutput;

pub use api::{ApiSection, CallerSection, ProviderSection, TokenSection};
pub use commands::CommandsConfig;
pub use connectors::ConnectorsConfig;
pub use example::example;
pub use file::{ConfigFile, EngineSection, PlainSection};
pub use oracle::OracleSetup;
pub use sap::SapSetup;
pub use secret::SecretRef;
pub use store::{Advertise, StoreConfig, StoreSection};
pub use wxcc::WxccSetup;
pub use zendesk::ZendeskSetup;

/// Prefix of the environment variables that set keys.
pub const ENV_PREFIX: &str = "OPSHUB_";

/// Where sources push to, unless configured.
const DOORS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7401);
/// Where the metrics page is served, unless configured.
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7402);

/// Most shards: beyond the processors of any machine they only cost memory and time at the start.
const SHARDS_MAX: usize = 256;

/// What keeps a configuration from being used. Nothing was opened yet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there or may not be read.
    #[error("read the configuration {path}: {why}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The file is no TOML, or has a key or value that is not known.
    #[error("read the configuration {path}: {problem}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where it is wrong, and what was expected.
        problem: String,
    },
    /// An environment variable sets a key or value that is not known.
    #[error("read the environment variable {name}: {problem}")]
    Env {
        /// The variable.
        name: String,
        /// What was expected.
        problem: String,
    },
    /// A key is missing or has a value that cannot be used.
    #[error("use the configuration: {key} {problem}")]
    Key {
        /// The key, with its section.
        key: String,
        /// What is wrong, and what to write.
        problem: String,
    },
}

impl Error {
    fn key(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Key { key: key.into(), problem: problem.into() }
    }
}

/// What a hub is started with.
#[derive(Debug)]
pub struct Config {
    /// Where the store is.
    pub store: StoreConfig,
    /// Days that reads of the past reach back.
    pub as_of_days: u32,
    /// Where the processes that share the store reach this one.
    pub advertise: Advertise,
    /// How the API is served.
    pub api: ApiOptions,
    /// Where sources push to.
    pub doors: SocketAddr,
    /// Where the metrics page is served.
    pub metrics: SocketAddr,
    /// The engine's settings.
    pub engine: EngineSettings,
    /// The model that decides identity.
    pub model: Model,
    /// Largest number of facts in one block.
    pub batch_max: usize,
    /// The sources.
    pub connectors: ConnectorsConfig,
    /// Where actions go.
    pub receiver: Receiver,
    /// Topics that events are written to.
    pub kafka: Option<KafkaOutput>,
    /// The commands that systems carry out.
    pub commands: CommandsConfig,
}

/// Reads a file, if one is named, and lays the environment over it.
///
/// # Errors
/// If the file cannot be read or anything in it, or in the environment, is not known.
pub fn read(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<ConfigFile, Error> {
    let merged = ConfigFile::from_table(merged(path, environment)?);
    merged.map_err(|problem| Error::key("a section", format!("is set to what it cannot hold: {problem}")))
}

/// Where the store is that a configuration names, whatever else it says.
///
/// # Errors
/// The first key of the store that is missing or cannot be used.
pub fn store_of(file: ConfigFile) -> Result<StoreConfig, Error> {
    store::resolve(file.store).map(|(store, _)| store)
}

/// The files that secrets are read from, each with the key that refers to it.
///
/// # Errors
/// As [`read`].
pub fn secret_files(
    path: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    secret::files_in("", &toml::Value::Table(merged(path, environment)?), &mut found);
    Ok(found)
}

fn merged(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<toml::Table, Error> {
    let mut table = match path {
        None => toml::Table::new(),
        Some(path) => file_table(path)?,
    };
    env::lay_over(&mut table, environment)?;
    Ok(table)
}

fn file_table(path: &Path) -> Result<toml::Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|why| Error::Read { path: path.to_owned(), why })?;
    let wrong = |error: toml::de::Error| {
        let hint = suggest::hint(error.message()).unwrap_or_default();
        Error::File { path: path.to_owned(), problem: format!("{}{hint}", error.to_string().trim_end()) }
    };
    // Read strictly first: only this pass knows in which line an unknown key stands.
    toml::from_str::<ConfigFile>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

impl ConfigFile {
    fn from_table(table: toml::Table) -> Result<Self, String> {
        toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| {
            let hint = suggest::hint(error.message()).unwrap_or_default();
            format!("{}{hint}", error.message())
        })
    }

    /// Checks everything and reads the secrets that are referred to.
    ///
    /// # Errors
    /// The first key that is missing or cannot be used.
    pub fn resolve(self) -> Result<Config, Error> {
        let ConfigFile { store, api, doors, metrics, engine, connectors, outputs, commands } = self;
        let doors = plain("doors", &doors, DOORS)?;
        let metrics = plain("metrics", &metrics, METRICS)?;
        if engine.batch_max == 0 || engine.shards == 0 {
            let key = if engine.shards == 0 { "engine.shards" } else { "engine.batch_max" };
            return Err(Error::key(key, "is 0: write at least 1"));
        }
        if engine.shards > SHARDS_MAX {
            let problem = format!("is {}: write 1 to {SHARDS_MAX}, about as many as processors", engine.shards);
            return Err(Error::key("engine.shards", problem));
        }
        apart(&[("api.listen", api.listen), ("doors.listen", doors), ("metrics.listen", metrics)])?;
        let plaintext = address::Plaintext(connectors.plaintext);
        let connectors = connectors::resolve(connectors)?;
        let as_of_days = store::as_of_days(&store)?;
        let (store, advertise) = store::resolve(store)?;
        Ok(Config {
            store,
            as_of_days,
            advertise,
            api: api::resolve(api)?,
            doors,
            metrics,
            batch_max: engine.batch_max,
            engine: EngineSettings {
                lag_max: freshness::bounds(engine.lag_max, &connectors)?,
                ..engine_settings(&engine)?
            },
            model: engine.model.as_deref().map_or_else(|| Ok(Model::shipped()), read_model)?,
            commands: commands::resolve(commands, &connectors, plaintext)?,
            connectors,
            kafka: outputs.kafka.map(outputs::kafka).transpose()?,
            receiver: outputs.webhook.map_or(Ok(Receiver::Journal), outputs::webhook)?,
        })
    }
}

/// Two listeners cannot have one port; of any port, 0, each takes its own.
fn apart(listeners: &[(&str, SocketAddr)]) -> Result<(), Error> {
    for (i, (key, address)) in listeners.iter().enumerate() {
        let is_taken = |other: &SocketAddr| {
            let (mine, its) = (address.ip().to_canonical(), other.ip().to_canonical());
            other.port() == address.port() && (mine == its || mine.is_unspecified() || its.is_unspecified())
        };
        let other = listeners[..i].iter().find(|(_, other)| address.port() != 0 && is_taken(other));
        if let Some((other, _)) = other {
            return Err(Error::key(
                *key,
                format!("is {address}, where {other} is already: give each a port of its own"),
            ));
        }
    }
    Ok(())
}

/// A plain-text listener stays on this machine unless the operator says what stands before it.
fn plain(name: &str, section: &PlainSection, default: SocketAddr) -> Result<SocketAddr, Error> {
    let listen = section.listen.unwrap_or(default);
    if listen.ip().to_canonical().is_loopback() || section.behind_proxy {
        return Ok(listen);
    }
    let problem = format!(
        "is {listen}, which others can reach without TLS: listen on 127.0.0.1, or set {name}.behind_proxy = true if \
         a proxy in front ends TLS and keeps others out"
    );
    Err(Error::key(format!("{name}.listen"), problem))
}

/// Reads a model file as `opshub resolve train` and `calibrate` write it.
fn read_model(path: &Path) -> Result<Model, Error> {
    let key = |problem: String| Error::key("engine.model", problem);
    let text = std::fs::read_to_string(path)
        .map_err(|error| key(format!("is {}, which cannot be read: {error}", path.display())))?;
    Model::parse(&text).map_err(|error| key(format!("is {}, which is no model: {error}", path.display())))
}

fn engine_settings(section: &EngineSection) -> Result<EngineSettings, Error> {
    let mut settings = EngineSettings { shards: section.shards, ..EngineSettings::default() };
    let insight = &mut settings.insight;
    if let Some(zone) = &section.business_tz {
        insight.business_tz = TimeZone::get(zone).map_err(|_| {
            Error::key("engine.business_tz", format!("is `{zone}`: write an IANA name such as Europe/Berlin"))
        })?;
    }
    if section.tolerance_minor.is_some_and(|minor| minor < 0) {
        return Err(Error::key("engine.tolerance_minor", "is negative: write 0 or more minor units"));
    }
    insight.tolerance_minor = section.tolerance_minor.unwrap_or(insight.tolerance_minor);
    insight.grace_ms = section.grace.map_or(insight.grace_ms, |span| span.ms());
    insight.hold_max_ms = section.hold.map_or(insight.hold_max_ms, |span| span.ms());
    insight.interaction_window_ms = section.interaction_window.map_or(insight.interaction_window_ms, |span| span.ms());
    insight.order_window_ms = section.order_window.map_or(insight.order_window_ms, |span| span.ms());
    Ok(settings)
}

#[cfg(test)]
mod tests;
