//! `opshub quarantine`: what a running hub did not understand.

use std::collections::HashSet;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use tonic::Code;
use tonic::transport::Channel;
use uuid::Uuid;

use super::{Failure, PARTLY_DONE, runtime};
use crate::client::{ClientArgs, Hub, USAGE, count, instant, print_json, table, word};

/// Records asked for at a time.
const PAGE_MAX: usize = 1_000;
/// Records that one write may name.
const WRITE_MAX: usize = 500;
/// Refused records of which the reason is told.
const REFUSED_TOLD_MAX: usize = 20;
/// What to do about a name that the hub does not know.
const IF_UNKNOWN: &str = "`opshub quarantine list` names those that there are";

/// Lists, shows, replays or discards what a running hub did not understand.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List quarantined records, oldest first.
    List(ListArgs),
    /// Show one record with its payload.
    Show(ShowArgs),
    /// Decode records again, with the mapping in force.
    Replay(DecideArgs),
    /// Give records up.
    Discard(DecideArgs),
}

/// Which records to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Only these, for example 'system = "ORACLE" AND reason = "contract_breach"'.
    #[arg(long, default_value = r#"state = "HELD""#)]
    filter: String,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Which record to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The record, as `quarantine list` names it.
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which records to decide about.
#[derive(Debug, Args)]
pub struct DecideArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The records, as `quarantine list` names them.
    #[arg(value_name = "NAME", required_unless_present = "filter", conflicts_with = "filter")]
    names: Vec<String>,
    /// All held records that match.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    filter: Option<String>,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Only tell what would be done.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

pub(super) fn run(command: &QuarantineCommand) -> Result<(), Failure> {
    let runtime = runtime()?;
    match command {
        QuarantineCommand::List(args) => runtime.block_on(list(args)),
        QuarantineCommand::Show(args) => runtime.block_on(show(args)),
        QuarantineCommand::Replay(args) => runtime.block_on(replay(args)),
        QuarantineCommand::Discard(args) => runtime.block_on(discard(args)),
    }
}

fn admin(hub: &Hub) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(hub.channel.clone())
}

/// A record's full name; its id alone will do.
fn full(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("quarantine/{name}") }
}

/// The oldest records that match, as many as `limit`; with a token if there are more.
async fn found(
    client: &ClientArgs,
    hub: &Hub,
    filter: &str,
    limit: usize,
) -> Result<v1::ListQuarantineResponse, Failure> {
    let mut admin = admin(hub);
    let mut answer = v1::ListQuarantineResponse::default();
    while answer.records.len() < limit {
        let missing = (limit - answer.records.len()).min(PAGE_MAX);
        let request = v1::ListQuarantineRequest {
            filter: filter.to_owned(),
            page_size: i32::try_from(missing).expect("a page is small"),
            page_token: std::mem::take(&mut answer.next_page_token),
        };
        let page = admin.list_quarantine(hub.request(request)).await;
        let page = page.map_err(|status| client.failed("list the quarantine", &status, ""))?.into_inner();
        answer.records.extend(page.records);
        answer.next_page_token = page.next_page_token;
        if answer.next_page_token.is_empty() {
            break;
        }
    }
    Ok(answer)
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let hub = args.client.connect().await?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let answer = found(&args.client, &hub, &args.filter, limit).await?;
    if args.client.json {
        return print_json("ListQuarantineResponse", &answer);
    }
    if answer.records.is_empty() {
        println!("no quarantined record matches");
        return Ok(());
    }
    println!(
        "{}",
        table(["name", "source", "reason", "state", "received", "tries", "bytes"], answer.records.iter().map(row))
    );
    if !answer.next_page_token.is_empty() {
        println!("there are more: show them with --limit, or fewer with --filter");
    }
    Ok(())
}

