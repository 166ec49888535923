//! A change of one row, whatever wire form told of it, and the fact that it becomes.

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version, Vocabulary as _};

use super::row::Row;
use crate::contract::{Decoded, RejectCode, Unplaced};
use crate::json::Json;
use crate::mapping::{Mode, ObjectMap};
use crate::value::{Columns as _, parse_instant};

/// Why an entry became no fact.
pub type Refusal = (RejectCode, String);

/// What a change does to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The image is the whole row, as after an insert or in a snapshot.
    Whole,
    /// The image is the row as far as it is told: an update may leave out what did not change.
    Told,
    /// The row is gone.
    Gone,
}

/// Where and when a change stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its version.
    pub version: Version,
    /// When it happened at the source.
    pub changed_at: Millis,
    /// What makes the event unique besides row and version.
    pub transaction: CompactString,
}

/// An entry without identity or version.
pub fn no_identity(detail: impl Into<String>) -> Refusal {
    (RejectCode::NoIdentity, detail.into())
}

/// An unsigned number that may be written as text.
pub fn number(value: &Json<'_>, name: &str) -> Option<u64> {
    unsigned(value.get(name)?)
}

/// The unsigned number that a value holds, as digits or as text.
pub fn unsigned(value: &Json<'_>) -> Option<u64> {
    value.scalar()?.trim().parse().ok()
}

/// The last part of a dotted name: `ORCLPDB1.AR.AR_INVOICE` and `erp.AR.AR_INVOICE` are both of
/// the table `AR_INVOICE`.
pub fn table_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The version of a row that names it in its own columns (`ordered_by` of the mapping): the instant
/// or number in the first of them, then the number in the second. None where they are absent.
pub fn own_version(row: &Row<'_>) -> Option<Version> {
    let (first, second) = (row.object.ordered_by.first()?, row.object.ordered_by.get(1));
    let column = row.column(first)?;
    let text = &column.word()?;
    let of_instant = |at: Millis| u64::try_from(at.0).ok();
    let major = match (text.parse::<u64>(), row.unit(first)) {
        // An instant is the same version on every path, whatever this one counts in.
        (Ok(count), Some(unit)) => of_instant(unit.instant(i64::try_from(count).ok()?)?)?,
        (Ok(number), None) => number,
        (Err(_), _) => of_instant(parse_instant(text, &row.mapping.zone)?)?,
    };
    let minor = match second {
        None => 0,
        Some(second) => row.column(second)?.word()?.parse().ok()?,
    };
    Some(Version::new(major, minor, 0))
}

/// What a row says of the entity that it is a row of.
enum Named {
    /// This one.
    Entity(CompactString),
    /// Nothing: what a change leaves out is what it was.
    Silent,
    /// None, or what is no name.
    None,
}

/// What the row says of its entity. A deletion by the key alone may show every other column as empty.
fn named(row: &Row<'_>, deed: Deed) -> Named {
    if let Some((_, entity)) = row.object.ids(row) {
        return Named::Entity(entity);
    }
    match row.object.id.as_ref().map(|id| row.column(id)) {
        Some(None) => Named::Silent,
        Some(Some(value)) if value.is_empty() && deed == Deed::Gone => Named::Silent,
        Some(Some(_)) | None => Named::None,
    }
}

/// Adds what the change of a row says. `before` is the row before an update, where it was told: an
/// entity that the row is no longer of loses it. A row that does not say what it is a row of is set
/// aside. Refused without an id, or where a value breaks the contract.
pub fn tell(
    row: &Row<'_>,
    before: Option<&Row<'_>>,
    deed: Deed,
    place: &Place,
    observed_at: Millis,
    out: &mut Decoded,
) -> Result<(), Refusal> {
    let object = row.object;
    let nameless = || no_identity(format!("{}: a row without {}", object.name, object.record));
    let record = object.record_id(row).ok_or_else(nameless)?;
    let former = before.and_then(|before| Some((object.record_id(before)?, named(before, Deed::Told))));
    let named = match (named(row, deed), &former) {
        (Named::Silent, Some((_, Named::Entity(entity)))) => Named::Entity(entity.clone()),
        (named, _) => named,
    };
    let mut put = |fact: Fact, entity: Named| match entity {
        Named::Entity(id) => {
            let entity = EntityKey { id, ..fact.entity.clone() };
            out.facts.push(Fact { entity, ..fact });
        }
        // The reject that stands for it is known once the entry is read.
        Named::Silent => out.unplaced.push(Unplaced { fact, reject: 0, trace: None }),
        Named::None => {}
    };
    if let Named::None = named {
        return Err(no_identity(nameless_entity(object)));
    }
    let told = fact(row, &record, deed, place, observed_at)?;
    if let (Some((former_record, former_entity)), Some(before)) = (former, before) {
        let has_moved = match (&former_entity, &named) {
            (Named::Entity(former), Named::Entity(entity)) => former != entity,
            _ => false,
        };
        if has_moved || former_record != record {
            let mut gone = fact(before, &former_record, Deed::Gone, place, observed_at)?;
            if former_record == record {
                gone.event_id.push_str("/moved");
            }
            put(gone, former_entity);
        }
    }
    put(told, named);
    Ok(())
}

/// Why a row that does not say what it is a row of becomes nothing.
pub fn nameless_entity(object: &ObjectMap) -> String {
    let id = object.id.as_ref().unwrap_or(&object.record);
    let entity = object.entity.name();
    format!("{}: a row without {id}, which names its {entity}: let the source send it too", object.name)
}

/// The fact of a change, of an entity whose id is still to be told.
fn fact(
    row: &Row<'_>,
    record: &CompactString,
    deed: Deed,
    place: &Place,
    observed_at: Millis,
) -> Result<Fact, Refusal> {
    let object = row.object;
    let (op, mode) = match deed {
        Deed::Gone => (Op::Delete, Mode::Image),
        // Also where little else is told of the row.
        Deed::Told | Deed::Whole if object.is_deleted(row) => (Op::Delete, Mode::Image),
        Deed::Told if !row.is_whole() => (Op::Patch, Mode::Update),
        // What the capture does not know of a row is not null.
        Deed::Whole if row.has_unknown() => (Op::Patch, Mode::Update),
        Deed::Told | Deed::Whole => (Op::Image, Mode::Image),
    };
    let mut fields = FieldsBuilder::default();
    if op != Op::Delete {
        row.mapping
            .apply(object, row, mode, &mut fields)
            .map_err(|breach| (RejectCode::ContractBreach, breach.to_string()))?;
    }
    let letter = if op == Op::Delete { "d" } else { "u" };
    let Place { version, changed_at, transaction } = place.clone();
    let event_id = format_compact!("{}/{record}/{version}/{transaction}/{letter}", object.name);
    Ok(Fact {
        event_id,
        system: System::Oracle,
        object: CompactString::new(&object.name),
        record_id: record.clone(),
        entity: EntityKey::new(object.entity, ""),
        op,
        version,
        changed_at,
        observed_at,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: object.contract,
        mapping_version: row.mapping.version,
        read_at: None,
        key_slot: 0,
        fields: fields.build(),
    })
}
