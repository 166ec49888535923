//! The door that webhooks are sent to.
//!
//! Zendesk waits 12 s, then tries again up to five times; 503 is tried again where it names a wait
//! below a minute. What is lost after that comes back through the export.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ontology::System;

use super::signature::{is_fresh, verify};
use crate::contract::{Framing, Sink, SinkError};
use crate::edge::Context;
use crate::edge::body::{Received, answer, receive, trace};
use crate::edge::credentials::Secret;

/// Longest wait that is asked of Zendesk: a longer one ends its attempts.
const WAIT_MS_MAX: u64 = 59_000;

/// How the webhook endpoint is set up.
#[derive(Debug, Clone)]
pub struct ZendeskConfig {
    /// Live secrets; two while one is being replaced.
    pub secrets: Vec<Secret>,
    /// Partition that webhooks belong to.
    pub partition: String,
    /// Whether the signed time must be within five minutes of the hub's clock. Off where the source
    /// lives in another time than the hub.
    pub is_freshness_checked: bool,
}

struct Endpoint<S> {
    context: Context<S>,
    config: ZendeskConfig,
    secrets: Vec<Vec<u8>>,
}

/// The endpoint that webhooks are sent to: `POST /webhooks/zendesk`.
pub fn router<S: Sink>(context: Context<S>, config: ZendeskConfig) -> Router {
    let secrets = config.secrets.iter().map(|secret| secret.expose().as_bytes().to_vec()).collect();
    let endpoint = Arc::new(Endpoint { context, config, secrets });
    Router::new().route("/webhooks/zendesk", post(webhook::<S>)).with_state(endpoint)
}

async fn webhook<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config, secrets } = &*endpoint;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let raw = match receive(body).await {
        Received::Whole(raw) => raw,
        // What was not read whole cannot be proven, so it is no fact and no quarantine either.
        Received::Oversized(..) => {
            context.refuse("oversized");
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        Received::Broken => return StatusCode::BAD_REQUEST.into_response(),
    };
    let timestamp = text("x-zendesk-webhook-signature-timestamp");
    let proven = verify(secrets, timestamp, &raw, text("x-zendesk-webhook-signature"));
    let fresh = || if config.is_freshness_checked { is_fresh(timestamp, context.clock.now()) } else { Ok(()) };
    if let Err(refusal) = proven.and_then(|()| fresh()) {
        context.refuse(refusal.code());
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let submission = context.decode(System::Zendesk, &config.partition, &raw, Framing::Document).submission;
    let submission = submission.traced(trace(&headers));
    answer(context.submit(submission).await.map_err(|error| match error {
        SinkError::Busy { retry_after_ms } => SinkError::Busy { retry_after_ms: retry_after_ms.min(WAIT_MS_MAX) },
        SinkError::Closed => SinkError::Closed,
    }))
}
