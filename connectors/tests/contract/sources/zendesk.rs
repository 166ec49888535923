//! Zendesk: signed webhooks, and the incremental export.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::zendesk::export::{Login, Stream, ZendeskExportConfig, export};
use connectors::zendesk::transport::{ZendeskConfig, router};
use fixtures::Sender;
use fixtures::faults::FaultSwitch;
use fixtures::story::{Change, Happening};
use fixtures::zendesk::{LOGIN, ZendeskDoor, ZendeskServer};
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::{any, over_a_line};
use crate::rig::{EVERY, Source};
use crate::support::MemoryLog;

const SECRET: &str = "webhook-secret";

pub struct Zendesk(ZendeskServer);

impl Source for Zendesk {
    const SYSTEM: System = System::Zendesk;
    const PARTITION: &'static str = "desk";
    // The export leaves out the last minute.
    const PROOF_LAG_MS: i64 = 60_001;

    async fn start(switch: FaultSwitch) -> Self {
        let config = fixtures::zendesk::ZendeskConfig { address: any(), requests_per_minute: u32::MAX };
        Zendesk(ZendeskServer::start_with(config, switch).await.unwrap())
    }

    fn is_own(happening: &Happening) -> bool {
        // Another desk of the same world.
        matches!(happening.change, Change::Salesforce(_))
    }

    async fn happen(&self, doors: SocketAddr, happenings: &[Happening], switch: &FaultSwitch) {
        let events = happenings.iter().flat_map(|one| {
            let events = self.0.apply(one);
            events.into_iter().enumerate().map(|(n, event)| (format!("{n}/{}", one.at_ms), one.at_ms, event))
        });
        let events: Vec<_> = events.collect();
        let door = ZendeskDoor { url: format!("http://{doors}/webhooks/zendesk"), secret: SECRET.to_owned() };
        let sender = Sender::new(200).unwrap();
        for (_, at_ms, event) in over_a_line(events, switch, |(key, _, _)| key.clone()) {
            door.push(&sender, &event, at_ms).await.unwrap();
        }
    }

    fn quiet_until(&self, now_ms: i64) {
        self.0.quiet_until(now_ms);
    }

    fn doors(&self, context: Context<MemoryLog>) -> Router {
        let secrets = vec![Secret::new("older-secret"), Secret::new(SECRET)];
        let config = ZendeskConfig { secrets, partition: Self::PARTITION.to_owned(), is_freshness_checked: false };
        router(context, config)
    }

    fn loops(
        &self,
        context: Context<MemoryLog>,
        log: &MemoryLog,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let config = ZendeskExportConfig {
            base_url: self.0.http_url(),
            login: Login::ApiToken { email: LOGIN.0.to_owned(), token: Secret::new(LOGIN.1) },
            streams: vec![Stream::Tickets, Stream::Organizations],
            partition: Self::PARTITION.to_owned(),
            interval: EVERY,
            page_pause: Duration::ZERO,
        };
        let log = log.clone();
        export(context, config, move |name: &str| log.position(name), stop)
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}
