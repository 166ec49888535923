//! Request bodies within bounds, and the answers to what became of them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use ontology::{System, Trace};

use super::Context;
use crate::Headers;
use crate::contract::{
    Accepted, BODY_BYTES_MAX, Decoded, Framing, OVERSIZED_KEPT_BYTES, Reject, RejectCode, Sink, SinkError, Submission,
};

/// Where even the draining of an oversized body ends.
const DRAINED_BYTES_MAX: usize = 8 << 20;

/// A body as far as it was read.
#[derive(Debug)]
pub enum Received {
    /// The whole of it.
    Whole(Bytes),
    /// Its beginning, and how many bytes were seen.
    Oversized(Bytes, usize),
    /// The connection broke.
    Broken,
}

/// Reads a body up to the bound; of a longer one the beginning is kept and the rest drained, so
/// that the sender hears the answer.
pub async fn receive(body: Body) -> Received {
    let mut kept = BytesMut::new();
    let mut seen = 0_usize;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Received::Broken };
        seen += chunk.len();
        if seen <= BODY_BYTES_MAX {
            kept.extend_from_slice(&chunk);
        } else {
            // An over-long body may come in one chunk: its beginning is kept all the same.
            let missing = OVERSIZED_KEPT_BYTES.saturating_sub(kept.len()).min(chunk.len());
            kept.extend_from_slice(&chunk[..missing]);
            kept.truncate(OVERSIZED_KEPT_BYTES);
        }
        if seen > DRAINED_BYTES_MAX {
            break;
        }
    }
    if seen > BODY_BYTES_MAX { Received::Oversized(kept.freeze(), seen) } else { Received::Whole(kept.freeze()) }
}

/// The headers of a request that a decoder may need: those in `names`; one that ends in `-` stands for
/// all that begin so. Values that are no text are left out.
#[must_use]
pub fn told(headers: &HeaderMap, names: &[&str]) -> Headers {
    let is_named =
        |name: &str| names.iter().any(|known| *known == name || known.ends_with('-') && name.starts_with(known));
    let named = headers.iter().filter(|(name, _)| is_named(name.as_str()));
    named.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

/// The trace that a request came with: of the request itself, or else of the event in it, as CloudEvents
/// tells it in a header. More than one of them is none.
#[must_use]
pub fn trace(headers: &HeaderMap) -> Option<Trace> {
    [("traceparent", "tracestate"), ("ce-traceparent", "ce-tracestate")].into_iter().find_map(|(parent, state)| {
        let texts = |name: &str| headers.get_all(name).iter().map(HeaderValue::to_str);
        let parents = texts(parent).collect::<Result<Vec<_>, _>>().ok()?;
        let states = texts(state).collect::<Result<Vec<_>, _>>().unwrap_or_default();
        match parents[..] {
            [parent] => Trace::parse(parent, &states.join(",")),
            _ => None,
        }
    })
}

/// Decodes an authenticated body, stores it and answers: 2xx only when it is durable, for what went
/// to quarantine too, since nothing is lost.
pub async fn take<S: Sink>(
    context: &Context<S>,
    system: System,
    partition: &str,
    body: Received,
    framing: Framing,
) -> Response {
    let submission = match body {
        Received::Broken => return StatusCode::BAD_REQUEST.into_response(),
        Received::Whole(raw) => context.decode(system, partition, &raw, framing).submission,
        Received::Oversized(head, seen) => oversized(context, system, partition, head, seen),
    };
    answer(context.submit(submission).await)
}

fn oversized<S: Sink>(context: &Context<S>, system: System, partition: &str, head: Bytes, seen: usize) -> Submission {
    let label = ontology::Vocabulary::name(system);
    metrics::counter!("opshub_connector_rejects_total", "system" => label, "code" => "oversized").increment(1);
    let detail = format!("a body of {seen} bytes, of which the first {} are kept", head.len());
    let rejects = vec![Reject::new(RejectCode::Oversized, detail, 0..head.len())];
    Submission::new(system, partition, Decoded { rejects, ..Decoded::default() }, head, context.clock.now())
}

/// The answer that a sender understands.
#[must_use]
pub fn answer(result: Result<Accepted, SinkError>) -> Response {
    match result {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(SinkError::Busy { retry_after_ms }) => {
            let seconds = HeaderValue::from(retry_after_ms.div_ceil(1_000).max(1));
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, seconds)]).into_response()
        }
        Err(SinkError::Closed) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
