//! `opshub connect`: a source, tried out before the hub relies on it.
//!
//! The connector runs as it will, with the configuration as it is, on a store that is thrown away:
//! what is wrong with credentials, permissions, topics or clocks shows as it would show later, in
//! the vendor's words.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use connectors::edge::trial::Trial;
use ontology::{Millis, System, Vocabulary as _};
use serve::backend::SourceReport;
use storage::Embedded;

use super::serve::{environment, source, sources};
use super::{CONFIG_INVALID, Failure, PROBLEMS_FOUND, runtime};
use crate::app::{App, AppOptions};
use crate::client::table;
use crate::clock::WallClock;
use crate::config::{self, Config, ConnectorsConfig};

/// How often is looked whether something happened.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A source whose own time is further from ours than this is told of: signed times would be refused.
const CLOCKS_APART_MAX_MS: i64 = 120_000;

/// Tries a source out before the hub relies on it.
#[derive(Debug, Subcommand)]
pub enum ConnectCommand {
    /// Try credentials, permissions, clock and one event end to end; nothing is kept.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The system: salesforce, oracle, wxcc, sap or zendesk.
    #[arg(value_parser = source)]
    system: System,
    /// Configuration file, as for `serve`.
    #[arg(long, value_name = "FILE", env = "OPSHUB_CONFIG")]
    config: Option<PathBuf>,
    /// Where the source pushes to meanwhile, if it pushes [default: as configured].
    #[arg(long, value_name = "ADDR")]
    doors: Option<SocketAddr>,
    /// How long to wait for the proof that it is alive, and for one event, in seconds.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &ConnectCommand) -> Result<(), Failure> {
    let ConnectCommand::Check(args) = command;
    let mut file =
        config::read(args.config.as_deref(), environment()).map_err(|error| Failure::with(CONFIG_INVALID, error))?;
    file.doors.listen = args.doors.or(file.doors.listen);
    let config = file.resolve().map_err(|error| Failure::with(CONFIG_INVALID, error))?;
    let trials = runtime()?.block_on(check(args, config))?;
    if args.json {
        let told: Vec<_> = trials
            .iter()
            .map(|trial| {
                let (is_good, text) = match &trial.result {
                    Ok(text) => (true, text),
                    Err(text) => (false, text),
                };
                serde_json::json!({ "what": trial.what, "good": is_good, "text": text })
            })
            .collect();
        println!("{}", serde_json::json!({ "system": args.system.name(), "trials": told }));
    } else {
        let rows = trials.iter().map(|trial| match &trial.result {
            Ok(found) => [trial.what.clone(), "good".to_owned(), found.clone()],
            Err(wrong) => [trial.what.clone(), "WRONG".to_owned(), wrong.clone()],
        });
        println!("{}", table(["tried", "", "found"], rows));
    }
    if trials.iter().all(|trial| trial.result.is_ok()) { Ok(()) } else { Err(Failure::told(PROBLEMS_FOUND)) }
}

/// Runs everything that can be tried, most basic first.
async fn check(args: &CheckArgs, config: Config) -> Result<Vec<Trial>, Failure> {
    let system = args.system;
    let Config { doors, mut connectors, .. } = config;
    let mut trials = Vec::new();
    if !keep_only(&mut connectors, system) {
        let name = system.name();
        trials.push(Trial::bad("configuration", format!("there is no section [connectors.{name}]: write one")));
        return Ok(trials);
    }
    let mapping = connectors.connectors.mapping(system);
    trials.extend(mapping.map(|mapping| {
        let found = format!("version {}, {} objects", mapping.version, mapping.objects.len());
        Trial::good("mapping", found)
    }));
    trials.extend(reach(system, &mut connectors).await);
    let unmonitored = connectors.unmonitored().contains(&system);
    let folder = tempfile::Builder::new().prefix("opshub-check-").tempdir()?;
    let store = Arc::new(Embedded::open(folder.path(), storage::Options::default())?);
    let options = AppOptions {
        batch_max: 1_000,
        unmonitored: connectors.unmonitored(),
        connectors: connectors.connectors.clone(),
        ..AppOptions::local(Arc::new(WallClock::default()))
    };
    let mut app = App::start(store, options).await?;
    sources::connect(&mut app, connectors, doors).await?;
    let door = app.doors().map(|address| format!("http://{address}"));
    if let Some(door) = &door {
        eprintln!("connect: the doors are open at {door}; let {} send something", system.name());
    }
    trials.extend(watched(&app, args, unmonitored, door).await);
    app.stop().await?;
    Ok(trials)
}