fn row(record: &v1::QuarantinedRecord) -> [String; 7] {
    [
        record.name.clone(),
        record.partition.clone(),
        record.reason.clone(),
        word(record.state().as_str_name(), "QUARANTINE_STATE"),
        instant(record.observe_time.as_ref()),
        record.attempt_count.to_string(),
        record.payload_bytes.to_string(),
    ]
}

async fn show(args: &ShowArgs) -> Result<(), Failure> {
    let hub = args.client.connect().await?;
    let request = hub.request(v1::GetQuarantineRequest { name: full(&args.name) });
    let answer = admin(&hub).get_quarantine(request).await;
    let attempt = format!("show {}", full(&args.name));
    let answer = answer.map_err(|status| args.client.failed(&attempt, &status, IF_UNKNOWN))?.into_inner();
    if args.client.json {
        return print_json("GetQuarantineResponse", &answer);
    }
    let record = answer.record.unwrap_or_default();
    println!("{}", table(["name", "source", "reason", "state", "received", "tries", "bytes"], [row(&record)]));
    for (what, text) in [("detail", &record.detail), ("at the source", &record.source_position)] {
        if !text.is_empty() {
            println!("{what}: {}", printable(text.as_bytes()));
        }
    }
    println!("{}", printable(&record.payload));
    Ok(())
}

