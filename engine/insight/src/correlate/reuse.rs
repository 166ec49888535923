//! Taking over earlier conclusions about billing when nothing that they rest on has changed.
//!
//! Most facts are about calls, cases and payments; comparing pointers of billing records is far
//! cheaper than correlating them again. Records never change in place, so the same pointer is the
//! same content.

use std::cmp::Ordering;
use std::sync::Arc;

use ontology::{EntityKey, EntityKind};
use smallvec::SmallVec;
use state::{Composite, Entity, Member, PartyTree};

use super::ledger::{Bill, Ledger};
use super::{AnomalyKind, named_account};
use crate::context::Context;
use crate::derived::{Anomaly, Billing, Correlation, Derived};
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

/// Those that explain an invoice, a dispute or a credit note and are none, but for disputes that name the
/// invoice.
const EXPLAINING: [EntityKind; 3] = [EntityKind::InvoiceLine, EntityKind::ServiceOrder, EntityKind::FieldDispatch];

/// Whether what was concluded about billing still holds for the same members and side inputs: same
/// records, same day, and no exchange rate in it.
pub(crate) fn still_holds(before: &Before<'_>, composite: &Composite, context: &Context<'_>) -> bool {
    let trees = before.composite.members.iter().zip(&composite.members);
    !before.derived.billing.depends_on_rates
        && trees.into_iter().all(|(was, is)| {
            is_same_billing(&was.tree, &is.tree, &before.derived.billing) && named_account(was) == named_account(is)
        })
        && is_same_day(before, context)
}

fn is_same_day(before: &Before<'_>, context: &Context<'_>) -> bool {
    let zone = &context.settings.business_tz;
    before.now == context.now || words::civil_date(before.now, zone) == words::civil_date(context.now, zone)
}

/// The correlations of an earlier evaluation, of which those stand whose subject, invoice and anomalies
/// are as they were: orders, visits and whatever else explains them have not changed.
pub(super) struct Earlier<'a> {
    before: &'a Before<'a>,
    composite: &'a Composite,
    /// What is out of the ordinary and was not, or was and is not.
    changed: SmallVec<[&'a Anomaly; 4]>,
    /// Subjects come in one order: those before this place were asked for.
    place: usize,
}

impl<'a> Earlier<'a> {
    /// What an earlier evaluation left for one that has found `anomalies`; none if what explains a bill may
    /// have changed.
    pub(super) fn of(before: &'a Before<'a>, ledger: &Ledger<'a>, anomalies: &'a [Anomaly]) -> Option<Self> {
        let billing = &before.derived.billing;
        let are_disputes_silent = !billing.depends_on_disputes && ledger.disputes.is_empty();
        let explains_alike = |was: &Member, is: &Member| {
            named_account(was) == named_account(is)
                && EXPLAINING.into_iter().all(|kind| was.tree.has_same(&is.tree, kind))
                && (are_disputes_silent || was.tree.has_same(&is.tree, EntityKind::Dispute))
                && has_same_naming_cases(&was.tree, &is.tree)
        };
        let pairs = before.composite.members.iter().zip(&ledger.composite.members);
        let is_alike = !billing.depends_on_rates
            && is_same_day(before, ledger.context)
            && pairs.into_iter().all(|(was, is)| explains_alike(was, is));
        is_alike.then(|| {
            let changed = changed_anomalies(&before.derived.anomalies, anomalies);
            Earlier { before, composite: ledger.composite, changed, place: 0 }
        })
    }

    /// What the evaluation before said of a subject, if it would be said again.
    pub(super) fn take(
        &mut self,
        subject: &Arc<Entity>,
        bill: Option<&Bill<'_>>,
        anomaly: Option<AnomalyKind>,
    ) -> Option<Arc<Correlation>> {
        let known = self.before.derived.correlations.get(self.place..)?;
        let place = known.iter().position(|known| known.anomaly == anomaly && known.subject == subject.key)?;
        self.place += place + 1;
        let known = &known[place];
        let concerns = |changed: &&Anomaly| {
            bill.is_some_and(|bill| bill.entity.key == changed.invoice) || decides_by_order(changed, known)
        };
        let stands =
            !self.changed.iter().any(concerns) && known.grounds.rests_on(subject, bill.map(|bill| bill.entity));
        (stands && self.hangs_as_before(&subject.key)).then(|| known.clone())
    }

