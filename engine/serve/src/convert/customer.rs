//! The composite state of a customer.

use std::collections::BTreeMap;
use std::sync::Arc;

use ontology::entity as read;
use ontology::status::InteractionStatus;
use ontology::{Coded, EntityKind, FieldReader, Millis};
use proto::v1;
use state::{Composite, Entity};

use super::common::{freshness, ratio, source_ref, time};
use super::golden::golden_record;
use super::kept::Lasting;
use super::{derived, records};
use crate::token::position_token;
use crate::view::CustomerView;
use crate::views::Slot;

/// Ended interactions that a state shows at most.
const RECENT_INTERACTIONS_MAX: usize = 20;
/// Ended interactions and payments older than this are left out.
const RECENT_MS: i64 = 90 * Millis::DAY_MS;
/// Finished cases and orders older than this are left out.
const FINISHED_MS: i64 = 30 * Millis::DAY_MS;

/// What the four systems know about a customer, without what is concluded from it and without
/// freshness.
fn composite(composite: &Composite, recency: &mut Recency) -> v1::CustomerState {
    let cases: Vec<&Arc<Entity>> = composite.of_kind(EntityKind::Case).collect();
    let orders: Vec<&Arc<Entity>> = composite.of_kind(EntityKind::ServiceOrder).collect();
    let dispatches = composite
        .of_kind(EntityKind::FieldDispatch)
        .filter(|entity| is_unless(read::FieldDispatch::read(&***entity).status, |status| !status.is_in_flight()));
    let order_is_done = |entity: &Entity| !is_unless(read::ServiceOrder::read(entity).status, |s| !s.is_in_flight());
    let case_is_done = |entity: &Entity| !is_unless(read::Case::read(entity).status, |s| s.is_resolved());
    let recent_cases = recency.newest_first(&cases, FINISHED_MS, |entity| {
        case_is_done(entity).then(|| read::Case::read(entity).resolved_at).flatten()
    });
    let recent_orders = recency.newest_first(&orders, FINISHED_MS, |entity| {
        order_is_done(entity).then(|| read::ServiceOrder::read(entity).completed_at).flatten()
    });
    v1::CustomerState {
        name: format!("customers/{}", composite.id),
        members: members(composite),
        golden_record: golden_record(composite),
        open_cases: cases.iter().filter(|entity| !case_is_done(entity)).map(|entity| records::case(entity)).collect(),
        recent_cases: recent_cases.into_iter().map(|entity| records::case(entity)).collect(),
        billing: Some(billing(composite, recency)),
        interactions: Some(interactions(composite, recency)),
        in_flight_service_orders: orders
            .iter()
            .filter(|entity| !order_is_done(entity))
            .map(|entity| records::service_order(entity))
            .collect(),
        recent_service_orders: recent_orders.into_iter().map(|entity| records::service_order(entity)).collect(),
        in_flight_dispatches: dispatches.map(|entity| records::field_dispatch(entity)).collect(),
        possible_members: composite.possible.iter().map(|possible| source_ref(&possible.key)).collect(),
        ..v1::CustomerState::default()
    }
}

/// Whether a record is in an open set: its status says so, or says nothing we know. Unknown counts
/// as not finished (spec 2).
fn is_unless<S: Copy>(status: Coded<'_, S>, is_finished: impl Fn(S) -> bool) -> bool {
    match status {
        Coded::Known(status) => !is_finished(status),
        Coded::Unknown(_) | Coded::Missing => true,
    }
}

fn members(composite: &Composite) -> Vec<v1::Member> {
    let member = |member: &state::Member| {
        let record = member.tree.get(&member.key);
        let name = record.and_then(|record| record.text(ontology::Field::Name)).unwrap_or_default();
        let newest = record.and_then(|record| record.newest());
        v1::Member {
            r#ref: Some(source_ref(&member.key)),
            name: name.to_owned(),
            link_confidence: ratio(member.confidence),
            version: newest.map(|newest| newest.stamp.version.to_string()).unwrap_or_default(),
        }
    };
    composite.members.iter().map(member).collect()
}

