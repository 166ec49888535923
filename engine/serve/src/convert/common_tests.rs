#![allow(clippy::unwrap_used)]

use super::*;
use ontology::Currency;

#[test]
fn decimals_become_units_and_nanos_of_one_sign() {
    let check = |mantissa, scale, expected: Option<(i64, i32)>| {
        let money = decimal_money(Some((mantissa, scale)), Some("USD"));
        assert_eq!(money.map(|money| (money.units, money.nanos)), expected, "{mantissa}e-{scale}");
    };
    check(34_200, 2, Some((342, 0)));
    check(34_205, 2, Some((342, 50_000_000)));
    check(-50, 2, Some((0, -500_000_000)));
    check(i64::MAX, 0, Some((i64::MAX, 0)));
    check(1, 9, Some((0, 1)));
    check(1, 10, None);
    assert_eq!(decimal_money(None, Some("USD")), None);
    assert_eq!(decimal_money(Some((1, 0)), None), None);
    let yen = Currency::parse("JPY").unwrap();
    assert_eq!(money(Money::new(560, yen)).units, 560);
}

#[test]
fn times_read_back_and_those_out_of_range_do_not() {
    for at in [0, 1, -1, 1_773_154_800_123] {
        assert_eq!(millis("t", &time(Millis(at)).unwrap()).unwrap(), Millis(at));
    }
    assert_eq!(time(Millis::MAX), None);
    assert_eq!(time(Millis::MIN), None);
    for (seconds, nanos) in [(253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0)] {
        assert!(millis("t", &prost_types::Timestamp { seconds, nanos }).is_err());
    }
    assert_eq!((duration(-1_500).seconds, duration(-1_500).nanos), (-1, -500_000_000));
}

#[test]
fn references_read_back_and_default_to_the_party_of_their_system() {
    let case = EntityKey::new(EntityKind::Case, "SF-1");
    assert_eq!(entity_key("ref", &source_ref(&case)).unwrap(), case);
    let party = v1::SourceRef { source: v1::System::Sap.into(), native_id: "7".to_owned(), ..v1::SourceRef::default() };
    assert_eq!(entity_key("ref", &party).unwrap(), EntityKey::new(EntityKind::BusinessPartner, "7"));
    for (source, entity_type, native_id) in
        [(0, "", "1"), (2, "nothing", "1"), (2, "invoice", ""), (5, "", "1"), (99, "", "1")]
    {
        let reference = v1::SourceRef { source, entity_type: entity_type.to_owned(), native_id: native_id.to_owned() };
        assert_eq!(entity_key("ref", &reference).unwrap_err().reason(), Reason::InvalidField);
    }
}

#[test]
fn names_belong_to_their_collection() {
    assert_eq!(id_of("name", "customers", "customers/1f").unwrap(), "1f");
    for name in ["", "customers", "customers/", "alerts/1f", "customersx/1"] {
        assert!(id_of("name", "customers", name).is_err(), "{name}");
    }
}

#[test]
fn staleness_is_refused_just_past_the_bound() {
    let mut known = Freshness::default();
    known.source_mut(System::Oracle).watermark = Some(Millis(0));
    let max = prost_types::Duration { seconds: 10, nanos: 0 };
    assert_eq!(check_staleness(&known, Millis(10_000), Some(&max)), Ok(()));
    let refusal = check_staleness(&known, Millis(10_001), Some(&max)).unwrap_err();
    assert_eq!((refusal.reason(), refusal.metadata()["system"].as_str()), (Reason::TooStale, "oracle"));
    assert_eq!(refusal.message(), "oracle lags by 10.001 s, more than 10 s");
    known.source_mut(System::Oracle).is_monitored = false;
    assert_eq!(check_staleness(&known, Millis(99_999), Some(&max)), Ok(()));
    assert_eq!(check_staleness(&known, Millis(99_999), None), Ok(()));
}

/// Words of the wire stand in the order of the ontology, so a number is a code plus one.
fn check_words<V: ontology::Vocabulary>(prefix: &str, name_of: fn(i32) -> Option<&'static str>) {
    for (code, (_, name)) in V::ALL.iter().enumerate() {
        let wire = name_of(i32::try_from(code).unwrap() + 1).unwrap();
        let plain = wire.strip_prefix(prefix).unwrap().replace('_', "");
        assert_eq!(plain, name.replace('_', "").to_uppercase());
    }
}

#[test]
fn wire_enums_list_the_words_of_the_ontology_in_order() {
    use ontology::status as s;
    check_words::<System>("SYSTEM_", |n| v1::System::try_from(n).ok().map(|w| w.as_str_name()));
    check_words::<s::CaseStatus>("CASE_STATUS_", |n| v1::CaseStatus::try_from(n).ok().map(|w| w.as_str_name()));
    check_words::<s::InvoiceStatus>("INVOICE_STATUS_", |n| {
        v1::InvoiceStatus::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<s::DisputeStatus>("DISPUTE_STATUS_", |n| {
        v1::DisputeStatus::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<s::CreditNoteStatus>("CREDIT_NOTE_STATUS_", |n| {
        v1::CreditNoteStatus::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<s::InteractionStatus>("INTERACTION_STATUS_", |n| {
        v1::InteractionStatus::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<s::Channel>("CHANNEL_", |n| v1::Channel::try_from(n).ok().map(|w| w.as_str_name()));
    check_words::<s::ServiceOrderStatus>("SERVICE_ORDER_STATUS_", |n| {
        v1::ServiceOrderStatus::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<s::DispatchStatus>("FIELD_DISPATCH_STATUS_", |n| {
        v1::FieldDispatchStatus::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<s::Verdict>("JUDGEMENT_VERDICT_", |n| {
        v1::JudgementVerdict::try_from(n).ok().map(|w| w.as_str_name())
    });
    check_words::<ontology::Op>("OPERATION_", |n| v1::Operation::try_from(n).ok().map(|w| w.as_str_name()));
}
