//! IDoc XML by HTTP, and the list job over OData that closes what was not sent.
//!
//! `POST /sap/idoc` answers 2xx only after the log has the documents: SAP sends again only by hand
//! after anything else. The list job asks for orders, dispatches and partners changed since the last
//! run; the server's own time in the answer is the watermark.

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

use crate::contract::{Decoded, Framing, Sink, Submission};
use crate::edge::Context;
use crate::edge::body::{receive, take};
use crate::edge::credentials::{Secret, has_basic};
use crate::edge::http::{CallError, Seen, call, client, escaped};
use crate::edge::list_job::{ListJob, every};
use crate::edge::liveness::heartbeat;
use crate::json::Json;

/// Name of the list job's position.
pub const POSITION: &str = "sap/list";

/// How far a window reaches back before the last one's end.
const OVERLAP_MS: i64 = 2 * Millis::MINUTE_MS;

/// Rows per page.
const PAGE_ROWS: usize = 200;

/// The sets that are asked for.
const SETS: &[&str] = &["A_ServiceOrder", "A_FieldDispatch", "A_BusinessPartner"];

/// How the IDoc endpoint is set up.
#[derive(Debug, Clone)]
pub struct SapConfig {
    /// User that SAP logs on with.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Partition that documents belong to.
    pub partition: String,
}

/// How the list job reaches the OData service.
#[derive(Debug, Clone)]
pub struct SapListConfig {
    /// Base address of the service.
    pub base_url: String,
    /// User.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: Duration,
}

struct Endpoint<S> {
    context: Context<S>,
    config: SapConfig,
}

/// The endpoint that SAP posts IDocs to.
pub fn router<S: Sink>(context: Context<S>, config: SapConfig) -> Router {
    Router::new().route("/sap/idoc", post(idoc::<S>)).with_state(Arc::new(Endpoint { context, config }))
}

async fn idoc<S: Sink>(State(endpoint): State<Arc<Endpoint<S>>>, headers: HeaderMap, body: Body) -> Response {
    let Endpoint { context, config } = &*endpoint;
    if !has_basic(&headers, &config.user, &config.password) {
        context.status.refused("bad_credential");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    take(context, System::Sap, &config.partition, receive(body).await, Framing::Document).await
}

/// The list job with what it remembers between runs.
struct Lister<S> {
    context: Context<S>,
    config: SapListConfig,
    client: reqwest::Client,
    /// Changes up to this instant are known.
    known_until: Millis,
    seen: Seen,
}

/// Runs the list job until `stop`. `position` is what an earlier run stored under [`POSITION`];
/// without one the job begins with the overlap before now.
pub async fn list<S: Sink>(
    context: Context<S>,
    config: SapListConfig,
    position: Option<Vec<u8>>,
    stop: CancellationToken,
) {
    let known_until = position.and_then(|p| p.try_into().ok()).map(|bytes| Millis(i64::from_be_bytes(bytes)));
    let known_until = known_until.unwrap_or_else(|| context.clock.now());
    let interval = config.interval;
    let (status, clock) = (context.status.clone(), context.clock.clone());
    let job = Lister { context, config, client: client(), known_until, seen: Seen::default() };
    every(job, interval, status, clock, stop).await;
}

impl<S: Sink> ListJob for Lister<S> {
    async fn run(&mut self) -> Result<(), CallError> {
        let mut proven = None;
        for set in SETS {
            let until = self.set(set).await?;
            proven = Some(proven.map_or(until, |p: Millis| p.min(until)));
        }
        let Some(until) = proven else { return Ok(()) };
        let now = self.context.clock.now();
        let mut submission =
            Submission::new(System::Sap, &self.config.partition, Decoded::default(), Bytes::new(), now)
                .at(POSITION, &until.0.to_be_bytes());
        submission.facts.push(heartbeat(System::Sap, &self.config.partition, until, now));
        self.submit(submission).await?;
        self.known_until = self.known_until.max(until);
        self.context.status.watermark(until);
        Ok(())
    }
}

impl<S: Sink> Lister<S> {
    /// Reads what changed in one set; the server's time at the first page.
    async fn set(&mut self, set: &str) -> Result<Millis, CallError> {
        let since = jiff::Timestamp::from_millisecond((self.known_until - OVERLAP_MS).0)
            .map_err(|_| CallError::Answer("a position out of range"))?;
        let filter = escaped(&format!("ServiceDocChangedDateTime ge datetimeoffset'{since}'"));
        let mut skip = 0;
        let mut proven = None;
        loop {
            let address =
                format!("{}/{set}?$filter={filter}&$top={PAGE_ROWS}&$skip={skip}&$format=json", self.config.base_url);
            let request = self.client.get(address).basic_auth(&self.config.user, Some(self.config.password.expose()));
            let (headers, body) = call(request).await?;
            let time = headers.get("sap-server-time").and_then(|v| v.to_str().ok()).and_then(|t| t.parse().ok());
            // Without the server's time only the last change that it shows is proven.
            proven = proven.or(time.map(Millis));
            let text = std::str::from_utf8(&body).map_err(|_| CallError::Answer("a page of rows"))?;
            let rest = text.trim_start().strip_prefix('{').ok_or(CallError::Answer("a page of rows"))?;
            let raw = Bytes::from(format!("{{\"set\":\"{set}\",{rest}"));
            let rows = {
                let json = Json::parse(&raw).map_err(|_| CallError::Answer("a page of rows"))?;
                json.path("d.results").map_or(0, |results| results.elements().len())
            };
            let mut submission =
                self.context.decode(System::Sap, &self.config.partition, &raw, Framing::Document).submission;
            submission.facts.retain(|fact| self.seen.is_new(format!("{}/{}", fact.record_id, fact.event_id)));
            self.submit(submission).await?;
            skip += rows;
            if rows < PAGE_ROWS {
                return Ok(proven.unwrap_or(self.known_until));
            }
        }
    }

    async fn submit(&self, submission: Submission) -> Result<(), CallError> {
        let result = self.context.submit_until_taken(submission).await;
        result.map(|_| ()).map_err(|_| CallError::Answer("the log is closed"))
    }
}
