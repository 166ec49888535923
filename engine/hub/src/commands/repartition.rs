//! `opshub repartition`: the rows of a store on servers come to lie in another number of partitions.

use std::path::PathBuf;

use clap::Args;
use storage::Distributed;

use super::stores::{configured, take_turn};
use super::{CONFIG_INVALID, Failure};
use crate::config::StoreConfig;

/// Drops the rows of a store on servers, so that the next hub builds them again from the log, in as many
/// partitions as the configuration says. No hub runs meanwhile.
#[derive(Debug, Args)]
pub struct RepartitionArgs {
    /// Configuration with the new `store.distributed.partitions`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &RepartitionArgs) -> Result<(), Failure> {
    let StoreConfig::Distributed(options) = configured(&args.config)? else {
        let text = format!(
            "repartition the store of {}: it is in a folder, which has no partitions; only one under \
             [store.distributed] has",
            args.config.display()
        );
        return Err(Failure::with(CONFIG_INVALID, anyhow::anyhow!(text)));
    };
    let _turn = take_turn(&options)?;
    let (found, wanted) = Distributed::repartition(&options)?;
    println!("rows lay in {found} partitions and will lie in {wanted}: the next start builds them from the log");
    Ok(())
}
