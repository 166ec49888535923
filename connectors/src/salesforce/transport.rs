//! The subscription: a pull-based stream of change events with a position.
//!
//! Requests are added before the pending ones run out, so the stream never stalls, and never more
//! than the log keeps up with, since each answer is stored before the next is read. The replay id of
//! the last stored event is the position. A position that the bus no longer knows leads to reading
//! every record again while the retained events play back: versions make the overlap harmless.
//!
//! Beside the stream work: the reader of single records after a gap, the reader of whole objects, the
//! audit, and the watch over the allowances. They meet in what has come lately and in the objects that
//! wait to be read.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use ontology::{Millis, Op, System};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::allowance::{self, AllowanceConfig};
use super::answer::RestError;
use super::audit::{self, AuditConfig};
use super::auth::Session;
use super::decode::Batch;
use super::eventbus::pub_sub_client::PubSubClient;
use super::eventbus::{FetchRequest, FetchResponse, ReplayPreset, SchemaInfo, SchemaRequest};
use super::lately::Lately;
use super::positions::Positions;
use super::refetch::{self, Refetch, Refetches};
use super::rest::{Rest, RestConfig};
use super::resync::{self, Resyncs};
use super::select::Records;
use super::whole::{self, Watching, Whole};
use crate::contract::{Decoded, Framing, Sink, SinkError, Submission};
use crate::edge::Context;
use crate::edge::liveness::heartbeat;
use crate::edge::retry::Backoff;
use crate::edge::status::ConnectorState;

/// Most events that one request may ask for.
const REQUESTED_MAX: i32 = 100;

/// Most schemas that are kept.
const SCHEMAS_MAX: usize = 1_000;

/// Longest answer that is read, in bytes: a request's worth of events is split by the bus.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Where Salesforce serves its event bus.
pub const BUS_URL: &str = "https://api.pubsub.salesforce.com:7443";

/// The topic of all change events.
pub const TOPIC: &str = "/data/ChangeEvents";

/// How the Salesforce connector is set up.
#[derive(Debug, Clone)]
pub struct SalesforceConfig {
    /// The REST side and its credentials.
    pub rest: RestConfig,
    /// Address of the event bus, for example [`BUS_URL`].
    pub bus_url: String,
    /// Certificate authority in PEM that the bus is checked by, besides those of the machine.
    pub ca_pem: Option<String>,
    /// Topic, for example [`TOPIC`]; also the partition and the name of the position.
    pub topic: String,
    /// Whether all records are read when there is no position yet.
    pub is_full_read_first: bool,
    /// Silence after which the stream counts as dead; keepalives come within 270 s.
    pub silence_max: Duration,
    /// When the organisation's own list of changes is compared with what came.
    pub audit: Option<AuditConfig>,
    /// When to warn of the organisation's limits.
    pub allowance: Option<AllowanceConfig>,
    /// Time between two looks at what the organisation does not show yet.
    pub look_every: Duration,
}

impl SalesforceConfig {
    /// Everything as it is usual: all objects on one topic, everything watched.
    pub fn new(rest: RestConfig, bus_url: impl Into<String>) -> Self {
        SalesforceConfig {
            rest,
            bus_url: bus_url.into(),
            ca_pem: None,
            topic: TOPIC.to_owned(),
            is_full_read_first: true,
            silence_max: Duration::from_secs(300),
            audit: Some(AuditConfig::default()),
            allowance: Some(AllowanceConfig::default()),
            look_every: Duration::from_secs(300),
        }
    }
}

/// Why one run of the subscription ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// The log is closed: the connector ends.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The token is no longer accepted.
    #[error("the event bus does not accept the token")]
    Unauthenticated,
    /// The position is unknown to the bus or outside its retention.
    #[error("the event bus does not know the position")]
    PositionLost,
    /// The audit misses something: deliver again from here.
    #[error("the stream is sent back")]
    SentBack(Vec<u8>),
    /// An answer is larger than is read.
    #[error("an answer of the event bus is larger than is read")]
    TooLarge,
    /// Silence, a broken connection, an error of the bus.
    #[error("the event bus broke off: {0}")]
    Broken(String),
    /// A call to the REST side failed.
    #[error(transparent)]
    Rest(#[from] RestError),
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
        } else if status.code() == Code::OutOfRange && has("message length too large") {
            StreamError::TooLarge
        } else {
            let code: String = trailer.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(120).collect();
            StreamError::Broken(format!("{:?} {code}", status.code()).trim_end().to_owned())
        }
    }
}

/// The subscription with what it remembers between two lives of the stream.
struct Salesforce<S> {
    context: Context<S>,
    config: SalesforceConfig,
    rest: Rest,
    refetches: Refetches,
    resyncs: Resyncs,
    lately: Lately,
    position: Option<Vec<u8>>,
    /// Position behind the last event that came.
    last_event: Option<Vec<u8>>,
    /// Position that has to come again once the stream was sent back to its beginning: a bus that
    /// numbers anew has a beginning too, and says nothing of what it forgot.
    awaited: Option<Vec<u8>>,
    /// Events that a request asks for.
    requested: i32,
    /// A time before which the answer that was read last was not sent.
    sent_after: Millis,
    /// Schemas that the bus gave.
    schemas: HashMap<String, SchemaInfo>,
}

