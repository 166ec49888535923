//! Contract of the log.

use ontology::Millis;
use storage::{Class, DIGEST_START, Error, Intake, NewBlock, Position, QuarantineFilter};

use super::{Harness, facts, intake, rejected};

pub fn positions_are_contiguous_from_one(harness: &impl Harness) {
    let store = harness.store();
    assert_eq!((store.last(), store.start().unwrap()), (Position::ZERO, Position::FIRST));
    assert_eq!(store.append(intake(10, &["a", "b"])).unwrap(), Position(1)..Position(3));
    assert_eq!(store.append(intake(11, &["c"])).unwrap(), Position(3)..Position(4));
    assert_eq!((store.last(), store.start().unwrap()), (Position(3), Position::FIRST));
    assert_eq!(facts(&*store, 1), [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
}

pub fn reading_begins_with_the_block_that_holds_the_position(harness: &impl Harness) {
    let store = harness.store();
    store.append(intake(10, &["a", "b"])).unwrap();
    store.append(intake(11, &["c"])).unwrap();
    let firsts = |from| store.read(Position(from)).unwrap().map(|block| block.unwrap().first().0).collect::<Vec<_>>();
    assert_eq!([firsts(1), firsts(2), firsts(3), firsts(4)], [vec![1, 3], vec![1, 3], vec![3], vec![]]);
    let ingested_at = store.read(Position(3)).unwrap().next().unwrap().unwrap().ingested_at();
    assert_eq!(ingested_at, Millis(11));
}

pub fn reading_outside_the_log_is_refused(harness: &impl Harness) {
    let store = harness.store();
    for empty in [true, false] {
        let last = store.last().0;
        for outside in [0, last + 2, u64::MAX] {
            let refused = store.read(Position(outside)).err().unwrap();
            assert!(matches!(refused, Error::OutOfRange { .. }), "{refused}");
            assert_eq!(refused.class(), Class::Reject);
        }
        assert_eq!(store.read(Position(last + 1)).unwrap().count(), 0);
        if empty {
            store.append(intake(1, &["a"])).unwrap();
        }
    }
}

pub fn blocks_are_chained(harness: &impl Harness) {
    let store = harness.store();
    for at in 0..5 {
        store.append(intake(at, &["same"])).unwrap();
    }
    let mut previous = DIGEST_START;
    for block in store.read(Position::FIRST).unwrap().map(Result::unwrap) {
        assert_eq!(*block.previous(), previous);
        assert_ne!(*block.digest(), previous);
        previous = *block.digest();
    }
}

pub fn source_positions_and_quarantine_come_with_their_facts(harness: &impl Harness) {
    let store = harness.store();
    let first =
        intake(1, &["a"]).source("sap/idoc", b"7".to_vec()).quarantine(rejected("malformed", "sap/idoc", 1, b"?"));
    store.append(first).unwrap();
    store.append(intake(2, &["b"]).source("sap/idoc", b"8".to_vec()).source("oracle/ar", b"x".to_vec())).unwrap();
    assert_eq!(store.source("sap/idoc").unwrap().as_deref(), Some(&b"8"[..]));
    assert_eq!(store.source("wxcc/hooks").unwrap(), None);
    let names: Vec<_> = store.sources().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["oracle/ar", "sap/idoc"]);
    let page = store.list(&QuarantineFilter::default(), None, 10).unwrap();
    assert_eq!(page.records[0].reason, "malformed");
    assert_eq!(store.raw(page.records[0].id).unwrap(), b"?");
}

pub fn an_intake_without_facts_moves_no_position(harness: &impl Harness) {
    let store = harness.store();
    store.append(intake(1, &["a"])).unwrap();
    for empty in [Intake::new(), Intake::new().source("s", b"1".to_vec())] {
        assert_eq!(store.append(empty).unwrap(), Position(2)..Position(2));
    }
    assert_eq!(store.source("s").unwrap().as_deref(), Some(&b"1"[..]));
}

pub fn an_empty_block_is_refused_and_nothing_is_kept(harness: &impl Harness) {
    let store = harness.store();
    let refused = store.append(Intake::new().block(NewBlock::new(Millis(1))).source("s", b"1".to_vec())).unwrap_err();
    assert_eq!(refused.class(), Class::Reject);
    assert_eq!((store.last(), store.source("s").unwrap()), (Position::ZERO, None));
}

pub fn payloads_without_facts_stand_before_the_next_block(harness: &impl Harness) {
    let store = harness.store();
    let unread = |at, payload: &[u8]| {
        let mut block = NewBlock::new(Millis(at));
        block.push_raw(0, 0, b"a header", payload);
        Intake::new().block(block)
    };
    store.append(intake(1_000, &["a"])).unwrap();
    for payload in [b"x", b"y"] {
        assert_eq!(store.append(unread(1_000, payload)).unwrap(), Position(2)..Position(2));
    }
    store.append(intake(1_000, &["b"])).unwrap();
    store.append(unread(1_001, b"z")).unwrap();
    let store = harness.restart(store);
    let kept = |at: u64| -> Vec<(u32, Vec<u8>)> {
        store.raws(Position(at)).unwrap().into_iter().map(|raw| (raw.count, raw.payload)).collect()
    };
    assert_eq!(kept(2), [(0, b"x".to_vec()), (0, b"y".to_vec()), (1, b"<b>".to_vec())]);
    assert_eq!(kept(3), [(0, b"z".to_vec())]);
    assert_eq!(store.raws(Position(3)).unwrap()[0].beside, b"a header");
    assert_eq!(store.expire_raws(Millis(2_001)).unwrap(), 4);
    assert_eq!((kept(2).len(), kept(3).len(), facts(&*store, 1).len()), (0, 1, 2));
    store.verify().unwrap();
}

pub fn payloads_are_kept_for_their_retention_exactly(harness: &impl Harness) {
    let store = harness.store();
    store.append(intake(1_000, &["a", "b"])).unwrap();
    store.append(intake(1_001, &["c"])).unwrap();
    let raws = store.raws(Position(1)).unwrap();
    assert_eq!((raws[1].first, raws[1].count, &raws[1].payload[..]), (Position(2), 1, &b"<b>"[..]));
    assert_eq!(store.expire_raws(Millis(2_000)).unwrap(), 0, "kept for exactly the retention");
    assert_eq!(store.expire_raws(Millis(2_001)).unwrap(), 1);
    assert!(store.raws(Position(1)).unwrap().is_empty());
    assert_eq!(store.raws(Position(3)).unwrap().len(), 1);
    assert_eq!(facts(&*store, 1).len(), 3, "facts stay");
}
