//! The stage: world, vendors, hub and story clock, and the order in which the story is played.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use connectors::{Clock, SharedClock};
use fixtures::player::{Player, Sent, Slice, Vendors};
use fixtures::story::TransferRequest;
use fixtures::time::T_MS;
use fixtures::world::{Size, World};
use ontology::{
    EntityKey, EntityKind, Fact, Field, FieldsBuilder, LogPos, Millis, Op, System, ValueRef, Version, Vocabulary,
};
use pipeline::EngineSettings;
use resolver::Model;
use storage::{Distributed, DistributedOptions, Embedded, Priority};

use super::connect::{TOPIC, connect};
use super::replicas::Replicas;
use super::summary::Process;
use crate::app::{App, AppOptions};
use crate::clock::StoryClock;
use crate::commands::{MyTurn, told};
use crate::config::Advertise;
use crate::rented::Rented;
use crate::targets::Targets;

/// How long a step of the stage may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a waiting step looks again.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Length of a slice of the live part.
const TICK: Duration = Duration::from_millis(25);
/// Processes on servers that follow the demo's own.
const REPLICAS: usize = 2;
/// How long the demo's own process may be silent before one that follows takes over, which ends the
/// demo: longer than a busy machine makes it wait.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How the demo is played.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of the world: the same seed, the same story.
    pub seed: u64,
    /// Customers in it.
    pub customers: u32,
    /// Story seconds a second, after the history.
    pub speed: f64,
    /// How long to play after the history, in story milliseconds; until stopped if none.
    pub for_ms: Option<i64>,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the simulators push to.
    pub doors: SocketAddr,
    /// How many shards each stage has.
    pub shards: usize,
    /// Servers that keep the store, in place of a folder.
    pub servers: Option<DistributedOptions>,
}

/// What the demo stands on. It goes when the demo ends.
enum Place {
    Folder(#[expect(dead_code, reason = "lives as long as the store in it")] tempfile::TempDir),
    Servers(Box<Servers>),
}

/// A store on servers, and who has it.
struct Servers {
    /// Ended before the servers forget the store.
    replicas: Replicas,
    _turn: MyTurn,
    _rented: Rented,
}

/// Everything that plays.
pub struct Stage {
    /// The hub.
    pub app: App,
    /// The world.
    pub world: Arc<World>,
    /// Story time.
    pub clock: Arc<StoryClock>,
    vendors: Arc<Vendors>,
    player: Player,
    /// What was sent so far.
    pub sent: Sent,
    next_transfer: u32,
    place: Place,
}

impl Stage {
    /// Sets the stage: a new store, four simulators, a hub that is connected to them.
    ///
    /// # Errors
    /// When a socket or the store cannot be opened.
    pub async fn set(options: &Options) -> anyhow::Result<Stage> {
        let (seed, mut size) = (options.seed, Size::customers(options.customers));
        size.live_ms = size.live_ms.max(options.for_ms.unwrap_or(Size::LIVE_MS_LONG));
        let world = tokio::task::spawn_blocking(move || Arc::new(World::generate(seed, size))).await?;
        let vendors = Arc::new(Vendors::start().await?);
        let begin = world.story().first().map_or(T_MS, |first| first.deliver_ms - 1);
        let clock = Arc::new(StoryClock::standing(Millis(begin)));
        let shared: SharedClock = clock.clone();
        let app_options = AppOptions {
            engine: EngineSettings { shards: options.shards.max(1), ..EngineSettings::default() },
            api: serve::server::Options { addr: options.api, ..serve::server::Options::local() },
            ..AppOptions::local(shared)
        };
        let (mut app, place) = match &options.servers {
            None => in_folder(app_options).await?,
            Some(servers) => on_servers(servers, options.shards, app_options).await?,
        };
        let doors = connect(&mut app, &vendors, options.doors).await?;
        let player = Player::new(world.clone(), vendors.clone(), doors)?;
        let sent = Sent::default();
        Ok(Stage { app, world, clock, vendors, player, sent, next_transfer: 1, place })
    }

    /// Plays everything before T at its own story times, then lets every source say that it is
    /// quiet, so that T begins with fresh sources.
    ///
    /// # Errors
    /// When a simulator cannot deliver or the hub does not keep up.
    pub async fn history(&mut self, mut progress: impl FnMut(&Slice)) -> anyhow::Result<()> {
        while let Some(slice) = self.player.next_slice(T_MS, None) {
            self.clock.advance_to(Millis(slice.to_ms));
            progress(&slice);
            self.play(&slice).await?;
            // What a gap hid is read before the record changes again, so that one seed tells one
            // story.
            self.drain().await?;
        }
        self.clock.advance_to(Millis(T_MS));
        self.wait("every source to be fresh", |stage| {
            let freshness = stage.app.published.freshness();
            System::SOURCES.into_iter().all(|system| freshness.at(system, Millis(T_MS)).is_fresh())
        })
        .await
    }

