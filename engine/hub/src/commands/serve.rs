//! Provisional: replaced by the command itself.
use clap::Args;
/// Provisional.
#[derive(Debug, Args)]
pub struct ServeArgs {}
pub(super) fn run(_: &ServeArgs) -> Result<(), super::Failure> {
    Ok(())
}
