#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use super::*;
use crate::filter::{Kind, Order};
use ontology::Millis;

#[derive(Debug)]
struct Item {
    severity: usize,
    state: &'static str,
    amount: Option<f64>,
    tags: &'static [&'static str],
    open_ms: i64,
}

const SEVERITIES: &[&str] = &["LOW", "MEDIUM", "HIGH"];

static COLUMNS: &[Column<Item>] = &[
    Column { name: "severity", kind: Kind::Word(SEVERITIES), get: |item| Operand::Rank(item.severity) },
    Column { name: "state", kind: Kind::Text, get: |item| Operand::text(item.state) },
    Column { name: "amount", kind: Kind::Number, get: |item| item.amount.map_or(Operand::Missing, Operand::Number) },
    Column {
        name: "tags",
        kind: Kind::Texts,
        get: |item| Operand::Texts(item.tags.iter().map(|tag| Cow::Borrowed(*tag)).collect()),
    },
    Column { name: "open_time", kind: Kind::Time, get: |item| Operand::Time(Millis(item.open_ms)) },
];

fn item() -> Item {
    Item { severity: 2, state: "OPEN", amount: Some(12.5), tags: &["a", "b"], open_ms: 1_000 }
}

fn check(filter: &str, expected: bool) {
    assert_eq!(Filter::parse(filter, COLUMNS).unwrap().matches(&item()), expected, "{filter}");
}

fn fault(filter: &str) -> (usize, String) {
    let refusal = Filter::parse(filter, COLUMNS).unwrap_err();
    assert_eq!(refusal.reason(), Reason::FilterSyntax);
    let metadata = refusal.metadata();
    (metadata["at"].parse().unwrap(), metadata["problem"].clone())
}

#[test]
fn comparisons_hold_by_kind() {
    check("", true);
    check("severity >= HIGH", true);
    check("severity > HIGH", false);
    check("severity < MEDIUM", false);
    check("state = \"OPEN\"", true);
    check("state != OPEN", false);
    check("amount > 12.4 AND amount <= 12.5", true);
    check("tags:a", true);
    check("tags:c", false);
    check("state:pe", true);

    check("open_time = \"1970-01-01T00:00:01Z\"", true);
    check("open_time=1970-01-01T00:00:01Z AND state='OPEN'", true);
    check("open_time > 1970-01-01T01:00:01+01:00", false);
    check("state = 'it\\'s' OR tags:'c'", false);
    check("amount:*", true);
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    check("state = X AND state = Y OR severity = HIGH", true);
    check("state = X AND (state = Y OR severity = HIGH)", false);
    check("NOT state = X AND severity = HIGH", true);
    check("NOT (state = OPEN OR severity = LOW)", false);
}

#[test]
fn a_missing_value_compares_with_nothing() {
    let none = Item { amount: None, ..item() };
    for (filter, expected) in
        [("amount > 0", false), ("amount <= 0", false), ("amount != 1", true), ("amount:*", false)]
    {
        assert_eq!(Filter::parse(filter, COLUMNS).unwrap().matches(&none), expected, "{filter}");
    }
}

#[test]
fn faults_name_the_character() {
    assert_eq!(fault("severty = HIGH").0, 1);
    assert!(fault("severty = HIGH").1.contains("severity"));
    assert_eq!(fault("severity = HUGE").0, 12);
    assert_eq!(fault("severity HIGH").0, 10);
    assert_eq!(fault("severity =").0, 11);
    assert_eq!(fault("(severity = HIGH").0, 17);
    assert_eq!(fault("state = \"OPEN").0, 9);
    assert_eq!(fault("state = OPEN state = X").0, 14);
    assert_eq!(fault("amount = 1e999").0, 10);
    assert_eq!(fault("open_time = 1970-01-01T00:00:61Z").0, 13);
    assert_eq!(fault("state = 'OPEN\"").0, 9);
    assert_eq!(fault("state ! OPEN").0, 7);
    assert_eq!(fault("ä = 1 AND (").0, 1);
    assert_eq!(fault("AND").0, 1);
    assert_eq!(fault(&"(".repeat(1_000)).1, "nested too deeply");
    assert_eq!(fault(&"x".repeat(5_000)).1, "the filter is too long");
}

#[test]
fn orders_sort_by_each_column_in_turn_with_missing_values_last() {
    let mut items = [
        Item { severity: 0, open_ms: 3, ..item() },
        Item { severity: 2, open_ms: 2, ..item() },
        Item { severity: 2, open_ms: 1, amount: None, ..item() },
    ];
    let order = Order::parse("severity desc, open_time", COLUMNS).unwrap();
    items.sort_by(|a, b| order.compare(a, b));
    assert_eq!(items.iter().map(|item| item.open_ms).collect::<Vec<_>>(), [1, 2, 3]);
    for text in ["amount", "amount desc"] {
        let order = Order::parse(text, COLUMNS).unwrap();
        items.sort_by(|a, b| order.compare(a, b));
        assert_eq!(items[2].amount, None, "{text}");
    }
    let unknown = Order::parse("nothing", COLUMNS).unwrap_err();
    assert_eq!(unknown.metadata()["at"], "1");
    assert!(unknown.message().contains("there is no field nothing; there are "), "{}", unknown.message());
    assert_eq!(Order::parse("state, amount down", COLUMNS).unwrap_err().metadata()["at"], "8");
    assert!(Order::parse("", COLUMNS).unwrap().is_empty());
}
