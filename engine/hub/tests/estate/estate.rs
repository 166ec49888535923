//! Five simulators in which one story happens, and the configuration of a hub that reads them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use fixtures::faults::{FaultSwitch, Faults};
use fixtures::oracle::{OracleDoor, OracleServer};
use fixtures::player::{Doors, Player, Vendors};
use fixtures::salesforce::{SalesforceConfig, SalesforceServer};
use fixtures::sap::{SapDoor, SapServer};
use fixtures::story::System as Vendor;
use fixtures::world::{Size, World};
use fixtures::wxcc::{WebexDoor, WebexServer};
use fixtures::zendesk::{ZendeskConfig, ZendeskDoor, ZendeskServer};
use tempfile::TempDir;

/// A free port of loopback.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// One secret for everything that the hub is to be sent.
const SECRET: &str = "estate-secret";

/// The systems, each with its simulator.
pub struct Estate {
    pub world: Arc<World>,
    pub vendors: Arc<Vendors>,
    pub desk: Arc<ZendeskServer>,
    /// What goes wrong in all of them.
    pub switch: FaultSwitch,
    folder: TempDir,
}

impl Estate {
    /// Five systems of one world, which go wrong as `faults` says.
    pub async fn start(seed: u64, faults: Faults) -> Estate {
        let switch = FaultSwitch::new(faults);
        let salesforce =
            SalesforceConfig { keepalive: std::time::Duration::from_millis(50), ..SalesforceConfig::default() };
        let desk = ZendeskConfig { address: ANY, requests_per_minute: u32::MAX };
        let estate = Estate {
            world: Arc::new(World::generate(seed, Size::customers(12))),
            vendors: Arc::new(Vendors {
                salesforce: SalesforceServer::start_with(salesforce, switch.clone()).await.unwrap(),
                oracle: OracleServer::start_with(ANY, switch.clone()).await.unwrap(),
                wxcc: WebexServer::start_with(ANY, switch.clone()).await.unwrap(),
                sap: SapServer::start_with(ANY, switch.clone()).await.unwrap(),
            }),
            desk: Arc::new(ZendeskServer::start_with(desk, switch.clone()).await.unwrap()),
            switch,
            folder: tempfile::tempdir().unwrap(),
        };
        let secrets = [
            ("push", SECRET),
            ("salesforce", "opshub-secret"),
            ("oracle", fixtures::oracle::CLIENT.1),
            ("wxcc", fixtures::wxcc::TOKEN),
            ("sap", fixtures::sap::USER.1),
            ("zendesk", fixtures::zendesk::LOGIN.1),
        ];
        for (name, secret) in secrets {
            std::fs::write(estate.folder.path().join(name), secret).unwrap();
        }
        estate
    }

    /// A player of the story who pushes to `doors` over lines that go wrong.
    pub fn player(&self, doors: SocketAddr) -> Player {
        let secret = SECRET.to_owned();
        let at = |path: &str| format!("http://{doors}/{path}");
        let push = Doors {
            oracle: Some(OracleDoor { url: at("oracle/changes"), token: secret.clone() }),
            wxcc: Some(WebexDoor::new(at("webhooks/wxcc"), &secret)),
            sap: Some(SapDoor { url: at("sap/idoc"), user: "opshub".to_owned(), password: secret.clone() }),
        };
        let desk = ZendeskDoor { url: at("webhooks/zendesk"), secret };
        let mut player = Player::new(self.world.clone(), self.vendors.clone(), push).unwrap();
        for system in [Vendor::Oracle, Vendor::Wxcc, Vendor::Sap] {
            player = player.over_a_line(system, self.switch.clone());
        }
        player.with_desk(self.desk.clone(), Some(desk), self.switch.clone())
    }

    /// Says in all systems that nothing newer exists up to `now_ms`.
    pub fn quiet_until(&self, now_ms: i64) {
        self.vendors.salesforce.quiet_until(now_ms);
        self.vendors.oracle.quiet_until(now_ms);
        self.vendors.wxcc.quiet_until(now_ms);
        self.vendors.sap.quiet_until(now_ms);
        self.desk.quiet_until(now_ms);
    }

    /// The file with everything that a hub needs to read these systems. `lists` says whether what
    /// closes gaps and proves quiet sources alive is configured too; it runs `every` so often.
    pub fn configuration(&self, systems: &[Vendor], lists: bool, every: &str) -> PathBuf {
        let sections = systems.iter().map(|system| {
            let (push, list) = self.section(*system, every);
            if lists { format!("{push}{list}") } else { push }
        });
        let path = self.folder.path().join("opshub.toml");
        std::fs::write(&path, sections.collect::<String>()).unwrap();
        path
    }

    fn section(&self, system: Vendor, every: &str) -> (String, String) {
        let secret = |name: &str| format!("\"file:{}\"", self.folder.path().join(name).display());
        let (push, vendors) = (secret("push"), &self.vendors);
        match system {
            Vendor::Salesforce => (
                format!(
                    "[connectors.salesforce]\nlogin_url = \"{}\"\nbus_url = \"{}\"\nclient_id = \"opshub\"\n\
                     client_secret = {}\nread_all_first = false\nsilence_max = \"1s\"\n\
                     audit_every = \"{every}\"\nsettle = \"1s\"\n",
                    vendors.salesforce.http_url(),
                    vendors.salesforce.grpc_url(),
                    secret("salesforce")
                ),
                String::new(),
            ),
            Vendor::Oracle => (
                format!("[connectors.oracle]\ntoken = {push}\n"),
                format!(
                    "[connectors.oracle.list]\nbase_url = \"{}/ords/ar\"\nclient_id = \"{}\"\nclient_secret = {}\n\
                     interval = \"{every}\"\nread_all_every = \"1s\"\n",
                    vendors.oracle.http_url(),
                    fixtures::oracle::CLIENT.0,
                    secret("oracle")
                ),
            ),
            Vendor::Wxcc => (
                format!("[connectors.wxcc]\nsecrets = [{push}]\n"),
                format!(
                    "[connectors.wxcc.search]\nbase_url = \"{}\"\norg_id = \"{}\"\ntoken = {}\ninterval = \"{every}\"\n\
                     lag = \"0s\"\nfirst = \"900d\"\ntranscripts = true\n",
                    vendors.wxcc.http_url(),
                    fixtures::wxcc::ORG_ID,
                    secret("wxcc")
                ),
            ),
            Vendor::Sap => (
                format!("[connectors.sap]\nuser = \"opshub\"\npassword = {push}\n"),
                format!(
                    "[connectors.sap.list]\nbase_url = \"{}/sap/opu/odata/sap\"\nuser = \"{}\"\npassword = {}\n\
                     interval = \"{every}\"\n",
                    vendors.sap.http_url(),
                    fixtures::sap::USER.0,
                    secret("sap")
                ),
            ),
            Vendor::Zendesk => (
                format!("[connectors.zendesk]\nsecrets = [{push}]\n"),
                format!(
                    "[connectors.zendesk.export]\nbase_url = \"{}\"\nemail = \"{}\"\ntoken = {}\n\
                     interval = \"{every}\"\npage_pause = \"0s\"\n",
                    self.desk.http_url(),
                    fixtures::zendesk::LOGIN.0,
                    secret("zendesk")
                ),
            ),
            Vendor::Desk => (String::new(), String::new()),
        }
    }
}
