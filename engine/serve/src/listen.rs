//! Where the server may listen.

use std::net::SocketAddr;

use crate::error::Error;

/// Who can reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Programs on this machine.
    Loopback,
    /// Others too.
    Network,
}

/// Checks an address: others may reach it only through TLS and only as somebody.
///
/// # Errors
/// If the address is not loopback and TLS or authentication is missing.
pub fn check(addr: SocketAddr, has_tls: bool, has_authentication: bool) -> Result<Exposure, Error> {
    if addr.ip().to_canonical().is_loopback() {
        return Ok(Exposure::Loopback);
    }
    match (has_tls, has_authentication) {
        (true, true) => Ok(Exposure::Network),
        (true, false) => Err(Error::Exposed { addr, missing: "authentication" }),
        (false, true) => Err(Error::Exposed { addr, missing: "TLS" }),
        (false, false) => Err(Error::Exposed { addr, missing: "TLS and authentication" }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_address_with_and_without_tls_and_authentication() {
        let addresses = [
            ("127.0.0.1:0", true),
            ("127.8.9.10:443", true),
            ("[::1]:0", true),
            ("[::ffff:127.0.0.1]:0", true),
            ("0.0.0.0:0", false),
            ("[::]:0", false),
            ("10.0.0.5:7000", false),
            ("[::ffff:10.0.0.5]:0", false),
        ];
        for (text, is_loopback) in addresses {
            let addr: SocketAddr = text.parse().unwrap();
            for has_tls in [false, true] {
                for has_authentication in [false, true] {
                    let result = check(addr, has_tls, has_authentication);
                    if is_loopback {
                        assert_eq!(result.unwrap(), Exposure::Loopback, "{text}");
                    } else if has_tls && has_authentication {
                        assert_eq!(result.unwrap(), Exposure::Network, "{text}");
                    } else {
                        let error = result.unwrap_err().to_string();
                        assert!(error.starts_with(&format!("refused to listen on {addr}")), "{error}");
                        assert_eq!(error.contains("TLS"), !has_tls, "{error}");
                        assert_eq!(error.contains("authentication"), !has_authentication, "{error}");
                    }
                }
            }
        }
    }
}
