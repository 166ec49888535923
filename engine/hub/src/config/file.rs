//! What may be written in a configuration file. Unknown keys are errors: a misspelt key that is
//! passed over is a setting that silently does not hold.
//!
//! Everything is optional here, because a part may come from the environment; [`super::ConfigFile::resolve`]
//! tells what is missing from the whole.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::SecretRef;
use super::api::ApiSection;
use super::commands::CommandsSection;
use super::freshness::LagMaxSection;
use super::oracle::OracleSection;
use super::outputs::OutputsSection;
use super::sap::SapSection;
use super::store::StoreSection;
use super::wxcc::WxccSection;
use super::zendesk::ZendeskSection;
use crate::app::BATCH_MAX;
use crate::scenario::time::duration;

/// A whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// Where facts are kept.
    pub store: StoreSection,
    /// How the API is served.
    pub api: ApiSection,
    /// Where sources push to.
    pub doors: PlainSection,
    /// Where the metrics page is served.
    pub metrics: PlainSection,
    /// How the engine works.
    pub engine: EngineSection,
    /// The sources; one that is absent is not connected.
    pub connectors: ConnectorsSection,
    /// Where actions and events go.
    pub outputs: OutputsSection,
    /// Commands that are carried out in the systems themselves; default none.
    pub commands: CommandsSection,
}

/// A listener without TLS of its own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlainSection {
    /// Where it listens; default `127.0.0.1:7401` for doors, `127.0.0.1:7402` for metrics.
    #[serde(deserialize_with = "listen_where_set")]
    pub listen: Option<SocketAddr>,
    /// Whether a proxy in front ends TLS, so that another address than loopback may be used; default `false`.
    pub behind_proxy: bool,
}

/// An address to listen on.
pub(super) fn listen<'de, D: Deserializer<'de>>(source: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(source)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "expected an address and a port by their numbers, such as 127.0.0.1:7400, found `{text}`"
        ))
    })
}

fn listen_where_set<'de, D: Deserializer<'de>>(source: D) -> Result<Option<SocketAddr>, D::Error> {
    listen(source).map(Some)
}

/// How the engine works.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSection {
    /// Shards of each stage; any number gives the same answers; default `1`.
    pub shards: usize,
    /// Largest number of facts in one block; default `65536`.
    pub batch_max: usize,
    /// IANA name of the zone that calendar words are read in; default `UTC`.
    pub business_tz: Option<String>,
    /// How long a contradiction must hold before it opens; default `60s`.
    pub grace: Option<Span>,
    /// How long a transfer waits for missing context; default `60s`.
    pub hold: Option<Span>,
    /// Minor units that two amounts may differ by and still be equal; default `1`.
    pub tolerance_minor: Option<i64>,
    /// How far back ended interactions count for a handoff; default `30d`.
    pub interaction_window: Option<Span>,
    /// How far back finished service orders count for a handoff; default `30d`.
    pub order_window: Option<Span>,
    /// Model file that decides identity; default: the shipped model.
    pub model: Option<PathBuf>,
    /// How far the watermark of each source may lag before it is stale.
    pub lag_max: LagMaxSection,
}

impl Default for EngineSection {
    fn default() -> Self {
        EngineSection {
            shards: 1,
            batch_max: BATCH_MAX,
            business_tz: None,
            grace: None,
            hold: None,
            tolerance_minor: None,
            interaction_window: None,
            order_window: None,
            model: None,
            lag_max: LagMaxSection::default(),
        }
    }
}

/// The sources.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectorsSection {
    /// Mapping files, at most one for a system; a system without one is read by the shipped mapping.
    pub mappings: Vec<PathBuf>,
    /// Whether passwords and tokens may go to sources on other machines without TLS; default `false`.
    pub plaintext: bool,
    /// Salesforce.
    pub salesforce: Option<SalesforceSection>,
    /// Oracle receivables.
    pub oracle: Option<OracleSection>,
    /// Webex Contact Center.
    pub wxcc: Option<WxccSection>,
    /// SAP field service.
    pub sap: Option<SapSection>,
    /// Zendesk.
    pub zendesk: Option<ZendeskSection>,
}

/// Salesforce: change events from the bus, records by REST.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SalesforceSection {
    /// Login address of the organisation.
    pub login_url: Option<String>,
    /// Address of the event bus; default `https://api.pubsub.salesforce.com:7443`.
    pub bus_url: Option<String>,
    /// Consumer key.
    pub client_id: Option<String>,
    /// Consumer secret; leave it out where `jwt` stands.
    pub client_secret: Option<SecretRef>,
    /// A key that signs assertions, instead of the consumer secret.
    pub jwt: Option<JwtSection>,
    /// Certificate authority of the bus in PEM.
    pub ca: Option<PathBuf>,
    /// Topic; default `/data/ChangeEvents`.
    pub topic: Option<String>,
    /// Read all records before the first event; default `true`.
    pub read_all_first: Option<bool>,
    /// Silence after which the stream counts as dead; default `300s`.
    pub silence_max: Option<Span>,
    /// Time between two comparisons of what came with the organisation's own list; default `60s`.
    pub audit_every: Option<Span>,
    /// How long a change may be under way before it counts as missing; default `60s`.
    pub settle: Option<Span>,
    /// Percent of a day's event deliveries or calls of which less is warned of; default `10`.
    pub allowance_percent_min: Option<u8>,
}

/// Salesforce: logging in by a signed assertion.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JwtSection {
    /// User that the connector acts as.
    pub user: Option<String>,
    /// Private RSA key in PEM, whose certificate the connected app holds.
    pub key: Option<SecretRef>,
    /// Audience; default `https://login.salesforce.com`, for sandboxes `https://test.salesforce.com`.
    pub audience: Option<String>,
}

/// A length of time, written `60s`, `5m`, `1h30m` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(i64);

impl Span {
    /// In milliseconds.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0
    }

    /// The span, if work can be paced by it.
    ///
    /// # Errors
    /// A span of no length; `key` is where it stands.
    pub(super) fn above_zero(self, key: &str) -> Result<Self, super::Error> {
        if self.0 > 0 { Ok(self) } else { Err(super::Error::key(key, "is 0s: write a span above 0, such as 60s")) }
    }

    /// For a timer; at least a millisecond.
    #[must_use]
    pub fn timer(self) -> Duration {
        Duration::from_millis(self.0.max(1).unsigned_abs())
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        duration(&text).map(Span)
    }
}
