//! Calls to the sources over HTTP, with deadlines and bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ontology::Millis;

use super::retry::Backoff;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Why a call to a source failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The source was not reached, or broke off.
    #[error("a call to the source failed: {0}")]
    Unreached(String),
    /// The credential is not, or no longer, accepted.
    #[error("the source does not accept the credential")]
    Unauthorised,
    /// The source answered with an error.
    #[error("the source answered with status {0}")]
    Status(u16),
    /// The answer was not understood or too long.
    #[error("the answer of the source was not understood: {0}")]
    Answer(&'static str),
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold an id: it does not belong in a message.
        CallError::Unreached(error.without_url().to_string())
    }
}

/// A client with deadlines. Redirects are not followed: they would carry credentials elsewhere.
#[must_use]
pub fn client() -> reqwest::Client {
    // Somebody may have installed a provider before; then that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client without special settings can be built")
}

/// Sends a request and reads the whole answer within bounds.
pub async fn call(request: reqwest::RequestBuilder) -> Result<(reqwest::header::HeaderMap, Bytes), CallError> {
    let mut response = request.send().await?;
    match response.status() {
        status if status.is_success() => {}
        reqwest::StatusCode::UNAUTHORIZED => return Err(CallError::Unauthorised),
        status => return Err(CallError::Status(status.as_u16())),
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(CallError::Answer("it is longer than is read"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.headers().clone(), body.freeze()))
}

/// Attempts of a call that fails for the moment.
const ATTEMPTS_MAX: usize = 3;

/// As [`call`], some more times where the source is throttled, out of order or out of reach: a list
/// of many pages should not begin anew because of one of them.
pub async fn call_patiently(
    request: impl Fn() -> reqwest::RequestBuilder,
) -> Result<(reqwest::header::HeaderMap, Bytes), CallError> {
    let mut backoff = Backoff::default();
    for _ in 1..ATTEMPTS_MAX {
        match call(request()).await {
            Err(CallError::Unreached(_) | CallError::Status(429 | 500..=599)) => {
                tokio::time::sleep(backoff.next_delay()).await;
            }
            answered => return answered,
        }
    }
    call(request()).await
}

/// The server's own time in an answer, to the second below.
#[must_use]
pub fn server_time(headers: &reqwest::header::HeaderMap) -> Option<Millis> {
    let text = headers.get(reqwest::header::DATE)?.to_str().ok()?;
    let instant = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Millis(instant.as_millisecond()))
}

/// `text` as it may stand in the query of an address.
#[must_use]
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    out
}

/// Ids that list jobs have handed over already, so that overlapping windows do not repeat them.
#[derive(Debug, Default)]
pub struct Seen {
    newer: std::collections::HashSet<String>,
    older: std::collections::HashSet<String>,
}

impl Seen {
    /// Most ids of one generation; two generations are kept.
    const IDS_MAX: usize = 50_000;

    /// Whether `id` was seen lately.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.newer.contains(id) || self.older.contains(id)
    }

    /// Whether `id` is seen for the first time in a long while.
    pub fn is_new(&mut self, id: String) -> bool {
        if self.older.contains(&id) || !self.newer.insert(id) {
            return false;
        }
        if self.newer.len() >= Self::IDS_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(escaped("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(escaped("{\"ä\": 1}"), "%7B%22%C3%A4%22%3A%201%7D");
    }

    #[test]
    fn a_server_tells_its_time() {
        let mut headers = reqwest::header::HeaderMap::new();
        assert_eq!(server_time(&headers), None);
        headers.insert("date", reqwest::header::HeaderValue::from_static("Tue, 10 Mar 2026 15:00:00 GMT"));
        assert_eq!(server_time(&headers), Some(Millis(1_773_154_800_000)));
        headers.insert("date", reqwest::header::HeaderValue::from_static("today"));
        assert_eq!(server_time(&headers), None);
    }

    #[test]
    fn an_id_is_new_once_for_a_long_while() {
        let mut seen = Seen::default();
        assert!(seen.is_new("a".to_owned()) && !seen.is_new("a".to_owned()));
        for id in 0..Seen::IDS_MAX {
            assert!(seen.is_new(id.to_string()));
        }
        assert!(!seen.is_new("a".to_owned()), "one generation later");
        for id in 0..=Seen::IDS_MAX {
            seen.is_new(format!("x{id}"));
        }
        assert!(seen.is_new("a".to_owned()), "forgotten after two");
    }
}
