//! What the REST side answers, and what it means when it refuses.
//!
//! The vendor names its reasons by code; the code decides what is done, and is what people are told,
//! since the sentence beside it may hold data of a record.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use ontology::Millis;
use serde::Deserialize;

/// Longest answer that is read: a page of records with long texts.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Longest code that is told.
const CODE_CHARS_MAX: usize = 80;

/// Wait that is taken from a busy answer, at most.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Why a call to the REST side failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The organisation was not reached, or broke off.
    #[error("a call to salesforce failed: {0}")]
    Unreached(String),
    /// It answered what is no answer to the call.
    #[error("the answer of salesforce was not understood: {0} was expected")]
    Answer(&'static str),
    /// The answer is longer than is read.
    #[error("the answer of salesforce is longer than is read")]
    TooLong,
    /// It refused.
    #[error("salesforce answered {code} (status {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The vendor's code, for example `INVALID_SESSION_ID`.
        code: String,
        /// The vendor's sentence. It may hold data: it is shown to whoever sets the source up, and
        /// never logged.
        words: String,
    },
    /// It asks to come again later.
    #[error("salesforce asks to wait: {code}")]
    Busy {
        /// The vendor's code.
        code: String,
        /// For how long, if it says.
        wait: Option<Duration>,
    },
}

impl RestError {
    /// Whether the session is no longer accepted.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, RestError::Refused { status: 401, .. })
    }

    /// Whether the organisation has no such object, or does not show it to this user.
    #[must_use]
    pub fn is_no_object(&self) -> bool {
        matches!(self, RestError::Refused { code, .. } if code == "INVALID_TYPE" || code == "NOT_FOUND")
    }

    /// How long the source asks to wait.
    #[must_use]
    pub fn wait(&self) -> Duration {
        match self {
            RestError::Busy { wait, .. } => wait.unwrap_or_default(),
            RestError::Unreached(_) | RestError::Answer(_) | RestError::TooLong | RestError::Refused { .. } => {
                Duration::ZERO
            }
        }
    }
}

impl From<reqwest::Error> for RestError {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold an id: it does not belong in a message.
        RestError::Unreached(error.without_url().to_string())
    }
}

/// An answer that was read whole.
#[derive(Debug)]
pub(super) struct Answer {
    /// The body.
    pub body: Bytes,
    /// The time at the source.
    pub at: Option<Millis>,
}

impl Answer {
    /// Reads the body as JSON that holds `what`.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self, what: &'static str) -> Result<T, RestError> {
        serde_json::from_slice(&self.body).map_err(|_| RestError::Answer(what))
    }
}

/// Sends a request and reads the whole answer within bounds.
pub(super) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, RestError> {
    let mut response = request.send().await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(RestError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (response.status(), response.headers());
    if status.is_success() {
        return Ok(Answer { body: body.freeze(), at: told_at(headers) });
    }
    Err(refusal(status, headers, &body))
}

/// The answer's `Date`: the clock of the source.
fn told_at(headers: &HeaderMap) -> Option<Millis> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Millis(at.as_millisecond()))
}

/// Errors of the data API, which come as a list.
#[derive(Deserialize)]
struct DataError {
    #[serde(rename = "errorCode", default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

/// An error of the login.
#[derive(Deserialize)]
struct LoginError {
    error: String,
    #[serde(default)]
    error_description: String,
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> RestError {
    let listed = serde_json::from_slice::<Vec<DataError>>(body).ok().and_then(|errors| errors.into_iter().next());
    let (code, words) = match listed {
        Some(error) => (error.error_code, error.message),
        None => serde_json::from_slice::<LoginError>(body)
            .map(|error| (error.error, error.error_description))
            .unwrap_or_default(),
    };
    let is_code = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let code: String = code.chars().filter(is_code).take(CODE_CHARS_MAX).collect();
    let code = if code.is_empty() { format!("status {}", status.as_u16()) } else { code };
    let is_limit = code == "REQUEST_LIMIT_EXCEEDED" || code == "SERVER_UNAVAILABLE";
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE || is_limit {
        let wait = headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
        return RestError::Busy { code, wait: wait.map(|s| Duration::from_secs(s).min(WAIT_MAX)) };
    }
    RestError::Refused { status: status.as_u16(), code, words }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(status: u16, body: &str, expected: &str) -> RestError {
        let error = refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
        assert_eq!(error.to_string(), expected);
        error
    }

    #[test]
    fn a_refusal_is_known_by_the_vendors_code() {
        let expired = r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#;
        assert!(check(401, expired, "salesforce answered INVALID_SESSION_ID (status 401)").is_expired());
        let no_object = r#"[{"message":"sObject type 'X' is not supported.","errorCode":"INVALID_TYPE"}]"#;
        assert!(check(400, no_object, "salesforce answered INVALID_TYPE (status 400)").is_no_object());
        let login = r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#;
        let error = check(400, login, "salesforce answered invalid_grant (status 400)");
        assert!(!error.is_expired() && !error.is_no_object());
        assert!(matches!(error, RestError::Refused { words, .. } if words.contains("approved")));
        check(502, "<html>bad gateway</html>", "salesforce answered status 502 (status 502)");
    }

    #[test]
    fn a_busy_organisation_says_how_long() {
        let limit = r#"[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#;
        assert_eq!(check(403, limit, "salesforce asks to wait: REQUEST_LIMIT_EXCEEDED").wait(), Duration::ZERO);
        let mut headers = HeaderMap::new();
        for (sent, waited) in [("7", 7), ("100000", 300), ("soon", 0)] {
            headers.insert(header::RETRY_AFTER, sent.parse().unwrap());
            let error = refusal(StatusCode::TOO_MANY_REQUESTS, &headers, b"");
            assert_eq!(error.wait(), Duration::from_secs(waited), "{sent}");
        }
    }

    #[test]
    fn the_date_is_the_sources_clock() {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, "Tue, 10 Mar 2026 15:00:00 GMT".parse().unwrap());
        assert_eq!(told_at(&headers), Some(Millis(1_773_154_800_000)));
        headers.insert(header::DATE, "today".parse().unwrap());
        assert_eq!(told_at(&headers), None);
    }
}
