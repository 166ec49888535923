//! The sources of a configuration, checked: a source is connected when its section is there.

use std::collections::BTreeSet;
use std::time::Duration;

use connectors::Mapping;
use connectors::edge::credentials::Secret;
use connectors::oracle::transport::{OracleConfig, OracleListConfig};
use connectors::salesforce::rest::RestConfig;
use connectors::salesforce::transport::SalesforceConfig;
use connectors::sap::transport::{SapConfig, SapListConfig};
use connectors::wxcc::transport::{WxccConfig, WxccSearchConfig};
use ontology::System;

use super::file::{
    ConnectorsSection, OracleListSection, OracleSection, SalesforceSection, SapListSection, SapSection, Span,
    WxccSearchSection, WxccSection,
};
use super::{Error, SecretRef};

/// Time between runs of a list job.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// Silence after which an event stream counts as dead: keepalives come within 270 s.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// Where Salesforce serves its event bus.
const BUS_URL: &str = "https://api.pubsub.salesforce.com:7443";
/// The topic of all change events.
const TOPIC: &str = "/data/ChangeEvents";
/// Signing secrets of webhooks that may be live at once.
const SECRETS_MAX: usize = 2;

/// The sources that are connected.
#[derive(Debug, Default)]
pub struct ConnectorsConfig {
    /// Salesforce.
    pub salesforce: Option<SalesforceConfig>,
    /// Oracle receivables.
    pub oracle: Option<OracleSetup>,
    /// Webex Contact Center.
    pub wxcc: Option<WxccSetup>,
    /// SAP field service.
    pub sap: Option<SapSetup>,
}

/// Oracle's door and its list job.
#[derive(Debug)]
pub struct OracleSetup {
    /// The door.
    pub door: OracleConfig,
    /// The list job.
    pub list: Option<OracleListConfig>,
}

/// The contact centre's door and its list job.
#[derive(Debug)]
pub struct WxccSetup {
    /// The door.
    pub door: WxccConfig,
    /// The list job.
    pub search: Option<WxccSearchConfig>,
}

/// SAP's door and its list job.
#[derive(Debug)]
pub struct SapSetup {
    /// The door.
    pub door: SapConfig,
    /// The list job.
    pub list: Option<SapListConfig>,
}

impl ConnectorsConfig {
    /// Connected systems of which nothing tells that they are alive. Oracle's capture sends
    /// heartbeats and Salesforce's bus keepalives; the others are known alive by their list job.
    #[must_use]
    pub fn unmonitored(&self) -> Vec<System> {
        let is_mute = [
            (System::Wxcc, self.wxcc.as_ref().is_some_and(|wxcc| wxcc.search.is_none())),
            (System::Sap, self.sap.as_ref().is_some_and(|sap| sap.list.is_none())),
        ];
        is_mute.into_iter().filter(|(_, is_mute)| *is_mute).map(|(system, _)| system).collect()
    }
}

pub(super) fn resolve(section: ConnectorsSection) -> Result<ConnectorsConfig, Error> {
    Ok(ConnectorsConfig {
        salesforce: section.salesforce.map(salesforce).transpose()?,
        oracle: section.oracle.map(oracle).transpose()?,
        wxcc: section.wxcc.map(wxcc).transpose()?,
        sap: section.sap.map(sap).transpose()?,
    })
}

fn salesforce(section: SalesforceSection) -> Result<SalesforceConfig, Error> {
    let at = Section("connectors.salesforce");
    let ca_pem = match section.ca {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(&path)
                .map_err(|error| Error::key("connectors.salesforce.ca", format!("cannot be read: {error}")))?,
        ),
    };
    Ok(SalesforceConfig {
        rest: RestConfig {
            login_url: at.need("login_url", section.login_url)?,
            client_id: at.need("client_id", section.client_id)?,
            client_secret: at.secret("client_secret", section.client_secret)?,
        },
        bus_url: section.bus_url.unwrap_or_else(|| BUS_URL.to_owned()),
        ca_pem,
        topic: section.topic.unwrap_or_else(|| TOPIC.to_owned()),
        is_full_read_first: section.read_all_first.unwrap_or(true),
        silence_max: section.silence_max.map_or(SILENCE_MAX, Span::timer),
    })
}

