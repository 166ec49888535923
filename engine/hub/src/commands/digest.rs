//! `opshub digest`: the canonical digest of everything derived from a store.

use std::path::PathBuf;

use clap::Args;
use ontology::Millis;
use pipeline::{Engine, EngineSettings, Input};
use storage::Position;

use super::{Failure, NOT_FOUND, stores};
use crate::as_of;

/// Prints the canonical digest of everything derived from a store that no hub has open.
#[derive(Debug, Args)]
pub struct DigestArgs {
    /// Folder of the store.
    #[arg(long, value_name = "DIR", default_value = ".opshub/store")]
    store: PathBuf,
    /// Configuration that names the store, in place of a folder: the one way to servers.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    config: Option<PathBuf>,
    /// Log position to stand at [default: the end of the log].
    #[arg(long, value_name = "POSITION")]
    position: Option<u64>,
    /// Instant to evaluate at, milliseconds since 1970 [default: when the last fact was ingested].
    #[arg(long, value_name = "MS")]
    at: Option<i64>,
    /// Number of shards; any number gives the same digest.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Largest number of facts taken at once; any number gives the same digest.
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// Model that decides identity, as `engine.model` of the hub [default: the shipped one].
    #[arg(long, value_name = "MODEL.toml")]
    model: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Leave out by which changes things came to be as they are: what a source that lost events and
    /// its list job have in common with one that lost none.
    #[arg(long)]
    standing: bool,
    /// Print the canonical JSON of every customer instead of its digest, one a line.
    #[arg(long)]
    canonical: bool,
}

pub(super) fn run(args: &DigestArgs) -> Result<(), Failure> {
    let opened = stores::open(args.config.as_deref(), &args.store)?;
    let settings = EngineSettings { shards: args.shards.max(1), ..EngineSettings::default() };
    let mut engine = Engine::new(settings, super::resolve::model(args.model.as_deref())?);
    let until = args.position.map(Position);
    as_of::replay_in_batches(&*opened.store, until, args.batch, &mut engine)?;
    if let Some(asked) = args.position.filter(|asked| *asked > engine.position().0) {
        let why = anyhow::anyhow!("stand at position {asked}: the log ends at {}", engine.position().0);
        return Err(Failure::with(NOT_FOUND, why));
    }
    let now = args.at.map_or(engine.now(), Millis);
    engine.step(Input::Tick { now });
    if args.canonical {
        if args.standing {
            engine.standing(now).for_each(|customer| println!("{customer}"));
        } else {
            engine.canonical(now).for_each(|customer| println!("{customer}"));
        }
        return Ok(());
    }
    let digest = if args.standing { engine.standing_digest(now) } else { engine.digest(now) };
    let position = engine.position().0;
    if args.json {
        println!("{}", serde_json::json!({ "digest": digest, "position": position, "at_ms": now.0 }));
    } else {
        // Nothing has a time where nothing has happened.
        let at = if position == 0 && args.at.is_none() {
            "the store is empty".to_owned()
        } else {
            format!("at {} ms", now.0)
        };
        println!("{digest}  position {position}  {at}");
    }
    Ok(())
}