/// Tries what can be asked of a connected system; nothing of a system that only pushes.
pub(super) async fn reach(system: System, connectors: &mut ConnectorsConfig) -> Vec<Trial> {
    let clock = Arc::new(WallClock::default());
    match system {
        System::Salesforce => match &connectors.salesforce {
            Some(salesforce) => connectors::salesforce::check::check(salesforce, &connectors.connectors, clock).await,
            None => Vec::new(),
        },
        System::Oracle => match &connectors.oracle {
            Some(oracle) => {
                let paths = connectors::oracle::check::Paths {
                    list: oracle.list.as_ref(),
                    kafka: oracle.kafka.as_ref(),
                    queue: oracle.queue.as_ref(),
                };
                connectors::oracle::check::check(paths, &connectors.connectors, clock).await
            }
            None => Vec::new(),
        },
        System::Wxcc => contact_centre(connectors).await,
        System::Sap => field_service(connectors).await,
        System::Zendesk => match connectors.zendesk.as_ref().and_then(|zendesk| zendesk.export.as_ref()) {
            Some(export) => connectors::zendesk::check::check(export, &connectors.connectors, clock).await,
            None => Vec::new(),
        },
        System::Engine | System::Human => Vec::new(),
    }
}

/// Tries the contact centre's interface. While the connector runs for the check it leaves the
/// subscriptions alone, and its proof is compared with the clock and not with the reporting lag.
async fn contact_centre(connectors: &mut ConnectorsConfig) -> Vec<Trial> {
    let Some(search) = connectors.wxcc.as_mut().and_then(|wxcc| wxcc.search.as_mut()) else { return Vec::new() };
    let clock = Arc::new(WallClock::default());
    let trials = connectors::wxcc::check::check(search, &connectors.connectors, clock).await;
    search.subscriptions = None;
    search.lag_ms = 0;
    trials
}

/// Tries SAP's interface and folder. The folder is not watched for the check: files that were read
/// into a store that is thrown away would be gone.
async fn field_service(connectors: &mut ConnectorsConfig) -> Vec<Trial> {
    let Some(sap) = connectors.sap.as_mut() else { return Vec::new() };
    let clock = Arc::new(WallClock::default());
    let trials =
        connectors::sap::check::check(sap.list.as_ref(), sap.folder.as_ref(), &connectors.connectors, clock).await;
    sap.folder = None;
    trials
}

/// Leaves one system connected; whether it is configured.
fn keep_only(connectors: &mut ConnectorsConfig, system: System) -> bool {
    let is = |other: System| system == other;
    connectors.salesforce.take_if(|_| !is(System::Salesforce));
    connectors.oracle.take_if(|_| !is(System::Oracle));
    connectors.wxcc.take_if(|_| !is(System::Wxcc));
    connectors.sap.take_if(|_| !is(System::Sap));
    connectors.zendesk.take_if(|_| !is(System::Zendesk));
    connectors.salesforce.is_some()
        || connectors.oracle.is_some()
        || connectors.wxcc.is_some()
        || connectors.sap.is_some()
        || connectors.zendesk.is_some()
}