fn oracle(section: OracleSection) -> Result<OracleSetup, Error> {
    let at = Section("connectors.oracle");
    let partition = section.partition.unwrap_or_else(|| "erp".to_owned());
    let list = section.list.map(|list| oracle_list(list, &partition)).transpose()?;
    Ok(OracleSetup { door: OracleConfig { token: at.secret("token", section.token)?, partition }, list })
}

fn oracle_list(section: OracleListSection, partition: &str) -> Result<OracleListConfig, Error> {
    let at = Section("connectors.oracle.list");
    let mapped = || {
        let mapping = Mapping::shipped(System::Oracle).expect("a mapping of oracle is shipped");
        let tables: BTreeSet<String> = mapping.objects.into_iter().map(|object| object.name).collect();
        tables.into_iter().collect()
    };
    Ok(OracleListConfig {
        base_url: at.need("base_url", section.base_url)?,
        client_id: at.need("client_id", section.client_id)?,
        client_secret: at.secret("client_secret", section.client_secret)?,
        tables: section.tables.unwrap_or_else(mapped),
        partition: partition.to_owned(),
        interval: section.interval.map_or(LIST_EVERY, Span::timer),
    })
}

fn wxcc(section: WxccSection) -> Result<WxccSetup, Error> {
    if section.secrets.is_empty() || section.secrets.len() > SECRETS_MAX {
        let problem = "names no signing secret, or more than two: write one, and two while one is being replaced";
        return Err(Error::key("connectors.wxcc.secrets", problem));
    }
    let secrets = section.secrets.iter().enumerate();
    let secrets: Result<Vec<Secret>, Error> =
        secrets.map(|(i, secret)| secret.read(&format!("connectors.wxcc.secrets[{i}]"))).collect();
    let partition = section.partition.unwrap_or_else(|| "contact-centre".to_owned());
    let search = section.search.map(|search| wxcc_search(search, &partition)).transpose()?;
    Ok(WxccSetup { door: WxccConfig { secrets: secrets?, partition, is_freshness_checked: true }, search })
}

fn wxcc_search(section: WxccSearchSection, partition: &str) -> Result<WxccSearchConfig, Error> {
    let at = Section("connectors.wxcc.search");
    Ok(WxccSearchConfig {
        base_url: at.need("base_url", section.base_url)?,
        org_id: at.need("org_id", section.org_id)?,
        token: at.secret("token", section.token)?,
        partition: partition.to_owned(),
        interval: section.interval.map_or(LIST_EVERY, Span::timer),
        lag_ms: section.lag.map_or(0, Span::ms),
    })
}

fn sap(section: SapSection) -> Result<SapSetup, Error> {
    let at = Section("connectors.sap");
    let partition = section.partition.unwrap_or_else(|| "s4".to_owned());
    let list = section.list.map(|list| sap_list(list, &partition)).transpose()?;
    let door = SapConfig {
        user: at.need("user", section.user)?,
        password: at.secret("password", section.password)?,
        partition,
    };
    Ok(SapSetup { door, list })
}

fn sap_list(section: SapListSection, partition: &str) -> Result<SapListConfig, Error> {
    let at = Section("connectors.sap.list");
    Ok(SapListConfig {
        base_url: at.need("base_url", section.base_url)?,
        user: at.need("user", section.user)?,
        password: at.secret("password", section.password)?,
        partition: partition.to_owned(),
        interval: section.interval.map_or(LIST_EVERY, Span::timer),
    })
}

/// A section by the name that stands in the file.
struct Section(&'static str);

impl Section {
    fn need<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| {
            let section = self.0;
            Error::key(
                format!("{section}.{key}"),
                format!("is missing: a source that has a section [{section}] needs it"),
            )
        })
    }

    fn secret(&self, key: &str, reference: Option<SecretRef>) -> Result<Secret, Error> {
        self.need(key, reference)?.read(&format!("{}.{key}", self.0))
    }
}
