//! `opshub serve`: the hub itself, until it is told to stop.

mod again;
mod in_force;
mod signals;
pub(super) mod sources;
pub(super) mod turn;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use connectors::{SharedClock, edge};
use ontology::{System, Vocabulary as _};
use resolver::Model;
use serve::connections::{self, Bounds};
use serve::drain::{Drain, DrainSwitch};
use serve::{metrics as figures, page_server};
use storage::{Distributed, Embedded};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;

use super::{CONFIG_INVALID, FAILED, Failure, INTERRUPTED, runtime};
use crate::app::{App, AppOptions};
use crate::clock::WallClock;
use crate::config::{self, Advertise, Config, ConfigFile, StoreConfig, StoreSection};
use crate::doors::Doors;
use crate::outputs;
use crate::stands;
use crate::targets::Targets;
use again::Again;
use in_force::InForce;
use signals::Signals;
use turn::{MyTurn, Work};

/// How long a stopping hub finishes what is under way.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How long threads that did not finish in time may hold up the end of the process.
const END_MAX: Duration = Duration::from_secs(1);

/// Runs the hub: listens for events of the sources and answers over gRPC.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Configuration file; docs/configuration.md names every key.
    #[arg(long, value_name = "FILE", env = "OPSHUB_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of the store, whatever the configuration names [default: .opshub/store].
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Where the API listens; port 0 takes a free one [default: 127.0.0.1:7400].
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// Where sources push to; open only for sources that are configured [default: 127.0.0.1:7401].
    #[arg(long, value_name = "ADDR")]
    doors: Option<SocketAddr>,
    /// Where the metrics page is served [default: 127.0.0.1:7402].
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Number of shards; any number gives the same answers [default: 1].
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Largest number of facts in one block [default: 65536].
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Read the history of these systems again by the mappings in force, as far as payloads are kept.
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',', value_parser = source)]
    remap_history: Vec<System>,
    /// How the log is written to standard error.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, env = "OPSHUB_LOG_FORMAT")]
    log_format: LogFormat,
    /// Say in one JSON object that the hub is ready.
    #[arg(long)]
    json: bool,
    /// Stop when standard input ends: whoever started the hub is gone then, however it ended.
    #[arg(long, hide = true)]
    until_input_ends: bool,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for programs that collect logs.
    Json,
}

impl LogFormat {
    /// Sets up the log; whoever runs the hub inside another program may have done so already.
    fn install(self) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let _ = match self {
            LogFormat::Text => log.try_init(),
            LogFormat::Json => log.json().flatten_event(true).try_init(),
        };
    }
}

/// A system that payloads come from, by its name.
pub(super) fn source(name: &str) -> Result<System, String> {
    let is_source = |system: &System| !matches!(system, System::Engine | System::Human);
    System::parse(name).filter(is_source).ok_or_else(|| "write salesforce, oracle, wxcc, sap or zendesk".to_owned())
}

pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let (file, config) = configured(args).map_err(|error| Failure::with(CONFIG_INVALID, error))?;
    args.log_format.install();
    let runtime = runtime()?;
    let ended = runtime.block_on(serve_until_stopped(file, config, args));
    runtime.shutdown_timeout(END_MAX);
    ended
}

/// What is configured, as it is written and as it is used.
fn configured(args: &ServeArgs) -> Result<(ConfigFile, Config), config::Error> {
    let file = named(args)?;
    Ok((file.clone(), file.resolve()?))
}

/// Defaults, file, environment, flags, in this order.
fn named(args: &ServeArgs) -> Result<ConfigFile, config::Error> {
    let mut file = config::read(args.config.as_deref(), environment())?;
    if let Some(dir) = &args.store {
        file.store = StoreSection { dir: dir.clone(), distributed: None, ..file.store };
    }
    file.api.listen = args.api.unwrap_or(file.api.listen);
    file.doors.listen = args.doors.or(file.doors.listen);
    file.metrics.listen = args.metrics.or(file.metrics.listen);
    file.engine.shards = args.shards.unwrap_or(file.engine.shards);
    file.engine.batch_max = args.batch.unwrap_or(file.engine.batch_max);
    Ok(file)
}

/// Variables that are text. Others cannot be keys of ours.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}

