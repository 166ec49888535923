//! What speaks for an order as the cause of a billing event (spec 7.2).

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
    // Only the invoice names orders, or has a day that one may be near.
    if subject.bill.is_none() {
        return Vec::new();
    }
    let mut candidates: Vec<Candidate> =
        ledger.orders.iter().filter_map(|order| score(order, subject, ledger)).collect();
    let distance = |candidate: &Candidate| candidate.gap_days.map_or(i32::MAX, i32::saturating_abs);
    candidates
        .sort_by(|a, b| b.score.cmp(&a.score).then(distance(a).cmp(&distance(b))).then_with(|| a.order.cmp(&b.order)));
    candidates
}

fn score(order: &Order<'_>, subject: &Subject<'_>, ledger: &Ledger<'_>) -> Option<Candidate> {
    let is_explicit = subject.names(order.id());
    // Calendar days from the order's date to the invoice's.
    let gap_days = order.day.zip(subject.billed_on).map(|(effective, billed)| words::days_between(effective, billed));
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
    // The link takes off what it is in doubt, and adds nothing.
    if combine(&weights, 1_000_000) < SUGGESTED_MIN {
        return None;
    }
    let link_confidence = ledger.link_confidence(&subject.entity.key, &order.entity.key);
    let score = combine(&weights, link_confidence);
    (score >= SUGGESTED_MIN).then(|| Candidate {
        order: order.entity.key.clone(),
        score,
        factors: weights.iter().map(|(signal, weight)| (*signal, micros(*weight))).collect(),
        gap_days: gap_days.and_then(|days| i32::try_from(days).ok()),
        verdict: Verdict::Uncorrelated,
        link_confidence,
    })
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