fn billing(composite: &Composite, recency: &mut Recency) -> v1::BillingState {
    let invoices = composite.of_kind(EntityKind::Invoice);
    let disputes = composite.of_kind(EntityKind::Dispute);
    let notes = composite.of_kind(EntityKind::CreditNote);
    let payments: Vec<&Arc<Entity>> = composite.of_kind(EntityKind::Payment).collect();
    let recent = recency.newest_first(&payments, RECENT_MS, |entity| read::Payment::read(entity).received_at);
    v1::BillingState {
        pending_invoices: invoices
            .filter(|entity| is_unless(read::Invoice::read(&***entity).status, |status| !status.is_pending()))
            .map(|entity| records::invoice(entity))
            .collect(),
        active_disputes: disputes
            .filter(|entity| is_unless(read::Dispute::read(&***entity).status, |status| !status.is_active()))
            .map(|entity| records::dispute(entity))
            .collect(),
        pending_credit_notes: notes
            .filter(|entity| is_unless(read::CreditNote::read(&***entity).status, |status| !status.is_pending()))
            .map(|entity| records::credit_note(entity))
            .collect(),
        balances: balances(composite),
        recent_payments: recent.into_iter().map(|entity| records::payment(entity)).collect(),
    }
}

/// AR balances of all members, added up per currency.
fn balances(composite: &Composite) -> Vec<v1::Money> {
    // Scale nine is that of the wire and holds every minor unit.
    const SCALE: u32 = 9;
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for entity in composite.of_kind(EntityKind::ArCustomer) {
        let party = read::Party::read(&**entity);
        let (Some((mantissa, scale)), Some(currency)) = (party.ar_balance, party.currency) else { continue };
        let Some(shift) = SCALE.checked_sub(u32::from(scale)) else { continue };
        *sums.entry(currency).or_default() += i128::from(mantissa) * 10_i128.pow(shift);
    }
    let one = 10_i128.pow(SCALE);
    let money = |(currency, sum): (&str, i128)| {
        let units = i64::try_from(sum / one).ok()?;
        let nanos = i32::try_from(sum % one).ok()?;
        Some(v1::Money { currency_code: currency.to_owned(), units, nanos })
    };
    sums.into_iter().filter_map(money).collect()
}

fn interactions(composite: &Composite, recency: &mut Recency) -> v1::InteractionState {
    let all: Vec<&Arc<Entity>> = composite.of_kind(EntityKind::Interaction).collect();
    let is_active = |entity: &Entity| {
        is_unless(read::Interaction::read(entity).status, |status| status == InteractionStatus::Ended)
    };
    let mut recent = recency.newest_first(&all, RECENT_MS, |entity| {
        let ended_at = read::Interaction::read(entity).ended_at;
        ended_at.filter(|_| !is_active(entity))
    });
    recent.truncate(RECENT_INTERACTIONS_MAX);
    v1::InteractionState {
        active: all.iter().filter(|entity| is_active(entity)).map(|entity| records::interaction(entity)).collect(),
        recent: recent.into_iter().map(|entity| records::interaction(entity)).collect(),
    }
}

/// What is recent at an instant, and until when the same is.
struct Recency {
    now: Millis,
    /// The last instant at which nothing found so far is too old.
    until: Millis,
}

impl Recency {
    fn at(now: Millis) -> Self {
        Recency { now, until: Millis::MAX }
    }

    /// Records whose time lies at most `span_ms` back, newest first, then by key.
    fn newest_first<'a>(
        &mut self,
        records: &[&'a Arc<Entity>],
        span_ms: i64,
        at: impl Fn(&Entity) -> Option<Millis>,
    ) -> Vec<&'a Arc<Entity>> {
        let from = self.now - span_ms;
        let dated = records.iter().filter_map(|record| Some((at(record).filter(|at| *at >= from)?, *record)));
        let mut dated: Vec<(Millis, &Arc<Entity>)> = dated.collect();
        dated.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.key.cmp(&right.key)));
        if let Some((oldest, _)) = dated.last() {
            self.until = self.until.min(*oldest + span_ms);
        }
        dated.into_iter().map(|(_, record)| record).collect()
    }
}

