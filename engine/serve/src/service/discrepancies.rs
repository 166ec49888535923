//! Discrepancies: get, list, watch, acknowledge.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

use compact_str::CompactString;
use futures::Stream;
use ontology::status::Decision;
use ontology::{EntityKind, ObjectId};
use proto::v1::discrepancy_service_server::DiscrepancyService;
use proto::v1::{self, Discrepancy, DiscrepancyState, watch_discrepancies_response as watched};
use tonic::{Request, Response, Status};

use super::customers::interval;
use super::listing::{Listing, later_first};
use super::{Api, SEVERITIES, caller, check_batch, check_etag};
use crate::backend::About;
use crate::convert::common::id_of;
use crate::convert::derived;
use crate::decide::{self, Decider};
use crate::filter::{Column, Filter, Kind, Operand};
use crate::gate::Deadline;
use crate::page::Arguments;
use crate::reason::{Reason, Refusal};
use crate::request_id::Call;
use crate::token::position_token;
use crate::views::Collection;
use crate::watch::{Event, Selection, Stamp, Watch, WatchRequest};

/// States in the order of the wire.
const STATES: &[&str] = &["OPEN", "ACKNOWLEDGED", "RESOLVED", "WAIVED"];

static COLUMNS: &[Column<Discrepancy>] = &[
    Column { name: "name", kind: Kind::Text, get: |it| Operand::text(&it.name) },
    Column { name: "rule", kind: Kind::Text, get: |it| Operand::text(&it.rule) },
    Column { name: "state", kind: Kind::Word(STATES), get: |it| Operand::word(it.state) },
    Column { name: "severity", kind: Kind::Word(SEVERITIES), get: |it| Operand::word(it.severity) },
    Column { name: "customer", kind: Kind::Text, get: |it| Operand::text(&it.customer) },
    Column { name: "owner_team", kind: Kind::Text, get: |it| Operand::text(&it.owner_team) },
    Column { name: "subjects", kind: Kind::Texts, get: subjects },
    Column { name: "occurrence", kind: Kind::Number, get: |it| Operand::Number(f64::from(it.occurrence)) },
    Column { name: "amount_at_stake", kind: Kind::Number, get: amount },
    Column { name: "since_time", kind: Kind::Time, get: |it| Operand::time(it.since_time.as_ref()) },
    Column { name: "open_time", kind: Kind::Time, get: |it| Operand::time(it.open_time.as_ref()) },
    Column { name: "resolve_time", kind: Kind::Time, get: |it| Operand::time(it.resolve_time.as_ref()) },
];

fn subjects(discrepancy: &Discrepancy) -> Operand<'_> {
    let text = |subject: &v1::SourceRef| Cow::Owned(format!("{}/{}", subject.entity_type, subject.native_id));
    Operand::Texts(discrepancy.subjects.iter().map(text).collect())
}

/// The amount in units of its currency: good enough to sort and filter by, never to add up.
fn amount(discrepancy: &Discrepancy) -> Operand<'_> {
    let amount = discrepancy.amount_at_stake.as_ref();
    amount.map_or(Operand::Missing, |money| Operand::Number(money.units as f64 + f64::from(money.nanos) / 1e9))
}

/// The service.
pub struct Discrepancies(pub Arc<Api>);

#[tonic::async_trait]
impl DiscrepancyService for Discrepancies {
    async fn get_discrepancy(
        &self,
        request: Request<v1::GetDiscrepancyRequest>,
    ) -> Result<Response<v1::GetDiscrepancyResponse>, Status> {
        let (_, deadline) = caller(&request)?;
        let request = request.into_inner();
        self.0.wait(&request.min_position, deadline).await?;
        let discrepancy = Some(self.0.discrepancy(&request.name)?);
        Ok(Response::new(v1::GetDiscrepancyResponse { discrepancy }))
    }

    async fn list_discrepancies(
        &self,
        request: Request<v1::ListDiscrepanciesRequest>,
    ) -> Result<Response<v1::ListDiscrepanciesResponse>, Status> {
        let request = request.into_inner();
        let listing = Listing {
            method: "ListDiscrepancies",
            collection: Collection::Discrepancies,
            filter: &request.filter,
            order_by: &request.order_by,
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let newest = |a: &Discrepancy, b: &Discrepancy| later_first(a.open_time.as_ref(), b.open_time.as_ref());
        let listed =
            self.0.list(listing, COLUMNS, &self.0.discrepancy_walks, Vec::new(), derived::discrepancies, newest)?;
        Ok(Response::new(v1::ListDiscrepanciesResponse {
            discrepancies: listed.items,
            next_page_token: listed.next_page_token,
            read_position: listed.read_position,
        }))
    }

    type WatchDiscrepanciesStream = Pin<Box<dyn Stream<Item = Result<v1::WatchDiscrepanciesResponse, Status>> + Send>>;

    async fn watch_discrepancies(
        &self,
        request: Request<v1::WatchDiscrepanciesRequest>,
    ) -> Result<Response<Self::WatchDiscrepanciesStream>, Status> {
        let watch = self.0.watch_discrepancies(&request.into_inner())?;
        Ok(Response::new(Box::pin(watch.into_stream())))
    }

    async fn acknowledge_discrepancy(
        &self,
        request: Request<v1::AcknowledgeDiscrepancyRequest>,
    ) -> Result<Response<v1::AcknowledgeDiscrepancyResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "AcknowledgeDiscrepancy",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.acknowledge_discrepancy(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }
}

impl Api {
    fn discrepancy(&self, name: &str) -> Result<Discrepancy, Refusal> {
        let id = id_of("name", "discrepancies", name)?;
        let found = self.find_discrepancy(id).map(|(_, discrepancy)| discrepancy);
        found.ok_or_else(|| Refusal::new(Reason::DiscrepancyNotFound).with("name", name))
    }

