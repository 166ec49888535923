//! Who may call, replaced while the server runs: a token that is taken away holds no longer than until
//! the configuration is read again.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderMap;
use tonic::transport::CertificateDer;

use super::Authentication;
use crate::policy::Principal;

/// The ways to be known that are in force. Clones share them.
#[derive(Debug, Clone)]
pub struct Callers(Arc<ArcSwap<Authentication>>);

/// Without any way to be known everyone may do everything, so that is no change for a running server.
#[derive(Debug, thiserror::Error)]
#[error("no way for callers to be known is left: that needs a restart, on this machine only")]
pub struct WouldOpen;

impl Callers {
    /// These ways, until they are replaced.
    #[must_use]
    pub fn new(authentication: Authentication) -> Self {
        Callers(Arc::new(ArcSwap::from_pointee(authentication)))
    }

    /// Replaces them, whole and at once: calls under way go on, the next is judged by the new ones.
    ///
    /// # Errors
    /// If callers were to prove who they are and no longer would have to.
    pub fn replace(&self, authentication: Authentication) -> Result<(), WouldOpen> {
        if self.0.load().is_configured() && !authentication.is_configured() {
            return Err(WouldOpen);
        }
        self.0.store(Arc::new(authentication));
        Ok(())
    }

    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.0.load().is_configured()
    }

    /// The caller of a request, by the ways that are in force: as [`Authentication::principal`].
    #[must_use]
    pub fn principal(&self, headers: &HeaderMap, chain: &[CertificateDer<'_>]) -> Option<Principal> {
        self.0.load().principal(headers, chain)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::Role;

    fn knowing(token: &str) -> Authentication {
        let mut authentication = Authentication::default();
        authentication.tokens.add(token, Principal { name: "ann".to_owned(), roles: vec![Role::Agent] });
        authentication
    }

    #[test]
    fn a_token_that_was_taken_away_is_no_credential_any_more() {
        let callers = Callers::new(knowing("old"));
        let is_known = |token: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
            callers.clone().principal(&headers, &[]).is_some()
        };
        assert_eq!((is_known("old"), is_known("new")), (true, false));
        callers.replace(knowing("new")).unwrap();
        assert_eq!((is_known("old"), is_known("new")), (false, true));
        assert!(callers.replace(Authentication::default()).is_err(), "nobody would be asked any more");
        assert!(is_known("new"));
    }
}
