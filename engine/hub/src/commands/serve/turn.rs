//! The turn to own a store on servers, and what changes with it.

use std::net::SocketAddr;

use axum::Router;
use ontology::System;
use serde::{Deserialize, Serialize};
use serve::owner::Owner;
use storage::{DistributedOptions, Turn};
use tokio::sync::watch;

use super::sources;
use crate::app::App;
use crate::commands::Failure;
use crate::config::{Advertise, ConnectorsConfig};
use crate::doors::Doors;
use crate::outputs::{self, KafkaOutput};
use crate::remapping::Remapping;
use crate::runner::OwnerChanged;

/// A place in the queue of those who would own the store.
pub(crate) struct MyTurn {
    told: watch::Receiver<bool>,
    is_mine: bool,
    /// Leaves the queue when it is dropped.
    _place: Turn,
}

impl MyTurn {
    /// Queues for a store that is there.
    pub(crate) async fn queue(options: DistributedOptions) -> anyhow::Result<Self> {
        let (tell, told) = watch::channel(false);
        let queued = tokio::task::spawn_blocking(move || {
            Turn::queue(&options, move |mine| {
                // Nobody listens any more when the hub is about to end.
                let _ = tell.send(mine);
            })
        });
        let place = queued.await??;
        Ok(MyTurn { told, is_mine: false, _place: place })
    }

    /// Waits until the turn comes, or goes.
    pub(crate) async fn changes(&mut self) -> bool {
        let was_mine = self.is_mine;
        // The sender lives as long as the place in the queue.
        let changed = self.told.wait_for(|mine| *mine != was_mine).await.is_ok();
        self.is_mine = changed && !was_mine;
        self.is_mine
    }
}

/// What an owner tells those who follow it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    /// URL of its API; none if others cannot reach it.
    api: Option<String>,
    /// URL of its doors; none if it has none.
    doors: Option<String>,
}

/// What this process tells those who follow it, once it owns the store.
pub(crate) fn told(advertise: &Advertise, (api, has_tls): (SocketAddr, bool), doors: Option<SocketAddr>) -> String {
    let url = |scheme: &str, named: &Option<String>, listens: Option<SocketAddr>| {
        // Who listens everywhere does not say by which name it is found.
        let listens = listens.filter(|address| !address.ip().is_unspecified()).map(|address| address.to_string());
        Some(format!("{scheme}://{}", named.clone().or(listens)?))
    };
    let scheme = if has_tls { "https" } else { "http" };
    let doors = doors.and_then(|doors| url("http", &advertise.doors, Some(doors)));
    let told = Told { api: url(scheme, &advertise.api, Some(api)), doors };
    serde_json::to_string(&told).expect("two texts are JSON")
}

/// Sends calls and deliveries to whoever says that it is the owner.
pub(super) fn owner_changed(owner: Owner, doors: Doors, authorities_pem: Option<Vec<u8>>) -> OwnerChanged {
    Box::new(move |text| {
        let told: Told = serde_json::from_str(text).unwrap_or_default();
        doors.set_owner(told.doors.as_deref().unwrap_or_default());
        let is_reachable = |api: &String| api.starts_with("http://") || authorities_pem.is_some();
        let Some(api) = told.api.filter(is_reachable) else { return owner.set_unknown() };
        let authorities = authorities_pem.as_deref().filter(|_| api.starts_with("https://"));
        match owner.set_at(&api, authorities) {
            Ok(()) => tracing::info!(api, "following the owner of the store"),
            Err(error) => {
                tracing::warn!(%error, api, "calls cannot be forwarded to the owner of the store");
                owner.set_unknown();
            }
        }
    })
}

/// What only the owner of the store does: reading the sources, remapping history, writing topics.
pub(super) struct Work {
    pub(super) connectors: ConnectorsConfig,
    /// Doors of flows that the hub itself carries out.
    pub(super) flows: Option<Router>,
    pub(super) doors: SocketAddr,
    pub(super) history: Vec<System>,
    pub(super) kafka: Option<KafkaOutput>,
}

impl Work {
    /// Whether any source or flow has a door.
    pub(super) fn has_doors(&self) -> bool {
        self.flows.is_some() || sources::has_doors(&self.connectors)
    }

    /// Begins it.
    pub(super) async fn begin(self, app: &mut App) -> Result<(), Failure> {
        let Work { connectors, flows, doors, history, kafka } = self;
        if kafka.is_some() {
            app.traces.want();
        }
        let remapping = Remapping::plan(app, &connectors.own_mappings, &history)?;
        app.add_doors(flows);
        sources::connect(app, connectors, doors).await?;
        remapping.start(app);
        if let Some(kafka) = kafka {
            let store = app.handle().store().clone();
            app.spawn(outputs::run(kafka, (app.published.clone(), app.traces.clone()), store, app.stopping()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told_by(advertise: &Advertise, api: &str, has_tls: bool) -> Told {
        let doors = Some("127.0.0.1:7401".parse().unwrap());
        serde_json::from_str(&told(advertise, (api.parse().unwrap(), has_tls), doors)).unwrap()
    }

    #[test]
    fn an_owner_tells_where_it_is_reached() {
        let listens = told_by(&Advertise::default(), "127.0.0.1:7400", false);
        assert_eq!(listens.api.as_deref(), Some("http://127.0.0.1:7400"));
        assert_eq!(listens.doors.as_deref(), Some("http://127.0.0.1:7401"));
        assert_eq!(told_by(&Advertise::default(), "0.0.0.0:7400", true).api, None, "by which name it is not known");
        let named = Advertise { api: Some("hub-0:7400".to_owned()), ..Advertise::default() };
        assert_eq!(told_by(&named, "0.0.0.0:7400", true).api.as_deref(), Some("https://hub-0:7400"));
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_not_forwarded_to() {
        let check = |text: &str, authorities: Option<&[u8]>| {
            let owner = Owner::default();
            let mut changed =
                owner_changed(owner.clone(), Doors::elsewhere().unwrap(), authorities.map(<[u8]>::to_vec));
            changed(text);
            owner.address()
        };
        assert_eq!(check("{\"api\":\"http://hub:1\",\"doors\":null}", None).as_deref(), Some("http://hub:1/"));
        for unknown in ["", "nonsense", "{\"api\":null,\"doors\":null}", "{\"api\":\"https://hub:1\",\"doors\":null}"] {
            assert_eq!(check(unknown, None), None, "{unknown}");
        }
        let by_tls = check("{\"api\":\"https://hub:1\",\"doors\":null}", Some(b""));
        assert_eq!(by_tls.as_deref(), Some("https://hub:1/"));
    }
}
