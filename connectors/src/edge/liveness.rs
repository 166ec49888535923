//! Proof that a quiet source is alive.

use compact_str::{CompactString, format_compact};
use ontology::{EntityKey, EntityKind, Fact, Fields, LogPos, Millis, Op, System, Version};

/// The fact that nothing in `partition` changed up to `until` that is not yet known.
#[must_use]
pub fn heartbeat(system: System, partition: &str, until: Millis, observed_at: Millis) -> Fact {
    let time = u64::try_from(until.0).unwrap_or(0);
    Fact {
        event_id: format_compact!("watermark/{partition}/{time}"),
        system,
        object: CompactString::const_new("watermark"),
        record_id: CompactString::new(partition),
        entity: EntityKey::new(EntityKind::Watermark, partition),
        op: Op::Heartbeat,
        version: Version::new(time, 0, 0),
        changed_at: until,
        observed_at,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: 0,
        read_at: None,
        key_slot: 0,
        fields: Fields::default(),
    }
}