    /// Plays from where the story stands to `until`, story time running with the wall at `speed`, or until
    /// `progress` breaks it off.
    ///
    /// # Errors
    /// When a simulator cannot deliver.
    pub async fn live(
        &mut self,
        speed: f64,
        until: Millis,
        mut progress: impl FnMut(&Stage) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(TICK);
        self.app.figures.reset_latency(Millis(T_MS), self.kept_back());
        self.clock.run(speed);
        while self.player.now_ms() < until.0 {
            ticks.tick().await;
            let to = self.clock.now().min(until);
            let length = to.0 - self.player.now_ms();
            if length > 0
                && let Some(slice) = self.player.next_slice(to.0, Some(length))
            {
                self.play(&slice).await?;
            }
            if progress(self).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Changes of the live part that their source delivers later than they happen.
    fn kept_back(&self) -> HashMap<(System, Millis), Millis> {
        let late = self.world.live().iter().filter(|happening| happening.deliver_ms > happening.at_ms);
        late.filter_map(|happening| {
            let system = System::parse(happening.system.name())?;
            Some(((system, Millis(happening.at_ms)), Millis(happening.deliver_ms)))
        })
        .collect()
    }

    /// Stops the story clock at `at`, plays up to there and waits until everything that was sent is readable.
    ///
    /// # Errors
    /// When the hub does not keep up.
    pub async fn settle(&mut self, at: Millis) -> anyhow::Result<()> {
        self.clock.stand_at(at);
        // Whoever breaks a story off does so between two slices: the vendors, too, come to where it stands.
        while let Some(slice) = self.player.next_slice(at.0, Some(at.0 - self.player.now_ms())) {
            self.play(&slice).await?;
            self.drain().await?;
        }
        self.drain().await?;
        // The list jobs look once more at a world that stands still: what they find then does not
        // depend on when they looked before.
        self.wait("every source to be listed to its end", move |stage| {
            let freshness = stage.app.published.freshness();
            let listed = [System::Oracle, System::Sap, System::Wxcc];
            listed.into_iter().all(|system| freshness.source(system).watermark >= Some(at))
        })
        .await?;
        self.drain().await
    }

    /// Every process that has the story, with its digest at `at`: this one, then those that follow it.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub(super) async fn processes(&self, at: Millis) -> anyhow::Result<Vec<Process>> {
        let asked = self.app.handle().ask(move |engine| (engine.digest(at), engine.position())).await?;
        let (digest, position) = asked;
        let mut processes = vec![Process { role: "owner", position: position.0, digest }];
        match &self.place {
            Place::Folder(_) => {}
            Place::Servers(servers) => processes.extend(servers.replicas.digests(at, position).await?),
        }
        Ok(processes)
    }

    /// Ends the processes that follow, the hub, then the simulators.
    ///
    /// # Errors
    /// When one of them did not end cleanly.
    pub async fn strike(self) -> anyhow::Result<()> {
        let _place = match self.place {
            Place::Servers(servers) => {
                let Servers { replicas, _turn, _rented } = *servers;
                replicas.stop().await?;
                Some((_turn, _rented))
            }
            Place::Folder(_) => None,
        };
        self.app.stop().await?;
        drop(self.player);
        if let Some(vendors) = Arc::into_inner(self.vendors) {
            vendors.stop().await;
        }
        Ok(())
    }

    async fn play(&mut self, slice: &Slice) -> anyhow::Result<()> {
        let mut sent = self.player.play(slice).await?;
        for (at_ms, request) in std::mem::take(&mut sent.requests) {
            let fact = self.transfer(Millis(at_ms), &request);
            self.app
                .handle()
                .append(vec![fact], Vec::new(), crate::runner::Payload::default(), None, Priority::Decision)
                .await?;
        }
        self.sent.add(sent);
        Ok(())
    }

    /// What the API writes when somebody asks for a transfer.
    fn transfer(&mut self, at: Millis, request: &TransferRequest) -> Fact {
        let id = format!("TR-{}", self.next_transfer);
        self.next_transfer += 1;
        let mut fields = FieldsBuilder::default();
        fields
            .text(Field::CaseRef, Some(&request.case_id))
            .text(Field::FromTeam, Some(request.from_team))
            .text(Field::ToTeam, Some(request.to_team))
            .text(Field::Reason, Some(request.reason))
            .set(Field::InitiatedAt, ValueRef::Time(at))
            .set(Field::Controlled, ValueRef::Bool(true));
        Fact {
            event_id: id.as_str().into(),
            system: System::Human,
            object: EntityKind::Transfer.name().into(),
            record_id: id.as_str().into(),
            entity: EntityKey::new(EntityKind::Transfer, &id),
            op: Op::Image,
            version: Version::with_tail(at.0.unsigned_abs(), 0, 0, &id),
            changed_at: at,
            observed_at: at,
            ingested_at: Millis::MIN,
            log_pos: LogPos(0),
            contract_version: 1,
            mapping_version: 1,
            read_at: None,
            key_slot: 0,
            fields: fields.build(),
        }
    }

    /// Waits until every event that the simulators sent is readable. Pushes are in the log when
    /// they are answered; the event bus is pulled, so its position is compared.
    async fn drain(&self) -> anyhow::Result<()> {
        let published = self.vendors.salesforce.published();
        self.wait("the event bus to be read to its end", move |stage| stage.read_from_bus() >= published).await?;
        self.applied().await?;
        self.wait("every gap to be read again", |stage| {
            let freshness = stage.app.published.freshness();
            System::SOURCES.into_iter().all(|system| freshness.source(system).oldest_gap.is_none())
        })
        .await?;
        self.applied().await
    }

    async fn applied(&self) -> anyhow::Result<()> {
        let last = LogPos(self.app.handle().store().last().0);
        self.wait("the log to be applied", move |stage| stage.app.published.position() >= last).await
    }

    /// Events taken from the bus, by the position that the connector stored with them.
    fn read_from_bus(&self) -> u64 {
        let stored = self.app.handle().store().source(TOPIC).ok().flatten();
        stored.and_then(|replay_id| self.vendors.salesforce.events_until(&replay_id)).unwrap_or_default()
    }

    async fn wait(&self, what: &str, is_so: impl Fn(&Stage) -> bool) -> anyhow::Result<()> {
        let looking = async {
            while !is_so(self) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looking).await;
        looked.map_err(|_| anyhow::anyhow!("wait for {what}: it did not happen within {PATIENCE:?}"))
    }
}

/// A hub on a store in a folder of its own.
async fn in_folder(options: AppOptions) -> anyhow::Result<(App, Place)> {
    let folder = tempfile::Builder::new().prefix("opshub-demo-").tempdir()?;
    let path = folder.path().to_owned();
    let open = move || Embedded::open(&path, storage::Options::default());
    let store = Arc::new(tokio::task::spawn_blocking(open).await??);
    Ok((App::start(store, options).await?, Place::Folder(folder)))
}

/// A hub that owns a store of its own on servers, and further processes that follow it.
async fn on_servers(servers: &DistributedOptions, shards: usize, options: AppOptions) -> anyhow::Result<(App, Place)> {
    let rented = Rented::on(&DistributedOptions { silence_max: SILENCE_MAX, ..servers.clone() });
    let asked = rented.options().clone();
    let store = tokio::task::spawn_blocking(move || Distributed::follow(&asked)).await??;
    let (targets, model) = (Targets::default(), Model::shipped());
    let mut app = App::follow(store, options, targets, model, Box::new(|_| ())).await?;
    let mut turn = MyTurn::queue(rented.options().clone()).await?;
    let is_mine = tokio::time::timeout(PATIENCE, turn.changes()).await;
    anyhow::ensure!(
        is_mine == Ok(true),
        "own the store of the demo: Kafka did not say within {PATIENCE:?} that it may"
    );
    let told = told(&Advertise::default(), (app.api(), false), None);
    app.own(told).await?;
    let replicas = Replicas::start(REPLICAS, rented.options(), shards).await?;
    Ok((app, Place::Servers(Box::new(Servers { replicas, _turn: turn, _rented: rented }))))
}

/// Plays a whole demo without a terminal and returns the stage as it stands at the end, with the
/// instant that it stands at.
///
/// # Errors
/// When anything on the stage fails.
pub async fn play(options: &Options, mut progress: impl FnMut(&str)) -> anyhow::Result<(Stage, Millis)> {
    progress("setting the stage: world, four simulators, hub");
    let mut stage = Stage::set(options).await?;
    progress("playing the history at its own story times");
    stage.history(|_| {}).await?;
    let end = Millis(T_MS) + options.for_ms.unwrap_or_default();
    progress("playing live");
    stage.live(options.speed, end, |_| ControlFlow::Continue(())).await?;
    progress("draining");
    stage.settle(end).await?;
    Ok((stage, end))
}
