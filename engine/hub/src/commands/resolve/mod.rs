//! `opshub resolve`: the engine's own resolver on tables of people or organisations.

mod calibrate;
mod out;
mod progress;
mod show;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use offline::{Difference, Error, Evaluation, Inputs, Labels, Mistake, Summary, Told, TrainReport, read_decisions};
use resolver::{Model, Parameters};
use serde::Serialize;

use super::{CONFIG_INVALID, Failure, NOT_FOUND};
use crate::client::USAGE;
use progress::Bar;

/// Resolves tables of people or organisations: train, run, explain, evaluate, compare models.
#[derive(Debug, Subcommand)]
pub enum ResolveCommand {
    /// Learn a model from your own records; labels are not needed.
    Train(TrainArgs),
    /// Find out which records are one party.
    Run(RunArgs),
    /// Say why two records are, or are not, one party.
    Explain(ExplainArgs),
    /// Hold a run against the truth.
    Evaluate(EvaluateArgs),
    /// Show what another model would merge and split.
    Diff(DiffArgs),
    /// Correct a model's probabilities by what people decided in a review.
    Calibrate(calibrate::CalibrateArgs),
}

#[derive(Debug, Args)]
struct Source {
    /// Tables: CSV with a header, perhaps gzipped; several are linked with each other.
    #[arg(long = "input", value_name = "FILE", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// What the columns hold: one map for all tables, or one for each in their order.
    #[arg(long, value_name = "MAP.toml", required = true)]
    map: Vec<PathBuf>,
}

impl Source {
    fn inputs(&self) -> Inputs {
        Inputs { files: self.input.clone(), maps: self.map.clone() }
    }

    /// Every file that is read, with those that only this command reads.
    fn read<'a>(&'a self, more: impl IntoIterator<Item = &'a Path>) -> Vec<&'a Path> {
        self.input.iter().chain(&self.map).map(PathBuf::as_path).chain(more).collect()
    }
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    source: Source,
    /// Where the model goes.
    #[arg(long, value_name = "MODEL.toml")]
    out: PathBuf,
    /// Column or table that says who is who, to calibrate probabilities; chances are learned without it.
    #[arg(long, value_name = "COLUMN|FILE")]
    truth: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    source: Source,
    /// Model to decide by [default: the shipped one].
    #[arg(long, value_name = "MODEL.toml")]
    model: Option<PathBuf>,
    /// What people decided: a run's review.csv with a column `same` (yes or no) added.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Folder for links, clusters, review pairs and rejected rows.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    source: Source,
    /// Model to decide by [default: the shipped one].
    #[arg(long, value_name = "MODEL.toml")]
    model: Option<PathBuf>,
    /// A record, named as in clusters.csv.
    left: String,
    /// Another record.
    right: String,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// The tables of the run.
    #[arg(long = "input", value_name = "FILE", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// What the columns hold [default: as in the run].
    #[arg(long, value_name = "MAP.toml")]
    map: Vec<PathBuf>,
    /// Column that names each record's party, or a table of record and party or of true pairs.
    #[arg(long, value_name = "COLUMN|FILE")]
    truth: String,
    /// File for the customers that are not exactly one party, as JSON.
    #[arg(long, value_name = "FILE")]
    mistakes: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    source: Source,
    /// The model that might be adopted.
    #[arg(long, value_name = "MODEL.toml")]
    model: PathBuf,
    /// The model in force [default: the shipped one].
    #[arg(long, value_name = "MODEL.toml")]
    against: Option<PathBuf>,
    /// Print the difference as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &ResolveCommand) -> Result<(), Failure> {
    match command {
        ResolveCommand::Train(args) => print(&train(args)?, args.json, show::trained),
        ResolveCommand::Run(args) => print(&resolve(args)?, args.json, |summary| show::summary(summary, &args.out)),
        ResolveCommand::Explain(args) => print(&explain(args)?, args.json, show::explanation),
        ResolveCommand::Evaluate(args) => print(&evaluate(args)?, args.json, show::evaluation),
        ResolveCommand::Diff(args) => print(&diff(args)?, args.json, show::difference),
        ResolveCommand::Calibrate(args) => calibrate::run(args),
    }
}

fn print<T: Serialize>(told: &T, is_json: bool, show: impl Fn(&T) -> String) -> Result<(), Failure> {
    if is_json {
        println!("{}", serde_json::to_string_pretty(told)?);
    } else {
        print!("{}", show(told));
    }
    Ok(())
}

fn train(args: &TrainArgs) -> Result<TrainReport, Failure> {
    let name = args.out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    out::check_file(&args.out, &args.source.read(args.truth.as_deref().map(Path::new)))?;
    let labels = args.truth.as_deref().map(Labels::named);
    let bar = Bar::start();
    let tell = &mut |step| bar.tell(step);
    let trained = offline::train(&args.source.inputs(), &name, labels.as_ref(), tell).map_err(failure)?;
    bar.end();
    fs::write(&args.out, trained.parameters.to_toml())
        .map_err(|source| failure(Error::File { action: "write model", path: args.out.clone(), source }))?;
    Ok(trained.report)
}

