//! The five sources.

pub mod oracle;
pub mod salesforce;
pub mod sap;
pub mod wxcc;
pub mod zendesk;

use std::net::SocketAddr;

use fixtures::faults::{FaultSwitch, Line};

/// A free port of loopback.
pub fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// What arrives of `events` over a line, told apart by their places.
pub fn over_a_line<T: Clone>(events: Vec<T>, switch: &FaultSwitch, key: impl Fn(&T) -> String) -> Vec<T> {
    Line::new(switch.clone()).pass(events, 0, key)
}
