//! `opshub scenario`: plays stories and says what is not as they expect.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use storage::DistributedOptions;

use super::stores::ServersArgs;
use super::{CONFIG_INVALID, Failure, NOT_FOUND, PROBLEMS_FOUND};
use crate::client::USAGE;
use crate::scenario::{Error, Extra, Report, load, play_all, schema};

/// What names of stories on servers begin with.
const STORIES: &str = "opshub-story";

/// Plays stories, or describes their format.
#[derive(Debug, Subcommand)]
pub enum ScenarioCommand {
    /// Play stories and check what the hub makes of them; exit code 7 if something is not as expected.
    Run(RunArgs),
    /// Print the JSON Schema of story files.
    Schema,
}

/// Which stories to play, and how.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A story file, or a folder of them.
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// The form of the hub that plays them.
    #[arg(long, value_enum, default_value_t = FormName::Embedded)]
    form: FormName,
    #[command(flatten)]
    servers: ServersArgs,
    /// Deliver the facts of every story in N further orders too.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shuffle: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A form of the hub, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// One process with a store of its own.
    Embedded,
    /// A log and shared state on servers.
    Distributed,
}

pub(super) fn run(command: &ScenarioCommand) -> Result<(), Failure> {
    match command {
        ScenarioCommand::Run(args) => run_stories(args),
        ScenarioCommand::Schema => {
            println!("{}", serde_json::to_string_pretty(&schema())?);
            Ok(())
        }
    }
}

fn run_stories(args: &RunArgs) -> Result<(), Failure> {
    let extra = Extra { servers: servers(args)?, shuffles: args.shuffle };
    let mut report = Report::default();
    let stories = load(&args.path).map_err(failure)?;
    for outcome in play_all(&stories, &extra).map_err(failure)? {
        report.add(outcome);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    if report.failed > 0 { Err(Failure::told(PROBLEMS_FOUND)) } else { Ok(()) }
}

/// The servers of the form that is asked for; the embedded one has none.
fn servers(args: &RunArgs) -> Result<Option<DistributedOptions>, Failure> {
    Ok(match args.form {
        FormName::Embedded if args.servers.are_told() => {
            let why = "play stories on servers: --kafka and --redis name them, but the form is embedded; write --form \
                       distributed too, or leave them out";
            return Err(Failure::with(USAGE, anyhow::anyhow!(why)));
        }
        FormName::Embedded => None,
        FormName::Distributed => Some(args.servers.named(STORIES)?),
    })
}

fn failure(error: Error) -> Failure {
    let code = match &error {
        Error::Format { .. } => CONFIG_INVALID,
        Error::Read { why, .. } if why.kind() == std::io::ErrorKind::NotFound => NOT_FOUND,
        Error::Read { .. } => super::FAILED,
        Error::Play { .. } => super::FAILED,
    };
    Failure::with(code, error)
}
