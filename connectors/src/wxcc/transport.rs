//! Signed webhooks, and the list job over the Search API that closes what they lost.
//!
//! `POST /webhooks/wxcc` checks the signature over the raw bytes before it reads them. Webhooks are
//! not guaranteed to arrive, so the list job asks Search for contacts created and ended since the
//! last run, with an overlap, and the time that the answer vouches for is the watermark.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use ontology::{Millis, System};
use tokio_util::sync::CancellationToken;

use super::decode::signed_time;
use super::signature::{is_fresh, verify};
use crate::contract::{Decoded, Framing, Sink, Submission};
use crate::edge::Context;
use crate::edge::body::{Received, receive, take};
use crate::edge::credentials::Secret;
use crate::edge::http::{CallError, Seen, call, client};
use crate::edge::list_job::{ListJob, every};
use crate::edge::liveness::heartbeat;
use crate::json::Json;

/// Name of the list job's position.
pub const POSITION: &str = "wxcc/search";

/// How far a window reaches back before the last one's end: reports lag the live state by minutes.
const OVERLAP_MS: i64 = 15 * Millis::MINUTE_MS;

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

/// How the list job reaches the Search API.
#[derive(Debug, Clone)]
pub struct WxccSearchConfig {
    /// Base address, for example `https://api.wxcc-us1.cisco.com`.
    pub base_url: String,
    /// Organisation id.
    pub org_id: String,
    /// Bearer token.
    pub token: Secret,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: Duration,
    /// Known reporting lag in milliseconds, taken off the watermark.
    pub lag_ms: i64,
}

struct Endpoint<S> {
    context: Context<S>,
    config: WxccConfig,
    secrets: Vec<Vec<u8>>,
}

/// The endpoint that webhooks are sent to.
pub fn router<S: Sink>(context: Context<S>, config: WxccConfig) -> Router {
    let secrets = config.secrets.iter().map(|s| s.expose().as_bytes().to_vec()).collect();
    Router::new().route("/webhooks/wxcc", post(webhook::<S>)).with_state(Arc::new(Endpoint {
        context,
        config,
        secrets,
    }))
}

async fn webhook<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config, secrets } = &*endpoint;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let raw = match receive(body).await {
        Received::Whole(raw) => raw,
        // What was not read whole cannot be proven, so it is no fact and no quarantine either.
        Received::Oversized(..) => {
            context.status.refused("oversized");
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        Received::Broken => return StatusCode::BAD_REQUEST.into_response(),
    };
    if verify(secrets, &raw, text("x-webexcc-signature")).is_err() {
        context.status.refused("bad_signature");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let now = context.clock.now();
    if config.is_freshness_checked && is_fresh(text("x-webexcc-timestamp"), signed_time(&raw), now).is_err() {
        context.status.refused("not_fresh");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    take(context, System::Wxcc, &config.partition, Received::Whole(raw), Framing::Document).await
}

/// The list job with what it remembers between runs.
struct Searcher<S> {
    context: Context<S>,
    config: WxccSearchConfig,
    client: reqwest::Client,
    /// Contacts up to this instant are known.
    known_until: Millis,
    seen: Seen,
}

/// Runs the list job until `stop`. `position` is what an earlier run stored under [`POSITION`];
/// without one the job begins with the overlap before now.
pub async fn search<S: Sink>(
    context: Context<S>,
    config: WxccSearchConfig,
    position: Option<Vec<u8>>,
    stop: CancellationToken,
) {
    let known_until = position.and_then(|p| p.try_into().ok()).map(|bytes| Millis(i64::from_be_bytes(bytes)));
    let known_until = known_until.unwrap_or_else(|| context.clock.now());
    let interval = config.interval;
    let (status, clock) = (context.status.clone(), context.clock.clone());
    let job = Searcher { context, config, client: client(), known_until, seen: Seen::default() };
    every(job, interval, status, clock, stop).await;
}

impl<S: Sink> ListJob for Searcher<S> {
    async fn run(&mut self) -> Result<(), CallError> {
        let (from, to) = (self.known_until - OVERLAP_MS, self.context.clock.now());
        let mut proven = to;
        for comparator in ["createdTime", "endedTime"] {
            proven = proven.min(self.window(comparator, from, to).await?);
        }
        let until = proven - self.config.lag_ms;
        let now = self.context.clock.now();
        let mut submission =
            Submission::new(System::Wxcc, &self.config.partition, Decoded::default(), Bytes::new(), now)
                .at(POSITION, &until.0.to_be_bytes());
        submission.facts.push(heartbeat(System::Wxcc, &self.config.partition, until, now));
        self.submit(submission).await?;
        self.known_until = self.known_until.max(until);
        self.context.status.watermark(until);
        Ok(())
    }
}

impl<S: Sink> Searcher<S> {
    /// Reads one window page by page; the instant up to which the answers are complete.
    async fn window(&mut self, comparator: &str, from: Millis, to: Millis) -> Result<Millis, CallError> {
        let mut cursor = "NA".to_owned();
        let mut proven = to;
        loop {
            let query = format!(
                "{{ taskDetails(from: {}, to: {}, timeComparator: {comparator}, pagination: {{cursor: \"{cursor}\"}}) \
                 {{ tasks {{ {TASK_FIELDS} }} pageInfo {{ hasNextPage endCursor }} intervalEnd }} }}",
                from.0, to.0
            );
            let request = self
                .client
                .post(format!("{}/search?orgId={}", self.config.base_url, self.config.org_id))
                .bearer_auth(self.config.token.expose())
                .json(&serde_json::json!({ "query": query }));
            let (_, raw) = call(request).await?;
            let next = {
                let json = Json::parse(&raw).map_err(|_| CallError::Answer("a search answer"))?;
                let details = json.path("data.taskDetails").ok_or(CallError::Answer("a search answer"))?;
                if let Some(end) = details.get("intervalEnd").and_then(Json::integer) {
                    proven = proven.min(Millis(end));
                }
                let page = details.get("pageInfo");
                let has_next = page.and_then(|p| p.get("hasNextPage")) == Some(&Json::Bool(true));
                let end = page.and_then(|p| p.get("endCursor")).and_then(Json::text).map(str::to_owned);
                end.filter(|_| has_next)
            };
            let mut submission =
                self.context.decode(System::Wxcc, &self.config.partition, &raw, Framing::Document).submission;
            submission.facts.retain(|fact| self.seen.is_new(format!("{}/{}", fact.object, fact.event_id)));
            self.submit(submission).await?;
            match next {
                // The cursor goes back into a query: nothing in it may end the string.
                Some(next) if next != cursor && !next.contains(['"', '\\']) => cursor = next,
                Some(_) | None => return Ok(proven),
            }
        }
    }

    async fn submit(&self, submission: Submission) -> Result<(), CallError> {
        let result = self.context.submit_until_taken(submission).await;
        result.map(|_| ()).map_err(|_| CallError::Answer("the log is closed"))
    }
}

const TASK_FIELDS: &str = "id status channelType createdTime connectedTime endedTime lastModifiedTime origin destination \
    direction isActive terminatingEnd totalDuration connectedDuration lastWrapupCodeName lastQueue { id name } \
    lastAgent { id name } stringGlobalVariables { name value }";
