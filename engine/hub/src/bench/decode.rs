//! `opshub bench decode`: native events to facts, over the plain parse of the same bytes.
//!
//! The events are those of a seeded world, in the form in which each system sends them. The
//! yardstick is what any reader has to do: a JSON value, all events of an XML reader, an Avro value.
//! Both sides take turns on one thread, and the fastest round of each counts, so that what else the
//! machine does falls on neither.

use std::hint::black_box;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use benches::report::{Figure, Report};
use connectors::salesforce::decode::Batch;
use connectors::salesforce::eventbus::{ConsumerEvent, ProducerEvent, SchemaInfo};
use connectors::{Connectors, Delivery, Framing};
use fixtures::story::{Change, Happening};
use fixtures::world::{Size, World};
use ontology::{Millis, System, Vocabulary as _};
use prost::Message as _;

/// CPU per native event over the plain parse of its bytes, at most.
const OVER_PARSE_MAX: f64 = 2.0;
/// Events of each system.
const EVENTS_MAX: usize = 2_000;
/// Changes in one delivery of a batch, as a capture and an event bus send them.
const BATCH: usize = 50;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub struct DecodeOptions {
    /// Seed of the world.
    pub seed: u64,
    /// Rounds of each side.
    pub rounds: usize,
}

/// Reads a delivery and throws away what it read.
type Parse = Box<dyn Fn(&[u8])>;

/// Deliveries of one system, with the yardstick of their form.
struct Side {
    system: System,
    framing: Framing,
    deliveries: Vec<Vec<u8>>,
    events: usize,
    parse: Parse,
}

/// Measures every system.
///
/// # Errors
/// When the world cannot be brought into a system's form.
pub fn decode(options: &DecodeOptions) -> anyhow::Result<Report> {
    let world = World::generate(options.seed, Size::customers(200));
    let connectors = Connectors::shipped();
    let mut figures = Vec::new();
    for side in [salesforce()?, oracle(&world), wxcc(&world), sap(&world)] {
        figures.push(measure(&connectors, &side, options.rounds));
    }
    Ok(Report::new("decode", figures))
}

fn measure(connectors: &Connectors, side: &Side, rounds: usize) -> Figure {
    let bytes: usize = side.deliveries.iter().map(Vec::len).sum();
    let mut facts = 0;
    let (mut parsed, mut decoded) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds.max(1) {
        parsed = parsed.min(timed(|| side.deliveries.iter().for_each(|raw| (side.parse)(raw))));
        facts = 0;
        decoded = decoded.min(timed(|| {
            for raw in &side.deliveries {
                let delivery = Delivery { framing: side.framing, ..Delivery::document(raw, Millis(0)) };
                facts += black_box(connectors.decode(side.system, &delivery)).facts.len();
            }
        }));
    }
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / side.events.max(1) as f64;
    let ratio = decoded.as_secs_f64() / parsed.as_secs_f64().max(f64::MIN_POSITIVE);
    Figure::at_most(format!("{}_decode_over_parse", side.system.name()), ratio, "ratio", OVER_PARSE_MAX)
        .with("events", side.events)
        .with("facts", facts)
        .with("bytes", bytes)
        .with("decode_us_per_event", per_event(decoded))
        .with("parse_us_per_event", per_event(parsed))
}

fn timed(work: impl FnOnce()) -> Duration {
    #[allow(clippy::disallowed_methods, reason = "a bench measures the wall")]
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn parse_json(raw: &[u8]) {
    black_box(serde_json::from_slice::<serde_json::Value>(raw).is_ok());
}

fn parse_json_lines(raw: &[u8]) {
    raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(parse_json);
}

/// Every event of the reader, with texts unescaped and names copied, as a tree would need them.
fn parse_xml(raw: &[u8]) {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(raw);
    let mut kept: Vec<String> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(Event::Start(tag)) => kept.push(tag.name().as_ref().to_owned()),
            Ok(Event::Text(text)) => kept.push(text.as_ref().to_owned()),
            Ok(_) => {}
        }
    }
    black_box(kept);
}

fn of<'a, T>(world: &'a World, take: impl Fn(&'a Happening) -> Option<T> + 'a) -> Vec<T> {
    world.history().iter().filter_map(take).take(EVENTS_MAX).collect()
}

