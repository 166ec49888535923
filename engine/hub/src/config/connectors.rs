//! The sources of a configuration, checked: a source is connected when its section is there.

use std::path::PathBuf;
use std::time::Duration;

use connectors::edge::credentials::Secret;
use connectors::salesforce::allowance::AllowanceConfig;
use connectors::salesforce::audit::AuditConfig;
use connectors::salesforce::auth::{Grant, JwtKey};
use connectors::salesforce::rest::RestConfig;
use connectors::salesforce::transport::{BUS_URL, SalesforceConfig};
use connectors::{Connectors, Mapping};
use ontology::{System, Vocabulary as _};

use super::address::Plaintext;
use super::file::{ConnectorsSection, JwtSection, SalesforceSection, Span};
use super::oracle::{self, OracleSetup};
use super::sap::{self, SapSetup};
use super::wxcc::{self, WxccSetup};
use super::zendesk::{self, ZendeskSetup};
use super::{Error, SecretRef};

/// Time between runs of a list job.
pub(super) const LIST_EVERY: Duration = Duration::from_secs(60);
/// For whom Salesforce's assertions are, but in sandboxes.
const AUDIENCE: &str = "https://login.salesforce.com";
/// Signing secrets of webhooks that may be live at once.
pub(super) const SECRETS_MAX: usize = 2;

/// The sources that are connected.
#[derive(Debug, Default)]
pub struct ConnectorsConfig {
    /// The decoders, by the mapping files in force.
    pub connectors: Connectors,
    /// Systems that a mapping file of the organisation is in force for.
    pub own_mappings: Vec<System>,
    /// Salesforce.
    pub salesforce: Option<SalesforceConfig>,
    /// Oracle receivables.
    pub oracle: Option<OracleSetup>,
    /// Webex Contact Center.
    pub wxcc: Option<WxccSetup>,
    /// SAP field service.
    pub sap: Option<SapSetup>,
    /// Zendesk.
    pub zendesk: Option<ZendeskSetup>,
}

impl ConnectorsConfig {
    /// Connected systems of which nothing tells that they are alive. Oracle's capture sends
    /// heartbeats and Salesforce's bus keepalives; the others are known alive by their list job.
    #[must_use]
    pub fn unmonitored(&self) -> Vec<System> {
        let is_mute = [
            (System::Wxcc, self.wxcc.as_ref().is_some_and(|wxcc| wxcc.search.is_none())),
            (System::Sap, self.sap.as_ref().is_some_and(|sap| sap.list.is_none())),
            (System::Zendesk, self.is_desk_mute()),
        ];
        is_mute.into_iter().filter(|(_, is_mute)| *is_mute).map(|(system, _)| system).collect()
    }

    /// The other service desk counts with Salesforce: where that is connected too, its signs of life
    /// stand for both.
    fn is_desk_mute(&self) -> bool {
        self.salesforce.is_none() && self.zendesk.as_ref().is_some_and(|zendesk| zendesk.export.is_none())
    }
}

pub(super) fn resolve(section: ConnectorsSection) -> Result<ConnectorsConfig, Error> {
    let mappings = mappings(&section.mappings)?;
    let own_mappings = mappings.iter().map(|mapping| mapping.system).collect();
    let connectors = Connectors::new(mappings);
    let plaintext = Plaintext(section.plaintext);
    let wxcc = section.wxcc.map(|section| wxcc::resolve(section, plaintext)).transpose()?;
    let connectors = match wxcc.as_ref().and_then(|wxcc| wxcc.country) {
        Some(country) => connectors.with_callers_in(country),
        None => connectors,
    };
    Ok(ConnectorsConfig {
        salesforce: section.salesforce.map(|section| salesforce(section, plaintext)).transpose()?,
        oracle: section.oracle.map(|section| oracle::resolve(section, &connectors, plaintext)).transpose()?,
        wxcc,
        sap: section.sap.map(|section| sap::resolve(section, plaintext)).transpose()?,
        zendesk: section.zendesk.map(|section| zendesk::resolve(section, plaintext)).transpose()?,
        connectors,
        own_mappings,
    })
}

