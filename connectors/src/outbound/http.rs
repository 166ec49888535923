//! Calls that change something: their refusals are read, not only counted.

use bytes::BytesMut;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::Failure;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What a target answered.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body, if it is JSON.
    pub json: Value,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer)?.as_str()
    }

    /// What a refusal comes to: an overloaded or changing target is asked again.
    pub fn failure(&self, what: &str) -> Failure {
        match self.status {
            401 | 403 => Failure::Later(format!("{what}: the credential is not accepted (status {})", self.status)),
            408 | 425 | 429 | 500.. => Failure::Later(format!("{what}: status {}", self.status)),
            status => Failure::Refused(format!("{what}: status {status}")),
        }
    }
}

/// Sends a request and reads the answer within bounds, whatever its status.
pub(super) async fn ask(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    // The address may hold an id: it does not belong in a message.
    let lost = |error: reqwest::Error| Failure::Later(error.without_url().to_string());
    let mut response = request.send().await.map_err(lost)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Later("the answer is longer than is read".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}
