//! `opshub simulate`: one vendor simulator by itself, in which the world's story happens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use connectors::Clock as _;
use fixtures::faults::{FaultSwitch, Faults, FaultsError};
use fixtures::oracle::kafka::KafkaCapture;
use fixtures::oracle::{OracleDoor, OracleServer};
use fixtures::player::{Doors, PlayError, Player, Vendors};
use fixtures::salesforce::{SalesforceConfig, SalesforceError, SalesforceServer};
use fixtures::sap::{SapDoor, SapServer};
use fixtures::world::{Size, World};
use fixtures::wxcc::{WebexDoor, WebexServer};
use fixtures::zendesk::{ZendeskConfig, ZendeskDoor, ZendeskServer};
use tracing_subscriber::EnvFilter;

use super::{CONFIG_INVALID, Ending, FAILED, Failure, UNREACHABLE, runtime};
use crate::client::USAGE;
use crate::clock::WallClock;
use crate::config::SecretRef;

/// A free port of loopback.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Runs one vendor simulator by itself.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The vendor.
    #[arg(value_enum)]
    system: Vendor,
    /// Seed of the world: the same seed, the same story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Customers in the world, beside the three of the story.
    #[arg(long, default_value_t = 200)]
    customers: u32,
    /// Where the simulator listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where Salesforce's event bus listens [default: a free port].
    #[arg(long, value_name = "ADDR")]
    bus: Option<SocketAddr>,
    /// The hub's doors that Oracle, Webex, SAP and Zendesk push to, such as http://127.0.0.1:7401.
    #[arg(long, value_name = "URL", requires = "token", value_parser = target)]
    target: Option<String>,
    /// What opens the door, as env:NAME or file:PATH: Oracle's bearer token, Webex's and Zendesk's
    /// signing secret, SAP's password.
    #[arg(long, value_name = "REFERENCE", requires = "target")]
    token: Option<SecretRef>,
    /// User that goes with SAP's password.
    #[arg(long, default_value = "opshub")]
    user: String,
    /// Brokers into whose topics Oracle's changes are captured instead of being pushed, host:port with
    /// commas between.
    #[arg(long, value_name = "BROKERS", conflicts_with = "target")]
    kafka: Option<String>,
    /// What the names of the topics begin with.
    #[arg(long, value_name = "PREFIX", default_value = "erp", requires = "kafka")]
    prefix: String,
    /// Tables of Oracle whose changes are enqueued instead of being pushed, with commas between.
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = table)]
    queue: Vec<String>,
    /// Story seconds a second, after the history.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Push what happened before the present as well, before anything else; it waits for the door.
    #[arg(long)]
    push_history: bool,
    /// Keep the story's own dates, whose present is 10 March 2026 at 15:00 UTC, instead of moving it to
    /// now.
    #[arg(long)]
    story_clock: bool,
    /// Send the payloads as well that the story plants to be refused.
    #[arg(long)]
    with_planted: bool,
    /// What goes wrong, such as drop=5%,repeat=5%,reorder=5%,throttle=1%; the same seed loses the same.
    #[arg(long, value_name = "FAULTS", value_parser = faults, default_value = "", long_help = faults_help())]
    faults: Faults,
    /// Print the addresses as one JSON object.
    #[arg(long)]
    json: bool,
}

/// A vendor that can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vendor {
    /// Login, REST and event bus.
    Salesforce,
    /// REST views and pushed change envelopes.
    Oracle,
    /// Search and signed webhooks.
    #[value(alias = "wxcc")]
    Webex,
    /// OData and posted IDocs.
    Sap,
    /// Tickets by webhook and incremental export.
    Zendesk,
}

/// A table of the simulated database.
fn table(name: &str) -> Result<String, String> {
    let known = fixtures::oracle::TABLES;
    let name = name.trim().to_ascii_uppercase();
    known.contains(&name.as_str()).then_some(name).ok_or_else(|| format!("expected some of {}", known.join(", ")))
}

/// An address that a payload can be posted to.
fn target(text: &str) -> Result<String, String> {
    let address = reqwest::Url::parse(text).ok().filter(|address| matches!(address.scheme(), "http" | "https"));
    address.map(|_| text.to_owned()).ok_or_else(|| "expected an address such as http://127.0.0.1:7401".to_owned())
}

/// Faults as they are written in one line.
fn faults(line: &str) -> Result<Faults, FaultsError> {
    line.parse()
}

/// Every fault with what it means.
fn faults_help() -> String {
    let words = Faults::words().iter().map(|(word, meaning)| format!("  {word:<26} {meaning}"));
    let words: Vec<String> = words.collect();
    format!(
        "What goes wrong, in one line with commas between; a RATE is 0% to 100%, a TIME 500ms, 10s or 2m. The same \
         seed loses the same events in every run.\n{}",
        words.join("\n")
    )
}

