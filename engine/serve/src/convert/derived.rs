//! What is concluded about a customer: discrepancies, alerts, correlations.

use insight::alerts::{Alert, AlertState};
use insight::correlate::{Candidate, SUGGESTED_MIN};
use insight::derived::{Correlation, Discrepancy};
use insight::reconcile::{DiscrepancyState, Resolution};
use ontology::Vocabulary;
use proto::v1;

use super::common::{evidence, money, ratio, source_ref, time};
use super::word;
use crate::token::position_token;
use crate::view::{CustomerView, etag_of};

/// Discrepancies of a customer, settled ones too.
#[must_use]
pub fn discrepancies(view: &CustomerView) -> Vec<v1::Discrepancy> {
    view.derived.discrepancies.iter().map(|discrepancy| discrepancy_of(view, discrepancy)).collect()
}

fn discrepancy_of(view: &CustomerView, discrepancy: &Discrepancy) -> v1::Discrepancy {
    let mut wire = v1::Discrepancy {
        name: format!("discrepancies/{}", discrepancy.id),
        rule: discrepancy.rule.name().to_owned(),
        severity: word(discrepancy.severity),
        customer: customer_name(view),
        subjects: discrepancy.grounds.subjects.iter().map(source_ref).collect(),
        owner_team: discrepancy.owner_team.to_owned(),
        sentence: discrepancy.sentence.clone().unwrap_or_default(),
        basis: word(discrepancy.basis),
        since_time: time(discrepancy.since),
        open_time: time(discrepancy.opened_at),
        occurrence: i32::try_from(discrepancy.occurrence).unwrap_or(i32::MAX),
        amount_at_stake: discrepancy.amount.map(money),
        evidence: discrepancy.grounds.evidence().iter().map(evidence).collect(),
        link_confidence: ratio(discrepancy.grounds.link_confidence),
        position: position_token(view.position()),
        etag: etag_of(discrepancy),
        ..v1::Discrepancy::default()
    };
    match &discrepancy.state {
        DiscrepancyState::Open => wire.set_state(v1::DiscrepancyState::Open),
        DiscrepancyState::Acknowledged { by } => {
            wire.set_state(v1::DiscrepancyState::Acknowledged);
            wire.acknowledged_by = by.to_string();
        }
        DiscrepancyState::Resolved(resolution) => {
            let (cause, at) = match resolution {
                Resolution::Auto { cause, at } => (cause.to_string(), *at),
                Resolution::Manual { by, at } => (format!("manual: {by}"), *at),
            };
            wire.set_state(v1::DiscrepancyState::Resolved);
            wire.resolve_cause = cause;
            wire.resolve_time = time(at);
        }
        DiscrepancyState::Waived { by: _, reason, until } => {
            wire.set_state(v1::DiscrepancyState::Waived);
            wire.waive_reason = reason.to_string();
            wire.waive_until_time = until.and_then(time);
        }
    }
    wire
}

/// Alerts of a customer, settled ones too.
#[must_use]
pub fn alerts(view: &CustomerView) -> Vec<v1::Alert> {
    let all = view.derived.alerts.iter().chain(&view.handoff_alerts);
    let of_customer = |alert| v1::Alert {
        customer: customer_name(view),
        position: position_token(view.position()),
        ..alert_of(alert)
    };
    all.map(of_customer).collect()
}

/// An alert; whose it is and where it stands in the log is for the caller to say.
#[must_use]
pub fn alert_of(alert: &Alert) -> v1::Alert {
    let mut wire = v1::Alert {
        name: format!("alerts/{}", alert.id),
        rule: alert.rule.name().to_owned(),
        severity: word(alert.severity),
        subject: alert.subject.to_string(),
        owner_team: alert.owner_team.to_string(),
        sentence: alert.sentence.clone().unwrap_or_default(),
        action: alert.action.to_owned(),
        undo: alert.undo.to_owned(),
        manual_route: alert.manual_route.to_owned(),
        fire_time: time(alert.fired_at),
        due_time: alert.due_at().and_then(time),
        evidence: alert.grounds.evidence().iter().map(evidence).collect(),
        etag: etag_of(alert),
        ..v1::Alert::default()
    };
    match &alert.state {
        AlertState::Firing => wire.set_state(v1::AlertState::Firing),
        AlertState::Acknowledged { by } => {
            wire.set_state(v1::AlertState::Acknowledged);
            wire.acknowledged_by = by.to_string();
        }
        AlertState::Resolved { by, at } => {
            wire.set_state(v1::AlertState::Resolved);
            wire.acknowledged_by = by.as_ref().map(ToString::to_string).unwrap_or_default();
            wire.resolve_time = time(*at);
        }
    }
    wire
}

/// Correlations of a customer.
#[must_use]
pub fn correlations(view: &CustomerView) -> Vec<v1::Correlation> {
    view.derived.correlations.iter().map(|correlation| correlation_of(view, correlation)).collect()
}

/// A correlation of a customer.
#[must_use]
pub fn correlation_of(view: &CustomerView, correlation: &Correlation) -> v1::Correlation {
    let best = correlation.candidates.first();
    let state = match best {
        Some(best) if best.is_accepted() => v1::CorrelationState::Accepted,
        Some(best) if best.score >= SUGGESTED_MIN => v1::CorrelationState::Suggested,
        Some(_) | None => v1::CorrelationState::None,
    };
    let anomalies = view.derived.anomalies.iter();
    let anomaly = anomalies
        .filter(|anomaly| anomaly.invoice == correlation.subject && Some(anomaly.kind) == correlation.anomaly)
        .find(|anomaly| anomaly.expected.is_some());
    let (expected, actual) = anomaly.map_or((None, None), |anomaly| (anomaly.expected, anomaly.actual));
    let deviation = expected.zip(actual).filter(|(expected, _)| expected.minor != 0);
    v1::Correlation {
        name: format!("correlations/{}", correlation.id),
        customer: customer_name(view),
        billing_ref: Some(source_ref(&correlation.subject)),
        kind: correlation.kind_name().to_owned(),
        state: state.into(),
        verdict: word(correlation.verdict),
        confidence: best.map(|best| ratio(best.score)).unwrap_or_default(),
        candidates: correlation.candidates.iter().map(candidate_of).collect(),
        expected: expected.map(money),
        actual: actual.map(money),
        deviation_ratio: deviation.map(|(expected, actual)| actual.minor as f64 / expected.minor as f64 - 1.0),
        sentence: correlation.sentence.clone().unwrap_or_default(),
        evidence: correlation.grounds.evidence().iter().map(evidence).collect(),
        link_confidence: ratio(correlation.grounds.link_confidence),
        event_time: correlation.at.and_then(time),
        position: position_token(view.position()),
    }
}

/// A service order with what speaks for it and why it does not count.
#[must_use]
pub fn candidate_of(candidate: &Candidate) -> v1::CorrelationCandidate {
    let factor = |(signal, weight): &(insight::correlate::Signal, u32)| v1::CorrelationFactor {
        rule: signal.name().to_owned(),
        weight: ratio(*weight),
    };
    v1::CorrelationCandidate {
        service_order: Some(source_ref(&candidate.order)),
        score: ratio(candidate.score),
        factors: candidate.factors.iter().map(factor).collect(),
        gap_days: candidate.gap_days.unwrap_or_default(),
        why_not: candidate.why_not().unwrap_or_default(),
    }
}

pub(super) fn customer_name(view: &CustomerView) -> String {
    format!("customers/{}", view.id())
}
