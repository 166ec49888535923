//! Alerts: list, acknowledge.

use std::sync::Arc;

use ontology::status::Decision;
use ontology::{EntityKind, ObjectId};
use proto::v1::alert_service_server::AlertService;
use proto::v1::{self, Alert, AlertState};
use tonic::{Request, Response, Status};

use super::listing::{Listing, later_first};
use super::{Api, SEVERITIES, caller, check_etag};
use crate::backend::About;
use crate::convert::common::id_of;
use crate::convert::derived;
use crate::decide::{self, Decider};
use crate::filter::{Column, Kind, Operand};
use crate::gate::Deadline;
use crate::reason::{Reason, Refusal};
use crate::request_id::Call;
use crate::token::position_token;
use crate::views::Collection;

/// States in the order of the wire.
const STATES: &[&str] = &["FIRING", "ACKNOWLEDGED", "RESOLVED"];

static COLUMNS: &[Column<Alert>] = &[
    Column { name: "name", kind: Kind::Text, get: |it| Operand::text(&it.name) },
    Column { name: "rule", kind: Kind::Text, get: |it| Operand::text(&it.rule) },
    Column { name: "state", kind: Kind::Word(STATES), get: |it| Operand::word(it.state) },
    Column { name: "severity", kind: Kind::Word(SEVERITIES), get: |it| Operand::word(it.severity) },
    Column { name: "subject", kind: Kind::Text, get: |it| Operand::text(&it.subject) },
    Column { name: "customer", kind: Kind::Text, get: |it| Operand::text(&it.customer) },
    Column { name: "owner_team", kind: Kind::Text, get: |it| Operand::text(&it.owner_team) },
    Column { name: "fire_time", kind: Kind::Time, get: |it| Operand::time(it.fire_time.as_ref()) },
    Column { name: "due_time", kind: Kind::Time, get: |it| Operand::time(it.due_time.as_ref()) },
];

/// The service.
pub struct Alerts(pub Arc<Api>);

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let request = request.into_inner();
        let listing = Listing {
            method: "ListAlerts",
            collection: Collection::Alerts,
            filter: &request.filter,
            order_by: &request.order_by,
            page_size: request.page_size,
            page_token: &request.page_token,
        };
        let newest = |a: &Alert, b: &Alert| later_first(a.fire_time.as_ref(), b.fire_time.as_ref());
        let listed =
            self.0.list(listing, COLUMNS, &self.0.alert_walks, self.0.source_alerts(), derived::alerts, newest)?;
        Ok(Response::new(v1::ListAlertsResponse {
            alerts: listed.items,
            next_page_token: listed.next_page_token,
            read_position: listed.read_position,
        }))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::AcknowledgeAlertResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "AcknowledgeAlert",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.acknowledge_alert(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }
}

impl Api {
    /// Alerts on sources: they belong to no customer.
    fn source_alerts(&self) -> Vec<Alert> {
        let published = self.backend.published();
        let position = position_token(published.position());
        let alerts = published.source_alerts();
        alerts.iter().map(|alert| Alert { position: position.clone(), ..derived::alert_of(alert) }).collect()
    }

    fn alert(&self, name: &str) -> Result<Alert, Refusal> {
        let id = id_of("name", "alerts", name)?;
        let slot = self.backend.published().customer_of_object(Collection::Alerts, id);
        let mut all = slot.map(|slot| derived::alerts(&slot.view)).unwrap_or_default();
        all.extend(self.source_alerts());
        let found = all.into_iter().find(|alert| alert.name == name);
        found.ok_or_else(|| Refusal::new(Reason::AlertNotFound).with("name", name))
    }

    async fn acknowledge_alert(
        &self,
        request: &v1::AcknowledgeAlertRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::AcknowledgeAlertResponse, Refusal> {
        let id = id_of("name", "alerts", &request.name)?;
        let turn = self.turn(&request.name, deadline).await?;
        let mut alert = self.alert(&request.name)?;
        if alert.state() == AlertState::Resolved {
            return Err(Refusal::new(Reason::AlreadyResolved).with("name", &request.name));
        }
        check_etag(&request.name, &request.etag, &alert.etag)?;
        let at = self.decided_at(vec![About::Object(ObjectId(id.into()))]).await?;
        let decider = Decider { actor, reason: &request.comment, at, request_id: &request.request_id };
        let fact = decide::decision(decider, EntityKind::AlertDecision, id, Decision::Acknowledged);
        let position = self.submit_in_turn(turn, vec![fact]).await?;
        let read_again = self.wait_for(position, deadline).await.and_then(|()| self.alert(&request.name));
        if let Ok(applied) = read_again {
            alert = applied;
        } else {
            alert.set_state(AlertState::Acknowledged);
            actor.clone_into(&mut alert.acknowledged_by);
            alert.etag.clear();
        }
        Ok(v1::AcknowledgeAlertResponse { alert: Some(alert), position: position_token(position) })
    }
}
