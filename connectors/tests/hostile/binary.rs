//! Hostile Avro and protobuf: lengths that lie, schemas without end.

use connectors::salesforce::decode::Batch;
use connectors::salesforce::event::EventSchema;
use connectors::salesforce::eventbus::{ConsumerEvent, ProducerEvent, SchemaInfo};
use ontology::System;
use prost::Message as _;

use super::{SCHEMA, check, decode};

/// What a batch with one datum becomes, under a schema.
fn reject_of(schema_json: &str, payload: Vec<u8>) -> String {
    let event = ProducerEvent { id: "e".into(), schema_id: "s".into(), payload, headers: vec![] };
    let batch = Batch {
        events: vec![ConsumerEvent { event: Some(event), replay_id: vec![1] }],
        schemas: vec![SchemaInfo { schema_json: schema_json.into(), schema_id: "s".into(), rpc_id: String::new() }],
    };
    let decoded = decode(System::Salesforce, &batch.encode_to_vec());
    assert_eq!((decoded.facts.len(), decoded.rejects.len()), (0, 1));
    decoded.rejects[0].code.name().to_owned()
}

#[test]
fn avro_negative_length() {
    assert_eq!(reject_of(SCHEMA, vec![1]), "malformed");
    assert_eq!(reject_of(SCHEMA, vec![8, b'C', b'a', b's', b'e', 1, 1]), "malformed");
}

#[test]
fn avro_huge_block_count() {
    let mut datum = vec![8, b'C', b'a', b's', b'e'];
    datum.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert_eq!(reject_of(SCHEMA, datum), "malformed");
}

#[test]
fn avro_long_of_eleven_bytes() {
    assert_eq!(reject_of(SCHEMA, vec![0xff; 11]), "malformed");
}

#[test]
fn avro_unknown_schema() {
    assert_eq!(
        reject_of("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"nosuch\"}]}", vec![0]),
        "malformed"
    );
    assert_eq!(reject_of("no schema at all", vec![0]), "malformed");
    let event = ProducerEvent { id: "e".into(), schema_id: "other".into(), payload: vec![0], headers: vec![] };
    let batch = Batch { events: vec![ConsumerEvent { event: Some(event), replay_id: vec![1] }], schemas: vec![] };
    assert_eq!(decode(System::Salesforce, &batch.encode_to_vec()).rejects.len(), 1, "a schema that nobody gave");
}

#[test]
fn avro_recursive_schema() {
    for schema in [
        r#"{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"r","type":{"type":"array","items":"R"}}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"r","type":{"type":"map","values":"R"}}]}"#,
    ] {
        assert!(EventSchema::parse(schema).is_err(), "{schema}");
    }
}

#[test]
fn avro_schema_of_ten_thousand_levels() {
    let deep = format!("{}\"int\"{}", "{\"type\":\"array\",\"items\":".repeat(10_000), "}".repeat(10_000));
    let schema = format!("{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{{\"name\":\"a\",\"type\":{deep}}}]}}");
    assert!(EventSchema::parse(&schema).is_err());
}

#[test]
fn protobuf_bad_varint() {
    check(System::Salesforce, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &["malformed"], 0);
}

#[test]
fn protobuf_length_of_four_gigabytes() {
    check(System::Salesforce, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00], &["malformed"], 0);
}

#[test]
fn protobuf_depth_101() {
    // A group inside a group, as no message of ours has it: unknown fields are skipped within bounds.
    let raw = [vec![0x7b; 101], vec![0x7c; 101]].concat();
    let decoded = decode(System::Salesforce, &raw);
    assert_eq!(decoded.facts.len(), 0);
}
