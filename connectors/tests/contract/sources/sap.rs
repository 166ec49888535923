//! SAP: posted IDocs, and the list job over OData.

use std::net::SocketAddr;

use axum::Router;
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::edge::oauth::Login;
use connectors::sap;
use fixtures::Sender;
use fixtures::faults::FaultSwitch;
use fixtures::sap::{SapDoor, SapServer};
use fixtures::story::{Change, Happening, SapChange};
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::{any, over_a_line};
use crate::rig::{EVERY, Source};
use crate::support::MemoryLog;

const USER: &str = "opshub";
const PASSWORD: &str = "sap-password";

pub struct Sap(SapServer);

impl Source for Sap {
    const SYSTEM: System = System::Sap;
    const PARTITION: &'static str = "s4";
    // Its instants are whole seconds.
    const PROOF_LAG_MS: i64 = 1_000;

    async fn start(switch: FaultSwitch) -> Self {
        Sap(SapServer::start_with(any(), switch).await.unwrap())
    }

    fn is_own(happening: &Happening) -> bool {
        matches!(happening.change, Change::Sap(_))
    }

    async fn happen(&self, doors: SocketAddr, happenings: &[Happening], switch: &FaultSwitch) {
        happenings.iter().for_each(|happening| self.0.apply(happening));
        let documents: Vec<(usize, i64, &SapChange)> = happenings
            .iter()
            .enumerate()
            .filter_map(|(n, one)| match &one.change {
                Change::Sap(change) => Some((n, one.at_ms, change)),
                _ => None,
            })
            .collect();
        let documents = over_a_line(documents, switch, |(n, at, _)| format!("{n}/{at}"));
        let documents: Vec<(i64, &SapChange)> = documents.into_iter().map(|(_, at, change)| (at, change)).collect();
        let door =
            SapDoor { url: format!("http://{doors}/sap/idoc"), user: USER.to_owned(), password: PASSWORD.to_owned() };
        let sender = Sender::new(200).unwrap();
        let posts = documents.chunk_by(|left, right| left.1.idoc_type == right.1.idoc_type);
        for post in posts.flat_map(|run| run.chunks(5)) {
            door.push(&sender, post).await.unwrap();
        }
    }

    fn quiet_until(&self, now_ms: i64) {
        self.0.quiet_until(now_ms);
    }

    fn doors(&self, context: Context<MemoryLog>) -> Router {
        sap::transport::router(context, sap::SapConfig::new(USER, Secret::new(PASSWORD), Self::PARTITION), None)
    }

    fn loops(
        &self,
        context: Context<MemoryLog>,
        log: &MemoryLog,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let access = sap::address::SapAccess {
            base_url: format!("{}/sap/opu/odata/sap", self.0.http_url()),
            login: Login::basic(fixtures::sap::USER.0, Secret::new(fixtures::sap::USER.1)),
        };
        let config =
            sap::list::SapListConfig { interval: EVERY, ..sap::list::SapListConfig::new(access, Self::PARTITION) };
        sap::list::list(context, config, log.position(sap::list::POSITION), stop)
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}
