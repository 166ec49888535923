//! Handoff context completeness: how many transfers went out with everything the receiver needs.
//! Judged by the package at release; what comes later does not mend it.

use ontology::{LogPos, Millis};

use super::{Contribution, Kpi, KpiValue, ShareEntry, Target, Unit, Window};
use crate::context::Context;

/// The figure.
pub const KPI: Kpi = Kpi {
    code: "handoff_context_completeness",
    title: "Handoff context completeness",
    unit: Unit::Micros,
    target: Target::Above(950_000),
    serves: "quality",
};

/// How far back releases count.
const WINDOW_MS: i64 = 30 * Millis::DAY_MS;

/// The figure over all customers.
#[must_use]
pub fn measure<'a>(
    customers: impl Iterator<Item = &'a Contribution>,
    context: &Context<'_>,
    log_pos: LogPos,
) -> KpiValue {
    let window = Window::trailing(WINDOW_MS, context, log_pos);
    let released = customers.flat_map(|c| &c.handoffs).filter(|handoff| window.holds(handoff.released_at));
    KPI.share(
        window,
        released.map(|handoff| ShareEntry {
            record: &handoff.transfer,
            counts: handoff.is_complete,
            belongs_to: [("team", &handoff.team), ("category", &handoff.category)],
        }),
    )
}
