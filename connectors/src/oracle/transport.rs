//! Change envelopes by HTTP push, and the list job that proves nothing is missing.
//!
//! `POST /oracle/changes` takes one envelope, an array of them, or lines of them. The answer is 2xx
//! only after the log has all of it. The list job asks the REST views for rows with a higher row SCN
//! than the last run saw: what capture missed comes in as images, and the time of the answer is the
//! watermark.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use ontology::{Millis, System, Vocabulary};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::decode::heartbeat;
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::body::{Received, answer, receive, take};
use crate::edge::credentials::{Secret, has_bearer};
use crate::edge::http::{CallError, Seen, call, client, escaped};
use crate::edge::list_job::{ListJob, every};
use crate::value::parse_instant;

/// Name of the list job's position.
pub const POSITION: &str = "oracle/list";

/// Rows per page of the list job; the service gives at most 500.
const PAGE_ROWS: usize = 500;

/// How the Oracle connector is set up.
#[derive(Debug, Clone)]
pub struct OracleConfig {
    /// Bearer token that senders carry.
    pub token: Secret,
    /// Partition that pushed changes belong to, for example the name of the capture.
    pub partition: String,
}

/// How the list job reaches the REST views.
#[derive(Debug, Clone)]
pub struct OracleListConfig {
    /// Base address, for example `http://host:port/ords/ar`.
    pub base_url: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: Secret,
    /// Tables to ask for, as they are called in the mapping.
    pub tables: Vec<String>,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: Duration,
}

struct Endpoint<S> {
    context: Context<S>,
    config: OracleConfig,
}

/// The endpoint that change capture posts to.
pub fn router<S: Sink>(context: Context<S>, config: OracleConfig) -> Router {
    Router::new().route("/oracle/changes", post(changes::<S>)).with_state(Arc::new(Endpoint { context, config }))
}

async fn changes<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config } = &*endpoint;
    if !has_bearer(&headers, &config.token) {
        context.status.refused("bad_token");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let received = receive(body).await;
    if let Received::Whole(raw) = &received
        && let Some(until) = heartbeat(raw)
    {
        context.status.watermark(until);
        return answer(context.heartbeat(System::Oracle, &config.partition, until).await);
    }
    let is_lines = text(header::CONTENT_TYPE.as_str()).starts_with("application/x-ndjson");
    let framing = if is_lines { Framing::Lines } else { Framing::Document };
    take(context, System::Oracle, &config.partition, received, framing).await
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Current {
    current_scn: String,
    current_time: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    #[serde(rename = "hasMore")]
    has_more: bool,
}

/// The list job with what it remembers between runs.
struct Lister<S> {
    context: Context<S>,
    config: OracleListConfig,
    client: reqwest::Client,
    token: Option<String>,
    /// Rows up to this SCN are known.
    known_scn: Option<u128>,
    seen: Seen,
}

/// Runs the list job until `stop`. `position` is what an earlier run stored under [`POSITION`];
/// without one the job begins with rows that change from now on.
pub async fn list<S: Sink>(
    context: Context<S>,
    config: OracleListConfig,
    position: Option<Vec<u8>>,
    stop: CancellationToken,
) {
    let known_scn = position.and_then(|p| String::from_utf8(p).ok()).and_then(|text| text.parse().ok());
    let interval = config.interval;
    let (status, clock) = (context.status.clone(), context.clock.clone());
    let job = Lister { context, config, client: client(), token: None, known_scn, seen: Seen::default() };
    every(job, interval, status, clock, stop).await;
}

impl<S: Sink> ListJob for Lister<S> {
    async fn run(&mut self) -> Result<(), CallError> {
        // What the source knows before the pages are read is the most that they can prove.
        let current: Current = serde_json::from_slice(&self.get("current").await?)
            .map_err(|_| CallError::Answer("the current position"))?;
        let scn = current.current_scn.parse().map_err(|_| CallError::Answer("the current scn"))?;
        let until = parse_instant(&current.current_time, &jiff::tz::TimeZone::UTC)
            .ok_or(CallError::Answer("the current time"))?;
        if let Some(known) = self.known_scn {
            for table in self.config.tables.clone() {
                self.table(&table, known).await?;
            }
        }
        self.known_scn = Some(scn);
        self.prove(until, scn).await
    }
}

impl<S: Sink> Lister<S> {
    async fn prove(&self, until: Millis, scn: u128) -> Result<(), CallError> {
        let partition = &self.config.partition;
        let fact = crate::edge::liveness::heartbeat(System::Oracle, partition, until, self.context.clock.now());
        let mut submission = crate::Submission::new(
            System::Oracle,
            partition,
            crate::Decoded::default(),
            Bytes::new(),
            self.context.clock.now(),
        )
        .at(POSITION, scn.to_string().as_bytes());
        submission.facts.push(fact);
        self.context.submit_until_taken(submission).await.map_err(|_| CallError::Answer("the log is closed"))?;
        self.context.status.watermark(until);
        Ok(())
    }

    async fn table(&mut self, table: &str, known: u128) -> Result<(), CallError> {
        let mut offset = 0;
        loop {
            let query = format!("{{\"ora_rowscn\":{{\"$gt\":{known}}}}}");
            let path = format!("{}/?q={}&limit={PAGE_ROWS}&offset={offset}", table.to_lowercase(), escaped(&query));
            let page: Page =
                serde_json::from_slice(&self.get(&path).await?).map_err(|_| CallError::Answer("a page of rows"))?;
            offset += page.items.len();
            let entries: Vec<String> =
                page.items.iter().map(|row| format!("{{\"table\":\"{table}\",\"row\":{}}}", row.get())).collect();
            let raw = Bytes::from(format!("[{}]", entries.join(",")));
            let mut decoding =
                self.context.decode(System::Oracle, &self.config.partition, &raw, Framing::Document).submission;
            decoding.facts.retain(|fact| self.seen.is_new(fact.event_id.to_string()));
            self.context.submit_until_taken(decoding).await.map_err(|_| CallError::Answer("the log is closed"))?;
            if !page.has_more || page.items.is_empty() {
                return Ok(());
            }
        }
    }

    async fn get(&mut self, path: &str) -> Result<Bytes, CallError> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.login().await?,
        };
        let request = self.client.get(format!("{}/{path}", self.config.base_url)).bearer_auth(token);
        let result = call(request).await;
        if result == Err(CallError::Unauthorised) {
            self.token = None;
        }
        result.map(|(_, body)| body)
    }

    async fn login(&mut self) -> Result<String, CallError> {
        let request = self
            .client
            .post(format!("{}/oauth/token", self.config.base_url))
            .basic_auth(&self.config.client_id, Some(self.config.client_secret.expose()))
            .form(&[("grant_type", "client_credentials")]);
        let (_, body) = call(request).await?;
        let token: Token = serde_json::from_slice(&body).map_err(|_| CallError::Answer("a token"))?;
        self.token = Some(token.access_token.clone());
        tracing::debug!(system = System::Oracle.name(), "a new access token");
        Ok(token.access_token)
    }
}
