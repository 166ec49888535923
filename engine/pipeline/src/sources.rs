//! How far each source is known received: watermarks per partition and known, unapplied changes.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use ontology::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use ontology::{EntityKey, EntityKind, Evidence, Fact, Fields, LogPos, Millis, Op, System, Version, Vocabulary};
use state::freshness::{LagBounds, SourceState};
use state::{Freshness, SystemFreshness};

/// What has been heard of the sources so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Per partition that sends heartbeats or is probed.
    partitions: BTreeMap<(System, CompactString), Millis>,
    /// Partitions that are no longer configured, each with how far it was received then. What it says
    /// later brings it back.
    retired: BTreeMap<(System, CompactString), Millis>,
    /// Newest event per system: the watermark of a source without partitions.
    newest_event: BTreeMap<System, Millis>,
    /// Changes known and not applied.
    gaps: BTreeMap<EntityKey, Unapplied>,
    /// Systems for which neither heartbeat nor probe is configured.
    unmonitored: Vec<System>,
    /// How far each watermark may lag.
    bounds: LagBounds,
}

/// A change that is known to have happened, of which the content is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapplied {
    /// The system that it happened in.
    pub system: System,
    /// When it happened.
    pub since: Millis,
    /// The delivery that said so.
    pub evidence: Evidence,
}

/// When the newest event of each source happened that was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastEvents([Option<Millis>; System::SOURCES.len()]);

impl LastEvents {
    /// Every source with its newest event, in the order of [`System::SOURCES`].
    pub fn of_sources(&self) -> impl Iterator<Item = (System, Option<Millis>)> {
        System::SOURCES.into_iter().zip(self.0)
    }
}

impl Sources {
    /// Takes what a fact says about its source.
    pub fn observe(&mut self, fact: &Fact) {
        let event_time = fact.event_time();
        if fact.op == Op::Heartbeat {
            // The hub says nothing of itself: it stands where a fact is passed over.
            if fact.system == System::Engine {
                return;
            }
            let watermark = self.partitions.entry((fact.system, fact.record_id.clone())).or_insert(event_time);
            *watermark = event_time.max(*watermark);
        } else if fact.entity.kind == EntityKind::Watermark {
            let retired = self.retired.entry((fact.system, fact.record_id.clone())).or_insert(event_time);
            *retired = event_time.max(*retired);
        } else {
            let newest = self.newest_event.entry(fact.system).or_insert(event_time);
            *newest = event_time.max(*newest);
        }
    }

    /// Takes the beginning or end of a known, unapplied change.
    pub fn gap(&mut self, entity: EntityKey, gap: Option<Unapplied>) {
        match gap {
            Some(gap) => self.gaps.insert(entity, gap),
            None => self.gaps.remove(&entity),
        };
    }

    /// Says for which systems there is neither heartbeat nor probe.
    pub fn set_unmonitored(&mut self, systems: &[System]) {
        self.unmonitored = systems.to_vec();
    }

    /// Says how far each watermark may lag.
    pub fn set_bounds(&mut self, bounds: LagBounds) {
        self.bounds = bounds;
    }

    /// Known, unapplied changes, by entity.
    #[must_use]
    pub fn gaps(&self) -> &BTreeMap<EntityKey, Unapplied> {
        &self.gaps
    }

    /// Partitions in force that no connector of `configured` names, each with how far it is received. A
    /// system's picture that nothing is configured for keeps its partitions: it is as stale as they say.
    #[must_use]
    pub fn not_among(&self, configured: &[(System, CompactString)]) -> Vec<(System, CompactString, Millis)> {
        let is_connected = |system| configured.iter().any(|(of, _)| counts_with(*of) == counts_with(system));
        let gone = self.in_force().filter(|(key, _)| is_connected(key.0) && !configured.contains(key));
        gone.map(|((system, partition), watermark)| (*system, partition.clone(), *watermark)).collect()
    }

    /// Partitions that are not retired.
    fn in_force(&self) -> impl Iterator<Item = (&(System, CompactString), &Millis)> {
        self.partitions.iter().filter(|(key, watermark)| self.retired.get(*key).is_none_or(|until| *watermark > until))
    }

    /// Up to when everything of a system is known received: the lowest over its partitions.
    #[must_use]
    pub fn watermark(&self, system: System) -> Option<Millis> {
        let partitions = self.in_force().filter(|((of, _), _)| counts_with(*of) == system);
        let newest = self.newest_event.iter().filter(|(of, _)| counts_with(**of) == system);
        partitions.map(|(_, watermark)| *watermark).min().or_else(|| newest.map(|(_, newest)| *newest).max())
    }

