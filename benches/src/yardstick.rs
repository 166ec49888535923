//! The plain parse of native bytes: what any reader of them has to do, by the libraries that most
//! readers would take.
//!
//! Each function reads a whole delivery into owned values and throws them away. A decoder is measured
//! beside the one of its wire form.

use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;

/// A JSON value.
pub fn json(raw: &[u8]) {
    black_box(serde_json::from_slice::<serde_json::Value>(raw).is_ok());
}

/// A JSON value per line.
pub fn json_lines(raw: &[u8]) {
    raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(json);
}

/// Every event of an XML reader, with names and texts copied as a tree would need them.
pub fn xml(raw: &[u8]) {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(raw);
    let mut kept: Vec<String> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(Event::Start(tag)) => kept.push(tag.name().as_ref().to_owned()),
            Ok(Event::Text(text)) => kept.push(text.as_ref().to_owned()),
            Ok(_) => {}
        }
    }
    black_box(kept);
}

/// Where the fields of one kind of line lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// What such a line begins with.
    pub begins: String,
    /// Name, first character and width of each field.
    pub fields: Vec<(String, usize, usize)>,
}

/// Lines of fixed columns, each cut into named and trimmed texts.
pub fn columns(raw: &[u8], kinds: &[Columns]) {
    let Ok(text) = std::str::from_utf8(raw) else { return };
    for line in text.lines() {
        let Some(kind) = kinds.iter().find(|kind| line.starts_with(&kind.begins)) else { continue };
        let cut: Box<dyn Fn(usize, usize) -> String> = if line.is_ascii() {
            Box::new(|start, end| line.get(start..end.min(line.len())).unwrap_or_default().trim().to_owned())
        } else {
            let chars: Vec<char> = line.chars().collect();
            Box::new(move |start, end| {
                chars.get(start..end.min(chars.len())).unwrap_or_default().iter().collect::<String>().trim().to_owned()
            })
        };
        let kept = kind.fields.iter().map(|(name, start, width)| (name.clone(), cut(*start, start + width)));
        black_box(kept.collect::<Vec<(String, String)>>());
    }
}

/// Schemas that datums are read by.
#[derive(Debug, Default)]
pub struct Avro {
    schemas: std::collections::BTreeMap<String, Schema>,
}

impl Avro {
    /// Takes a schema in under the id that datums name it by.
    ///
    /// # Errors
    /// When the text is no Avro schema.
    pub fn learn(&mut self, id: &str, schema_json: &str) -> Result<(), apache_avro::Error> {
        self.schemas.insert(id.to_owned(), Schema::parse_str(schema_json)?);
        Ok(())
    }

    /// An Avro value; nothing where the schema is not known.
    pub fn datum(&self, id: &str, mut payload: &[u8]) {
        let Some(schema) = self.schemas.get(id) else { return };
        let reader = GenericDatumReader::builder(schema).build();
        black_box(reader.and_then(|reader| reader.read_value(&mut payload)).is_ok());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_schema_is_read_or_refused() {
        let mut avro = Avro::default();
        assert!(avro.learn("a", r#"{"type":"record","name":"r","fields":[{"name":"n","type":"long"}]}"#).is_ok());
        assert!(avro.learn("b", "{}").is_err());
        avro.datum("a", &[2]);
        avro.datum("unknown", &[2]);
    }

    #[test]
    fn bytes_that_are_none_of_a_form_are_no_trouble() {
        for raw in [b"".as_slice(), b"\xff", b"<a", b"{", b"\n\n"] {
            json(raw);
            json_lines(raw);
            xml(raw);
            columns(raw, &[Columns { begins: "<".to_owned(), fields: vec![("A".to_owned(), 0, 9)] }]);
        }
    }
}
