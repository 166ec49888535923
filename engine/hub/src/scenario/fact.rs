//! Facts from what a story says about them.

use std::collections::BTreeMap;

use ontology::entity::{ValueKind, field_of, fields_of};
use ontology::{
    EntityKey, EntityKind, Fact, Field, Fields, FieldsBuilder, ListBuilder, LogPos, Millis, Op, SourceKey, System,
    ValueRef, Version, Vocabulary,
};
use serde_json::Value;

use super::step::FactPart;
use super::time::Times;

/// The system that owns a kind of entity, unless a fact names another.
#[must_use]
pub fn system_of(kind: EntityKind) -> System {
    match kind {
        EntityKind::Account | EntityKind::Case | EntityKind::KnowledgeArticle => System::Salesforce,
        EntityKind::ArCustomer
        | EntityKind::Invoice
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::Dispute
        | EntityKind::CreditNote
        | EntityKind::ExchangeRate => System::Oracle,
        EntityKind::BusinessPartner | EntityKind::ServiceOrder | EntityKind::FieldDispatch => System::Sap,
        EntityKind::CallerProfile | EntityKind::Interaction | EntityKind::DesktopTelemetry => System::Wxcc,
        EntityKind::DirectoryEntry
        | EntityKind::Transfer
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision => System::Human,
        EntityKind::Watermark | EntityKind::CommandOutcome | EntityKind::Configuration => System::Engine,
    }
}

/// Reads `case/SF-1`.
pub fn entity(text: &str) -> Result<EntityKey, String> {
    EntityKey::parse(text).ok_or_else(|| {
        let kinds: Vec<&str> = EntityKind::ALL.iter().map(|(_, name)| *name).collect();
        format!("expected KIND/ID such as case/SF-1, found `{text}`; kinds: {}", kinds.join(", "))
    })
}

/// Reads a word of a vocabulary; `what` names it in the error.
pub fn word<V: Vocabulary>(what: &str, text: &str) -> Result<V, String> {
    V::parse(text).ok_or_else(|| {
        let words: Vec<&str> = V::ALL.iter().map(|(_, name)| *name).collect();
        format!("expected {what}, one of {}, found `{text}`", words.join(", "))
    })
}

/// Where a fact stands in its story.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// How instants are read.
    pub times: &'a Times,
    /// The story's clock.
    pub clock: Millis,
    /// Number of the fact in the story.
    pub number: u64,
}

/// The row that a fact is about.
pub fn source_key(part: &FactPart, key: &EntityKey) -> Result<SourceKey, String> {
    let system = match &part.system {
        Some(name) => word("a system", name)?,
        None => system_of(key.kind),
    };
    let object = part.object.clone().unwrap_or_else(|| key.kind.name().to_owned());
    let record_id = part.record_id.clone().unwrap_or_else(|| key.id.to_string());
    Ok(SourceKey { system, object: object.into(), record_id: record_id.into() })
}

/// The fact that a story describes. `is_first` says that nothing was said about its row before.
/// `observed_at` stays at [`Millis::MIN`] where the story leaves it to the delivery.
pub fn fact(part: &FactPart, place: Place<'_>, is_first: bool) -> Result<Fact, String> {
    let key = entity(&part.entity)?;
    let row = source_key(part, &key)?;
    let op = match &part.op {
        Some(name) => word("an operation", name)?,
        None if is_first => Op::Image,
        None => Op::Patch,
    };
    let changed_at = match &part.at {
        Some(text) => place.times.instant(text)?,
        None => place.clock,
    };
    let version = match &part.version {
        Some(value) => version(value)?,
        None => Version::new(u64::try_from(changed_at.0).unwrap_or_default(), place.number, 0),
    };
    let observed_at = match &part.observed_at {
        Some(text) => place.times.instant(text)?,
        None => Millis::MIN,
    };
    let event_id = match &part.event_id {
        Some(id) => id.as_str().into(),
        None => format!("{key}@{}", place.number).into(),
    };
    Ok(Fact {
        event_id,
        system: row.system,
        object: row.object,
        record_id: row.record_id,
        op,
        version,
        changed_at,
        observed_at,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: part.mapping_version.unwrap_or(1),
        read_at: None,
        key_slot: 0,
        fields: fields(key.kind, op, &part.fields, place.times)?,
        entity: key,
    })
}

