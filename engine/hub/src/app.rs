//! The hub put together: store, runner, API, doors for the sources, outbox. `serve` and `demo`
//! differ only in what they connect to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use compact_str::CompactString;
use connectors::edge::Context;
use connectors::edge::status::StatusHandle;
use connectors::{Connectors, SharedClock};
use ontology::{LogPos, Millis, System, Vocabulary};
use pipeline::sources::retirement;
use pipeline::{CustomerView, EngineSettings};
use resolver::Model;
use serve::auth::Callers;
use serve::connections::{self, Bounds};
use serve::owner::Owner;
use serve::server::{Options as ServeOptions, Server};
use serve::standing::Standing;
use serve::views::Published;
use storage::{Distributed, Priority, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actions::{Performer, Receiver};
use crate::as_of;
use crate::backend::HubBackend;
use crate::doors::Doors;
use crate::figures::Figures;
use crate::gauges::Gauges;
use crate::known::EngineKnown;
use crate::outcomes::Outcomes;
use crate::past::Past;
use crate::publish::publisher;
use crate::runner::{Handle, OwnerChanged, Payload, Publish, Runner, RunnerOptions};
use crate::sink::HubSink;
use crate::stands;
use crate::targets::Targets;
use crate::traces::Traces;

/// How often the runner is asked whether it lives.
const LOOK_AT_RUNNER: Duration = Duration::from_millis(200);
/// How often payloads and quarantined records past their retention are dropped.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);

/// Largest number of facts in one block, unless configured.
pub const BATCH_MAX: usize = 65_536;

/// How a hub is put together.
pub struct AppOptions {
    /// The clock that everything is stamped with.
    pub clock: SharedClock,
    /// The engine's settings.
    pub engine: EngineSettings,
    /// Where the API listens.
    pub api: ServeOptions,
    /// Where actions go.
    pub receiver: Receiver,
    /// Largest number of facts in one block.
    pub batch_max: usize,
    /// Systems for which neither heartbeat nor probe is configured.
    pub unmonitored: Vec<System>,
    /// The decoders, by the mappings in force.
    pub connectors: Connectors,
    /// Days that reads of the past reach back.
    pub as_of_days: u32,
}

impl AppOptions {
    /// A hub that serves on a free port of loopback, reads by the shipped mappings and keeps actions in
    /// its own log.
    #[must_use]
    pub fn local(clock: SharedClock) -> Self {
        AppOptions {
            clock,
            engine: EngineSettings::default(),
            api: ServeOptions::local(),
            receiver: Receiver::Journal,
            batch_max: BATCH_MAX,
            unmonitored: Vec::new(),
            connectors: Connectors::shipped(),
            as_of_days: stands::AS_OF_DAYS,
        }
    }
}

/// A running hub.
pub struct App {
    runner: Runner,
    /// What is published.
    pub published: Arc<Published<CustomerView>>,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// What became of commands.
    pub outcomes: Outcomes,
    /// Where connectors hand over.
    pub sink: HubSink,
    /// What the newest facts came with.
    pub traces: Traces,
    /// Whether the servers of the store are reached.
    pub standing: Standing,
    clock: SharedClock,
    connectors: Connectors,
    as_of_days: u32,
    api: SocketAddr,
    callers: Callers,
    owner: Owner,
    /// What empties the outbox; none once it does.
    performer: Option<Performer>,
    doors: Option<SocketAddr>,
    /// Who answers at the doors, where they were open before the store was owned.
    switch: Option<Doors>,
    more_doors: Vec<Router>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl App {
    /// Recovers the store, starts the runner and the API. Doors open with [`App::open_doors`].
    ///
    /// # Errors
    /// When the store cannot be read or the API cannot listen.
    pub async fn start(store: Arc<dyn Store>, options: AppOptions) -> anyhow::Result<App> {
        Self::start_with(store, options, Targets::default(), Model::shipped()).await
    }

    /// As [`App::start`], with systems that carry commands out and a model that decides identity.
    /// Another model than the store was written with resolves all records anew.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(
        store: Arc<dyn Store>,
        options: AppOptions,
        targets: Targets,
        model: Model,
    ) -> anyhow::Result<App> {
        let start = move |options, publish| Runner::start(store, options, publish);
        let mut app = Self::assemble(start, options, targets, model, Arc::new(Figures::default())).await?;
        app.work().await?;
        Ok(app)
    }

    /// Follows the process that owns the store: reads are answered here, what needs the owner goes where
    /// `owner_changed` says. [`App::own`] makes this process the owner.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn follow(
        store: Distributed,
        options: AppOptions,
        targets: Targets,
        model: Model,
        owner_changed: OwnerChanged,
    ) -> anyhow::Result<App> {
        options.api.owner.set_unknown();
        let start = move |options, publish| Runner::follow(store, options, publish, owner_changed);
        let figures = Arc::new(Figures::default());
        figures.set_follows(true);
        Self::assemble(start, options, targets, model, figures).await
    }

    /// Makes this process the owner of the store that it follows, and begins its work. `told` is what the
    /// others are told.
    ///
    /// # Errors
    /// When the store could not be taken over.
    pub async fn own(&mut self, told: String) -> anyhow::Result<()> {
        self.runner.own(told).await?;
        self.owner.set_here();
        self.figures.set_follows(false);
        self.work().await
    }

    async fn assemble(
        start: impl FnOnce(RunnerOptions, Publish) -> anyhow::Result<Runner> + Send + 'static,
        options: AppOptions,
        targets: Targets,
        model: Model,
        figures: Arc<Figures>,
    ) -> anyhow::Result<App> {
        let AppOptions { clock, engine, api, receiver, batch_max, unmonitored, connectors, as_of_days } = options;
        let published = Arc::new(Published::new(LogPos(0)));
        let traces = Traces::default();
        let mut publish = publisher(published.clone(), figures.clone(), clock.clone());
        let noted = traces.clone();
        let publish: Publish = Box::new(move |effects| {
            noted.apply(&effects.applied, effects.position);
            publish(effects);
        });
        let runner_options = RunnerOptions {
            engine: engine.clone(),
            model: model.clone(),
            clock: clock.clone(),
            batch_max,
            unmonitored: unmonitored.clone(),
            standing: api.standing.clone(),
        };
        let starting = move || begun(start(runner_options, publish)?);
        let (runner, oldest) = tokio::task::spawn_blocking(starting).await??;
        figures.time_from(oldest.unwrap_or_else(|| clock.now()));
        let handle = runner.handle();
        let gauges = Gauges {
            published: published.clone(),
            figures: figures.clone(),
            settings: engine.clone(),
            handle: handle.clone(),
        };
        let past = Past::new(engine.clone(), model, unmonitored);
        let backend = HubBackend::new(handle.clone(), published.clone(), figures.clone(), engine, past);
        let (owner, standing) = (api.owner.clone(), api.standing.clone());
        let backend = backend.reading_by(connectors.clone()).tracing(traces.clone()).knowing(owner.clone());
        let backend = Arc::new(backend);
        let server = Server::bind(api, backend).await?;
        let (api, callers) = (server.local_addr()?, server.callers());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let stopped = stop.clone();
        tasks.spawn(async move { Ok(server.run(async move { stopped.cancelled().await }).await?) });
        tasks.spawn(gauges.run(stop.clone()));
        let store = handle.store().clone();
        let outcomes = Outcomes::new(store.clone());
        let performer = Performer {
            store,
            receiver,
            targets,
            outcomes: outcomes.clone(),
            clock: clock.clone(),
            published: published.clone(),
        };
        let sink = HubSink::new(handle, outcomes.clone(), traces.clone());
        Ok(App {
            runner,
            published,
            figures,
            outcomes,
            sink,
            traces,
            standing,
            clock,
            connectors,
            as_of_days,
            api,
            callers,
            owner,
            performer: Some(performer),
            doors: None,
            switch: None,
            more_doors: Vec::new(),
            stop,
            tasks,
        })
    }

    /// Begins what only the owner of the store does: emptying the outbox, dropping what is past its
    /// retention, keeping the past.
    async fn work(&mut self) -> anyhow::Result<()> {
        let Some(mut performer) = self.performer.take() else { return Ok(()) };
        performer.announce().await?;
        let store = performer.store.clone();
        self.tasks.spawn(performer.run(self.stop.clone()));
        self.tasks.spawn(stands::run(store.clone(), self.clock.clone(), self.as_of_days, self.stop.clone()));
        self.tasks.spawn(expire(store, self.clock.clone(), self.stop.clone()));
        Ok(())
    }

    /// Where the API listens.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Who may call the API; can be replaced while the hub runs.
    #[must_use]
    pub fn callers(&self) -> &Callers {
        &self.callers
    }

    /// Where sources push to, once the doors are open.
    #[must_use]
    pub fn doors(&self) -> Option<SocketAddr> {
        self.doors
    }

    /// What others may hold of the runner.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.runner.handle()
    }

    /// The decoders, by the mappings in force.
    #[must_use]
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// Ends when the hub is asked to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Says in the log which partitions of sources are configured no longer, so that they hold back neither
    /// their system's picture nor that of whoever reads the log: those that were heard of, and that no
    /// [`App::context`] was made for.
    ///
    /// # Errors
    /// When the hub has stopped, or the log takes nothing.
    pub async fn retire_partitions(&self) -> anyhow::Result<()> {
        let named = self.figures.sources(self.clock.now()).into_iter();
        let configured: Vec<(System, CompactString)> =
            named.map(|report| (report.system, report.partition.into())).collect();
        let gone = self.handle().ask(move |engine| engine.sources().not_among(&configured)).await?;
        if gone.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let fact = |(system, partition, until): &(System, CompactString, Millis)| {
            tracing::info!(system = system.name(), %partition, "a partition is configured no longer");
            retirement(*system, partition, *until, now)
        };
        let facts = gone.iter().map(fact).collect();
        self.handle().append(facts, Vec::new(), Payload::default(), None, Priority::Decision).await?;
        Ok(())
    }

    /// What a connector of `system` needs, its status listed under `partition`.
    #[must_use]
    pub fn context(&self, system: System, partition: &str) -> Context<HubSink> {
        let status = StatusHandle::new(system);
        self.figures.add_connector(partition, status.clone());
        Context {
            connectors: self.connectors.clone(),
            sink: self.sink.clone(),
            known: Arc::new(EngineKnown::new(self.handle())),
            clock: self.clock.clone(),
            status,
        }
    }

    /// Doors that are to be opened beside those of the sources.
    pub fn add_doors(&mut self, doors: impl IntoIterator<Item = Router>) {
        self.more_doors.extend(doors);
    }

    /// The doors that were added and are not open yet.
    pub fn take_doors(&mut self) -> Vec<Router> {
        std::mem::take(&mut self.more_doors)
    }

    /// Opens doors before the store is owned: they hand on to the owner's until [`App::open_doors`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn open_doors_elsewhere(&mut self, address: SocketAddr, doors: Doors) -> anyhow::Result<SocketAddr> {
        let address = self.open_doors(address, doors.router()).await?;
        self.switch = Some(doors);
        Ok(address)
    }

    /// Opens the HTTP doors that sources push to.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn open_doors(&mut self, address: SocketAddr, doors: Router) -> anyhow::Result<SocketAddr> {
        if let (Some(switch), Some(address)) = (&self.switch, self.doors) {
            switch.open(doors);
            return Ok(address);
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            connections::serve(listener, doors, Bounds::default(), async move { stop.cancelled().await }).await;
            Ok(())
        });
        self.doors = Some(address);
        Ok(address)
    }

    /// Runs a connector's loop beside the hub.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            work.await;
            Ok(())
        });
    }

    /// Waits for a part of the hub to fail; [`App::stop`] then tells why the runner did.
    pub async fn failed(&mut self) -> anyhow::Error {
        loop {
            tokio::select! {
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended.map_err(anyhow::Error::from).and_then(|result| result) {
                        return error;
                    }
                }
                () = tokio::time::sleep(LOOK_AT_RUNNER) => {
                    if self.runner.has_ended() {
                        return anyhow::anyhow!("the log or the engine has stopped");
                    }
                }
            }
        }
    }

    /// Takes no more input, applies what is in the log, stores a last snapshot.
    ///
    /// # Errors
    /// The first error that any part ended with.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.map_err(anyhow::Error::from).and_then(|result| result);
            first = first.and(ended);
        }
        drop(self.sink);
        let runner = self.runner;
        tokio::task::spawn_blocking(move || runner.stop()).await??;
        first
    }
}

/// A runner that has started, with when its log took the oldest of what it has.
fn begun(runner: Runner) -> anyhow::Result<(Runner, Option<Millis>)> {
    let oldest = as_of::oldest(&**runner.handle().store())?;
    Ok((runner, oldest))
}

/// Drops what is past its retention, now and then.
async fn expire(store: Arc<dyn Store>, clock: SharedClock, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let (store, now) = (store.clone(), clock.now());
        tokio::task::spawn_blocking(move || {
            store.expire_raws(now)?;
            store.expire_quarantined(now)
        })
        .await??;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EXPIRE_EVERY) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
