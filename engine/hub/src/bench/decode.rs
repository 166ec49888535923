//! `opshub bench decode`: native events to facts, over the plain parse of the same bytes.
//!
//! The events are those of a seeded world, in every form in which each system sends them. The
//! yardstick is what any reader has to do: a JSON value, all events of an XML reader, an Avro value,
//! the texts of fixed columns.
//! Both sides take turns on one thread, and the fastest round of each counts, so that what else the
//! machine does falls on neither.

mod sides;

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::report::{Figure, Report};
use connectors::{Connectors, Delivery};
use fixtures::world::{Size, World};
use ontology::{Millis, Vocabulary as _};

use sides::Side;

/// CPU per native event over the plain parse of its bytes, at most.
const OVER_PARSE_MAX: f64 = 2.0;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub struct DecodeOptions {
    /// Seed of the world.
    pub seed: u64,
    /// Rounds of each side.
    pub rounds: usize,
}

/// Measures every system, in every form that its changes come in.
///
/// # Errors
/// When the world cannot be brought into a system's form.
pub fn decode(options: &DecodeOptions) -> anyhow::Result<Report> {
    let world = World::generate(options.seed, Size::customers(200));
    let connectors = Connectors::shipped();
    let figures = sides::all(&world)?.iter().map(|side| measure(&connectors, side, options.rounds)).collect();
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
    Figure::at_most(format!("{}_{}_decode_over_parse", side.system.name(), side.form), ratio, "ratio", OVER_PARSE_MAX)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_event_of_the_bench_is_understood() {
        let world = World::generate(7, Size::customers(30));
        let connectors = Connectors::shipped();
        for side in sides::all(&world).unwrap() {
            assert!(side.events > 20, "{} {}: {} events", side.system.name(), side.form, side.events);
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
