//! Connecting the hub to the sources that are configured. A source that is not configured has no
//! door: nobody can push what nobody asked for.

use std::net::SocketAddr;

use axum::Router;
use connectors::salesforce::transport::SalesforceConfig;
use connectors::{oracle, salesforce, sap, wxcc, zendesk};
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::taken;
use crate::app::App;
use crate::commands::Failure;
use crate::config::{ConnectorsConfig, OracleSetup, SapSetup, WxccSetup, ZendeskSetup};

/// Starts every connector that is configured and opens the doors that any of them needs.
///
/// # Errors
/// When a stored position cannot be read or the doors cannot listen on `address`.
pub async fn connect(app: &mut App, config: ConnectorsConfig, address: SocketAddr) -> Result<(), Failure> {
    let ConnectorsConfig { salesforce, oracle, wxcc, sap, zendesk, .. } = config;
    let stop = app.stopping();
    let mut doors = app.take_doors();
    if let Some(setup) = oracle {
        doors.extend(connect_oracle(app, setup, &stop)?);
    }
    if let Some(setup) = wxcc {
        doors.push(connect_wxcc(app, setup, stop.clone())?);
    }
    if let Some(setup) = sap {
        doors.push(connect_sap(app, setup, stop.clone())?);
    }
    if let Some(setup) = zendesk {
        doors.push(connect_zendesk(app, setup, stop.clone()));
    }
    if let Some(config) = salesforce {
        connect_salesforce(app, config, stop)?;
    }
    app.retire_partitions().await?;
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

/// Whether any source that is configured pushes to a door.
pub fn has_doors(config: &ConnectorsConfig) -> bool {
    let ConnectorsConfig { oracle, wxcc, sap, zendesk, .. } = config;
    oracle.as_ref().is_some_and(|oracle| oracle.door.is_some()) || wxcc.is_some() || sap.is_some() || zendesk.is_some()
}

/// What was stored under a position's name.
fn position(app: &App, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(app.handle().store().source(name)?.map(|position| position.to_vec()))
}

/// Looks up what was stored under the names of positions. One that cannot be read is as good as none:
/// its source is read from the beginning, and what is known already changes nothing.
fn stored_positions(app: &App) -> impl Fn(&str) -> Option<Vec<u8>> + 'static {
    let handle = app.handle();
    move |name: &str| match handle.store().source(name) {
        Ok(position) => position.map(|position| position.to_vec()),
        Err(error) => {
            tracing::error!(name, %error, "read a source's position");
            None
        }
    }
}

/// Every path that Oracle's changes come by; the door, if there is one.
fn connect_oracle(app: &mut App, setup: OracleSetup, stop: &CancellationToken) -> Result<Option<Router>, Failure> {
    let context = app.context(System::Oracle, &setup.partition);
    let stored = stored_positions(app);
    let relist =
        setup.list.as_ref().map_or_else(oracle::Relist::none, |list| oracle::Relist::of(&list.tables, &stored));
    if let Some(config) = setup.kafka {
        let position = position(app, oracle::kafka::POSITION)?;
        app.spawn(oracle::kafka::run(context.clone(), config, position, relist.clone(), stop.clone()));
    }
    if let Some(config) = setup.queue {
        let context = app.context(System::Oracle, &config.partition);
        app.spawn(oracle::queue::run(context, config, relist.clone(), stop.clone()));
    }
    if let Some(config) = setup.file {
        let position = position(app, &oracle::file::position_name(&config.path))?;
        let following = oracle::file::follow(context.clone(), config, position, relist.clone(), stop.clone());
        app.spawn(async move {
            if let Err(error) = following.await {
                tracing::error!(%error, "follow the file of change envelopes");
            }
        });
    }
    let door = setup.door.map(|door| oracle::transport::router(context.clone(), door, relist.clone()));
    if let Some(config) = setup.list {
        app.spawn(oracle::transport::list(context, config, stored, relist, stop.clone()));
    }
    Ok(door)
}

fn connect_wxcc(app: &mut App, setup: WxccSetup, stop: CancellationToken) -> Result<Router, Failure> {
    let context = app.context(System::Wxcc, &setup.door.partition);
    let door = wxcc::transport::router(context.clone(), setup.door);
    if let Some(config) = setup.search {
        let position = position(app, wxcc::search::POSITION)?;
        app.spawn(wxcc::search::search(context, config, position, stop));
    }
    Ok(door)
}

fn connect_sap(app: &mut App, setup: SapSetup, stop: CancellationToken) -> Result<Router, Failure> {
    let context = app.context(System::Sap, &setup.door.partition);
    let mut refetches = None;
    if let Some(config) = setup.refetch {
        let (sender, queue) = sap::refetch::queue(&context.connectors, &config.sets);
        refetches = Some(sender);
        app.spawn(sap::refetch::run(context.clone(), config, queue, stop.clone()));
    }
    let door = sap::transport::router(context.clone(), setup.door, refetches);
    if let Some(config) = setup.folder {
        app.spawn(sap::folder::watch(context.clone(), config, stop.clone()));
    }
    if let Some(config) = setup.list {
        let position = position(app, sap::list::POSITION)?;
        app.spawn(sap::list::list(context, config, position, stop));
    }
    Ok(door)
}

fn connect_zendesk(app: &mut App, setup: ZendeskSetup, stop: CancellationToken) -> Router {
    let context = app.context(System::Zendesk, &setup.door.partition);
    let door = zendesk::transport::router(context.clone(), setup.door);
    if let Some(config) = setup.export {
        app.spawn(zendesk::export::export(context, config, stored_positions(app), stop));
    }
    door
}

fn connect_salesforce(app: &mut App, config: SalesforceConfig, stop: CancellationToken) -> Result<(), Failure> {
    let context = app.context(System::Salesforce, &config.topic);
    let objects = context.connectors.salesforce().mapping().objects.iter().map(|object| object.name.as_str());
    let positions = salesforce::Positions::stored(&config.topic, objects, |name| position(app, name))?;
    app.spawn(salesforce::transport::run(context, config, positions, stop));
    Ok(())
}
