//! How far each source is known received: watermarks per partition and known, unapplied changes.

use std::collections::BTreeMap;

use compact_str::CompactString;
use ontology::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use ontology::{EntityKey, EntityKind, Fact, Millis, Op, System, Vocabulary};
use state::freshness::SourceState;
use state::{Freshness, SystemFreshness};

/// What has been heard of the sources so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Per partition that sends heartbeats or is probed.
    partitions: BTreeMap<(System, CompactString), Millis>,
    /// Newest event per system: the watermark of a source without partitions.
    newest_event: BTreeMap<System, Millis>,
    /// Changes known and not applied, since when.
    gaps: BTreeMap<EntityKey, (System, Millis)>,
    /// Systems for which neither heartbeat nor probe is configured.
    unmonitored: Vec<System>,
}

impl Sources {
    /// Takes what a fact says about its source.
    pub fn observe(&mut self, fact: &Fact) {
        let event_time = fact.event_time();
        if fact.op == Op::Heartbeat {
            let watermark = self.partitions.entry((fact.system, fact.record_id.clone())).or_insert(event_time);
            *watermark = event_time.max(*watermark);
        } else {
            let newest = self.newest_event.entry(fact.system).or_insert(event_time);
            *newest = event_time.max(*newest);
        }
    }

    /// Takes the beginning or end of a known, unapplied change.
    pub fn gap(&mut self, entity: EntityKey, system: System, since: Option<Millis>) {
        match since {
            Some(since) => self.gaps.insert(entity, (system, since)),
            None => self.gaps.remove(&entity),
        };
    }

    /// Says for which systems there is neither heartbeat nor probe.
    pub fn set_unmonitored(&mut self, systems: &[System]) {
        self.unmonitored = systems.to_vec();
    }

    /// Known, unapplied changes, by entity: system and since when.
    #[must_use]
    pub fn gaps(&self) -> &BTreeMap<EntityKey, (System, Millis)> {
        &self.gaps
    }

    /// Up to when everything of a system is known received: the lowest over its partitions.
    #[must_use]
    pub fn watermark(&self, system: System) -> Option<Millis> {
        let partitions = self.partitions.iter().filter(|((of, _), _)| counts_with(*of) == system);
        let newest = self.newest_event.iter().filter(|(of, _)| counts_with(**of) == system);
        partitions.map(|(_, watermark)| *watermark).min().or_else(|| newest.map(|(_, newest)| *newest).max())
    }

    /// Whether a source's watermark is within its bound at `now`, whatever single changes are
    /// missing.
    #[must_use]
    pub fn watermark_freshness(&self, system: System, now: Millis) -> SystemFreshness {
        SourceState { oldest_gap: None, ..*self.freshness().source(system) }.at(now)
    }

    /// What evaluation needs to know.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        let mut freshness = Freshness::default();
        for system in System::SOURCES {
            let state = freshness.source_mut(system);
            state.watermark = self.watermark(system);
            let gaps = self.gaps.values().filter(|(of, _)| counts_with(*of) == system);
            state.oldest_gap = gaps.map(|(_, since)| *since).min();
            state.is_monitored = !self.unmonitored.iter().any(|of| counts_with(*of) == system);
        }
        freshness
    }

    /// Appends the stored form. Gaps are not part of it: they stand in the rows.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.partitions.len() as u64);
        for ((system, partition), watermark) in &self.partitions {
            out.push(system.code());
            put_bytes(out, partition.as_bytes());
            put_i64(out, watermark.0);
        }
        put_u64(out, self.newest_event.len() as u64);
        for (system, newest) in &self.newest_event {
            out.push(system.code());
            put_i64(out, newest.0);
        }
    }

    /// Reads the stored form.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        let system_at = |cursor: &mut Cursor<'_>| System::from_code(cursor.byte()?).ok_or(Corrupt("a system"));
        let mut sources = Sources::default();
        for _ in 0..cursor.u64()? {
            let system = system_at(cursor)?;
            let partition = cursor.compact()?;
            sources.partitions.insert((system, partition), Millis(cursor.i64()?));
        }
        for _ in 0..cursor.u64()? {
            let system = system_at(cursor)?;
            sources.newest_event.insert(system, Millis(cursor.i64()?));
        }
        Ok(sources)
    }
}

/// The source that a system's picture counts with: another service desk stands beside Salesforce.
fn counts_with(system: System) -> System {
    match system {
        System::Zendesk => System::Salesforce,
        System::Salesforce | System::Oracle | System::Wxcc | System::Sap | System::Engine | System::Human => system,
    }
}

/// The name under which a source partition's watermark is addressed.
#[must_use]
pub fn watermark_key(system: System, partition: &str) -> EntityKey {
    EntityKey::new(EntityKind::Watermark, format!("{}/{partition}", system.name()))
}

#[cfg(test)]
mod tests {
    use ontology::{Fields, LogPos, Version};

    use super::*;

    fn heartbeat(system: System, partition: &str, at: i64) -> Fact {
        Fact {
            event_id: CompactString::default(),
            system,
            object: "watermark".into(),
            record_id: partition.into(),
            entity: watermark_key(system, partition),
            op: Op::Heartbeat,
            version: Version::default(),
            changed_at: Millis(at),
            observed_at: Millis(at),
            ingested_at: Millis(at),
            log_pos: LogPos(0),
            contract_version: 1,
            mapping_version: 0,
            read_at: None,
            key_slot: 0,
            fields: Fields::default(),
        }
    }

    #[test]
    fn another_service_desk_counts_with_salesforce() {
        let mut sources = Sources::default();
        sources.observe(&heartbeat(System::Zendesk, "desk", 1_000));
        assert_eq!(sources.watermark(System::Salesforce), Some(Millis(1_000)), "alone it stands for both");
        assert_eq!(sources.watermark(System::Sap), None);
        sources.observe(&heartbeat(System::Salesforce, "bus", 500));
        assert_eq!(sources.watermark(System::Salesforce), Some(Millis(500)), "the slower one counts");
        let until = 500 + Freshness::LAG_MAX_MS;
        assert!(sources.freshness().at(System::Zendesk, Millis(until)).is_fresh());
        assert!(!sources.freshness().at(System::Zendesk, Millis(until + 1)).is_fresh());
        sources.set_unmonitored(&[System::Zendesk]);
        assert_eq!(sources.freshness().at(System::Salesforce, Millis(until + 1)), SystemFreshness::Unmonitored);
    }
}
