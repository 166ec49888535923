//! Ingest: canonical facts by the API.

use std::sync::Arc;

use ontology::{Trace, Traced};
use proto::v1::ingest_service_server::IngestService;
use proto::v1::{self, EventOutcome};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::{Api, caller, check_batch};
use crate::backend::{Purpose, Rejected, Submission};
use crate::convert::{event, vocabulary};
use crate::gate::Deadline;
use crate::reason::Refusal;
use crate::request_id::Call;
use crate::token::position_token;

/// The service.
pub struct Ingest(pub Arc<Api>);

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn publish_events(
        &self,
        request: Request<v1::PublishEventsRequest>,
    ) -> Result<Response<v1::PublishEventsResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let trace = trace(request.metadata());
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "PublishEvents",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.publish(&request, trace, deadline).await?) };
        Ok(Response::new(self.0.answers.once_here(call, self.0.now(), write).await?))
    }
}

impl Api {
    async fn publish(
        &self,
        request: &v1::PublishEventsRequest,
        trace: Option<Trace>,
        deadline: Deadline,
    ) -> Result<v1::PublishEventsResponse, Refusal> {
        check_batch("events", request.events.len())?;
        let observed_at = self.backend.now();
        let (facts, traces) = (Vec::new(), Traced::new());
        let mut submission = Submission { facts, traces, rejected: Vec::new(), purpose: Purpose::Intake };
        let mut results = Vec::with_capacity(request.events.len());
        for event in &request.events {
            let error = match event::fact(event, observed_at) {
                Ok(fact) => {
                    let place = submission.facts.len();
                    let of_event = Trace::parse(&event.traceparent, "").or_else(|| trace.clone());
                    submission.traces.extend(of_event.map(|trace| (place..place + 1, trace)));
                    submission.facts.push(fact);
                    None
                }
                Err(unfit) => {
                    let system = vocabulary(event.system);
                    submission.rejected.push(Rejected { reason: unfit.code, system, raw: event::kept(event) });
                    Some(unfit.refusal.into_item_error())
                }
            };
            let outcome = if error.is_none() { EventOutcome::Accepted } else { EventOutcome::Quarantined };
            results.push(v1::EventResult { event_id: event.event_id.clone(), outcome: outcome.into(), error });
        }
        let (has_facts, is_empty) = (!submission.facts.is_empty(), results.is_empty());
        if request.validate_only || is_empty {
            return Ok(v1::PublishEventsResponse { results, position: String::new() });
        }
        let position = self.backend.submit(submission).await?;
        if request.wait_until_applied && has_facts {
            self.wait_for(position, deadline).await?;
        }
        let position = if has_facts { position_token(position) } else { String::new() };
        Ok(v1::PublishEventsResponse { results, position })
    }
}

/// The trace of a call: that of its events, where they name none of their own.
fn trace(metadata: &MetadataMap) -> Option<Trace> {
    let texts = |name: &str| metadata.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
    match texts("traceparent")[..] {
        [parent] => Trace::parse(parent, &texts("tracestate").join(",")),
        _ => None,
    }
}