    fn find_discrepancy(&self, id: &str) -> Option<(Stamp, Discrepancy)> {
        let slot = self.backend.published().customer_of_object(Collection::Discrepancies, id)?;
        let name = format!("discrepancies/{id}");
        let found = derived::discrepancies(&slot.view).into_iter().find(|discrepancy| discrepancy.name == name)?;
        Some((slot.changed_at, found))
    }

    async fn acknowledge_discrepancy(
        &self,
        request: &v1::AcknowledgeDiscrepancyRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::AcknowledgeDiscrepancyResponse, Refusal> {
        let turn = self.turn(&request.name, deadline).await?;
        let mut discrepancy = self.discrepancy(&request.name)?;
        match discrepancy.state() {
            DiscrepancyState::Open | DiscrepancyState::Acknowledged | DiscrepancyState::Unspecified => {}
            DiscrepancyState::Resolved | DiscrepancyState::Waived => {
                return Err(Refusal::new(Reason::AlreadyResolved).with("name", &request.name));
            }
        }
        check_etag(&request.name, &request.etag, &discrepancy.etag)?;
        let id = id_of("name", "discrepancies", &request.name)?;
        let at = self.decided_at(vec![About::Object(ObjectId(id.into()))]).await?;
        let decider = Decider { actor, reason: &request.comment, at, request_id: &request.request_id };
        let fact = decide::decision(decider, EntityKind::DiscrepancyDecision, id, Decision::Acknowledged);
        let position = self.submit_in_turn(turn, vec![fact]).await?;
        let read_again = self.wait_for(position, deadline).await.and_then(|()| self.discrepancy(&request.name));
        if let Ok(applied) = read_again {
            discrepancy = applied;
        } else {
            discrepancy.set_state(DiscrepancyState::Acknowledged);
            actor.clone_into(&mut discrepancy.acknowledged_by);
            discrepancy.etag.clear();
        }
        Ok(v1::AcknowledgeDiscrepancyResponse { discrepancy: Some(discrepancy), position: position_token(position) })
    }

    fn watch_discrepancies(
        self: &Arc<Self>,
        request: &v1::WatchDiscrepanciesRequest,
    ) -> Result<Watch<DiscrepancySelection>, Refusal> {
        check_batch("names", request.names.len())?;
        let ids = request.names.iter().map(|name| id_of("names", "discrepancies", name).map(CompactString::from));
        let mut ids = ids.collect::<Result<Vec<CompactString>, Refusal>>()?;
        ids.sort_unstable();
        let selection = Arguments::of("WatchDiscrepancies", &[&ids.join(","), &request.filter]);
        let watched = DiscrepancySelection { api: self.clone(), filter: Filter::parse(&request.filter, COLUMNS)? };
        let watch_request = WatchRequest {
            names: (!ids.is_empty()).then(|| ids.into_iter().collect()),
            selection: Some(selection),
            resume_token: request.resume_token.clone(),
            skip_snapshot: request.skip_snapshot,
            bookmark_interval: interval(request.bookmark_interval.as_ref())?,
        };
        let feed = self.backend.published().discrepancies_feed().clone();
        Watch::begin(feed, self.drain.clone(), watched, watch_request)
    }
}

/// The discrepancies that a watch selects.
struct DiscrepancySelection {
    api: Arc<Api>,
    filter: Filter<Discrepancy>,
}

impl Selection for DiscrepancySelection {
    type State = Discrepancy;
    type Message = v1::WatchDiscrepanciesResponse;
    const RESOURCE: &'static str = "discrepancies";

    fn keys(&self) -> Vec<CompactString> {
        self.api.backend.published().object_ids(Collection::Discrepancies)
    }

    fn load(&self, key: &str) -> Option<(Stamp, Discrepancy)> {
        self.api.find_discrepancy(key).filter(|(_, discrepancy)| self.filter.matches(discrepancy))
    }

    fn is_filtered(&self) -> bool {
        !self.filter.is_empty()
    }

    fn message(&self, resume_token: String, event: Event<Discrepancy>) -> v1::WatchDiscrepanciesResponse {
        let event = match event {
            Event::Upsert(upsert) => watched::Event::Upsert(v1::DiscrepancyUpsert {
                discrepancy: Some(upsert.state),
                coalesced_count: i64::try_from(upsert.coalesced_count).unwrap_or(i64::MAX),
            }),
            Event::Removed(key) => watched::Event::RemovedName(format!("discrepancies/{key}")),
            Event::Bookmark(snapshot_complete) => watched::Event::Bookmark(v1::Bookmark { snapshot_complete }),
            Event::Reset(reason) => watched::Event::Reset(v1::Reset { reason: reason.to_owned() }),
        };
        v1::WatchDiscrepanciesResponse { resume_token, event: Some(event) }
    }
}
