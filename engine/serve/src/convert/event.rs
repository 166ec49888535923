//! Canonical events of the API become facts.

use std::collections::BTreeMap;

use compact_str::CompactString;
use ontology::entity::{FieldSpec, ValueKind, field_of};
use ontology::{
    EntityKey, EntityKind, Fact, Field, Fields, FieldsBuilder, ListBuilder, LogPos, Millis, Op, System, ValueRef,
    Version, Vocabulary,
};
use prost::Message as _;
use proto::v1::{self, field_value::Kind};

use super::common::{millis, system_of};
use super::vocabulary;
use crate::reason::{Reason, Refusal};

/// Longest id of an event, a row or an entity, in bytes.
const ID_BYTES_MAX: usize = 1_024;

/// Longest event, in bytes; a longer one is set aside (spec 3).
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Bytes that are kept of one that is too long.
const OVERSIZED_KEPT_BYTES: usize = 64 << 10;

/// Why an event cannot become a fact: its quarantine code and what to tell the sender.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Quarantine code.
    pub code: &'static str,
    /// What to tell the sender.
    pub refusal: Refusal,
}

/// Reads an event that came in at `observed_at`.
///
/// # Errors
/// If it names no row or version, breaks the contract in a required field, or speaks for the hub or
/// the people who use it.
pub fn fact(event: &v1::Event, observed_at: Millis) -> Result<Fact, Unfit> {
    let unfit = |code: &'static str, problem: String| Unfit {
        code,
        refusal: Refusal::new(Reason::BadPayload).with("event_id", &event.event_id).with("problem", problem),
    };
    let length = event.encoded_len();
    if length > EVENT_BYTES_MAX {
        return Err(unfit("oversized", format!("has {length} bytes, at most {EVENT_BYTES_MAX} are taken")));
    }
    let no_identity = |problem: &str| unfit("no_identity", problem.to_owned());
    let breach = |refusal: Refusal| unfit("contract_breach", refusal.message());

    let ids = [&event.event_id, &event.object, &event.record_id];
    if ids.iter().any(|id| id.is_empty() || id.len() > ID_BYTES_MAX) || event.entity_id.len() > ID_BYTES_MAX {
        return Err(no_identity("event_id, object and record_id are required and at most 1024 bytes long"));
    }
    let system = system_of("system", event.system).map_err(|_| no_identity("system names no system"))?;
    if matches!(system, System::Engine | System::Human) {
        return Err(no_identity("system is the hub's own"));
    }
    let version = event.version.as_ref().ok_or_else(|| no_identity("version is required"))?;
    let kind_name = if event.entity_type.is_empty() { &event.object } else { &event.entity_type };
    let kind = EntityKind::parse(kind_name).ok_or_else(|| no_identity("entity_type names no kind of record"))?;
    let op = vocabulary(event.operation).ok_or_else(|| unfit("contract_breach", "operation is required".to_owned()))?;
    if !is_of_sources(kind, op) {
        return Err(unfit(
            "contract_breach",
            format!("{kind_name} is no record of a source; people have calls of their own to decide"),
        ));
    }
    let changed_at =
        event.change_time.as_ref().ok_or_else(|| unfit("contract_breach", "change_time is required".to_owned()))?;
    let read_at = event.read_time.as_ref().map(|time| millis("read_time", time)).transpose().map_err(breach)?;
    let entity_id = if event.entity_id.is_empty() { &event.record_id } else { &event.entity_id };
    Ok(Fact {
        event_id: CompactString::new(&event.event_id),
        system,
        object: CompactString::new(&event.object),
        record_id: CompactString::new(&event.record_id),
        entity: EntityKey::new(kind, entity_id),
        op,
        version: Version::with_tail(version.major, version.minor, version.ordinal, &version.tail),
        changed_at: millis("change_time", changed_at).map_err(breach)?,
        observed_at,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: event.contract_version,
        mapping_version: event.mapping_version,
        read_at,
        key_slot: 0,
        fields: fields(kind, &event.fields).map_err(|problem| unfit("contract_breach", problem))?,
    })
}

/// Whether sources tell of such records. What a person decided is believed over every source and
/// every model, so nobody may say it in another's name.
fn is_of_sources(kind: EntityKind, op: Op) -> bool {
    match kind {
        EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => false,
        EntityKind::Watermark => op == Op::Heartbeat,
        EntityKind::Account
        | EntityKind::ArCustomer
        | EntityKind::BusinessPartner
        | EntityKind::CallerProfile
        | EntityKind::Case
        | EntityKind::Invoice
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::Dispute
        | EntityKind::CreditNote
        | EntityKind::ExchangeRate
        | EntityKind::Interaction
        | EntityKind::ServiceOrder
        | EntityKind::FieldDispatch
        | EntityKind::DirectoryEntry
        | EntityKind::KnowledgeArticle
        | EntityKind::DesktopTelemetry
        | EntityKind::Transfer => true,
    }
}

