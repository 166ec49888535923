//! 11-4: what was billed for a service order is far from its estimate, on an invoice that has been
//! issued.

use ontology::{Field, Millis};

use super::{Alert, AlertRule, AlertState};
use crate::correlate::AnomalyKind;
use crate::derived::{Anomaly, Derived};

const RULE: AlertRule = AlertRule::BillingServiceAnomaly;

pub(super) fn alerts(derived: &Derived) -> Vec<Alert> {
    let deviations = derived.anomalies.iter().filter(|anomaly| anomaly.kind == AnomalyKind::EstimateDeviation);
    deviations.map(alert).collect()
}

/// When the invoice was issued, or when it was told if it is dated ahead; when the anomaly came back, if it
/// had gone: what people said of it before was about another one.
fn since(anomaly: &Anomaly) -> Millis {
    let invoice = anomaly.grounds.record(&anomaly.invoice);
    let told = invoice.and_then(|invoice| invoice.provenance(Field::IssuedAt)).map(|told| told.event_time);
    let issued_at = anomaly.at.unwrap_or_default();
    let since = told.map_or(issued_at, |told| told.min(issued_at));
    anomaly.began_at.map_or(since, |began_at| began_at.max(since))
}

fn alert(anomaly: &Anomaly) -> Alert {
    let subject = anomaly.subject();
    let since = since(anomaly);
    Alert {
        id: RULE.id(&subject),
        rule: RULE,
        severity: RULE.severity(),
        subject: anomaly.invoice.to_string().into(),
        state: AlertState::Firing,
        since,
        fired_at: since,
        owner_team: "billing".into(),
        action: "the invoice is flagged for billing review, with the context of its order",
        undo: "resolve the alert as reviewed; the flag is taken off",
        manual_route: "compare the invoice in Oracle with the order's estimate in SAP",
        grounds: anomaly.grounds.clone(),
        sentence: anomaly.sentence.clone(),
    }
}
