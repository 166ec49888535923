//! The `opshub` binary: reads the command line and hands over to the library.

use std::process::ExitCode;

use clap::Parser;
use hub::commands::{Cli, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    end_quietly_with_the_reader();
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

/// A reader such as `head` that closes the pipe has what it wanted: that is no failure of ours. The
/// standard library panics on it, and only a hook can tell that panic from others without `unsafe`.
fn end_quietly_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map(String::as_str).unwrap_or_default();
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(panic);
    }));
}
