//! The commands, one file each. Results go to standard output, progress and notes to standard
//! error; tables are for people and `--json` is for programs.

mod backup;
mod bench;
mod config;
mod connect;
mod demo;
mod digest;
mod doctor;
mod health;
mod mapping;
mod migrate;
mod quarantine;
mod repartition;
mod resolve;
mod restore;
pub mod scenario;
mod serve;
mod simulate;
mod sources;
mod state;
mod stores;
mod verify;

pub use serve::sources::connect as connect_sources;
pub(crate) use serve::turn::{MyTurn, told};

use std::path::Path;

use clap::{Parser, Subcommand};
use storage::Embedded;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// One picture of every customer across billing, service desk, contact centre and field service.
#[derive(Debug, Parser)]
#[command(name = "opshub", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play a story across four simulated systems: no server, configuration or network needed.
    Demo(demo::DemoArgs),
    /// Run the hub: listen for events of the sources and answer over gRPC.
    Serve(serve::ServeArgs),
    /// Show the state of one customer of a running hub.
    State(state::StateArgs),
    /// Show how far each source is received, of a running hub.
    Sources(sources::SourcesArgs),
    /// List, show, replay or discard what a running hub did not understand.
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Play stories and check what the hub makes of them.
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Find out which rows of your own tables are one person or one organisation.
    #[command(subcommand)]
    Resolve(resolve::ResolveCommand),
    /// Ask a running hub whether it serves; needs no credential.
    Health(health::HealthArgs),
    /// Write a first configuration, or check one before a hub starts with it.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Write a backup of a running hub, or of a store that no hub has open, to a file.
    Backup(backup::BackupArgs),
    /// Make a store of a backup, in a new folder.
    Restore(restore::RestoreArgs),
    /// Move a store from its folder to Kafka and Redis.
    Migrate(migrate::MigrateArgs),
    /// Let the rows of a store on servers lie in another number of partitions.
    Repartition(repartition::RepartitionArgs),
    /// Read a whole store, or a whole backup, and check everything that can be checked.
    Verify(verify::VerifyArgs),
    /// Look at everything that a hub stands on before it starts, or when something is wrong.
    Doctor(doctor::DoctorArgs),
    /// Print the canonical digest of everything derived from a store.
    Digest(digest::DigestArgs),
    /// Try a source out before the hub relies on it.
    #[command(subcommand)]
    Connect(connect::ConnectCommand),
    /// Try a mapping file on payloads before a hub reads by it.
    #[command(subcommand)]
    Mapping(mapping::MappingCommand),
    /// Run one vendor simulator by itself.
    Simulate(simulate::SimulateArgs),
    /// Measure the hot paths beside a yardstick in the same run.
    Bench(bench::BenchArgs),
}

/// How a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What to tell; nothing if the command said it already.
    pub error: Option<anyhow::Error>,
    /// Exit code.
    pub code: u8,
}

/// Exit code: the command failed.
pub const FAILED: u8 = 1;
/// Exit code: the configuration is not valid.
pub const CONFIG_INVALID: u8 = 3;
/// Exit code: what was asked for is not there.
pub const NOT_FOUND: u8 = 4;
/// Exit code: the hub, or a server that the store lies on, does not answer.
pub const UNREACHABLE: u8 = 5;
/// Exit code: some of it was done, or told, and not all.
pub const PARTLY_DONE: u8 = 6;
/// Exit code: the check found problems.
pub const PROBLEMS_FOUND: u8 = 7;
/// Exit code: interrupted before it was done.
pub const INTERRUPTED: u8 = 130;

impl Failure {
    /// A failure that the command has told about already.
    #[must_use]
    pub fn told(code: u8) -> Self {
        Failure { error: None, code }
    }

    /// A failure with an error to tell.
    pub fn with(code: u8, error: impl Into<anyhow::Error>) -> Self {
        Failure { error: Some(error.into()), code }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if error.chain().any(is_unreachable) {
            let text = format!("{error:#}; see that it runs and is reached from here: opshub doctor");
            return Failure::with(UNREACHABLE, anyhow::anyhow!(text));
        }
        Failure { error: Some(error), code: FAILED }
    }
}

/// Whether a server that the store lies on did not answer.
fn is_unreachable(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(storage::Error::Unreachable { .. }))
}

/// Runs one command.
///
/// # Errors
/// What to tell, and the exit code.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::State(args) => state::run(&args),
        Command::Sources(args) => sources::run(&args),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Scenario(command) => scenario::run(&command),
        Command::Resolve(command) => resolve::run(&command),
        Command::Health(args) => health::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Repartition(args) => repartition::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Digest(args) => digest::run(&args),
        Command::Connect(command) => connect::run(&command),
        Command::Mapping(command) => mapping::run(&command),
        Command::Simulate(args) => simulate::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Opens a store that is there; none is made where there is none.
pub(crate) fn open_store(dir: &Path) -> Result<Embedded, Failure> {
    if !Embedded::is_in(dir) {
        let text = format!("open the store in {}: there is none, name its folder with --store", dir.display());
        return Err(Failure::with(NOT_FOUND, anyhow::anyhow!(text)));
    }
    Ok(Embedded::open(dir, storage::Options::default())?)
}

/// Ctrl-c and SIGTERM, from when it is made: what comes while nobody waits is not lost.
pub(crate) struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

impl Ending {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Ending { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits until somebody ends the program.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The runtime that commands with sockets run on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
