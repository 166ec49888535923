//! `opshub demo`: the whole story, live in the terminal, or headless with a summary.

use std::cell::Cell;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use fixtures::time::T_MS;
use ontology::{Millis, System, Vocabulary};

use pipeline::CustomerView;

use super::stores::ServersArgs;
use super::{Ending, Failure, INTERRUPTED, PROBLEMS_FOUND, runtime};
use crate::client::USAGE;
use crate::demo::{Options, Stage, Summary, in_review, linked, play};

/// Seconds of the live part at most: the world has a day of them.
const FOR_S_MAX: u64 = 24 * 3_600;

/// Plays a story across four simulated systems: no server, configuration or network needed.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Seed of the world: the same seed, the same story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Story seconds a second, after the history.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Customers in the world, beside the three of the story.
    #[arg(long, default_value_t = 200)]
    customers: u32,
    /// Print a summary at the end instead of the live picture.
    #[arg(long)]
    headless: bool,
    /// How long to play after the history, in story time: `10s`, `5m` [default: until stopped].
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    for_: Option<Duration>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    /// Write the canonical JSON of every customer to this file, one a line, for comparing runs.
    #[arg(long, value_name = "FILE")]
    canonical: Option<std::path::PathBuf>,
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    api: SocketAddr,
    /// Keep the log in Kafka and the rows in Redis, with two further processes that follow; the same story.
    #[arg(long)]
    distributed: bool,
    #[command(flatten)]
    servers: ServersArgs,
    /// Number of shards; any number tells the same story.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| format!("'{text}' is no speed: write a number above 0, such as 1 or 60"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| format!("'{text}' is no duration: write 10s, 5m or 1h"))?;
    let unit_s = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("'{unit}' is no unit of time: write s, m or h")),
    };
    let seconds = number.checked_mul(unit_s).filter(|seconds| *seconds <= FOR_S_MAX);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("'{text}' is longer than a story: 24h at most"))
}

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    if !args.distributed && args.servers.are_told() {
        let why = "play the demo on servers: --kafka and --redis name them, but the demo keeps everything in a folder of \
                   its own; write --distributed too, or leave them out";
        return Err(Failure::with(USAGE, anyhow::anyhow!(why)));
    }
    let default_for = (args.headless || args.json).then_some(Duration::from_secs(10));
    let options = Options {
        seed: args.seed,
        customers: args.customers,
        speed: args.speed,
        for_ms: args.for_.or(default_for).map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        api: args.api,
        doors: SocketAddr::from(([127, 0, 0, 1], 0)),
        shards: args.shards.into(),
        servers: args.distributed.then(|| args.servers.named("opshub-demo")).transpose()?,
    };
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut ending = Ending::new()?;
        if args.headless || args.json {
            unless_ended(&mut ending, headless(&options, args)).await
        } else {
            live(&options, &mut ending).await
        }
    })
}

/// What a part of the demo comes to, unless somebody ends it: then what was set up goes with the part that
/// is dropped.
async fn unless_ended<T>(ending: &mut Ending, part: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        done = part => done,
        () = ending.asked() => Err(Failure::told(INTERRUPTED)),
    }
}

async fn headless(options: &Options, args: &DemoArgs) -> Result<(), Failure> {
    // Made before the story is played, so that it is not played for nothing.
    let canonical = args.canonical.as_deref().map(create).transpose()?;
    let (stage, end) = play(options, |what| eprintln!("demo: {what}")).await?;
    let summary = Summary::of(&stage, options.seed, end).await?;
    if let Some(mut file) = canonical {
        let canonical = move |engine: &mut pipeline::Engine| engine.canonical(end).map(|c| c.to_string()).collect();
        let customers: Vec<String> = stage.app.handle().ask(canonical).await?;
        file.write_all(customers.join("\n").as_bytes()).context("write the canonical JSON of every customer")?;
    }
    stage.strike().await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print_summary(&summary);
    }
    agreed(&summary)
}

fn create(file: &Path) -> anyhow::Result<File> {
    File::create(file).with_context(|| format!("write {}", file.display()))
}

