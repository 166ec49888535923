//! `opshub health`: whether a running hub serves.

use clap::Args;
use serde_json::json;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Failure, UNREACHABLE, runtime};
use crate::client::ClientArgs;

/// Asks a running hub whether it serves. Needs no credential, so it fits probes.
#[derive(Debug, Args)]
pub struct HealthArgs {
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn run(args: &HealthArgs) -> Result<(), Failure> {
    runtime()?.block_on(check(&args.client))
}

async fn check(client: &ClientArgs) -> Result<(), Failure> {
    let hub = client.connect().await?;
    let answer = HealthClient::new(hub.channel.clone()).check(HealthCheckRequest::default()).await;
    let status = answer.map_err(|status| client.failed("ask for the health", &status, ""))?.into_inner().status();
    let is_serving = status == ServingStatus::Serving;
    if client.json {
        println!("{}", json!({ "status": status.as_str_name() }));
    } else {
        println!("{}", if is_serving { "serving" } else { "not serving: the hub is starting or going away" });
    }
    if is_serving { Ok(()) } else { Err(Failure::told(UNREACHABLE)) }
}
