//! What orders say about a charge (spec 7.3).

use ontology::status::ServiceOrderStatus;

use super::candidates::{is_undone, is_visit_unfixed};
use super::ledger::{Bill, Ledger};
use super::subjects::Subject;
use super::{AnomalyKind, Candidate, Signal, Verdict};
use crate::derived::Derived;
use crate::findings::is_blocked;

/// An accepted order counts beside the best one if it scores at most this much less.
const BESIDE_MAX_MICROS: u32 = 50_000;

/// Gives every candidate its verdict, and returns that of the subject.
pub(super) fn judge(
    candidates: &mut [Candidate],
    subject: &Subject<'_>,
    ledger: &Ledger<'_>,
    derived: &Derived,
) -> Verdict {
    for candidate in candidates.iter_mut() {
        candidate.verdict = verdict_of(candidate, subject, ledger, derived);
    }
    let is_doubtful = |bill: &Bill<'_>| is_blocked(bill.entity) || !ledger.orders_elsewhere(bill).is_empty();
    let mut rests_on_blocked = is_blocked(subject.entity) || subject.bill.is_some_and(is_doubtful);
    let mut verdict = Verdict::Uncorrelated;
    if let Some(best) = candidates.first().filter(|candidate| candidate.is_accepted()) {
        verdict = best.verdict;
        let counts = |other: &&Candidate| other.is_accepted() && best.score - other.score <= BESIDE_MAX_MICROS;
        for other in candidates.iter().filter(counts) {
            rests_on_blocked |= ledger.order(&other.order.id).is_some_and(|order| is_blocked(order.entity));
            if other.verdict != verdict {
                verdict = Verdict::NeedsReview;
            }
        }
    }
    if rests_on_blocked { Verdict::NeedsReview } else { verdict }
}

fn verdict_of(candidate: &Candidate, subject: &Subject<'_>, ledger: &Ledger<'_>, derived: &Derived) -> Verdict {
    let Some(order) = ledger.order(&candidate.order.id) else { return Verdict::Uncorrelated };
    let (key, fields) = (&order.entity.key, &order.fields);
    let invoice = subject.bill.map(|bill| &bill.entity.key);
    let of_order = |kind: AnomalyKind| {
        derived.anomalies.iter().filter(move |anomaly| anomaly.kind == kind && anomaly.order.as_ref() == Some(key))
    };
    let is_duplicate = of_order(AnomalyKind::DuplicateCharge).any(|anomaly| Some(&anomaly.invoice) == invoice);
    let is_billed_visit_unfixed = subject.names(&key.id) && is_visit_unfixed(order.entity, ledger);
    let is_contrary = is_undone(fields) || is_duplicate || is_billed_visit_unfixed;
    let is_explained = candidate.factors.iter().any(|(signal, _)| *signal == Signal::TypeExplains);
    let is_completed = fields.status.known() == Some(ServiceOrderStatus::Completed);
    // All invoices of the order make up what deviates; the anomaly hangs at the newest.
    if of_order(AnomalyKind::EstimateDeviation).next().is_some() {
        return Verdict::NeedsReview;
    }
    match (is_completed && is_explained, is_contrary) {
        (true, false) => Verdict::LikelyCorrectCharge,
        (false, true) => Verdict::LikelyError,
        (true, true) | (false, false) => Verdict::NeedsReview,
    }
}
