//! Who calls: credentials become a principal.
//!
//! One file for each kind of credential. A call that carries a token is judged by the token alone:
//! a bad one is not made good by the certificate of the connection.

mod bearer;
mod callers;
mod certificate;
mod jwt;

use http::HeaderMap;
use tonic::transport::CertificateDer;

use crate::policy::{Principal, Role};

pub use bearer::BearerTokens;
pub use callers::{Callers, WouldOpen};
pub use certificate::{ClientCertificates, ClientNameError};
pub use jwt::{JwtKey, JwtKeyError, JwtRules};

/// How callers are known: by whatever is configured. Where nothing is, everyone who can reach the
/// loopback interface may do everything, and the server listens nowhere else.
#[derive(Debug, Clone, Default)]
pub struct Authentication {
    /// Bearer tokens of the configuration.
    pub tokens: BearerTokens,
    /// Signed tokens of an identity provider.
    pub jwt: Option<JwtRules>,
    /// Certificates of the connections.
    pub certificates: ClientCertificates,
}

impl Authentication {
    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.tokens.is_empty() || self.jwt.is_some() || !self.certificates.is_empty()
    }

    /// The caller of a request; none if the credential is missing, unknown or not good any more.
    /// `chain` is what the connection's own handshake has verified, the caller's certificate first.
    #[must_use]
    pub fn principal(&self, headers: &HeaderMap, chain: &[CertificateDer<'_>]) -> Option<Principal> {
        if !self.is_configured() {
            let roles = Role::ALL.iter().map(|(role, _)| *role).collect();
            return Some(Principal { name: "local".to_owned(), roles });
        }
        match headers.get(http::header::AUTHORIZATION) {
            None => self.certificates.principal(chain.first()?),
            Some(header) => {
                let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
                let token = Some(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
                self.tokens.principal(token).or_else(|| self.jwt.as_ref()?.principal(token))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ann() -> Principal {
        Principal { name: "ann".to_owned(), roles: vec![Role::Agent] }
    }

    #[test]
    fn only_a_known_bearer_token_names_a_principal() {
        let mut authentication = Authentication::default();
        authentication.tokens.add("secret", ann());
        let caller = |header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("authorization", header.parse().unwrap());
            }
            authentication.principal(&headers, &[]).map(|principal| principal.name)
        };
        assert_eq!(caller(Some("Bearer secret")).as_deref(), Some("ann"));
        assert_eq!(caller(Some("bearer secret")).as_deref(), Some("ann"));
        for header in [
            None,
            Some(""),
            Some("secret"),
            Some("Basic secret"),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer Secret"),
        ] {
            assert_eq!(caller(header), None, "{header:?}");
        }
    }

    #[test]
    fn without_any_configured_credential_the_caller_is_local_and_may_do_everything() {
        let principal = Authentication::default().principal(&HeaderMap::new(), &[]).unwrap();
        assert_eq!((principal.name.as_str(), principal.roles.len()), ("local", Role::ALL.len()));
    }

    #[test]
    fn a_bad_token_is_not_made_good_by_a_good_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["desk.example".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let mut authentication = Authentication::default();
        authentication.tokens.add("secret", ann());
        authentication.certificates.add("desk.example", ann()).unwrap();
        let chain = [certificate.der().clone()];
        let mut headers = HeaderMap::new();
        assert_eq!(authentication.principal(&headers, &chain), Some(ann()));
        headers.insert("authorization", "Bearer wrong".parse().unwrap());
        assert_eq!(authentication.principal(&headers, &chain), None);
    }
}
