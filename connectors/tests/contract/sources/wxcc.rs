//! Webex Contact Center: signed webhooks, and the list job over Search.

use std::net::SocketAddr;

use axum::Router;
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::wxcc;
use fixtures::Sender;
use fixtures::faults::FaultSwitch;
use fixtures::story::{Change, Happening, WebexChange};
use fixtures::wxcc::{WebexDoor, WebexServer};
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::{any, over_a_line};
use crate::rig::{EVERY, Source};
use crate::support::MemoryLog;

const SECRET: &str = "webhook-secret";

pub struct Wxcc(WebexServer);

impl Source for Wxcc {
    const SYSTEM: System = System::Wxcc;
    const PARTITION: &'static str = "contact-centre";

    async fn start(switch: FaultSwitch) -> Self {
        Wxcc(WebexServer::start_with(any(), switch).await.unwrap())
    }

    fn is_own(happening: &Happening) -> bool {
        // The desktop widget is not the vendor's: it repeats until it is heard.
        matches!(&happening.change, Change::Webex(change) if !change.kind.starts_with("desktop:"))
    }

    async fn happen(&self, doors: SocketAddr, happenings: &[Happening], switch: &FaultSwitch) {
        happenings.iter().for_each(|happening| self.0.apply(happening));
        let events: Vec<(usize, i64, &WebexChange)> = happenings
            .iter()
            .enumerate()
            .filter_map(|(n, one)| match &one.change {
                Change::Webex(change) => Some((n, one.at_ms, change)),
                _ => None,
            })
            .collect();
        let door = WebexDoor::new(format!("http://{doors}/webhooks/wxcc"), SECRET);
        let sender = Sender::new(200).unwrap();
        for (_, at_ms, event) in over_a_line(events, switch, |(n, at, event)| format!("{n}/{}/{at}", event.kind)) {
            door.push(&sender, event, at_ms).await.unwrap();
        }
    }

    fn quiet_until(&self, now_ms: i64) {
        self.0.quiet_until(now_ms);
    }

    fn doors(&self, context: Context<MemoryLog>) -> Router {
        let config = wxcc::WxccConfig {
            secrets: vec![Secret::new("older-secret"), Secret::new(SECRET)],
            partition: Self::PARTITION.to_owned(),
            is_freshness_checked: false,
        };
        wxcc::transport::router(context, config)
    }

    fn loops(
        &self,
        context: Context<MemoryLog>,
        log: &MemoryLog,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let auth = wxcc::WxccAuth::Token(Secret::new(fixtures::wxcc::TOKEN));
        let config = wxcc::WxccSearchConfig {
            interval: EVERY,
            lag_ms: 0,
            with_transcripts: true,
            ..wxcc::WxccSearchConfig::new(&self.0.http_url(), fixtures::wxcc::ORG_ID, auth, Self::PARTITION)
        };
        wxcc::search::search(context, config, log.position(wxcc::search::POSITION), stop)
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}
