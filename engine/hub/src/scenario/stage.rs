//! The hub in story time: the real engine over a real store, driven by hand.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context as _;
use connectors::{Connectors, Framing, Headers, Kept, Mapping, Submission};
use insight::kpis::LatencyRecord;
use ontology::{EntityKey, EntityKind, Fact, LogPos, Millis, Op, System, Version, Vocabulary};
use pipeline::effects::{Applied, MembershipEvent};
use pipeline::sources::watermark_key;
use pipeline::{Action, Effects, Engine, EngineSettings, Input};
use resolver::Model;
use storage::{
    DistributedOptions, Intake, NewBlock, NewQuarantined, Position, QuarantineFilter, QuarantineState, Store,
};

use super::home::Home;
use super::native::Payload;
use super::plan::{Lag, Plan};
use super::step::Restart;
use crate::as_of::{self, Moment};
use crate::runner::{inputs, recover, write_snapshot};

/// How often a source says how far it is.
const HEARTBEAT_EVERY_MS: i64 = Millis::MINUTE_MS;
/// The one partition that each source has in a story.
const PARTITION: &str = "story";
/// Quarantined records read at a time.
const PAGE: usize = 256;

/// How long one applied fact took from its source to its view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its system.
    pub system: System,
    /// Its entity.
    pub entity: EntityKey,
    /// When it happened.
    pub event_time: Millis,
    /// When its view was published.
    pub visible_at: Millis,
}

/// The hub in story time.
pub struct Stage {
    settings: EngineSettings,
    lags: BTreeMap<System, Lag>,
    engine: Engine,
    store: Home,
    connectors: Connectors,
    mappings: BTreeMap<System, Mapping>,
    clock: Millis,
    is_settled: bool,
    heartbeats: u64,
    /// Everything that was decided, by id: a receiver knows a repeated action by its id.
    actions: BTreeMap<String, Action>,
    /// Ids of decided actions that their receiver does not have yet.
    waiting: VecDeque<String>,
    delivered: BTreeMap<String, u32>,
    takes_commands: bool,
    membership: Vec<MembershipEvent>,
    samples: Vec<Sample>,
}

impl Stage {
    /// A new hub with an empty store, on servers or of its own.
    ///
    /// # Errors
    /// When the store cannot be made.
    pub fn new(plan: &Plan, servers: Option<&DistributedOptions>) -> anyhow::Result<Self> {
        let store = Home::new(servers, plan.restarts())?;
        let lag_of = |system| plan.sources.get(&system).copied().unwrap_or(Lag::Behind(0));
        let mut lags: BTreeMap<System, Lag> =
            System::SOURCES.into_iter().map(|system| (system, lag_of(system))).collect();
        // Another service desk is there only in stories that speak of it.
        lags.extend(plan.sources.get(&System::Zendesk).map(|lag| (System::Zendesk, *lag)));
        let systems = System::SOURCES.into_iter().chain([System::Zendesk]);
        let shipped = systems.filter_map(|system| Some((system, Mapping::shipped(system)?)));
        let mut stage = Stage {
            settings: plan.settings.clone(),
            engine: new_engine(&plan.settings, &lags),
            lags,
            store,
            connectors: Connectors::shipped(),
            mappings: shipped.collect(),
            clock: plan.times.start,
            is_settled: false,
            heartbeats: 0,
            actions: BTreeMap::new(),
            waiting: VecDeque::new(),
            delivered: BTreeMap::new(),
            takes_commands: true,
            membership: Vec::new(),
            samples: Vec::new(),
        };
        stage.beat()?;
        Ok(stage)
    }

    /// Where the story's clock stands.
    #[must_use]
    pub fn clock(&self) -> Millis {
        self.clock
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The settings that it was started with.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.store()
    }

    /// Every action that was decided, each once.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }

    /// How often an action reached its receiver.
    #[must_use]
    pub fn deliveries(&self, action: &Action) -> u32 {
        self.delivered.get(action.id.0.as_str()).copied().unwrap_or(0)
    }

    /// Merges and splits so far.
    #[must_use]
    pub fn membership(&self) -> &[MembershipEvent] {
        &self.membership
    }

    /// Latencies of applied facts, in the order of application.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The latency figure's record of the samples so far.
    #[must_use]
    pub fn latency_record(&self) -> LatencyRecord {
        let mut record = LatencyRecord::default();
        for sample in &self.samples {
            record.record(sample.system, &sample.entity, sample.event_time, sample.visible_at);
        }
        record
    }

    /// The mapping in place.
    #[must_use]
    pub fn mapping(&self, system: System) -> Option<&Mapping> {
        self.mappings.get(&system)
    }

    /// Facts arrive together.
    ///
    /// # Errors
    /// When the store refuses them.
    pub fn deliver(&mut self, facts: Vec<Fact>) -> anyhow::Result<()> {
        self.commit(facts, Vec::new(), &[], &[])
    }