fn oracle(world: &World) -> Side {
    let rows = of(world, |one| match &one.change {
        Change::Oracle(change) => fixtures::oracle::entries(change, one.at_ms).into_iter().next(),
        _ => None,
    });
    let deliveries = rows.chunks(BATCH).map(|rows| rows.join("\n").into_bytes()).collect();
    let parse = Box::new(parse_json_lines);
    Side { system: System::Oracle, framing: Framing::Lines, deliveries, events: rows.len(), parse }
}

fn wxcc(world: &World) -> Side {
    let deliveries = of(world, |one| match &one.change {
        Change::Webex(change) => Some(fixtures::wxcc::body(change, one.at_ms)),
        _ => None,
    });
    let events = deliveries.len();
    Side { system: System::Wxcc, framing: Framing::Document, deliveries, events, parse: Box::new(parse_json) }
}

fn sap(world: &World) -> Side {
    let deliveries = of(world, |one| match &one.change {
        Change::Sap(change) => Some(fixtures::sap::body(&[(one.at_ms, change)]).into_bytes()),
        _ => None,
    });
    let events = deliveries.len();
    Side { system: System::Sap, framing: Framing::Document, deliveries, events, parse: Box::new(parse_xml) }
}

/// Batches of the sampled change events: those that share a schema travel together.
fn salesforce() -> anyhow::Result<Side> {
    let samples = fixtures::golden::samples()?;
    let mut datums = Vec::new();
    for (name, hex) in samples.iter().filter(|(name, _)| name.ends_with(".avro.hex")) {
        let about: serde_json::Value = serde_json::from_str(&samples[&name.replace(".avro.hex", ".json")])?;
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        datums.push((text("event_id"), text("schema_id"), hex::decode(hex.trim())?));
    }
    let mut deliveries = Vec::new();
    let mut schemas: std::collections::BTreeMap<String, Schema> = std::collections::BTreeMap::new();
    let mut events = 0;
    for (event_id, schema_id, payload) in &datums {
        let schema_json = samples[&format!("salesforce/schema_{schema_id}.avsc")].clone();
        schemas.insert(schema_id.clone(), Schema::parse_str(&schema_json)?);
        let event = ConsumerEvent {
            event: Some(ProducerEvent {
                id: event_id.clone(),
                schema_id: schema_id.clone(),
                payload: payload.clone(),
                headers: Vec::new(),
            }),
            replay_id: vec![0; 10],
        };
        let schema = SchemaInfo { schema_json, schema_id: schema_id.clone(), rpc_id: String::new() };
        deliveries.push(Batch { events: vec![event; BATCH], schemas: vec![schema] }.encode_to_vec());
        events += BATCH;
    }
    // The plain side has its schemas ready, and reads the same protobuf first.
    let parse = Box::new(move |raw: &[u8]| {
        let Ok(batch) = Batch::decode(raw) else { return };
        for event in batch.events.into_iter().filter_map(|event| event.event) {
            let Some(schema) = schemas.get(&event.schema_id) else { continue };
            let reader = GenericDatumReader::builder(schema).build();
            black_box(reader.and_then(|reader| reader.read_value(&mut event.payload.as_slice())).is_ok());
        }
    });
    Ok(Side { system: System::Salesforce, framing: Framing::Document, deliveries, events, parse })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_event_of_the_bench_is_understood() {
        let world = World::generate(7, Size::customers(12));
        let connectors = Connectors::shipped();
        for side in [salesforce().unwrap(), oracle(&world), wxcc(&world), sap(&world)] {
            assert!(side.events > 20, "{}", side.system.name());
            for raw in &side.deliveries {
                let delivery = Delivery { framing: side.framing, ..Delivery::document(raw, Millis(0)) };
                let decoded = connectors.decode(side.system, &delivery);
                assert!(decoded.rejects.is_empty(), "{}: {:?}", side.system.name(), decoded.rejects);
                (side.parse)(raw);
            }
            let figure = measure(&connectors, &side, 1);
            assert!(figure.value > 0.0 && figure.raw["facts"].as_u64().unwrap() > 0);
        }
    }
}
