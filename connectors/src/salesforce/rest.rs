//! The REST side: tokens, single records after a gap, pages of a full read.

use std::sync::Arc;

use bytes::Bytes;
use ontology::Millis;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use crate::edge::credentials::Secret;
use crate::edge::http::{CallError, call, client, escaped};

/// Version of the REST API.
const API: &str = "v62.0";

/// How the REST side is reached.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// Login address of the organisation, for example `https://acme.my.salesforce.com`.
    pub login_url: String,
    /// Consumer key.
    pub client_id: String,
    /// Consumer secret.
    pub client_secret: Secret,
}

/// An access token with what belongs to it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The token.
    pub access_token: Secret,
    /// Address of the organisation's instance.
    pub instance_url: String,
    /// Id of the organisation.
    pub org_id: String,
}

/// A client that logs in when it has to. Clones share the session.
#[derive(Debug, Clone)]
pub struct Rest {
    config: RestConfig,
    client: reqwest::Client,
    session: Arc<Mutex<Option<Session>>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    instance_url: String,
}

#[derive(Deserialize)]
struct UserAnswer {
    organization_id: String,
}

#[derive(Deserialize)]
struct QueryAnswer {
    records: Vec<Box<RawValue>>,
    #[serde(rename = "nextRecordsUrl", default)]
    next_records_url: Option<String>,
}

/// One page of a full read.
#[derive(Debug)]
pub struct Page {
    /// A delivery that the decoder reads.
    pub raw: Bytes,
    /// Where the next page is.
    pub next: Option<String>,
}

impl Rest {
    /// A client that has not logged in yet.
    #[must_use]
    pub fn new(config: RestConfig) -> Self {
        Rest { config, client: client(), session: Arc::default() }
    }

    /// The session, by login if there is none.
    pub async fn session(&self) -> Result<Session, CallError> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let fresh = self.login().await?;
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

    async fn login(&self) -> Result<Session, CallError> {
        let request = self.client.post(format!("{}/services/oauth2/token", self.config.login_url)).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.config.client_id),
            ("client_secret", self.config.client_secret.expose()),
        ]);
        let (_, body) = call(request).await?;
        let token: TokenAnswer = serde_json::from_slice(&body).map_err(|_| CallError::Answer("a token"))?;
        let request = self
            .client
            .get(format!("{}/services/oauth2/userinfo", self.config.login_url))
            .bearer_auth(&token.access_token);
        let (_, body) = call(request).await?;
        let user: UserAnswer = serde_json::from_slice(&body).map_err(|_| CallError::Answer("an organisation id"))?;
        Ok(Session {
            access_token: Secret::new(token.access_token),
            instance_url: token.instance_url,
            org_id: user.organization_id,
        })
    }

    async fn get(&self, path: &str) -> Result<Bytes, CallError> {
        let session = self.session().await?;
        let request =
            self.client.get(format!("{}{path}", session.instance_url)).bearer_auth(session.access_token.expose());
        let result = call(request).await;
        if result == Err(CallError::Unauthorised) {
            self.forget(&session).await;
        }
        result.map(|(_, body)| body)
    }

    /// Reads one record for the gap at `version`, as a delivery that the decoder reads. A record
    /// that is gone is a delivery too.
    pub async fn record(
        &self,
        object: &str,
        id: &str,
        version: (u64, u64, u64),
        read_at: Millis,
    ) -> Result<Bytes, CallError> {
        let result = self.get(&format!("/services/data/{API}/sobjects/{object}/{}", escaped(id))).await;
        let record = match &result {
            Ok(body) => std::str::from_utf8(body).map_err(|_| CallError::Answer("a record"))?,
            Err(CallError::Status(404)) => "null",
            Err(error) => return Err(error.clone()),
        };
        let id = serde_json::to_string(id).map_err(|_| CallError::Answer("an id"))?;
        let (time, commit, sequence) = version;
        Ok(Bytes::from(format!(
            "{{\"object\":\"{object}\",\"id\":{id},\"version\":[{time},{commit},{sequence}],\"read_at\":{},\"record\":{record}}}",
            read_at.0
        )))
    }

    /// Reads a page of all records of `object`: the first, or the one at `next`.
    pub async fn page(&self, object: &str, next: Option<&str>, read_at: Millis) -> Result<Page, CallError> {
        let body = match next {
            // Anything but a path would lead the token to another host.
            Some(next) if next.starts_with('/') => self.get(next).await?,
            Some(_) => return Err(CallError::Answer("a next page that is no path")),
            None => {
                let query = format!("SELECT FIELDS(ALL) FROM {object} ORDER BY SystemModstamp, Id");
                self.get(&format!("/services/data/{API}/query?q={}", escaped(&query))).await?
            }
        };
        let answer: QueryAnswer = serde_json::from_slice(&body).map_err(|_| CallError::Answer("a page of records"))?;
        let records: Vec<&str> = answer.records.iter().map(|r| r.get()).collect();
        let raw = format!("{{\"object\":\"{object}\",\"read_at\":{},\"records\":[{}]}}", read_at.0, records.join(","));
        Ok(Page { raw: Bytes::from(raw), next: answer.next_records_url })
    }
}
