//! Change envelopes by HTTP push.
//!
//! `POST /oracle/changes` takes one envelope, an array of them, or lines of them. The answer is 2xx
//! only after the log has all of it. What the sender's headers say of the topic goes with entries
//! that do not name their table themselves, so that a replay out of quarantine knows it too.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use ontology::System;

use super::decode::heartbeat;
use super::relist::Relist;
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::body::{Received, answer, receive, take};
use crate::edge::credentials::{Secret, has_bearer};

pub use super::list::{OracleListConfig, POSITION, list};

/// The header in which change capture names the topic that it would have written to.
const DESTINATION: &str = "x-debezium-destination";

/// How the Oracle connector is set up.
#[derive(Debug, Clone)]
pub struct OracleConfig {
    /// Bearer token that senders carry.
    pub token: Secret,
    /// Partition that pushed changes belong to, for example the name of the capture.
    pub partition: String,
}

struct Endpoint<S> {
    context: Context<S>,
    config: OracleConfig,
    relist: Relist,
}

/// The endpoint that change capture posts to. Tables that are emptied at once are asked of `relist`.
pub fn router<S: Sink>(context: Context<S>, config: OracleConfig, relist: Relist) -> Router {
    let endpoint = Endpoint { context, config, relist };
    Router::new().route("/oracle/changes", post(changes::<S>)).with_state(Arc::new(endpoint))
}

async fn changes<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config, relist } = &*endpoint;
    if !has_bearer(&headers, &config.token) {
        context.status.refused("bad_token");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let raw = match receive(body).await {
        Received::Whole(raw) => raw,
        other @ (Received::Oversized(..) | Received::Broken) => {
            return take(context, System::Oracle, &config.partition, other, Framing::Document).await;
        }
    };
    if let Some(until) = heartbeat(&raw) {
        context.status.watermark(until);
        return answer(context.heartbeat(System::Oracle, &config.partition, until).await);
    }
    let is_lines = text(header::CONTENT_TYPE.as_str()).starts_with("application/x-ndjson");
    let framing = if is_lines { Framing::Lines } else { Framing::Document };
    let raw = addressed(raw, framing, text(DESTINATION));
    let decoding = context.decode(System::Oracle, &config.partition, &raw, framing);
    match relist.heed(context, decoding).await {
        Ok(submission) => answer(context.submit(submission).await),
        Err(error) => answer(Err(error)),
    }
}

/// A body whose entries name no table, put into records of the topic that the header names.
fn addressed(raw: Bytes, framing: Framing, topic: &str) -> Bytes {
    let is_named = || raw.windows(7).any(|part| part == b"\"table\"");
    let is_topic = topic.contains('.') && !topic.contains(['"', '\\']) && topic.bytes().all(|b| b.is_ascii_graphic());
    if !is_topic || is_named() || raw.trim_ascii().is_empty() {
        return raw;
    }
    let mut out = Vec::with_capacity(raw.len() + 64);
    let mut put = |entry: &[u8]| {
        out.extend_from_slice(format!("{{\"topic\":\"{topic}\",\"value\":").as_bytes());
        out.extend_from_slice(entry);
        out.extend_from_slice(b"}\n");
    };
    match framing {
        Framing::Document => put(&raw),
        Framing::Lines => {
            raw.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).for_each(&mut put)
        }
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, framing: Framing, topic: &str, expected: &str) {
        assert_eq!(addressed(Bytes::copy_from_slice(raw.as_bytes()), framing, topic), expected.as_bytes());
    }

    #[test]
    fn the_topic_goes_with_entries_that_name_no_table() {
        let (document, lines) = (Framing::Document, Framing::Lines);
        check("{\"op\":\"u\"} ", document, "a.B.C", "{\"topic\":\"a.B.C\",\"value\":{\"op\":\"u\"} }\n");
        let two = "{\"topic\":\"a.B.C\",\"value\":1}\n{\"topic\":\"a.B.C\",\"value\":2}\n";
        check("1\n\n2\n", lines, "a.B.C", two);
        for (raw, topic) in [("{\"table\":1}", "a.B.C"), ("{}", ""), ("{}", "ab"), ("{}", "a.\"b"), (" ", "a.b")] {
            check(raw, document, topic, raw);
        }
    }
}
