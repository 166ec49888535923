//! A hub with its real doors, the four vendors that speak to it, and what each of them has to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connectors::edge::credentials::Secret;
use connectors::salesforce::rest::RestConfig;
use connectors::{Clock as _, oracle, salesforce, sap, wxcc, zendesk};
use fixtures::oracle::{Framing, OracleDoor};
use fixtures::player::Vendors;
use fixtures::sap::SapDoor;
use fixtures::story::{BadPayload, BadReason, Change, Happening, System as Vendor};
use fixtures::wxcc::WebexDoor;
use fixtures::zendesk::ZendeskDoor;
use fixtures::{Receipt, Sender};
use hub::app::{App, AppOptions};
use hub::clock::WallClock;
use ontology::codec::Cursor;
use ontology::{EntityKind, Fact, LogPos, Millis, System};
use pipeline::EngineSettings;
use storage::{Embedded, Log as _, Quarantine as _, QuarantineFilter};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long the test waits for a good neighbour's fact to be readable before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the event bus is asked how far it was read.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Attempts at a door that asks for patience.
const ATTEMPTS_MAX: u32 = 20;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const ORACLE_TOKEN: &str = "push-token";
const WXCC_SECRET: &str = "webhook-secret";
const ZENDESK_SECRET: &str = "desk-secret";
const TOPIC: &str = "/data/ChangeEvents";

pub struct Stage {
    app: App,
    vendors: Vendors,
    store: Arc<Embedded>,
    pub oracle: OracleDoor,
    pub wxcc: WebexDoor,
    pub sap: SapDoor,
    pub zendesk: ZendeskDoor,
    pub sender: Sender,
    _folder: TempDir,
}

impl Stage {
    pub async fn set() -> Stage {
        let vendors = Vendors::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(folder.path(), storage::Options::default()).unwrap());
        let options = AppOptions {
            engine: EngineSettings { shards: 2, ..EngineSettings::default() },
            batch_max: 1_000,
            ..AppOptions::local(Arc::new(WallClock::default()))
        };
        let mut app = App::start(store.clone(), options).await.unwrap();
        let doors = app.open_doors(LOOPBACK, routers(&app)).await.unwrap();
        let (context, stop) = (app.context(System::Salesforce, TOPIC), app.stopping());
        app.spawn(salesforce::transport::run(
            context,
            salesforce_config(&vendors),
            salesforce::Positions::default(),
            stop,
        ));
        Stage {
            app,
            vendors,
            store,
            oracle: OracleDoor { url: format!("http://{doors}/oracle/changes"), token: ORACLE_TOKEN.to_owned() },
            wxcc: WebexDoor::new(format!("http://{doors}/webhooks/wxcc"), WXCC_SECRET),
            sap: SapDoor {
                url: format!("http://{doors}/sap/idoc"),
                user: fixtures::sap::USER.0.to_owned(),
                password: fixtures::sap::USER.1.to_owned(),
            },
            zendesk: ZendeskDoor { url: format!("http://{doors}/webhooks/zendesk"), secret: ZENDESK_SECRET.to_owned() },
            sender: Sender::new(ATTEMPTS_MAX).unwrap(),
            _folder: folder,
        }
    }

    /// Lets a good change happen at its vendor and gives how long it took until reads saw it.
    #[allow(clippy::disallowed_methods, reason = "a latency is measured, not decided by")]
    pub async fn deliver(&self, happening: &Happening) -> Duration {
        let sent = Instant::now();
        let receipt = match &happening.change {
            Change::Salesforce(_) => {
                self.vendors.salesforce.publish(happening).unwrap();
                self.bus_is_read().await;
                Receipt::Taken
            }
            Change::Oracle(change) => {
                self.oracle.push(&self.sender, &[(happening.at_ms, change)], Framing::Array).await.unwrap()
            }
            Change::Webex(change) => self.wxcc.push(&self.sender, change, wall_ms()).await.unwrap(),
            Change::Sap(change) => self.sap.push(&self.sender, &[(happening.at_ms, change)]).await.unwrap(),
            Change::TransferRequest(_) | Change::Bad(_) => panic!("not a good change of a vendor"),
        };
        assert_eq!(receipt, Receipt::Taken);
        self.log_is_readable().await;
        sent.elapsed()
    }

    /// Sends bodies as they are. What is not understood is taken all the same: the vendor is told
    /// that it need not send it again.
    pub async fn send(&self, vendor: Vendor, bodies: Vec<Vec<u8>>) {
        for body in bodies {
            let receipt = match vendor {
                Vendor::Salesforce => self.publish_raw(body),
                Vendor::Oracle => self.oracle.push_raw(&self.sender, body).await.unwrap(),
                Vendor::Wxcc => self.wxcc.push_raw(&self.sender, body, wall_ms(), "task").await.unwrap(),
                Vendor::Sap => self.sap.push_raw(&self.sender, body).await.unwrap(),
                Vendor::Desk => panic!("a desk sends no bytes"),
                Vendor::Zendesk => self.zendesk.push_raw(&self.sender, body, wall_ms(), "garbage").await.unwrap(),
            };
            assert_eq!(receipt, Receipt::Taken);
        }
        if vendor == Vendor::Salesforce {
            self.bus_is_read().await;
        }
    }

    fn publish_raw(&self, body: Vec<u8>) -> Receipt {
        let change = Change::Bad(BadPayload { reason: BadReason::Malformed, body });
        let happening = Happening { at_ms: 0, deliver_ms: 0, system: Vendor::Salesforce, change };
        self.vendors.salesforce.publish(&happening).unwrap();
        Receipt::Taken
    }

    /// Waits until the log holds everything that the bus had when this was called.
    #[allow(clippy::disallowed_methods, reason = "patience of a test")]
    async fn bus_is_read(&self) {
        let published = self.vendors.salesforce.published();
        let deadline = Instant::now() + PATIENCE;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            let position = self.store.source(TOPIC).unwrap();
            let read = position.and_then(|position| self.vendors.salesforce.events_until(&position));
            if read.unwrap_or_default() >= published {
                return;
            }
            assert!(Instant::now() < deadline, "the bus was not read to its end within {PATIENCE:?}");
            looks.tick().await;
        }
    }

    /// Waits until reads see everything that the log held when this was called.
    #[allow(clippy::disallowed_methods, reason = "patience of a test")]
    async fn log_is_readable(&self) {
        let last = LogPos(self.store.last().0);
        let is_readable = self.app.published.reaches(last, Instant::now() + PATIENCE).await;
        assert!(is_readable, "reads did not see {last:?} within {PATIENCE:?}");
    }

    /// What is in quarantine, by vendor: of an event of the bus its payload, of a request its bytes.
    pub fn quarantined(&self, vendor: Vendor) -> Vec<Vec<u8>> {
        let page = self.store.list(&QuarantineFilter::default(), None, usize::MAX).unwrap();
        let prefix = format!("{}/", vendor.name());
        let records = page.records.iter().filter(|record| record.source.starts_with(&prefix));
        let mut bytes: Vec<_> = records
            .map(|record| {
                let raw = self.store.raw(record.id).unwrap();
                match vendor {
                    Vendor::Salesforce => payload_of(&raw),
                    Vendor::Oracle | Vendor::Wxcc | Vendor::Sap | Vendor::Desk | Vendor::Zendesk => raw,
                }
            })
            .collect();
        bytes.sort();
        bytes
    }

    /// Facts in the log that say something of a record.
    pub fn facts(&self) -> usize {
        let blocks = self.store.read(self.store.start().unwrap()).unwrap().map(Result::unwrap);
        let is_of_record = |bytes: &[u8]| {
            let fact = Fact::decode(&mut Cursor(bytes), LogPos(0), Millis(0)).unwrap();
            fact.entity.kind != EntityKind::Watermark
        };
        blocks.map(|block| block.facts().filter(|(_, bytes)| is_of_record(bytes)).count()).sum()
    }

    /// Everything ends cleanly: no part has panicked or stalled.
    pub async fn strike(self) {
        self.app.stop().await.unwrap();
        self.vendors.stop().await;
    }
}

