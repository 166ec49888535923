//! `opshub migrate`: a store moves from a folder to servers.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipeline::{Engine, EngineSettings, Input};
use resolver::Model;
use storage::{Distributed, Log as _, Migrated, Position, Store};

use super::stores::{configured, take_turn};
use super::{CONFIG_INVALID, Failure, PROBLEMS_FOUND, open_store, resolve};
use crate::as_of;
use crate::config::StoreConfig;

/// Copies a store from its folder to Kafka and Redis and compares both. The folder stays as it is. What
/// was broken off is continued by the same command.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Folder of the store; no hub has it open.
    #[arg(long, value_name = "DIR", default_value = ".opshub/store")]
    from: PathBuf,
    /// Configuration whose `store.distributed` names the servers; they hold no store of that name yet.
    #[arg(long, value_name = "FILE")]
    to_config: PathBuf,
    /// Model that decides identity, as `engine.model` of the hub [default: the shipped one].
    #[arg(long, value_name = "MODEL.toml")]
    model: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let StoreConfig::Distributed(options) = configured(&args.to_config)? else {
        let text = format!(
            "migrate to the servers of {}: it names none, write brokers and redis under [store.distributed]",
            args.to_config.display()
        );
        return Err(Failure::with(CONFIG_INVALID, anyhow::anyhow!(text)));
    };
    let model = resolve::model(args.model.as_deref())?;
    let from = open_store(&args.from)?;
    let _turn = take_turn(&options)?;
    let bar = bar(from.last().0);
    let moved = Distributed::migrate(&from, (*options).clone(), |position| {
        bar.set_position(position.0);
        Ok(())
    })?;
    bar.set_message("comparing");
    let expected = digest(&from, &from, &model)?;
    let found = digest(&from, &Distributed::open(*options)?, &model)?;
    bar.finish_and_clear();
    tell(args, &moved, from.start()?, (&expected, &found));
    if expected == found { Ok(()) } else { Err(Failure::told(PROBLEMS_FOUND)) }
}

/// Digest of everything derived from a store, when its last fact came in. A log without its beginning rests
/// on the base of the folder that it was kept in.
fn digest(from: &dyn Store, store: &dyn Store, model: &Model) -> Result<String, Failure> {
    let mut engine = Engine::new(EngineSettings::default(), model.clone());
    as_of::begin(&mut engine, from, None)?;
    as_of::replay_in_batches(store, None, usize::MAX, &mut engine)?;
    let now = engine.now();
    engine.step(Input::Tick { now });
    Ok(engine.digest(now))
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(positions: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(positions), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} facts {msg}  {elapsed}");
    bar.set_style(style.expect("the template is a constant"));
    bar
}

fn tell(args: &MigrateArgs, moved: &Migrated, start: Position, (expected, found): (&str, &str)) {
    if args.json {
        let told = serde_json::json!({
            "position": moved.position.0,
            "applied": moved.applied.0,
            "log_start": start.0,
            "log_digest": hex::encode(moved.digest),
            "rows": moved.rows,
            "quarantined": moved.quarantined,
            "digest_from": expected,
            "digest_to": found,
            "equal": expected == found,
        });
        println!("{told}");
        return;
    }
    println!("position {}, {} rows, {} quarantined records", moved.position, moved.rows, moved.quarantined);
    println!("{expected}  {}", args.from.display());
    println!("{found}  servers of {}", args.to_config.display());
    if start > Position::FIRST {
        println!(
            "the log begins at position {start}: the servers tell nothing of the past, and rows that Redis loses \
             cannot be built again; see that it keeps them"
        );
    }
    if expected == found {
        println!("equal: start the hub with --config {}", args.to_config.display());
    } else {
        println!("NOT equal: keep to the folder, and run `opshub verify` on both");
    }
}
