//! The section of the store: a folder, or servers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use connectors::edge::loopback::is_loopback;
use serde::Deserialize;
use storage::{DistributedOptions, PARTITIONS_MAX};

use super::file::Span;
use super::{Error, SecretRef, kafka};
use crate::outputs::check_brokers;
use crate::stands::{AS_OF_DAYS, AS_OF_DAYS_MAX};

/// Where facts are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Folder of the store; default `.opshub/store`.
    pub dir: PathBuf,
    /// Days that reads of the past reach back; a folder keeps its log for that long; default `90`.
    pub as_of_days: Option<u32>,
    /// Servers in place of a folder.
    pub distributed: Option<DistributedSection>,
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection { dir: PathBuf::from(".opshub/store"), as_of_days: None, distributed: None }
    }
}

/// Servers that keep the store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistributedSection {
    /// Brokers of the log, `host:port` with commas between them.
    pub brokers: Option<String>,
    /// Redis that holds the rows: the URL of one server, or of some nodes of a cluster.
    pub redis: Vec<String>,
    /// User at Redis.
    pub redis_user: Option<String>,
    /// Its password.
    pub redis_password: Option<SecretRef>,
    /// Name of the deployment, which its topics and keys begin with; default `opshub`.
    pub name: Option<String>,
    /// Partitions that rows of a new store lie in, up to `256`; default `16`, or what the store has.
    pub partitions: Option<u32>,
    /// Replicas of topics that the hub makes; default `3`.
    pub replicas: Option<i32>,
    /// Name of this process among those that may own the store: one that comes back under its name takes
    /// its turn again at once; default none.
    pub member: Option<String>,
    /// How long a process may be silent before another takes its turn; default `10s`.
    pub silence_max: Option<Span>,
    /// Where the other processes reach this one's API, `host:port`; default where the API listens.
    pub advertise: Option<String>,
    /// Where they reach its doors, `host:port`; default where the doors listen.
    pub advertise_doors: Option<String>,
    /// Authorities in PEM that the API's certificates come from: over TLS calls are forwarded only with
    /// them; default none.
    pub advertise_ca: Option<PathBuf>,
    /// Further properties of the Kafka client, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
    /// Properties that are secrets, such as `sasl.password`, by reference.
    pub secrets: BTreeMap<String, SecretRef>,
}

/// Replicas of topics, unless configured.
const REPLICAS: i32 = 3;

/// Where a hub keeps its store.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// In a folder.
    Embedded(PathBuf),
    /// On servers.
    Distributed(Box<DistributedOptions>),
}

/// Where the processes of a deployment reach each other.
#[derive(Debug, Clone, Default)]
pub struct Advertise {
    /// Host and port of this process's API; none where it is as it listens.
    pub api: Option<String>,
    /// Host and port of its doors.
    pub doors: Option<String>,
    /// Authorities that the API's certificates come from, in PEM.
    pub authorities_pem: Option<Vec<u8>>,
}

/// Days that reads of the past reach back.
pub(super) fn as_of_days(section: &StoreSection) -> Result<u32, Error> {
    let key = |problem: String| Err(Error::key("store.as_of_days", problem));
    match section.as_of_days {
        None => Ok(AS_OF_DAYS),
        Some(_) if section.distributed.is_some() => key(
            "is set beside store.distributed: leave it out, Kafka's retention.ms of the topic of facts decides there"
                .to_owned(),
        ),
        Some(days @ 1..=AS_OF_DAYS_MAX) => Ok(days),
        Some(days) => key(format!("is {days}: write 1 to {AS_OF_DAYS_MAX} days")),
    }
}

