//! The subscription: a pull-based stream of change events with a position.
//!
//! Requests are added before the pending ones run out, so the stream never stalls, and never more
//! than the log keeps up with, since each answer is stored before the next is read. The replay id of
//! the last stored event is the position. A position that the bus no longer knows leads to reading
//! every record again while the retained events play back: versions make the overlap harmless.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use ontology::System;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::decode::Batch;
use super::eventbus::pub_sub_client::PubSubClient;
use super::eventbus::{FetchRequest, FetchResponse, ReplayPreset, SchemaInfo, SchemaRequest};
use super::refetch::{self, Refetch, Refetches};
use super::rest::{Rest, RestConfig, Session};
use crate::contract::{Framing, Sink, SinkError};
use crate::edge::Context;
use crate::edge::http::CallError;
use crate::edge::liveness::heartbeat;
use crate::edge::retry::Backoff;
use crate::edge::status::ConnectorState;

/// Most events that one request may ask for.
const REQUESTED_MAX: i32 = 100;

/// More are asked for when fewer than this are pending.
const PENDING_MIN: i32 = 50;

/// How the Salesforce connector is set up.
#[derive(Debug, Clone)]
pub struct SalesforceConfig {
    /// The REST side and its credentials.
    pub rest: RestConfig,
    /// Address of the event bus, for example `https://api.pubsub.salesforce.com:7443`.
    pub bus_url: String,
    /// Certificate authority in PEM, for an address with TLS.
    pub ca_pem: Option<String>,
    /// Topic, for example `/data/ChangeEvents`; also the partition and the name of the position.
    pub topic: String,
    /// Whether all records are read when there is no position yet.
    pub is_full_read_first: bool,
    /// Silence after which the stream counts as dead; keepalives come within 270 s.
    pub silence_max: Duration,
}

/// Why one run of the subscription ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    /// The log is closed: the connector ends.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The token is no longer accepted.
    #[error("the event bus does not accept the token")]
    Unauthenticated,
    /// The position is unknown to the bus or outside its retention.
    #[error("the event bus does not know the position")]
    PositionLost,
    /// Silence, a broken connection, an error of the bus.
    #[error("the event bus broke off: {0}")]
    Broken(String),
    /// A call to the REST side failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<Status> for StreamError {
    fn from(status: Status) -> Self {
        // Some proxies drop trailers, so the code is looked for in the message too.
        let trailer = status.metadata().get("error-code").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let has = |code: &str| trailer.contains(code) || status.message().contains(code);
        if has("fetch.replayid.") {
            StreamError::PositionLost
        } else if status.code() == Code::Unauthenticated || has("service.auth.") {
            StreamError::Unauthenticated
        } else {
            StreamError::Broken(format!("{:?}", status.code()))
        }
    }
}

/// The subscription with what it remembers between two lives of the stream.
struct Salesforce<S> {
    context: Context<S>,
    config: SalesforceConfig,
    rest: Rest,
    refetches: Refetches,
    position: Option<Vec<u8>>,
    /// Objects whose records are all to be read.
    resyncs: Vec<String>,
    /// Schemas that the bus gave.
    schemas: HashMap<String, SchemaInfo>,
}

/// Runs the connector until `stop`, or until the log is closed. `position` is what was stored under
/// the topic's name; `open_gaps` are gaps that were not closed before the last stop.
pub async fn run<S: Sink>(
    context: Context<S>,
    config: SalesforceConfig,
    position: Option<Vec<u8>>,
    open_gaps: Vec<Refetch>,
    stop: CancellationToken,
) {
    let (refetches, queue) = refetch::queue();
    let rest = Rest::new(config.rest.clone());
    let reader = refetch::run(context.clone(), rest.clone(), config.topic.clone(), queue, stop.clone());
    let reader = tokio::spawn(reader);
    let objects = || context.connectors.salesforce().objects().map(str::to_owned).collect();
    let resyncs = if position.is_none() && config.is_full_read_first { objects() } else { Vec::new() };
    let status = context.status.clone();
    let mut connector = Salesforce { context, config, rest, refetches, position, resyncs, schemas: HashMap::new() };
    tokio::select! {
        () = stop.cancelled() => {}
        () = connector.run_for_ever(open_gaps) => {}
    }
    drop(connector);
    reader.abort();
    status.enter(ConnectorState::Stopped);
}

