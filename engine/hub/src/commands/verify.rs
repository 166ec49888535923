//! `opshub verify`: a store or a backup, read whole.

use std::path::PathBuf;

use clap::Args;
use storage::{Error, read_backup};

use super::{Failure, PROBLEMS_FOUND, backup, stores};

/// Reads everything of a store that no hub has open, or of a backup, and checks every digest.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder of the store.
    #[arg(long, value_name = "DIR", default_value = ".opshub/store")]
    store: PathBuf,
    /// Configuration that names the store, in place of a folder: the one way to servers.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["store", "backup"])]
    config: Option<PathBuf>,
    /// A backup, in place of a store.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    backup: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let read = match &args.backup {
        Some(file) => read_backup(backup::open(file)?)
            .map(|found| (backup::describe(&found), backup::json(file, &found)))
            .map_err(Failure::from),
        None => verify_store(args),
    };
    let (told, json) = match read {
        Ok(read) => read,
        Err(Failure { error: Some(error), .. }) if is_damage(&error) => {
            if args.json {
                println!("{}", serde_json::json!({ "sound": false, "problem": error.to_string() }));
                return Err(Failure::told(PROBLEMS_FOUND));
            }
            return Err(Failure::with(PROBLEMS_FOUND, error));
        }
        Err(failure) => return Err(failure),
    };
    if args.json {
        println!("{}", serde_json::json!({ "sound": true, "found": json }));
    } else {
        println!("sound: {told}");
    }
    Ok(())
}

fn verify_store(args: &VerifyArgs) -> Result<(String, serde_json::Value), Failure> {
    let seen = stores::open(args.config.as_deref(), &args.store)?.store.verify()?;
    let told = format!(
        "{} facts in {} blocks, {} blocks of payloads, {} rows, {} quarantined records, {} stands",
        seen.facts, seen.blocks, seen.raw_blocks, seen.rows, seen.quarantined, seen.stands
    );
    let json = serde_json::json!({
        "facts": seen.facts,
        "blocks": seen.blocks,
        "raw_blocks": seen.raw_blocks,
        "rows": seen.rows,
        "quarantined": seen.quarantined,
        "stands": seen.stands,
    });
    Ok((told, json))
}

/// Whether what was read is at fault, and not the attempt to read it.
fn is_damage(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Error>(), Some(Error::Damaged { .. } | Error::BackupDamaged { .. }))
}
