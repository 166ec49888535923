//! Connecting the hub to the sources that are configured. A source that is not configured has no
//! door: nobody can push what nobody asked for.

use std::net::SocketAddr;

use axum::Router;
use connectors::salesforce::transport::SalesforceConfig;
use connectors::{oracle, salesforce, sap, wxcc};
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::taken;
use crate::app::App;
use crate::commands::Failure;
use crate::config::{ConnectorsConfig, OracleSetup, SapSetup, WxccSetup};

/// Starts every connector that is configured and opens the doors that any of them needs.
pub(super) async fn connect(app: &mut App, config: ConnectorsConfig, address: SocketAddr) -> Result<(), Failure> {
    let ConnectorsConfig { salesforce, oracle, wxcc, sap } = config;
    let stop = app.stopping();
    let mut doors = Vec::new();
    if let Some(setup) = oracle {
        doors.push(connect_oracle(app, setup, stop.clone())?);
    }
    if let Some(setup) = wxcc {
        doors.push(connect_wxcc(app, setup, stop.clone())?);
    }
    if let Some(setup) = sap {
        doors.push(connect_sap(app, setup, stop.clone())?);
    }
    if let Some(config) = salesforce {
        connect_salesforce(app, config, stop)?;
    }
    if doors.is_empty() {
        return Ok(());
    }
    let router = doors.into_iter().fold(Router::new(), Router::merge);
    app.open_doors(address, router).await.map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) => taken("the sources", address, "--doors", &error),
        Err(other) => Failure::from(other),
    })?;
    Ok(())
}

/// What was stored under a position's name.
fn position(app: &App, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(app.handle().store().source(name)?.map(|position| position.to_vec()))
}

fn connect_oracle(app: &mut App, setup: OracleSetup, stop: CancellationToken) -> Result<Router, Failure> {
    let context = app.context(System::Oracle, &setup.door.partition);
    let door = oracle::transport::router(context.clone(), setup.door);
    if let Some(config) = setup.list {
        let position = position(app, oracle::transport::POSITION)?;
        app.spawn(oracle::transport::list(context, config, position, stop));
    }
    Ok(door)
}

fn connect_wxcc(app: &mut App, setup: WxccSetup, stop: CancellationToken) -> Result<Router, Failure> {
    let context = app.context(System::Wxcc, &setup.door.partition);
    let door = wxcc::transport::router(context.clone(), setup.door);
    if let Some(config) = setup.search {
        let position = position(app, wxcc::transport::POSITION)?;
        app.spawn(wxcc::transport::search(context, config, position, stop));
    }
    Ok(door)
}

fn connect_sap(app: &mut App, setup: SapSetup, stop: CancellationToken) -> Result<Router, Failure> {
    let context = app.context(System::Sap, &setup.door.partition);
    let door = sap::transport::router(context.clone(), setup.door);
    if let Some(config) = setup.list {
        let position = position(app, sap::transport::POSITION)?;
        app.spawn(sap::transport::list(context, config, position, stop));
    }
    Ok(door)
}

fn connect_salesforce(app: &mut App, config: SalesforceConfig, stop: CancellationToken) -> Result<(), Failure> {
    let context = app.context(System::Salesforce, &config.topic);
    let position = position(app, &config.topic)?;
    app.spawn(salesforce::transport::run(context, config, position, Vec::new(), stop));
    Ok(())
}
