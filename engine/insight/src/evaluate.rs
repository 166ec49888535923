//! The one door to everything that is concluded about a customer.

use ontology::Millis;
use state::Composite;

use crate::context::Context;
use crate::derived::Derived;
use crate::{alerts, correlate, findings, reconcile};

/// Concludes what there is to conclude about a customer at `context.now`. A pure function; a
/// customer with nothing to compare costs a look at which kinds of record there are.
#[must_use]
pub fn evaluate(composite: &Composite, context: &Context<'_>) -> Derived {
    evaluate_after(None, composite, context)
}

/// An earlier evaluation of the same customer.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// The customer then.
    pub composite: &'a Composite,
    /// What was concluded.
    pub derived: &'a Derived,
    /// The instant that it was concluded for.
    pub now: Millis,
}

/// The same as [`evaluate`], for less where an earlier evaluation is at hand: what follows from
/// billing records is taken over if none of them has changed.
#[must_use]
pub fn evaluate_after(before: Option<Before<'_>>, composite: &Composite, context: &Context<'_>) -> Derived {
    let mut derived = Derived::default();
    findings::collect(composite, &mut derived);
    match before.filter(|before| correlate::still_holds(before, composite, context)) {
        Some(before) => correlate::take_over(before.derived, &mut derived),
        None => correlate::evaluate(composite, context, &mut derived),
    }
    reconcile::evaluate(composite, context, &mut derived);
    alerts::evaluate(context, &mut derived);
    derived.findings.sort();
    derived.findings.dedup();
    derived
}
