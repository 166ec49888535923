//! The engine: state of all stages, and the one door through which everything comes in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use insight::{Context, Noticed, Reference};
use ontology::{CustomerId, EntityKey, EntityKind, Fact, LogPos, Millis, System};
use resolver::Model;
use state::{Entity, Freshness, PartyTree};

use crate::customer::{Scene, Subject};
use crate::effects::{Applied, Effects, Input, MembershipEvent};
use crate::identity::{Identity, Regrouped};
use crate::marker::{Marker, Markers};
use crate::memory::{Memory, refer_article, refer_rate};
use crate::record::{RecordShard, Touched, Work, take_over};
use crate::settings::EngineSettings;
use crate::shard::{run, shard_of};
use crate::sources::Sources;
use crate::timers::{Due, Timers};
use crate::transition::Transition;
use crate::view::CustomerView;

/// Everything that is derived from the log so far.
pub struct Engine {
    pub(crate) settings: EngineSettings,
    pub(crate) records: Vec<RecordShard>,
    pub(crate) identity: Identity,
    pub(crate) reference: Reference,
    pub(crate) sources: Sources,
    pub(crate) memory: Memory,
    pub(crate) timers: Timers,
    markers: Markers,
    /// What was published last of every customer.
    pub(crate) views: HashMap<CustomerId, Arc<CustomerView>>,
    pub(crate) position: LogPos,
    pub(crate) now: Millis,
}

/// What the stages before evaluation found.
#[derive(Default)]
struct Cut {
    touched: Vec<Subject>,
    regrouped: Regrouped,
    roots: Vec<(EntityKey, Option<EntityKey>)>,
    /// Customers of parties that nothing names any more. They are looked at a last time, to close
    /// what is open.
    vanished: Vec<CustomerId>,
    applied: Vec<Applied>,
    /// Whether a known, unapplied change began or ended.
    has_gaps: bool,
    /// Whether people decided on an alert that is about no customer.
    has_decided_on_source: bool,
    unchanged: u64,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(settings: EngineSettings, model: Model) -> Self {
        let shards = settings.shards.max(1);
        let mut sources = Sources::default();
        sources.set_bounds(settings.lag_max);
        Engine {
            records: (0..shards).map(|place| RecordShard::new(place, shards)).collect(),
            identity: Identity::new(model),
            reference: Reference::default(),
            sources,
            memory: Memory::default(),
            timers: Timers::default(),
            markers: Markers::new(shards),
            views: HashMap::new(),
            position: LogPos(0),
            now: Millis::MIN,
            settings,
        }
    }

    /// Takes one input. First whatever is due before it fires, each at its own time.
    pub fn step(&mut self, input: Input) -> Effects {
        let mut effects = Effects::default();
        match input {
            Input::Facts { facts, ingested_at } => {
                self.fire_before(ingested_at, &mut effects);
                self.now = self.now.max(ingested_at);
                self.apply(facts, ingested_at, &mut effects);
            }
            Input::Tick { now } => {
                self.fire_before(now + 1, &mut effects);
                self.now = self.now.max(now);
            }
        }
        self.where_it_stands(effects)
    }

    /// Adds to what a step did where the engine stands after it.
    fn where_it_stands(&self, effects: Effects) -> Effects {
        Effects {
            position: self.position,
            now: self.now,
            freshness: self.sources.freshness(),
            last_events: self.sources.last_events(),
            open_by_rule: self.memory.open_by_rule().clone(),
            review: self.memory.review().figures(),
            next_wake: self.timers.next(),
            ..effects
        }
    }

    /// Position up to which everything is applied.
    #[must_use]
    pub fn position(&self) -> LogPos {
        self.position
    }

    /// Engine time.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// When something changes next by time alone.
    #[must_use]
    pub fn next_wake(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// What is known about the sources.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Says for which systems there is neither heartbeat nor probe.
    pub fn set_unmonitored(&mut self, systems: &[System]) {
        self.sources.set_unmonitored(systems);
    }

    /// The identity stage, to ask and to explain.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same, to ask about a party that is no record.
    pub fn identity_mut(&mut self) -> &mut Identity {
        &mut self.identity
    }

    /// What is remembered of what was known when.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Side inputs.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// An entity.
    #[must_use]
    pub fn entity(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.records[shard_of(key, self.records.len())].entity(key)
    }

    /// The party record that an entity hangs below.
    #[must_use]
    pub fn root(&self, key: &EntityKey) -> Option<EntityKey> {
        self.records[shard_of(key, self.records.len())].root(key)
    }

    /// All entities with content, in no order.
    pub fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.records.iter().flat_map(RecordShard::entities)
    }