/// Runs the connector until `stop`, or until the log is closed.
pub async fn run<S: Sink>(
    context: Context<S>,
    config: SalesforceConfig,
    positions: Positions,
    stop: CancellationToken,
) {
    let began_at = context.clock.now();
    let (refetches, queue) = refetch::queue();
    let (resyncs, lately) = (Resyncs::default(), Lately::default());
    let rest = Rest::new(config.rest.clone(), context.clock.clone());
    let whole = Whole::of(positions.whole);
    let records = Records::new(context.clone(), rest.clone(), lately.clone(), config.topic.clone(), whole.clone());
    audit::take_up(&records, positions.audit.as_deref());
    let mut connector = Salesforce {
        rest,
        refetches,
        resyncs: resyncs.clone(),
        lately,
        position: positions.stream,
        last_event: None,
        awaited: None,
        requested: REQUESTED_MAX,
        sent_after: Millis::MIN,
        schemas: HashMap::new(),
        context,
        config,
    };
    if connector.config.is_full_read_first {
        let is_new = connector.position.is_none();
        connector.ask_for(|object| is_new || !whole.has(object));
    }
    let watching =
        Watching { every: connector.config.look_every, is_full_read_first: connector.config.is_full_read_first };
    let mut beside = JoinSet::new();
    beside.spawn(refetch::run(records.clone(), queue, stop.clone()));
    beside.spawn(resync::run(records.clone(), resyncs.clone(), stop.clone()));
    beside.spawn(whole::watch(records.clone(), resyncs.clone(), watching, stop.clone()));
    if let Some(config) = connector.config.audit {
        let begin = audit::Begin { config, position: positions.audit, at: began_at };
        beside.spawn(audit::run(records.clone(), resyncs, begin, stop.clone()));
    }
    if let Some(config) = connector.config.allowance {
        beside.spawn(allowance::watch(records, config, stop.clone()));
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = connector.run_for_ever() => {}
    }
    beside.shutdown().await;
    connector.context.status.enter(ConnectorState::Stopped);
}

impl<S: Sink> Salesforce<S> {
    fn ask_for(&self, is_wanted: impl Fn(&str) -> bool) {
        let objects = self.context.connectors.salesforce().mapping().objects.iter();
        for object in objects.filter(|object| is_wanted(&object.name)) {
            self.resyncs.ask(&object.name, None);
        }
    }

