//! No bytes bring a decoder down, and bad entries leave their neighbours alone.
#![allow(clippy::unwrap_used)]

mod binary;
#[path = "../support/cpu.rs"]
mod cpu;
mod http;
mod json;
mod values;
mod xml;

use std::time::Duration;

use connectors::salesforce::decode::Batch;
use connectors::salesforce::event::EventSchema;
use connectors::salesforce::eventbus::{ConsumerEvent, ProducerEvent, SchemaInfo};
use connectors::{BODY_BYTES_MAX, Connectors, Decoded, Delivery, Framing, Mapping};
use ontology::{Field, FieldReader as _, Millis, Op, System, ValueRef};
use proptest::prelude::*;
use prost::Message as _;

const AT: Millis = Millis(1_773_154_800_000);

/// CPU time that no input may take, whatever is in it.
const INPUT_MAX: Duration = Duration::from_millis(250);

fn decode(system: System, raw: &[u8]) -> Decoded {
    let connectors = Connectors::shipped();
    let (decoded, took) = cpu::spent(|| connectors.decode(system, &Delivery::document(raw, AT)));
    assert!(took < INPUT_MAX, "{took:?}");
    decoded
}

/// Codes of what was quarantined, and how many facts were made.
fn check(system: System, raw: &[u8], codes: &[&str], facts: usize) {
    let decoded = decode(system, raw);
    let found: Vec<_> = decoded.rejects.iter().map(|r| r.code.name()).collect();
    assert_eq!(
        (found.as_slice(), decoded.facts.len()),
        (codes, facts),
        "{}",
        String::from_utf8_lossy(&raw[..raw.len().min(200)])
    );
}

fn invoice(id: &str, amount: &str) -> String {
    format!(
        "{{\"op\":\"u\",\"source\":{{\"connector\":\"oracle\",\"ts_ms\":1000,\"table\":\"AR_INVOICE\",\"scn\":\"880\",\
         \"commit_scn\":\"900\",\"ssn\":2}},\"after\":{{\"INVOICE_ID\":{id},\"AMOUNT\":{amount},\"CURRENCY\":\"USD\",\"STATUS\":\"OPEN\"}}}}"
    )
}

#[test]
fn bad_envelopes_are_told_apart_and_neighbours_arrive() {
    let good = invoice("\"INV-1\"", "\"100.10\"");
    let mixed = format!("[{good},{},{},null,{good}]", invoice("\"INV-2\"", "\"12,5x\""), invoice("null", "1"));
    check(System::Oracle, mixed.as_bytes(), &["contract_breach", "no_identity"], 2);
    check(System::Oracle, b"{\"op\":", &["malformed"], 0);
    check(System::Oracle, b"{\"op\":\"u\",\"op\":\"d\"}", &["malformed"], 0);
    check(System::Oracle, good.replace("\"880\"", "null").as_bytes(), &["no_identity"], 0);
    check(System::Oracle, good.replace("\"oracle\"", "\"mysql\"").as_bytes(), &["no_identity"], 0);
    check(System::Oracle, good.replace("USD", "XQQ").as_bytes(), &["contract_breach"], 0);
    let truncated = decode(System::Oracle, good.replace("\"u\"", "\"t\"").as_bytes());
    assert_eq!((truncated.facts.len(), truncated.resyncs.len()), (0, 1), "an emptied table is read anew");
    check(System::Oracle, good.replace("AR_INVOICE\"", "OTHER\"").as_bytes(), &[], 0);
    check(System::Oracle, &[&[0xff], good.as_bytes()].concat(), &["malformed"], 0);
    check(System::Oracle, &vec![b' '; BODY_BYTES_MAX + 1], &["oversized"], 0);
    check(System::Oracle, format!("{good}{}", " ".repeat(BODY_BYTES_MAX - good.len())).as_bytes(), &[], 1);
    let lines = format!("{good}\nnot json\n\n{good}\n");
    let delivery = Delivery { framing: Framing::Lines, ..Delivery::document(lines.as_bytes(), AT) };
    let decoded = Connectors::shipped().decode(System::Oracle, &delivery);
    assert_eq!((decoded.facts.len(), decoded.rejects.len()), (2, 1));
    assert_eq!(&lines[decoded.rejects[0].range.clone()], "not json\n");
}

