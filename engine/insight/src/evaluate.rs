//! The one door to everything that is concluded about a customer.

use state::Composite;

use crate::context::Context;
use crate::derived::Derived;
use crate::{alerts, correlate, findings, reconcile};

/// Concludes what there is to conclude about a customer at `context.now`. A pure function; a
/// customer with nothing to compare costs a look at which kinds of record there are.
#[must_use]
pub fn evaluate(composite: &Composite, context: &Context<'_>) -> Derived {
    let mut derived = Derived::default();
    findings::collect(composite, &mut derived);
    correlate::evaluate(composite, context, &mut derived);
    reconcile::evaluate(composite, context, &mut derived);
    alerts::evaluate(context, &mut derived);
    derived.findings.sort();
    derived.findings.dedup();
    derived
}