/// Top-level fields that a change can touch, with the kinds of records below them; a path's place
/// is its bit.
const PATHS: &[(&str, &[EntityKind])] = &[
    ("members", &EntityKind::PARTIES),
    ("golden_record", &EntityKind::PARTIES),
    ("open_cases", &[EntityKind::Case]),
    ("billing", &[EntityKind::Invoice, EntityKind::Dispute, EntityKind::CreditNote, EntityKind::Payment]),
    ("interactions", &[EntityKind::Interaction]),
    ("in_flight_service_orders", &[EntityKind::ServiceOrder]),
    ("in_flight_dispatches", &[EntityKind::FieldDispatch]),
];

/// Fields that rest on what is concluded; they are named together, because a conclusion is replaced
/// as a whole.
const DERIVED_PATHS: &[&str] = &["open_discrepancies", "open_alerts", "correlations"];

/// Which fields differ between two states of a customer, by bit. Records are shared between states
/// as long as they do not change, so comparing their addresses is enough.
#[must_use]
pub fn changed_paths(before: &CustomerView, after: &CustomerView) -> u32 {
    let derived_differs = !Arc::ptr_eq(&before.derived, &after.derived);
    let (before, after) = (&before.composite.members, &after.composite.members);
    let pairs = || before.iter().zip(after);
    let mut paths = 0;
    if before.len() != after.len() || pairs().any(|(old, new)| old.key != new.key) {
        paths = (1 << PATHS.len()) - 1;
    }
    for (old, new) in pairs().filter(|(old, new)| !Arc::ptr_eq(&old.tree, &new.tree)) {
        paths |= old.tree.differing(&new.tree).map(paths_of).fold(0, |all, kind| all | kind);
    }
    if derived_differs {
        paths |= DERIVED_PATHS.iter().enumerate().map(|(place, _)| 1 << (PATHS.len() + place)).sum::<u32>();
    }
    paths
}

/// The fields below which records of a kind stand, by bit.
fn paths_of(kind: EntityKind) -> u32 {
    let below = PATHS.iter().enumerate().filter(|(_, (_, kinds))| kinds.contains(&kind));
    below.map(|(bit, _)| 1 << bit).sum()
}

/// The names of the fields in `paths`.
#[must_use]
pub fn path_names(paths: u32) -> Vec<String> {
    let names = PATHS.iter().map(|(name, _)| *name).chain(DERIVED_PATHS.iter().copied());
    let named = names.enumerate().filter(|(bit, _)| paths & (1 << bit) != 0);
    named.map(|(_, name)| name.to_owned()).collect()
}

/// The whole state: what the systems know and what is concluded, as it can be read. `now` is the
/// time of the answer: freshness and what counts as recent depend on it.
#[must_use]
pub fn state(slot: &Slot<CustomerView>, known: &state::Freshness, now: Millis) -> v1::CustomerState {
    v1::CustomerState { freshness: freshness(known, now), ..lasting(slot, now).state }
}

/// As [`state()`], but what lasts is kept with the view for the next answer.
#[must_use]
pub fn kept_state(slot: &Slot<CustomerView>, known: &state::Freshness, now: Millis) -> v1::CustomerState {
    let lasting = slot.kept.at(now, || lasting(slot, now));
    v1::CustomerState { freshness: freshness(known, now), ..lasting.state.clone() }
}

/// The state without freshness, which differs from answer to answer.
fn lasting(slot: &Slot<CustomerView>, now: Millis) -> Lasting {
    let view = &slot.view;
    let mut recency = Recency::at(now);
    let mut open_discrepancies = derived::discrepancies(view);
    open_discrepancies
        .retain(|it| is_one_of(it.state(), &[v1::DiscrepancyState::Open, v1::DiscrepancyState::Acknowledged]));
    let mut open_alerts = derived::alerts(view);
    open_alerts.retain(|it| is_one_of(it.state(), &[v1::AlertState::Firing, v1::AlertState::Acknowledged]));
    let mut correlations = derived::correlations(view);
    correlations.retain(|it| it.state() == v1::CorrelationState::Accepted);
    let state = v1::CustomerState {
        version: slot.version,
        position: position_token(slot.changed_at.position),
        publish_time: time(view.evaluated_at),
        open_discrepancies,
        open_alerts,
        correlations,
        ..composite(&view.composite, &mut recency)
    };
    Lasting { state, from: now, until: recency.until }
}

fn is_one_of<S: PartialEq>(state: S, states: &[S]) -> bool {
    states.contains(&state)
}

#[cfg(test)]
#[path = "customer_tests.rs"]
mod tests;
