//! Taking over earlier conclusions about billing when nothing that they rest on has changed.
//!
//! Most facts are about calls, cases and payments; comparing pointers of billing records is far
//! cheaper than correlating them again. Records never change in place, so the same pointer is the
//! same content.

use std::sync::Arc;

use ontology::{EntityKind, Field, FieldReader};
use state::{Composite, Entity, PartyTree};

use crate::context::Context;
use crate::derived::{Billing, Derived};
use crate::evaluate::Before;
use crate::words;

/// The kinds that conclusions about billing are drawn from, besides cases that list what they are
/// about.
pub const KINDS: [EntityKind; 6] = [
    EntityKind::Invoice,
    EntityKind::InvoiceLine,
    EntityKind::Dispute,
    EntityKind::CreditNote,
    EntityKind::ServiceOrder,
    EntityKind::FieldDispatch,
];

/// Those of them that explain others and are no subjects themselves.
pub(crate) const ORDERS: [EntityKind; 2] = [EntityKind::ServiceOrder, EntityKind::FieldDispatch];

/// Whether what was concluded about billing still holds for the same members and side inputs: same
/// records, same day, and no exchange rate in it.
pub(crate) fn still_holds(before: &Before<'_>, composite: &Composite, context: &Context<'_>) -> bool {
    let zone = &context.settings.business_tz;
    let trees = before.composite.members.iter().zip(&composite.members);
    !before.derived.billing.depends_on_rates
        && trees.into_iter().all(|(was, is)| is_same_billing(&was.tree, &is.tree, &before.derived.billing))
        && (before.now == context.now || words::civil_date(before.now, zone) == words::civil_date(context.now, zone))
}

/// Takes over what was concluded.
pub(crate) fn take_over(before: &Derived, derived: &mut Derived) {
    derived.anomalies = before.anomalies.clone();
    derived.correlations = before.correlations.clone();
    derived.billing = before.billing.clone();
    if let Some(at) = before.billing.wake_at {
        derived.wake(at);
    }
}

/// Whether two states of a tree hold the very same records of all [`KINDS`].
#[must_use]
pub fn has_same_kinds(was: &PartyTree, is: &PartyTree) -> bool {
    KINDS.into_iter().all(|kind| was.has_same(is, kind))
}

fn is_same_billing(was: &Arc<PartyTree>, is: &Arc<PartyTree>, billing: &Billing) -> bool {
    let counts = |kind| billing.depends_on_orders || !ORDERS.contains(&kind);
    Arc::ptr_eq(was, is)
        || KINDS.into_iter().filter(|kind| counts(*kind)).all(|kind| was.has_same(is, kind))
            && (was.has_same(is, EntityKind::Case)
                || has_same_naming_cases(was.of_kind(EntityKind::Case), is.of_kind(EntityKind::Case)))
}

/// Whether no case that lists what it is about came, went or changed.
fn has_same_naming_cases(was: &[Arc<Entity>], is: &[Arc<Entity>]) -> bool {
    names_only_known(is, was) && names_only_known(was, is)
}

/// Whether every case that stands in `others` differently, or not at all, lists nothing.
fn names_only_known(cases: &[Arc<Entity>], others: &[Arc<Entity>]) -> bool {
    cases.iter().all(|case| {
        let known = others.binary_search_by(|other| other.key.cmp(&case.key));
        known.is_ok_and(|place| Arc::ptr_eq(&others[place], case))
            || case.get(Field::RelatedRefs).items().next().is_none()
    })
}