pub(super) fn resolve(section: StoreSection) -> Result<(StoreConfig, Advertise), Error> {
    let Some(servers) = section.distributed else {
        if section.dir.as_os_str().is_empty() {
            return Err(Error::key("store.dir", "is empty: write the folder of the store"));
        }
        return Ok((StoreConfig::Embedded(section.dir), Advertise::default()));
    };
    let advertise = advertised(&servers)?;
    let key = |name: &str, problem: &str| Error::key(format!("store.distributed.{name}"), problem);
    let brokers = servers.brokers.filter(|brokers| !brokers.trim().is_empty());
    let brokers = brokers.ok_or_else(|| key("brokers", "is missing: write host:port"))?;
    let name = kafka::topic_prefix("store.distributed.name", servers.name)?;
    let replicas = servers.replicas.unwrap_or(REPLICAS);
    if replicas < 1 {
        return Err(key("replicas", "is below 1: a topic has at least one"));
    }
    if servers.partitions.is_some_and(|partitions| !(1..=PARTITIONS_MAX).contains(&partitions)) {
        return Err(key("partitions", &format!("is not from 1 to {PARTITIONS_MAX}")));
    }
    let properties = kafka::properties("store.distributed", servers.properties, servers.secrets)?;
    check_brokers(&brokers, &properties).map_err(|problem| key("brokers", &problem))?;
    let password = servers.redis_password.map(|reference| reference.read("store.distributed.redis_password"));
    let password = password.transpose()?;
    let redis = servers.redis.iter().map(|url| {
        redis_url(url, servers.redis_user.as_deref(), password.as_ref().map(|secret| secret.expose()))
            .map_err(|problem| key("redis", &problem))
    });
    let redis = redis.collect::<Result<Vec<_>, _>>()?;
    if redis.is_empty() {
        return Err(key("redis", "is missing: write [\"redis://host:port\"]"));
    }
    let kafka = properties.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let mut options = DistributedOptions { kafka, replicas, ..DistributedOptions::new(brokers, redis, name) };
    (options.member, options.partitions) = (servers.member, servers.partitions);
    if let Some(span) = servers.silence_max {
        let span = span.above_zero("store.distributed.silence_max")?;
        options.silence_max = Duration::from_millis(u64::try_from(span.ms()).unwrap_or_default());
    }
    Ok((StoreConfig::Distributed(Box::new(options)), advertise))
}

/// Where the others reach this process.
fn advertised(servers: &DistributedSection) -> Result<Advertise, Error> {
    for (name, address) in [("advertise", &servers.advertise), ("advertise_doors", &servers.advertise_doors)] {
        let is_address = |address: &str| {
            let parts = address.rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok())
        };
        if address.as_deref().is_some_and(|address| !is_address(address)) {
            return Err(Error::key(format!("store.distributed.{name}"), "is no address: write host:port"));
        }
    }
    let read = |path: &PathBuf| {
        let problem = |error| format!("cannot read {}: {error}", path.display());
        std::fs::read(path).map_err(|error| Error::key("store.distributed.advertise_ca", problem(error)))
    };
    Ok(Advertise {
        api: servers.advertise.clone(),
        doors: servers.advertise_doors.clone(),
        authorities_pem: servers.advertise_ca.as_ref().map(read).transpose()?,
    })
}

/// The URL with its user and password; one on another machine needs TLS and a password.
fn redis_url(url: &str, user: Option<&str>, password: Option<&str>) -> Result<String, String> {
    let Some((scheme @ ("redis" | "rediss"), address)) = url.split_once("://") else {
        return Err("holds what is no URL of Redis: write redis://host:port, or rediss://host:port for TLS".to_owned());
    };
    if address.contains('@') {
        return Err("holds a user or password: write them in redis_user and redis_password".to_owned());
    }
    let host = address.split('/').next().unwrap_or_default();
    if !is_loopback(host) && (scheme != "rediss" || password.is_none()) {
        return Err(format!("names {host} on another machine, which needs rediss:// and redis_password"));
    }
    let quote = |text: &str| text.bytes().map(quoted).collect::<String>();
    Ok(match password {
        Some(password) => format!("{scheme}://{}:{}@{address}", quote(user.unwrap_or_default()), quote(password)),
        None => url.to_owned(),
    })
}

