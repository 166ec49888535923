//! The hub as the API sees it: published views for reads, jobs for writes, questions to the engine
//! for the rest.

use std::sync::Arc;

use connectors::{Connectors, Kept};
use insight::correlate::Candidate;
use insight::derived::Correlation;
use insight::kpis::KpiValue;
use ontology::{EntityKey, Field, FieldReader as _, LogPos, Millis, PartyRecord, Vocabulary};
use pipeline::customer::Subject;
use pipeline::{CustomerView, Engine, EngineSettings, InReview};
use resolver::Explanation;
use serve::backend::{
    About, AsOf, Backend, Lookup, Parts, Process, Purpose, Replayed, Reply, SourceReport, Submission, Then,
};
use serve::owner::Owner;
use serve::reason::{Reason, Refusal};
use serve::views::Published;
use storage::{
    NewQuarantined, Position, Priority, QuarantineFilter, QuarantineId, QuarantinePage, QuarantineState, Quarantined,
    Store,
};

use crate::as_of::Moment;
use crate::backup::Backups;
use crate::figures::{self, Figures};
use crate::past::Past;
use crate::runner::{Handle, Payload, poison};
use crate::traces::Traces;

/// Everything that the API asks about.
pub struct HubBackend {
    handle: Handle,
    published: Arc<Published<CustomerView>>,
    figures: Arc<Figures>,
    settings: EngineSettings,
    past: Past,
    connectors: Connectors,
    backups: Backups,
    traces: Traces,
    owner: Owner,
}

impl HubBackend {
    /// The API's side of a running hub.
    #[must_use]
    pub fn new(
        handle: Handle,
        published: Arc<Published<CustomerView>>,
        figures: Arc<Figures>,
        settings: EngineSettings,
        past: Past,
    ) -> Self {
        HubBackend {
            handle,
            published,
            figures,
            settings,
            past,
            connectors: Connectors::shipped(),
            backups: Backups::default(),
            traces: Traces::default(),
            owner: Owner::default(),
        }
    }

    /// The same, reading what was quarantined by other mappings than those that are shipped.
    #[must_use]
    pub fn reading_by(self, connectors: Connectors) -> Self {
        HubBackend { connectors, ..self }
    }

    /// The same, of a process that may follow another, which `owner` knows.
    #[must_use]
    pub fn knowing(self, owner: Owner) -> Self {
        HubBackend { owner, ..self }
    }

    /// The same, telling `traces` of what facts came with.
    #[must_use]
    pub fn tracing(self, traces: Traces) -> Self {
        HubBackend { traces, ..self }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.handle.ask(question).await.map_err(|_| Refusal::new(Reason::Draining))
    }

    /// Work on the store that may take a while, off the runtime's threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn storage::Store) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = self.handle.store().clone();
        match tokio::task::spawn_blocking(move || work(&*store)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(internal(&error)),
            Err(error) => Err(internal(&error.into())),
        }
    }

    async fn append(
        &self,
        facts: Vec<ontology::Fact>,
        quarantined: Vec<NewQuarantined>,
        priority: Priority,
    ) -> Result<LogPos, Refusal> {
        let appended = self.handle.append(facts, quarantined, Payload::default(), None, priority).await;
        appended.map_err(|error| match error {
            storage::Error::Full { .. } => Refusal::new(Reason::DiskFull),
            storage::Error::Unreachable { .. } => Refusal::new(Reason::LogUnreachable),
            // It was to be forwarded: the store is changing hands.
            storage::Error::NotOwner => Refusal::new(Reason::NotOwner).with("owner", "not known"),
            error => {
                tracing::error!(%error, "the log refused a write of the API");
                Refusal::new(Reason::Draining)
            }
        })
    }

    /// Decodes one quarantined record again; its facts, or nothing if it is still refused.
    async fn decode_again(&self, id: QuarantineId) -> Result<Option<Vec<ontology::Fact>>, Refusal> {
        let Some((record, raw)) = self.quarantined(id).await? else { return Ok(None) };
        if record.reason == poison::POISON {
            return Ok(poison::read(&raw).map(|fact| vec![fact]));
        }
        let Some(kept) = Kept::of(&record.beside, &record.source, record.received_at) else { return Ok(None) };
        let decoded = self.connectors.decode(kept.system, &kept.delivery(&raw));
        Ok((decoded.rejects.is_empty() && !decoded.facts.is_empty()).then_some(decoded.facts))
    }
}

