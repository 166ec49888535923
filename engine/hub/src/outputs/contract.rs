//! The contract of the topics as JSON Schema, made of the API's own description: nobody has to keep
//! the two alike.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::events::{TRACE_PARENTS, TRACE_STATES, Topic};
use crate::client::descriptor;

/// The schema of a record as `{"topic", "key", "headers", "value"}`, the topic without its prefix.
/// Records may carry more headers, and values more fields, than a schema of today names.
#[must_use]
pub fn contract() -> Value {
    let mut definitions = Map::new();
    for topic in Topic::ALL {
        define(&descriptor(topic.message()).expect("the message is one of the API's own"), &mut definitions);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record in a topic of opshub",
        "oneOf": Topic::ALL.map(record),
        "$defs": definitions,
    })
}

fn record(topic: Topic) -> Value {
    let name = topic.name();
    let value = json!({ "$ref": format!("#/$defs/{}", topic.message()) });
    // An end has no value.
    let value = json!({ "oneOf": [value, { "type": "null" }] });
    let types = [topic.event_type(false), topic.event_type(true)];
    let resource = json!({ "type": "string", "pattern": format!("^{name}/") });
    let mut headers = json!({
        "ce_specversion": { "const": "1.0" },
        "ce_id": { "type": "string", "minLength": 32, "maxLength": 32 },
        "ce_source": { "type": "string" },
        "ce_type": { "enum": types },
        "ce_subject": resource,
        "ce_sequence": { "type": "string" },
        "content-type": { "const": "application/json" },
    });
    let required: Vec<String> = headers.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    for name in TRACE_PARENTS.into_iter().chain(TRACE_STATES) {
        headers[name] = json!({ "type": "string" });
    }
    json!({
        "type": "object",
        "required": ["topic", "key", "headers", "value"],
        "properties": {
            "topic": { "const": name },
            "key": resource,
            "headers": { "type": "object", "required": required, "properties": headers },
            "value": value,
        },
    })
}

/// Adds a message and those below it.
fn define(message: &MessageDescriptor, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(message.name()) {
        return;
    }
    // There before its fields are, which may lead back to it.
    definitions.insert(message.name().to_owned(), Value::Null);
    let properties: Map<String, Value> =
        message.fields().map(|field| (field.json_name().to_owned(), schema_of(&field, definitions))).collect();
    definitions.insert(message.name().to_owned(), json!({ "type": "object", "properties": properties }));
}

/// The schema of a field, by the mapping of protobuf to JSON; what is not there has its default.
fn schema_of(field: &FieldDescriptor, definitions: &mut Map<String, Value>) -> Value {
    let one = match field.kind() {
        Kind::Double | Kind::Float => json!({ "type": "number" }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer" }),
        Kind::Bool => json!({ "type": "boolean" }),
        // Numbers of 64 bits are text, since not every reader of JSON keeps them.
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 | Kind::String | Kind::Bytes => {
            json!({ "type": "string" })
        }
        Kind::Enum(words) => {
            let words: Vec<String> = words.values().map(|word| word.name().to_owned()).collect();
            json!({ "type": "string", "enum": words })
        }
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "google.protobuf.Duration" => json!({ "type": "string" }),
            _ => {
                define(&message, definitions);
                json!({ "$ref": format!("#/$defs/{}", message.name()) })
            }
        },
    };
    if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
}
