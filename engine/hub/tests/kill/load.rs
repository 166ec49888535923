//! Clients that publish events as fast as the hub takes them, until it is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::{PublishEventsRequest, admin_service_client::AdminServiceClient};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tonic::Code;

use crate::author::Author;
use crate::ledger::Ledger;
use crate::replay::Checkpoint;
use crate::wall;

/// Most events of a request.
const EVENTS_MAX: usize = 4;
/// Requests in a hundred that carry something unfit, and that wait until reads see them.
const UNFIT_PERCENT: usize = 10;
const WAITING_PERCENT: usize = 10;

/// How fast clients publish; one for all clients of an arena.
#[derive(Clone, Default)]
pub struct Pace(Arc<AtomicU64>);

impl Pace {
    /// Clients let so much time pass before each request; none unless told.
    pub fn set(&self, gap: Duration) {
        self.0.store(u64::try_from(gap.as_millis()).unwrap(), Ordering::Relaxed);
    }

    async fn keep(&self) {
        let gap = Duration::from_millis(self.0.load(Ordering::Relaxed));
        if !gap.is_zero() {
            let mut beats = interval(gap);
            // The first comes at once.
            beats.tick().await;
            beats.tick().await;
        }
    }
}

/// Clients at work, one for each author.
pub struct Load(Vec<JoinHandle<Author>>);

impl Load {
    pub fn start(runtime: &Runtime, api: &str, authors: Vec<Author>, ledger: &Ledger, pace: &Pace) -> Load {
        let publish = |author| runtime.spawn(publish(format!("http://{api}"), author, ledger.clone(), pace.clone()));
        Load(authors.into_iter().map(publish).collect())
    }

    /// Whether no client publishes any more.
    pub fn is_over(&self) -> bool {
        self.0.iter().all(JoinHandle::is_finished)
    }

    /// Waits until every client has noticed that the hub is gone.
    pub fn finish(self, runtime: &Runtime) -> Vec<Author> {
        self.0.into_iter().map(|client| runtime.block_on(client).unwrap()).collect()
    }
}

async fn publish(api: String, mut author: Author, ledger: Ledger, pace: Pace) -> Author {
    let Ok(mut client) = IngestServiceClient::connect(api).await else { return author };
    loop {
        pace.keep().await;
        let mut events = author.fit(EVENTS_MAX);
        if author.is(UNFIT_PERCENT) {
            events.push(author.unfit());
        }
        let wait_until_applied = author.is(WAITING_PERCENT);
        let request = PublishEventsRequest { events, wait_until_applied, ..PublishEventsRequest::default() };
        match client.publish_events(request.clone()).await {
            Ok(response) => ledger.note(&request, response.get_ref()),
            // The hub asks for patience, or its answer came too late: neither is an acknowledgement.
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::DeadlineExceeded) => {}
            Err(_) => return author,
        }
    }
}

/// Asks a hub for its digest, and remembers within which span of time it answered.
pub fn checkpoint(runtime: &Runtime, api: &str) -> Checkpoint {
    let asked_at = wall();
    let digest = runtime.block_on(async {
        let mut client = AdminServiceClient::connect(format!("http://{api}")).await.unwrap();
        client.get_digest(proto::v1::GetDigestRequest::default()).await.unwrap().into_inner()
    });
    let position = serve::token::read_position("position", &digest.position).unwrap().unwrap_or_default();
    Checkpoint { position, digest: digest.digest, asked: (asked_at, wall()) }
}