    /// Whether a record hangs below the same member as before, so that the same links lead from it.
    fn hangs_as_before(&self, key: &EntityKey) -> bool {
        let member_of = |composite: &'a Composite| composite.member_of(key).map(|member| &member.key);
        self.composite.members.len() == 1 || member_of(self.before.composite) == member_of(self.composite)
    }
}

/// Whether an order that may explain the subject is judged by this, whichever invoice it hangs at.
fn decides_by_order(anomaly: &Anomaly, known: &Correlation) -> bool {
    anomaly.kind == AnomalyKind::EstimateDeviation
        && known.candidates.iter().any(|candidate| Some(&candidate.order) == anomaly.order.as_ref())
}

/// What differs in what is out of the ordinary; both lists are in the order of kind, invoice and order.
fn changed_anomalies<'a>(was: &'a [Anomaly], is: &'a [Anomaly]) -> SmallVec<[&'a Anomaly; 4]> {
    let place = |anomaly: &&'a Anomaly| (anomaly.kind, &anomaly.invoice, &anomaly.order);
    let (mut was, mut is) = (was.iter().peekable(), is.iter().peekable());
    let mut changed = SmallVec::new();
    loop {
        let order = match (was.peek(), is.peek()) {
            (None, None) => return changed,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => place(old).cmp(&place(new)),
        };
        let old = was.next_if(|_| order.is_le());
        let new = is.next_if(|_| order.is_ge());
        if old != new {
            changed.extend(old.or(new));
        }
    }
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
            && has_same_naming_cases(was, is)
}

/// Whether no case that lists what it is about came, went or changed.
fn has_same_naming_cases(was: &PartyTree, is: &PartyTree) -> bool {
    was.has_same(is, EntityKind::Case) || {
        let (was, is) = (was.of_kind(EntityKind::Case), is.of_kind(EntityKind::Case));
        names_only_known(is, was) && names_only_known(was, is)
    }
}