impl Vendor {
    fn name(self) -> &'static str {
        match self {
            Vendor::Salesforce => "salesforce",
            Vendor::Oracle => "oracle",
            Vendor::Webex => "webex",
            Vendor::Sap => "sap",
            Vendor::Zendesk => "zendesk",
        }
    }
}

pub(super) fn run(args: &SimulateArgs) -> Result<(), Failure> {
    if args.system == Vendor::Salesforce && args.target.is_some() {
        let text = "simulate salesforce: it pushes nothing, a hub reads its event bus; leave out --target";
        return Err(Failure::with(USAGE, anyhow::anyhow!(text)));
    }
    if args.system != Vendor::Oracle && (args.kafka.is_some() || !args.queue.is_empty()) {
        let text = format!("simulate {}: --kafka and --queue are paths of oracle; leave them out", args.system.name());
        return Err(Failure::with(USAGE, anyhow::anyhow!(text)));
    }
    if args.system != Vendor::Salesforce && args.bus.is_some() {
        let text = format!("simulate {}: --bus is salesforce's; leave it out", args.system.name());
        return Err(Failure::with(USAGE, anyhow::anyhow!(text)));
    }
    if !args.speed.is_finite() || args.speed <= 0.0 {
        return Err(Failure::with(USAGE, anyhow::anyhow!("simulate at speed {}: write a number above 0", args.speed)));
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // Whoever runs the simulator inside another program may have set up the log already.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut ending = Ending::new()?;
        tokio::select! {
            played = simulate(args) => played,
            () = ending.asked() => Ok(()),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Lets the world's past have happened, then goes on at its pace; stays up when the story ends.
async fn simulate(args: &SimulateArgs) -> Result<(), Failure> {
    let (seed, size) = (args.seed, Size { customers: args.customers, live_ms: Size::LIVE_MS_LONG });
    let (doors, desk_door) = (doors(args)?, desk_door(args)?);
    let switch = FaultSwitch::new(args.faults.clone());
    let now_ms = if args.story_clock { fixtures::time::T_MS } else { wall_ms() };
    let with_planted = args.with_planted;
    let generated = tokio::task::spawn_blocking(move || {
        let world = World::generate(seed, size).moved_to(now_ms);
        Arc::new(if with_planted { world } else { world.without_planted() })
    });
    let world = generated.await?;
    let vendors = Arc::new(start(args, &switch).await?);
    let desk = desk(args, &switch).await?;
    let ready = addresses(args, &vendors, desk.as_deref());
    let mut player = Player::new(world, vendors, Doors::default()).map_err(failure)?.stamp_webhooks_by(wall_ms);
    if let Some(desk) = desk {
        player = player.with_desk(desk, None, switch.clone());
    }
    if let Some(brokers) = &args.kafka {
        let capture = KafkaCapture::start(brokers, &args.prefix, switch.clone()).await.map_err(|error| {
            let text = format!("reach the brokers {brokers}: {error}; is Kafka running there?");
            Failure::with(UNREACHABLE, anyhow::anyhow!(text))
        })?;
        eprintln!("simulate: changes go into {}", capture.topics().join(", "));
        player = player.captured_by(capture);
    } else if let Some(system) = pushing(args.system) {
        player = player.over_a_line(system, switch.clone());
    }
    player = player.enqueuing(&args.queue);
    // Whoever comes finds the present: what happened before is for lists to tell, unless it is pushed too.
    if args.push_history {
        println!("{ready}");
        player = player.pushing_to(doors.clone(), desk_door.clone());
    }
    let history = player.history(|_, _| {}).await.map_err(failure)?;
    let count = sent(args.system, &history);
    eprintln!("simulate: the history is played, {count} payloads{}", refused(&history));
    if !args.push_history {
        println!("{ready}");
        player = player.pushing_to(doors, desk_door);
    }
    let end_ms = player.world().end_ms();
    let mut live = player.live(args.speed, end_ms, |_, _| {}).await.map_err(failure)?;
    live.add(player.arrive().await.map_err(failure)?);
    if player.dropped() > 0 {
        eprintln!("simulate: {} payloads were lost on purpose", player.dropped());
    }
    let count = sent(args.system, &live);
    eprintln!(
        "simulate: the story is over after {count} payloads more{}: nothing further changes, and {} says so; \
         start it again, perhaps with another --seed",
        refused(&live),
        args.system.name()
    );
    // A source that is up and quiet still proves that it is.
    player.live(args.speed, i64::MAX, |_, _| {}).await.map_err(failure)?;
    Ok(())
}

/// Webhooks are signed with the time of sending, which receivers compare with their own.
fn wall_ms() -> i64 {
    WallClock::default().now().0
}

/// How many deliveries a door refused, if it did.
fn refused(sent: &fixtures::player::Sent) -> String {
    let count: u64 = sent.refused.values().sum();
    if count == 0 { String::new() } else { format!(", {count} deliveries refused") }
}

fn sent(vendor: Vendor, sent: &fixtures::player::Sent) -> u64 {
    let system = match vendor {
        Vendor::Salesforce => fixtures::story::System::Salesforce,
        Vendor::Oracle => fixtures::story::System::Oracle,
        Vendor::Webex => fixtures::story::System::Wxcc,
        Vendor::Sap => fixtures::story::System::Sap,
        Vendor::Zendesk => fixtures::story::System::Zendesk,
    };
    sent.payloads.get(&system).copied().unwrap_or_default()
}

/// The vendors as the player wants them: the one that was asked for where it was asked for, the
/// others idle on free ports of loopback.
async fn start(args: &SimulateArgs, switch: &FaultSwitch) -> Result<Vendors, Failure> {
    let faults = |vendor: Vendor| if args.system == vendor { switch.clone() } else { FaultSwitch::default() };
    let of = |vendor: Vendor| if args.system == vendor { args.listen } else { ANY };
    let is_salesforce = args.system == Vendor::Salesforce;
    let salesforce = SalesforceConfig {
        http: of(Vendor::Salesforce),
        grpc: args.bus.filter(|_| is_salesforce).unwrap_or(ANY),
        ..SalesforceConfig::default()
    };
    let taken = |error: &dyn std::fmt::Display| taken(args, error);
    Ok(Vendors {
        salesforce: SalesforceServer::start_with(salesforce, faults(Vendor::Salesforce))
            .await
            .map_err(|error: SalesforceError| taken(&error))?,
        oracle: OracleServer::start_with(of(Vendor::Oracle), faults(Vendor::Oracle))
            .await
            .map_err(|error| taken(&error))?,
        wxcc: WebexServer::start_with(of(Vendor::Webex), faults(Vendor::Webex)).await.map_err(|error| taken(&error))?,
        sap: SapServer::start_with(of(Vendor::Sap), faults(Vendor::Sap)).await.map_err(|error| taken(&error))?,
    })
}

fn taken(args: &SimulateArgs, error: &dyn std::fmt::Display) -> Failure {
    let text = format!("listen on {}: {error}; choose another address with --listen", args.listen);
    Failure::with(FAILED, anyhow::anyhow!(text))
}

/// Systems whose pushes go over a line that loses what the faults say; what the event bus loses, and
/// the desk, they lose themselves.
fn pushing(vendor: Vendor) -> Option<fixtures::story::System> {
    match vendor {
        Vendor::Salesforce | Vendor::Zendesk => None,
        Vendor::Oracle => Some(fixtures::story::System::Oracle),
        Vendor::Webex => Some(fixtures::story::System::Wxcc),
        Vendor::Sap => Some(fixtures::story::System::Sap),
    }
}

/// The other service desk, which takes part only where it was asked for.
async fn desk(args: &SimulateArgs, switch: &FaultSwitch) -> Result<Option<Arc<ZendeskServer>>, Failure> {
    if args.system != Vendor::Zendesk {
        return Ok(None);
    }
    let started = ZendeskServer::start_with(ZendeskConfig::at(args.listen), switch.clone()).await;
    Ok(Some(Arc::new(started.map_err(|error| taken(args, &error))?)))
}

fn desk_door(args: &SimulateArgs) -> Result<Option<ZendeskDoor>, Failure> {
    let (Some(target), Some(token)) = (&args.target, &args.token) else { return Ok(None) };
    let secret = token.read("--token").map_err(|error| Failure::with(CONFIG_INVALID, error))?;
    let url = format!("{}/webhooks/zendesk", target.trim_end_matches('/'));
    Ok(Some(ZendeskDoor { url, secret: secret.expose().to_owned() }))
}

fn addresses(args: &SimulateArgs, vendors: &Vendors, desk: Option<&ZendeskServer>) -> String {
    let (http, bus) = match args.system {
        Vendor::Salesforce => (vendors.salesforce.http_url(), Some(vendors.salesforce.grpc_url())),
        Vendor::Oracle => (vendors.oracle.http_url(), None),
        Vendor::Webex => (vendors.wxcc.http_url(), None),
        Vendor::Sap => (vendors.sap.http_url(), None),
        Vendor::Zendesk => (desk.map(ZendeskServer::http_url).unwrap_or_default(), None),
    };
    let (name, seed) = (args.system.name(), args.seed);
    if args.json {
        return serde_json::json!({ "system": name, "seed": seed, "http": http, "bus": bus }).to_string();
    }
    let bus = bus.map(|bus| format!(", event bus {bus}")).unwrap_or_default();
    format!("{name} of seed {seed} is ready: {http}{bus}; ctrl-c ends it")
}

fn doors(args: &SimulateArgs) -> Result<Doors, Failure> {
    let (Some(target), Some(token)) = (&args.target, &args.token) else { return Ok(Doors::default()) };
    let secret = token.read("--token").map_err(|error| Failure::with(CONFIG_INVALID, error))?;
    let (target, secret) = (target.trim_end_matches('/'), secret.expose().to_owned());
    let mut doors = Doors::default();
    match args.system {
        Vendor::Salesforce | Vendor::Zendesk => {}
        Vendor::Oracle => doors.oracle = Some(OracleDoor { url: format!("{target}/oracle/changes"), token: secret }),
        Vendor::Webex => doors.wxcc = Some(WebexDoor::new(format!("{target}/webhooks/wxcc"), secret)),
        Vendor::Sap => {
            let user = args.user.clone();
            doors.sap = Some(SapDoor { url: format!("{target}/sap/idoc"), user, password: secret });
        }
    }
    Ok(doors)
}

fn failure(error: PlayError) -> Failure {
    let code = match &error {
        PlayError::Send(_) | PlayError::Capture(_) => UNREACHABLE,
        PlayError::Publish(_) => FAILED,
    };
    Failure::with(code, anyhow::anyhow!("{error}; is a hub with an open door at --target?"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn read(words: &[&str]) -> Result<SimulateArgs, clap::Error> {
        Line::try_parse_from(["simulate"].iter().chain(words)).map(|line| line.args)
    }

    #[test]
    fn each_vendor_pushes_to_its_own_door() {
        let with =
            |system| doors(&read(&[system, "--target", "http://hub:1/", "--token", "env:PATH"]).unwrap()).unwrap();
        assert_eq!(with("oracle").oracle.unwrap().url, "http://hub:1/oracle/changes");
        assert_eq!(with("webex").wxcc.unwrap().url, "http://hub:1/webhooks/wxcc");
        assert_eq!(with("sap").sap.unwrap().url, "http://hub:1/sap/idoc");
        assert!(with("wxcc").wxcc.is_some(), "the system's other name");
        let desk =
            read(&["zendesk", "--target", "http://hub:1/", "--token", "env:PATH", "--faults", "drop=5%"]).unwrap();
        assert_eq!(desk_door(&desk).unwrap().unwrap().url, "http://hub:1/webhooks/zendesk");
        assert_eq!(desk.faults.drop, fixtures::faults::Rate::percent(5));
        assert!(doors(&read(&["oracle"]).unwrap()).unwrap().oracle.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(read(&["servicenow"]).is_err());
        assert!(read(&["oracle", "--faults", "drop=5"]).is_err(), "a rate is a percentage");
        assert!(read(&["oracle", "--target", "http://hub:1"]).is_err(), "a door needs its secret");
        assert!(read(&["oracle", "--token", "literal"]).is_err(), "a secret is given by reference");
        assert!(read(&["oracle", "--token", "env:PATH"]).is_err(), "a secret needs its door");
        for target in ["127.0.0.1:7401", "hub", "ftp://hub", "http://"] {
            assert!(read(&["oracle", "--target", target, "--token", "env:PATH"]).is_err(), "{target}");
        }
        assert_eq!(super::run(&read(&["sap", "--bus", "127.0.0.1:9"]).unwrap()).unwrap_err().code, USAGE);
        let salesforce = read(&["salesforce", "--target", "http://hub:1", "--token", "env:PATH"]).unwrap();
        assert_eq!(super::run(&salesforce).unwrap_err().code, USAGE);
        assert!(read(&["oracle", "--queue", "FND_USER"]).is_err(), "a table that there is not");
        assert_eq!(
            read(&["oracle", "--queue", "ar_payment,CREDIT_NOTE"]).unwrap().queue,
            ["AR_PAYMENT", "CREDIT_NOTE"]
        );
        assert_eq!(super::run(&read(&["sap", "--kafka", "127.0.0.1:9"]).unwrap()).unwrap_err().code, USAGE);
        assert_eq!(super::run(&read(&["sap", "--speed", "0"]).unwrap()).unwrap_err().code, USAGE);
    }

    #[tokio::test]
    async fn the_simulator_tells_where_it_listens() {
        let args = read(&["salesforce", "--json", "--seed", "3"]).unwrap();
        let vendors = start(&args, &FaultSwitch::default()).await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&addresses(&args, &vendors, None)).unwrap();
        assert_eq!((&told["system"], &told["seed"]), (&serde_json::json!("salesforce"), &serde_json::json!(3)));
        assert_eq!(told["http"], vendors.salesforce.http_url());
        assert_eq!(told["bus"], vendors.salesforce.grpc_url());
        vendors.stop().await;
    }
}