fn internal(error: &anyhow::Error) -> Refusal {
    tracing::error!(error = format!("{error:#}"), "a call of the API failed inside");
    Refusal::new(Reason::Internal)
}

/// The customers that names lead to in an engine of the past; beside each id stands the record that it was
/// made from, if there is one by now.
fn customers_in(engine: &Engine, customers: &[(Lookup, Option<EntityKey>)]) -> Vec<Option<Then>> {
    let then = |(lookup, member): &(Lookup, Option<EntityKey>)| {
        let subject = subject_in(engine, lookup, member.as_ref())?;
        let split_into = match lookup {
            Lookup::Customer(id) => engine.split_into(id),
            Lookup::Record(_) => engine.split_into(&subject.id),
        };
        let view = Arc::new(engine.view(&subject, engine.now()));
        Some(Then { view, split_into, last_events: engine.sources().last_events() })
    };
    customers.iter().map(then).collect()
}

fn subject_in(engine: &Engine, lookup: &Lookup, member: Option<&EntityKey>) -> Option<Subject> {
    match lookup {
        Lookup::Record(key) => {
            let party = if key.kind.is_party() { key.clone() } else { engine.root(key)? };
            Some(Subject { id: engine.identity().known_customer_of(&party)?.clone(), party })
        }
        Lookup::Customer(id) => engine.subject_named(id, member),
    }
}

/// When somebody last decided on this.
fn decided_on(engine: &Engine, about: &About) -> Option<Millis> {
    match about {
        About::Pair(left, right) => engine.identity().resolver().last_judged(left, right),
        About::Object(id) => engine.reference().decisions.get(id)?.time(Field::DecidedAt),
    }
}

impl Backend for HubBackend {
    fn store(&self) -> &Arc<dyn Store> {
        self.handle.store()
    }

    fn published(&self) -> &Arc<Published<CustomerView>> {
        &self.published
    }

    fn now(&self) -> Millis {
        self.handle.now()
    }

