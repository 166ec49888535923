//! Billing-service correlation rate: for how many disputes the hub found, by itself, the service
//! order behind the charge.

use ontology::{LogPos, Millis};

use super::{Contribution, Kpi, KpiValue, ShareEntry, Target, Unit, Window};
use crate::context::Context;

/// The figure.
pub const KPI: Kpi = Kpi {
    code: "billing_service_correlation_rate",
    title: "Billing-service correlation rate",
    unit: Unit::Micros,
    target: Target::Above(700_000),
    serves: "quality",
};

/// How far back the opening of a dispute counts.
const WINDOW_MS: i64 = 30 * Millis::DAY_MS;

/// The figure over all customers.
#[must_use]
pub fn measure<'a>(
    customers: impl Iterator<Item = &'a Contribution>,
    context: &Context<'_>,
    log_pos: LogPos,
) -> KpiValue {
    let window = Window::trailing(WINDOW_MS, context, log_pos);
    let opened = customers.flat_map(|c| &c.disputes).filter(|dispute| window.holds(dispute.opened_at));
    KPI.share(
        window,
        opened.map(|dispute| ShareEntry {
            record: &dispute.dispute,
            counts: dispute.is_correlated,
            belongs_to: [("category", &dispute.category), ("system", "oracle")],
        }),
    )
}
