//! Connecting a hub to the four simulators, exactly as to the vendors themselves.

use std::net::SocketAddr;
use std::time::Duration;

use connectors::edge::credentials::Secret;
use connectors::edge::oauth::Login;
use connectors::oracle::{OracleConfig, OracleListConfig, OrdsConfig, Relist};
use connectors::salesforce::rest::RestConfig;
use connectors::salesforce::transport::SalesforceConfig;
use connectors::sap::{SapAccess, SapConfig, SapListConfig};
use connectors::wxcc::{WxccAuth, WxccConfig, WxccSearchConfig};
use connectors::{oracle, salesforce, sap, wxcc};
use fixtures::oracle::OracleDoor;
use fixtures::player::{Doors, Vendors};
use fixtures::sap::SapDoor;
use fixtures::wxcc::WebexDoor;
use ontology::System;

use crate::app::App;

/// How often quiet sources are asked. The demo's story runs faster than life at first.
const PROBE_EVERY: Duration = Duration::from_millis(500);

const ORACLE_TOKEN: &str = "oracle-push-token";
const WXCC_SECRET: &str = "webhook-secret";
/// Topic of all change events, and the name of the position in it.
pub(super) const TOPIC: &str = "/data/ChangeEvents";
const ORACLE_TABLES: [&str; 8] = [
    "AR_CUSTOMER",
    "AR_INVOICE",
    "AR_INVOICE_LINE",
    "AR_PAYMENT_SCHEDULE",
    "AR_PAYMENT",
    "BILLING_DISPUTE",
    "CREDIT_NOTE",
    "GL_DAILY_RATE",
];

/// Opens the hub's doors and starts its connectors; returns where the simulators push to.
pub(super) async fn connect(app: &mut App, vendors: &Vendors, address: SocketAddr) -> anyhow::Result<Doors> {
    let oracle_context = app.context(System::Oracle, "erp");
    let wxcc_context = app.context(System::Wxcc, "contact-centre");
    let sap_context = app.context(System::Sap, "s4");
    let salesforce_context = app.context(System::Salesforce, TOPIC);
    let relist = Relist::of(&ORACLE_TABLES.map(str::to_owned), |_| None);
    let doors = oracle::transport::router(
        oracle_context.clone(),
        OracleConfig { token: Secret::new(ORACLE_TOKEN), partition: "erp".to_owned() },
        relist.clone(),
    )
    .merge(wxcc::transport::router(
        wxcc_context.clone(),
        WxccConfig {
            secrets: vec![Secret::new(WXCC_SECRET)],
            partition: "contact-centre".to_owned(),
            // Story time and the hub's clock differ while the past is played in large steps.
            is_freshness_checked: false,
        },
    ))
    .merge(sap::transport::router(
        sap_context.clone(),
        SapConfig::new(fixtures::sap::USER.0, Secret::new(fixtures::sap::USER.1), "s4"),
        None,
    ));
    let doors = app.open_doors(address, doors).await?;
    let stop = app.stopping();
    app.spawn(salesforce::transport::run(
        salesforce_context,
        salesforce_config(vendors),
        salesforce::Positions::default(),
        stop.clone(),
    ));
    app.spawn(oracle::transport::list(oracle_context, oracle_list(vendors), |_| None, relist, stop.clone()));
    app.spawn(wxcc::search::search(wxcc_context, wxcc_search(vendors), None, stop.clone()));
    app.spawn(sap::list::list(sap_context, sap_list(vendors), None, stop));
    Ok(Doors {
        oracle: Some(OracleDoor { url: format!("http://{doors}/oracle/changes"), token: ORACLE_TOKEN.to_owned() }),
        wxcc: Some(WebexDoor::new(format!("http://{doors}/webhooks/wxcc"), WXCC_SECRET)),
        sap: Some(SapDoor {
            url: format!("http://{doors}/sap/idoc"),
            user: fixtures::sap::USER.0.to_owned(),
            password: fixtures::sap::USER.1.to_owned(),
        }),
    })
}

fn salesforce_config(vendors: &Vendors) -> SalesforceConfig {
    let client = fixtures::salesforce::SalesforceConfig::default();
    let secret = Secret::new(&client.client_secret);
    let rest = RestConfig::client_credentials(vendors.salesforce.http_url(), client.client_id, secret);
    SalesforceConfig {
        is_full_read_first: false,
        audit: None,
        allowance: None,
        ..SalesforceConfig::new(rest, vendors.salesforce.grpc_url())
    }
}

fn oracle_list(vendors: &Vendors) -> OracleListConfig {
    OracleListConfig {
        ords: OrdsConfig {
            base_url: format!("{}/ords/ar", vendors.oracle.http_url()),
            client_id: fixtures::oracle::CLIENT.0.to_owned(),
            client_secret: Secret::new(fixtures::oracle::CLIENT.1),
        },
        tables: ORACLE_TABLES.map(str::to_owned).to_vec(),
        partition: "erp".to_owned(),
        interval: PROBE_EVERY,
        is_full_read_first: false,
        full_interval: None,
        is_wall_time: false,
    }
}

fn wxcc_search(vendors: &Vendors) -> WxccSearchConfig {
    WxccSearchConfig {
        interval: PROBE_EVERY,
        lag_ms: 0,
        // The story begins with the demo: there is nothing before.
        first_ms: 0,
        with_transcripts: true,
        ..WxccSearchConfig::new(
            &vendors.wxcc.http_url(),
            fixtures::wxcc::ORG_ID,
            WxccAuth::Token(Secret::new(fixtures::wxcc::TOKEN)),
            "contact-centre",
        )
    }
}

fn sap_list(vendors: &Vendors) -> SapListConfig {
    let access = SapAccess {
        base_url: format!("{}/sap/opu/odata/sap", vendors.sap.http_url()),
        login: Login::basic(fixtures::sap::USER.0, Secret::new(fixtures::sap::USER.1)),
    };
    SapListConfig { interval: PROBE_EVERY, is_full_read_first: false, ..SapListConfig::new(access, "s4") }
}