/// The time of day, which webhooks are signed with.
pub fn wall_ms() -> i64 {
    WallClock::default().now().0
}

/// The datum within what the connector keeps of an event that it cannot read.
fn payload_of(raw: &[u8]) -> Vec<u8> {
    use prost::Message as _;
    let mut batch = salesforce::decode::Batch::decode(raw).unwrap();
    assert_eq!(batch.events.len(), 1, "an event is kept by itself");
    batch.events.remove(0).event.unwrap().payload
}

fn routers(app: &App) -> axum::Router {
    let oracle_config =
        oracle::transport::OracleConfig { token: Secret::new(ORACLE_TOKEN), partition: "erp".to_owned() };
    let wxcc_config = wxcc::transport::WxccConfig {
        secrets: vec![Secret::new(WXCC_SECRET)],
        partition: "contact-centre".to_owned(),
        is_freshness_checked: true,
    };
    let sap_config = sap::SapConfig::new(fixtures::sap::USER.0, Secret::new(fixtures::sap::USER.1), "s4");
    let zendesk_config = zendesk::transport::ZendeskConfig {
        secrets: vec![Secret::new(ZENDESK_SECRET)],
        partition: "desk".to_owned(),
        is_freshness_checked: true,
    };
    oracle::transport::router(app.context(System::Oracle, "erp"), oracle_config, oracle::Relist::none())
        .merge(wxcc::transport::router(app.context(System::Wxcc, "contact-centre"), wxcc_config))
        .merge(sap::transport::router(app.context(System::Sap, "s4"), sap_config, None))
        .merge(zendesk::transport::router(app.context(System::Zendesk, "desk"), zendesk_config))
}

fn salesforce_config(vendors: &Vendors) -> salesforce::transport::SalesforceConfig {
    let client = fixtures::salesforce::SalesforceConfig::default();
    let secret = Secret::new(&client.client_secret);
    let rest = RestConfig::client_credentials(vendors.salesforce.http_url(), client.client_id, secret);
    salesforce::SalesforceConfig {
        is_full_read_first: false,
        silence_max: Duration::from_millis(Millis::MINUTE_MS.unsigned_abs()),
        audit: None,
        allowance: None,
        ..salesforce::SalesforceConfig::new(rest, vendors.salesforce.grpc_url())
    }
}
