//! Provisional: replaced by the command itself.
use clap::Args;
/// Provisional.
#[derive(Debug, Args)]
pub struct StateArgs {}
pub(super) fn run(_: &StateArgs) -> Result<(), super::Failure> {
    Ok(())
}
