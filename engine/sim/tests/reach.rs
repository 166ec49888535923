//! What random histories reach: a property that nothing exercises holds for nothing.
#![allow(clippy::unwrap_used)]

use insight::Settings;
use resolver::Model;
use sim::delivery::{BatchSize, Delivery};
use sim::difference::texts;
use sim::history::{FACTS_MAX, FACTS_MIN};
use sim::{Chance, History, Oracle};

#[test]
fn histories_reach_what_can_go_wrong() {
    let reached = [
        ("a link", "\"confidence\":99"),
        ("a person's link", "\"confidence\":1000000,\"key\":\"account/Account-0\"},{\"confidence\":1000000"),
        ("a caller's link", "\"confidence\":960000"),
        ("a review candidate", "\"member\":"),
        ("a deleted record", "\"alive\":false"),
        ("a gap", "\"gap\":\"e"),
        ("a version conflict", "version_conflict"),
        ("clock skew", "clock_skew"),
        ("RC1", "\"rule\":\"RC1\""),
        ("RC2", "\"rule\":\"RC2\""),
        ("RC3", "\"rule\":\"RC3\""),
        ("a decision", "\"by\":\"eve\""),
        ("an anomaly", "\"kind\":\"estimate_deviation\""),
        ("a correlation", "\"verdict\":\"likely_correct_charge\""),
    ];
    let mut missing: Vec<&str> = reached.iter().map(|(name, _)| *name).collect();
    for seed in 0..3_000 {
        let delivery = Delivery::of(&History::of(seed), &mut Chance::of(seed), BatchSize::Of(64));
        let oracle = Oracle::of(delivery.facts(), Settings::default(), Model::shipped());
        let customers = texts(oracle.canonical(delivery.settled_at()).into_values()).concat();
        let is_reached = |name: &str| reached.iter().any(|(known, text)| *known == name && customers.contains(text));
        missing.retain(|name| !is_reached(name));
        if missing.is_empty() {
            return;
        }
    }
    panic!("histories never reach {missing:?}");
}

#[test]
fn histories_are_as_long_as_they_should_be() {
    let lengths: Vec<usize> = (0..500).map(|seed| History::of(seed).facts.len()).collect();
    assert!(lengths.iter().all(|length| (FACTS_MIN..=FACTS_MAX).contains(length)));
    assert!(lengths.iter().any(|length| *length > 200));
}
