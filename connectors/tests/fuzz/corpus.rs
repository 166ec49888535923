//! Where the inputs begin: everything that is known to be a payload.

use std::path::{Path, PathBuf};

use connectors::json::Json;
use connectors::salesforce::decode::Batch;
use connectors::salesforce::eventbus::{ConsumerEvent, ProducerEvent, SchemaInfo};
use prost::Message as _;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// All files below a folder, in order of names.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Own corpus folders by name, and samples whose path holds one of the texts.
pub fn files(own: &[&str], samples: &[&str]) -> Vec<Vec<u8>> {
    let own = own.iter().flat_map(|name| below(&root().join("tests/corpus").join(name)));
    let known = below(&root().join("../fixtures")).into_iter().chain(below(&root().join("tests/golden")));
    let known = known.filter(|path| samples.iter().any(|sample| path.to_string_lossy().contains(sample)));
    own.chain(known.filter(|path| !path.ends_with("SOURCES.md"))).map(|path| std::fs::read(path).unwrap()).collect()
}

fn events() -> Vec<(ProducerEvent, SchemaInfo)> {
    let folder = root().join("../fixtures/salesforce");
    let hex = below(&folder).into_iter().filter(|path| path.to_string_lossy().ends_with(".avro.hex"));
    hex.map(|path| {
        let about = std::fs::read(path.to_string_lossy().replace(".avro.hex", ".json")).unwrap();
        let about = Json::parse(&about).unwrap();
        let text = |name: &str| about.get(name).unwrap().text().unwrap().to_owned();
        let schema_id = text("schema_id");
        let schema_json = std::fs::read_to_string(folder.join(format!("schema_{schema_id}.avsc"))).unwrap();
        let payload = hex::decode(std::fs::read(&path).unwrap().trim_ascii()).unwrap();
        let event = ProducerEvent { id: text("event_id"), schema_id: schema_id.clone(), payload, headers: vec![] };
        (event, SchemaInfo { schema_json, schema_id, rpc_id: String::new() })
    })
    .collect()
}

/// Batches of the event bus, each of one event with its schema.
pub fn batches() -> Vec<Vec<u8>> {
    let batch = |(event, schema)| Batch {
        events: vec![ConsumerEvent { event: Some(event), replay_id: vec![0, 0, 1] }],
        schemas: vec![schema],
    };
    events().into_iter().map(|event| batch(event).encode_to_vec()).collect()
}

/// Datums of one schema.
pub fn datums() -> (String, Vec<Vec<u8>>) {
    let events = events();
    let schema = events[0].1.clone();
    let same = events.into_iter().filter(|(_, of)| of.schema_id == schema.schema_id);
    (schema.schema_json, same.map(|(event, _)| event.payload).collect())
}

/// Schemas as the event bus gives them.
pub fn schemas() -> Vec<Vec<u8>> {
    let mut schemas: Vec<_> = events().into_iter().map(|(_, schema)| schema.schema_json.into_bytes()).collect();
    schemas.dedup();
    schemas
}

/// Mapping files: those that are shipped, and what once went wrong.
pub fn mappings() -> Vec<Vec<u8>> {
    let files = ["mappings", "tests/corpus/mapping"].into_iter().flat_map(|folder| below(&root().join(folder)));
    files.map(|path| std::fs::read(path).unwrap()).collect()
}
