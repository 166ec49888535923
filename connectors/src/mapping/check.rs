//! What a payload becomes under a mapping, field by field, and what of it nothing reads.
//!
//! It decodes by the same code as the hub. Beside each field it puts the native value that it came
//! from, which it looks for in the payload itself: a row is the JSON object or XML element that
//! holds the record's id. So it can also say which columns of the row no field reads.

use std::collections::BTreeMap;

use ontology::{Fact, Fields, System, ValueRef, Vocabulary};

use super::{ObjectMap, words};
use crate::Connectors;
use crate::contract::{Delivery, Reject};
use crate::json::Json;
use crate::xml::{Element, Text};

/// What a payload becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its facts, in the order of the payload.
    pub facts: Vec<CheckedFact>,
    /// What would go to quarantine.
    pub rejects: Vec<Reject>,
    /// Entries that are no business of the hub.
    pub ignored: usize,
}

/// What one row becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFact {
    /// What it does, for example `image case Case/500A -> case/500A at 9.1.1`.
    pub summary: String,
    /// Its fields, in the order of the mapping; fields that the connector adds by itself at the end.
    pub fields: Vec<CheckedField>,
    /// Columns of the row that no field reads, with their values.
    pub unread: Vec<(String, String)>,
}

/// What one field is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedField {
    /// The columns that fill it, as the mapping names them; empty for what the connector adds.
    pub columns: String,
    /// What stands in them, as far as it was found in the payload.
    pub native: String,
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
}

/// Decodes a delivery of `system` and tells what it becomes.
#[must_use]
pub fn check(connectors: &Connectors, system: System, delivery: &Delivery<'_>) -> Checked {
    let decoded = connectors.decode(system, delivery);
    let rows = rows(delivery.raw);
    let facts = decoded.facts.iter().map(|fact| checked(connectors, system, fact, &rows)).collect();
    Checked { facts, rejects: decoded.rejects, ignored: decoded.ignored }
}

/// A row of the payload: leaf columns by their dotted names.
type Row = BTreeMap<String, String>;

fn checked(connectors: &Connectors, system: System, fact: &Fact, rows: &[Row]) -> CheckedFact {
    let summary = format!(
        "{} {}/{} -> {}/{} at {}",
        fact.op.name(),
        fact.object,
        fact.record_id,
        fact.entity.kind.name(),
        fact.entity.id,
        fact.version
    );
    let object = connectors.mapping(system).and_then(|mapping| mapping.object(&fact.object));
    let row = object.and_then(|object| rows.iter().find(|row| is_row_of(object, fact, row)));
    let mut fields = Vec::new();
    for map in object.into_iter().flat_map(|object| &object.fields) {
        let said = fact.fields.iter().find(|(field, _)| *field == map.to);
        let is_told = fields.iter().any(|told: &CheckedField| told.field == map.to.name());
        let Some((_, value)) = said.filter(|_| !is_told) else { continue };
        let columns: Vec<&str> = map.from.iter().map(String::as_str).collect();
        let natives = columns.iter().filter_map(|column| row.and_then(|row| native(row, column)));
        fields.push(CheckedField {
            native: natives.collect::<Vec<_>>().join(" "),
            columns: columns.join(" + "),
            field: map.to.name(),
            value: shown(fact, map.to, value),
        });
    }
    for (field, value) in fact.fields.iter() {
        if !fields.iter().any(|told| told.field == field.name()) {
            let value = shown(fact, field, value);
            fields.push(CheckedField { columns: String::new(), native: String::new(), field: field.name(), value });
        }
    }
    let unread = object.zip(row).map(|(object, row)| unread(object, row)).unwrap_or_default();
    CheckedFact { summary, fields, unread }
}

/// Whether the row holds the record that the fact is about.
fn is_row_of(object: &ObjectMap, fact: &Fact, row: &Row) -> bool {
    native(row, &object.record).is_some_and(|id| object.id_form.apply(&id) == fact.record_id.as_str())
}

/// The value of a column, whatever the case of its letters where none is written so.
fn native(row: &Row, column: &str) -> Option<String> {
    let nested = || {
        let inner = row.iter().filter(|(name, _)| name.strip_prefix(column).is_some_and(|rest| rest.starts_with('.')));
        let parts: Vec<&str> = inner.map(|(_, value)| value.as_str()).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let in_any_case = || row.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, value)| value.clone());
    row.get(column).cloned().or_else(nested).or_else(in_any_case)
}

