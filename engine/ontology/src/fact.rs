//! The fact: one source row, at one version, said some fields.

use compact_str::CompactString;

use crate::LogPos;
use crate::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use crate::fields::Fields;
use crate::key::{EntityKey, EntityKind, SourceKey};
use crate::system::System;
use crate::time::Millis;
use crate::version::{Stamp, Version};
use crate::vocabulary::Vocabulary;

/// How a fact changes its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// Only the named fields changed.
    Patch,
    /// Every field that the mapping can fill: absent ones stand in the fact as nulls.
    Image,
    /// The row is gone.
    Delete,
    /// The row is back.
    Undelete,
    /// The row changed, its content is not known.
    Gap,
    /// Nothing changed up to `changed_at`.
    Heartbeat,
}

impl Vocabulary for Op {
    const ALL: &'static [(Self, &'static str)] = &[
        (Op::Patch, "patch"),
        (Op::Image, "image"),
        (Op::Delete, "delete"),
        (Op::Undelete, "undelete"),
        (Op::Gap, "gap"),
        (Op::Heartbeat, "heartbeat"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

/// One fact, with the envelope of spec 1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Unique per delivery source.
    pub event_id: CompactString,
    /// System that said it.
    pub system: System,
    /// Object, table or document type there.
    pub object: CompactString,
    /// Row there.
    pub record_id: CompactString,
    /// Entity that the row is part of.
    pub entity: EntityKey,
    /// What happened.
    pub op: Op,
    /// Version of the row after it.
    pub version: Version,
    /// When it happened, by the source's clock.
    pub changed_at: Millis,
    /// When the connector saw it.
    pub observed_at: Millis,
    /// When the log took it; [`Millis::MIN`] before that.
    pub ingested_at: Millis,
    /// Where it stands in the log; 0 before that.
    pub log_pos: LogPos,
    /// Version of the object's contract.
    pub contract_version: u32,
    /// Version of the mapping file that made it.
    pub mapping_version: u32,
    /// When a refetched image was read.
    pub read_at: Option<Millis>,
    /// Key under which personal data of the row are encrypted at rest; 0 is none.
    pub key_slot: u32,
    /// The fields.
    pub fields: Fields,
}

/// Version of the stored form of a fact.
const FORMAT: u8 = 1;

impl Fact {
    /// The clock allowance of spec 1.4: a source may be this much ahead of the connector.
    pub const CLOCK_SKEW_MAX_MS: i64 = 5_000;

    /// The row that version and image belong to.
    #[must_use]
    pub fn source_key(&self) -> SourceKey {
        SourceKey { system: self.system, object: self.object.clone(), record_id: self.record_id.clone() }
    }

    /// What its fields are compared by.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp {
            version: self.version.clone(),
            mapping_version: self.mapping_version,
            read_at: self.read_at.unwrap_or(Millis::MIN),
        }
    }

    /// Whether the source's clock is too far ahead to be believed.
    #[must_use]
    pub fn has_clock_skew(&self) -> bool {
        self.changed_at.since(self.observed_at) > Self::CLOCK_SKEW_MAX_MS
    }

    /// When it happened, for everything that reasons about time.
    #[must_use]
    pub fn event_time(&self) -> Millis {
        if self.has_clock_skew() { self.observed_at } else { self.changed_at }
    }

    /// Appends the stored form, without `log_pos` and `ingested_at`, which the block gives.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        out.push(self.system.code());
        out.push(self.entity.kind.code());
        out.push(self.op.code());
        for text in [&self.event_id, &self.object, &self.record_id, &self.entity.id, &self.version.tail] {
            put_bytes(out, text.as_bytes());
        }
        put_u64(out, self.version.major);
        put_u64(out, self.version.minor);
        put_u64(out, self.version.ordinal);
        put_i64(out, self.changed_at.0);
        put_i64(out, self.observed_at.0.wrapping_sub(self.changed_at.0));
        put_u64(out, u64::from(self.contract_version));
        put_u64(out, u64::from(self.mapping_version));
        put_u64(out, u64::from(self.key_slot));
        match self.read_at {
            None => out.push(0),
            Some(read_at) => {
                out.push(1);
                put_i64(out, read_at.0);
            }
        }
        put_bytes(out, self.fields.as_bytes());
    }

    /// Reads the stored form.
    pub fn decode(cursor: &mut Cursor<'_>, log_pos: LogPos, ingested_at: Millis) -> Result<Self, Corrupt> {
        if cursor.byte()? != FORMAT {
            return Err(Corrupt("a fact of a known format"));
        }
        let system = System::from_code(cursor.byte()?).ok_or(Corrupt("a system"))?;
        let kind = EntityKind::from_code(cursor.byte()?).ok_or(Corrupt("an entity kind"))?;
        let op = Op::from_code(cursor.byte()?).ok_or(Corrupt("an operation"))?;
        let event_id = cursor.compact()?;
        let object = cursor.compact()?;
        let record_id = cursor.compact()?;
        let entity = EntityKey { kind, id: cursor.compact()? };
        let tail = cursor.compact()?;
        let version = Version { major: cursor.u64()?, minor: cursor.u64()?, ordinal: cursor.u64()?, tail };
        let changed_at = Millis(cursor.i64()?);
        let observed_at = Millis(changed_at.0.wrapping_add(cursor.i64()?));
        let contract_version = small(cursor.u64()?)?;
        let mapping_version = small(cursor.u64()?)?;
        let key_slot = small(cursor.u64()?)?;
        let read_at = if cursor.byte()? == 0 { None } else { Some(Millis(cursor.i64()?)) };
        let fields = Fields::from_bytes(cursor.bytes()?)?;
        Ok(Fact {
            event_id,
            system,
            object,
            record_id,
            entity,
            op,
            version,
            changed_at,
            observed_at,
            ingested_at,
            log_pos,
            contract_version,
            mapping_version,
            read_at,
            key_slot,
            fields,
        })
    }
}

