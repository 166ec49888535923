//! Calls to the contact centre's own interface, with a token that is kept fresh.

use bytes::Bytes;
use ontology::Millis;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};

use crate::contract::SharedClock;
use crate::edge::credentials::Secret;
use crate::edge::http::{CallError, call, call_patiently, client};
use crate::json::Json;

/// Where Webex gives out tokens.
pub const TOKEN_URL: &str = "https://webexapis.com/v1/access_token";

/// How long before its end a token is replaced, in milliseconds.
const RENEW_BEFORE_MS: i64 = 10 * Millis::MINUTE_MS;

/// What proves who we are.
#[derive(Debug, Clone)]
pub enum WxccAuth {
    /// A token that somebody else keeps fresh.
    Token(Secret),
    /// A refresh token of a service app or an integration: access tokens are fetched with it.
    Refresh {
        /// Where tokens are given out.
        token_url: String,
        /// Client id of the app.
        client_id: String,
        /// Client secret of the app.
        client_secret: Secret,
        /// The refresh token.
        refresh_token: Secret,
    },
}

/// The contact centre's interface.
pub(super) struct Api {
    client: Client,
    /// Base address of the region.
    pub base_url: String,
    /// Organisation id.
    pub org_id: String,
    auth: WxccAuth,
    clock: SharedClock,
    held: Option<Held>,
}

/// An access token and until when it is worth trying.
struct Held {
    token: Secret,
    good_until: Millis,
}

impl Api {
    pub fn new(base_url: &str, org_id: &str, auth: WxccAuth, clock: SharedClock) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Api { client: client(), base_url, org_id: org_id.to_owned(), auth, clock, held: None }
    }

    /// Sends a request with the token; once more with a new one where the old is no longer accepted.
    pub async fn send(
        &mut self,
        request: impl Fn(&Client, &str) -> RequestBuilder,
    ) -> Result<(HeaderMap, Bytes), CallError> {
        let token = self.token().await?;
        match call_patiently(|| request(&self.client, &self.base_url).bearer_auth(token.expose())).await {
            Err(CallError::Unauthorised) if self.held.take().is_some() => {
                let token = self.token().await?;
                call_patiently(|| request(&self.client, &self.base_url).bearer_auth(token.expose())).await
            }
            answered => answered,
        }
    }

    /// Reads what a signed address leads to; the address itself is the permission.
    pub async fn fetch(&self, address: &str) -> Result<Bytes, CallError> {
        let is_safe = address.starts_with("https://") || address.starts_with(&format!("{}/", self.base_url));
        if !is_safe {
            return Err(CallError::Answer("an address that is not https"));
        }
        call(self.client.get(address)).await.map(|(_, body)| body)
    }

    async fn token(&mut self) -> Result<Secret, CallError> {
        let WxccAuth::Refresh { token_url, client_id, client_secret, refresh_token } = &self.auth else {
            return Ok(match &self.auth {
                WxccAuth::Token(token) => token.clone(),
                WxccAuth::Refresh { refresh_token, .. } => refresh_token.clone(),
            });
        };
        if let Some(held) = self.held.as_ref().filter(|held| self.clock.now() < held.good_until) {
            return Ok(held.token.clone());
        }
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id.as_str()),
            ("client_secret", client_secret.expose()),
            ("refresh_token", refresh_token.expose()),
        ];
        let (_, raw) = call(self.client.post(token_url).form(&form)).await.map_err(|error| match error {
            // A refused grant is answered with 400: that, too, is a matter of the credential.
            CallError::Status(400) => CallError::Unauthorised,
            other => other,
        })?;
        let (held, renewed) = read_grant(&raw, self.clock.now()).ok_or(CallError::Answer("a token"))?;
        let token = held.token.clone();
        self.held = Some(held);
        self.keep(renewed);
        Ok(token)
    }

    /// Keeps a refresh token that replaces the configured one.
    fn keep(&mut self, renewed: Option<Secret>) {
        if let (WxccAuth::Refresh { refresh_token, .. }, Some(renewed)) = (&mut self.auth, renewed)
            && *refresh_token != renewed
        {
            tracing::warn!("webex replaced the refresh token: the configured one may end, store a new one soon");
            *refresh_token = renewed;
        }
    }
}

fn read_grant(raw: &[u8], now: Millis) -> Option<(Held, Option<Secret>)> {
    let json = Json::parse(raw).ok()?;
    let token = json.get("access_token")?.text()?;
    let life_ms = json.get("expires_in").and_then(Json::integer).unwrap_or(0).saturating_mul(1_000);
    // A token that lives shorter than the margin is replaced when half of its life is over.
    let good_until = now + (life_ms - RENEW_BEFORE_MS).max(life_ms / 2);
    let renewed = json.get("refresh_token").and_then(Json::text).map(Secret::new);
    Some((Held { token: Secret::new(token), good_until }, renewed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_replaced_before_it_ends() {
        let good_until = |raw: &str| read_grant(raw.as_bytes(), Millis(0)).unwrap().0.good_until;
        assert_eq!(good_until(r#"{"access_token":"a","expires_in":1209599}"#), Millis(1_209_599_000 - RENEW_BEFORE_MS));
        assert_eq!(good_until(r#"{"access_token":"a","expires_in":"60"}"#), Millis(30_000));
        assert_eq!(good_until(r#"{"access_token":"a"}"#), Millis(0));
        assert!(read_grant(br#"{"expires_in":1}"#, Millis(0)).is_none());
        assert!(read_grant(b"<html>", Millis(0)).is_none());
    }
}