fn unread(object: &ObjectMap, row: &Row) -> Vec<(String, String)> {
    let conditions = object.fields.iter().filter_map(|field| field.when.as_ref()).chain(&object.delete_when);
    let columns = object.fields.iter().flat_map(|field| &field.from).chain(conditions.map(|when| &when.column));
    let columns: Vec<&String> = columns.chain([&object.record]).chain(&object.id).collect();
    let is_read = |name: &str| {
        columns.iter().any(|column| {
            name.eq_ignore_ascii_case(column)
                || name.strip_prefix(column.as_str()).is_some_and(|rest| rest.starts_with('.'))
        })
    };
    row.iter().filter(|(name, _)| !is_read(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A value as people read it.
fn shown(fact: &Fact, field: ontology::Field, value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "(empty)".to_owned(),
        ValueRef::Text(text) => text.to_owned(),
        ValueRef::Int(int) => int.to_string(),
        ValueRef::Bool(b) => b.to_string(),
        ValueRef::Time(at) => jiff::Timestamp::from_millisecond(at.0).map_or(at.0.to_string(), |at| at.to_string()),
        ValueRef::Decimal { mantissa, scale } => decimal(mantissa, scale),
        ValueRef::Code(code) => {
            let words = words::spoken(fact.entity.kind, field).unwrap_or_default();
            words.into_iter().find(|(_, known)| *known == code).map_or_else(|| code.to_string(), |(word, _)| word)
        }
        ValueRef::Unknown(raw) => format!("unknown word `{raw}`"),
        ValueRef::Bad(raw) => format!("bad value `{raw}`"),
        ValueRef::List(_) => {
            let items = value.items().filter_map(|item| Fields::from_bytes(item.0).ok());
            let items = items.map(|item| {
                let parts: Vec<String> = item.iter().map(|(field, value)| shown(fact, field, value)).collect();
                parts.join(" ")
            });
            items.collect::<Vec<_>>().join(", ")
        }
    }
}

fn decimal(mantissa: i64, scale: u8) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// Every object of a JSON payload, or every element of an XML one, as a row.
fn rows(raw: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Ok(entries) = Json::entries(raw) {
        entries.iter().for_each(|(_, json)| json_rows(json, &mut rows));
    } else if let Ok(text) = Text::of(raw)
        && let Ok(tree) = text.read()
    {
        tree.roots().for_each(|root| xml_rows(root, &mut rows));
    } else {
        for line in raw.split(|byte| *byte == b'\n') {
            if let Ok(json) = Json::parse(line) {
                json_rows(&json, &mut rows);
            }
        }
    }
    rows
}

fn json_rows(json: &Json<'_>, rows: &mut Vec<Row>) {
    match json {
        Json::Object(members) => {
            let mut row = Row::new();
            leaves(json, "", &mut row);
            rows.push(row);
            members.iter().for_each(|(_, value)| json_rows(value, rows));
        }
        Json::Array(elements) => elements.iter().for_each(|element| json_rows(element, rows)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {}
    }
}

fn leaves(json: &Json<'_>, path: &str, row: &mut Row) {
    let value = match json {
        Json::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                leaves(value, &path, row);
            }
            return;
        }
        Json::Null => String::new(),
        Json::Bool(b) => b.to_string(),
        Json::Number(digits) => (*digits).to_owned(),
        Json::Text(text) => text.to_string(),
        Json::Array(elements) => format!("[{} elements]", elements.len()),
    };
    row.insert(path.to_owned(), value);
}

fn xml_rows(element: Element<'_>, rows: &mut Vec<Row>) {
    if element.is_leaf() {
        return;
    }
    let mut row = Row::new();
    for child in element.children() {
        if child.is_leaf() {
            row.insert(child.name().to_owned(), child.text().to_owned());
        }
        for field in child.children().filter(|field| field.is_leaf()) {
            row.insert(format!("{}.{}", child.name(), field.name()), field.text().to_owned());
        }
    }
    rows.push(row);
    element.children().for_each(|child| xml_rows(child, rows));
}

impl Checked {
    /// Whether everything of the payload became facts and every word and value was understood.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let is_told_of =
            |field: &CheckedField| field.value.starts_with("unknown word") || field.value.starts_with("bad value");
        self.rejects.is_empty() && !self.facts.iter().flat_map(|fact| &fact.fields).any(is_told_of)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::Millis;

    use super::*;

    fn of(system: System, raw: &str) -> Checked {
        check(&Connectors::shipped(), system, &Delivery::document(raw.as_bytes(), Millis(0)))
    }

    fn field<'a>(fact: &'a CheckedFact, name: &str) -> &'a CheckedField {
        fact.fields.iter().find(|field| field.field == name).unwrap()
    }

    #[test]
    fn a_row_is_told_field_by_field_with_what_nothing_reads() {
        let checked = of(
            System::Oracle,
            "{\"op\":\"c\",\"source\":{\"ts_ms\":1000,\"table\":\"CREDIT_NOTE\",\"scn\":\"7\"},\"after\":{\
             \"CREDIT_NOTE_ID\":\"CN-1\",\"AMOUNT\":{\"scale\":2,\"value\":\"AIXK\"},\"STATUS\":\"PENDING_APPROVAL\",\
             \"CURRENCY\":\"USD\",\"APPROVER\":\"kim\"}}",
        );
        let fact = &checked.facts[0];
        assert_eq!(fact.summary, "image CREDIT_NOTE/CN-1 -> credit_note/CN-1 at 7.7.0");
        let amount = field(fact, "amount");
        assert_eq!(
            (amount.columns.as_str(), amount.native.as_str(), amount.value.as_str()),
            ("AMOUNT", "2 AIXK", "342.50")
        );
        let status = field(fact, "status");
        assert_eq!((status.native.as_str(), status.value.as_str()), ("PENDING_APPROVAL", "pendingapproval"));
        assert_eq!(fact.unread, [("APPROVER".to_owned(), "kim".to_owned())]);
        assert!(checked.is_clean());
    }

    #[test]
    fn a_segment_is_told_with_its_children() {
        let checked = of(
            System::Sap,
            "<Z><IDOC><EDI_DC40><DOCNUM>1</DOCNUM><SERIAL>20260310150000</SERIAL></EDI_DC40><Z1SRVORD>\
             <AUFNR>000000700123</AUFNR><STTXT>NEVER</STTXT><ZZCOLOR>red</ZZCOLOR></Z1SRVORD></IDOC></Z>",
        );
        let fact = &checked.facts[0];
        assert_eq!(field(fact, "status").value, "unknown word `NEVER`");
        assert_eq!(fact.unread, [("ZZCOLOR".to_owned(), "red".to_owned())]);
        assert!(!checked.is_clean());
        assert_eq!(of(System::Sap, "<Z>").rejects.len(), 1);
    }

    #[test]
    fn decimals_are_written_with_their_scale() {
        assert_eq!([decimal(-5, 2), decimal(34250, 2), decimal(7, 0)], ["-0.05", "342.50", "7"]);
    }
}
