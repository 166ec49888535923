//! What speaks for an order as the cause of a billing event (spec 7.2).

use std::cmp::Ordering;

use ontology::entity::ServiceOrder;
use ontology::status::{DispatchOutcome, ServiceOrderStatus, ServiceOrderType};
use ontology::{EntityKind, Field, FieldReader, Money};
use smallvec::SmallVec;
use state::Entity;
use state::composite::Micros;

use super::ledger::{Ledger, Order};
use super::subjects::{Direction, Subject};
use super::{Candidate, SUGGESTED_MIN, Signal, Verdict};
use crate::words;

/// An order may take effect this many days before the invoice.
const BEFORE_MAX_DAYS: i64 = 45;
/// An order may take effect this many days after the invoice.
const AFTER_MAX_DAYS: i64 = 5;

/// The orders that score high enough to be shown, best first; ties by nearness, then by id. Their
/// verdicts are still to be given.
pub(super) fn rank(subject: &Subject<'_>, ledger: &Ledger<'_>) -> Vec<Candidate> {
    let scored = |order: &Order<'_>| {
        let weighed = Weighed::of(order, subject, ledger)?;
        // The link takes off what it is in doubt, and adds nothing.
        if combine(&weighed.weights, 1_000_000) < SUGGESTED_MIN {
            return None;
        }
        Some(weighed.candidate(subject, ledger)).filter(|candidate| candidate.score >= SUGGESTED_MIN)
    };
    let mut candidates: Vec<Candidate> = ordered(subject, ledger).filter_map(scored).collect();
    candidates.sort_by(better_first);
    candidates
}

/// The orders that were weighed and score too little to be shown, in the same order.
pub(super) fn rejected(subject: &Subject<'_>, ledger: &Ledger<'_>) -> Vec<Candidate> {
    let weighed = ordered(subject, ledger).filter_map(|order| Weighed::of(order, subject, ledger));
    let scored = weighed.map(|weighed| weighed.candidate(subject, ledger));
    let mut rejected: Vec<Candidate> = scored.filter(|candidate| candidate.score < SUGGESTED_MIN).collect();
    rejected.sort_by(better_first);
    rejected
}

/// The orders that may be weighed. Only the invoice names orders, or has a day that one may be near.
fn ordered<'a>(subject: &Subject<'_>, ledger: &'a Ledger<'_>) -> impl Iterator<Item = &'a Order<'a>> {
    let orders = if subject.bill.is_some() { &ledger.orders[..] } else { &[] };
    orders.iter()
}

fn better_first(a: &Candidate, b: &Candidate) -> Ordering {
    let distance = |candidate: &Candidate| candidate.gap_days.map_or(i32::MAX, i32::saturating_abs);
    b.score.cmp(&a.score).then(distance(a).cmp(&distance(b))).then_with(|| a.order.cmp(&b.order))
}

/// An order with what speaks for it.
struct Weighed<'a> {
    order: &'a Order<'a>,
    gap_days: Option<i64>,
    weights: SmallVec<[(Signal, f64); 4]>,
}

impl<'a> Weighed<'a> {
    /// Weighs an order that the invoice names or that took effect near it; no other may explain it.
    fn of(order: &'a Order<'a>, subject: &Subject<'_>, ledger: &Ledger<'_>) -> Option<Self> {
        let is_explicit = subject.names(order.id());
        // Calendar days from the order's date to the invoice's.
        let gap_days =
            order.day.zip(subject.billed_on).map(|(effective, billed)| words::days_between(effective, billed));
        let is_near = gap_days.is_some_and(|days| (-AFTER_MAX_DAYS..=BEFORE_MAX_DAYS).contains(&days));
        if !is_explicit && !is_near {
            return None;
        }
        let mut weights: SmallVec<[(Signal, f64); 4]> = SmallVec::new();
        if is_explicit {
            weights.push((Signal::ExplicitReference, 0.95));
        }
        if subject.shares_case(order.entity) {
            weights.push((Signal::BridgedByCase, 0.60));
        }
        if !is_explicit && order.fields.asset_id.is_some_and(|asset| is_billed_asset(asset, subject, ledger)) {
            weights.push((Signal::SameAsset, 0.60));
        }
        if explains(order, subject, ledger) {
            weights.push((Signal::TypeExplains, 0.60));
        }
        weights.extend(amount_weight(order, subject, ledger));
        if let Some(days) = gap_days {
            let nearness = 0.40 * (1.0 - small(days.abs()) / small(BEFORE_MAX_DAYS)).max(0.0);
            weights.push((Signal::Nearness, nearness));
        }
        Some(Weighed { order, gap_days, weights })
    }

