//! Secrets that cannot be printed, and their comparison in constant time.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use hmac::{Hmac, Mac};
use ontology::Millis;
use sha2::Sha256;

/// A secret. Its text never reaches a log or a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Secret(secret.into())
    }

    /// The secret itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is the secret, in time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        let digest = |text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"compare").expect("a key of any length is taken");
            mac.update(text.as_bytes());
            mac
        };
        digest(given).verify(&digest(&self.0).finalize().into_bytes()).is_ok()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether the request carries the bearer token.
#[must_use]
pub fn has_bearer(headers: &HeaderMap, token: &Secret) -> bool {
    authorization(headers, "bearer").is_some_and(|given| token.is(given))
}

/// Whether the request carries user and password.
#[must_use]
pub fn has_basic(headers: &HeaderMap, user: &str, password: &Secret) -> bool {
    let decoded = authorization(headers, "basic")
        .and_then(|given| base64::engine::general_purpose::STANDARD.decode(given).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|pair| Secret(format!("{user}:{}", password.expose())).is(&pair))
}

/// The signature of a message that is posted elsewhere, in the form of Standard Webhooks: over its id, the
/// second at which it is sent, and its bytes. A secret that begins with `whsec_` goes on in base64.
#[must_use]
pub fn webhook_signature(secret: &Secret, id: &str, at_s: i64, body: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD;
    let encoded = secret.0.strip_prefix("whsec_").and_then(|text| base64.decode(text).ok());
    let key = encoded.as_deref().unwrap_or(secret.0.as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is taken");
    mac.update(format!("{id}.{at_s}.").as_bytes());
    mac.update(body);
    format!("v1,{}", base64.encode(mac.finalize().into_bytes()))
}

/// A token that proves until when whoever has it knew `secret`: the instant, and a code of it.
#[must_use]
pub fn timed_token(secret: &Secret, until: Millis) -> String {
    format!("{}.{}", until.0, hex::encode(timed_code(secret, until).finalize().into_bytes()))
}

/// Whether the request carries a token of [`timed_token`] that has not ended.
#[must_use]
pub fn has_timed_token(headers: &HeaderMap, secret: &Secret, now: Millis) -> bool {
    let holds = |given: &str| {
        let (until, code) = given.split_once('.')?;
        let until = Millis(until.parse().ok()?);
        timed_code(secret, until).verify_slice(&hex::decode(code).ok()?).ok()?;
        Some(now < until)
    };
    authorization(headers, "bearer").and_then(holds).unwrap_or(false)
}

fn timed_code(secret: &Secret, until: Millis) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()).expect("a key of any length is taken");
    mac.update(format!("token until {}", until.0).as_bytes());
    mac
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (given, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_are_signed_as_standard_webhooks_says() {
        // The example of the specification.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let told =
            webhook_signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(told, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let plain = Secret::new("plain");
        assert_ne!(webhook_signature(&plain, "a", 1, b"b"), webhook_signature(&plain, "a", 2, b"b"));
        assert_ne!(webhook_signature(&plain, "a", 1, b"b"), webhook_signature(&plain, "a", 1, b"c"));
    }

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let secret = Secret::new("hunter2");
        assert!(secret.is("hunter2") && !secret.is("hunter3") && !secret.is(""));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_token_holds_for_its_secret_and_until_its_end() {
        let (secret, end) = (Secret::new("s"), Millis(1_000));
        let holds = |token: &str, secret: &Secret, now: i64| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            has_timed_token(&headers, secret, Millis(now))
        };
        let token = timed_token(&secret, end);
        assert!(holds(&token, &secret, 999) && !holds(&token, &secret, 1_000));
        assert!(!holds(&token, &Secret::new("t"), 0));
        assert!(!holds(&token.replacen("1000", "9000", 1), &secret, 0), "nobody puts off its end");
        assert!(!holds("", &secret, 0) && !holds("1000.", &secret, 0) && !holds("1000.zz", &secret, 0));
    }

    #[test]
    fn credentials_are_read_from_the_header() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        let secret = Secret::new("secret");
        assert!(has_bearer(&headers("Bearer secret"), &secret));
        assert!(!has_bearer(&headers("Basic secret"), &secret));
        assert!(!has_bearer(&HeaderMap::new(), &secret));
        // "user:secret"
        assert!(has_basic(&headers("Basic dXNlcjpzZWNyZXQ="), "user", &secret));
        assert!(!has_basic(&headers("Basic dXNlcjpzZWNyZXQ="), "other", &secret));
        assert!(!has_basic(&headers("Basic %"), "user", &secret));
    }
}
