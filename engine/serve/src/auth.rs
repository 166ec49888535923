//! Who calls: credentials become a principal.

use std::collections::HashMap;

use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::policy::{Principal, Role};

/// How callers are known.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// Nobody is asked: everyone who can reach the loopback interface may do everything. Allowed
    /// on loopback only.
    None,
    /// Bearer tokens from the configuration.
    Bearer(BearerTokens),
}

/// Bearer tokens, kept as digests so that no dump shows one. A token is found by its digest: what
/// the time of a look-up betrays is the digest of a guess, not the token.
#[derive(Debug, Clone, Default)]
pub struct BearerTokens {
    principals: HashMap<[u8; 32], Principal>,
}

impl BearerTokens {
    /// Makes `token` stand for `principal`.
    pub fn add(&mut self, token: &str, principal: Principal) {
        self.principals.insert(Sha256::digest(token.as_bytes()).into(), principal);
    }
}

impl Authentication {
    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        match self {
            Authentication::None => false,
            Authentication::Bearer(tokens) => !tokens.principals.is_empty(),
        }
    }

    /// The caller of a request; none if the credential is missing or unknown.
    #[must_use]
    pub fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        match self {
            Authentication::None => {
                Some(Principal { name: "local".to_owned(), roles: Role::ALL.iter().map(|(role, _)| *role).collect() })
            }
            Authentication::Bearer(tokens) => {
                let (scheme, token) = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return None;
                }
                let digest: [u8; 32] = Sha256::digest(token.trim().as_bytes()).into();
                tokens.principals.get(&digest).cloned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_known_bearer_token_names_a_principal() {
        let mut tokens = BearerTokens::default();
        tokens.add("secret", Principal { name: "ann".to_owned(), roles: vec![Role::Agent] });
        let authentication = Authentication::Bearer(tokens);
        let caller = |header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("authorization", header.parse().unwrap());
            }
            authentication.principal(&headers).map(|principal| principal.name)
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
}