    fn candidate(self, subject: &Subject<'_>, ledger: &Ledger<'_>) -> Candidate {
        let link_confidence = ledger.link_confidence(&subject.entity.key, &self.order.entity.key);
        Candidate {
            order: self.order.entity.key.clone(),
            score: combine(&self.weights, link_confidence),
            factors: self.weights.iter().map(|(signal, weight)| (*signal, micros(*weight))).collect(),
            gap_days: self.gap_days.and_then(|days| i32::try_from(days).ok()),
            verdict: Verdict::Uncorrelated,
            link_confidence,
        }
    }
}

/// `(1 - product of (1 - weight)) x link confidence`, multiplied in the order of the signals.
fn combine(weights: &[(Signal, f64)], link_confidence: Micros) -> Micros {
    let doubt = weights.iter().fold(1.0, |doubt, (_, weight)| doubt * (1.0 - weight));
    micros((1.0 - doubt) * (f64::from(link_confidence) / 1e6))
}

/// A share in [0, 1] in millionths, rounded half to even.
fn micros(share: f64) -> Micros {
    (share * 1e6).round_ties_even().clamp(0.0, 1e6) as Micros
}

/// A number of days as a factor; those that matter are at most 45.
fn small(days: i64) -> f64 {
    f64::from(i32::try_from(days).unwrap_or(i32::MAX))
}

/// Whether the invoice bills for work on this equipment under another order.
fn is_billed_asset(asset: &str, subject: &Subject<'_>, ledger: &Ledger<'_>) -> bool {
    let mut named = subject.named_orders().filter_map(|id| ledger.order(id));
    named.any(|order| order.fields.asset_id == Some(asset))
}

/// Whether work like this makes bills go that way, or, if the customer says that nothing was
/// delivered, whether that is so.
fn explains(order: &Order<'_>, subject: &Subject<'_>, ledger: &Ledger<'_>) -> bool {
    let fields = &order.fields;
    match subject.direction {
        Direction::Undelivered => is_undone(fields) || is_visit_unfixed(order.entity, ledger),
        Direction::Up => fields.type_name.known().is_some_and(|word| raises(word, fields.billable == Some(true))),
        Direction::Down => fields.type_name.known().is_some_and(lowers),
    }
}

/// Whether the order ended without the work done.
pub(super) fn is_undone(order: &ServiceOrder<'_>) -> bool {
    matches!(order.status.known(), Some(ServiceOrderStatus::Cancelled | ServiceOrderStatus::Failed))
}

/// Whether a visit for the order ended without the fault fixed.
pub(super) fn is_visit_unfixed(order: &Entity, ledger: &Ledger<'_>) -> bool {
    let dispatches = ledger.composite.of_kind(EntityKind::FieldDispatch);
    let mut outcomes = dispatches
        .filter(|dispatch| dispatch.text(Field::ServiceOrderRef) == Some(order.key.id.as_str()))
        .filter_map(|dispatch| dispatch.coded::<DispatchOutcome>(Field::Outcome).known());
    outcomes.any(|outcome| matches!(outcome, DispatchOutcome::NotFixed | DispatchOutcome::NoAccess))
}

fn raises(order_type: ServiceOrderType, is_billable: bool) -> bool {
    match order_type {
        ServiceOrderType::Install
        | ServiceOrderType::PlanUpgrade
        | ServiceOrderType::Relocation
        | ServiceOrderType::Replacement => true,
        ServiceOrderType::Repair => is_billable,
        ServiceOrderType::PlanDowngrade
        | ServiceOrderType::Maintenance
        | ServiceOrderType::Disconnect
        | ServiceOrderType::Other => false,
    }
}

fn lowers(order_type: ServiceOrderType) -> bool {
    match order_type {
        ServiceOrderType::PlanDowngrade | ServiceOrderType::Disconnect => true,
        ServiceOrderType::Install
        | ServiceOrderType::PlanUpgrade
        | ServiceOrderType::Repair
        | ServiceOrderType::Replacement
        | ServiceOrderType::Relocation
        | ServiceOrderType::Maintenance
        | ServiceOrderType::Other => false,
    }
}

