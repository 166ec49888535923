//! Provisional: replaced by the command itself.
use clap::Args;
/// Provisional.
#[derive(Debug, Args)]
pub struct SourcesArgs {}
pub(super) fn run(_: &SourcesArgs) -> Result<(), super::Failure> {
    Ok(())
}
