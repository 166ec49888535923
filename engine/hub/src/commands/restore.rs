//! `opshub restore`: a store, made of a backup.

use std::path::PathBuf;

use clap::Args;
use storage::{Embedded, Options};

use super::{Failure, backup};

/// Makes a store of a backup, in a folder that is absent or empty, and reads all of it once more.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Backup, as `opshub backup` wrote it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of the new store.
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let restored = Embedded::restore(&args.store, backup::open(&args.file)?, Options::default())?;
    if args.json {
        println!("{}", backup::json(&args.file, &restored));
    } else {
        let dir = args.store.display();
        println!("{dir}: {}", backup::describe(&restored));
        println!("start a hub with `opshub serve --store {dir}`; sources send again what came later");
    }
    Ok(())
}
