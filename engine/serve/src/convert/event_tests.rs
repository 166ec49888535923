#![allow(clippy::unwrap_used)]

use super::*;
use ontology::FieldReader;
use ontology::status::InvoiceStatus;

fn value(kind: Kind) -> v1::FieldValue {
    v1::FieldValue { kind: Some(kind) }
}

fn event() -> v1::Event {
    let money = v1::Money { currency_code: "USD".to_owned(), units: 342, nanos: 500_000_000 };
    let fields = [
        ("status", value(Kind::Text("Open".to_owned()))),
        ("amount", value(Kind::Money(money))),
        ("currency", value(Kind::Text("USD".to_owned()))),
    ];
    v1::Event {
        event_id: "e1".to_owned(),
        system: v1::System::Oracle.into(),
        object: "AR_INVOICE".to_owned(),
        record_id: "4521".to_owned(),
        operation: v1::Operation::Image.into(),
        version: Some(v1::Version { major: 900, ..v1::Version::default() }),
        change_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        entity_type: "invoice".to_owned(),
        entity_id: "INV-4521".to_owned(),
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..v1::Event::default()
    }
}

#[test]
fn an_event_becomes_a_fact() {
    let fact = fact(&event(), Millis(2_000)).unwrap();
    assert_eq!((fact.entity.to_string().as_str(), fact.op, fact.version.major), ("invoice/INV-4521", Op::Image, 900));
    assert_eq!((fact.changed_at, fact.observed_at), (Millis(1_000), Millis(2_000)));
    assert_eq!(fact.fields.coded::<InvoiceStatus>(Field::Status).known(), Some(InvoiceStatus::Open));
    assert_eq!(fact.fields.get(Field::Amount).decimal(), Some((3_425, 1)));
}

fn check_unfit(code: &str, change: impl FnOnce(&mut v1::Event)) {
    let mut event = event();
    change(&mut event);
    let unfit = fact(&event, Millis(0)).unwrap_err();
    assert_eq!((unfit.code, unfit.refusal.reason()), (code, Reason::BadPayload), "{}", unfit.refusal.message());
}

#[test]
fn what_has_no_identity_or_breaks_the_contract_is_unfit() {
    check_unfit("no_identity", |event| event.record_id.clear());
    check_unfit("no_identity", |event| event.event_id = "x".repeat(ID_BYTES_MAX + 1));
    check_unfit("no_identity", |event| event.version = None);
    check_unfit("no_identity", |event| event.system = 0);
    check_unfit("no_identity", |event| event.system = v1::System::Human.into());
    check_unfit("no_identity", |event| event.entity_type = "nothing".to_owned());
    check_unfit("contract_breach", |event| event.operation = 0);
    check_unfit("contract_breach", |event| event.change_time = None);
    check_unfit("contract_breach", |event| {
        drop(event.fields.insert("amount".to_owned(), value(Kind::Decimal("12,5x".to_owned()))))
    });
    check_unfit("contract_breach", |event| drop(event.fields.insert("no_such".to_owned(), value(Kind::Flag(true)))));
    check_unfit("contract_breach", |event| drop(event.fields.insert("agent_id".to_owned(), value(Kind::Flag(true)))));
}

#[test]
fn only_what_sources_tell_of_is_taken_from_them() {
    for kind in ["judgement", "discrepancy_decision", "alert_decision", "command_outcome", "configuration", "watermark"]
    {
        check_unfit("contract_breach", |event| {
            event.fields.clear();
            event.entity_type = kind.to_owned();
        });
        check_unfit("contract_breach", |event| {
            event.fields.clear();
            (event.entity_type, event.object) = (String::new(), kind.to_owned());
        });
    }
    for kind in ["transfer", "directory_entry", "desktop_telemetry"] {
        let event = v1::Event { entity_type: kind.to_owned(), fields: BTreeMap::new(), ..event() };
        assert!(fact(&event, Millis(0)).is_ok(), "{kind}");
    }
    let beat = v1::Event { operation: v1::Operation::Heartbeat.into(), fields: BTreeMap::new(), ..event() };
    assert!(fact(&v1::Event { entity_type: "watermark".to_owned(), ..beat.clone() }, Millis(0)).is_ok());
    let forged = v1::Event { entity_type: "judgement".to_owned(), ..beat };
    assert_eq!(fact(&forged, Millis(0)).map_err(|unfit| unfit.code), Err("contract_breach"));
}

#[test]
fn an_optional_field_of_a_wrong_type_is_kept_as_bad_and_an_unknown_word_as_unknown() {
    let mut event = event();
    event.fields.insert("due_date".to_owned(), value(Kind::Flag(true)));
    event.fields.insert("status".to_owned(), value(Kind::Text("Frozen".to_owned())));
    event.fields.insert("tax".to_owned(), v1::FieldValue { kind: None });
    let fact = fact(&event, Millis(0)).unwrap();
    assert!(matches!(fact.fields.get(Field::DueDate), ValueRef::Bad(_)));
    assert_eq!(fact.fields.get(Field::Status), ValueRef::Unknown("Frozen"));
    assert_eq!(fact.fields.get(Field::Tax), ValueRef::Null);
}

#[test]
fn decimals_are_exact_or_refused() {
    let check = |text: &str, expected: Option<(i64, u8)>| {
        assert_eq!(decimal(text).and_then(ValueRef::decimal), expected, "{text}");
    };
    check("12.50", Some((1_250, 2)));
    check("-0.01", Some((-1, 2)));
    check("7", Some((7, 0)));
    for text in ["", "-", ".5", "5.", "1e3", "1,5", "+1", " 1", "99999999999999999999"] {
        check(text, None);
    }
}

#[test]
fn amounts_have_one_sign_and_less_than_a_unit_of_nanos() {
    let check = |units, nanos, expected: Option<(i64, u8)>| {
        let money = v1::Money { currency_code: "USD".to_owned(), units, nanos };
        assert_eq!(amount(&money).and_then(ValueRef::decimal), expected, "{units} {nanos}");
    };
    check(342, 0, Some((342, 0)));
    check(-1, -50_000_000, Some((-105, 2)));
    check(0, 1, Some((1, 9)));
    check(1, -1, None);
    check(0, 1_000_000_000, None);
    check(i64::MAX, 1, None);
}

#[test]
fn an_event_over_the_limit_is_set_aside_with_its_beginning() {
    let of_length = |length: usize| {
        let mut event = event();
        event.traceparent = "x".repeat(length - event.encoded_len() - 4);
        event
    };
    let (fits, over) = (of_length(EVENT_BYTES_MAX), of_length(EVENT_BYTES_MAX + 1));
    assert_eq!((fits.encoded_len(), over.encoded_len()), (EVENT_BYTES_MAX, EVENT_BYTES_MAX + 1));
    assert!(fact(&fits, Millis(0)).is_ok());
    assert_eq!(fact(&over, Millis(0)).unwrap_err().code, "oversized");
    assert_eq!((kept(&fits).len(), kept(&over).len()), (EVENT_BYTES_MAX, OVERSIZED_KEPT_BYTES));
}