/// What the running connector shows: that it reaches its source, whose clock agrees, and one event.
async fn watched(app: &App, args: &CheckArgs, unmonitored: bool, door: Option<String>) -> Vec<Trial> {
    // A source that tells its past first comes to its present in time.
    let waiting = async {
        while !is_told(&app.figures.sources(app.handle().now()), app.handle().now(), unmonitored) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Whatever did not show by then is told as what it is.
    let _ = tokio::time::timeout(Duration::from_secs(args.wait), waiting).await;
    let now = app.handle().now();
    findings(&app.figures.sources(now), now, args.wait, unmonitored, door)
}

/// Whether an event came, and the proof that nothing newer is missing, by about the same clock.
fn is_told(reports: &[SourceReport], now: Millis, unmonitored: bool) -> bool {
    let is_proven = |report: &SourceReport| report.watermark.is_some_and(|until| !is_apart(until, now));
    reports.iter().any(|report| report.received_count > 0) && (unmonitored || reports.iter().any(is_proven))
}

fn is_apart(until: Millis, now: Millis) -> bool {
    now.since(until).abs() > CLOCKS_APART_MAX_MS
}

fn findings(reports: &[SourceReport], now: Millis, wait_s: u64, unmonitored: bool, door: Option<String>) -> Vec<Trial> {
    let error = reports.iter().map(|report| report.last_error.as_str()).find(|error| !error.is_empty());
    let watermark = reports.iter().filter_map(|report| report.watermark).max();
    let (facts, held) = reports
        .iter()
        .fold((0, 0), |(facts, held), report| (facts + report.received_count, held + report.quarantined_count));
    let mut trials = Vec::new();
    trials.push(match (watermark, error) {
        (Some(until), _) if is_apart(until, now) => {
            let apart_s = now.since(until) / 1_000;
            let text = format!(
                "its newest proof is {apart_s} s behind this machine's clock; if it does not catch up, compare both \
                 with a time server"
            );
            Trial::bad("probe and clock", text)
        }
        (Some(_), _) => Trial::good("probe and clock", "it answers, and its clock agrees with this machine's"),
        (None, Some(error)) => Trial::bad("probe and clock", error.to_owned()),
        (None, None) if unmonitored => {
            Trial::good("probe and clock", "neither heartbeat nor probe is configured: it will be shown as unmonitored")
        }
        (None, None) => Trial::bad("probe and clock", format!("nothing proved that it is alive within {wait_s} s")),
    });
    let came = facts > 0;
    let wrong = || match &door {
        Some(door) => format!("none came within {wait_s} s; does the source push to {door}, with the right secret?"),
        None => format!("none came within {wait_s} s; change a record there and try again"),
    };
    trials.push(if came {
        Trial::good("one event end to end", format!("{facts} facts, {held} parts in quarantine"))
    } else {
        Trial::bad("one event end to end", error.map_or_else(wrong, str::to_owned))
    });
    if held > 0 {
        let text = format!("{held} parts were not understood; try one with `opshub mapping check`");
        trials.push(Trial::bad("contract", text));
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(watermark: Option<i64>, facts: u64, held: u64, error: &str) -> SourceReport {
        SourceReport {
            system: System::Oracle,
            partition: "erp".to_owned(),
            source_position: String::new(),
            watermark: watermark.map(Millis),
            last_event_at: None,
            received_count: facts,
            quarantined_count: held,
            last_error: error.to_owned(),
        }
    }

    fn wrong(report: SourceReport, unmonitored: bool) -> Vec<String> {
        let trials = findings(&[report], Millis(1_000_000), 5, unmonitored, None);
        trials.into_iter().filter(|trial| trial.result.is_err()).map(|trial| trial.what).collect()
    }

    #[test]
    fn a_past_that_is_told_first_is_waited_for() {
        let told =
            |watermark, facts, unmonitored| is_told(&[report(watermark, facts, 0, "")], Millis(1_000_000), unmonitored);
        assert!(told(Some(880_000), 1, false) && !told(Some(879_999), 1, false));
        assert!(!told(Some(1_000_000), 0, false) && !told(None, 1, false) && told(None, 1, true));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_is_wrong() {
        assert!(wrong(report(Some(1_000_000), 3, 0, ""), false).is_empty());
        assert_eq!(wrong(report(Some(879_999), 3, 0, ""), false), ["probe and clock"]);
        assert!(wrong(report(Some(880_000), 3, 0, ""), false).is_empty());
        assert_eq!(wrong(report(None, 0, 0, "401"), false), ["probe and clock", "one event end to end"]);
        assert_eq!(wrong(report(None, 1, 0, ""), false), ["probe and clock"]);
        assert!(wrong(report(None, 1, 0, ""), true).is_empty(), "nobody asked for a probe");
        assert_eq!(wrong(report(Some(1_000_000), 1, 2, ""), false), ["contract"]);
        let refused = report(None, 0, 0, "2 deliveries refused since the start, the last for bad_token");
        let told = findings(&[refused], Millis(1_000_000), 5, false, Some("http://127.0.0.1:1".to_owned()));
        assert!(told[1].result.as_ref().is_err_and(|wrong| wrong.contains("bad_token")), "{told:?}");
    }
}
