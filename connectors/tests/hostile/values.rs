//! Values at the edge of what a field can hold: exact, marked bad or refused, never changed.

use ontology::{Field, FieldReader as _, Fields, System, ValueRef};

use super::{check, decode, invoice};

/// The fields of an invoice with one column more.
fn with(column: &str, value: &str) -> Fields {
    let raw = invoice("\"INV-1\"", "\"1.00\"").replace("\"STATUS\"", &format!("\"{column}\":{value},\"STATUS\""));
    let mut decoded = decode(System::Oracle, raw.as_bytes());
    assert_eq!((decoded.facts.len(), decoded.rejects.len()), (1, 0), "{column} {value}");
    decoded.facts.remove(0).fields
}

fn amount(text: &str) -> Option<(i64, u8)> {
    let decoded = decode(System::Oracle, invoice("\"INV-1\"", text).as_bytes());
    match decoded.facts.first()?.fields.get(Field::Amount) {
        ValueRef::Decimal { mantissa, scale } => Some((mantissa, scale)),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn value_year_9999() {
    // The open end of time: its last hours are no instant that a clock knows.
    assert!(with("DUE_DATE", "\"9999-12-30T00:00:00Z\"").time(Field::DueDate).is_some());
    assert!(matches!(with("DUE_DATE", "\"9999-12-31T23:59:59Z\"").get(Field::DueDate), ValueRef::Bad(_)));
    assert!(matches!(with("DUE_DATE", "\"10000-01-01\"").get(Field::DueDate), ValueRef::Bad(_)));
    assert!(matches!(with("DUE_DATE", "\"-10000-01-01\"").get(Field::DueDate), ValueRef::Bad(_)));
}

#[test]
fn value_february_30() {
    assert_eq!(with("DUE_DATE", "\"2026-02-30\"").get(Field::DueDate), ValueRef::Bad("2026-02-30"));
    assert_eq!(with("DUE_DATE", "\"2026-02-29T10:00:00Z\"").get(Field::DueDate), ValueRef::Bad("2026-02-29T10:00:00Z"));
    assert!(with("DUE_DATE", "\"2028-02-29\"").time(Field::DueDate).is_some());
}

#[test]
fn value_in_a_daylight_saving_hole() {
    let mapping =
        include_str!("../../mappings/oracle.toml").replace("time_zone = \"UTC\"", "time_zone = \"Europe/Berlin\"");
    let connectors = connectors::Connectors::new(vec![connectors::Mapping::parse(&mapping).unwrap()]);
    for (wall, hour) in [("2026-03-29 02:30:00", 1), ("2026-10-25 02:30:00", 0)] {
        let raw =
            invoice("\"INV-1\"", "\"1.00\"").replace("\"STATUS\"", &format!("\"DUE_DATE\":\"{wall}\",\"STATUS\""));
        let delivery = connectors::Delivery::document(raw.as_bytes(), super::AT);
        let decoded = connectors.decode(System::Oracle, &delivery);
        let due = decoded.facts[0].fields.time(Field::DueDate).unwrap();
        assert_eq!(due.0.rem_euclid(86_400_000) / 3_600_000, hour, "{wall}");
    }
}

#[test]
fn value_1e18() {
    assert_eq!(amount("\"1e18\""), Some((1_000_000_000_000_000_000, 0)));
    assert_eq!(amount("1000000000000000000"), Some((1_000_000_000_000_000_000, 0)));
    check(System::Oracle, invoice("\"INV-1\"", "1e19").as_bytes(), &["contract_breach"], 0);
    check(System::Oracle, invoice("\"INV-1\"", "\"-9223372036854775809\"").as_bytes(), &["contract_breach"], 0);
}

#[test]
fn value_minus_zero() {
    assert_eq!(amount("-0"), Some((0, 0)));
    assert_eq!(amount("\"-0.00\""), Some((0, 2)));
}

#[test]
fn value_twelve_decimals() {
    assert_eq!(amount("\"0.123456789012\""), Some((123_456_789_012, 12)));
    assert_eq!(amount("0.123456789012"), Some((123_456_789_012, 12)), "never through a float");
    assert_eq!(amount("\"0.1\""), Some((1, 1)));
}

#[test]
fn value_notations_that_are_no_decimal() {
    for text in ["\"1,5\"", "\"1.5 EUR\"", "\"0x10\"", "\"NaN\"", "\"Infinity\"", "\"١٢\"", "\"1_000\"", "true", "[1]"]
    {
        check(System::Oracle, invoice("\"INV-1\"", text).as_bytes(), &["contract_breach"], 0);
    }
}

#[test]
fn value_id_of_ten_kilobytes() {
    let long = format!("\"{}\"", "x".repeat(10_000));
    check(System::Oracle, invoice(&long, "\"1.00\"").as_bytes(), &["no_identity"], 0);
}

#[test]
fn value_separators_and_bidi_marks_in_ids() {
    let a = decode(System::Oracle, invoice("\"INV/1\"", "\"1.00\"").as_bytes());
    let b = decode(System::Oracle, invoice("\"INV-1\\u202e\"", "\"1.00\"").as_bytes());
    let c = decode(System::Oracle, invoice("\"INV-1\"", "\"1.00\"").as_bytes());
    let keys: std::collections::BTreeSet<_> =
        [&a, &b, &c].iter().map(|d| (d.facts[0].record_id.clone(), d.facts[0].event_id.clone())).collect();
    assert_eq!(keys.len(), 3, "ids that look alike stay apart");
}

#[test]
fn value_timestamps_out_of_range() {
    let good = invoice("\"INV-1\"", "\"1.00\"");
    for at in ["9223372036854775807", "-9223372036854775808"] {
        let decoded = decode(System::Oracle, good.replace("\"ts_ms\":1000", &format!("\"ts_ms\":{at}")).as_bytes());
        assert_eq!(decoded.facts.len() + decoded.rejects.len(), 1, "{at}");
    }
    check(System::Oracle, good.replace("\"ts_ms\":1000", "\"ts_ms\":1e3").as_bytes(), &["no_identity"], 0);
}

#[test]
fn value_versions_beyond_64_bits() {
    let good = invoice("\"INV-1\"", "\"1.00\"");
    let raw = good.replace("\"880\"", "\"99999999999999999999999\"");
    check(System::Oracle, raw.as_bytes(), &["no_identity"], 0);
    check(System::Oracle, good.replace("\"880\"", "\"-1\"").as_bytes(), &["no_identity"], 0);
}
