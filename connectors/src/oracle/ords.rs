//! The REST side of the database: a session with its token, and calls within bounds.

use bytes::Bytes;
use ontology::{System, Vocabulary as _};
use serde_json::Value;

use crate::edge::credentials::Secret;
use crate::edge::http::{CallError, call, client};
use crate::edge::oauth::ClientCredentials;

/// Where the REST side is, and who asks.
#[derive(Debug, Clone)]
pub struct OrdsConfig {
    /// Base address of the schema, for example `https://erp.example/ords/ar`.
    pub base_url: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
}

/// A session. The token is asked for when it is needed, and anew when it is no longer accepted.
pub(super) struct Ords {
    config: OrdsConfig,
    client: reqwest::Client,
    token: Option<Secret>,
}

impl Ords {
    pub(super) fn new(config: OrdsConfig) -> Self {
        Ords { config, client: client(), token: None }
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Bytes, CallError> {
        self.request(reqwest::Method::GET, path, None).await
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Result<Bytes, CallError> {
        self.request(reqwest::Method::POST, path, Some(body)).await
    }

    pub(super) async fn delete(&mut self, path: &str) -> Result<Bytes, CallError> {
        self.request(reqwest::Method::DELETE, path, None).await
    }

    /// A token may end at any time: a call that it is refused for is made once more with a new one.
    async fn request(&mut self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<Bytes, CallError> {
        let is_fresh = self.token.is_none();
        match self.request_once(method.clone(), path, body).await {
            Err(CallError::Unauthorised) if !is_fresh => self.request_once(method, path, body).await,
            result => result,
        }
    }

    async fn request_once(
        &mut self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, CallError> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.login().await?,
        };
        let mut request =
            self.client.request(method, format!("{}/{path}", self.config.base_url)).bearer_auth(token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let result = call(request).await;
        if matches!(result, Err(CallError::Unauthorised)) {
            self.token = None;
        }
        result.map(|(_, body)| body)
    }

    /// Asks as somebody who sets the source up: what is wrong comes in the vendor's words.
    pub(super) async fn ask(&mut self, method: reqwest::Method, path: &str, body: &Value) -> Result<Bytes, String> {
        let token = self.login().await.map_err(|error| error.to_string())?;
        let request =
            self.client.request(method.clone(), format!("{}/{path}", self.config.base_url)).bearer_auth(token.expose());
        let request = if method == reqwest::Method::POST { request.json(body) } else { request };
        let said = |error: reqwest::Error| CallError::from(error).to_string();
        let answer = request.send().await.map_err(said)?;
        let status = answer.status();
        let answer = answer.bytes().await.map_err(said)?;
        if status.is_success() { Ok(answer) } else { Err(format!("status {}: {}", status.as_u16(), words(&answer))) }
    }

    async fn login(&mut self) -> Result<Secret, CallError> {
        let credentials = ClientCredentials {
            token_url: format!("{}/oauth/token", self.config.base_url),
            client_id: self.config.client_id.clone(),
            client_secret: self.config.client_secret.clone(),
            scope: String::new(),
        };
        let token = credentials.ask(&self.client).await?;
        tracing::debug!(system = System::Oracle.name(), "a new access token");
        Ok(self.token.insert(token).clone())
    }
}

/// What an answer says of an error, in whichever member it says so.
fn words(answer: &[u8]) -> String {
    const BYTES_MAX: usize = 300;
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let named = ["message", "SQL ERROR MESSAGE", "error_description", "error", "title"];
    let words = named.iter().find_map(|name| answer.get(name)?.as_str()).unwrap_or("no reason was given");
    words.chars().take(BYTES_MAX).collect()
}