/// Reads the mapping files; what is wrong in one is told with line and column.
fn mappings(paths: &[PathBuf]) -> Result<Vec<Mapping>, Error> {
    let mut read: Vec<Mapping> = Vec::with_capacity(paths.len());
    for (i, path) in paths.iter().enumerate() {
        let wrong = |problem: String| Error::key(format!("connectors.mappings[{i}]"), problem);
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("is {}, which cannot be read: {error}", path.display())))?;
        let mapping = Mapping::parse(&text).map_err(|error| wrong(format!("is {}: {error}", path.display())))?;
        if read.iter().any(|other| other.system == mapping.system) {
            let system = mapping.system.name();
            return Err(wrong(format!("is a second mapping of {system}: put its objects into one file")));
        }
        read.push(mapping);
    }
    Ok(read)
}

fn salesforce(section: SalesforceSection, plaintext: Plaintext) -> Result<SalesforceConfig, Error> {
    let at = Section("connectors.salesforce");
    let ca_pem = match section.ca {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(&path)
                .map_err(|error| Error::key("connectors.salesforce.ca", format!("cannot be read: {error}")))?,
        ),
    };
    let rest = RestConfig {
        login_url: at.login(plaintext, "login_url", section.login_url)?,
        client_id: at.need("client_id", section.client_id)?,
        grant: grant(&at, section.client_secret, section.jwt)?,
    };
    let bus_url = at.login(plaintext, "bus_url", Some(section.bus_url.unwrap_or_else(|| BUS_URL.to_owned())))?;
    let usual = SalesforceConfig::new(rest, bus_url);
    let audit = AuditConfig::default();
    let audit = AuditConfig {
        interval: at.span("audit_every", section.audit_every, audit.interval)?,
        settle: section.settle.map_or(audit.settle, Span::timer),
    };
    let allowance = AllowanceConfig::default();
    let percent_min = section.allowance_percent_min.map_or(allowance.percent_min, i64::from);
    Ok(SalesforceConfig {
        ca_pem,
        topic: section.topic.unwrap_or(usual.topic),
        is_full_read_first: section.read_all_first.unwrap_or(usual.is_full_read_first),
        silence_max: at.span("silence_max", section.silence_max, usual.silence_max)?,
        audit: Some(audit),
        allowance: Some(AllowanceConfig { percent_min, ..allowance }),
        ..SalesforceConfig::new(usual.rest, usual.bus_url)
    })
}

/// The connected app's secret, or a key that signs assertions: one of them.
fn grant(at: &Section, secret: Option<SecretRef>, jwt: Option<JwtSection>) -> Result<Grant, Error> {
    match (secret, jwt) {
        (Some(_), Some(_)) => {
            let problem = "stands beside client_secret: write one of them, by which the connector logs in";
            Err(Error::key("connectors.salesforce.jwt", problem))
        }
        (secret, None) => Ok(Grant::ClientCredentials { client_secret: at.secret("client_secret", secret)? }),
        (None, Some(jwt)) => {
            let at = Section("connectors.salesforce.jwt");
            let pem = at.secret("key", jwt.key)?;
            let key = JwtKey::from_pem(pem.expose())
                .map_err(|error| Error::key("connectors.salesforce.jwt.key", format!("cannot be used: {error}")))?;
            let audience = jwt.audience.unwrap_or_else(|| AUDIENCE.to_owned());
            Ok(Grant::JwtBearer { username: at.need("user", jwt.user)?, audience, key })
        }
    }
}

/// A section by the name that stands in the file.
pub(super) struct Section(pub(super) &'static str);

impl Section {
    /// The address of somebody whom a login goes to.
    pub(super) fn login(&self, plaintext: Plaintext, key: &str, value: Option<String>) -> Result<String, Error> {
        plaintext.login(&format!("{}.{key}", self.0), &self.need(key, value)?)
    }

    /// A span that work is paced by, above 0.
    pub(super) fn span(&self, key: &str, value: Option<Span>, usual: Duration) -> Result<Duration, Error> {
        value.map_or(Ok(usual), |span| span.above_zero(&format!("{}.{key}", self.0)).map(Span::timer))
    }

    pub(super) fn need<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| {
            let section = self.0;
            Error::key(
                format!("{section}.{key}"),
                format!("is missing: a source that has a section [{section}] needs it"),
            )
        })
    }

    pub(super) fn secret(&self, key: &str, reference: Option<SecretRef>) -> Result<Secret, Error> {
        self.need(key, reference)?.read(&format!("{}.{key}", self.0))
    }
}
