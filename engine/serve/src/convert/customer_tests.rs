#![allow(clippy::unwrap_used)]
use ontology::{CustomerId, EntityKey, Fact, Field, FieldsBuilder, LogPos, Op, System, ValueRef, Version};
use state::{Freshness, Member, PartyTree};

use super::*;
use crate::watch::Stamp;

const T: Millis = Millis(1_773_154_800_000);

fn entity(key: &EntityKey, mut fields: FieldsBuilder) -> Arc<Entity> {
    let fact = Fact {
        event_id: format!("e-{key}").into(),
        system: System::Oracle,
        object: "object".into(),
        record_id: key.id.clone(),
        entity: key.clone(),
        op: Op::Image,
        version: Version::new(1, 0, 0),
        changed_at: T,
        observed_at: T,
        ingested_at: T,
        log_pos: LogPos(1),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    };
    Arc::new(Entity::named(key.clone()).apply(&fact).unwrap())
}

/// A customer with one payment at each of these instants.
fn slot(payments: &[Millis]) -> Slot<CustomerView> {
    let key = EntityKey::new(EntityKind::ArCustomer, "C1");
    let mut tree = PartyTree::default();
    tree.put(entity(&key, FieldsBuilder::default()));
    for (i, at) in payments.iter().enumerate() {
        let mut fields = FieldsBuilder::default();
        fields.set(Field::ReceivedAt, ValueRef::Time(*at));
        tree.put(entity(&EntityKey::new(EntityKind::Payment, format!("P{i}")), fields));
    }
    let composite = Composite {
        id: CustomerId::of_member(&key),
        members: vec![Member { key, confidence: 1_000_000, joined: None, tree: Arc::new(tree) }],
        possible: Vec::new(),
        elsewhere: Vec::new(),
        freshness: Freshness::default(),
        log_pos: LogPos(1),
    };
    let view = CustomerView {
        composite,
        derived: Arc::default(),
        transfers: Vec::new(),
        handoff_alerts: Vec::new(),
        evaluated_at: T,
    };
    Slot::new(Arc::new(view), 1, Stamp { position: LogPos(1), ..Stamp::default() })
}

fn payments_of(state: &v1::CustomerState) -> usize {
    state.billing.as_ref().unwrap().recent_payments.len()
}

#[test]
fn a_kept_state_is_never_older_than_what_counts_as_recent() {
    let slot = slot(&[T, T + 1_000]);
    let known = Freshness::default();
    let instants =
        [(T, 2), (T + RECENT_MS, 2), (T + RECENT_MS + 1, 1), (T + RECENT_MS + 1_000, 1), (T + RECENT_MS + 1_001, 0)];
    // Forth and back: a clock may be set back too.
    for (now, count) in instants.into_iter().chain(instants.into_iter().rev()) {
        let kept = kept_state(&slot, &known, now);
        assert_eq!(kept, state(&slot, &known, now));
        assert_eq!(payments_of(&kept), count, "{now:?}");
    }
}

#[test]
fn what_is_kept_is_made_once_and_shared_by_clones() {
    let slot = slot(&[T]);
    let first = slot.kept.at(T, || lasting(&slot, T));
    let again = slot.clone().kept.at(T + RECENT_MS, || lasting(&slot, T + RECENT_MS));
    assert!(Arc::ptr_eq(&first, &again));
    let expired = slot.kept.at(T + RECENT_MS + 1, || lasting(&slot, T + RECENT_MS + 1));
    assert!(!Arc::ptr_eq(&first, &expired));
}

#[test]
fn freshness_is_that_of_the_answer() {
    let slot = slot(&[]);
    let mut known = Freshness::default();
    known.source_mut(System::Oracle).watermark = Some(T);
    let lag_s = |state: v1::CustomerState| state.freshness.iter().find_map(|of| of.lag).map(|lag| lag.seconds);
    assert_eq!(lag_s(kept_state(&slot, &known, T + 1_000)), Some(1));
    assert_eq!(lag_s(kept_state(&slot, &known, T + 2_000)), Some(2));
    known.source_mut(System::Oracle).watermark = Some(T + 2_000);
    assert_eq!(lag_s(kept_state(&slot, &known, T + 2_000)), Some(0));
}