    async fn run_for_ever(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let Err(error) = self.stream(&mut backoff).await else { return };
            if let StreamError::SentBack(position) = error {
                self.position = Some(position).filter(|position| !position.is_empty());
                if self.position.is_none() && self.awaited.is_none() {
                    self.awaited = self.last_event.clone();
                }
                continue;
            }
            self.context.status.failed(&error.to_string(), self.context.clock.now());
            self.context.status.enter(ConnectorState::Retrying);
            let wait = match error {
                StreamError::Sink(_) => return,
                StreamError::Unauthenticated => {
                    if let Ok(session) = self.rest.session().await {
                        self.rest.forget(&session).await;
                    }
                    Duration::ZERO
                }
                StreamError::PositionLost => {
                    tracing::warn!(topic = self.config.topic, "the event bus does not know the position: all is read");
                    (self.position, self.last_event, self.awaited) = (None, None, None);
                    self.lately.forget_positions();
                    self.ask_for(|_| true);
                    Duration::ZERO
                }
                StreamError::TooLarge => {
                    self.requested = (self.requested / 4).max(1);
                    Duration::ZERO
                }
                StreamError::Rest(error) => error.wait(),
                StreamError::SentBack(_) | StreamError::Broken(_) => Duration::ZERO,
            };
            tokio::time::sleep(backoff.next_delay().max(wait)).await;
        }
    }

    /// One life of the stream.
    async fn stream(&mut self, backoff: &mut Backoff) -> Result<(), StreamError> {
        let session = self.rest.session().await?;
        let mut client = PubSubClient::new(open(&self.config).await?).max_decoding_message_size(ANSWER_BYTES_MAX);
        let (requests, outgoing) = mpsc::channel(4);
        let gone = |_| StreamError::Broken("the request stream ended".to_owned());
        requests.send(self.first_request()).await.map_err(gone)?;
        let opened_at = self.context.clock.now();
        self.lately.opened(self.position.as_deref().unwrap_or_default(), opened_at);
        self.sent_after = opened_at;
        let request = with_session(Request::new(ReceiverStream::new(outgoing)), &session)?;
        let mut answers = client.subscribe(request).await?.into_inner();
        if self.resyncs.is_done() {
            self.context.status.enter(ConnectorState::Running);
        }
        let lately = self.lately.clone();
        loop {
            let answer = tokio::select! {
                biased;
                position = lately.sent_back() => return Err(StreamError::SentBack(position)),
                answer = self.next(&mut answers) => answer?,
            };
            backoff.reset();
            let pending = answer.pending_num_requested;
            self.take(&mut client, &session, answer).await?;
            if pending < (self.requested + 1) / 2 {
                let more = FetchRequest {
                    topic_name: self.config.topic.clone(),
                    num_requested: self.requested - pending.clamp(0, self.requested - 1),
                    ..FetchRequest::default()
                };
                requests.send(more).await.map_err(gone)?;
            }
        }
    }

    /// Where the stream begins. It never begins at the newest event: what came before would be lost
    /// without anybody noticing.
    fn first_request(&self) -> FetchRequest {
        let preset = if self.position.is_some() { ReplayPreset::Custom } else { ReplayPreset::Earliest };
        FetchRequest {
            topic_name: self.config.topic.clone(),
            replay_preset: preset.into(),
            replay_id: self.position.clone().unwrap_or_default(),
            num_requested: self.requested,
            auth_refresh: String::new(),
        }
    }

    /// The next answer. One that had to be waited for was sent now; one that lay ready was sent at
    /// some time after the one before it.
    async fn next(&mut self, answers: &mut Streaming<FetchResponse>) -> Result<FetchResponse, StreamError> {
        let answer = match answers.message().now_or_never() {
            Some(ready) => ready,
            None => {
                let answer = tokio::time::timeout(self.config.silence_max, answers.message()).await;
                self.sent_after = self.context.clock.now();
                answer.map_err(|_| StreamError::Broken("no keepalive came".to_owned()))?
            }
        };
        answer?.ok_or_else(|| StreamError::Broken("the stream ended".to_owned()))
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
            // Where nothing is pending the bus may hold events back: emptiness then proves nothing.
            let is_proof = answer.pending_num_requested > 0;
            if is_proof && self.awaited.is_some() {
                return Err(StreamError::PositionLost);
            }
            if is_proof {
                self.lately.is_empty_now();
                if self.last_event.is_none() && self.position.is_none() {
                    self.lately.begins_at(&answer.latest_replay_id);
                }
            }
            let nothing = Submission::new(System::Salesforce, &topic, Decoded::default(), Bytes::new(), now);
            return self.store(nothing, answer.latest_replay_id, is_proof.then_some(self.sent_after)).await;
        };
        let position = last.replay_id.clone();
        self.last_event = Some(position.clone());
        if answer.events.iter().any(|event| self.awaited.as_ref() == Some(&event.replay_id)) {
            self.awaited = None;
        }
        let schemas = self.schemas_of(client, session, &answer).await?;
        let raw = Bytes::from(Batch { events: answer.events, schemas }.encode_to_vec());
        let decoding = self.context.decode(System::Salesforce, &topic, &raw, Framing::Document);
        for wanted in &decoding.resyncs {
            let since = wanted.version.as_ref().map(|v| (v.major, v.minor, v.ordinal));
            self.resyncs.ask(&wanted.object, since);
        }
        let facts = decoding.submission.facts.clone();
        // Events come in the order of their commits: what was committed before the last has come.
        let before = facts.iter().filter(|fact| fact.op != Op::Heartbeat).map(|fact| fact.changed_at).max();
        let before = before.map(|at| Millis(at.0 - 1).min(now));
        self.store(decoding.submission, position, before).await?;
        self.lately.came(&facts);
        for gap in facts.iter().filter_map(Refetch::of) {
            self.refetches.push(gap).await?;
        }
        Ok(())
    }

    /// Hands a submission over with the position behind it and the proof that nothing before `until`
    /// is missing; without both as long as there are objects that must be read whole, or may have to be.
    async fn store(
        &mut self,
        mut submission: Submission,
        position: Vec<u8>,
        until: Option<Millis>,
    ) -> Result<(), StreamError> {
        let topic = &self.config.topic;
        if self.resyncs.is_done() && self.awaited.is_none() {
            if let Some(until) = until {
                submission.facts.push(heartbeat(System::Salesforce, topic, until, self.context.clock.now()));
            }
            if !position.is_empty() {
                submission = submission.at(topic, &position);
                self.context.status.position(&position);
            }
            self.context.submit_until_taken(submission).await?;
            if let Some(until) = until {
                self.context.status.watermark(until);
            }
        } else {
            self.context.submit_until_taken(submission).await?;
        }
        if !position.is_empty() {
            if let Some(until) = until.filter(|_| self.awaited.is_none()) {
                self.lately.stands(&position, until);
            }
            self.position = Some(position);
        }
        Ok(())
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
                        if self.schemas.len() >= SCHEMAS_MAX {
                            self.schemas.clear();
                        }
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
}

/// Connects to the event bus.
pub(super) async fn open(config: &SalesforceConfig) -> Result<Channel, StreamError> {
    let broken = |e: tonic::transport::Error| StreamError::Broken(e.to_string());
    let mut endpoint = Endpoint::from_shared(config.bus_url.clone())
        .map_err(broken)?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    if config.bus_url.starts_with("https:") {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(pem) = &config.ca_pem {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        endpoint = endpoint.tls_config(tls).map_err(broken)?;
    }
    endpoint.connect().await.map_err(broken)
}

pub(super) fn with_session<T>(mut request: Request<T>, session: &Session) -> Result<Request<T>, StreamError> {
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
