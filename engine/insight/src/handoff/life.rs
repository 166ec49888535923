//! How a transfer moves through its states (spec 6.2, 6.4, 6.8, 6.9).
//!
//! ```text
//! requested ─▶ held ─▶ released_complete | released_incomplete ─▶ accepted      controlled
//! requested ─▶ assembling ─▶ (judged at the end of the hold time) ─▶ accepted   observed
//! ```
//! Any of them may end as cancelled, abandoned, superseded or returned.

use compact_str::CompactString;
use ontology::entity::Transfer;
use ontology::{Millis, Vocabulary};
use state::Entity;

use super::assessment::Assessment;
use super::memory::{FOLLOWED_AFTER_ACCEPTANCE_MS, GapAlert, HandoffState, TransferMemory};
use super::package::{IdentityChange, Package};
use super::section::SectionName;
use crate::context::Context;

/// How many versions a package has at most; only a change of identity makes a further one.
const VERSIONS_MAX: usize = 64;

/// What has to be done for a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandoffAction {
    /// Raise alert 11-3.
    RaiseContextGap {
        /// The required sections that are not there.
        sections: Vec<SectionName>,
    },
    /// Resolve alert 11-3.
    ResolveContextGap {
        /// Why: `complete`, `released` or the state that closed the transfer.
        cause: &'static str,
    },
    /// Hold the transfer.
    Hold {
        /// At the latest until.
        until: Millis,
    },
    /// Let it go.
    Release {
        /// With this version of its package.
        version: u32,
        /// Whether that version is complete.
        is_complete: bool,
    },
    /// Push a version that the receiver does not have yet.
    Push {
        /// The version.
        version: u32,
        /// What a change of identity did to it.
        identity_changed: Option<IdentityChange>,
    },
    /// Ask the receiving team's supervisor.
    Escalate {
        /// The team.
        team: CompactString,
        /// What is missing.
        reason: String,
    },
}

/// Moves a transfer on to `context.now`. Returns its life so far, what has to be done, and when to
/// look again at the latest.
///
/// Whoever calls hands in everything that was ingested up to and including `context.now` first:
/// context that arrives exactly at the end of the hold is in time.
#[must_use]
pub fn advance(
    memory: Option<TransferMemory>,
    transfer: &Entity,
    assessment: &Assessment,
    context: &Context<'_>,
) -> (TransferMemory, Vec<HandoffAction>, Option<Millis>) {
    let request = Transfer::read(transfer);
    let memory = memory.unwrap_or_else(|| begin(&request, assessment));
    let hold_until = memory.initiated_at + context.settings.hold_max_ms;
    let mut turn = Turn { memory, actions: Vec::new(), request, assessment, now: context.now, hold_until };
    turn.run();
    let is_waiting = matches!(turn.memory.state, HandoffState::Held | HandoffState::Assembling);
    let wake_at = is_waiting.then_some(turn.hold_until);
    (turn.memory, turn.actions, wake_at)
}

fn begin(request: &Transfer<'_>, assessment: &Assessment) -> TransferMemory {
    let teams = (request.from_team.unwrap_or_default(), request.to_team.unwrap_or_default());
    TransferMemory::requested(assessment.transfer.clone(), assessment.case.clone(), teams, assessment.initiated_at)
}

/// One look at a transfer.
struct Turn<'a> {
    memory: TransferMemory,
    actions: Vec<HandoffAction>,
    request: Transfer<'a>,
    assessment: &'a Assessment,
    now: Millis,
    /// When the hold ends; for a transfer that is not held, when it is judged.
    hold_until: Millis,
}

