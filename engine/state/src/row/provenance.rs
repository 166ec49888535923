//! Deliveries: what a value is compared by and where it came from.

use compact_str::CompactString;
use ontology::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use ontology::{Fact, LogPos, Millis, Stamp, Version};

/// Which delivery a value came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What the value is compared by.
    pub stamp: Stamp,
    /// The event.
    pub event_id: CompactString,
    /// When the connector saw it.
    pub observed_at: Millis,
    /// When it happened (spec 1.4).
    pub event_time: Millis,
    /// Whether the source's clock was too far ahead.
    pub has_clock_skew: bool,
    /// When the log took it.
    pub ingested_at: Millis,
    /// Where it stands in the log.
    pub log_pos: LogPos,
}

impl Provenance {
    pub(super) fn of(fact: &Fact) -> Self {
        Provenance {
            stamp: fact.stamp(),
            event_id: fact.event_id.clone(),
            observed_at: fact.observed_at,
            event_time: fact.event_time(),
            has_clock_skew: fact.has_clock_skew(),
            ingested_at: fact.ingested_at,
            log_pos: fact.log_pos,
        }
    }

    /// Of deliveries with the same version and content, the one that stands for all comes first.
    pub(crate) fn stands_before(&self, other: &Provenance) -> bool {
        (self.observed_at, &self.event_id) < (other.observed_at, &other.event_id)
    }

    /// Whether a gap that came with `other` says nothing that this one does not say, as a gap of the same
    /// row: it is of no higher version and happened no earlier. Of two that are equal in this one of them.
    pub(super) fn dominates(&self, other: &Provenance) -> bool {
        let at = |gap: &Self| (gap.stamp.version.clone(), gap.event_time);
        if at(self) == at(other) {
            let sighting = |gap: &Self| (gap.observed_at, gap.event_id.clone(), gap.stamp.clone());
            return sighting(self) < sighting(other);
        }
        self.stamp.version >= other.stamp.version && self.event_time <= other.event_time
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let version = &self.stamp.version;
        put_u64(out, version.major);
        put_u64(out, version.minor);
        put_u64(out, version.ordinal);
        put_bytes(out, version.tail.as_bytes());
        put_u64(
            out,
            u64::from(self.stamp.mapping_version) << 2
                | u64::from(self.has_clock_skew) << 1
                | u64::from(self.stamp.read_at != Millis::MIN),
        );
        if self.stamp.read_at != Millis::MIN {
            put_i64(out, self.stamp.read_at.0);
        }
        put_bytes(out, self.event_id.as_bytes());
        put_i64(out, self.event_time.0);
        put_i64(out, self.observed_at.0.wrapping_sub(self.event_time.0));
        put_i64(out, self.ingested_at.0.wrapping_sub(self.event_time.0));
        put_u64(out, self.log_pos.0);
    }

    /// Passes over a stored delivery; says whether the source's clock was too far ahead.
    pub(super) fn skip(cursor: &mut Cursor<'_>) -> Result<bool, Corrupt> {
        let _version = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.bytes()?);
        let flags = cursor.u64()?;
        if flags & 1 == 1 {
            cursor.u64()?;
        }
        let _event_id = cursor.bytes()?;
        let _times_and_place = (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
        Ok(flags & 2 == 2)
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        let (major, minor, ordinal) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let version = Version { major, minor, ordinal, tail: cursor.compact()? };
        let flags = cursor.u64()?;
        let read_at = if flags & 1 == 1 { Millis(cursor.i64()?) } else { Millis::MIN };
        let mapping_version = u32::try_from(flags >> 2).map_err(|_| Corrupt("a mapping version"))?;
        let event_id = cursor.compact()?;
        let event_time = Millis(cursor.i64()?);
        let observed_at = Millis(event_time.0.wrapping_add(cursor.i64()?));
        let ingested_at = Millis(event_time.0.wrapping_add(cursor.i64()?));
        Ok(Provenance {
            stamp: Stamp { version, mapping_version, read_at },
            event_id,
            observed_at,
            event_time,
            has_clock_skew: flags & 2 == 2,
            ingested_at,
            log_pos: LogPos(cursor.u64()?),
        })
    }
}