fn resolve(args: &RunArgs) -> Result<Summary, Failure> {
    out::check_folder(
        &args.out,
        &args.source.read([&args.model, &args.decisions].into_iter().flatten().map(PathBuf::as_path)),
    )?;
    let inputs = args.source.inputs();
    let model = model(args.model.as_deref())?;
    let version = model.version.to_string();
    let bar = Bar::start();
    let tables = inputs.open(None).map_err(failure)?;
    let decided = |records: &offline::Records| {
        args.decisions.as_deref().map_or_else(|| Ok(offline::Decisions::new()), |path| read_decisions(path, records))
    };
    let run = offline::run_with(tables, model, decided, &mut |step| bar.tell(step)).map_err(failure)?;
    bar.end();
    let records = &run.loaded.records;
    let summary = run.outcome.summary(records, &version);
    run.outcome.write(&args.out, records, &summary).map_err(failure)?;
    inputs.keep_maps(&args.out).map_err(failure)?;
    if !records.unknown.is_empty() {
        eprintln!("columns that the map does not name say nothing: {}", records.unknown.join(", "));
    }
    if !records.bad.is_empty() {
        eprintln!("{} rows were set aside, see {}", records.bad.len(), args.out.join("rejected.csv").display());
    }
    Ok(summary)
}

fn explain(args: &ExplainArgs) -> Result<Told, Failure> {
    if args.left == args.right {
        let why = "is one record, which is always itself; name two of clusters.csv";
        return Err(Failure::with(USAGE, anyhow::anyhow!("compare {} with {}: it {why}", args.left, args.right)));
    }
    let tables = args.source.inputs().open(None).map_err(failure)?;
    let bar = Bar::start();
    let run = offline::run(tables, model(args.model.as_deref())?, &mut |step| bar.tell(step)).map_err(failure)?;
    bar.end();
    run.explain(&args.left, &args.right).map_err(failure)
}

fn evaluate(args: &EvaluateArgs) -> Result<Evaluation, Failure> {
    let labels = Labels::named(&args.truth);
    let maps = if args.map.is_empty() { Inputs::kept_maps(&args.run).map_err(failure)? } else { args.map.clone() };
    if let Some(path) = &args.mistakes {
        let read: Vec<&Path> = args.input.iter().chain(&maps).map(PathBuf::as_path).collect();
        out::check_file(path, &[read, vec![Path::new(&args.truth)]].concat())?;
    }
    let inputs = Inputs { files: args.input.clone(), maps };
    let bar = Bar::start();
    let records = inputs.open(labels.column()).and_then(|tables| tables.read(|_| ())).map_err(failure)?;
    bar.end();
    let truth = labels.truth(&records).map_err(failure)?;
    let (outcome, summary) = offline::Outcome::read(&args.run, &records).map_err(failure)?;
    if let Some(path) = &args.mistakes {
        write_mistakes(path, &offline::mistaken(&records, &truth, &outcome))?;
    }
    Ok(offline::evaluate(&records, &truth, &outcome, summary.candidates, summary.across_only))
}

fn write_mistakes(path: &Path, mistakes: &[Mistake]) -> Result<(), Failure> {
    fs::write(path, serde_json::to_string_pretty(mistakes)? + "\n")
        .map_err(|source| failure(Error::File { action: "write mistakes", path: path.into(), source }))
}

fn diff(args: &DiffArgs) -> Result<Difference, Failure> {
    let (before, after) = (model(args.against.as_deref())?, model(Some(&args.model))?);
    let bar = Bar::start();
    let difference =
        offline::difference(&args.source.inputs(), before, after, &mut |step| bar.tell(step)).map_err(failure)?;
    bar.end();
    Ok(difference)
}

/// The model in a file, or the shipped one.
pub(super) fn model(path: Option<&Path>) -> Result<Model, Failure> {
    let Some(path) = path else { return Ok(Model::shipped()) };
    let text = fs::read_to_string(path).map_err(|source| {
        let is_nowhere = source.kind() == std::io::ErrorKind::NotFound;
        let Failure { code, error } = failure(Error::File { action: "read model", path: path.into(), source });
        let next = "`opshub resolve train` writes one, and without --model the shipped one decides";
        let told = |error: anyhow::Error| if is_nowhere { anyhow::anyhow!("{error:#}; {next}") } else { error };
        Failure { code, error: error.map(told) }
    })?;
    let wrong = |why: String| failure(Error::Model { path: path.into(), why });
    let parameters = Parameters::parse(&text).map_err(|error| wrong(error.to_string()))?;
    Model::from_parameters(parameters).map_err(|error| wrong(error.to_string()))
}

fn failure(error: Error) -> Failure {
    let code = match &error {
        Error::Map { .. } | Error::Model { .. } => CONFIG_INVALID,
        Error::NoRecord(_) => NOT_FOUND,
        Error::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => NOT_FOUND,
        Error::File { .. } | Error::Table { .. } | Error::TooLittle { .. } => super::FAILED,
    };
    Failure::with(code, error)
}

#[cfg(test)]
mod tests;
