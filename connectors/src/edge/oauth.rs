//! Access tokens by client credentials: asked for when they are needed, kept until they are refused.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::credentials::Secret;
use super::http::{CallError, call};

/// A client that an authorisation server knows.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// Where tokens are given out.
    pub token_url: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
    /// Scope that is asked for; empty asks for all that the client may.
    pub scope: String,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
}

impl ClientCredentials {
    /// Asks for a token.
    ///
    /// # Errors
    /// When the server is not reached, refuses the client, or answers something else.
    pub async fn ask(&self, client: &Client) -> Result<Secret, CallError> {
        let mut form = vec![("grant_type", "client_credentials")];
        if !self.scope.is_empty() {
            form.push(("scope", &self.scope));
        }
        let request = client.post(&self.token_url).basic_auth(&self.client_id, Some(self.client_secret.expose()));
        let (_, body) = call(request.form(&form)).await?;
        let given: Given = serde_json::from_slice(&body).map_err(|_| CallError::Answer("a token"))?;
        Ok(Secret::new(given.access_token))
    }
}

/// Who calls a source. Clones share the token.
#[derive(Debug, Clone)]
pub enum Login {
    /// A user with a password, sent along with every call.
    Basic {
        /// The user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// A client that gets tokens.
    Tokens(ClientCredentials, Arc<Mutex<Option<Secret>>>),
}

impl Login {
    /// By user and password.
    pub fn basic(user: impl Into<String>, password: Secret) -> Self {
        Login::Basic { user: user.into(), password }
    }

    /// By tokens for client credentials.
    #[must_use]
    pub fn tokens(credentials: ClientCredentials) -> Self {
        Login::Tokens(credentials, Arc::default())
    }

    /// The value of the header that says who calls; a token is asked for where there is none.
    ///
    /// # Errors
    /// When no token is given, or it cannot stand in a header.
    pub async fn authorization(&self, client: &Client) -> Result<HeaderValue, CallError> {
        let text = match self {
            Login::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
            }
            Login::Tokens(credentials, kept) => {
                let mut kept = kept.lock().await;
                let token = match &*kept {
                    Some(token) => token.clone(),
                    None => kept.insert(credentials.ask(client).await?).clone(),
                };
                format!("Bearer {}", token.expose())
            }
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| CallError::Answer("a token"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The source refused who called. Whether another attempt may go better: with a new token.
    pub async fn is_renewed(&self) -> bool {
        match self {
            Login::Basic { .. } => false,
            Login::Tokens(_, kept) => kept.lock().await.take().is_some(),
        }
    }
}