/// Reads a number, or a list of up to three numbers and a text.
pub fn version(value: &Value) -> Result<Version, String> {
    let wrong = || format!("expected a version such as 900 or [900, 880, 0, text], found `{value}`");
    let parts = match value {
        Value::Array(parts) => parts.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(value)
        }
    };
    let mut numbers = Vec::with_capacity(3);
    let mut tail = "";
    for part in parts {
        match part {
            Value::Number(_) => numbers.push(part.as_u64().ok_or_else(wrong)?),
            Value::String(text) => tail = text,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(wrong()),
        }
    }
    if numbers.len() > 3 {
        return Err(wrong());
    }
    let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
    Ok(Version::with_tail(number(0), number(1), number(2), tail))
}

/// Fields of an entity by their names. An image names every field of its kind, absent ones as nulls.
pub fn fields(kind: EntityKind, op: Op, named: &BTreeMap<String, Value>, times: &Times) -> Result<Fields, String> {
    let mut builder = FieldsBuilder::default();
    if op == Op::Image {
        for spec in fields_of(kind) {
            builder.set(spec.field, ValueRef::Null);
        }
    }
    for (name, value) in named {
        let field = Field::parse(name).ok_or_else(|| format!("expected a field of the ontology, found `{name}`"))?;
        let spec = field_of(kind, field).ok_or_else(|| {
            let names: Vec<&str> = fields_of(kind).iter().map(|spec| spec.field.name()).collect();
            format!("{} has no field {name}; fields: {}", kind.name(), names.join(", "))
        })?;
        set(&mut builder, field, spec.kind, value, times).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(builder.build())
}

fn set(builder: &mut FieldsBuilder, field: Field, kind: ValueKind, value: &Value, times: &Times) -> Result<(), String> {
    if value.is_null() {
        builder.set(field, ValueRef::Null);
        return Ok(());
    }
    if let Some(bad) = value.get("bad").and_then(Value::as_str) {
        builder.set(field, ValueRef::Bad(bad));
        return Ok(());
    }
    let text = scalar(value);
    let needs = |what: &str| format!("expected {what}, found `{value}`");
    match kind {
        ValueKind::List => return set_list(builder, field, value, times),
        ValueKind::Text => builder.set(field, ValueRef::Text(&text.ok_or_else(|| needs("text"))?)),
        ValueKind::Int => builder.set(field, ValueRef::Int(value.as_i64().ok_or_else(|| needs("a whole number"))?)),
        ValueKind::Bool => builder.set(field, ValueRef::Bool(value.as_bool().ok_or_else(|| needs("true or false"))?)),
        ValueKind::Time => {
            let at = times.instant(value.as_str().ok_or_else(|| needs("an instant"))?)?;
            builder.set(field, ValueRef::Time(at))
        }
        ValueKind::Decimal => {
            let text = text.ok_or_else(|| needs("a decimal"))?;
            let (mantissa, scale) = decimal(&text).ok_or_else(|| needs("a decimal"))?;
            builder.set(field, ValueRef::Decimal { mantissa, scale })
        }
        ValueKind::Word { parse, .. } => {
            let text = text.ok_or_else(|| needs("a word"))?;
            match parse(&text) {
                Some(code) => builder.set(field, ValueRef::Code(code)),
                None => builder.set(field, ValueRef::Unknown(&text)),
            }
        }
    };
    Ok(())
}

/// A list of texts, or of items with fields of their own.
fn set_list(builder: &mut FieldsBuilder, field: Field, value: &Value, times: &Times) -> Result<(), String> {
    let items = value.as_array().ok_or_else(|| format!("expected a list, found `{value}`"))?;
    let mut list = ListBuilder::default();
    for item in items {
        let mut fields = FieldsBuilder::default();
        match item {
            Value::Object(named) => {
                for (name, value) in named {
                    let inner = Field::parse(name).ok_or_else(|| format!("expected a field, found `{name}`"))?;
                    set(&mut fields, inner, item_kind(inner), value, times).map_err(|why| format!("{name}: {why}"))?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let text = scalar(item).ok_or_else(|| format!("expected a text, found `{item}`"))?;
                let inner = if field == Field::RelatedRefs { Field::Ref } else { Field::Text };
                fields.set(inner, ValueRef::Text(&text));
            }
        }
        list.push(&fields.build());
    }
    builder.set(field, list.value());
    Ok(())
}

/// What kind of value a field takes inside a list: that of an invoice line, else text.
fn item_kind(field: Field) -> ValueKind {
    if field == Field::At {
        return ValueKind::Time;
    }
    field_of(EntityKind::InvoiceLine, field).map_or(ValueKind::Text, |spec| spec.kind)
}

/// Text of a scalar as the story wrote it.
#[must_use]
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Mantissa and scale of a plain decimal such as `-342.50`.
#[must_use]
pub fn decimal(text: &str) -> Option<(i64, u8)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_plain = !digits.is_empty() && digits.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !is_plain || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    Some((format!("{whole}{fraction}").parse().ok()?, u8::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::tz::TimeZone;
    use ontology::Coded;
    use ontology::FieldReader;
    use ontology::entity::{Case, Invoice};
    use ontology::status::CaseStatus;
    use serde_json::json;

    use super::*;

    fn part(value: Value) -> FactPart {
        serde_json::from_value(value).unwrap()
    }

    fn read(value: Value, is_first: bool) -> Result<Fact, String> {
        let times = Times { start: Millis(1_000_000), zone: TimeZone::UTC };
        fact(&part(value), Place { times: &times, clock: Millis(1_000_000), number: 7 }, is_first)
    }

    #[test]
    fn the_first_fact_of_a_row_is_an_image_and_names_all_fields() {
        let first = read(json!({ "entity": "case/SF-1", "fields": { "status": "resolved" } }), true).unwrap();
        assert_eq!((first.op, first.system, first.object.as_str()), (Op::Image, System::Salesforce, "case"));
        assert_eq!(first.fields.iter().count(), fields_of(EntityKind::Case).len());
        assert_eq!(Case::read(&first.fields).status, Coded::Known(CaseStatus::Resolved));
        assert_eq!(first.version, Version::new(1_000_000, 7, 0));
        let later = read(json!({ "entity": "case/SF-1", "fields": { "status": "Geparkt" } }), false).unwrap();
        assert_eq!((later.op, later.fields.iter().count()), (Op::Patch, 1));
        assert_eq!(Case::read(&later.fields).status, Coded::Unknown("Geparkt"));
    }

    #[test]
    fn values_are_read_by_the_kind_of_their_field() {
        let fields = json!({ "amount": 342.5, "due_date": "+1d", "tax": { "bad": "12,5x" }, "currency": "USD",
                             "lines": [{ "amount": "1.20", "service_order_ref": 77 }] });
        let fact =
            read(json!({ "entity": "invoice/1", "version": [900, 880], "at": "-1s", "fields": fields }), true).unwrap();
        let invoice = Invoice::read(&fact.fields);
        assert_eq!((invoice.amount, invoice.due_date), (Some((3_425, 1)), Some(Millis(87_400_000))));
        assert_eq!(fact.fields.get(Field::Tax), ValueRef::Bad("12,5x"));
        let line = invoice.lines.items().next().unwrap();
        assert_eq!(line.find(Field::Amount), ValueRef::Decimal { mantissa: 120, scale: 2 });
        assert_eq!(line.find(Field::ServiceOrderRef), ValueRef::Text("77"));
        assert_eq!((fact.version, fact.changed_at), (Version::new(900, 880, 0), Millis(999_000)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        for (value, expected) in [
            (json!({ "entity": "cases/1" }), "expected KIND/ID"),
            (json!({ "entity": "case/1", "fields": { "amount": 1 } }), "case has no field amount"),
            (json!({ "entity": "case/1", "fields": { "colour": 1 } }), "expected a field of the ontology"),
            (
                json!({ "entity": "case/1", "fields": { "reopen_count": "two" } }),
                "reopen_count: expected a whole number",
            ),
            (json!({ "entity": "invoice/1", "fields": { "amount": "12,5" } }), "amount: expected a decimal"),
            (json!({ "entity": "case/1", "op": "upsert" }), "expected an operation"),
            (json!({ "entity": "case/1", "version": [1, 2, 3, 4] }), "expected a version"),
            (json!({ "entity": "case/1", "system": "siebel" }), "expected a system"),
        ] {
            let error = read(value, true).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn decimals_are_plain() {
        assert_eq!(decimal("-342.50"), Some((-34_250, 2)));
        assert_eq!(decimal("0"), Some((0, 0)));
        for text in ["", "-", "1.", ".5", "1e3", "1,5", "99999999999999999999"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