    /// A native payload arrives.
    ///
    /// # Errors
    /// When the store refuses what it became.
    pub fn receive(&mut self, payload: &Payload) -> anyhow::Result<()> {
        let framing = if payload.is_lines { Framing::Lines } else { Framing::Document };
        let headers = Headers::default();
        let kept = Kept { system: payload.system, framing, observed_at: self.clock, headers };
        let decoded = self.connectors.decode(payload.system, &kept.delivery(&payload.raw));
        let raw = bytes::Bytes::from(payload.raw.clone());
        let submission = Submission::new(payload.system, PARTITION, decoded, raw, self.clock);
        let source = format!("{}/{PARTITION}", payload.system.name());
        let beside = kept.encode();
        let quarantined = submission.rejects.iter().map(|rejected| NewQuarantined {
            reason: rejected.code.name().to_owned(),
            detail: rejected.detail.clone(),
            source: source.clone(),
            source_position: Vec::new(),
            received_at: self.clock,
            contract_version: "1".to_owned(),
            attempts: 1,
            beside: beside.clone(),
            raw: rejected.raw.to_vec(),
        });
        let quarantined = quarantined.collect();
        self.commit(submission.facts, quarantined, &beside, &payload.raw)
    }

    /// Puts a mapping in place.
    pub fn map(&mut self, system: System, mapping: Mapping) {
        self.mappings.insert(system, mapping);
        self.connectors = Connectors::new(self.mappings.values().cloned().collect());
    }

    /// Decodes what is held in quarantine again; what is understood now goes into the log.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn replay_quarantine(&mut self, reason: Option<&str>) -> anyhow::Result<()> {
        let filter = QuarantineFilter { reason: reason.map(str::to_owned), source: None, held_only: true };
        let mut after = None;
        loop {
            let page = self.store().list(&filter, after, PAGE)?;
            for record in &page.records {
                let raw = self.store().raw(record.id)?;
                self.store().attempt(record.id)?;
                let kept = Kept::of(&record.beside, &record.source, self.clock);
                let kept = kept.context("a quarantined record of a known system")?;
                let kept = Kept { observed_at: self.clock, ..kept };
                let decoded = self.connectors.decode(kept.system, &kept.delivery(&raw));
                if decoded.rejects.is_empty() && !decoded.facts.is_empty() {
                    self.commit(decoded.facts, Vec::new(), &record.beside, &raw)?;
                    self.store().decide(record.id, QuarantineState::Replayed(self.clock))?;
                }
            }
            match page.after {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Changes how far sources lag from here on.
    ///
    /// # Errors
    /// When the store refuses a heartbeat.
    pub fn set_lags(&mut self, changed: &BTreeMap<System, Lag>) -> anyhow::Result<()> {
        self.lags.extend(changed);
        self.beat()
    }

    /// Whether commands reach their receiver from here on.
    pub fn set_takes_commands(&mut self, takes: bool) {
        self.takes_commands = takes;
        self.hand_over();
    }

    /// Moves the clock. Sources go on saying how far they are; what is due at `at` itself fires
    /// when the stage settles, so that what still arrives at that instant comes first.
    ///
    /// # Errors
    /// When the store refuses a heartbeat.
    pub fn advance(&mut self, at: Millis) -> anyhow::Result<()> {
        if at <= self.clock {
            return Ok(());
        }
        self.settle();
        if self.store.outlives_the_hub() {
            self.snapshot()?;
        }
        while self.clock < at {
            let next = at.min(self.clock + HEARTBEAT_EVERY_MS);
            self.tick(next - 1);
            self.clock = next;
            self.is_settled = false;
            self.beat()?;
            if next < at {
                self.settle();
            }
        }
        Ok(())
    }

    /// Fires what is due at the instant at which the clock stands.
    pub fn settle(&mut self) {
        if !self.is_settled {
            self.tick(self.clock);
            self.is_settled = true;
        }
    }

    /// Ends the hub and starts it again on the same disk.
    ///
    /// # Errors
    /// When the store cannot be written, opened or read.
    pub fn restart(&mut self, how: Restart) -> anyhow::Result<()> {
        if how == Restart::Clean {
            self.snapshot()?;
        }
        self.engine = new_engine(&self.settings, &self.lags);
        self.store.reopen()?;
        let mut decided = Vec::new();
        recover(self.store.store(), &mut self.engine, &mut |effects, _| decided.push(effects.actions))?;
        // What was in no outbox is gone with the process, unless it is decided again.
        self.waiting = outbox(self.store.store())?;
        self.waiting.retain(|id| !self.delivered.contains_key(id));
        for actions in decided {
            self.act(actions);
        }
        self.is_settled = false;
        self.settle();
        Ok(())
    }

    /// What the hub knew at an earlier moment.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn at(&self, moment: Moment) -> anyhow::Result<Engine> {
        let mut engine = new_engine(&self.settings, &self.lags);
        as_of::advance(&mut engine, self.store(), moment, || true)?;
        Ok(engine)
    }

    /// Position before the first fact about an entity; none if there was no such fact.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn before(&self, entity: &EntityKey) -> anyhow::Result<Option<Position>> {
        for input in inputs(self.store(), self.store().start()?, None)? {
            let Input::Facts { facts, .. } = input? else { continue };
            if let Some(fact) = facts.iter().find(|fact| fact.entity == *entity) {
                return Ok(Some(Position(fact.log_pos.0 - 1)));
            }
        }
        Ok(None)
    }

