//! What is concluded about a customer.

use proto::v1;

use crate::view::CustomerView;

/// Discrepancies of a customer.
#[must_use]
pub fn discrepancies(view: &CustomerView) -> Vec<v1::Discrepancy> {
    view.discrepancies.clone()
}

/// Alerts of a customer.
#[must_use]
pub fn alerts(view: &CustomerView) -> Vec<v1::Alert> {
    view.alerts.clone()
}

/// Correlations of a customer.
#[must_use]
pub fn correlations(view: &CustomerView) -> Vec<v1::Correlation> {
    view.correlations.clone()
}

/// Handoffs of a customer with one version of each package; 0 is the latest.
#[must_use]
pub fn handoffs(view: &CustomerView, version: u32) -> Vec<v1::Handoff> {
    let _ = version;
    view.handoffs.clone()
}
