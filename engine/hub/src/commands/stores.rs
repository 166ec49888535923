//! The stores that commands read whole: a folder that no hub has open, or servers on which no hub runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use clap::Args;
use storage::{Distributed, DistributedOptions, Store, Turn};

use super::serve::environment;
use super::{CONFIG_INVALID, FAILED, Failure, NOT_FOUND, open_store};
use crate::client::USAGE;
use crate::config::{self, StoreConfig};

/// How much longer than a silent owner keeps its turn a command waits for it.
const TURN_MARGIN: Duration = Duration::from_secs(10);

/// The servers of a distributed store, for commands that need no configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct ServersArgs {
    /// Kafka brokers of the distributed form, `host:port` with commas between them.
    #[arg(long, value_name = "BROKERS", env = "OPSHUB_KAFKA")]
    kafka: Option<String>,
    /// Redis of the distributed form: `redis://` URLs of one server or of some nodes of a cluster.
    #[arg(long, value_name = "URL", env = "OPSHUB_REDIS", value_delimiter = ',')]
    redis: Vec<String>,
}

impl ServersArgs {
    /// Whether the call itself names servers; those that the environment names are there for every call.
    pub(super) fn are_told(&self) -> bool {
        let around = |name: &str| std::env::var(name).unwrap_or_default();
        self.kafka.as_ref().is_some_and(|kafka| *kafka != around("OPSHUB_KAFKA"))
            || !self.redis.is_empty() && self.redis.join(",") != around("OPSHUB_REDIS")
    }

    /// A store of this name on them.
    pub(super) fn named(&self, name: &str) -> Result<DistributedOptions, Failure> {
        let Some(brokers) = self.kafka.as_ref().filter(|_| !self.redis.is_empty()) else {
            let why = "use the distributed form: no servers are named; write --kafka HOST:PORT and --redis \
                       redis://HOST:PORT, or start some with `fixtures/services up` and take their addresses from \
                       target/services/env";
            return Err(Failure::with(USAGE, anyhow::anyhow!(why)));
        };
        let urls = self.redis.iter().map(|url| match url.contains("://") {
            true => url.clone(),
            false => format!("redis://{url}"),
        });
        Ok(DistributedOptions::new(brokers.clone(), urls.collect(), name))
    }
}

/// An open store, with the turn to own it where it is on servers.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    _turn: Option<Turn>,
}

/// Opens the store that a configuration names, or the one in `dir` if there is no configuration.
pub(super) fn open(config: Option<&Path>, dir: &Path) -> Result<Opened, Failure> {
    let Some(config) = config else { return folder(dir) };
    match configured(config)? {
        StoreConfig::Embedded(dir) => folder(&dir),
        StoreConfig::Distributed(options) => {
            // Asked first: whoever queues for a store makes its topics.
            if !Distributed::look(&options)?.has_topics {
                let (name, file) = (&options.name, config.display());
                let text = format!("open the store {name}: there is none on the servers of {file}");
                return Err(Failure::with(NOT_FOUND, anyhow::anyhow!(text)));
            }
            let turn = take_turn(&options)?;
            Ok(Opened { store: Arc::new(Distributed::open(*options)?), _turn: Some(turn) })
        }
    }
}

fn folder(dir: &Path) -> Result<Opened, Failure> {
    Ok(Opened { store: Arc::new(open_store(dir)?), _turn: None })
}

/// Where the store of a configuration is.
pub(super) fn configured(config: &Path) -> Result<StoreConfig, Failure> {
    let resolved = config::read(Some(config), environment()).and_then(config::store_of);
    resolved.map_err(|error| Failure::with(CONFIG_INVALID, error))
}

/// Waits for the turn to own a store, which no running hub gives away.
pub(super) fn take_turn(options: &DistributedOptions) -> Result<Turn, Failure> {
    // Under the name of a hub it would take that hub's turn.
    let options = DistributedOptions { member: None, ..options.clone() };
    let (tell, told) = sync_channel(1);
    let turn = Turn::queue(&options, move |is_mine| {
        // Nobody listens any more once the turn has come.
        let _ = tell.try_send(is_mine);
    })?;
    match told.recv_timeout(options.silence_max + TURN_MARGIN) {
        Ok(true) => Ok(turn),
        Ok(false) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let text =
                format!("open the store {}: a hub owns it, stop every hub of this configuration first", options.name);
            Err(Failure::with(FAILED, anyhow::anyhow!(text)))
        }
    }
}