/// Whether every case that stands in `others` differently, or not at all, lists nothing.
fn names_only_known(cases: &[Arc<Entity>], others: &[Arc<Entity>]) -> bool {
    cases.iter().filter(|case| case.lists_related()).all(|case| {
        let known = others.binary_search_by(|other| other.key.cmp(&case.key));
        known.is_ok_and(|place| Arc::ptr_eq(&others[place], case))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::Field;

    use super::*;
    use crate::handoff::testkit::{World, cents, text, time};
    use crate::{evaluate, evaluate_after};

    /// The composite of a world in which nothing is taken away, sharing with the one before what did not
    /// change.
    fn grown(before: &Composite, world: &World) -> Composite {
        let mut next = world.composite();
        for (was, is) in before.members.iter().zip(&mut next.members) {
            let mut tree = (*was.tree).clone();
            let changed = is.tree.entities().filter(|entity| was.tree.get(&entity.key) != Some(entity));
            changed.for_each(|entity| tree.put(entity.clone()));
            is.tree = Arc::new(tree);
        }
        next
    }

    fn invoice(world: &mut World, id: &str, minor: i64, day: &str) {
        world.invoice(id, &[(Field::Amount, cents(minor)), (Field::IssuedAt, time(&format!("{day}T00:00:00Z")))]);
    }

    /// Grows a world step by step and says after each which explanations were taken over. What is concluded
    /// is what an evaluation without a past concludes.
    fn taken_over(mut world: World, steps: &[fn(&mut World)]) -> Vec<Vec<String>> {
        let mut composite = world.composite();
        let mut derived = Arc::new(evaluate(&composite, &world.context()));
        let step = |step: &fn(&mut World)| {
            step(&mut world);
            let next = grown(&composite, &world);
            let before = Before { composite: &composite, derived: &derived, now: world.now };
            let after = evaluate_after(Some(before), &next, &world.context());
            assert_eq!(*after, evaluate(&next, &world.context()));
            let was = derived.correlations.clone();
            let is_known = |one: &&Arc<Correlation>| was.iter().any(|known| Arc::ptr_eq(known, one));
            let taken = after.correlations.iter().filter(is_known).map(|one| one.subject.id.to_string()).collect();
            (composite, derived) = (next, after);
            taken
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn explanations_stand_until_what_explains_them_changes() {
        let mut world = World::empty();
        for (id, day) in [("INV-1", "2025-12-10"), ("INV-2", "2026-01-10"), ("INV-3", "2026-02-10")] {
            invoice(&mut world, id, 10_000, day);
        }
        invoice(&mut world, "INV-4", 14_000, "2026-03-08");
        world.order("SO-1", &[(Field::CompletedAt, time("2026-03-07T23:00:00Z"))]);
        world.dispute("DSP-1", "INV-4", &[]);
        let steps: [fn(&mut World); 7] = [
            |world| invoice(world, "INV-5", 20_000, "2026-03-09"),
            // Earlier than both: what is usual stays for one and not for the other.
            |world| invoice(world, "INV-0", 30_000, "2026-03-08"),
            |world| world.case("SF-1"),
            |world| world.order("SO-2", &[(Field::CompletedAt, time("2026-03-07T22:00:00Z"))]),
            |world| invoice(world, "INV-4", 15_000, "2026-03-08"),
            |world| world.dispute("DSP-2", "INV-5", &[(Field::CaseRef, text("SF-1"))]),
            |world| invoice(world, "INV-6", 10_000, "2026-03-09"),
        ];
        let taken = taken_over(world, &steps);
        let names: Vec<String> = taken.iter().map(|step| step.join(" ")).collect();
        let all = "INV-0 INV-4 INV-5 DSP-1";
        let with_dispute = "INV-0 INV-4 INV-5 DSP-1 DSP-2";
        assert_eq!(names, ["INV-4 DSP-1", "INV-4 DSP-1", all, "", "INV-0", "", with_dispute]);
    }

    #[test]
    fn another_invoice_of_an_order_may_change_what_is_said_of_the_first() {
        let mut world = World::empty();
        let estimate = [(Field::Estimate, cents(10_000)), (Field::Currency, text("USD"))];
        world.order("SO-1", &[&estimate[..], &[(Field::CompletedAt, time("2026-03-01T00:00:00Z"))]].concat());
        let bill = |world: &mut World, id: &str, day: &str| {
            let mut line = ontology::FieldsBuilder::default();
            line.set(Field::ServiceOrderRef, text("SO-1")).set(Field::Amount, cents(10_000));
            let mut lines = ontology::ListBuilder::default();
            lines.push(&line.build());
            let issued = (Field::IssuedAt, time(&format!("{day}T00:00:00Z")));
            world.invoice(id, &[(Field::Lines, lines.value()), (Field::Amount, cents(10_000)), issued]);
        };
        bill(&mut world, "INV-1", "2026-03-02");
        bill(&mut world, "INV-2", "2026-03-03");
        let before = world.composite();
        world.dispute("DSP-1", "INV-1", &[]);
        let (mut composite, now) = (grown(&before, &world), world.now);
        let mut derived = Arc::new(evaluate(&composite, &world.context()));
        // What is billed goes back to the estimate and above it again.
        for status in [ontology::status::InvoiceStatus::Draft, ontology::status::InvoiceStatus::Open] {
            world.put(EntityKind::Invoice, "INV-2", &[(Field::Status, crate::handoff::testkit::word(status))]);
            let next = grown(&composite, &world);
            let earlier = Before { composite: &composite, derived: &derived, now };
            let after = evaluate_after(Some(earlier), &next, &world.context());
            assert_eq!(*after, evaluate(&next, &world.context()));
            assert_ne!(after.correlations, derived.correlations, "the verdict on the dispute turns");
            (composite, derived) = (next, after);
        }
    }
}
