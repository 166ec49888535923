//! Handoffs: prepare, get, list, accept.

use std::sync::Arc;

use ontology::{EntityKey, EntityKind, Vocabulary as _};
use proto::v1::handoff_service_server::HandoffService;
use proto::v1::{self, Handoff, HandoffState};
use tonic::{Request, Response, Status};

use super::listing::{Listing, later_first};
use super::{Api, caller, check_etag};
use crate::convert::common::id_of;
use crate::convert::handoff::{self, Version};
use crate::decide::{self, Decider, TransferRequest};
use crate::filter::{Column, Kind, Operand};
use crate::gate::Deadline;
use crate::policy::Role;
use crate::reason::{Reason, Refusal};
use crate::request_id::Call;
use crate::token::position_token;
use crate::views::Collection;

/// States in the order of the wire.
const STATES: &[&str] = &[
    "REQUESTED",
    "ASSEMBLING",
    "HELD",
    "RELEASED_COMPLETE",
    "RELEASED_INCOMPLETE",
    "ACCEPTED",
    "CANCELLED",
    "ABANDONED",
    "RETURNED",
    "SUPERSEDED",
];

static COLUMNS: &[Column<Handoff>] = &[
    Column { name: "name", kind: Kind::Text, get: |it| Operand::text(&it.name) },
    Column { name: "state", kind: Kind::Word(STATES), get: |it| Operand::word(it.state) },
    Column { name: "case_id", kind: Kind::Text, get: |it| Operand::text(&it.case_id) },
    Column { name: "customer", kind: Kind::Text, get: |it| Operand::text(&it.customer) },
    Column { name: "from_team", kind: Kind::Text, get: |it| Operand::text(&it.from_team) },
    Column { name: "to_team", kind: Kind::Text, get: |it| Operand::text(&it.to_team) },
    Column { name: "completeness", kind: Kind::Number, get: |it| Operand::Number(it.completeness) },
    Column { name: "initiate_time", kind: Kind::Time, get: |it| Operand::time(it.initiate_time.as_ref()) },
    Column { name: "release_time", kind: Kind::Time, get: |it| Operand::time(it.release_time.as_ref()) },
];

/// The service.
pub struct Handoffs(pub Arc<Api>);

#[tonic::async_trait]
impl HandoffService for Handoffs {
    async fn prepare_handoff(
        &self,
        request: Request<v1::PrepareHandoffRequest>,
    ) -> Result<Response<v1::PrepareHandoffResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "PrepareHandoff",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.prepare(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }

    async fn get_handoff(
        &self,
        request: Request<v1::GetHandoffRequest>,
    ) -> Result<Response<v1::GetHandoffResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        self.0.wait(&request.min_position, deadline).await?;
        let number = u32::try_from(request.package_version);
        let number = number.map_err(|_| Status::from(Refusal::field("package_version", "is negative")))?;
        let is_auditor = principal.roles.contains(&Role::Auditor);
        let version = if number == 0 { Version::Newest } else { Version::Number { number, is_auditor } };
        let handoff = Some(self.0.handoff(&request.name, version)?);
        Ok(Response::new(v1::GetHandoffResponse { handoff }))
    }

    async fn list_handoffs(
        &self,
        request: Request<v1::ListHandoffsRequest>,
    ) -> Result<Response<v1::ListHandoffsResponse>, Status> {
        let request = request.into_inner();
        let listing = Listing {
            method: "ListHandoffs",
            collection: Collection::Handoffs,
            filter: &request.filter,
            order_by: &request.order_by,
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let newest = |a: &Handoff, b: &Handoff| later_first(a.initiate_time.as_ref(), b.initiate_time.as_ref());
        let listed = self.0.list(listing, COLUMNS, &self.0.handoff_walks, Vec::new(), handoff::handoffs, newest)?;
        Ok(Response::new(v1::ListHandoffsResponse {
            handoffs: listed.items,
            next_page_token: listed.next_page_token,
            read_position: listed.read_position,
        }))
    }

    async fn accept_handoff(
        &self,
        request: Request<v1::AcceptHandoffRequest>,
    ) -> Result<Response<v1::AcceptHandoffResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "AcceptHandoff",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.accept(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }
}

