//! Bearer tokens that stand in the configuration.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::policy::Principal;

/// Bearer tokens from the configuration, kept as digests so that no dump shows one. A token is
/// found by its digest: what the time of a look-up betrays is the digest of a guess, not the token.
#[derive(Debug, Clone, Default)]
pub struct BearerTokens {
    principals: HashMap<[u8; 32], Principal>,
}

impl BearerTokens {
    /// Makes `token` stand for `principal`.
    pub fn add(&mut self, token: &str, principal: Principal) {
        self.principals.insert(Sha256::digest(token.as_bytes()).into(), principal);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.principals.is_empty()
    }

    pub(super) fn principal(&self, token: &str) -> Option<Principal> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.principals.get(&digest).cloned()
    }
}
