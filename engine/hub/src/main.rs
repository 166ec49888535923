//! The `opshub` binary: reads the command line and hands over to the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use hub::commands::{Cli, FAILED, Failure};

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

/// A reader such as `head` that closes the pipe has what it wanted: that is no failure of ours, and a full
/// disk is one that needs no trace. The standard library panics on both, and only a hook can tell those
/// panics from others without `unsafe`.
fn end_quietly_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map(String::as_str).unwrap_or_default();
        if said.starts_with("failed printing to stdout") {
            if said.contains("Broken pipe") {
                std::process::exit(0);
            }
            let why = said.split_once(": ").map_or("it is closed", |(_, why)| why);
            // Where standard error is closed too, the exit code says it.
            let _ = writeln!(std::io::stderr(), "opshub: write the result: {why}; free some room, or write elsewhere");
            std::process::exit(i32::from(FAILED));
        }
        if said.starts_with("failed printing to stderr") {
            std::process::exit(i32::from(FAILED));
        }
        usual(panic);
    }));
}