/// Whether the processes of the story came to the same.
fn agreed(summary: &Summary) -> Result<(), Failure> {
    if summary.is_agreed() {
        return Ok(());
    }
    let why = "the processes of the demo did not come to the same: the summary has the digest of each; please report it \
               with the seed";
    Err(Failure::with(PROBLEMS_FOUND, anyhow::anyhow!(why)))
}

/// The story as it happens, until it ends or somebody stops it: the first time it is summed up, the second
/// time, and before it is live, the demo ends at once.
async fn live(options: &Options, ending: &mut Ending) -> Result<(), Failure> {
    let is_terminal = std::io::stderr().is_terminal();
    let mut stage = unless_ended(ending, begin(options, is_terminal)).await?;
    let end = Millis(T_MS + options.for_ms.unwrap_or(24 * 3_600_000));
    let (is_ended, mut told) = (Cell::new(false), Told::default());
    let tell = |stage: &Stage| {
        told.tell(stage, is_terminal);
        if is_ended.get() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    {
        let mut played = std::pin::pin!(stage.live(options.speed, end, tell));
        tokio::select! {
            played = &mut played => played?,
            () = ending.asked() => {
                eprintln!("\ndemo: ending with a summary; ctrl-c again leaves at once");
                // What is being sent is sent to its end.
                is_ended.set(true);
                played.await?;
            }
        }
    }
    let summary = unless_ended(ending, end_of(stage, options.seed, end)).await?;
    print_summary(&summary);
    agreed(&summary)
}

/// Sets the stage and plays the history.
async fn begin(options: &Options, is_terminal: bool) -> Result<Stage, Failure> {
    let mut stage = Stage::set(options).await?;
    let api = stage.app.api();
    println!("API (gRPC)  {api}   try: opshub state account/ACCT-1205 --api {api}");
    println!("Story       seed {}, {} customers; ctrl-c ends it", options.seed, options.customers);
    stage
        .history(|slice| {
            if is_terminal {
                let day =
                    jiff::Timestamp::from_millisecond(slice.to_ms).map(|t| t.strftime("%Y-%m-%d %H:%M").to_string());
                eprint!("\rhistory     {}  ", day.unwrap_or_default());
            }
        })
        .await?;
    if is_terminal {
        eprintln!();
    }
    Ok(stage)
}

/// Lets everything that was sent arrive, sums the story up and takes the stage down.
async fn end_of(mut stage: Stage, seed: u64, end: Millis) -> Result<Summary, Failure> {
    // Vendors date their lists to the second, so a story that is broken off goes on to the next one.
    let second = stage_now(&stage).div_euclid(1_000) + 1;
    let at = Millis(end.0.min(second * 1_000));
    stage.settle(at).await?;
    let summary = Summary::of(&stage, seed, at).await?;
    stage.strike().await?;
    Ok(summary)
}

fn stage_now(stage: &Stage) -> i64 {
    connectors::Clock::now(&*stage.clock).0
}

/// Records of the story's own customers: what is known about them is told from the start.
const STORY: [&str; 3] = ["SF-2026-8831", "ACCT-1205", "SF-2026-9001"];

/// What has been told so far, so that each thing is told once.
#[derive(Default)]
struct Told {
    sentences: std::collections::BTreeSet<String>,
    looks: u64,
    is_end_told: bool,
}

impl Told {
    /// Looks this often between two lines of figures.
    const LOOKS_PER_LINE: u64 = 20;

    fn tell(&mut self, stage: &Stage, is_terminal: bool) {
        self.looks += 1;
        if self.looks % Self::LOOKS_PER_LINE != 1 {
            return;
        }
        let line_start = if is_terminal { "\r\x1b[K" } else { "" };
        let is_first_look = self.sentences.is_empty();
        let mut untold = 0;
        for (what, sentence) in sentences(stage) {
            if !self.sentences.insert(sentence.clone()) {
                continue;
            }
            if is_first_look && !STORY.iter().any(|id| sentence.contains(id)) {
                untold += 1;
            } else {
                println!("{line_start}{what:<12}{sentence}");
            }
        }
        if untold > 0 {
            println!("{line_start}{:<12}{untold} more sentences about the past; what is new follows", "history");
        }
        if stage_now(stage) > stage.world.end_ms() && !self.is_end_told {
            self.is_end_told = true;
            println!("{line_start}{:<12}nothing further happens; ctrl-c ends it with a summary", "story over");
        }
        if is_terminal {
            eprint!("\r\x1b[K{}", figures_line(stage));
            let _ = std::io::stderr().flush();
        }
    }
}

fn sentences(stage: &Stage) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for slot in stage.app.published.all() {
        let view = &slot.view;
        for discrepancy in view.derived.discrepancies.iter().filter(|d| d.is_open()) {
            found.extend(discrepancy.sentence.clone().map(|sentence| (discrepancy.rule.name(), sentence)));
        }
        for correlation in view.derived.correlations.iter().filter(|c| c.is_accepted()) {
            found.extend(correlation.sentence.clone().map(|sentence| ("correlation", sentence)));
        }
        for package in view.transfers.iter().filter_map(|transfer| transfer.memory.newest()) {
            found.push(("handoff", package.content.narrative.text()));
        }
        for alert in view.handoff_alerts.iter().filter(|alert| alert.is_open()) {
            found.extend(alert.sentence.clone().map(|sentence| ("alert 11-3", sentence)));
        }
    }
    found.sort();
    found
}

