//! The doors of SAP: IDocs in XML that are posted, and business events that are pushed.
//!
//! `POST /sap/idoc` answers 2xx only after the log has the documents: SAP sends again only by hand
//! after anything else. `POST /sap/oauth/token` gives a sender that authenticates by OAuth its token.
//! `POST /sap/events` takes CloudEvents, structured, in batches or in binary
//! mode; `OPTIONS` there is the handshake by which a sender learns that it may.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{options, post};
use axum::{Form, Router};
use bytes::Bytes;
use ontology::{Millis, System, Trace};
use serde::Deserialize;

use super::refetch::{Refetch, Refetches};
use super::status;
use crate::contract::{Framing, Reject, Sink};
use crate::edge::Context;
use crate::edge::body::{Received, answer, receive, take, told, trace};
use crate::edge::credentials::{Secret, has_basic, has_bearer, has_timed_token, timed_token};

/// Life of a token that a sender gets.
const TOKEN_LIFE_MS: i64 = Millis::HOUR_MS;

/// Events per minute that a sender may push.
const EVENTS_PER_MINUTE: HeaderValue = HeaderValue::from_static("6000");

/// How the doors are set up.
#[derive(Debug, Clone)]
pub struct SapConfig {
    /// User that SAP logs on with, or id of the client that gets tokens.
    pub user: String,
    /// Its password or secret; event senders may carry it as bearer token.
    pub password: Secret,
    /// Partition that documents belong to.
    pub partition: String,
    /// Origins that may push events, by the name that they give in the handshake; empty is any that
    /// knows the password.
    pub event_origins: Vec<String>,
}

impl SapConfig {
    /// Doors for one user.
    #[must_use]
    pub fn new(user: &str, password: Secret, partition: &str) -> Self {
        SapConfig { user: user.to_owned(), password, partition: partition.to_owned(), event_origins: Vec::new() }
    }

    /// Whether a request comes from the user, or from the client by a token that holds.
    fn knows(&self, headers: &HeaderMap, now: Millis) -> bool {
        has_basic(headers, &self.user, &self.password) || has_timed_token(headers, &self.password, now)
    }
}

struct Endpoint<S> {
    context: Context<S>,
    config: SapConfig,
    /// Where records are handed in that an event names; without it there is no door for events.
    refetches: Option<Refetches>,
}

/// The doors. Events are taken only where records can be read again.
pub fn router<S: Sink>(context: Context<S>, config: SapConfig, refetches: Option<Refetches>) -> Router {
    let has_events = refetches.is_some();
    let endpoint = Arc::new(Endpoint { context, config, refetches });
    let router = Router::new().route("/sap/idoc", post(idoc::<S>)).route("/sap/oauth/token", post(token::<S>));
    let router =
        if has_events { router.route("/sap/events", options(handshake::<S>).post(events::<S>)) } else { router };
    router.with_state(endpoint)
}

async fn idoc<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config, .. } = &*endpoint;
    if !config.knows(&headers, context.clock.now()) {
        context.refuse("bad_credential");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let raw = match receive(body).await {
        Received::Whole(raw) => raw,
        received @ (Received::Oversized(..) | Received::Broken) => {
            return take(context, System::Sap, &config.partition, received, Framing::Document).await;
        }
    };
    let submission = context.decode(System::Sap, &config.partition, &raw, Framing::Document).submission;
    let submission = submission.traced(trace(&headers));
    let rejects: Vec<Reject> = submission.rejects.iter().map(|reject| placed(&raw, reject)).collect();
    let stored = context.submit(submission).await;
    let is_stored = stored.is_ok();
    let mut answer = answer(stored);
    if is_stored {
        *answer.body_mut() = Body::from(status::answer(&raw, &rejects));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    }
    answer
}

/// Gives a client its token. Id and secret stand in the header or, as the older form has it, in the body.
async fn token<S: Sink>(
    State(endpoint): State<Arc<Endpoint<S>>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let Endpoint { context, config, .. } = &*endpoint;
    let refused = |status: StatusCode, error: &'static str| {
        context.refuse(error);
        (status, axum::Json(serde_json::json!({ "error": error }))).into_response()
    };
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let is_in_body = text("client_id") == config.user && config.password.is(text("client_secret"));
    if !is_in_body && !has_basic(&headers, &config.user, &config.password) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if text("grant_type") != "client_credentials" {
        return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let token = timed_token(&config.password, context.clock.now() + TOKEN_LIFE_MS);
    let answer = serde_json::json!({
        "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_MS / Millis::SECOND_MS,
    });
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(answer)).into_response()
}

