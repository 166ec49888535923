//! The one door to everything that is concluded about a customer.

use std::sync::Arc;

use ontology::Millis;
use state::Composite;

use crate::context::Context;
use crate::derived::Derived;
use crate::{alerts, correlate, reconcile};

/// Concludes what there is to conclude about a customer at `context.now`. A pure function; a
/// customer with nothing to compare costs a look at which kinds of record there are.
#[must_use]
pub fn evaluate(composite: &Composite, context: &Context<'_>) -> Derived {
    conclude(None, None, composite, context)
}

/// An earlier evaluation of the same customer.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// The customer then.
    pub composite: &'a Composite,
    /// What was concluded.
    pub derived: &'a Arc<Derived>,
    /// The instant that it was concluded for.
    pub now: Millis,
}

impl Before<'_> {
    /// Whether the customer has the same records of one kind as then.
    pub(crate) fn has_same(&self, composite: &Composite, kind: ontology::EntityKind) -> bool {
        let pairs = self.composite.members.iter().zip(&composite.members);
        pairs.into_iter().all(|(was, is)| was.tree.has_same(&is.tree, kind))
    }

    /// Whether what was concluded then can say anything about now: the same members by the same
    /// links, the same orders of others, and the same side inputs.
    fn is_comparable(&self, composite: &Composite, context: &Context<'_>) -> bool {
        self.derived.reference_revision == context.reference.revision
            && self.composite.elsewhere == composite.elsewhere
            && self.composite.members.len() == composite.members.len()
            && self.composite.members.iter().zip(&composite.members).all(|(was, is)| was.is_same_link(is))
    }
}

/// The same as [`evaluate`], for less where an earlier evaluation is at hand. An answer that says what
/// the earlier one says is the earlier one, the same object. Most facts are about calls and payments,
/// which nothing here is concluded from: then it is not even concluded. What follows from billing
/// records is taken over if none of them has changed.
#[must_use]
pub fn evaluate_after(before: Option<Before<'_>>, composite: &Composite, context: &Context<'_>) -> Arc<Derived> {
    let before = before.filter(|before| before.is_comparable(composite, context));
    let billing = before.filter(|before| correlate::still_holds(before, composite, context));
    if let Some(before) = billing.filter(|before| reconcile::still_holds(before, composite, context)) {
        return before.derived.clone();
    }
    let derived = conclude(before, billing, composite, context);
    match before.filter(|before| **before.derived == derived) {
        Some(before) => before.derived.clone(),
        None => Arc::new(derived),
    }
}

/// Concludes, with what stands of a comparable evaluation `before`: all that follows from billing records
/// where `billing` holds it.
fn conclude(
    before: Option<Before<'_>>,
    billing: Option<Before<'_>>,
    composite: &Composite,
    context: &Context<'_>,
) -> Derived {
    let mut derived = Derived { reference_revision: context.reference.revision, ..Derived::default() };
    match billing {
        Some(before) => correlate::take_over(before.derived, &mut derived),
        None => correlate::evaluate(before.as_ref(), composite, context, &mut derived),
    }
    reconcile::evaluate(composite, context, &mut derived);
    alerts::evaluate(context, &mut derived);
    derived.findings.sort();
    derived.findings.dedup();
    derived
}
