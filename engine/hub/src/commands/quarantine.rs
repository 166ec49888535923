//! Provisional: replaced by the command itself.
use clap::Subcommand;
/// Provisional.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {}
pub(super) fn run(command: &QuarantineCommand) -> Result<(), super::Failure> {
    match *command {}
}
