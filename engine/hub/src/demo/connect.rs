//! Connecting a hub to the four simulators, exactly as to the vendors themselves.

use std::net::SocketAddr;
use std::time::Duration;

use connectors::edge::credentials::Secret;
use connectors::oracle::transport::{OracleConfig, OracleListConfig};
use connectors::salesforce::rest::RestConfig;
use connectors::salesforce::transport::SalesforceConfig;
use connectors::sap::transport::{SapConfig, SapListConfig};
use connectors::wxcc::transport::{WxccConfig, WxccSearchConfig};
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
    let doors = oracle::transport::router(
        oracle_context.clone(),
        OracleConfig { token: Secret::new(ORACLE_TOKEN), partition: "erp".to_owned() },
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
        SapConfig {
            user: fixtures::sap::USER.0.to_owned(),
            password: Secret::new(fixtures::sap::USER.1),
            partition: "s4".to_owned(),
        },
    ));
    let doors = app.open_doors(address, doors).await?;
    let stop = app.stopping();
    app.spawn(salesforce::transport::run(
        salesforce_context,
        salesforce_config(vendors),
        None,
        Vec::new(),
        stop.clone(),
    ));
    app.spawn(oracle::transport::list(oracle_context, oracle_list(vendors), None, stop.clone()));
    app.spawn(wxcc::transport::search(wxcc_context, wxcc_search(vendors), None, stop.clone()));
    app.spawn(sap::transport::list(sap_context, sap_list(vendors), None, stop));
    Ok(Doors {
        oracle: Some(OracleDoor { url: format!("http://{doors}/oracle/changes"), token: ORACLE_TOKEN.to_owned() }),
        wxcc: Some(WebexDoor { url: format!("http://{doors}/webhooks/wxcc"), secret: WXCC_SECRET.to_owned() }),
        sap: Some(SapDoor {
            url: format!("http://{doors}/sap/idoc"),
            user: fixtures::sap::USER.0.to_owned(),
            password: fixtures::sap::USER.1.to_owned(),
        }),
    })
}

fn salesforce_config(vendors: &Vendors) -> SalesforceConfig {
    let client = fixtures::salesforce::SalesforceConfig::default();
    SalesforceConfig {
        rest: RestConfig {
            login_url: vendors.salesforce.http_url(),
            client_id: client.client_id,
            client_secret: Secret::new(&client.client_secret),
        },
        bus_url: vendors.salesforce.grpc_url(),
        ca_pem: None,
        topic: TOPIC.to_owned(),
        is_full_read_first: false,
        silence_max: Duration::from_secs(300),
    }
}

fn oracle_list(vendors: &Vendors) -> OracleListConfig {
    OracleListConfig {
        base_url: format!("{}/ords/ar", vendors.oracle.http_url()),
        client_id: fixtures::oracle::CLIENT.0.to_owned(),
        client_secret: Secret::new(fixtures::oracle::CLIENT.1),
        tables: ORACLE_TABLES.map(str::to_owned).to_vec(),
        partition: "erp".to_owned(),
        interval: PROBE_EVERY,
    }
}

fn wxcc_search(vendors: &Vendors) -> WxccSearchConfig {
    WxccSearchConfig {
        base_url: vendors.wxcc.http_url(),
        org_id: fixtures::salesforce::ORG_ID.to_owned(),
        token: Secret::new(fixtures::wxcc::TOKEN),
        partition: "contact-centre".to_owned(),
        interval: PROBE_EVERY,
        lag_ms: 0,
    }
}

fn sap_list(vendors: &Vendors) -> SapListConfig {
    SapListConfig {
        base_url: format!("{}/sap/opu/odata/sap/API_SERVICE_ORDER_SRV", vendors.sap.http_url()),
        user: fixtures::sap::USER.0.to_owned(),
        password: Secret::new(fixtures::sap::USER.1),
        partition: "s4".to_owned(),
        interval: PROBE_EVERY,
    }
}
