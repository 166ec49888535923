//! What waits on a review item (spec 4.5): work that would be other work if the pair were one customer.

use std::cmp::{Ordering, Reverse};

use insight::handoff::{Missing, SectionName, SectionStatus};
use ontology::{EntityKey, EntityKind, System};
use proto::v1::ReviewItem;

use crate::view::CustomerView;
use crate::views::Published;

/// Resource names of what waits on the pair of two records: handoffs that lack a section because the other
/// record is in review, discrepancies that somebody still has to act on, and billing records that nothing
/// explains where the other side has service orders.
pub(super) fn on(published: &Published<CustomerView>, left: &EntityKey, right: &EntityKey) -> Vec<String> {
    let slot = |key| published.customer_of(key).and_then(|id| published.slot(&id));
    let (one, other) = (slot(left), slot(right));
    let sides = [(&one, &other, right), (&other, &one, left)];
    let sides = sides.iter().filter_map(|(own, other, key)| Some((&own.as_ref()?.view, other.as_ref(), *key)));
    let (mut handoffs, mut discrepancies, mut correlations) = (Vec::new(), Vec::new(), Vec::new());
    for (view, other, candidate) in sides {
        handoffs.extend(handoffs_lacking(view, candidate));
        let open = view.derived.discrepancies.iter().filter(|it| it.is_open());
        discrepancies.extend(open.map(|it| format!("discrepancies/{}", it.id)));
        if other.is_some_and(|other| other.view.composite.of_kind(EntityKind::ServiceOrder).next().is_some()) {
            let unexplained = view.derived.correlations.iter().filter(|it| !it.is_accepted());
            correlations.extend(unexplained.map(|it| format!("correlations/{}", it.id)));
        }
    }
    let mut waiting = Vec::new();
    for mut names in [handoffs, discrepancies, correlations] {
        names.sort_unstable();
        names.dedup();
        waiting.append(&mut names);
    }
    waiting
}

/// Most waiting work first, then the oldest, then by name.
pub(super) fn by_urgency(a: &ReviewItem, b: &ReviewItem) -> Ordering {
    let opened = |item: &ReviewItem| item.open_time.map(|at| (at.seconds, at.nanos));
    let rank = |item: &ReviewItem| (Reverse(item.waiting_work_count), opened(item));
    rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
}

/// Handoffs of a customer that are not closed and lack a section that `candidate` may fill.
fn handoffs_lacking(view: &CustomerView, candidate: &EntityKey) -> impl Iterator<Item = String> {
    let of = candidate.kind.party_system();
    let now = view.evaluated_at;
    let waits = move |transfer: &&pipeline::TransferView| {
        let is_followed = transfer.memory.is_unreleased() || transfer.memory.lacks_context(now);
        is_followed
            && transfer.assessment.package.sections.iter().any(|section| {
                section.status == SectionStatus::Unavailable(Missing::IdentityInReview)
                    && system_of(section.name).is_none_or(|system| of == Some(system))
            })
    };
    view.transfers.iter().filter(waits).map(|transfer| format!("handoffs/{}", transfer.key.id))
}

/// The system that fills a section; none if several do.
fn system_of(section: SectionName) -> Option<System> {
    match section {
        SectionName::Billing => Some(System::Oracle),
        SectionName::Interaction => Some(System::Wxcc),
        SectionName::Service => Some(System::Sap),
        SectionName::Case
        | SectionName::Identity
        | SectionName::Sla
        | SectionName::Discrepancies
        | SectionName::Correlations
        | SectionName::Knowledge => None,
    }
}
