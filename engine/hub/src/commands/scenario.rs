//! `opshub scenario`: plays stories and says what is not as they expect.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{CONFIG_INVALID, Failure, NOT_FOUND, PROBLEMS_FOUND};
use crate::scenario::{Error, Extra, Report, load, play, schema};

/// Exit code: the call makes no sense.
const USAGE: u8 = 2;

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
    #[arg(long, value_enum, default_value_t = Form::Embedded)]
    form: Form,
    /// Deliver the facts of every story in N further orders too.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shuffle: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A form of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
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
    if args.form == Form::Distributed {
        let why = anyhow::anyhow!("play stories on the distributed form: this build runs the embedded form only");
        return Err(Failure::with(USAGE, why));
    }
    let extra = Extra { shuffles: args.shuffle };
    let mut report = Report::default();
    for story in load(&args.path).map_err(failure)? {
        report.add(play(&story, extra).map_err(failure)?);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    if report.failed > 0 { Err(Failure::told(PROBLEMS_FOUND)) } else { Ok(()) }
}

fn failure(error: Error) -> Failure {
    let code = match &error {
        Error::Format { .. } => CONFIG_INVALID,
        Error::Read { .. } => NOT_FOUND,
        Error::Play { .. } => super::FAILED,
    };
    Failure::with(code, error)
}
