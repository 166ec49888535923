//! Where calls go that need the owner of the store: here, or to the process that owns it.
//!
//! A call is forwarded as it came, credential included, and at most once: one that was forwarded and
//! does not find the owner is refused. A certificate cannot go along, so callers who are known by one
//! are told where the owner is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue, Request, Response, header};
use tonic::body::Body;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tower::{Service as _, ServiceExt as _};

use crate::metrics;
use crate::reason::{Reason, Refusal};

/// Marks a call that another process of the deployment has forwarded.
pub const FORWARDED: HeaderName = HeaderName::from_static("x-opshub-forwarded");
/// How long the owner may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Where the owner of the store is. Clones know the same.
#[derive(Debug, Clone)]
pub struct Owner(Arc<ArcSwap<Place>>);

#[derive(Debug)]
enum Place {
    Here,
    Unknown,
    At {
        endpoint: Box<Endpoint>,
        /// Made by the first call: a channel is made on a runtime.
        channel: OnceLock<Channel>,
    },
}

impl Default for Owner {
    /// This process.
    fn default() -> Self {
        let owner = Owner(Arc::new(ArcSwap::from_pointee(Place::Here)));
        metrics::OWNER.set(&[], 1.0);
        owner
    }
}

impl Owner {
    /// Whether this process owns the store.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(**self.0.load(), Place::Here)
    }

    /// Where the owner is, if it is known and not this process.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        match &**self.0.load() {
            Place::Here | Place::Unknown => None,
            Place::At { endpoint, .. } => Some(endpoint.uri().to_string()),
        }
    }

    /// This process owns the store.
    pub fn set_here(&self) {
        self.0.store(Arc::new(Place::Here));
        metrics::OWNER.set(&[], 1.0);
    }

    /// Nobody is known to own the store.
    pub fn set_unknown(&self) {
        self.0.store(Arc::new(Place::Unknown));
        metrics::OWNER.set(&[], 0.0);
    }

    /// The process at this address, `http://` or `https://`, owns the store; over TLS its certificate
    /// must come from `authorities_pem`.
    ///
    /// # Errors
    /// When the address or the authorities cannot be used.
    pub fn set_at(&self, address: &str, authorities_pem: Option<&[u8]>) -> Result<(), tonic::transport::Error> {
        let mut endpoint = Endpoint::from_shared(address.to_owned())?.connect_timeout(CONNECT_MAX);
        if let Some(authorities) = authorities_pem {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities));
            endpoint = endpoint.tls_config(tls)?;
        }
        self.0.store(Arc::new(Place::At { endpoint: Box::new(endpoint), channel: OnceLock::new() }));
        metrics::OWNER.set(&[], 0.0);
        Ok(())
    }

    /// Has the owner answer a call.
    pub(crate) async fn forward(&self, request: Request<Body>, is_by_certificate: bool) -> Response<Body> {
        self.try_forward(request, is_by_certificate).await.unwrap_or_else(|refusal| {
            let status = tonic::Status::from(refusal);
            status.into_http()
        })
    }

    async fn try_forward(&self, request: Request<Body>, is_by_certificate: bool) -> Result<Response<Body>, Refusal> {
        let place = self.0.load_full();
        let refused = |owner: &str| Refusal::new(Reason::NotOwner).with("owner", owner);
        let Place::At { endpoint, channel } = &*place else { return Err(refused("not known")) };
        let owner = endpoint.uri().to_string();
        let has_token = request.headers().contains_key(header::AUTHORIZATION);
        if request.headers().contains_key(&FORWARDED) || (is_by_certificate && !has_token) {
            return Err(refused(&owner));
        }
        let (mut parts, body) = request.into_parts();
        // What this connection brought with it is of no meaning on the next.
        parts.extensions.clear();
        parts.headers.insert(FORWARDED, HeaderValue::from_static("1"));
        let mut channel = channel.get_or_init(|| endpoint.connect_lazy()).clone();
        let unreachable = |error: tonic::transport::Error| {
            let why = causes(&error);
            tracing::debug!(why, owner, "forward a call to the owner of the store");
            refused(&owner).with("why", why)
        };
        let ready = channel.ready().await.map_err(unreachable)?;
        ready.call(Request::from_parts(parts, body)).await.map_err(unreachable)
    }
}

/// An error with what caused it, the outermost first: what is wrong with a certificate is said last.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
