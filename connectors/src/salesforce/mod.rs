//! Salesforce: change events over the Pub/Sub API, records over REST.

pub mod allowance;
pub mod answer;
pub mod audit;
pub mod auth;
pub mod bitmap;
mod change;
pub mod check;
pub mod decode;
pub mod event;
pub mod fetched;
pub mod lately;
mod positions;
pub mod refetch;
pub mod rest;
pub mod resync;
pub mod select;
pub mod transport;
pub mod whole;

pub use decode::SalesforceDecoder;
pub use positions::Positions;
pub use transport::SalesforceConfig;

/// The name that the hub's own calls carry, and by which its own changes are known when they come
/// back: `client=` of the call options, then of the change's origin.
pub const CLIENT: &str = "opshub";

/// The wire types of the event bus.
pub mod eventbus {
    #![allow(missing_docs, clippy::pedantic)]
    tonic::include_proto!("eventbus.v1");
}

/// The 18-character form of a Salesforce id; anything else stays as it is.
///
/// ```
/// assert_eq!(connectors::salesforce::long_id("0014H00002LbR7Q"), "0014H00002LbR7QQAV");
/// assert_eq!(connectors::salesforce::long_id("SF-2026-8831"), "SF-2026-8831");
/// ```
#[must_use]
pub fn long_id(id: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut long = id.to_owned();
    if id.len() != 15 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return long;
    }
    for chunk in id.as_bytes().chunks(5) {
        let capitals = chunk.iter().enumerate().filter(|(_, b)| b.is_ascii_uppercase());
        let index = capitals.fold(0_usize, |bits, (place, _)| bits | 1 << place);
        long.push(char::from(LETTERS[index]));
    }
    long
}