    fn tick(&mut self, now: Millis) {
        let effects = self.engine.step(Input::Tick { now });
        self.take(effects);
    }

    fn snapshot(&mut self) -> anyhow::Result<()> {
        let snapshot = self.engine.take_snapshot();
        let pending = self.waiting.iter().filter_map(|id| Some((id.clone(), self.actions.get(id)?.body().to_string())));
        Ok(write_snapshot(self.store.store(), &snapshot, &pending.collect())?)
    }

    /// Every source that is not stopped says how far it is.
    fn beat(&mut self) -> anyhow::Result<()> {
        let mut facts = Vec::new();
        for (system, lag) in self.lags.clone() {
            if let Lag::Behind(lag_ms) = lag {
                self.heartbeats += 1;
                facts.push(heartbeat(system, self.clock - lag_ms, self.heartbeats));
            }
        }
        self.commit(facts, Vec::new(), &[], &[])
    }

    fn commit(
        &mut self,
        mut facts: Vec<Fact>,
        quarantined: Vec<NewQuarantined>,
        beside: &[u8],
        raw: &[u8],
    ) -> anyhow::Result<()> {
        let mut intake = Intake::new();
        for record in quarantined {
            intake = intake.quarantine(record);
        }
        if !facts.is_empty() {
            let mut block = NewBlock::new(self.clock);
            let mut encoded = Vec::with_capacity(512);
            for fact in &mut facts {
                if fact.observed_at == Millis::MIN {
                    fact.observed_at = self.clock;
                }
                encoded.clear();
                fact.encode(&mut encoded);
                block.push(&encoded);
            }
            if !raw.is_empty() {
                block.push_raw(0, block.count(), beside, raw);
            }
            intake = intake.block(block);
        }
        let positions = self.store().append(intake)?;
        for (position, fact) in (positions.start.0..).zip(&mut facts) {
            fact.log_pos = LogPos(position);
            fact.ingested_at = self.clock;
        }
        if !facts.is_empty() {
            let effects = self.engine.step(Input::Facts { facts, ingested_at: self.clock });
            self.take(effects);
        }
        Ok(())
    }

    fn take(&mut self, effects: Effects) {
        for Applied { system, entity, event_time, .. } in effects.applied {
            if entity.kind != EntityKind::Watermark {
                self.samples.push(Sample { system, entity, event_time, visible_at: effects.now });
            }
        }
        self.membership.extend(effects.membership_events);
        self.act(effects.actions);
    }

    /// Queues what its receiver does not have yet. A hub that comes back decides again what it had
    /// not written down, under the same ids.
    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            let id = action.id.to_string();
            if !self.delivered.contains_key(&id) && !self.waiting.contains(&id) {
                self.waiting.push_back(id.clone());
            }
            self.actions.insert(id, action);
        }
        self.hand_over();
    }

    fn hand_over(&mut self) {
        while self.takes_commands
            && let Some(id) = self.waiting.pop_front()
        {
            *self.delivered.entry(id).or_default() += 1;
        }
    }
}

/// Ids of the actions in the outbox.
fn outbox(store: &dyn Store) -> anyhow::Result<VecDeque<String>> {
    let mut ids = VecDeque::new();
    for pending in store.pending()? {
        let (id, _) = pending?;
        ids.push_back(String::from_utf8(id.to_vec()).context("read the outbox")?);
    }
    Ok(ids)
}

fn new_engine(settings: &EngineSettings, lags: &BTreeMap<System, Lag>) -> Engine {
    let mut engine = Engine::new(settings.clone(), Model::shipped());
    let unmonitored = lags.iter().filter(|(_, lag)| **lag == Lag::Unmonitored).map(|(system, _)| *system);
    engine.set_unmonitored(&unmonitored.collect::<Vec<_>>());
    engine
}

/// A source says that everything up to `watermark` is received.
fn heartbeat(system: System, watermark: Millis, number: u64) -> Fact {
    Fact {
        event_id: format!("heartbeat-{number}").into(),
        system,
        object: "heartbeat".into(),
        record_id: PARTITION.into(),
        entity: watermark_key(system, PARTITION),
        op: Op::Heartbeat,
        version: Version::new(u64::try_from(watermark.0).unwrap_or_default(), 0, 0),
        changed_at: watermark,
        observed_at: Millis::MIN,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: ontology::Fields::default(),
    }
}