/// A byte as URLs hold it.
fn quoted(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<StoreConfig, String> {
        resolve(toml::from_str(text).unwrap()).map(|(store, _)| store).map_err(|error| error.to_string())
    }

    const SERVERS: &str = "[distributed]\nbrokers = \"127.0.0.1:1\"\nredis = [\"redis://127.0.0.1:2\"]\n";

    #[test]
    fn a_store_is_a_folder_unless_servers_are_named() {
        assert!(matches!(resolved("").unwrap(), StoreConfig::Embedded(dir) if dir.ends_with("store")));
        let StoreConfig::Distributed(options) = resolved(SERVERS).unwrap() else { panic!("servers are named") };
        assert_eq!((options.name.as_str(), options.replicas), ("opshub", 3));
        assert_eq!(options.redis, ["redis://127.0.0.1:2"]);
    }

    #[test]
    fn the_past_reaches_back_within_bounds_and_only_a_folder_is_told_how_far() {
        let days = |text: &str| as_of_days(&toml::from_str(text).unwrap()).map_err(|error| error.to_string());
        assert_eq!(days(""), Ok(90));
        assert_eq!((days("as_of_days = 1"), days("as_of_days = 3660")), (Ok(1), Ok(3_660)));
        for wrong in [0, 3_661] {
            let error = days(&format!("as_of_days = {wrong}")).unwrap_err();
            assert!(error.contains(&format!("store.as_of_days is {wrong}: write 1 to 3660 days")), "{error}");
        }
        assert_eq!(days(SERVERS), Ok(90));
        let error = days(&format!("as_of_days = 30\n{SERVERS}")).unwrap_err();
        assert!(error.contains("retention.ms"), "{error}");
    }

    #[test]
    fn what_is_missing_or_unsafe_is_told() {
        let check = |text: &str, expected: &str| {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("dir = \"\"\n", "store.dir is empty");
        check(&format!("{SERVERS}silence_max = \"0s\"\n"), "silence_max is 0s");
        check("[distributed]\nbrokers = \"127.0.0.1:99999\"\n", "no host:port");
        check("[distributed]\n", "store.distributed.brokers is missing");
        check("[distributed]\nbrokers = \"127.0.0.1:1\"\n", "store.distributed.redis is missing");
        check("[distributed]\nbrokers = \"far:1\"\n", "TLS and credentials");
        check(&format!("{SERVERS}replicas = 0\n"), "replicas is below 1");
        for (partitions, is_refused) in [(0, true), (1, false), (256, false), (257, true)] {
            let refused = resolved(&format!("{SERVERS}partitions = {partitions}\n"));
            assert_eq!(refused.is_err_and(|text| text.contains("partitions is not from 1 to 256")), is_refused);
        }
        for wrong in ["hub", "hub:", ":7400", "http://hub:7400", "hub:70000"] {
            check(&format!("{SERVERS}advertise = \"{wrong}\"\n"), "advertise is no address");
            check(&format!("{SERVERS}advertise_doors = \"{wrong}\"\n"), "advertise_doors is no address");
        }
        check(&format!("{SERVERS}advertise_ca = \"/none\"\n"), "advertise_ca cannot read");
        check(&format!("{SERVERS}name = \"a b\"\n"), "store.distributed.name");
        check(&format!("{SERVERS}redis_password = \"file:/none\"\n"), "store.distributed.redis_password");
        for (url, expected) in [
            ("redis://far:1", "needs rediss://"),
            ("rediss://far:1", "redis_password"),
            ("127.0.0.1:1", "no URL of Redis"),
            ("redis://u:p@127.0.0.1:1", "redis_user"),
        ] {
            check(&SERVERS.replace("redis://127.0.0.1:2", url), expected);
        }
    }

    #[test]
    fn credentials_stand_in_the_url_as_urls_hold_them() {
        let url = redis_url("rediss://far:1/0", Some("hub"), Some("a:b@c")).unwrap();
        assert_eq!(url, "rediss://hub:a%3Ab%40c@far:1/0");
        assert_eq!(redis_url("redis://localhost:1", None, Some("p")).unwrap(), "redis://:p@localhost:1");
        assert_eq!(redis_url("redis://[::1]:1", None, None).unwrap(), "redis://[::1]:1");
    }
}
