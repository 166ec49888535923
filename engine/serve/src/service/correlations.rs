//! Correlations: list, explain.

use std::sync::Arc;

use proto::v1::correlation_service_server::CorrelationService;
use proto::v1::explain_correlation_request::Subject;
use proto::v1::{self, Correlation};
use tonic::{Request, Response, Status};

use super::Api;
use super::listing::{Listing, later_first};
use crate::convert::common::{entity_key, id_of};
use crate::convert::derived;
use crate::filter::{Column, Kind, Operand};
use crate::reason::{Reason, Refusal};
use crate::view::CustomerView;
use crate::views::{Collection, Slot};

/// States and verdicts in the order of the wire.
const STATES: &[&str] = &["ACCEPTED", "SUGGESTED", "NONE"];
const VERDICTS: &[&str] = &["LIKELY_CORRECT_CHARGE", "LIKELY_ERROR", "NEEDS_REVIEW", "UNCORRELATED"];

static COLUMNS: &[Column<Correlation>] = &[
    Column { name: "name", kind: Kind::Text, get: |it| Operand::text(&it.name) },
    Column { name: "customer", kind: Kind::Text, get: |it| Operand::text(&it.customer) },
    Column { name: "kind", kind: Kind::Text, get: |it| Operand::text(&it.kind) },
    Column { name: "state", kind: Kind::Word(STATES), get: |it| Operand::word(it.state) },
    Column { name: "verdict", kind: Kind::Word(VERDICTS), get: |it| Operand::word(it.verdict) },
    Column { name: "confidence", kind: Kind::Number, get: |it| Operand::Number(it.confidence) },
    Column { name: "event_time", kind: Kind::Time, get: |it| Operand::time(it.event_time.as_ref()) },
];

/// The service.
pub struct Correlations(pub Arc<Api>);

#[tonic::async_trait]
impl CorrelationService for Correlations {
    async fn list_correlations(
        &self,
        request: Request<v1::ListCorrelationsRequest>,
    ) -> Result<Response<v1::ListCorrelationsResponse>, Status> {
        let request = request.into_inner();
        let listing = Listing {
            method: "ListCorrelations",
            collection: Collection::Correlations,
            filter: &request.filter,
            order_by: &request.order_by,
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let newest = |a: &Correlation, b: &Correlation| later_first(a.event_time.as_ref(), b.event_time.as_ref());
        let listed =
            self.0.list(listing, COLUMNS, &self.0.correlation_walks, Vec::new(), derived::correlations, newest)?;
        Ok(Response::new(v1::ListCorrelationsResponse {
            correlations: listed.items,
            next_page_token: listed.next_page_token,
            read_position: listed.read_position,
        }))
    }

    async fn explain_correlation(
        &self,
        request: Request<v1::ExplainCorrelationRequest>,
    ) -> Result<Response<v1::ExplainCorrelationResponse>, Status> {
        let (slot, found) = self.0.find_correlation(&request.into_inner())?;
        let correlation = derived::correlation_of(&slot.view, &found);
        let rejected = self.0.backend.rejected(slot.view, found).await?;
        let rejected = rejected.iter().map(derived::candidate_of).collect();
        Ok(Response::new(v1::ExplainCorrelationResponse { correlation: Some(correlation), rejected }))
    }
}

impl Api {
    /// The correlation that is asked for, with the view that it stands in.
    fn find_correlation(
        &self,
        request: &v1::ExplainCorrelationRequest,
    ) -> Result<(Slot<CustomerView>, Arc<insight::derived::Correlation>), Refusal> {
        let published = self.backend.published();
        let found = |slot: Option<Slot<CustomerView>>, is_it: &dyn Fn(&insight::derived::Correlation) -> bool| {
            let slot = slot?;
            let found = slot.view.derived.correlations.iter().find(|correlation| is_it(correlation))?.clone();
            Some((slot, found))
        };
        let none = |subject: &str| Refusal::new(Reason::NoCorrelation).with("subject", subject);
        match &request.subject {
            Some(Subject::Name(name)) => {
                let id = id_of("name", "correlations", name)?;
                let slot = published.customer_of_object(Collection::Correlations, id);
                found(slot, &|correlation| correlation.id.0 == id).ok_or_else(|| none(name))
            }
            Some(Subject::BillingRef(reference)) => {
                let record = entity_key("billing_ref", reference)?;
                let slot = published.customer_of(&record).and_then(|customer| published.slot(&customer));
                found(slot, &|correlation| correlation.subject == record).ok_or_else(|| none(&record.to_string()))
            }
            None => Err(Refusal::field("subject", "name or billing_ref is required")),
        }
    }
}
