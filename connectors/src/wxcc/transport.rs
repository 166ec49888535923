//! The door that signed webhooks come in by.
//!
//! `POST /webhooks/wxcc` checks the signature over the raw bytes before it reads them, and answers
//! 2xx only after the log has the event. Two subscriptions tell one event under two ids: what was
//! stored already is not stored again.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ontology::System;

use super::decode::Glance;
use super::signature::{is_fresh, verify};
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::body::{Received, answer, receive, trace};
use crate::edge::credentials::Secret;
use crate::edge::http::Seen;

/// How the webhook endpoint is set up.
#[derive(Debug, Clone)]
pub struct WxccConfig {
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
    config: WxccConfig,
    secrets: Vec<Vec<u8>>,
    /// Events that are stored, by what they say and not by their ids.
    stored: Mutex<Seen>,
}

/// The endpoint that webhooks are sent to.
pub fn router<S: Sink>(context: Context<S>, config: WxccConfig) -> Router {
    let secrets = config.secrets.iter().map(|s| s.expose().as_bytes().to_vec()).collect();
    let stored = Mutex::new(Seen::default());
    let endpoint = Arc::new(Endpoint { context, config, secrets, stored });
    Router::new().route("/webhooks/wxcc", post(webhook::<S>)).with_state(endpoint)
}

async fn webhook<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config, secrets, stored } = &*endpoint;
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
    if verify(secrets, &raw, text("x-webexcc-signature")).is_err() {
        context.refuse("bad_signature");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let glance = Glance::at(&raw);
    let now = context.clock.now();
    if config.is_freshness_checked && is_fresh(text("x-webexcc-timestamp"), glance.signed_time, now).is_err() {
        context.refuse("not_fresh");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let lock = || stored.lock().unwrap_or_else(PoisonError::into_inner);
    if glance.content.as_ref().is_some_and(|content| lock().has(content)) {
        metrics::counter!("opshub_connector_ignored_total", "system" => "wxcc").increment(1);
        return StatusCode::ACCEPTED.into_response();
    }
    let submission = context.decode(System::Wxcc, &config.partition, &raw, Framing::Document).submission;
    let answer = answer(context.submit(submission.traced(trace(&headers))).await);
    if let Some(content) = glance.content.filter(|_| answer.status().is_success()) {
        // Only what the log has is known: a repeat of anything else is the second chance.
        lock().is_new(content);
    }
    answer
}
