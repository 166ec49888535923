//! What the outputs tell about themselves.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::events::Event;

const EVENTS: &str = "opshub_output_events_total";
const FAILING: &str = "opshub_output_failing";

/// Describes the figures of the outputs to the installed recorder.
pub fn describe() {
    describe_counter!(
        EVENTS,
        Unit::Count,
        "Events for topics, by topic and outcome: delivered, refused (tried again), oversized (left out)"
    );
    describe_gauge!(
        FAILING,
        Unit::Count,
        "1 while events cannot be written to the topics; reads and intake go on meanwhile"
    );
}

pub(super) fn count<'a>(events: impl Iterator<Item = &'a Event>, outcome: &'static str) {
    for event in events {
        counter!(EVENTS, "topic" => event.topic.name(), "outcome" => outcome).increment(1);
    }
}

pub(super) fn failing(is_failing: bool) {
    gauge!(FAILING).set(f64::from(u8::from(is_failing)));
}
