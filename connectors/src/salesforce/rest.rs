//! The REST side: what an object is made of, its records by query, what the organisation allows.

use std::collections::BTreeSet;
use std::sync::Arc;

use ontology::Millis;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use super::CLIENT;
use super::answer::{Answer, RestError, send};
use super::auth::{Grant, Session, login};
use crate::contract::SharedClock;
use crate::edge::credentials::Secret;
use crate::edge::http::{client, escaped};

/// Version of the REST API.
const API: &str = "v62.0";

/// Records in one page of a query: the most that the vendor gives.
const PAGE_RECORDS: &str = "batchSize=2000";

/// How the REST side is reached.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// Login address of the organisation, for example `https://acme.my.salesforce.com`.
    pub login_url: String,
    /// Consumer key of the connected app.
    pub client_id: String,
    /// How the connector proves who it is.
    pub grant: Grant,
}

impl RestConfig {
    /// Access by the secret of a connected app.
    pub fn client_credentials(
        login_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: Secret,
    ) -> Self {
        let grant = Grant::ClientCredentials { client_secret };
        RestConfig { login_url: login_url.into(), client_id: client_id.into(), grant }
    }
}

/// A client that logs in when it has to. Clones share the session.
#[derive(Clone)]
pub struct Rest {
    config: RestConfig,
    client: reqwest::Client,
    clock: SharedClock,
    session: Arc<Mutex<Option<Session>>>,
}

/// One page of the answer to a query.
#[derive(Debug)]
pub struct Page {
    /// The records, as they were written.
    pub records: Vec<Box<RawValue>>,
    /// Where the next page is.
    pub next: Option<String>,
    /// The time at the source.
    pub at: Millis,
}

/// What the organisation allows in a day, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Allowance {
    /// In a day.
    #[serde(rename = "Max")]
    pub max: i64,
    /// What is left.
    #[serde(rename = "Remaining")]
    pub remaining: i64,
}

/// The allowances that the connector draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Allowances {
    /// Events delivered to subscribers; none if the organisation does not tell.
    #[serde(rename = "DailyDeliveredPlatformEvents")]
    pub deliveries: Option<Allowance>,
    /// Calls to the REST side.
    #[serde(rename = "DailyApiRequests")]
    pub calls: Option<Allowance>,
}

#[derive(Deserialize)]
struct QueryAnswer {
    records: Vec<Box<RawValue>>,
    #[serde(rename = "nextRecordsUrl", default)]
    next_records_url: Option<String>,
}

#[derive(Deserialize)]
struct DescribeAnswer {
    fields: Vec<DescribedField>,
}

#[derive(Deserialize)]
struct DescribedField {
    name: String,
}

impl Rest {
    /// A client that has not logged in yet. `clock` is what assertions are dated by.
    #[must_use]
    pub fn new(config: RestConfig, clock: SharedClock) -> Self {
        Rest { config, client: client(), clock, session: Arc::default() }
    }

    /// The session, by login if there is none.
    ///
    /// # Errors
    /// [`RestError`] when the login fails.
    pub async fn session(&self) -> Result<Session, RestError> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let RestConfig { login_url, client_id, grant } = &self.config;
        let fresh = login(&self.client, login_url, client_id, grant, self.clock.now()).await?;
        *session = Some(fresh.clone());
        Ok(fresh)
    }

    /// Forgets a session that is no longer accepted, unless somebody renewed it meanwhile.
    pub async fn forget(&self, stale: &Session) {
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|s| s.access_token == stale.access_token) {
            *session = None;
        }
    }

    /// Reads `path` of the instance; logs in once more when the session has run out.
    async fn get(&self, path: &str) -> Result<Answer, RestError> {
        let session = self.session().await?;
        match self.get_by(&session, path).await {
            Err(error) if error.is_expired() => {
                self.forget(&session).await;
                let session = self.session().await?;
                self.get_by(&session, path).await
            }
            result => result,
        }
    }

    async fn get_by(&self, session: &Session, path: &str) -> Result<Answer, RestError> {
        let request = self
            .client
            .get(format!("{}{path}", session.instance_url))
            .header("Sforce-Call-Options", format!("client={CLIENT}"))
            .header("Sforce-Query-Options", PAGE_RECORDS)
            .bearer_auth(session.access_token.expose());
        send(request).await
    }

    /// Names of the fields of `object` that this user may read.
    ///
    /// # Errors
    /// [`RestError`], with [`RestError::is_no_object`] when there is no such object.
    pub async fn fields(&self, object: &str) -> Result<BTreeSet<String>, RestError> {
        let answer = self.get(&format!("/services/data/{API}/sobjects/{}/describe", escaped(object))).await?;
        let described: DescribeAnswer = answer.read("the description of an object")?;
        Ok(described.fields.into_iter().map(|field| field.name).collect())
    }

    /// The first page of a query that also answers with deleted records.
    ///
    /// # Errors
    /// [`RestError`] when the call fails or is refused.
    pub async fn query(&self, soql: &str) -> Result<Page, RestError> {
        self.page(&format!("/services/data/{API}/queryAll?q={}", escaped(soql))).await
    }

    /// A further page, at the place that the page before named.
    ///
    /// # Errors
    /// As [`Rest::query`].
    pub async fn more(&self, next: &str) -> Result<Page, RestError> {
        // Anything but a path would lead the token to another host.
        if !next.starts_with('/') || next.starts_with("//") {
            return Err(RestError::Answer("a next page that is a path"));
        }
        self.page(next).await
    }

    async fn page(&self, path: &str) -> Result<Page, RestError> {
        let answer = self.get(path).await?;
        let at = answer.at.unwrap_or_else(|| self.clock.now());
        let QueryAnswer { records, next_records_url } = answer.read("a page of records")?;
        Ok(Page { records, next: next_records_url, at })
    }

    /// What the organisation allows in a day.
    ///
    /// # Errors
    /// [`RestError`] when the call fails or is refused.
    pub async fn allowances(&self) -> Result<Allowances, RestError> {
        self.get(&format!("/services/data/{API}/limits")).await?.read("the limits of the organisation")
    }
}