    /// The tree below a party record.
    #[must_use]
    pub fn tree(&self, party: &EntityKey) -> Option<&Arc<PartyTree>> {
        self.records[shard_of(party, self.records.len())].tree(party)
    }

    /// Every customer with one of its party records, in order of id.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let parties = self.records.iter().flat_map(RecordShard::parties);
        parties
            .filter_map(|party| {
                let id = self.identity.known_customer_of(party)?.clone();
                Some((id, party.clone()))
            })
            .collect::<BTreeMap<CustomerId, EntityKey>>()
            .into_iter()
            .map(|(id, party)| Subject { id, party })
            .collect()
    }

    /// Puts stored entities in place and looks at every customer once.
    pub(crate) fn take_up(&mut self, entities: Vec<Entity>, position: LogPos) -> Effects {
        let mut effects = Effects::default();
        let mut first = Touched::default();
        for entity in entities {
            let shard = shard_of(&entity.key, self.records.len());
            first.append(self.records[shard].restore(entity));
        }
        self.markers = Markers::new(self.records.len());
        for shard in 0..self.records.len() {
            self.markers.receive(Marker { shard, position, ingested_at: self.now });
        }
        self.position = position;
        let mut cut = self.settle(Vec::new(), first);
        self.take_up_reviews(std::mem::take(&mut cut.regrouped.reviews));
        let mut transition = Transition::new(self.now);
        self.watch_sources(&mut transition, &mut effects);
        effects.roots.append(&mut cut.roots);
        effects.memberships.append(&mut cut.regrouped.memberships);
        effects.splits = self.memory.splits().map(|(id, members)| (id.clone(), members.to_vec())).collect();
        self.evaluate_and_transit(cut.touched, &[], transition, &mut effects);
        effects.views.retain(|view| !cut.vanished.contains(view.id()));
        self.where_it_stands(effects)
    }

    pub(crate) fn scene(&self, now: Millis, freshness: Freshness) -> Scene<'_> {
        let noticed = Noticed::new(self.memory.noticed().all(), self.now);
        let context = plain(&self.settings, &self.reference, now).remembering(noticed);
        Scene {
            records: &self.records,
            identity: &self.identity,
            views: Some(&self.views),
            freshness,
            log_pos: self.position,
            context,
        }
    }

    /// Fires everything due before `until`, instant by instant.
    fn fire_before(&mut self, until: Millis, effects: &mut Effects) {
        while let Some((at, due)) = self.timers.take_before(until) {
            self.now = self.now.max(at);
            let mut touched = Vec::new();
            let mut is_about_sources = false;
            for thing in due {
                match thing {
                    Due::Customer(party) => touched.extend(self.subject(&party)),
                    Due::Source(_) => is_about_sources = true,
                    Due::Gap(entity) => {
                        is_about_sources = true;
                        touched.extend(self.subject_of(&entity));
                    }
                }
            }
            let mut transition = Transition::new(self.now);
            if is_about_sources {
                self.watch_sources(&mut transition, effects);
                touched.extend(self.watching());
            }
            self.evaluate_and_transit(touched, &[], transition, effects);
        }
    }

    fn apply(&mut self, facts: Vec<Fact>, ingested_at: Millis, effects: &mut Effects) {
        let Some(last) = facts.last() else { return };
        let position = last.log_pos;
        let freshness_before = self.sources.freshness();
        let mut facts = facts;
        facts.iter().for_each(|fact| self.sources.observe(fact));
        facts.retain(|fact| fact.op != ontology::Op::Heartbeat && fact.entity.kind != EntityKind::Watermark);
        let mut cut = self.settle(facts, Touched::default());
        self.remember_reviews(std::mem::take(&mut cut.regrouped.reviews));
        for shard in 0..self.records.len() {
            self.markers.receive(Marker { shard, position, ingested_at });
        }
        (self.position, _) = self.markers.cut();
        // What is due at this very instant waits: more facts of the instant may come in another batch.
        let is_due_now = self.timers.next() == Some(self.now);
        let mut transition = Transition::new(if is_due_now { self.now - 1 } else { self.now });
        let freshness = self.sources.freshness();
        // A change that is applied at last may leave an older one open: freshness does not tell.
        let is_about_sources = cut.has_gaps || freshness != freshness_before;
        if is_about_sources || cut.has_decided_on_source {
            self.watch_sources(&mut transition, effects);
        }
        if is_about_sources {
            cut.touched.extend(self.watching());
        }
        let is_fresh = |known: &Freshness, system| known.at(system, self.now).is_fresh();
        if System::SOURCES.into_iter().any(|it| is_fresh(&freshness, it) && !is_fresh(&freshness_before, it)) {
            cut.touched.extend(self.memory.lacking().filter_map(|party| self.subject(party)));
        }
        effects.unchanged += cut.unchanged;
        take_over(&mut effects.applied, cut.applied);
        take_over(&mut effects.roots, cut.roots);
        take_over(&mut effects.memberships, std::mem::take(&mut cut.regrouped.memberships));
        self.remember_splits(&cut.regrouped.events, effects);
        effects.membership_events.append(&mut cut.regrouped.events);
        let retired = std::mem::take(&mut cut.regrouped.retired);
        self.evaluate_and_transit(cut.touched, &retired, transition, effects);
        effects.views.retain(|view| !cut.vanished.contains(view.id()));
        effects.retired.extend(retired.into_iter().chain(cut.vanished));
    }

    fn remember_splits(&mut self, events: &[MembershipEvent], effects: &mut Effects) {
        for event in events {
            match event {
                MembershipEvent::Split { before, .. } => {
                    self.memory.add_split(before, self.identity.former_members(before).unwrap_or_default());
                    effects.splits.push((before.clone(), self.memory.split(before).to_vec()));
                }
                MembershipEvent::Merged { .. } => {}
            }
        }
    }

    /// Record stage in rounds until there is nothing left to say, then identity.
    fn settle(&mut self, facts: Vec<Fact>, mut touched: Touched) -> Cut {
        let mut work = share_out(facts, self.records.len());
        loop {
            for message in touched.messages.drain(..) {
                work[shard_of(message.key(), self.records.len())].messages.push(message);
            }
            if work.iter().all(Work::is_empty) {
                break;
            }
            let next = self.records.iter().map(|_| Work::default()).collect();
            let round = std::mem::replace(&mut work, next);
            for done in run(&mut self.records, round, Work::len, |_, shard, work| shard.step(work)) {
                touched.append(done);
            }
        }
        let has_gaps = !touched.gaps.is_empty();
        for (entity, gap) in touched.gaps.drain(..) {
            let overdue_at = gap.as_ref().map(|gap| gap.since + (Freshness::GAP_MAX_MS + 1));
            self.timers.set(Due::Gap(entity.clone()), overdue_at);
            self.sources.gap(entity, gap);
        }
        let mut cut = Cut {
            roots: touched.roots,
            applied: touched.applied,
            unchanged: touched.unchanged,
            has_gaps,
            ..Cut::default()
        };
        let judgements = self.take_side(touched.side, &mut cut);
        cut.regrouped = self.identity.step(&touched.party_records, &judgements);
        let mut parties = touched.parties;
        parties.sort_unstable();
        parties.dedup();
        for party in parties {
            let is_new = self.identity.known_customer_of(&party).is_none();
            let id = self.identity.customer_of(&party);
            if self.tree(&party).is_none() {
                cut.vanished.push(id.clone());
            }
            if is_new {
                cut.regrouped.memberships.push((party.clone(), id.clone()));
            }
            cut.touched.push(Subject { id, party });
        }
        for party in &cut.regrouped.touched {
            cut.touched.extend(self.subject(party));
        }
        let changed = cut.applied.iter().map(|applied| &applied.entity).chain(cut.roots.iter().map(|(key, _)| key));
        let orders = changed.filter(|key| key.kind == EntityKind::ServiceOrder);
        let naming = orders.flat_map(|order| self.memory.naming().of(order));
        cut.touched.extend(naming.filter_map(|party| self.subject(party)));
        cut
    }

    /// Takes changed entities that hang below no party; returns the judgements among them.
    fn take_side(&mut self, side: Vec<Arc<Entity>>, cut: &mut Cut) -> Vec<Arc<Entity>> {
        use ontology::EntityKind as K;
        let mut judgements = Vec::new();
        let mut has_other_rates = false;
        for entity in side {
            match entity.key.kind {
                K::Judgement => judgements.push(entity),
                K::DiscrepancyDecision | K::AlertDecision => {
                    let kind = entity.key.kind;
                    let party = self.memory.decide(&mut self.reference, entity);
                    cut.has_decided_on_source |= kind == K::AlertDecision && party.is_none();
                    cut.touched.extend(party.and_then(|party| self.subject(&party)));
                }
                K::ExchangeRate => has_other_rates |= refer_rate(&mut self.reference, &entity),
                K::KnowledgeArticle => refer_article(&mut self.reference, entity),
                K::DirectoryEntry | K::Watermark | K::CommandOutcome | K::Configuration => {}
                K::Account
                | K::ArCustomer
                | K::BusinessPartner
                | K::CallerProfile
                | K::Case
                | K::Invoice
                | K::InvoiceLine
                | K::Payment
                | K::Dispute
                | K::CreditNote
                | K::Interaction
                | K::ServiceOrder
                | K::FieldDispatch
                | K::DesktopTelemetry
                | K::Transfer => unreachable!("the record stage keeps these in trees"),
            }
        }
        if has_other_rates {
            cut.touched.extend(self.memory.converted().filter_map(|party| self.subject(party)));
        }
        judgements
    }

    /// Evaluates customers, but for the `retired`, which are in order.
    fn evaluate_and_transit(
        &mut self,
        touched: Vec<Subject>,
        retired: &[CustomerId],
        mut transition: Transition,
        effects: &mut Effects,
    ) {
        let mut touched = one_each(touched);
        touched.retain(|subject| retired.binary_search(&subject.id).is_err());
        let now = transition.now();
        let evaluated = self.scene(now, self.sources.freshness()).evaluate_all(touched);
        let context = plain(&self.settings, &self.reference, now);
        let views = transition.customers(&mut self.memory, &mut self.timers, evaluated, &context);
        for id in retired {
            self.views.remove(id);
        }
        for view in &views {
            self.views.insert(view.id().clone(), view.clone());
        }
        take_over(&mut effects.views, views);
        effects.actions.extend(transition.finish());
    }

    fn watch_sources(&mut self, transition: &mut Transition, effects: &mut Effects) {
        let (freshness, now) = (self.sources.freshness(), transition.now());
        for system in System::SOURCES {
            let stale_at = freshness.source(system).stale_at().filter(|at| *at > now);
            self.timers.set(Due::Source(system), stale_at);
        }
        let context = plain(&self.settings, &self.reference, now);
        effects.source_alerts = Some(transition.sources(&mut self.memory, &self.sources, &context));
    }

    /// Customers whose transfers wait for a source.
    fn watching(&self) -> Vec<Subject> {
        self.memory.waiting().filter_map(|party| self.subject(party)).collect()
    }

    /// The customer that a party record belongs to now; none if nothing names the party any more.
    pub(crate) fn subject(&self, party: &EntityKey) -> Option<Subject> {
        self.tree(party)?;
        Some(Subject { id: self.identity.known_customer_of(party)?.clone(), party: party.clone() })
    }

    fn subject_of(&self, entity: &EntityKey) -> Option<Subject> {
        self.subject(&self.root(entity)?)
    }
}

/// What may be looked at besides a customer, without what is remembered.
pub(crate) fn plain<'a>(settings: &'a EngineSettings, reference: &'a Reference, now: Millis) -> Context<'a> {
    Context::without_memory(&settings.insight, reference, now)
}

/// Gives every shard the facts about its own entities.
fn share_out(facts: Vec<Fact>, shards: usize) -> Vec<Work> {
    if shards == 1 {
        return vec![Work { facts, messages: Vec::new() }];
    }
    let mut work: Vec<Work> = (0..shards).map(|_| Work::default()).collect();
    for fact in facts {
        work[shard_of(&fact.entity, shards)].facts.push(fact);
    }
    work
}

/// One subject per customer, in the order of ids: which of its records stands for it does not
/// matter.
fn one_each(mut subjects: Vec<Subject>) -> Vec<Subject> {
    subjects.sort_unstable();
    subjects.dedup_by(|next, kept| next.id == kept.id);
    subjects
}

#[cfg(test)]
mod tests;
