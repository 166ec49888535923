//! `opshub doctor`: everything that a hub stands on, one line each: what was found, and what to do.
//!
//! It changes nothing and keeps nothing. A store that a running hub has open is left alone.

mod local;
mod reach;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::serve::environment;
use super::{Failure, PROBLEMS_FOUND, runtime};
use crate::client::table;
use crate::config::{self, StoreConfig};

/// Looks at configuration, secrets, store, disk, clock, ports and the systems that are connected.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Configuration file, as for `serve`.
    #[arg(long, value_name = "FILE", env = "OPSHUB_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of the store [default: as configured].
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Ask nothing of other machines.
    #[arg(long)]
    offline: bool,
    /// How long each system may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    wait: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// Nothing to do.
    Good,
    /// It works, and may not stay so.
    Doubtful,
    /// The hub will not start, or not do what it should.
    Wrong,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Grade::Good => "good",
            Grade::Doubtful => "doubtful",
            Grade::Wrong => "WRONG",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    part: String,
    grade: Grade,
    /// What was found.
    found: String,
    /// What to do; empty where nothing is.
    next: String,
}

impl Finding {
    fn good(part: impl Into<String>, found: impl Into<String>) -> Self {
        Finding { part: part.into(), grade: Grade::Good, found: found.into(), next: String::new() }
    }

    fn doubtful(part: impl Into<String>, found: impl Into<String>, next: impl Into<String>) -> Self {
        Finding { part: part.into(), grade: Grade::Doubtful, found: found.into(), next: next.into() }
    }

    fn wrong(part: impl Into<String>, found: impl Into<String>, next: impl Into<String>) -> Self {
        Finding { part: part.into(), grade: Grade::Wrong, found: found.into(), next: next.into() }
    }
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let findings = examine(args)?;
    let is_well = findings.iter().all(|finding| finding.grade != Grade::Wrong);
    if args.json {
        let told: Vec<_> = findings
            .iter()
            .map(|finding| {
                serde_json::json!({
                    "part": finding.part,
                    "grade": finding.grade.name().to_lowercase(),
                    "found": finding.found,
                    "next": finding.next,
                })
            })
            .collect();
        println!("{}", serde_json::json!({ "well": is_well, "findings": told }));
    } else {
        let rows = findings
            .iter()
            .map(|finding| [&finding.part, finding.grade.name(), &finding.found, &finding.next].map(str::to_owned));
        println!("{}", table(["part", "", "found", "what to do"], rows));
    }
    if is_well { Ok(()) } else { Err(Failure::told(PROBLEMS_FOUND)) }
}

fn examine(args: &DoctorArgs) -> Result<Vec<Finding>, Failure> {
    let path = args.config.as_deref();
    let mut findings = Vec::new();
    let read = config::read(path, environment());
    let dir = read.as_ref().map_or_else(|_| config::StoreSection::default().dir, |file| file.store.dir.clone());
    let dir = args.store.clone().unwrap_or(dir);
    let resolved = read.and_then(config::ConfigFile::resolve);
    let servers = match resolved.as_ref().map(|config| &config.store) {
        Ok(StoreConfig::Distributed(options)) if args.store.is_none() => Some(options.clone()),
        Ok(StoreConfig::Distributed(_) | StoreConfig::Embedded(_)) | Err(_) => None,
    };
    findings.push(match &resolved {
        Ok(_) => Finding::good("configuration", path.map_or("defaults".to_owned(), |path| path.display().to_string())),
        Err(error) => Finding::wrong(
            "configuration",
            error.to_string(),
            "change it, then `opshub config check`; docs/configuration.md",
        ),
    });
    findings.extend(local::secrets(&config::secret_files(path, environment()).unwrap_or_default()));
    let is_on_servers = servers.is_some();
    let is_in_use = match servers {
        // Whether the hub of this machine runs cannot be told from servers.
        Some(_) if args.offline => true,
        Some(options) => {
            findings.push(local::servers(&options, Duration::from_secs(args.wait)));
            true
        }
        None => {
            let (store, is_in_use) = local::store(&dir);
            findings.extend(store);
            findings.push(local::space(&dir));
            is_in_use
        }
    };
    let Ok(config) = resolved else { return Ok(findings) };
    let doors = reach::is_any(&config.connectors).then_some(config.doors);
    let listeners = [("api", Some(config.api.addr)), ("doors", doors), ("metrics", Some(config.metrics))];
    findings.extend(listeners.into_iter().filter_map(|(name, addr)| Some(local::port(name, addr?, is_in_use))));
    if !args.offline {
        let wait = Duration::from_secs(args.wait);
        findings.extend(runtime()?.block_on(async {
            let mut findings = reach::systems(config.connectors, wait).await;
            if is_on_servers {
                findings.extend(reach::role(config.metrics, wait).await);
            }
            findings.extend(reach::outputs(config.kafka.as_ref(), wait).await);
            findings
        }));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    fn args(config: &Path, store: &Path) -> DoctorArgs {
        DoctorArgs {
            config: Some(config.to_owned()),
            store: Some(store.to_owned()),
            offline: true,
            wait: 1,
            json: true,
        }
    }

    #[test]
    fn all_is_well_or_the_exit_code_says_that_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (config, store) = (folder.path().join("opshub.toml"), folder.path().join("store"));
        let listen = "[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n";
        std::fs::write(&config, listen).unwrap();
        let parts: Vec<String> = examine(&args(&config, &store)).unwrap().into_iter().map(|one| one.part).collect();
        assert_eq!(parts, ["configuration", "store", "disk", "port of api", "port of metrics"]);
        std::fs::write(&config, "[api]\nlisen = \"127.0.0.1:0\"\n").unwrap();
        let findings = examine(&args(&config, &store)).unwrap();
        assert!(findings[0].grade == Grade::Wrong && findings[0].found.contains("did you mean"), "{findings:?}");
        let told = run(&args(&config, &store)).unwrap_err();
        assert_eq!((told.code, told.error.is_none()), (PROBLEMS_FOUND, true));
    }
}