/// A quarantined part with its place: the part is a slice of the body.
fn placed(raw: &Bytes, reject: &crate::contract::Rejected) -> Reject {
    let start = (reject.raw.as_ptr() as usize).saturating_sub(raw.as_ptr() as usize).min(raw.len());
    let end = (start + reject.raw.len()).min(raw.len());
    Reject::new(reject.code, reject.detail.clone(), start..end)
}

/// The handshake of web hooks: the sender asks whether it may, and how often.
async fn handshake<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap) -> Response {
    let origin = headers.get("webhook-request-origin");
    let Some(origin) = origin.filter(|origin| is_allowed(&endpoint.config, origin)) else {
        endpoint.context.refuse("bad_origin");
        return StatusCode::FORBIDDEN.into_response();
    };
    let allowed = [
        (HeaderName::from_static("webhook-allowed-origin"), origin.clone()),
        (HeaderName::from_static("webhook-allowed-rate"), EVENTS_PER_MINUTE),
        (header::ALLOW, HeaderValue::from_static("OPTIONS, POST")),
    ];
    (StatusCode::OK, allowed).into_response()
}

fn is_allowed(config: &SapConfig, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    !origin.is_empty() && (config.event_origins.is_empty() || config.event_origins.iter().any(|one| one == origin))
}

async fn events<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config, refetches } = &*endpoint;
    if !config.knows(&headers, context.clock.now()) && !has_bearer(&headers, &config.password) {
        context.refuse("bad_credential");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let raw = match receive(body).await {
        Received::Whole(raw) => raw,
        received @ (Received::Oversized(..) | Received::Broken) => {
            return take(context, System::Sap, &config.partition, received, Framing::Document).await;
        }
    };
    let told = told(&headers, &["ce-"]);
    let mut submission = context.decode_told(System::Sap, &config.partition, &raw, Framing::Document, told).submission;
    // Events of sets that are not asked for are left alone: their records would never be read.
    if let Some(refetches) = refetches {
        let count = submission.facts.len();
        submission.facts.retain(|fact| refetches.fills(fact));
        let left = count - submission.facts.len();
        metrics::counter!("opshub_connector_ignored_total", "system" => "sap").increment(left as u64);
        submission.unmapped += left;
    }
    let submission = submission.traced(trace(&headers).or_else(|| trace_in(&raw)));
    let gaps: Vec<Refetch> = submission.facts.iter().filter_map(Refetch::of).collect();
    let stored = context.submit(submission).await;
    if let Some(refetches) = refetches.as_ref().filter(|_| stored.is_ok()) {
        gaps.into_iter().for_each(|gap| refetches.push(gap));
    }
    answer(stored)
}

/// The trace that an event in the structured mode of CloudEvents names among its attributes.
fn trace_in(raw: &[u8]) -> Option<Trace> {
    #[derive(Deserialize)]
    struct Attributes {
        traceparent: String,
        #[serde(default)]
        tracestate: String,
    }
    let Attributes { traceparent, tracestate } = serde_json::from_slice(raw).ok()?;
    Trace::parse(&traceparent, &tracestate)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_event_names_its_trace_among_its_attributes() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let check = |body: String, state: Option<&str>| {
            assert_eq!(trace_in(body.as_bytes()), state.and_then(|state| Trace::parse(parent, state)), "{body}");
        };
        check(format!("{{\"traceparent\":\"{parent}\",\"data\":{{}}}}"), Some(""));
        check(format!("{{\"traceparent\":\"{parent}\",\"tracestate\":\"a=1\"}}"), Some("a=1"));
        check("{\"traceparent\":\"none\"}".to_owned(), None);
        check("{\"traceparent\":1}".to_owned(), None);
        check("[]".to_owned(), None);
    }

    #[test]
    fn only_known_origins_may_push() {
        let config = |origins: &[&str]| SapConfig {
            event_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ..SapConfig::new("u", Secret::new("p"), "s4")
        };
        let mesh = HeaderValue::from_static("eventmesh.example");
        assert!(is_allowed(&config(&[]), &mesh));
        assert!(is_allowed(&config(&["eventmesh.example"]), &mesh));
        assert!(!is_allowed(&config(&["other.example"]), &mesh));
        assert!(!is_allowed(&config(&[]), &HeaderValue::from_static("")));
    }
}
