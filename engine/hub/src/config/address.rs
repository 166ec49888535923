//! Addresses that a configuration names: checked before anything opens, because a client that cannot
//! read one fails at its first call and can name no key.

use connectors::edge::loopback::is_loopback_host;
use reqwest::Url;

use super::Error;

/// Whether passwords and tokens may go to other machines without TLS.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plaintext(pub(super) bool);

impl Plaintext {
    /// The address of somebody whom a login goes to, without a slash at its end.
    ///
    /// # Errors
    /// No address of http or https; http to another machine, unless that is allowed.
    pub(super) fn login(self, key: &str, text: &str) -> Result<String, Error> {
        let address = web(key, text)?;
        if is_plain_elsewhere(&address) && !self.0 {
            let host = address.host_str().unwrap_or_default();
            let problem = format!(
                "leads to {host} on another machine without TLS, and a login would go there in the clear: write \
                 https://, or set connectors.plaintext = true if the way there is protected otherwise"
            );
            return Err(Error::key(key, problem));
        }
        Ok(text.trim_end_matches('/').to_owned())
    }
}

/// An address of http or https with a host.
///
/// # Errors
/// Anything else, and an address with a user or a password, which would be a secret in the clear.
pub(super) fn web(key: &str, text: &str) -> Result<Url, Error> {
    let wrong = |why: &str| Error::key(key, format!("{why}: write https://host/path"));
    let address = Url::parse(text).map_err(|_| wrong(&format!("is `{text}`, which is no address")))?;
    if !matches!(address.scheme(), "http" | "https") || address.host_str().is_none_or(str::is_empty) {
        return Err(wrong(&format!("is `{text}`, which is no address of http or https")));
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Err(wrong("holds a user or a password"));
    }
    Ok(address)
}

/// Whether an address leads to another machine without TLS.
pub(super) fn is_plain_elsewhere(address: &Url) -> bool {
    address.scheme() == "http" && !is_here(address)
}

/// Whether an address leads to this machine.
pub(super) fn is_here(address: &Url) -> bool {
    address.host_str().is_some_and(is_loopback_host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_login_goes_over_tls_or_stays_on_this_machine() {
        let check = |text: &str, plaintext: bool| Plaintext(plaintext).login("k", text).map_err(|e| e.to_string());
        for near in ["http://127.0.0.1:1", "http://localhost/ords", "http://[::1]:8080/x", "https://far.example"] {
            assert_eq!(check(near, false), Ok(near.to_owned()));
        }
        assert_eq!(check("https://far.example/ords/", false).unwrap(), "https://far.example/ords");
        for far in ["http://far.example/", "http://10.0.0.1:80", "http://localhost.example"] {
            assert!(check(far, false).unwrap_err().contains("in the clear"), "{far}");
            assert!(check(far, true).is_ok(), "{far}");
        }
    }

    #[test]
    fn this_machine_is_known_by_name_and_by_address() {
        for (here, elsewhere) in [("http://127.0.0.9/x", "http://128.0.0.1/x"), ("http://[::1]", "http://[::2]:1")] {
            assert!(is_here(&Url::parse(here).unwrap()) && !is_here(&Url::parse(elsewhere).unwrap()), "{here}");
        }
        assert!(is_loopback_host("::1") && is_loopback_host("localhost") && !is_loopback_host("localhost:0"));
    }

    #[test]
    fn what_no_client_could_call_is_refused() {
        for wrong in ["", "acme", "erp.acme.example/ords/ar", "localhost:8080", "ftp://x", "https://", "file:///x"] {
            assert!(web("k", wrong).unwrap_err().to_string().contains("write https://"), "{wrong}");
        }
        let secret = web("k", "https://ann:hunter2@far.example").unwrap_err().to_string();
        assert!(secret.contains("a user or a password") && !secret.contains("hunter2"), "{secret}");
    }
}
