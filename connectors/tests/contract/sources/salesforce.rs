//! Salesforce: the event bus, and everything that REST makes good for.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::salesforce::Positions;
use connectors::salesforce::audit::AuditConfig;
use connectors::salesforce::rest::RestConfig;
use connectors::salesforce::transport::{SalesforceConfig, TOPIC, run};
use fixtures::faults::FaultSwitch;
use fixtures::salesforce::{SalesforceConfig as Organisation, SalesforceServer};
use fixtures::story::{Change, Happening};
use ontology::System;
use tokio_util::sync::CancellationToken;

use crate::rig::{EVERY, Source};
use crate::support::MemoryLog;

pub struct Salesforce(SalesforceServer);

impl Source for Salesforce {
    const SYSTEM: System = System::Salesforce;
    const PARTITION: &'static str = TOPIC;

    async fn start(switch: FaultSwitch) -> Self {
        let config = Organisation { keepalive: Duration::from_millis(20), ..Organisation::default() };
        Salesforce(SalesforceServer::start_with(config, switch).await.unwrap())
    }

    fn is_own(happening: &Happening) -> bool {
        matches!(happening.change, Change::Salesforce(_))
    }

    async fn happen(&self, _: SocketAddr, happenings: &[Happening], _: &FaultSwitch) {
        for happening in happenings {
            self.0.publish(happening).unwrap();
        }
    }

    fn quiet_until(&self, now_ms: i64) {
        self.0.quiet_until(now_ms);
    }

    fn doors(&self, _: Context<MemoryLog>) -> Router {
        Router::new()
    }

    fn loops(
        &self,
        context: Context<MemoryLog>,
        log: &MemoryLog,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let rest = RestConfig::client_credentials(self.0.http_url(), "opshub", Secret::new("opshub-secret"));
        let config = SalesforceConfig {
            silence_max: Duration::from_millis(500),
            audit: Some(AuditConfig { interval: EVERY, settle: Duration::from_secs(1) }),
            allowance: None,
            ..SalesforceConfig::new(rest, self.0.grpc_url())
        };
        let objects = ["Account", "Case", "Knowledge_Article__c", "Directory_Entry__c"].into_iter();
        let stored = Positions::stored(TOPIC, objects, |name| Ok::<_, std::convert::Infallible>(log.position(name)));
        let positions = stored.unwrap_or_else(|never| match never {});
        run(context, config, positions, stop)
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}
