//! Where a distributed store lives.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::Retention;

/// Servers and names of a distributed store. It may hold passwords, so it prints neither addresses of
/// Redis nor properties.
#[derive(Clone)]
pub struct DistributedOptions {
    /// Kafka brokers, `host:port` with commas between them.
    pub brokers: String,
    /// Further properties of the Kafka client, such as `security.protocol`.
    pub kafka: BTreeMap<String, String>,
    /// Redis as URLs (`redis://` or `rediss://`): one server, or some nodes of a cluster.
    pub redis: Vec<String>,
    /// Name of the deployment: prefix of its topics and keys.
    pub name: String,
    /// Partitions that the rows of a new store lie in; one that is there keeps its number, and another is
    /// refused. None takes what is there, or [`PARTITIONS`].
    pub partitions: Option<u32>,
    /// Replicas of topics that are created; those that exist keep theirs.
    pub replicas: i32,
    /// How long facts are kept, in milliseconds.
    pub facts_ms: i64,
    /// How long payloads and quarantined inputs are kept.
    pub retention: Retention,
    /// Name of this process among those that may own the store; one that comes back under its name takes
    /// its turn again at once. Without a name another process waits until the silence counts as its end.
    pub member: Option<String>,
    /// How long a process may be silent before another takes its turn.
    pub silence_max: Duration,
    /// How long a call waits for a server before it says that it does not answer.
    pub patience: Duration,
}

/// Partitions of the rows of a new store unless configured.
pub const PARTITIONS: u32 = 16;
/// The most partitions that the rows of a store may lie in.
pub const PARTITIONS_MAX: u32 = 256;

/// How long facts are kept unless configured: 400 days.
const FACTS_MS: i64 = 400 * ontology::Millis::DAY_MS;

impl std::fmt::Debug for DistributedOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DistributedOptions")
            .field("brokers", &self.brokers)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl DistributedOptions {
    /// A store with the usual settings on these servers, under this name.
    #[must_use]
    pub fn new(brokers: impl Into<String>, redis: Vec<String>, name: impl Into<String>) -> Self {
        DistributedOptions {
            brokers: brokers.into(),
            kafka: BTreeMap::new(),
            redis,
            name: name.into(),
            partitions: None,
            replicas: 1,
            facts_ms: FACTS_MS,
            retention: Retention::default(),
            member: None,
            silence_max: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }

    /// What every Kafka client of the store begins with.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", format!("opshub-{}", self.name));
        // Told in errors where a call fails; the client's own lines would repeat it.
        config.set("log.connection.close", "false");
        for (key, value) in &self.kafka {
            config.set(key, value);
        }
        config
    }
}