impl Turn<'_> {
    fn run(&mut self) {
        if self.memory.state.is_closed() {
            return;
        }
        if let Some(state) = self.ending() {
            self.close(state);
            return;
        }
        self.assemble();
        if self.memory.was_complete.is_none() {
            self.release();
        }
        self.accept();
        if self.request.returned_at.is_some() {
            self.close(HandoffState::Returned);
        }
    }

    /// How the transfer ends without being taken over, if it does. Once accepted it has been.
    fn ending(&self) -> Option<HandoffState> {
        let is_same_team = self.request.from_team.is_some() && self.request.from_team == self.request.to_team;
        if self.memory.accepted_at.is_some() {
            None
        } else if self.request.cancelled_at.is_some() || self.assessment.is_gone || is_same_team {
            Some(HandoffState::Cancelled)
        } else if self.assessment.is_abandoned {
            Some(HandoffState::Abandoned)
        } else if self.assessment.superseded_by.is_some() {
            Some(HandoffState::Superseded)
        } else {
            None
        }
    }

    fn close(&mut self, state: HandoffState) {
        self.memory.state = state;
        self.memory.closed_at = Some(self.now);
        self.memory.hold_until = None;
        if state == HandoffState::Superseded {
            self.memory.superseded_by.clone_from(&self.assessment.superseded_by);
        }
        self.resolve_alert(state.name());
    }

    /// Makes a new version of the package if there is something new to say, and pushes it if the
    /// receiver has an earlier one.
    fn assemble(&mut self) {
        let identity_changed = self.identity_change();
        if !self.says_something_new(identity_changed) {
            return;
        }
        let version = self.memory.newest().map_or(1, |package| package.version + 1);
        let is_with_receiver = self.memory.was_complete.is_some() || self.is_observed();
        if identity_changed == Some(IdentityChange::Split) {
            self.memory.readable_from = version;
        }
        self.memory.versions.push(Package {
            version,
            customer: self.assessment.customer.clone(),
            as_of: self.now,
            log_pos: self.assessment.log_pos,
            identity_changed,
            content: self.assessment.package.clone(),
        });
        if is_with_receiver {
            self.actions.push(HandoffAction::Push { version, identity_changed });
        }
    }

    /// What happened to the customer's records since the newest version. Records that left count
    /// more than ones that joined, because what came from them has to be taken back.
    fn identity_change(&self) -> Option<IdentityChange> {
        let before = &self.memory.newest()?.content.members;
        let after = &self.assessment.package.members;
        if before.iter().any(|member| !after.contains(member)) {
            Some(IdentityChange::Split)
        } else if after.iter().any(|member| !before.contains(member)) {
            Some(IdentityChange::Merged)
        } else {
            None
        }
    }

    fn says_something_new(&self, identity_changed: Option<IdentityChange>) -> bool {
        let Some(newest) = self.memory.newest() else { return true };
        let is_followed = match self.memory.accepted_at {
            Some(accepted_at) => {
                self.now.since(accepted_at) <= FOLLOWED_AFTER_ACCEPTANCE_MS && self.changes_what_was_accepted()
            }
            None => self.memory.versions.len() < VERSIONS_MAX,
        };
        let is_within_limits = match identity_changed {
            Some(_) => self.is_identity_followed(),
            None => is_followed,
        };
        is_within_limits && !newest.content.says_the_same(&self.assessment.package)
    }

    /// Whether a change of identity still concerns the receiver.
    fn is_identity_followed(&self) -> bool {
        self.memory.accepted_at.is_none_or(|accepted_at| self.now.since(accepted_at) <= FOLLOWED_AFTER_ACCEPTANCE_MS)
    }

    /// Whoever works the case changes its records; only context that was missing at acceptance is
    /// news to them.
    fn changes_what_was_accepted(&self) -> bool {
        self.memory.newest().is_some_and(|newest| {
            let missing_then: Vec<SectionName> = newest.content.gaps().map(|section| section.name).collect();
            let missing_now: Vec<SectionName> = self.gaps();
            missing_then != missing_now
        })
    }

    fn gaps(&self) -> Vec<SectionName> {
        self.assessment.package.gaps().map(|section| section.name).collect()
    }

    /// A transfer that has already happened cannot be held.
    fn is_observed(&self) -> bool {
        self.request.controlled == Some(false)
    }

    fn release(&mut self) {
        let is_over = self.now >= self.hold_until;
        let is_missed = self.assessment.context_gap && !self.assessment.complete;
        if is_missed {
            self.raise_alert();
        }
        if self.is_observed() {
            self.memory.state = HandoffState::Assembling;
            if self.assessment.complete {
                self.resolve_alert("complete");
            }
        } else if is_missed && !is_over {
            self.hold();
        }
        let is_due = if self.is_observed() { is_over } else { !is_missed || is_over };
        if is_due {
            if is_missed {
                self.escalate();
            }
            self.let_go();
        }
    }

    fn hold(&mut self) {
        if self.memory.state != HandoffState::Held {
            self.memory.state = HandoffState::Held;
            self.memory.hold_until = Some(self.hold_until);
            self.actions.push(HandoffAction::Hold { until: self.hold_until });
        }
    }

    fn escalate(&mut self) {
        let missing: Vec<String> = self
            .assessment
            .package
            .gaps()
            .map(|section| format!("{} ({})", section.name.name(), section.status.reason()))
            .collect();
        self.memory.escalated_at = Some(self.now);
        self.actions.push(HandoffAction::Escalate {
            team: self.memory.to_team.clone(),
            reason: format!("handoff context missing: {}", missing.join(", ")),
        });
    }

    fn let_go(&mut self) {
        let is_complete = self.assessment.complete;
        let version = self.memory.newest().map_or(0, |package| package.version);
        self.memory.state = if is_complete { HandoffState::ReleasedComplete } else { HandoffState::ReleasedIncomplete };
        self.memory.hold_until = None;
        self.memory.released_at = Some(self.now);
        self.memory.released_version = version;
        self.memory.was_complete = Some(is_complete);
        if !self.is_observed() {
            self.actions.push(HandoffAction::Release { version, is_complete });
        }
        self.resolve_alert(if is_complete { "complete" } else { "released" });
    }

    /// The receiver takes over. One who does so during a hold is served with what there is.
    fn accept(&mut self) {
        let Some(accepted_at) = self.request.accepted_at else { return };
        if self.memory.was_complete.is_none() {
            self.let_go();
        }
        self.memory.state = HandoffState::Accepted;
        self.memory.accepted_at = Some(accepted_at);
    }

    fn raise_alert(&mut self) {
        let is_firing = self.memory.gap_alert.is_some_and(|alert| alert.resolved_at.is_none());
        if !is_firing {
            self.memory.gap_alert = Some(GapAlert { raised_at: self.now, resolved_at: None });
            self.actions.push(HandoffAction::RaiseContextGap { sections: self.gaps() });
        }
    }

    fn resolve_alert(&mut self, cause: &'static str) {
        if let Some(alert) = &mut self.memory.gap_alert
            && alert.resolved_at.is_none()
        {
            alert.resolved_at = Some(self.now);
            self.actions.push(HandoffAction::ResolveContextGap { cause });
        }
    }
}
