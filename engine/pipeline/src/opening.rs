//! What stands open: alerts and discrepancies in the one form that transition compares.

use insight::Derived;
use insight::alerts::{Alert, AlertRule};
use insight::derived::Discrepancy;
use ontology::id::ObjectId;
use ontology::{EntityKey, EntityKind, Millis, Vocabulary};

/// The task that a discrepancy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOf {
    /// Which stretch of event time it is for.
    pub occurrence: u32,
    /// When that stretch began.
    pub since: Millis,
}

/// Something that stands open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The alert or discrepancy.
    pub id: ObjectId,
    /// What it is about first.
    pub subject: String,
    /// Rule or alert number.
    pub rule: &'static str,
    /// Severity word.
    pub severity: &'static str,
    /// The team that has to act.
    pub team: String,
    /// It in one sentence.
    pub text: String,
    /// The task that it asks for.
    pub task: Option<TaskOf>,
    /// The invoice that it marks for review.
    pub flags: Option<EntityKey>,
}

impl Opening {
    fn of_discrepancy(discrepancy: &Discrepancy) -> Self {
        Opening {
            id: discrepancy.id.clone(),
            subject: discrepancy.grounds.subjects.first().map(ToString::to_string).unwrap_or_default(),
            rule: discrepancy.rule.name(),
            severity: discrepancy.severity.name(),
            team: discrepancy.owner_team.to_owned(),
            text: discrepancy.sentence.clone().unwrap_or_default(),
            task: Some(TaskOf { occurrence: discrepancy.occurrence, since: discrepancy.since }),
            flags: None,
        }
    }

    /// An alert as something that stands open.
    #[must_use]
    pub fn of_alert(alert: &Alert) -> Self {
        let invoice = alert.grounds.subjects.iter().find(|subject| subject.kind == EntityKind::Invoice);
        Opening {
            id: alert.id.clone(),
            subject: alert.subject.to_string(),
            rule: alert.rule.name(),
            severity: alert.severity.name(),
            team: alert.owner_team.to_string(),
            text: alert.sentence.clone().unwrap_or_default(),
            task: None,
            flags: invoice.filter(|_| alert.rule == AlertRule::BillingServiceAnomaly).cloned(),
        }
    }
}

/// Everything that stands open of what is concluded about a customer.
pub fn openings(derived: &Derived) -> impl Iterator<Item = Opening> {
    let discrepancies = derived.discrepancies.iter().filter(|d| d.is_open()).map(Opening::of_discrepancy);
    let alerts = derived.alerts.iter().filter(|alert| alert.is_open()).map(Opening::of_alert);
    discrepancies.chain(alerts)
}