#[test]
fn an_update_without_all_columns_is_a_patch_and_money_is_exact() {
    let fact = |raw: &str| decode(System::Oracle, raw.as_bytes()).facts.remove(0);
    let patch = fact(&invoice("\"INV-1\"", "100.10"));
    assert_eq!(
        (patch.op, patch.fields.get(Field::Amount)),
        (Op::Patch, ValueRef::Decimal { mantissa: 10010, scale: 2 })
    );
    assert_eq!(patch.fields.iter().filter(|(f, _)| *f == Field::DueDate).count(), 0);
    let image = fact(&invoice("\"INV-1\"", "{\"scale\":2,\"value\":\"AIXK\"}").replace("\"op\":\"u\"", "\"op\":\"r\""));
    assert_eq!(
        (image.op, image.fields.get(Field::Amount)),
        (Op::Image, ValueRef::Decimal { mantissa: 34250, scale: 2 })
    );
    assert_eq!(image.fields.iter().filter(|(f, _)| *f == Field::DueDate).count(), 1);
    assert_eq!(image.version.to_string(), "900.880.2");
    let kept = fact(&invoice("\"INV-1\"", "1").replace("\"OPEN\"", "\"__debezium_unavailable_value\""));
    assert_eq!(kept.fields.iter().filter(|(f, _)| *f == Field::Status).count(), 0);
}

#[test]
fn a_mapping_fix_replays_what_was_quarantined() {
    let raw = invoice("\"INV-2\"", "\"12,5x\"");
    check(System::Oracle, raw.as_bytes(), &["contract_breach"], 0);
    let fixed = include_str!("../../mappings/oracle.toml").replace("version = 1", "version = 2").replace(
        "{ from = \"AMOUNT\", to = \"amount\", kind = \"decimal\", required = true }",
        "{ from = \"AMOUNT\", to = \"amount\", kind = \"decimal\" }",
    );
    let connectors = Connectors::new(vec![Mapping::parse(&fixed).unwrap()]);
    let decoded = connectors.decode(System::Oracle, &Delivery::document(raw.as_bytes(), AT));
    assert_eq!((decoded.facts[0].mapping_version, decoded.rejects.len()), (2, 0));
    assert_eq!(decoded.facts[0].fields.get(Field::Amount), ValueRef::Bad("12,5x"));
}

#[test]
fn bad_webhooks_are_told_apart() {
    let event = |data: &str| format!("{{\"id\":\"e1\",\"type\":\"task:new\",\"data\":{data}}}");
    let good =
        "{\"taskId\":\"t1\",\"createdTime\":\"1773154800000\",\"channelType\":\"telephony\",\"origin\":\"2125550123\"}";
    check(System::Wxcc, event(good).as_bytes(), &[], 2);
    check(System::Wxcc, event(&good.replace("2125550123", "anonymous")).as_bytes(), &[], 1);
    check(System::Wxcc, event(&good.replace("\"t1\"", "null")).as_bytes(), &["no_identity"], 0);
    check(System::Wxcc, event(&good.replace("1773154800000", "now")).as_bytes(), &["no_identity"], 0);
    check(System::Wxcc, event(good).replace("\"id\"", "\"no\"").as_bytes(), &["no_identity"], 0);
    check(System::Wxcc, event(good).replace("task:new", "task:teleported").as_bytes(), &[], 0);
    check(System::Wxcc, b"[]x", &["malformed"], 0);
    let wrapped = event("{\"taskId\":\"t1\",\"createdTime\":1,\"currentState\":\"wrapup-done\",\"globalVariables\":{\"sentimentScore\":\"7\"}}")
        .replace("task:new", "agent:channel_state_change");
    let decoded = decode(System::Wxcc, wrapped.as_bytes());
    assert_eq!(decoded.facts[0].fields.get(Field::Sentiment), ValueRef::Bad("7"));
}

#[test]
fn an_end_by_the_system_is_not_the_end() {
    let ended = |party: &str| {
        let raw = format!(
            "{{\"id\":\"e\",\"type\":\"task:ended\",\"data\":{{\"taskId\":\"t\",\"createdTime\":5,\"terminatingParty\":\"{party}\"}}}}"
        );
        let fact = decode(System::Wxcc, raw.as_bytes()).facts.remove(0);
        (fact.fields.get(Field::Status) != ValueRef::Null, fact.fields.time(Field::EndedAt))
    };
    assert_eq!(ended("Agent"), (true, Some(Millis(5))));
    assert_eq!(ended("Customer"), (true, Some(Millis(5))));
    assert_eq!(ended("System"), (false, None));
}

fn idoc(control: &str, segment: &str) -> String {
    format!(
        "<IDOC BEGIN=\"1\"><EDI_DC40><DOCNUM>0000000000000042</DOCNUM>{control}</EDI_DC40><Z1SRVORD>{segment}</Z1SRVORD></IDOC>"
    )
}

