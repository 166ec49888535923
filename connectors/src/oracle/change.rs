//! A change of one row, whatever wire form told of it, and the fact that it becomes.

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version, Vocabulary as _};

use super::row::Row;
use crate::contract::{RejectCode, Resync};
use crate::json::Json;
use crate::mapping::Mode;
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
    let major = match text.parse::<u64>() {
        Ok(number) => number,
        Err(_) => u64::try_from(parse_instant(text, &row.mapping.zone)?.0).ok()?,
    };
    let minor = match second {
        None => 0,
        Some(second) => row.column(second)?.word()?.parse().ok()?,
    };
    Some(Version::new(major, minor, 0))
}

/// Whether the row names its record, if perhaps not what it is a row of.
fn has_record_id(row: &Row<'_>) -> bool {
    row.column(&row.object.record).is_some_and(|value| value.word().is_some())
}

/// The table that has to be read, where a deletion names a record and not what it is a row of: then
/// nobody but the table knows that it is gone.
pub fn unplaced(row: &Row<'_>, deed: Deed) -> Option<Resync> {
    let is_unplaced = deed == Deed::Gone && row.object.ids(row).is_none() && has_record_id(row);
    is_unplaced.then(|| Resync { object: row.object.name.clone(), version: None })
}

/// The fact of a change; refused without an id, or where a value breaks the contract.
pub fn fact(row: &Row<'_>, deed: Deed, place: Place, observed_at: Millis) -> Result<Fact, Refusal> {
    let object = row.object;
    let (record_id, entity_id) = object.ids(row).ok_or_else(|| {
        let Some(id) = object.id.as_ref().filter(|_| has_record_id(row)) else {
            return no_identity(format!("{}: a row without {}", object.name, object.record));
        };
        let entity = object.entity.name();
        no_identity(format!(
            "{}: a row without {id}, which names its {entity}: let the source send it too",
            object.name
        ))
    })?;
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
    let Place { version, changed_at, transaction } = place;
    let event_id = format_compact!("{}/{record_id}/{version}/{transaction}/{letter}", object.name);
    Ok(Fact {
        event_id,
        system: System::Oracle,
        object: CompactString::new(&object.name),
        record_id,
        entity: EntityKey { kind: object.entity, id: entity_id },
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