impl<S: Sink> Salesforce<S> {
    async fn run_for_ever(&mut self, open_gaps: Vec<Refetch>) {
        for gap in open_gaps {
            if self.refetches.push(gap).await.is_err() {
                return;
            }
        }
        let mut backoff = Backoff::default();
        loop {
            let Err(error) = self.stream(&mut backoff).await else { return };
            self.context.status.failed(&error.to_string(), self.context.clock.now());
            self.context.status.enter(ConnectorState::Retrying);
            match error {
                StreamError::Sink(_) => return,
                StreamError::Unauthenticated => {
                    if let Ok(session) = self.rest.session().await {
                        self.rest.forget(&session).await;
                    }
                }
                StreamError::PositionLost => {
                    self.position = None;
                    self.resyncs = self.context.connectors.salesforce().objects().map(str::to_owned).collect();
                }
                StreamError::Broken(_) | StreamError::Call(_) => {}
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// One life of the stream.
    async fn stream(&mut self, backoff: &mut Backoff) -> Result<(), StreamError> {
        let session = self.rest.session().await?;
        let mut client = PubSubClient::new(self.connect().await?).max_decoding_message_size(8 << 20);
        let (requests, outgoing) = mpsc::channel(4);
        let preset = if self.position.is_some() { ReplayPreset::Custom } else { ReplayPreset::Earliest };
        let first = FetchRequest {
            topic_name: self.config.topic.clone(),
            replay_preset: preset.into(),
            replay_id: self.position.clone().unwrap_or_default(),
            num_requested: REQUESTED_MAX,
            auth_refresh: String::new(),
        };
        let gone = |_| StreamError::Broken("the request stream ended".to_owned());
        requests.send(first).await.map_err(gone)?;
        let request = with_session(Request::new(ReceiverStream::new(outgoing)), &session)?;
        let mut answers = client.subscribe(request).await?.into_inner();
        self.context.status.enter(ConnectorState::Running);
        self.read_all().await?;
        loop {
            let answer = self.next(&mut answers).await?;
            backoff.reset();
            let pending = answer.pending_num_requested;
            self.take(&mut client, &session, answer).await?;
            self.read_all().await?;
            if pending < PENDING_MIN {
                let more = FetchRequest {
                    topic_name: self.config.topic.clone(),
                    num_requested: REQUESTED_MAX - pending.clamp(0, REQUESTED_MAX - 1),
                    ..FetchRequest::default()
                };
                requests.send(more).await.map_err(gone)?;
            }
        }
    }

    async fn connect(&self) -> Result<Channel, StreamError> {
        let broken = |e: tonic::transport::Error| StreamError::Broken(e.to_string());
        let mut endpoint = Endpoint::from_shared(self.config.bus_url.clone())
            .map_err(broken)?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        if let Some(pem) = &self.config.ca_pem {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint = endpoint.tls_config(tls).map_err(broken)?;
        }
        endpoint.connect().await.map_err(broken)
    }

    async fn next(&self, answers: &mut Streaming<FetchResponse>) -> Result<FetchResponse, StreamError> {
        match tokio::time::timeout(self.config.silence_max, answers.message()).await {
            Err(_) => Err(StreamError::Broken("no keepalive came".to_owned())),
            Ok(Ok(None)) => Err(StreamError::Broken("the stream ended".to_owned())),
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Err(status)) => Err(status.into()),
        }
    }

    /// Stores one answer: its events, or the proof that there are none.
    async fn take(
        &mut self,
        client: &mut PubSubClient<Channel>,
        session: &Session,
        answer: FetchResponse,
    ) -> Result<(), StreamError> {
        let topic = self.config.topic.clone();
        let now = self.context.clock.now();
        let Some(last) = answer.events.last() else {
            let mut submission =
                crate::Submission::new(System::Salesforce, &topic, crate::Decoded::default(), Bytes::new(), now)
                    .at(&topic, &answer.latest_replay_id);
            submission.facts.push(heartbeat(System::Salesforce, &topic, now, now));
            self.context.submit_until_taken(submission).await?;
            self.context.status.watermark(now);
            self.moved(answer.latest_replay_id);
            return Ok(());
        };
        let position = last.replay_id.clone();
        let schemas = self.schemas_of(client, session, &answer).await?;
        let raw = Bytes::from(Batch { events: answer.events, schemas }.encode_to_vec());
        let decoding = self.context.decode(System::Salesforce, &topic, &raw, Framing::Document);
        let gaps: Vec<_> = decoding.submission.facts.iter().filter_map(Refetch::of).collect();
        self.context.submit_until_taken(decoding.submission.at(&topic, &position)).await?;
        self.moved(position);
        for gap in gaps {
            self.refetches.push(gap).await?;
        }
        self.resyncs.extend(decoding.resyncs);
        Ok(())
    }

    fn moved(&mut self, position: Vec<u8>) {
        self.context.status.position(&position);
        self.position = Some(position);
    }

    /// The schemas that an answer's events were written by.
    async fn schemas_of(
        &mut self,
        client: &mut PubSubClient<Channel>,
        session: &Session,
        answer: &FetchResponse,
    ) -> Result<Vec<SchemaInfo>, StreamError> {
        let mut ids: Vec<&str> =
            answer.events.iter().filter_map(|e| e.event.as_ref()).map(|e| e.schema_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut schemas = Vec::with_capacity(ids.len());
        for id in ids {
            if !self.schemas.contains_key(id) {
                let request = with_session(Request::new(SchemaRequest { schema_id: id.to_owned() }), session)?;
                match client.get_schema(request).await {
                    Ok(info) => {
                        self.schemas.insert(id.to_owned(), info.into_inner());
                    }
                    // The events go to quarantine as they are; their neighbours do not wait.
                    Err(status) if status.code() == Code::NotFound => continue,
                    Err(status) => return Err(status.into()),
                }
            }
            schemas.extend(self.schemas.get(id).cloned());
        }
        Ok(schemas)
    }

    /// Reads every record of the objects that are to be read whole.
    async fn read_all(&mut self) -> Result<(), StreamError> {
        self.resyncs.sort();
        self.resyncs.dedup();
        while let Some(object) = self.resyncs.last().cloned() {
            self.context.status.enter(ConnectorState::Resyncing);
            let mut next = None;
            loop {
                let page = match self.rest.page(&object, next.as_deref(), self.context.clock.now()).await {
                    // An organisation need not have every object that the mapping knows.
                    Err(CallError::Status(400 | 404)) => break,
                    page => page?,
                };
                let decoding =
                    self.context.decode(System::Salesforce, &self.config.topic, &page.raw, Framing::Document);
                self.context.submit_until_taken(decoding.submission).await?;
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            self.resyncs.pop();
            self.context.status.enter(ConnectorState::Running);
        }
        Ok(())
    }
}

fn with_session<T>(mut request: Request<T>, session: &Session) -> Result<Request<T>, StreamError> {
    let entries = [
        ("accesstoken", session.access_token.expose()),
        ("instanceurl", &session.instance_url),
        ("tenantid", &session.org_id),
    ];
    for (name, value) in entries {
        let value = value.parse().map_err(|_| StreamError::Broken("a session that no header carries".to_owned()))?;
        request.metadata_mut().insert(name, value);
    }
    Ok(request)
}
