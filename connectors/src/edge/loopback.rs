//! Whether an address is on this machine: what is said there nobody else hears, so it needs neither
//! encryption nor credentials.

use std::net::IpAddr;

/// Whether an address, `host:port`, is on this machine.
///
/// ```
/// use connectors::edge::loopback::is_loopback;
/// assert!(is_loopback("localhost:9092") && is_loopback("[::1]:9092") && is_loopback("127.0.0.2:1"));
/// assert!(!is_loopback("kafka.example:9092") && !is_loopback("localhost.example:1"));
/// ```
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
