//! Which metrics were counted, by name and system.

use std::collections::BTreeSet;
use std::sync::{Mutex, Once};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use ontology::{System, Vocabulary as _};

static SEEN: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

struct Seeing;

impl Seeing {
    fn note(&self, key: &Key) {
        let system = key.labels().find(|label| label.key() == "system").map_or("", |label| label.value());
        SEEN.lock().unwrap().insert((key.name().to_owned(), system.to_owned()));
    }
}

impl Recorder for Seeing {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| metrics::set_global_recorder(Seeing).unwrap());
}

/// A connector counted what all count, and nothing under a name of its own.
pub fn expect(system: System) {
    let seen = SEEN.lock().unwrap();
    for name in ["opshub_connector_deliveries_total", "opshub_connector_facts_total", "opshub_connector_errors_total"] {
        assert!(seen.contains(&(name.to_owned(), system.name().to_owned())), "{} counts {name}", system.name());
    }
    let known: BTreeSet<&str> = connectors::edge::METRICS.iter().map(|(name, _)| *name).collect();
    for (name, of) in seen.iter().filter(|(name, _)| name.starts_with("opshub_connector_")) {
        assert!(known.contains(name.as_str()), "{of} counts {name}, which is not in METRICS");
        assert!(!of.is_empty(), "{name} says of which system");
    }
}
