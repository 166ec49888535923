//! The deliveries of a seeded world in every wire form that carries it, each with the yardstick of
//! its form.

use std::net::SocketAddr;

use anyhow::Context as _;
use benches::yardstick;
use connectors::edge::http::client;
use connectors::salesforce::decode::Batch;
use connectors::salesforce::eventbus::{ConsumerEvent, ProducerEvent, SchemaInfo};
use connectors::sap::flat::{CONTROL, CONTROL_FIELDS, SDATA};
use connectors::{Framing, Mapping};
use fixtures::sap::SapServer;
use fixtures::story::{Change, Happening};
use fixtures::world::World;
use fixtures::zendesk::{ZendeskConfig, ZendeskServer};
use ontology::System;
use prost::Message as _;

/// Events of each side.
const EVENTS_MAX: usize = 2_000;
/// Changes in one delivery of a batch, as a capture and an event bus send them.
const BATCH: usize = 50;
/// Any free port of loopback.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Reads a delivery and throws away what it read.
type Parse = Box<dyn Fn(&[u8])>;

/// Deliveries of one system in one form, with the yardstick of the form.
pub struct Side {
    /// The system.
    pub system: System,
    /// What it sends.
    pub form: &'static str,
    /// How its deliveries are divided.
    pub framing: Framing,
    /// What is delivered.
    pub deliveries: Vec<Vec<u8>>,
    /// Native events in all of them.
    pub events: usize,
    /// The plain parse.
    pub parse: Parse,
}

/// Every side of `world`.
///
/// # Errors
/// When the world cannot be brought into a system's form.
pub fn all(world: &World) -> anyhow::Result<Vec<Side>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(vec![
        salesforce()?,
        oracle(world),
        wxcc(world),
        sap_documents(world),
        sap_flat(world),
        runtime.block_on(sap_rows(world))?,
        runtime.block_on(zendesk_events(world))?,
        runtime.block_on(zendesk_rows(world))?,
    ])
}

fn of<'a, T>(world: &'a World, take: impl Fn(&'a Happening) -> Option<T> + 'a) -> Vec<T> {
    world.history().iter().filter_map(take).take(EVENTS_MAX).collect()
}

/// One delivery an event.
fn single(system: System, form: &'static str, deliveries: Vec<Vec<u8>>, parse: fn(&[u8])) -> Side {
    let events = deliveries.len();
    Side { system, form, framing: Framing::Document, deliveries, events, parse: Box::new(parse) }
}

/// Batches of the sampled change events: those that share a schema travel together.
fn salesforce() -> anyhow::Result<Side> {
    let samples = fixtures::golden::samples()?;
    let (mut deliveries, mut avro) = (Vec::new(), yardstick::Avro::default());
    for (name, hex) in samples.iter().filter(|(name, _)| name.ends_with(".avro.hex")) {
        let about: serde_json::Value = serde_json::from_str(&samples[&name.replace(".avro.hex", ".json")])?;
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        let schema_id = text("schema_id");
        let schema_json = samples[&format!("salesforce/schema_{schema_id}.avsc")].clone();
        avro.learn(&schema_id, &schema_json)?;
        let event = ConsumerEvent {
            event: Some(ProducerEvent {
                id: text("event_id"),
                schema_id: schema_id.clone(),
                payload: hex::decode(hex.trim())?,
                headers: Vec::new(),
            }),
            replay_id: vec![0; 10],
        };
        let schema = SchemaInfo { schema_json, schema_id, rpc_id: String::new() };
        deliveries.push(Batch { events: vec![event; BATCH], schemas: vec![schema] }.encode_to_vec());
    }
    // The plain side has its schemas ready, and reads the same protobuf first.
    let parse = Box::new(move |raw: &[u8]| {
        let Ok(batch) = Batch::decode(raw) else { return };
        for event in batch.events.into_iter().filter_map(|event| event.event) {
            avro.datum(&event.schema_id, &event.payload);
        }
    });
    let (events, framing) = (deliveries.len() * BATCH, Framing::Document);
    Ok(Side { system: System::Salesforce, form: "change_events", framing, deliveries, events, parse })
}

fn oracle(world: &World) -> Side {
    let rows = of(world, |one| match &one.change {
        Change::Oracle(change) => fixtures::oracle::entries(change, one.at_ms).into_iter().next(),
        _ => None,
    });
    let deliveries = rows.chunks(BATCH).map(|rows| rows.join("\n").into_bytes()).collect();
    let (parse, framing) = (Box::new(yardstick::json_lines), Framing::Lines);
    Side { system: System::Oracle, form: "change_rows", framing, deliveries, events: rows.len(), parse }
}

