//! The `opshub` binary: reads the command line and hands over to the library.

use std::process::ExitCode;

use clap::Parser;
use hub::commands::{Cli, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match hub::commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, code }) => {
            if let Some(error) = error {
                eprintln!("opshub: {error:#}");
            }
            ExitCode::from(code)
        }
    }
}
