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
    is_loopback_host(address.rsplit_once(':').map_or(address, |(host, _)| host))
}

/// Whether a host, a name or an address without a port, is this machine. Addresses of IPv6 may stand in
/// brackets, as in URLs.
///
/// ```
/// use connectors::edge::loopback::is_loopback_host;
/// assert!(is_loopback_host("localhost") && is_loopback_host("[::1]") && !is_loopback_host("kafka.example"));
/// ```
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
