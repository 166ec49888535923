//! The services of the API. Each method reads its request, asks views or backend, words the answer.

mod admin;
mod alerts;
mod correlations;
mod customers;
mod deciding;
mod discrepancies;
mod handoffs;
mod identity;
mod ingest;
mod kpis;
mod listing;

use std::sync::Arc;

use insight::timeline::TimelineEntry;
use ontology::{LogPos, Millis};
use prost_reflect::DescriptorPool;
use proto::v1;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::service::Routes;
use tonic::{Request, Status};

use crate::backend::Backend;
use crate::drain::Drain;
use crate::gate::{DEADLINE_DEFAULT, Deadline};
use crate::policy::Principal;
use crate::reason::{Reason, Refusal};
use crate::request_id::Answers;
use crate::token::read_position;
use crate::turns::Turns;
use crate::view::CustomerView;
use crate::views::Slot;
use crate::walk::Walks;

/// Bytes of one request message, at most.
pub(crate) const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Items of one batch, at most.
pub(crate) const BATCH_MAX: usize = 500;

/// The service that takes events.
pub(crate) const INTAKE: &str = "opshub.v1.IngestService";

/// Full names of the services, for health.
pub const NAMES: &[&str] = &[
    "opshub.v1.CustomerStateService",
    "opshub.v1.IdentityService",
    "opshub.v1.HandoffService",
    "opshub.v1.DiscrepancyService",
    "opshub.v1.AlertService",
    "opshub.v1.CorrelationService",
    "opshub.v1.KpiService",
    INTAKE,
    "opshub.v1.AdminService",
];

/// What all services share.
pub struct Api {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) pool: DescriptorPool,
    pub(crate) drain: Drain,
    pub(crate) answers: Answers,
    turns: Turns,
    pub(crate) customer_walks: Walks<Slot<CustomerView>>,
    pub(crate) review_walks: Walks<v1::ReviewItem>,
    pub(crate) timeline_walks: Walks<TimelineEntry>,
    pub(crate) source_walks: Walks<v1::Source>,
    pub(crate) handoff_walks: Walks<v1::Handoff>,
    pub(crate) discrepancy_walks: Walks<v1::Discrepancy>,
    pub(crate) alert_walks: Walks<v1::Alert>,
    pub(crate) correlation_walks: Walks<v1::Correlation>,
    pub(crate) kpi_walks: Walks<v1::Kpi>,
}

impl Api {
    /// Services in front of `backend`.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, pool: DescriptorPool, drain: Drain) -> Arc<Self> {
        Arc::new(Api {
            answers: Answers::kept_in(backend.store().clone()),
            backend,
            pool,
            drain,
            turns: Turns::default(),
            customer_walks: Walks::default(),
            review_walks: Walks::default(),
            timeline_walks: Walks::default(),
            source_walks: Walks::default(),
            handoff_walks: Walks::default(),
            discrepancy_walks: Walks::default(),
            alert_walks: Walks::default(),
            correlation_walks: Walks::default(),
            kpi_walks: Walks::default(),
        })
    }

    /// Waits until the position that a request asks for is readable.
    pub(crate) async fn wait(&self, min_position: &str, deadline: Deadline) -> Result<(), Refusal> {
        match read_position("min_position", min_position)? {
            None => Ok(()),
            Some(position) => self.wait_for(position, deadline).await,
        }
    }

    /// Waits until a position is readable.
    pub(crate) async fn wait_for(&self, position: LogPos, deadline: Deadline) -> Result<(), Refusal> {
        if self.backend.published().reaches(position, deadline.wait_until()).await {
            return Ok(());
        }
        Err(Refusal::new(Reason::NotYetApplied))
    }

    /// The time of an answer: that of the clock, and never before what is published.
    pub(crate) fn now(&self) -> Millis {
        self.backend.now().max(self.backend.published().now())
    }
}

/// Who sent a request, and until when it has to be answered. The gate put both there.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<(Principal, Deadline), Status> {
    Ok((principal(request)?.clone(), deadline(request)?))
}

/// Until when a request has to be answered.
pub(crate) fn deadline<T>(request: &Request<T>) -> Result<Deadline, Status> {
    principal(request)?;
    let deadline = request.extensions().get::<Deadline>().copied();
    Ok(deadline.unwrap_or_else(|| Deadline::after(DEADLINE_DEFAULT)))
}

/// Who sent a request: nothing is answered that did not pass the gate.
fn principal<T>(request: &Request<T>) -> Result<&Principal, Status> {
    let principal = request.extensions().get::<Principal>();
    principal.ok_or_else(|| Refusal::new(Reason::Unauthenticated).into())
}

/// Refuses a batch that is too large.
pub(crate) fn check_batch(field: &'static str, count: usize) -> Result<(), Refusal> {
    if count <= BATCH_MAX {
        return Ok(());
    }
    Err(Refusal::new(Reason::BatchTooLarge).with("field", field).with("count", count).with("limit", BATCH_MAX))
}

/// Refuses a write to something that changed since it was read.
pub(crate) fn check_etag(name: &str, asked: &str, current: &str) -> Result<(), Refusal> {
    if asked.is_empty() || asked == current {
        return Ok(());
    }
    Err(Refusal::new(Reason::EtagMismatch).with("name", name).with("etag", current))
}

/// Severities in the order of the wire, least first.
pub(crate) const SEVERITIES: &[&str] = &["LOW", "MEDIUM", "HIGH", "CRITICAL"];

/// Adds a service with the limits and compressions that all have.
macro_rules! served {
    ($routes:expr, $server:path, $service:expr) => {
        $routes.add_service({
            use $server as Server;
            Server::new($service)
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .accept_compressed(Gzip)
                .accept_compressed(Zstd)
                .send_compressed(Gzip)
                .send_compressed(Zstd)
        })
    };
}

/// All services, beside those that `routes` has already.
pub fn routes(api: Arc<Api>, routes: Routes) -> Routes {
    use v1::admin_service_server::AdminServiceServer;
    use v1::alert_service_server::AlertServiceServer;
    use v1::correlation_service_server::CorrelationServiceServer;
    use v1::customer_state_service_server::CustomerStateServiceServer;
    use v1::discrepancy_service_server::DiscrepancyServiceServer;
    use v1::handoff_service_server::HandoffServiceServer;
    use v1::identity_service_server::IdentityServiceServer;
    use v1::ingest_service_server::IngestServiceServer;
    use v1::kpi_service_server::KpiServiceServer;

    let routes = served!(routes, CustomerStateServiceServer, customers::Customers(api.clone()));
    let routes = served!(routes, IdentityServiceServer, identity::Identities(api.clone()));
    let routes = served!(routes, HandoffServiceServer, handoffs::Handoffs(api.clone()));
    let routes = served!(routes, DiscrepancyServiceServer, discrepancies::Discrepancies(api.clone()));
    let routes = served!(routes, AlertServiceServer, alerts::Alerts(api.clone()));
    let routes = served!(routes, CorrelationServiceServer, correlations::Correlations(api.clone()));
    let routes = served!(routes, KpiServiceServer, kpis::Kpis(api.clone()));
    let routes = served!(routes, IngestServiceServer, ingest::Ingest(api.clone()));
    served!(routes, AdminServiceServer, admin::Admin(api))
}