/// Weight of the amount against the order's estimate: of its own lines if it has some, else of what
/// is out of the ordinary.
fn amount_weight(order: &Order<'_>, subject: &Subject<'_>, ledger: &Ledger<'_>) -> Option<(Signal, f64)> {
    let estimate = order.estimate.filter(|estimate| estimate.minor > 0)?;
    let bill = subject.bill?;
    let own = bill.lines_for(order.id()).try_fold(None, |sum: Option<i64>, line| {
        let converted = ledger.convert(line.amount, estimate.currency, bill)?;
        Some(Some(sum.unwrap_or(0).saturating_add(converted.minor)))
    })?;
    let amount = match own {
        Some(minor) => Money::new(minor, estimate.currency),
        None => ledger.convert(subject.amount?, estimate.currency, bill)?,
    };
    let gap = (i128::from(amount.minor) - i128::from(estimate.minor)).abs();
    if gap * 20 <= i128::from(estimate.minor) {
        Some((Signal::AmountWithin5Percent, 0.50))
    } else if gap * 5 <= i128::from(estimate.minor) {
        Some((Signal::AmountWithin20Percent, 0.30))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::Vocabulary as _;

    use super::*;
    use crate::correlate;
    use crate::evaluate;
    use crate::handoff::testkit::{World, cents, text, time, word};

    /// A spike of 10 March after three usual months, and orders of the customer by their date and type.
    fn world(orders: &[(&str, &str, ServiceOrderType)]) -> World {
        let mut world = World::empty();
        for (id, minor, at) in [
            ("INV-1", 10_000, "2025-12-10T00:00:00Z"),
            ("INV-2", 10_000, "2026-01-10T00:00:00Z"),
            ("INV-3", 10_000, "2026-02-10T00:00:00Z"),
            ("INV-4", 14_000, "2026-03-10T14:00:00Z"),
        ] {
            world.invoice(id, &[(Field::Amount, cents(minor)), (Field::IssuedAt, time(at))]);
        }
        for (id, at, order_type) in orders {
            world.order(id, &[(Field::CompletedAt, time(at)), (Field::Type, word(*order_type))]);
        }
        world
    }

    /// The orders that were rejected for the spike, each with its factors and why.
    fn check(world: &World, expected: &[(&str, u32, &str, &str)]) {
        let (composite, context) = (world.composite(), world.context());
        let derived = evaluate(&composite, &context);
        let of_spike = |found: &&std::sync::Arc<crate::derived::Correlation>| found.subject.id == "INV-4";
        let correlation = derived.correlations.iter().find(of_spike).unwrap();
        let rejected = correlate::rejected(correlation, &derived, &composite, &context);
        for candidate in &rejected {
            assert!(correlation.candidates.iter().all(|shown| shown.order != candidate.order), "{candidate:?}");
        }
        let factors = |candidate: &Candidate| {
            let named = candidate.factors.iter().map(|(signal, weight)| format!("{} {weight}", signal.name()));
            named.collect::<Vec<_>>().join(", ")
        };
        let told: Vec<_> =
            rejected.iter().map(|it| (it.order.id.to_string(), it.score, factors(it), it.why_not().unwrap())).collect();
        let expected: Vec<_> =
            expected.iter().map(|it| (it.0.to_owned(), it.1, it.2.to_owned(), it.3.to_owned())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn orders_near_the_invoice_that_score_less_are_told_best_first() {
        let orders = [
            ("SO-UP", "2026-03-07T23:00:00Z", ServiceOrderType::PlanUpgrade),
            ("SO-FAR", "2026-01-24T00:00:00Z", ServiceOrderType::Maintenance),
            ("SO-NEAR", "2026-03-10T00:00:00Z", ServiceOrderType::Maintenance),
            ("SO-BEFORE", "2026-01-23T00:00:00Z", ServiceOrderType::Maintenance),
            ("SO-AFTER", "2026-03-16T00:00:00Z", ServiceOrderType::PlanUpgrade),
        ];
        let less = |score: &str| format!("scores {score}, with a link of 0.9900: below 0.50 it is not shown");
        check(
            &world(&orders),
            &[("SO-NEAR", 396_000, "nearness 400000", &less("0.3960")), ("SO-FAR", 0, "nearness 0", &less("0.0000"))],
        );
    }

    #[test]
    fn without_orders_nothing_is_rejected() {
        check(&world(&[]), &[]);
    }

    #[test]
    fn an_order_of_half_the_weight_is_shown_and_one_that_the_link_takes_below_is_rejected() {
        // Within 5 % of the estimate by what is too much.
        let estimated = |at: &str| {
            let mut world = world(&[]);
            let of_order = [
                (Field::CompletedAt, time(at)),
                (Field::Type, word(ServiceOrderType::Maintenance)),
                (Field::Estimate, cents(4_000)),
                (Field::Currency, text("USD")),
            ];
            world.order("SO-1", &of_order);
            world
        };
        let near = estimated("2026-02-05T00:00:00Z");
        let (composite, context) = (near.composite(), near.context());
        let derived = evaluate(&composite, &context);
        let spike = derived.correlations.iter().find(|found| found.subject.id == "INV-4").unwrap();
        let shown: Vec<_> = spike.candidates.iter().map(|it| (it.score >= SUGGESTED_MIN, it.is_accepted())).collect();
        assert_eq!(shown, [(true, false)]);
        assert!(spike.candidates[0].why_not().unwrap().ends_with("below 0.70 it is a suggestion and does not count"));
        assert_eq!(correlate::rejected(spike, &derived, &composite, &context), []);
        // 45 days before, only the amount speaks: half, less what the link is in doubt.
        let far = estimated("2026-01-24T00:00:00Z");
        let why = "scores 0.4950, with a link of 0.9900: below 0.50 it is not shown";
        check(&far, &[("SO-1", 495_000, "amount_within_5_percent 500000, nearness 0", why)]);
    }
}