#[test]
fn bad_documents_are_told_apart_and_neighbours_arrive() {
    let serial = "<SERIAL>20260310150000</SERIAL>";
    let good = idoc(serial, "<AUFNR>000000700123</AUFNR><STTXT>TECO</STTXT><ESTIMATE>12.00-</ESTIMATE>");
    let both = format!("<Z>{good}{}</Z>", idoc(serial, "<STTXT>TECO</STTXT>"));
    let decoded = decode(System::Sap, both.as_bytes());
    assert_eq!((decoded.facts.len(), decoded.rejects[0].code.name()), (1, "no_identity"));
    assert!(both[decoded.rejects[0].range.clone()].starts_with("<IDOC"));
    let fact = &decoded.facts[0];
    assert_eq!((fact.record_id.as_str(), fact.version.to_string()), ("700123", "1773154800000.42.1".to_owned()));
    assert_eq!(fact.fields.get(Field::Estimate), ValueRef::Decimal { mantissa: -1200, scale: 2 });
    check(System::Sap, idoc(serial, "<AUFNR>1</AUFNR><ESTIMATE>abc</ESTIMATE>").as_bytes(), &[], 1);
    check(System::Sap, idoc("", "<AUFNR>1</AUFNR>").as_bytes(), &["no_identity"], 0);
    check(System::Sap, idoc("<CREDAT>20260310</CREDAT><CRETIM>150000</CRETIM>", "<AUFNR>1</AUFNR>").as_bytes(), &[], 1);
    check(System::Sap, &good.as_bytes()[..good.len() - 5], &["malformed"], 0);
    check(System::Sap, b"<!DOCTYPE x><x/>", &["malformed"], 0);
    check(System::Sap, b"<x/>", &["no_identity"], 0);
}

const SCHEMA: &str = r#"{"type":"record","name":"CaseChangeEvent","fields":[
    {"name":"ChangeEventHeader","type":{"type":"record","name":"ChangeEventHeader","fields":[
        {"name":"entityName","type":"string"},{"name":"recordIds","type":{"type":"array","items":"string"}}]}},
    {"name":"Subject","type":["null","string"]}]}"#;

#[test]
fn hostile_datums_and_schemas_are_refused() {
    let schema = EventSchema::parse(SCHEMA).unwrap();
    let good = [8, b'C', b'a', b's', b'e', 2, 2, b'1', 0, 0];
    assert!(schema.read(&good).is_ok());
    for cut in 0..good.len() {
        assert!(schema.read(&good[..cut]).is_err(), "cut at {cut}");
    }
    assert!(schema.read(&[&good[..], &[0]].concat()).is_err(), "bytes after the datum");
    assert!(schema.read(&[1]).is_err(), "a negative length");
    assert!(schema.read(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).is_err(), "a huge block");
    assert!(EventSchema::parse(r#"{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}"#).is_err());
    assert!(EventSchema::parse("{").is_err());
    assert!(EventSchema::parse("\"string\"").is_err());
    let event = ProducerEvent { id: "e".into(), schema_id: "s".into(), payload: vec![9; 20], headers: vec![] };
    let batch = Batch {
        events: vec![ConsumerEvent { event: Some(event), replay_id: vec![] }; 2],
        schemas: vec![SchemaInfo { schema_json: SCHEMA.into(), schema_id: "s".into(), rpc_id: String::new() }],
    };
    let decoded = decode(System::Salesforce, &batch.encode_to_vec());
    assert_eq!(decoded.rejects.len(), 2);
    let again = decode(System::Salesforce, decoded.rejects[0].standalone.as_ref().unwrap());
    assert_eq!(again.rejects[0].code.name(), "malformed", "a quarantined event can be decoded by itself");
    check(System::Salesforce, b"\xff\xff", &["malformed"], 0);
    check(System::Salesforce, b"{\"object\":\"Case\"}", &["no_identity"], 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_bring_a_decoder_down(raw in proptest::collection::vec(any::<u8>(), 0..400)) {
        for system in System::SOURCES {
            let decoded = decode(system, &raw);
            prop_assert!(decoded.rejects.iter().all(|r| r.detail != "the decoder failed" && r.range.end <= raw.len()));
        }
    }

    #[test]
    fn no_damage_to_a_good_payload_brings_a_decoder_down(place in 0_usize..400, byte in any::<u8>()) {
        let event = "{\"id\":\"e\",\"type\":\"task:new\",\"data\":{\"taskId\":\"t\",\"createdTime\":5,\"origin\":\"+4930123456\"}}";
        let order = idoc("<SERIAL>20260310150000</SERIAL>", "<AUFNR>1</AUFNR><GSTRP>20260310</GSTRP>");
        let row = invoice("\"I\"", "{\"scale\":2,\"value\":\"AIXK\"}");
        for (system, good) in [(System::Oracle, row), (System::Wxcc, event.to_owned()), (System::Sap, order)] {
            let mut raw = good.into_bytes();
            let place = place % raw.len();
            raw[place] = byte;
            let decoded = decode(system, &raw);
            prop_assert!(decoded.rejects.iter().all(|r| r.detail != "the decoder failed"));
        }
    }

    #[test]
    fn no_datum_brings_the_reader_down(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = EventSchema::parse(SCHEMA).unwrap().read(&raw);
    }
}
