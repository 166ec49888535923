//! Canonical JSON: sorted keys, integers only, one way to write each value. What digests are taken
//! over, so that two runs agree byte by byte or differ for a reason.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::fields::{FieldsRef, ValueRef};
use crate::vocabulary::Vocabulary;

/// A JSON value without floating point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// An array, in the order given.
    Array(Vec<Json>),
    /// An object, in key order.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Text.
    pub fn text(text: impl AsRef<str>) -> Json {
        Json::Text(text.as_ref().to_owned())
    }

    /// Text, or null.
    pub fn maybe_text(text: Option<impl AsRef<str>>) -> Json {
        text.map_or(Json::Null, Json::text)
    }

    /// An object of these members.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Json)>) -> Json {
        Json::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// An array of these items.
    pub fn array(items: impl IntoIterator<Item = Json>) -> Json {
        Json::Array(items.into_iter().collect())
    }

    /// Fields of a record, by field name.
    #[must_use]
    pub fn fields(fields: FieldsRef<'_>) -> Json {
        Json::object(fields.iter().map(|(field, value)| (field.name(), Json::value(value))))
    }

    /// A field's value. Words of vocabularies stand as their code under `code`, because the field
    /// alone does not tell the vocabulary.
    #[must_use]
    pub fn value(value: ValueRef<'_>) -> Json {
        match value {
            ValueRef::Null => Json::Null,
            ValueRef::Text(text) => Json::text(text),
            ValueRef::Int(int) => Json::Int(int),
            ValueRef::Bool(b) => Json::Bool(b),
            ValueRef::Time(time) => Json::object([("time_ms", Json::Int(time.0))]),
            ValueRef::Decimal { mantissa, scale } => {
                Json::object([("mantissa", Json::Int(mantissa)), ("scale", Json::Int(i64::from(scale)))])
            }
            ValueRef::Code(code) => Json::object([("code", Json::Int(i64::from(code)))]),
            ValueRef::Unknown(raw) => Json::object([("unknown", Json::text(raw))]),
            ValueRef::Bad(raw) => Json::object([("bad", Json::text(raw))]),
            ValueRef::List(_) => Json::array(value.items().map(Json::fields)),
        }
    }

    /// Appends the canonical text.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Int(int) => out.push_str(&int.to_string()),
            Json::Text(text) => write_text(text, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// SHA-256 of the canonical bytes of a value: what decides between two contents at one version.
#[must_use]
pub fn value_digest(value: ValueRef<'_>) -> [u8; 32] {
    Sha256::digest(Json::value(value).to_string().as_bytes()).into()
}

/// A digest over many canonical values, fed in a fixed order.
#[derive(Default)]
pub struct CanonicalDigest(Sha256);

impl CanonicalDigest {
    /// Adds a value.
    pub fn add(&mut self, value: &Json) {
        self.0.update(value.to_string().as_bytes());
        self.0.update(b"\n");
    }

    /// Hexadecimal SHA-256 of everything added.
    #[must_use]
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_control_characters_escaped() {
        let json = Json::object([("b", Json::Int(1)), ("a", Json::text("x\"\\\n"))]);
        assert_eq!(json.to_string(), r#"{"a":"x\"\\\u000a","b":1}"#);
    }
}