    fn customers_as_of(&self, customers: Vec<Lookup>, at: AsOf) -> Reply<'_, Vec<Option<Then>>> {
        Box::pin(async move {
            let is_ahead = match at {
                AsOf::Position(position) => position > self.published.position(),
                AsOf::Time(time) => time > self.handle.now(),
            };
            if is_ahead {
                return Err(Refusal::new(Reason::PositionInFuture).with("field", at.field()));
            }
            let moment = move |store: &dyn Store| match at {
                AsOf::Position(position) => Moment::at(store, Position(position.0)),
                AsOf::Time(time) => Moment::at_time(store, time),
            };
            let with_member = |lookup: Lookup| {
                let member = match &lookup {
                    Lookup::Customer(id) => self.published.member_named(id),
                    Lookup::Record(_) => None,
                };
                (lookup, member)
            };
            let customers: Vec<_> = customers.into_iter().map(with_member).collect();
            let question = move |engine: &Engine| customers_in(engine, &customers);
            self.past.ask(self.handle.store().clone(), moment, question).await
        })
    }

    fn submit(&self, submission: Submission) -> Reply<'_, LogPos> {
        Box::pin(async move {
            let received_at = self.handle.now();
            let quarantined = submission
                .rejected
                .into_iter()
                .map(|rejected| NewQuarantined {
                    reason: rejected.reason.to_owned(),
                    source: format!("{}/api", rejected.system.map_or("unknown", Vocabulary::name)),
                    received_at,
                    contract_version: "1".to_owned(),
                    attempts: 1,
                    raw: rejected.raw,
                    ..NewQuarantined::default()
                })
                .collect();
            let priority = match submission.purpose {
                Purpose::Intake => Priority::Source,
                Purpose::Decision => Priority::Decision,
            };
            self.traces.note(&submission.facts, &submission.traces);
            self.append(submission.facts, quarantined, priority).await
        })
    }

    fn explain(&self, left: EntityKey, right: EntityKey) -> Reply<'_, Explanation> {
        Box::pin(async move {
            let pair = format!("{left} or {right}");
            let explained = self.ask(move |engine| engine.identity().resolver().explain(&left, &right)).await?;
            explained.ok_or_else(|| Refusal::new(Reason::SourceRecordUnknown).with("record", pair))
        })
    }

    fn rejected(&self, view: Arc<CustomerView>, correlation: Arc<Correlation>) -> Reply<'_, Vec<Candidate>> {
        Box::pin(async move { self.ask(move |engine| engine.rejected(&view, &correlation)).await })
    }

    fn resolve(&self, party: PartyRecord, limit: usize) -> Reply<'_, Vec<Explanation>> {
        Box::pin(async move { self.ask(move |engine| engine.identity_mut().search(party, limit)).await })
    }

    fn review_items(&self) -> Reply<'_, Vec<InReview>> {
        Box::pin(async move { self.ask(|engine| engine.in_review()).await })
    }

    fn last_decided(&self, about: Vec<About>) -> Reply<'_, Option<Millis>> {
        Box::pin(
            async move { self.ask(move |engine| about.iter().filter_map(|one| decided_on(engine, one)).max()).await },
        )
    }

    fn sources(&self) -> Vec<SourceReport> {
        self.figures.sources(self.handle.now())
    }

    fn list_quarantine(
        &self,
        filter: QuarantineFilter,
        after: Option<QuarantineId>,
        limit: usize,
    ) -> Reply<'_, QuarantinePage> {
        Box::pin(self.blocking(move |store| Ok(store.list(&filter, after, limit)?)))
    }

    fn quarantined(&self, id: QuarantineId) -> Reply<'_, Option<(Quarantined, Vec<u8>)>> {
        Box::pin(self.blocking(move |store| match store.quarantined(id) {
            Ok(record) => Ok(Some((record, store.raw(id)?))),
            Err(storage::Error::UnknownQuarantined { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }))
    }

    fn replay(&self, ids: Vec<QuarantineId>, is_trial: bool) -> Reply<'_, Replayed> {
        Box::pin(async move {
            let mut done = Replayed::default();
            for id in ids {
                match self.decode_again(id).await? {
                    None => done.refused.push(id),
                    Some(_) if is_trial => done.replayed.push(id),
                    Some(facts) => {
                        done.position = Some(self.append(facts, Vec::new(), Priority::Decision).await?);
                        let at = self.handle.now();
                        self.blocking(move |store| Ok(store.decide(id, QuarantineState::Replayed(at))?)).await?;
                        done.replayed.push(id);
                    }
                }
            }
            Ok(done)
        })
    }

    fn discard(&self, ids: Vec<QuarantineId>, is_trial: bool) -> Reply<'_, Vec<QuarantineId>> {
        let at = self.handle.now();
        Box::pin(self.blocking(move |store| {
            let mut discarded = Vec::new();
            for id in ids {
                // What was replayed or given up before is not given up now.
                if store.quarantined(id).is_ok_and(|record| record.state == QuarantineState::Held) {
                    if !is_trial {
                        store.decide(id, QuarantineState::Discarded(at))?;
                    }
                    discarded.push(id);
                }
            }
            Ok(discarded)
        }))
    }

    fn digest(&self, at: Option<Millis>) -> Reply<'_, (String, LogPos)> {
        Box::pin(async move {
            let at = at.unwrap_or_else(|| self.handle.now());
            self.ask(move |engine| (engine.digest(at), engine.position())).await
        })
    }

    fn process(&self) -> Process {
        let newest = Some(self.published.now()).filter(|now| *now != Millis::MIN);
        Process {
            is_owner: self.owner.is_here(),
            owner: self.owner.address(),
            lag_positions: self.handle.store().last().0.saturating_sub(self.published.position().0),
            lag_ms: newest.map(|newest| self.handle.now().since(newest).max(0)),
        }
    }

    fn backup(&self) -> Result<Parts, Refusal> {
        self.backups.take(self.handle.store().clone())
    }

    fn kpis(&self) -> Reply<'_, Vec<KpiValue>> {
        Box::pin(async move {
            let now = self.handle.now();
            Ok(figures::kpis(&self.figures, &self.published, &self.settings, now))
        })
    }
}