async fn serve_until_stopped(file: ConfigFile, mut config: Config, args: &ServeArgs) -> Result<(), Failure> {
    // Listened for from the beginning: a signal during recovery counts too.
    let mut signals = Signals::new(args.until_input_ends)?;
    let mut hangup = signal(SignalKind::hangup())?;
    let recorder = figures::install()?;
    let mut in_force = InForce::new(file);
    let (mut args, mut again) = (args.clone(), Again::default());
    loop {
        let started = tokio::select! {
            started = Running::start(config, args.remap_history.clone(), recorder.clone()) => started,
            () = signals.next() => return Ok(()),
        };
        // Who finds damage at its first start tells so: somebody is there to see it.
        let is_first = again.is_first();
        let failure = match started {
            Ok(started) => {
                again.ready();
                args = started.again_at(args);
                match until_it_ends(started, &args, &mut in_force, &mut signals, &mut hangup).await {
                    Ended::Stopped(stopped) => return stopped,
                    Ended::Failed { failure, is_replica: true } => failure,
                    Ended::Failed { failure, is_replica: false } => return Err(failure),
                }
            }
            Err(failure) if is_first => return Err(failure),
            Err(failure) => failure,
        };
        let Some(wait) = again.after(&failure) else { return Err(failure) };
        let error = failure.error.map(|error| format!("{error:#}")).unwrap_or_default();
        tracing::warn!(error, wait_ms = wait.as_millis(), "what this replica counted on is gone, it begins again");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = signals.next() => return Ok(()),
        }
        let read = configured(&args).map_err(|error| Failure::with(CONFIG_INVALID, error))?;
        (in_force, config) = (InForce::new(read.0), read.1);
    }
}

/// How a hub that was ready ended.
enum Ended {
    /// It was asked to.
    Stopped(Result<(), Failure>),
    Failed {
        failure: Failure,
        /// Whether it had not owned the store yet.
        is_replica: bool,
    },
}

/// Runs a hub that has started until it ends.
async fn until_it_ends(
    mut started: Running,
    args: &ServeArgs,
    in_force: &mut InForce,
    signals: &mut Signals,
    hangup: &mut Signal,
) -> Ended {
    println!("{}", started.ready(args.json));
    loop {
        tokio::select! {
            () = signals.next() => break,
            _ = hangup.recv() => in_force.reload(named(args), started.app.callers()),
            is_mine = changed(&mut started.turn) => {
                let is_replica = started.work.is_some();
                if !is_mine {
                    tracing::warn!("the turn to own the store has gone to another process, stopping");
                    let why = anyhow::anyhow!("another process owns the store now: start this one again to follow it");
                    let failure = started.stop().await.err().unwrap_or_else(|| Failure::with(FAILED, why));
                    return Ended::Failed { failure, is_replica: false };
                }
                if let Err(error) = started.own().await {
                    tracing::error!("the store could not be taken over, stopping");
                    return Ended::Failed { failure: started.stop().await.err().unwrap_or(error), is_replica };
                }
                println!("{}", started.ready(args.json));
            }
            error = started.app.failed() => {
                tracing::error!(error = format!("{error:#}"), "a part of the hub failed, stopping");
                let is_replica = started.work.is_some();
                return Ended::Failed { failure: started.stop().await.err().unwrap_or_else(|| error.into()), is_replica };
            }
        }
    }
    Ended::Stopped(tokio::select! {
        stopped = started.stop() => stopped,
        () = signals.next() => Err(Failure::told(INTERRUPTED)),
    })
}

/// A store that the system does not let this process open, with what tells more.
fn unopened(error: storage::Error) -> anyhow::Error {
    let is_of_the_system = matches!(error, storage::Error::Io { .. } | storage::Error::Backend { .. });
    let error = anyhow::Error::from(error);
    if !is_of_the_system {
        return error;
    }
    anyhow::anyhow!("{error:#}; `opshub doctor` with the same --config and --store says what to do")
}

/// A hub with its metrics page.
struct Running {
    app: App,
    metrics: SocketAddr,
    drain: DrainSwitch,
    pages: JoinHandle<()>,
    /// The turn to own the store; none of a folder, which is this process's own.
    turn: Option<MyTurn>,
    /// What begins once the store is owned.
    work: Option<Work>,
    advertise: Advertise,
    has_tls: bool,
}

impl Running {
    async fn start(config: Config, history: Vec<System>, recorder: figures::PrometheusHandle) -> Result<Self, Failure> {
        let Config {
            store,
            as_of_days,
            advertise,
            api,
            doors,
            metrics,
            engine,
            model,
            batch_max,
            connectors,
            receiver,
            kafka,
            commands,
        } = config;
        storage::describe();
        for (name, what) in edge::METRICS {
            ::metrics::describe_counter!(*name, *what);
        }
        outputs::describe();
        stands::describe();
        let page_listener = TcpListener::bind(metrics)
            .await
            .map_err(|error| taken("the metrics page", metrics, "--metrics", &error))?;
        let metrics = page_listener.local_addr()?;
        let (api_address, has_tls) = (api.addr, api.tls.is_some());
        let clock: SharedClock = Arc::new(WallClock::default());
        let (targets, flows) = Targets::new(commands, &clock);
        let options = AppOptions {
            clock,
            engine,
            api,
            receiver,
            batch_max,
            unmonitored: connectors.unmonitored(),
            connectors: connectors.connectors.clone(),
            as_of_days,
        };
        let work = Work { connectors, flows, doors, history, kafka };
        let (mut app, turn) =
            start_app(store, (options, targets, model), &work, &advertise).await.map_err(|error| match error
                .downcast::<serve::Error>(
            ) {
                Ok(serve::Error::Bind { source, .. }) => taken("the API", api_address, "--api", &source),
                Ok(other) => Failure::from(other),
                Err(other) => Failure::from(other),
            })?;
        let work = match &turn {
            Some(_) => Some(work),
            None => work.begin(&mut app).await.map(|()| None)?,
        };
        let (drain, draining) = Drain::new();
        let router = page_server::router(recorder, draining.clone(), app.standing.clone()).merge(app.outcomes.page());
        let draining = async move { draining.draining().await };
        let pages = tokio::spawn(connections::serve(page_listener, router, Bounds::default(), draining));
        Ok(Running { app, metrics, drain, pages, turn, work, advertise, has_tls })
    }

