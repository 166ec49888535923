//! Provisional: replaced by the command itself.
use clap::Args;
/// Provisional.
#[derive(Debug, Args)]
pub struct SimulateArgs {}
pub(super) fn run(_: &SimulateArgs) -> Result<(), super::Failure> {
    Ok(())
}