fn figures_line(stage: &Stage) -> String {
    let figures = &stage.app.figures;
    let facts: Vec<String> =
        System::SOURCES.into_iter().map(|system| format!("{} {}", system.name(), figures.facts(system))).collect();
    let views = stage.app.published.all();
    let sum = |count: fn(&CustomerView) -> usize| views.iter().map(|slot| count(&slot.view)).sum::<usize>();
    let linked = linked(views.iter().map(|slot| &*slot.view));
    let in_review = in_review(views.iter().map(|slot| &*slot.view));
    let discrepancies = sum(|view| view.derived.discrepancies.iter().filter(|d| d.is_open()).count());
    let alerts =
        sum(|view| view.derived.alerts.iter().chain(&view.handoff_alerts).filter(|alert| alert.is_open()).count());
    let now = jiff::Timestamp::from_millisecond(stage_now(stage)).map(|t| t.strftime("%H:%M:%S").to_string());
    format!(
        "{}  facts {}  customers {}  linked {linked}  review {in_review}  discrepancies {discrepancies}  alerts {alerts}  p99 {} ms",
        now.unwrap_or_default(),
        facts.join(" "),
        views.len(),
        figures.latency_ms(990).unwrap_or_default(),
    )
}

fn print_summary(summary: &Summary) {
    let line = |what: &str, text: &str| println!("{what:<18}{text}");
    let facts: Vec<String> = summary.facts.iter().map(|(system, count)| format!("{system} {count}")).collect();
    line("facts", &facts.join(", "));
    line("quarantined", &format!("{} ({} planted)", summary.quarantined, summary.planted));
    line("customers", &summary.customers.to_string());
    let links = &summary.links;
    let quality = format!("precision {:.3}, recall {:.3}", links.precision, links.recall);
    let linked = format!("{} records linked by {} automatic pairs", links.records, links.automatic);
    let review = format!("{} in review, {} of them between customers", links.review, links.between);
    line("links", &format!("{linked}, {review}; {quality}"));
    let latency = &summary.latency_ms;
    line("source to visible", &format!("p50 {} ms, p99 {} ms", latency.p50, latency.p99));
    for handoff in &summary.handoffs {
        line("handoff", &format!("{} [{}]", handoff.narrative, handoff.state));
    }
    for correlation in &summary.correlations {
        line("correlation", &correlation.sentence);
    }
    for discrepancy in &summary.discrepancies {
        line(discrepancy.rule, &discrepancy.sentence);
    }
    line("alerts", &format!("{} open", summary.alerts.len()));
    if summary.processes.len() > 1 {
        let processes: Vec<String> =
            summary.processes.iter().map(|process| format!("{} at {}", process.role, process.position)).collect();
        line("processes", &processes.join(", "));
    }
    for process in summary.processes.iter().filter(|process| process.digest != summary.digest) {
        line("another digest", &format!("{} {}", process.role, process.digest));
    }
    line("digest", &summary.digest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_runs_forward_at_a_speed_that_ends() {
        for good in ["0.5", "1", "60"] {
            assert!(speed(good).is_ok(), "{good}");
        }
        for bad in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