    /// Takes the store over.
    async fn own(&mut self) -> Result<(), Failure> {
        let told = turn::told(&self.advertise, (self.app.api(), self.has_tls), self.app.doors());
        self.app.own(told).await?;
        match self.work.take() {
            Some(work) => work.begin(&mut self.app).await,
            None => Ok(()),
        }
    }

    /// The arguments by which it listens where it does now.
    fn again_at(&self, args: ServeArgs) -> ServeArgs {
        let (api, doors) = (Some(self.app.api()), self.app.doors().or(args.doors));
        ServeArgs { api, doors, metrics: Some(self.metrics), ..args }
    }

    /// What is said when everything listens.
    fn ready(&self, is_json: bool) -> String {
        let (api, doors, position) = (self.app.api(), self.app.doors(), self.app.published.position().0);
        if is_json {
            let doors = doors.map(|address| address.to_string());
            let ready = serde_json::json!({
                "api": api.to_string(),
                "doors": doors,
                "metrics": self.metrics.to_string(),
                "position": position,
                "role": if self.work.is_none() { "owner" } else { "replica" },
            });
            return ready.to_string();
        }
        let doors = doors.map_or_else(|| "closed (no source is configured)".to_owned(), |address| address.to_string());
        let owns = if self.work.is_none() { "ready" } else { "ready to be read, another process takes writes" };
        format!(
            "opshub is {owns}: API {api}, doors {doors}, metrics http://{}/metrics, position {position}",
            self.metrics
        )
    }

    /// Takes no more input, finishes what is under way, and ends.
    async fn stop(self) -> Result<(), Failure> {
        self.drain.begin();
        let Ok(stopped) = tokio::time::timeout(DRAIN_MAX, self.app.stop()).await else {
            // What was acknowledged is in the log, so the next start takes up from there.
            tracing::warn!(limit_s = DRAIN_MAX.as_secs(), "stopped before everything under way was finished");
            return Ok(());
        };
        self.pages.abort();
        stopped.map_err(Failure::from)
    }
}

/// The hub on its store: as the owner of a folder; on servers following the owner, in the queue to become
/// it.
async fn start_app(
    store: StoreConfig,
    (options, targets, model): (AppOptions, Targets, Model),
    work: &Work,
    advertise: &Advertise,
) -> anyhow::Result<(App, Option<MyTurn>)> {
    match store {
        StoreConfig::Embedded(dir) => {
            let open = move || Embedded::open(&dir, storage::Options::default()).map_err(unopened);
            let store = Arc::new(tokio::task::spawn_blocking(open).await??);
            Ok((App::start_with(store, options, targets, model).await?, None))
        }
        StoreConfig::Distributed(servers) => {
            let asked = servers.clone();
            let store = tokio::task::spawn_blocking(move || Distributed::follow(&asked)).await??;
            let doors = Doors::elsewhere()?;
            let authorities_pem = advertise.authorities_pem.clone();
            let changed = turn::owner_changed(options.api.owner.clone(), doors.clone(), authorities_pem);
            let mut app = App::follow(store, options, targets, model, changed).await?;
            if work.has_doors() {
                app.open_doors_elsewhere(work.doors, doors).await.map_err(|error| {
                    anyhow::anyhow!(
                        "listen for the sources on {}: {error}; choose another address with --doors",
                        work.doors
                    )
                })?;
            }
            Ok((app, Some(MyTurn::queue(*servers).await?)))
        }
    }
}

/// Waits until the turn comes, or goes; for ever where there is none.
async fn changed(turn: &mut Option<MyTurn>) -> bool {
    match turn {
        None => std::future::pending().await,
        Some(turn) => turn.changes().await,
    }
}

/// What to tell about an address that cannot be listened on.
fn taken(what: &str, address: SocketAddr, flag: &str, error: &std::io::Error) -> Failure {
    let next = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("another program listens there: stop it, or choose another with {flag}")
        }
        _ => format!("choose another address with {flag}"),
    };
    Failure::with(FAILED, anyhow::anyhow!("listen for {what} on {address}: {error}; {next}"))
}

#[cfg(test)]
mod tests;
