//! `opshub config`: a configuration, before a hub starts with it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::serve::environment;
use super::{Failure, PROBLEMS_FOUND};
use crate::{config, outputs};

/// A configuration, before a hub starts with it.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a configuration as `serve` would, with the secrets that it refers to, and open nothing.
    Check(CheckArgs),
    /// Print a file with every key, its default and what it means; all of it in comments, to begin with.
    Example,
    /// Print the JSON Schema of the records that `outputs.kafka` writes.
    Records,
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Configuration file; without one, defaults and environment are checked.
    #[arg(value_name = "FILE", env = "OPSHUB_CONFIG")]
    file: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Example => {
            print!("{}", config::example());
            Ok(())
        }
        ConfigCommand::Records => {
            println!("{}", serde_json::to_string_pretty(&outputs::contract())?);
            Ok(())
        }
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let read = config::read(args.file.as_deref(), environment()).and_then(config::ConfigFile::resolve);
    match read {
        Ok(config) => {
            let addresses = [("api", config.api.addr), ("doors", config.doors), ("metrics", config.metrics)];
            if args.json {
                let listen = addresses.map(|(name, addr)| (name.to_owned(), json!(addr.to_string())));
                println!("{}", json!({ "valid": true, "listen": serde_json::Map::from_iter(listen) }));
            } else {
                let listen = addresses.map(|(name, addr)| format!("{name} on {addr}"));
                println!("the configuration can be used: {}", listen.join(", "));
            }
            Ok(())
        }
        Err(error) if args.json => {
            println!("{}", json!({ "valid": false, "error": error.to_string() }));
            Err(Failure::told(PROBLEMS_FOUND))
        }
        Err(error) => Err(Failure::with(PROBLEMS_FOUND, error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_example_can_be_used_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("opshub.toml");
        std::fs::write(&file, config::example()).unwrap();
        assert!(run(&ConfigCommand::Check(CheckArgs { file: Some(file), json: true })).is_ok());
    }

    #[test]
    fn a_configuration_that_cannot_be_used_is_a_problem_that_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("opshub.toml");
        let check = |text: &str, json: bool| {
            std::fs::write(&file, text).unwrap();
            run(&ConfigCommand::Check(CheckArgs { file: Some(file.clone()), json })).map_err(|failure| failure.code)
        };
        assert_eq!(check("", false), Ok(()));
        for json in [false, true] {
            assert_eq!(check("[api]\nlisen = \"127.0.0.1:0\"\n", json), Err(PROBLEMS_FOUND));
        }
    }
}