    /// The partition that holds a system's watermark back; none if the system has no partitions.
    #[must_use]
    pub fn slowest_partition(&self, system: System) -> Option<&CompactString> {
        let partitions = self.in_force().filter(|((of, _), _)| counts_with(*of) == system);
        partitions.min_by_key(|(_, watermark)| **watermark).map(|((_, partition), _)| partition)
    }

    /// When the newest event of each source happened.
    #[must_use]
    pub fn last_events(&self) -> LastEvents {
        let newest_of = |system| {
            let newest = self.newest_event.iter().filter(|(of, _)| counts_with(**of) == system);
            newest.map(|(_, newest)| *newest).max()
        };
        LastEvents(System::SOURCES.map(newest_of))
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
            for Unapplied { since, .. } in self.gaps.values().filter(|gap| counts_with(gap.system) == system) {
                state.oldest_gap = Some(state.oldest_gap.map_or(*since, |oldest| oldest.min(*since)));
                state.gap_count += 1;
            }
            state.lag_max_ms = self.bounds.of(system);
            state.is_monitored = !self.unmonitored.iter().any(|of| counts_with(*of) == system);
        }
        freshness
    }

    /// Appends the stored form. Gaps are not part of it: they stand in the rows.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_partitions(out, &self.partitions);
        put_u64(out, self.newest_event.len() as u64);
        for (system, newest) in &self.newest_event {
            out.push(system.code());
            put_i64(out, newest.0);
        }
        put_partitions(out, &self.retired);
    }

    /// Reads the stored form.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Corrupt> {
        let system_at = |cursor: &mut Cursor<'_>| System::from_code(cursor.byte()?).ok_or(Corrupt("a system"));
        let partitions_at = |cursor: &mut Cursor<'_>| -> Result<BTreeMap<_, _>, Corrupt> {
            let mut partitions = BTreeMap::new();
            for _ in 0..cursor.u64()? {
                let system = system_at(cursor)?;
                let partition = cursor.compact()?;
                partitions.insert((system, partition), Millis(cursor.i64()?));
            }
            Ok(partitions)
        };
        let mut sources = Sources { partitions: partitions_at(cursor)?, ..Sources::default() };
        for _ in 0..cursor.u64()? {
            let system = system_at(cursor)?;
            sources.newest_event.insert(system, Millis(cursor.i64()?));
        }
        // What was stored before partitions could be retired ends here.
        if !cursor.is_empty() {
            sources.retired = partitions_at(cursor)?;
        }
        Ok(sources)
    }
}