fn wxcc(world: &World) -> Side {
    let bodies = of(world, |one| match &one.change {
        Change::Webex(change) => Some(fixtures::wxcc::body(change, one.at_ms)),
        _ => None,
    });
    single(System::Wxcc, "webhooks", bodies, yardstick::json)
}

fn sap_documents(world: &World) -> Side {
    let bodies = of(world, |one| match &one.change {
        Change::Sap(change) => Some(fixtures::sap::body(&[(one.at_ms, change)]).into_bytes()),
        _ => None,
    });
    single(System::Sap, "idoc_xml", bodies, yardstick::xml)
}

/// Flat documents; types without a flat form have none.
fn sap_flat(world: &World) -> Side {
    let files = of(world, |one| match &one.change {
        Change::Sap(change) => {
            Some(fixtures::sap::flat(&[(one.at_ms, change)]).into_bytes()).filter(|file| !file.is_empty())
        }
        _ => None,
    });
    let (events, kinds) = (files.len(), flat_columns());
    let parse = Box::new(move |raw: &[u8]| yardstick::columns(raw, &kinds));
    Side { system: System::Sap, form: "idoc_flat", framing: Framing::Document, deliveries: files, events, parse }
}

/// The columns of the control record and of the segments that the shipped mapping lays out.
fn flat_columns() -> Vec<yardstick::Columns> {
    let control = CONTROL_FIELDS.iter().map(|(name, start, width)| ((*name).to_owned(), *start, *width));
    let mut kinds = vec![yardstick::Columns { begins: CONTROL.to_owned(), fields: control.collect() }];
    let mapping = Mapping::shipped(System::Sap).expect("SAP has a shipped mapping");
    for external in ["Z2SRVORD000", "Z2FLDDSP000"] {
        let layout = mapping.segments.layout(&mapping.segments.name_of(external));
        let mut start = SDATA.0;
        let field = |(name, width): &(String, usize)| {
            start += width;
            (name.clone(), start - width, *width)
        };
        let fields = layout.into_iter().flat_map(|layout| &layout.fields).map(field).collect();
        kinds.push(yardstick::Columns { begins: external.to_owned(), fields });
    }
    kinds
}

/// Pages of the service orders.
async fn sap_rows(world: &World) -> anyhow::Result<Side> {
    let server = SapServer::start(ANY).await?;
    world.history().iter().for_each(|happening| server.apply(happening));
    let (client, (user, password)) = (client(), fixtures::sap::USER);
    let mut side = single(System::Sap, "odata_rows", Vec::new(), yardstick::json);
    while side.events < EVENTS_MAX {
        let set = "sap/opu/odata/sap/API_SERVICE_ORDER_SRV/A_ServiceOrder";
        let address = format!("{}/{set}?$orderby=ServiceOrder&$top={BATCH}&$skip={}", server.http_url(), side.events);
        let answer = client.get(address).basic_auth(user, Some(password)).send().await?.error_for_status()?;
        let page = answer.bytes().await?.to_vec();
        let rows = rows_of(&page, "/d/results")?;
        if rows == 0 {
            break;
        }
        side.events += rows;
        side.deliveries.push(page);
    }
    server.stop().await;
    Ok(side)
}

async fn zendesk_events(world: &World) -> anyhow::Result<Side> {
    let desk = ZendeskServer::start(ZendeskConfig::at(ANY)).await?;
    let events = world.history().iter().flat_map(|happening| desk.apply(happening));
    let bodies = events.map(|event| event.body).take(EVENTS_MAX).collect();
    desk.stop().await;
    Ok(single(System::Zendesk, "webhooks", bodies, yardstick::json))
}

/// A page of the export of tickets.
async fn zendesk_rows(world: &World) -> anyhow::Result<Side> {
    let desk = ZendeskServer::start(ZendeskConfig::at(ANY)).await?;
    let mut end_ms = 0;
    for happening in world.history() {
        end_ms = end_ms.max(happening.at_ms);
        desk.apply(happening);
    }
    // The export holds the last minute back.
    desk.quiet_until(end_ms + 120_000);
    let address = format!("{}/api/v2/incremental/tickets/cursor.json?start_time=0", desk.http_url());
    let request = client().get(address).bearer_auth(fixtures::zendesk::BEARER);
    let page = request.send().await?.error_for_status()?.bytes().await?.to_vec();
    desk.stop().await;
    let events = rows_of(&page, "/tickets")?;
    Ok(Side { events, ..single(System::Zendesk, "export_rows", vec![page], yardstick::json) })
}

fn rows_of(page: &[u8], place: &str) -> anyhow::Result<usize> {
    let page: serde_json::Value = serde_json::from_slice(page)?;
    let rows = page.pointer(place).and_then(serde_json::Value::as_array);
    Ok(rows.with_context(|| format!("find {place} in a page of rows"))?.len())
}
