//! `opshub sources`: how far each source is received.

use clap::Args;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;

use super::{Failure, runtime};
use crate::client::{ClientArgs, instant, print_json, since, table, word};

/// Sources on one page of the answer.
const PAGE: i32 = 1_000;

/// Shows how far each source is received, of a running hub.
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
        return print_json("ListSourcesResponse", &answer);
    }
    if answer.sources.is_empty() {
        println!("no source is connected; docs/configuration.md tells how to connect one");
        return Ok(());
    }
    let head = ["source", "partition", "state", "lag", "last event", "received", "quarantined", "last error"];
    println!("{}", table(head, answer.sources.iter().map(row)));
    Ok(())
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
