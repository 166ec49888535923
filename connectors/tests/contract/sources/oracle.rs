//! Oracle: pushed change envelopes, and the list job over the REST views.

use std::net::SocketAddr;

use axum::Router;
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::oracle;
use fixtures::Sender;
use fixtures::faults::FaultSwitch;
use fixtures::oracle::{Framing, OracleDoor, OracleServer};
use fixtures::story::{Change, Happening, OracleChange};
use ontology::System;
use tokio_util::sync::CancellationToken;

use super::{any, over_a_line};
use crate::rig::{EVERY, Source};
use crate::support::MemoryLog;

const TOKEN: &str = "push-token";

pub struct Oracle(OracleServer);

impl Source for Oracle {
    const SYSTEM: System = System::Oracle;
    const PARTITION: &'static str = "erp";
    const READS_WHOLE: bool = true;

    async fn start(switch: FaultSwitch) -> Self {
        Oracle(OracleServer::start_with(any(), switch).await.unwrap())
    }

    fn is_own(happening: &Happening) -> bool {
        matches!(happening.change, Change::Oracle(_))
    }

    async fn happen(&self, doors: SocketAddr, happenings: &[Happening], switch: &FaultSwitch) {
        happenings.iter().for_each(|happening| self.0.apply(happening));
        let rows: Vec<(i64, &OracleChange)> = happenings
            .iter()
            .filter_map(|one| if let Change::Oracle(change) = &one.change { Some((one.at_ms, change)) } else { None })
            .collect();
        let rows = over_a_line(rows, switch, |(at, row)| format!("{}/{}/{at}", row.table, row.id));
        let door = OracleDoor { url: format!("http://{doors}/oracle/changes"), token: TOKEN.to_owned() };
        let sender = Sender::new(200).unwrap();
        for rows in rows.chunks(7) {
            door.push(&sender, rows, Framing::Lines).await.unwrap();
        }
    }

    fn quiet_until(&self, now_ms: i64) {
        self.0.quiet_until(now_ms);
    }

    fn doors(&self, context: Context<MemoryLog>) -> Router {
        let config = oracle::OracleConfig { token: Secret::new(TOKEN), partition: Self::PARTITION.to_owned() };
        oracle::transport::router(context, config, oracle::Relist::none())
    }

    fn loops(
        &self,
        context: Context<MemoryLog>,
        log: &MemoryLog,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let tables = connectors::Mapping::shipped(System::Oracle).unwrap().objects;
        let tables: std::collections::BTreeSet<_> = tables.into_iter().map(|object| object.name).collect();
        let config = oracle::OracleListConfig {
            ords: oracle::OrdsConfig {
                base_url: format!("{}/ords/ar", self.0.http_url()),
                client_id: fixtures::oracle::CLIENT.0.to_owned(),
                client_secret: Secret::new(fixtures::oracle::CLIENT.1),
            },
            tables: tables.into_iter().collect(),
            partition: Self::PARTITION.to_owned(),
            interval: EVERY,
            is_full_read_first: true,
            full_interval: Some(EVERY),
            is_wall_time: false,
        };
        let log = log.clone();
        let position = move |name: &str| log.position(name);
        oracle::transport::list(context, config, position, oracle::Relist::none(), stop)
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}