fn small(value: u64) -> Result<u32, Corrupt> {
    u32::try_from(value).map_err(|_| Corrupt("a small number"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::field::Field;
    use crate::fields::{FieldsBuilder, ValueRef};

    fn fact() -> Fact {
        let mut fields = FieldsBuilder::default();
        fields.set(Field::Subject, ValueRef::Text("no dial tone"));
        Fact {
            event_id: "e1".into(),
            system: System::Salesforce,
            object: "Case".into(),
            record_id: "500".into(),
            entity: EntityKey::new(EntityKind::Case, "SF-1"),
            op: Op::Patch,
            version: Version::with_tail(1, 2, 3, "x"),
            changed_at: Millis(1_000),
            observed_at: Millis(900),
            ingested_at: Millis(2_000),
            log_pos: LogPos(7),
            contract_version: 1,
            mapping_version: 2,
            read_at: Some(Millis(5)),
            key_slot: 9,
            fields: fields.build(),
        }
    }

    #[test]
    fn a_fact_reads_back_what_it_stored() {
        let mut bytes = Vec::new();
        fact().encode(&mut bytes);
        let read = Fact::decode(&mut Cursor(&bytes), LogPos(7), Millis(2_000)).unwrap();
        assert_eq!(read, fact());
        for cut in 0..bytes.len() {
            assert!(Fact::decode(&mut Cursor(&bytes[..cut]), LogPos(7), Millis(0)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_source_clock_may_be_five_seconds_ahead_and_no_more() {
        let mut fact = fact();
        fact.changed_at = fact.observed_at + 5_000;
        assert_eq!(fact.event_time(), fact.changed_at);
        fact.changed_at = fact.observed_at + 5_001;
        assert_eq!(fact.event_time(), fact.observed_at);
    }
}
