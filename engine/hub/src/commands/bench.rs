//! Provisional: replaced by the command itself.
use clap::Args;
/// Provisional.
#[derive(Debug, Args)]
pub struct BenchArgs {}
pub(super) fn run(_: &BenchArgs) -> Result<(), super::Failure> {
    Ok(())
}