fn put_partitions(out: &mut Vec<u8>, partitions: &BTreeMap<(System, CompactString), Millis>) {
    put_u64(out, partitions.len() as u64);
    for ((system, partition), at) in partitions {
        out.push(system.code());
        put_bytes(out, partition.as_bytes());
        put_i64(out, at.0);
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

/// The fact that a partition is no longer configured, once it is received up to `until`.
#[must_use]
pub fn retirement(system: System, partition: &CompactString, until: Millis, now: Millis) -> Fact {
    Fact {
        event_id: format_compact!("watermark/{partition}/retired/{}", until.0),
        system,
        object: "watermark".into(),
        record_id: partition.clone(),
        entity: watermark_key(system, partition),
        op: Op::Delete,
        version: Version::new(u64::try_from(until.0).unwrap_or(0), 0, 0),
        changed_at: until,
        observed_at: now,
        ingested_at: now,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: 0,
        read_at: None,
        key_slot: 0,
        fields: Fields::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::Field;

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
    fn a_partition_that_nobody_configures_any_more_holds_nothing_back_until_it_speaks_again() {
        let named =
            |names: &[&str]| names.iter().map(|name| (System::Oracle, CompactString::from(*name))).collect::<Vec<_>>();
        let mut sources = Sources::default();
        for (partition, at) in [("erp", 100), ("queue", 40)] {
            sources.observe(&heartbeat(System::Oracle, partition, at));
        }
        sources.observe(&heartbeat(System::Sap, "s4", 7));
        assert_eq!(sources.not_among(&named(&["erp", "queue"])), [], "SAP is not connected, and keeps what it said");
        let gone = sources.not_among(&named(&["erp", "new"]));
        assert_eq!(gone, [(System::Oracle, CompactString::from("queue"), Millis(40))]);
        assert_eq!(sources.watermark(System::Oracle), Some(Millis(40)));
        let (system, partition, until) = &gone[0];
        let retired = retirement(*system, partition, *until, Millis(500));
        // In any order with what it said before, and as often as it comes.
        let mut late = Sources::default();
        for fact in [retired.clone(), heartbeat(System::Oracle, "queue", 40), heartbeat(System::Oracle, "erp", 100)] {
            late.observe(&fact);
        }
        sources.observe(&retired);
        sources.observe(&retired);
        for told in [&sources, &late] {
            assert_eq!(told.watermark(System::Oracle), Some(Millis(100)));
            assert_eq!(told.slowest_partition(System::Oracle).map(CompactString::as_str), Some("erp"));
        }
        assert_eq!(sources.last_events(), LastEvents::default(), "it is no event of the source");
        assert_eq!(sources.not_among(&named(&["erp"])), []);
        let mut stored = Vec::new();
        sources.encode(&mut stored);
        assert_eq!(Sources::decode(&mut Cursor(&stored)).unwrap(), sources);
        sources.observe(&heartbeat(System::Oracle, "queue", 41));
        assert_eq!(sources.watermark(System::Oracle), Some(Millis(41)), "it is configured again");
    }

    #[test]
    fn what_was_stored_before_partitions_could_be_retired_is_read() {
        let mut sources = Sources::default();
        sources.observe(&heartbeat(System::Oracle, "erp", 100));
        let mut stored = Vec::new();
        sources.encode(&mut stored);
        let before = &stored[..stored.len() - 1];
        assert_eq!(Sources::decode(&mut Cursor(before)).unwrap(), sources);
    }

    #[test]
    fn every_known_change_that_is_not_applied_is_counted_and_the_oldest_decides() {
        let mut sources = Sources::default();
        let case = |id| EntityKey::new(EntityKind::Case, id);
        for (id, since) in [("SF-1", 2_000), ("SF-2", 1_000), ("SF-3", 3_000)] {
            let evidence = Evidence {
                entity: case(id),
                field: Field::At,
                value: CompactString::default(),
                version: Version::default(),
                event_id: CompactString::default(),
                log_pos: LogPos(0),
            };
            let gap = Unapplied { system: System::Salesforce, since: Millis(since), evidence };
            sources.gap(case(id), Some(gap));
        }
        let told = |sources: &Sources| {
            let state = *sources.freshness().source(System::Salesforce);
            (state.gap_count, state.oldest_gap)
        };
        assert_eq!(told(&sources), (3, Some(Millis(1_000))));
        sources.gap(case("SF-2"), None);
        assert_eq!(told(&sources), (2, Some(Millis(2_000))));
    }

    #[test]
    fn the_hub_says_nothing_of_itself() {
        let mut sources = Sources::default();
        sources.observe(&heartbeat(System::Engine, "", 5));
        assert_eq!(sources, Sources::default());
    }

    #[test]
    fn another_service_desk_counts_with_salesforce() {
        let mut sources = Sources::default();
        sources.observe(&heartbeat(System::Zendesk, "desk", 1_000));
        assert_eq!(sources.watermark(System::Salesforce), Some(Millis(1_000)), "alone it stands for both");
        assert_eq!(sources.watermark(System::Sap), None);
        sources.observe(&heartbeat(System::Salesforce, "bus", 500));
        assert_eq!(sources.watermark(System::Salesforce), Some(Millis(500)), "the slower one counts");
        assert_eq!(sources.slowest_partition(System::Salesforce).map(CompactString::as_str), Some("bus"));
        assert_eq!(sources.slowest_partition(System::Sap), None);
        let until = 500 + Freshness::LAG_MAX_MS;
        assert!(sources.freshness().at(System::Zendesk, Millis(until)).is_fresh());
        assert!(!sources.freshness().at(System::Zendesk, Millis(until + 1)).is_fresh());
        sources.set_unmonitored(&[System::Zendesk]);
        assert_eq!(sources.freshness().at(System::Salesforce, Millis(until + 1)), SystemFreshness::Unmonitored);
    }

    #[test]
    fn the_newest_event_counts_whatever_was_heard_later() {
        let mut sources = Sources::default();
        let newest = |sources: &Sources| {
            let told: Vec<Option<Millis>> = sources.last_events().of_sources().map(|(_, at)| at).collect();
            (told[0], told[1])
        };
        let account = EntityKey::new(EntityKind::Account, "A1");
        let told = |system, at| Fact { op: Op::Patch, entity: account.clone(), ..heartbeat(system, "A1", at) };
        let event = |at| told(System::Salesforce, at);
        sources.observe(&event(900));
        sources.observe(&event(700));
        sources.observe(&heartbeat(System::Salesforce, "bus", 5_000));
        sources.observe(&heartbeat(System::Oracle, "erp", 5_000));
        assert_eq!(newest(&sources), (Some(Millis(900)), None));
        assert_eq!(sources.watermark(System::Salesforce), Some(Millis(5_000)));
        sources.observe(&told(System::Zendesk, 950));
        assert_eq!(newest(&sources).0, Some(Millis(950)), "the service desk counts with Salesforce");
        let mut stored = Vec::new();
        sources.encode(&mut stored);
        assert_eq!(Sources::decode(&mut Cursor(&stored)).unwrap().last_events(), sources.last_events());
    }
}