impl Api {
    /// A handoff with one version of its package.
    fn handoff(&self, name: &str, version: Version) -> Result<Handoff, Refusal> {
        let id = id_of("name", "handoffs", name)?;
        let unknown = || Refusal::new(Reason::HandoffNotFound).with("name", name);
        let slot = self.backend.published().customer_of_object(Collection::Handoffs, id).ok_or_else(unknown)?;
        let transfer = slot.view.transfers.iter().find(|transfer| transfer.key.id == id).ok_or_else(unknown)?;
        handoff::handoff(&slot.view, transfer, version).map_err(|unread| {
            let versions: Vec<String> = unread.readable.iter().map(u32::to_string).collect();
            let versions = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
            let refusal = Refusal::new(Reason::PackageVersionNotFound).with("name", name);
            refusal.with("version", unread.number).with("versions", versions)
        })
    }

    async fn prepare(
        &self,
        request: &v1::PrepareHandoffRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::PrepareHandoffResponse, Refusal> {
        if request.to_team.is_empty() {
            return Err(Refusal::field("to_team", "is required"));
        }
        let unknown = || Refusal::new(Reason::CaseUnknown).with("case", &request.case_id);
        let case = EntityKey::new(EntityKind::Case, &request.case_id);
        let turn = self.turn(&case.to_string(), deadline).await?;
        let published = self.backend.published();
        let customer = published.customer_of(&case).ok_or_else(unknown)?;
        let now = self.now();
        let asked = TransferRequest {
            case_id: &request.case_id,
            from_team: &request.from_team,
            to_team: &request.to_team,
            interaction_id: &request.interaction_id,
        };
        if let Some(slot) = published.slot(&customer)
            && let Some(running) = decide::repeated(slot.view.transfers.iter().map(|it| &*it.memory), asked, now)
        {
            return Ok(v1::PrepareHandoffResponse {
                handoff: Some(self.handoff(&format!("handoffs/{}", running.id), Version::Newest)?),
                position: position_token(slot.changed_at.position),
            });
        }
        let decider = Decider { actor, reason: &request.reason, at: now, request_id: &request.request_id };
        let fact = decide::transfer(decider, asked);
        let name = format!("handoffs/{}", fact.entity.id);
        let position = self.submit_in_turn(turn, vec![fact]).await?;
        self.wait_for(position, deadline).await?;
        let handoff = Some(self.handoff(&name, Version::Newest)?);
        Ok(v1::PrepareHandoffResponse { handoff, position: position_token(position) })
    }

    async fn accept(
        &self,
        request: &v1::AcceptHandoffRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::AcceptHandoffResponse, Refusal> {
        if request.agent_id.is_empty() {
            return Err(Refusal::field("agent_id", "is required"));
        }
        let turn = self.turn(&request.name, deadline).await?;
        let mut handoff = self.handoff(&request.name, Version::Newest)?;
        let state = handoff.state().as_str_name().trim_start_matches("HANDOFF_STATE_").to_ascii_lowercase();
        if !insight::handoff::HandoffState::parse(&state).is_some_and(|state| state.may_be_accepted()) {
            return Err(Refusal::new(Reason::HandoffClosed).with("name", &request.name).with("state", state));
        }
        check_etag(&request.name, &request.etag, &handoff.etag)?;
        let now = self.now();
        let decider = Decider { actor, reason: "", at: now, request_id: &request.request_id };
        let transfer = EntityKey::new(EntityKind::Transfer, id_of("name", "handoffs", &request.name)?);
        let position =
            self.submit_in_turn(turn, vec![decide::acceptance(decider, &transfer, &request.agent_id)]).await?;
        let read_again =
            self.wait_for(position, deadline).await.and_then(|()| self.handoff(&request.name, Version::Newest));
        if let Ok(applied) = read_again {
            handoff = applied;
        } else {
            handoff.set_state(HandoffState::Accepted);
            handoff.agent_id.clone_from(&request.agent_id);
            handoff.accept_time = crate::convert::common::time(now);
            handoff.etag.clear();
        }
        Ok(v1::AcceptHandoffResponse { handoff: Some(handoff), position: position_token(position) })
    }
}
