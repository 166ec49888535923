//! What native payloads become, as text. `UPDATE_GOLDEN=1` writes the expected text anew.
#![allow(clippy::unwrap_used)]

#[path = "golden/shapes.rs"]
mod shapes;
#[path = "golden/variants.rs"]
mod variants;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use connectors::json::Json;
use connectors::salesforce::decode::Batch;
use connectors::salesforce::eventbus::{ConsumerEvent, ProducerEvent, SchemaInfo};
use connectors::{Connectors, Decoded, Delivery, Framing, Mapping};
use ontology::{Field, Fields, Millis, System, ValueRef, Vocabulary as _};
use prost::Message as _;

const OBSERVED_AT: Millis = Millis(1_773_154_800_000);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn value(field: Field, value: ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::List(_) => {
            let items: Vec<String> = value
                .items()
                .map(|item| fields(&Fields::from_bytes(item.0).unwrap()).replace('\n', "").trim().to_owned())
                .collect();
            writeln!(out, "    {} = {items:?}", field.name()).unwrap();
        }
        other => writeln!(out, "    {} = {other:?}", field.name()).unwrap(),
    }
}

fn fields(fields: &Fields) -> String {
    let mut out = String::new();
    for (field, found) in fields.iter() {
        value(field, found, &mut out);
    }
    out
}

fn render(decoded: &Decoded) -> String {
    let mut out = String::new();
    for fact in &decoded.facts {
        writeln!(
            out,
            "  {} {}/{} -> {}/{} at {} changed {} event {}",
            fact.op.name(),
            fact.object,
            fact.record_id,
            fact.entity.kind.name(),
            fact.entity.id,
            fact.version,
            fact.changed_at.0,
            fact.event_id
        )
        .unwrap();
        out.push_str(&fields(&fact.fields));
    }
    for reject in &decoded.rejects {
        writeln!(out, "  quarantine {}: {} {:?}", reject.code.name(), reject.detail, reject.range).unwrap();
    }
    if decoded.ignored > 0 {
        writeln!(out, "  ignored {}", decoded.ignored).unwrap();
    }
    out
}

fn check(name: &str, found: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let differs = expected.lines().zip(found.lines()).find(|(e, f)| e != f);
    assert_eq!(differs, None, "{name}: run with UPDATE_GOLDEN=1 and read the difference");
    assert_eq!(expected.lines().count(), found.lines().count(), "{name}");
}

/// Every sample file of a folder with one of the endings, in order of names.
fn samples(folder: &Path, endings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| endings.iter().any(|e| path.to_string_lossy().ends_with(e)))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds samples", folder.display());
    files
}

fn decode(connectors: &Connectors, system: System, raw: &[u8], framing: Framing) -> String {
    render(&connectors.decode(system, &Delivery { framing, ..Delivery::document(raw, OBSERVED_AT) }))
}

#[test]
fn pushed_samples_become_these_facts() {
    let connectors = Connectors::shipped();
    for (system, ending, framing) in [
        (System::Oracle, ".json", Framing::Lines),
        (System::Wxcc, ".json", Framing::Document),
        (System::Sap, ".xml", Framing::Document),
    ] {
        let mut found = String::new();
        for (name, raw) in samples(&root().join("../fixtures").join(system.name()), &[ending]) {
            write!(found, "{name}\n{}", decode(&connectors, system, &raw, framing)).unwrap();
        }
        check(&format!("{}.txt", system.name()), &found);
    }
}

#[test]
fn change_event_samples_become_these_facts() {
    let connectors = Connectors::shipped();
    let folder = root().join("../fixtures/salesforce");
    let mut found = String::new();
    for (name, payload) in samples(&folder, &[".avro.hex"]) {
        let about = std::fs::read(folder.join(name.replace(".avro.hex", ".json"))).unwrap();
        let about = connectors::json::Json::parse(&about).unwrap();
        let text = |name: &str| about.get(name).unwrap().text().unwrap().to_owned();
        let schema_id = text("schema_id");
        let schema_json = std::fs::read_to_string(folder.join(format!("schema_{schema_id}.avsc"))).unwrap();
        let payload = hex::decode(payload.trim_ascii()).unwrap();
        let event = ProducerEvent { id: text("event_id"), schema_id: schema_id.clone(), payload, headers: vec![] };
        let batch = Batch {
            events: vec![ConsumerEvent { event: Some(event), replay_id: vec![1] }],
            schemas: vec![SchemaInfo { schema_json, schema_id, rpc_id: String::new() }],
        };
        let facts = decode(&connectors, System::Salesforce, &batch.encode_to_vec(), Framing::Document);
        write!(found, "{name}\n{facts}").unwrap();
    }
    check("salesforce.txt", &found);
}

/// A log line around rows, as the set of its name would answer with them.
fn answer(name: &str, raw: &[u8]) -> Option<Vec<u8>> {
    let line = Json::parse(raw).unwrap();
    let Some(Json::Array(_)) = line.get("message") else { return None };
    let text = std::str::from_utf8(raw).unwrap();
    let (from, to) = (text.find("\"message\":").unwrap() + 10, text.rfind(']').unwrap() + 1);
    let set = if name.contains("service-order-header-01") { "A_ServiceOrder" } else { "A_BusinessPartner" };
    Some(format!("{{\"set\":\"{set}\",\"d\":{{\"results\":{}}}}}", &text[from..to]).into_bytes())
}

#[test]
fn published_samples_become_facts_or_say_why_not() {
    let folder = root().join("tests/golden/published");
    let mappings = samples(&folder, &[".toml"]);
    let mappings = mappings.into_iter().map(|(_, text)| Mapping::parse(std::str::from_utf8(&text).unwrap()).unwrap());
    let connectors = Connectors::new(mappings.collect());
    let mut found = String::new();
    for (name, raw) in samples(&folder, &[".json", ".jsonl", ".txt", ".xml"]) {
        let system = match name.split('-').next().unwrap() {
            "debezium" | "goldengate" => System::Oracle,
            "jds" => System::Wxcc,
            "pubsub" => System::Salesforce,
            _ => System::Sap,
        };
        let framing = if name.ends_with(".jsonl") { Framing::Lines } else { Framing::Document };
        write!(found, "{name}\n{}", decode(&connectors, system, &raw, framing)).unwrap();
        if let Some(answer) = (system == System::Sap && name.ends_with(".json")).then(|| answer(&name, &raw)).flatten()
        {
            write!(found, "{name}, as an answer\n{}", decode(&connectors, system, &answer, framing)).unwrap();
        }
    }
    check("published.txt", &found);
}