/// Reads the fields of a record. A value that does not fit is a breach in a required field, and bad
/// but kept in any other.
fn fields(kind: EntityKind, values: &BTreeMap<String, v1::FieldValue>) -> Result<Fields, String> {
    let mut builder = FieldsBuilder::default();
    for (name, value) in values {
        let field = Field::parse(name).ok_or_else(|| format!("there is no field {name}"))?;
        let spec = field_of(kind, field).ok_or_else(|| format!("{} has no field {name}", kind.name()))?;
        set(&mut builder, spec, value.kind.as_ref())?;
    }
    Ok(builder.build())
}

fn set(builder: &mut FieldsBuilder, spec: &FieldSpec, value: Option<&Kind>) -> Result<(), String> {
    let field = spec.field;
    let Some(value) = value else {
        builder.set(field, ValueRef::Null);
        return Ok(());
    };
    let fits = match (spec.kind, value) {
        (ValueKind::Text, Kind::Text(text)) => set_to(builder, field, ValueRef::Text(text)),
        (ValueKind::Int, Kind::Integer(number)) => set_to(builder, field, ValueRef::Int(*number)),
        (ValueKind::Bool, Kind::Flag(flag)) => set_to(builder, field, ValueRef::Bool(*flag)),
        (ValueKind::Time, Kind::Time(time)) => {
            millis("time", time).is_ok_and(|at| set_to(builder, field, ValueRef::Time(at)))
        }
        (ValueKind::Word { parse, .. }, Kind::Text(text)) => {
            set_to(builder, field, parse(text).map_or(ValueRef::Unknown(text), ValueRef::Code))
        }
        (ValueKind::Decimal, Kind::Decimal(text)) => decimal(text).is_some_and(|value| set_to(builder, field, value)),
        (ValueKind::Decimal, Kind::Integer(number)) => {
            set_to(builder, field, ValueRef::Decimal { mantissa: *number, scale: 0 })
        }
        (ValueKind::Decimal, Kind::Money(money)) => amount(money).is_some_and(|value| set_to(builder, field, value)),
        (ValueKind::List, Kind::Items(items)) => {
            let list = list(items)?;
            set_to(builder, field, list.value())
        }
        (
            ValueKind::Text
            | ValueKind::Int
            | ValueKind::Bool
            | ValueKind::Time
            | ValueKind::Decimal
            | ValueKind::List
            | ValueKind::Word { .. },
            _,
        ) => false,
    };
    if !fits && spec.is_required {
        return Err(format!("{} has a value of a wrong type or out of range", field.name()));
    }
    if !fits {
        builder.set(field, ValueRef::Bad("wrong type or out of range"));
    }
    Ok(())
}

fn set_to(builder: &mut FieldsBuilder, field: Field, value: ValueRef<'_>) -> bool {
    builder.set(field, value);
    true
}

/// An event that could not become a fact, as it is kept: of one that is too long, the beginning.
#[must_use]
pub fn kept(event: &v1::Event) -> Vec<u8> {
    let mut raw = event.encode_to_vec();
    if raw.len() > EVENT_BYTES_MAX {
        raw.truncate(OVERSIZED_KEPT_BYTES);
    }
    raw
}

/// Items carry fields of several kinds of record, so their values speak for their own type.
fn list(items: &v1::FieldItemList) -> Result<ListBuilder, String> {
    let mut list = ListBuilder::default();
    for item in &items.items {
        let mut builder = FieldsBuilder::default();
        for (name, value) in &item.fields {
            let field = Field::parse(name).ok_or_else(|| format!("there is no field {name}"))?;
            let value = match value.kind.as_ref() {
                None => Some(ValueRef::Null),
                Some(Kind::Text(text)) => Some(ValueRef::Text(text)),
                Some(Kind::Integer(number)) => Some(ValueRef::Int(*number)),
                Some(Kind::Flag(flag)) => Some(ValueRef::Bool(*flag)),
                Some(Kind::Decimal(text)) => decimal(text),
                Some(Kind::Money(money)) => amount(money),
                Some(Kind::Time(time)) => millis("time", time).ok().map(ValueRef::Time),
                Some(Kind::Items(_)) => None,
            };
            builder.set(field, value.ok_or_else(|| format!("{name} of an item has a value out of range"))?);
        }
        list.push(&builder.build());
    }
    Ok(list)
}

/// An exact decimal number such as `-12.50`; none if it does not fit.
fn decimal(text: &str) -> Option<ValueRef<'static>> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let all = whole.bytes().chain(rest.bytes()).all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !all || digits.ends_with('.') {
        return None;
    }
    let mantissa: i64 = format!("{whole}{rest}").parse().ok()?;
    Some(ValueRef::Decimal { mantissa: sign * mantissa, scale: u8::try_from(rest.len()).ok()? })
}

/// An amount; its currency stands in a field of its own.
fn amount(money: &v1::Money) -> Option<ValueRef<'static>> {
    if !(-999_999_999..=999_999_999).contains(&money.nanos)
        || money.units.signum() * i64::from(money.nanos.signum()) < 0
    {
        return None;
    }
    let (mut nanos, mut scale) = (i64::from(money.nanos), 9_u8);
    while scale > 0 && nanos % 10 == 0 {
        nanos /= 10;
        scale -= 1;
    }
    let mantissa = money.units.checked_mul(10_i64.pow(u32::from(scale)))?.checked_add(nanos)?;
    Some(ValueRef::Decimal { mantissa, scale })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
