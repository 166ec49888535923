//! `opshub sources`: how far each source is received, and what the process that is asked does.

use clap::Args;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;

use super::{Failure, runtime};
use crate::client::{ClientArgs, instant, json, since, table, word};

/// Sources on one page of the answer.
const PAGE: i32 = 1_000;

/// Shows how far each source is received, of a running hub, and whether the process asked owns the store.
#[derive(Debug, Args)]
pub struct SourcesArgs {
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn run(args: &SourcesArgs) -> Result<(), Failure> {
    runtime()?.block_on(show(&args.client))
}

async fn show(client: &ClientArgs) -> Result<(), Failure> {
    let hub = client.connect().await?;
    let mut admin = AdminServiceClient::new(hub.channel.clone());
    let process = admin.get_process(hub.request(v1::GetProcessRequest {})).await;
    let process = process.map_err(|status| client.failed("ask for the process", &status, ""))?.into_inner();
    if !client.json {
        println!("{}", told(&process));
    }
    let mut answer = v1::ListSourcesResponse::default();
    loop {
        let page_token = std::mem::take(&mut answer.next_page_token);
        let request = hub.request(v1::ListSourcesRequest { page_size: PAGE, page_token });
        let page =
            admin.list_sources(request).await.map_err(|status| client.failed("list the sources", &status, ""))?;
        let page = page.into_inner();
        answer.sources.extend(page.sources);
        answer.next_page_token = page.next_page_token;
        if answer.next_page_token.is_empty() {
            break;
        }
    }
    if client.json {
        let mut all = json("ListSourcesResponse", &answer)?;
        all["process"] = json("GetProcessResponse", &process)?;
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if answer.sources.is_empty() {
        println!("no source is connected; docs/configuration.md tells how to connect one");
        return Ok(());
    }
    let head = ["source", "partition", "state", "lag", "last event", "received", "quarantined", "last error"];
    println!("{}", table(head, answer.sources.iter().map(row)));
    Ok(())
}

/// What a process does with the store, in a line.
fn told(process: &v1::GetProcessResponse) -> String {
    let owner = if process.owner.is_empty() { "an owner that is not known" } else { &process.owner };
    match process.role() {
        v1::Role::Owner => "this process owns the store".to_owned(),
        v1::Role::Replica | v1::Role::Unspecified => {
            let (facts, lag) = (process.lag_positions, since(process.lag.as_ref()));
            format!("this process is a replica of {owner}: {facts} facts behind, {lag}")
        }
    }
}

fn row(source: &v1::Source) -> [String; 8] {
    [
        word(source.system().as_str_name(), "SYSTEM"),
        source.partition.clone(),
        word(source.state().as_str_name(), "FRESHNESS_STATE"),
        since(source.lag.as_ref()),
        instant(source.last_event_time.as_ref()),
        source.received_count.to_string(),
        source.quarantined_count.to_string(),
        source.last_error.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_in_a_line() {
        let owner = v1::GetProcessResponse { role: v1::Role::Owner.into(), ..v1::GetProcessResponse::default() };
        assert_eq!(told(&owner), "this process owns the store");
        let lag = Some(prost_types::Duration { seconds: 2, nanos: 0 });
        let replica = v1::GetProcessResponse { role: v1::Role::Replica.into(), lag_positions: 7, lag, ..owner };
        let line = told(&replica);
        assert!(line.contains("not known: 7 facts behind, 2"), "{line}");
        let line = told(&v1::GetProcessResponse { owner: "http://hub-0:7400/".to_owned(), ..replica });
        assert!(line.contains("a replica of http://hub-0:7400/: 7 facts"), "{line}");
    }
}