/// A payload from outside as it may stand on a terminal: no control sequence of it takes effect.
fn printable(payload: &[u8]) -> String {
    let kept = |c: char| matches!(c, '\n' | '\t') || !c.is_control();
    String::from_utf8_lossy(payload).chars().map(|c| if kept(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Whether a decision is only tried. Both decisions change what the hub holds, so each is said twice.
fn is_trial(args: &DecideArgs) -> Result<bool, Failure> {
    if !args.yes && !args.dry_run {
        let text = "decide about quarantined records: this cannot be taken back; see what would be done with --dry-run, \
                    then do it with --yes";
        return Err(Failure::with(USAGE, anyhow::anyhow!(text)));
    }
    Ok(args.dry_run)
}

/// The records that a decision is about, each once: those that are named, or all that are held and match.
async fn chosen(args: &DecideArgs, hub: &Hub) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = match &args.filter {
        None => args.names.iter().map(|name| full(name)).collect(),
        Some(filter) => {
            let records = found(&args.client, hub, filter, usize::MAX).await?.records;
            let held = records.into_iter().filter(|record| record.state() == v1::QuarantineState::Held);
            held.map(|record| record.name).collect()
        }
    };
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

async fn replay(args: &DecideArgs) -> Result<(), Failure> {
    let is_trial = is_trial(args)?;
    let hub = args.client.connect().await?;
    let mut answer = v1::ReplayQuarantineResponse::default();
    for names in chosen(args, &hub).await?.chunks(WRITE_MAX) {
        let request_id = Uuid::new_v4().to_string();
        let names = names.to_vec();
        let request = v1::ReplayQuarantineRequest { names, filter: String::new(), validate_only: is_trial, request_id };
        let part = admin(&hub).replay_quarantine(hub.request(request)).await;
        let part = part.map_err(|status| args.client.failed("replay", &status, IF_UNKNOWN))?.into_inner();
        answer.replayed_names.extend(part.replayed_names);
        answer.refused_names.extend(part.refused_names);
        answer.position = part.position;
    }
    if args.client.json {
        print_json("ReplayQuarantineResponse", &answer)?;
    } else {
        let done = if is_trial { "would become facts" } else { "became facts" };
        println!("{} {done}", count(answer.replayed_names.len(), "record"));
        tell_unchanged(&hub, &answer.refused_names, "is still refused").await;
    }
    if answer.refused_names.is_empty() { Ok(()) } else { Err(Failure::told(PARTLY_DONE)) }
}

/// Tells of the first of the records that a decision has not changed why, as the hub knows it; `held` is
/// said of those that are held.
async fn tell_unchanged(hub: &Hub, names: &[String], held: &str) {
    for name in names.iter().take(REFUSED_TOLD_MAX) {
        println!("{name} {}", why_unchanged(hub, name, held).await);
    }
    if let Some(more) = names.len().checked_sub(REFUSED_TOLD_MAX).filter(|more| *more > 0) {
        println!("and {} more", count(more, "record"));
    }
}

async fn why_unchanged(hub: &Hub, name: &str, held: &str) -> String {
    let asked = admin(hub).get_quarantine(hub.request(v1::GetQuarantineRequest { name: name.to_owned() })).await;
    match asked.map(|answer| answer.into_inner().record.unwrap_or_default()) {
        Ok(record) if record.state() == v1::QuarantineState::Held => {
            format!("{held}: {}: {}", record.reason, printable(record.detail.as_bytes()))
        }
        Ok(record) => format!("is {} already", word(record.state().as_str_name(), "QUARANTINE_STATE")),
        Err(status) if status.code() == Code::NotFound => "is not known".to_owned(),
        Err(_) => held.to_owned(),
    }
}

async fn discard(args: &DecideArgs) -> Result<(), Failure> {
    let is_trial = is_trial(args)?;
    let hub = args.client.connect().await?;
    let names = chosen(args, &hub).await?;
    let mut answer = v1::DiscardQuarantineResponse::default();
    for names in names.chunks(WRITE_MAX) {
        let request_id = Uuid::new_v4().to_string();
        let names = names.to_vec();
        let request =
            v1::DiscardQuarantineRequest { names, filter: String::new(), validate_only: is_trial, request_id };
        let part = admin(&hub).discard_quarantine(hub.request(request)).await;
        let part = part.map_err(|status| args.client.failed("discard", &status, IF_UNKNOWN))?.into_inner();
        answer.discarded_names.extend(part.discarded_names);
        answer.unchanged_names.extend(part.unchanged_names);
    }
    if args.client.json {
        print_json("DiscardQuarantineResponse", &answer)?;
    } else {
        let done = if is_trial { "would be given up" } else { "given up" };
        println!("{} {done}", count(answer.discarded_names.len(), "record"));
        tell_unchanged(&hub, &answer.unchanged_names, "is still held").await;
    }
    if answer.unchanged_names.is_empty() { Ok(()) } else { Err(Failure::told(PARTLY_DONE)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: QuarantineCommand,
    }

    fn read(words: &[&str]) -> Result<QuarantineCommand, clap::Error> {
        Line::try_parse_from(["quarantine"].iter().chain(words)).map(|line| line.command)
    }

    fn decision(words: &[&str]) -> Result<bool, Failure> {
        match read(words).unwrap() {
            QuarantineCommand::Replay(args) | QuarantineCommand::Discard(args) => is_trial(&args),
            QuarantineCommand::List(_) | QuarantineCommand::Show(_) => panic!("{words:?} decides nothing"),
        }
    }

    #[test]
    fn a_decision_is_said_twice_or_only_tried() {
        assert_eq!(decision(&["discard", "7"]).err().unwrap().code, USAGE);
        assert!(!decision(&["discard", "7", "quarantine/8", "--yes"]).unwrap());
        assert!(decision(&["replay", "--filter", "reason = \"malformed\"", "--dry-run"]).unwrap());
    }

    #[test]
    fn a_decision_is_about_names_or_a_filter() {
        assert!(read(&["replay", "--yes"]).is_err());
        assert!(read(&["replay", "7", "--filter", "x", "--yes"]).is_err());
        assert!(read(&["discard", "7", "--yes", "--dry-run"]).is_err());
        assert!(read(&["replay", "--filter", "", "--yes"]).is_err());
        assert!(read(&["list"]).is_ok());
        assert!(read(&["list", "--limit", "1"]).is_ok());
        assert!(read(&["list", "--limit", "0"]).is_err());
    }

    #[test]
    fn no_control_sequence_of_a_payload_reaches_the_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\n\xff"), "a\u{fffd}[2Jb\n\u{fffd}");
    }
}
