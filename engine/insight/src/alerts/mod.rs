//! Alerts: conditions that somebody has to act on (spec 11).
//!
//! A condition of one customer is an [`AlertRule`] with a function here. Sync failures and handoff
//! gaps depend on sources and transfers; who watches those makes their alerts with
//! [`sync_failure`] and [`handoff_context_gap`].

mod anomaly;
mod handoff_gap;
mod mismatch;
mod sync;
#[cfg(test)]
mod tests;

use compact_str::CompactString;
use ontology::canonical::Json;
use ontology::entity::Decided;
use ontology::status::Decision;
use ontology::{Millis, ObjectId, Vocabulary};

use crate::context::Context;
use crate::derived::{Derived, Grounds, Severity};

pub use handoff_gap::handoff_context_gap;
pub use sync::{SyncFailure, sync_failure};

/// Which condition it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AlertRule {
    /// A known change is not applied for too long, or a source lags.
    SyncFailure,
    /// RC1, RC2 or RC3 is open on a case.
    ReconciliationMismatch,
    /// A transfer lacks billing or interaction context.
    HandoffContextGap,
    /// What was billed for an order is far from its estimate.
    BillingServiceAnomaly,
}

impl Vocabulary for AlertRule {
    const ALL: &'static [(Self, &'static str)] = &[
        (AlertRule::SyncFailure, "11-1"),
        (AlertRule::ReconciliationMismatch, "11-2"),
        (AlertRule::HandoffContextGap, "11-3"),
        (AlertRule::BillingServiceAnomaly, "11-4"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

impl AlertRule {
    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            AlertRule::SyncFailure => Severity::Critical,
            AlertRule::ReconciliationMismatch | AlertRule::HandoffContextGap => Severity::High,
            AlertRule::BillingServiceAnomaly => Severity::Medium,
        }
    }

    /// How long it may stay unacknowledged before it escalates.
    #[must_use]
    pub fn acknowledge_within_ms(self) -> i64 {
        match self.severity() {
            Severity::Critical => 5 * Millis::MINUTE_MS,
            Severity::High => 15 * Millis::MINUTE_MS,
            Severity::Medium | Severity::Low => 4 * Millis::HOUR_MS,
        }
    }

    /// The id of the one alert of this rule about `subject`.
    #[must_use]
    pub fn id(self, subject: &str) -> ObjectId {
        ObjectId::new(self.name(), &[subject])
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertState {
    /// The condition holds.
    Firing,
    /// The condition holds, and somebody acts on it.
    Acknowledged {
        /// Who.
        by: CompactString,
    },
    /// The condition is gone or was reviewed.
    Resolved {
        /// Who reviewed it; none if the condition is gone.
        by: Option<CompactString>,
        /// When.
        at: Millis,
    },
}

impl AlertState {
    /// The state in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            AlertState::Firing => "firing",
            AlertState::Acknowledged { .. } => "acknowledged",
            AlertState::Resolved { .. } => "resolved",
        }
    }

    /// Whether somebody still has to act.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            AlertState::Firing | AlertState::Acknowledged { .. } => true,
            AlertState::Resolved { .. } => false,
        }
    }
}

/// A condition that somebody has to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Hash of rule and subject: one open alert for each.
    pub id: ObjectId,
    /// Which condition.
    pub rule: AlertRule,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: an entity such as `case/SF-1`, or a source.
    pub subject: CompactString,
    /// Where it stands.
    pub state: AlertState,
    /// Event time since which the condition holds.
    pub since: Millis,
    /// When it could fire at the earliest; depends on arrival.
    pub fired_at: Millis,
    /// The team that has to act.
    pub owner_team: CompactString,
    /// What the hub does about it.
    pub action: &'static str,
    /// How to undo that.
    pub undo: &'static str,
    /// What to do without the hub.
    pub manual_route: &'static str,
    /// What it rests on.
    pub grounds: Grounds,
    /// It in one sentence.
    pub sentence: Option<String>,
}

impl Alert {
    /// Whether somebody still has to act.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// When it escalates if nobody acknowledges it; none if somebody did.
    #[must_use]
    pub fn due_at(&self) -> Option<Millis> {
        (self.state == AlertState::Firing).then(|| self.fired_at + self.rule.acknowledge_within_ms())
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let own = [
            ("id", Json::text(self.id.to_string())),
            ("rule", Json::text(self.rule.name())),
            ("severity", Json::text(self.severity.name())),
            ("subject", Json::text(&self.subject)),
            ("state", Json::text(self.state.name())),
            ("since_ms", Json::Int(self.since.0)),
            ("owner_team", Json::text(&self.owner_team)),
            ("sentence", Json::maybe_text(self.sentence.as_ref())),
        ];
        Json::object(own.into_iter().chain(self.grounds.canonical()))
    }

    /// The same alert with what people decided on it since it began.
    #[must_use]
    pub fn decided(self, context: &Context<'_>) -> Self {
        let since = self.since;
        self.decided_since(since, context)
    }

    /// The same alert as one that stands open since `opened_at`, with what people decided on it from then
    /// on. How far a source is behind may move all the while.
    #[must_use]
    pub fn opened(mut self, opened_at: Millis, context: &Context<'_>) -> Self {
        self.fired_at = opened_at;
        self.decided_since(opened_at, context)
    }

    fn decided_since(mut self, since: Millis, context: &Context<'_>) -> Self {
        let decision = context.reference.decisions.get(&self.id).map(|entity| Decided::read(entity.as_ref()));
        let Some((decision, at)) = decision.and_then(|d| Some((d, d.decided_at.filter(|at| *at >= since)?))) else {
            return self;
        };
        let by = CompactString::new(decision.actor.unwrap_or_default());
        match decision.verdict.known() {
            Some(Decision::Acknowledged) => self.state = AlertState::Acknowledged { by },
            Some(Decision::Resolved) => self.state = AlertState::Resolved { by: Some(by), at },
            // Only a discrepancy can be waived.
            Some(Decision::Waived) | None => {}
        }
        self
    }
}

/// A condition of one customer.
pub struct CustomerRule {
    /// Which.
    pub rule: AlertRule,
    /// The alerts that what is concluded gives rise to.
    pub alerts: fn(&Derived) -> Vec<Alert>,
}

/// The conditions of one customer, in the order of their numbers.
pub const ALL: &[CustomerRule] = &[
    CustomerRule { rule: AlertRule::ReconciliationMismatch, alerts: mismatch::alerts },
    CustomerRule { rule: AlertRule::BillingServiceAnomaly, alerts: anomaly::alerts },
];

/// Applies every condition to what is concluded.
pub(crate) fn evaluate(context: &Context<'_>, derived: &mut Derived) {
    for rule in ALL {
        let alerts = (rule.alerts)(derived);
        derived.alerts.extend(alerts.into_iter().map(|alert| alert.decided(context)));
    }
}
