//! Hold and release in Webex: the flow asks the hub before it transfers, and again while it is told
//! to hold. `GET /webex/transfers/{id}` with the flow's bearer token answers
//! `{"decision":"hold","until_ms":N}`, `{"decision":"release","complete":true}` or, for a transfer of
//! which nothing was decided, `{"decision":"unknown"}`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ontology::{Millis, System};
use serde_json::json;

use super::command::{Command, CommandKind, Verb};
use super::{Done, Failure, Outbound};
use crate::contract::SharedClock;
use crate::edge::credentials::{Secret, has_bearer};

/// Transfers that are remembered; the oldest decisions go first.
const TRANSFERS_MAX: usize = 10_000;

/// What was decided about a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Hold { until: Millis },
    Release { is_complete: bool },
}

/// The decisions by transfer, each with when it was made.
type Decisions = BTreeMap<String, (Millis, Decision)>;

/// Holds and releases transfers by what it answers to the flow.
#[derive(Clone)]
pub struct WxccOutbound {
    decisions: Arc<Mutex<Decisions>>,
    verbs: Vec<Verb>,
    token: Secret,
    clock: SharedClock,
}

impl WxccOutbound {
    /// Answers flows that carry `token`; `verbs` are enabled.
    #[must_use]
    pub fn new(token: Secret, verbs: Vec<Verb>, clock: SharedClock) -> Self {
        WxccOutbound { decisions: Arc::default(), verbs, token, clock }
    }

    /// The endpoint that flows ask.
    pub fn router(&self) -> Router {
        Router::new().route("/webex/transfers/{id}", get(asked)).with_state(self.clone())
    }

    fn decisions(&self) -> MutexGuard<'_, Decisions> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a decision, unless a later one stands: commands may be carried out in any order.
    fn decide(&self, transfer: &str, at: Millis, decision: Decision) -> Done {
        let mut decisions = self.decisions();
        match decisions.get(transfer) {
            Some((known_at, known)) if *known_at > at || (*known_at == at && is_final(*known)) => return Done::Before,
            Some((known_at, known)) if *known_at == at && *known == decision => return Done::Before,
            Some(_) | None => {}
        }
        decisions.insert(transfer.to_owned(), (at, decision));
        if decisions.len() > TRANSFERS_MAX
            && let Some(oldest) = decisions.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| id.clone())
        {
            decisions.remove(&oldest);
        }
        Done::Now
    }
}

fn is_final(decision: Decision) -> bool {
    matches!(decision, Decision::Release { .. })
}

async fn asked(State(outbound): State<WxccOutbound>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if !has_bearer(&headers, &outbound.token) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let known = outbound.decisions().get(&id).copied();
    let answer = match known {
        // A hold ends by itself, whatever becomes of the hub.
        Some((_, Decision::Hold { until })) if outbound.clock.now() < until => {
            json!({ "decision": "hold", "until_ms": until.0 })
        }
        Some((_, Decision::Hold { .. })) => json!({ "decision": "release", "complete": false }),
        Some((_, Decision::Release { is_complete })) => json!({ "decision": "release", "complete": is_complete }),
        None => json!({ "decision": "unknown" }),
    };
    Json(answer).into_response()
}

impl Outbound for WxccOutbound {
    fn system(&self) -> System {
        System::Wxcc
    }

    fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    async fn perform(&self, command: &Command) -> Result<Done, Failure> {
        match &command.kind {
            CommandKind::HoldTransfer { transfer, until } => {
                Ok(self.decide(transfer, command.at, Decision::Hold { until: *until }))
            }
            CommandKind::ReleaseTransfer { transfer, is_complete } => {
                Ok(self.decide(transfer, command.at, Decision::Release { is_complete: *is_complete }))
            }
            CommandKind::CreateTask { .. }
            | CommandKind::CompleteTask { .. }
            | CommandKind::CommentCase { .. }
            | CommandKind::DelayDispatch { .. }
            | CommandKind::NoteOrder { .. }
            | CommandKind::FlagInvoice { .. } => Err(Failure::Refused("no command of webex".to_owned())),
        }
    }
}
