//! Change envelopes by HTTP push.
//!
//! `POST /oracle/changes` takes one envelope, an array of them, or lines of them. The answer is 2xx
//! only after the log has all of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ontology::System;

use super::decode::{DESTINATION, heartbeat};
use super::relist::Relist;
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::body::{Received, answer, receive, take, told, trace};
use crate::edge::credentials::{Secret, has_bearer};

pub use super::list::{OracleListConfig, POSITION, list};

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
        context.refuse("bad_token");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let raw = match receive(body).await {
        Received::Whole(raw) => raw,
        other @ (Received::Oversized(..) | Received::Broken) => {
            return take(context, System::Oracle, &config.partition, other, Framing::Document).await;
        }
    };
    if let Some(until) = heartbeat(&raw) {
        context.status.watermark(until);
        if let Err(error) = relist.count(context, Vec::new()).await {
            return answer(Err(error));
        }
        return answer(context.heartbeat(System::Oracle, &config.partition, until).await);
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_lines = content_type.is_some_and(|kind| kind.starts_with("application/x-ndjson"));
    let framing = if is_lines { Framing::Lines } else { Framing::Document };
    let told = told(&headers, &[DESTINATION]);
    let decoding = context.decode_told(System::Oracle, &config.partition, &raw, framing, told);
    match relist.heed(context, decoding).await {
        Ok(submission) => answer(context.submit(submission.traced(trace(&headers))).await),
        Err(error) => answer(Err(error)),
    }
}
