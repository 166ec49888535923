//! `opshub bench`: the hot paths, each beside a yardstick of the same run.

use std::path::PathBuf;
use std::time::Duration;

use benches::report::Report;
use benches::stream::Workload;
use clap::{Args, Subcommand};
use storage::DistributedOptions;

use super::stores::ServersArgs;
use super::{Failure, PROBLEMS_FOUND, runtime};
use crate::bench::{
    DecodeOptions, EnterpriseOptions, IngestOptions, Peer, ReadOptions, ResolveOptions, ScaleOptions, TakeOverOptions,
    decode, enterprise, ingest, read, resolve, scale, take_over,
};

/// Measures the hot paths. Build with `--release`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The whole pipeline, durable, over parsing the same bytes.
    Ingest(IngestArgs),
    /// Reads of customer states over echoes of the same size.
    Read(ReadArgs),
    /// Entity resolution on tables with known truth, against its goals.
    Resolve(ResolveArgs),
    /// Native events to facts, over the plain parse of the same bytes.
    Decode(DecodeArgs),
    /// Agents who watch, others who read, and ten times the expected events, on one embedded process.
    Enterprise(EnterpriseArgs),
    /// The store on Kafka and Redis beside the one in a folder.
    Scale(ScaleArgs),
    /// How long writes pause when the owner of a store on Kafka and Redis is lost.
    TakeOver(ScaleArgs),
}

#[derive(Debug, Args)]
struct WorkloadArgs {
    /// Events to make.
    #[arg(long)]
    events: Option<u64>,
    /// Customers that they may name.
    #[arg(long)]
    customers: Option<u32>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl WorkloadArgs {
    fn or(&self, default: &Workload) -> Workload {
        let customers = self.customers.unwrap_or(default.customers).max(1);
        Workload::new(customers, self.events.unwrap_or(default.events), self.seed)
    }
}

#[derive(Debug, Args)]
struct IngestArgs {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// Empty folder for the store [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Number of shards; any number gives the same answer.
    #[arg(long, default_value_t = 1)]
    shards: usize,
}

#[derive(Debug, Args)]
struct ReadArgs {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// Rounds of reads, and of echoes.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

#[derive(Debug, Args)]
struct ResolveArgs {
    /// Tables to use, `world` for the four-system world [default: all that are there].
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Folder with the tables.
    #[arg(long, value_name = "DIR", env = "OPSHUB_ER_DATA")]
    folder: PathBuf,
    /// Seed of the four-system world.
    #[arg(long, default_value_t = 11)]
    seed: u64,
    /// Customers of the four-system world; each has three to four records.
    #[arg(long, default_value_t = 30_000)]
    customers: u32,
    /// Call of a peer to measure beside, such as `python benches/peers/splink_side.py`.
    #[arg(long, value_name = "COMMAND", default_value = "")]
    peer: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DecodeArgs {
    /// Seed of the world that the events come from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Rounds of each side; the fastest counts.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EnterpriseArgs {
    #[command(flatten)]
    workload: WorkloadArgs,
    /// Agents, each of whom watches ten customers.
    #[arg(long, default_value_t = 200)]
    agents: usize,
    /// Readers, each of whom reads five customers a second.
    #[arg(long, default_value_t = 50)]
    readers: usize,
    /// Seconds of each part: the average of a day, then a billing run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[derive(Debug, Args)]
struct ScaleArgs {
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    servers: ServersArgs,
    /// Seconds of writes one by one: whose delay is measured, or before the loss.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl ScaleArgs {
    /// What comes in, where the store is, and how long facts come one by one.
    fn read(&self) -> Result<(Workload, DistributedOptions, Duration), Failure> {
        let workload = self.workload.or(&Workload::smoke());
        Ok((workload, self.servers.named("opshub")?, Duration::from_secs(self.seconds.max(1))))
    }
}

/// Length of a round of reads or echoes.
const ROUND: Duration = Duration::from_millis(500);

pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    match &args.bench {
        Bench::Ingest(args) => {
            let workload = args.workload.or(&Workload::main());
            let options = IngestOptions { workload, store: args.store.clone(), shards: args.shards.max(1) };
            print(&ingest(&options)?, args.workload.json)
        }
        Bench::Read(args) => {
            let workload = args.workload.or(&Workload::smoke());
            let options = ReadOptions { workload, rounds: args.rounds.max(1), round: ROUND };
            print(&runtime()?.block_on(read(&options))?, args.workload.json)
        }
        Bench::Resolve(args) => {
            let (folder, tables) = (args.folder.clone(), args.tables.clone());
            let (seed, customers) = (args.seed, args.customers);
            let options = ResolveOptions { folder, tables, seed, customers, peer: Peer::of(&args.peer) };
            print(&resolve(&options)?, args.json)
        }
        Bench::Enterprise(args) => {
            let history = args.workload.or(&Workload::smoke());
            let lasts = Duration::from_secs(args.seconds.max(1));
            let options = EnterpriseOptions { history, agents: args.agents, readers: args.readers, lasts };
            print(&runtime()?.block_on(enterprise(&options))?, args.workload.json)
        }
        Bench::Scale(args) => {
            let (workload, servers, lasts) = args.read()?;
            print(&scale(&ScaleOptions { workload, servers, lasts })?, args.workload.json)
        }
        Bench::TakeOver(args) => {
            let (history, servers, lasts) = args.read()?;
            let measured = runtime()?.block_on(take_over(&TakeOverOptions { history, servers, lasts }));
            print(&measured?, args.workload.json)
        }
        Bench::Decode(args) => print(&decode(&DecodeOptions { seed: args.seed, rounds: args.rounds })?, args.json),
    }
}

/// Prints a report. A wrong answer fails the command; a goal that is not met is only told.
fn print(report: &Report, is_json: bool) -> Result<(), Failure> {
    if is_json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    let is_right = report.results.iter().all(|figure| figure.measure != "answer_equal" || figure.met);
    if is_right { Ok(()) } else { Err(Failure::told(PROBLEMS_FOUND)) }
}
