//! Contract of quarantine.

use ontology::Millis;
use storage::{Class, Error, Intake, QuarantineFilter, QuarantineId, QuarantineState, Store};

use super::{Harness, rejected};

fn fill(store: &dyn Store) {
    for (reason, source, at) in
        [("malformed", "sap", 1), ("oversized", "sap", 2), ("malformed", "wxcc", 3), ("malformed", "sap", 4)]
    {
        store.append(Intake::new().quarantine(rejected(reason, source, at, format!("raw {at}").as_bytes()))).unwrap();
    }
}

fn ids(store: &dyn Store, filter: &QuarantineFilter) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(filter, after, 2).unwrap();
        assert!(page.records.len() <= 2);
        ids.extend(page.records.iter().map(|record| record.id.0));
        after = page.after;
        if after.is_none() {
            return ids;
        }
    }
}

pub fn records_are_listed_by_page_and_filter(harness: &impl Harness) {
    let store = harness.store();
    fill(&*store);
    let malformed = QuarantineFilter { reason: Some("malformed".into()), ..Default::default() };
    let sap = QuarantineFilter { source: Some("sap".into()), ..malformed.clone() };
    let none = QuarantineFilter { reason: Some("no_identity".into()), ..Default::default() };
    assert_eq!(ids(&*store, &QuarantineFilter::default()), [1, 2, 3, 4]);
    assert_eq!(ids(&*store, &malformed), [1, 3, 4]);
    assert_eq!(ids(&*store, &sap), [1, 4]);
    assert!(ids(&*store, &none).is_empty());
    let record = store.quarantined(QuarantineId(2)).unwrap();
    assert_eq!((record.received_at, record.raw_bytes, record.state), (Millis(2), 5, QuarantineState::Held));
    assert_eq!(record.source_position, b"17");
    assert_eq!(store.raw(QuarantineId(2)).unwrap(), b"raw 2");
}

pub fn attempts_and_decisions_are_kept(harness: &impl Harness) {
    let store = harness.store();
    fill(&*store);
    assert_eq!(store.attempt(QuarantineId(1)).unwrap(), 1);
    assert_eq!(store.attempt(QuarantineId(1)).unwrap(), 2);
    store.decide(QuarantineId(1), QuarantineState::Replayed(Millis(9))).unwrap();
    store.decide(QuarantineId(3), QuarantineState::Discarded(Millis(9))).unwrap();
    let store = harness.restart(store);
    let record = store.quarantined(QuarantineId(1)).unwrap();
    assert_eq!((record.attempts, record.state), (2, QuarantineState::Replayed(Millis(9))));
    assert_eq!(ids(&*store, &QuarantineFilter { held_only: true, ..Default::default() }), [2, 4]);
}

pub fn unknown_records_are_refused(harness: &impl Harness) {
    let store = harness.store();
    fill(&*store);
    for id in [0, 5, u64::MAX].map(QuarantineId) {
        let refusals = [
            store.quarantined(id).unwrap_err(),
            store.raw(id).unwrap_err(),
            store.attempt(id).unwrap_err(),
            store.decide(id, QuarantineState::Held).unwrap_err(),
        ];
        for refused in refusals {
            assert!(matches!(refused, Error::UnknownQuarantined { .. }) && refused.class() == Class::Reject);
        }
    }
}

pub fn records_expire_oldest_first_and_ids_are_not_given_again(harness: &impl Harness) {
    let store = harness.store();
    fill(&*store);
    assert_eq!(store.expire_quarantined(Millis(5_001)).unwrap(), 0, "kept for exactly the retention");
    assert_eq!(store.expire_quarantined(Millis(5_003)).unwrap(), 2);
    assert_eq!(ids(&*store, &QuarantineFilter::default()), [3, 4]);
    assert_eq!(store.expire_quarantined(Millis(99_999)).unwrap(), 2);
    assert!(store.raw(QuarantineId(4)).is_err());
    let store = harness.restart(store);
    store.append(Intake::new().quarantine(rejected("malformed", "sap", 6, b""))).unwrap();
    assert_eq!(ids(&*store, &QuarantineFilter::default()), [5]);
}
