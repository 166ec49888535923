//! `opshub resolve calibrate`: what people decided in a review, of tables or of a hub, corrects what a
//! model promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use offline::{Deciding, DecisionsReport, Error, Inputs, Recalibrated, load, read_decisions, recalibrate};
use pipeline::EngineSettings;
use storage::{Embedded, Options, Store};

use super::progress::Bar;
use super::{NOT_FOUND, failure, model, out, print, show};
use crate::as_of::{self, Moment};
use crate::commands::Failure;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Store of a hub that is not running: its records, and the decisions of its stewards.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["input", "map", "decisions"], required_unless_present = "decisions")]
    store: Option<PathBuf>,
    /// Tables: CSV with a header, perhaps gzipped.
    #[arg(long = "input", value_name = "FILE", num_args = 1.., requires = "map")]
    input: Vec<PathBuf>,
    /// What the columns hold.
    #[arg(long, value_name = "MAP.toml")]
    map: Vec<PathBuf>,
    /// What people decided on the tables: a run's review.csv with a column `same` (yes or no) added.
    #[arg(long, value_name = "FILE", requires = "input")]
    decisions: Option<PathBuf>,
    /// Model that the review was made with [default: the shipped one].
    #[arg(long, value_name = "MODEL.toml")]
    model: Option<PathBuf>,
    /// Where the corrected model goes.
    #[arg(long, value_name = "MODEL.toml")]
    out: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CalibrateArgs) -> Result<(), Failure> {
    let read: Vec<&Path> =
        args.input.iter().chain(&args.map).chain(&args.decisions).chain(&args.model).map(PathBuf::as_path).collect();
    out::check_file(&args.out, &read)?;
    let Recalibrated { parameters, report } = match &args.store {
        Some(_) => of_store(args)?,
        None => of_tables(args)?,
    };
    fs::write(&args.out, parameters.to_toml())
        .map_err(|source| failure(Error::File { action: "write model", path: args.out.clone(), source }))?;
    print::<DecisionsReport>(&report, args.json, show::recalibrated)
}

fn name(args: &CalibrateArgs) -> String {
    args.out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn of_tables(args: &CalibrateArgs) -> Result<Recalibrated, Failure> {
    let inputs = Inputs { files: args.input.clone(), maps: args.map.clone() };
    let model = model(args.model.as_deref())?;
    let bar = Bar::start();
    let tables = inputs.open(None).map_err(failure)?;
    let mut loaded = load(tables, model, Deciding::Now, &mut |step| bar.tell(step)).map_err(failure)?;
    if let Some(path) = &args.decisions {
        let decisions = read_decisions(path, &loaded.records).map_err(failure)?;
        loaded.judge(&decisions);
    }
    let recalibrated = recalibrate(&loaded.resolver, &name(args)).map_err(failure)?;
    bar.end();
    Ok(recalibrated)
}

/// Replays a hub's log: its resolver then holds every record and every decision.
fn of_store(args: &CalibrateArgs) -> Result<Recalibrated, Failure> {
    let folder = args.store.as_deref().expect("the caller looked at the store");
    if !folder.is_dir() {
        let why = anyhow::anyhow!("open the store {}: there is no such folder", folder.display());
        return Err(Failure::with(NOT_FOUND, why));
    }
    let model = model(args.model.as_deref())?;
    let store: Arc<dyn Store> = Arc::new(Embedded::open(folder, Options::default())?);
    let bar = Bar::start();
    let newest = Moment::at(&*store, store.last())?;
    let engine = as_of::engine_at(&*store, newest, EngineSettings::default(), model)?;
    let recalibrated = recalibrate(engine.identity().resolver(), &name(args)).map_err(failure)?;
    bar.end();
    Ok(recalibrated)
}
