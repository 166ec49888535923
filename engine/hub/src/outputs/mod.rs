//! Outputs to Kafka: what the hub knows, as CloudEvents in topics, for programs further down.
//!
//! ```text
//! Published ──changed customers──▶ Publisher ──events──▶ topics
//!                                   │    ▲
//!                              marks▼    │what was sent last, by resource
//!                                  Store ┘
//! ```
//!
//! Nothing is queued: a publisher compares what can be read with what it marked as sent, and sends what
//! differs. So a broker that is away costs no memory and holds up nobody, changes made meanwhile are
//! folded, and the newest state always arrives. A mark is written once the broker has the event on all
//! replicas; a death between the two sends the same event again, with the same id, because an id is
//! made of the resource, its number in the order of its events, and its content.

mod causes;
mod client;
mod contract;
mod events;
mod figures;
mod listings;
mod marks;
mod publisher;

pub use client::{KafkaOutput, examine};
pub(crate) use client::{check_brokers, is_loopback, is_loopback_host};
pub use contract::contract;
pub use events::Topic;
pub use figures::describe;
pub use publisher::run;
