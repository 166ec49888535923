//! The server: listener, gate, services, health, reflection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::{Certificate, Identity, Server as Transport, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;

use crate::auth::{Authentication, Callers};
use crate::backend::Backend;
use crate::connections::{Listener, Places};
use crate::drain::{Drain, DrainSwitch};
use crate::error::Error;
use crate::gate::{DEADLINE_DEFAULT, GateLayer};
use crate::listen::{self, Exposure};
use crate::owner::Owner;
use crate::patience::{Awaited, Patience};
use crate::policy::{Entry, POLICY, Policy};
use crate::quota::Quota;
use crate::service::{self, Api};
use crate::standing::Standing;

/// Streams that one connection may have open; watches count.
const STREAMS_MAX: u32 = 100;
/// A silent connection is asked this often whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// Bytes of headers per call.
const HEADERS_MAX: u32 = 16 * 1024;
/// Connections; a proxy may hold those of many callers.
const PLACES: Places = Places { per_peer: 1_024, total: 4_096 };
/// Streams that a client may reset before they are accepted, against rapid-reset floods.
const PENDING_RESETS_MAX: usize = 20;

/// How to serve.
#[derive(Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Certificate and key; none serves in the clear, which only loopback may.
    pub tls: Option<Tls>,
    /// How callers are known.
    pub authentication: Authentication,
    /// Deadline of unary calls that name none.
    pub deadline: Duration,
    /// How long clients may take to ask for the first time.
    pub patience: Patience,
    /// Services that are not of the API, behind the same gate.
    pub beside: Beside,
    /// Who answers what only the owner of the store can.
    pub owner: Owner,
    /// What each caller who is known may ask for at a time.
    pub quota: Quota,
    /// Whether the process reaches what it stands on, for health to tell.
    pub standing: Standing,
}

/// Services beside the API, such as what it is measured by. A hub that serves has none.
#[derive(Debug, Default)]
pub struct Beside {
    /// Who may call their methods.
    pub policy: &'static [Entry],
    /// The services.
    pub routes: Routes,
}

/// Certificate chain and key, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The chain, own certificate first.
    pub certificates_pem: Vec<u8>,
    /// The private key.
    pub key_pem: Vec<u8>,
    /// Authorities whose certificates callers may show; none asks for no certificate.
    pub callers_ca_pem: Option<Vec<u8>>,
}

impl Tls {
    /// A certificate is optional where one may be shown: others carry a token, and health is open.
    fn into_config(self, handshake_max: Duration) -> ServerTlsConfig {
        let Tls { certificates_pem, key_pem, callers_ca_pem } = self;
        let identity = Identity::from_pem(certificates_pem, key_pem);
        let config = ServerTlsConfig::new().identity(identity).timeout(handshake_max);
        match callers_ca_pem {
            None => config,
            Some(ca) => config.client_ca_root(Certificate::from_pem(ca)).client_auth_optional(true),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls { .. }")
    }
}

impl Options {
    /// Serves on loopback, on a free port, without asking who calls.
    #[must_use]
    pub fn local() -> Self {
        Options {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            authentication: Authentication::default(),
            deadline: DEADLINE_DEFAULT,
            patience: Patience::default(),
            beside: Beside::default(),
            owner: Owner::default(),
            quota: Quota::default(),
            standing: Standing::default(),
        }
    }
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<Tls>,
    patience: Patience,
    callers: Callers,
    gate: GateLayer,
    routes: Routes,
    health: HealthReporter,
    standing: Standing,
    drain_switch: DrainSwitch,
    drain: Drain,
}

impl Server {
    /// Checks everything and listens.
    ///
    /// # Errors
    /// If the address may not or cannot be used, or the policy table does not fit the API.
    pub async fn bind(options: Options, backend: Arc<dyn Backend>) -> Result<Self, Error> {
        let Options { addr, tls, authentication, deadline, patience, beside, owner, quota, standing } = options;
        let exposure = listen::check(addr, tls.is_some(), authentication.is_configured())?;
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?;
        let policy = Policy::check(POLICY, &pool)?.with(beside.policy);
        let is_open = !authentication.is_configured();
        let callers = Callers::new(authentication);
        let gate = GateLayer::new(policy, callers.clone(), deadline, owner, quota);
        let (drain_switch, drain) = Drain::new();
        let (health, health_service) = tonic_health::server::health_reporter();
        let routes = service::routes(Api::new(backend, pool, drain.clone()), beside.routes).add_service(health_service);
        let routes = with_reflection(routes)?;
        let listener = TcpListener::bind(addr).await.map_err(|source| Error::Bind { addr, source })?;
        if exposure == Exposure::Loopback && is_open {
            tracing::warn!(%addr, "no authentication is configured: serving programs on this machine only");
        }
        Ok(Server { listener, tls, patience, callers, gate, routes, health, standing, drain_switch, drain })
    }

    /// Tells whether the server is going away: for the page server and whatever else lives as long.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Who may call; can be replaced while the server runs.
    #[must_use]
    pub fn callers(&self) -> Callers {
        self.callers.clone()
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        self.listener.local_addr().map_err(|source| Error::Bind { addr: unknown, source })
    }

    /// Serves until `stop` completes; then says so, ends the watches and waits for calls under way.
    ///
    /// # Errors
    /// If the certificate cannot be used or the transport fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let Server { listener, tls, patience, callers: _, gate, routes, health, standing, drain_switch, drain: _ } =
            self;
        let mut transport = Transport::builder()
            .accept_http1(true)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .http2_max_header_list_size(HEADERS_MAX)
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX));
        if let Some(tls) = tls {
            transport = transport.tls_config(tls.into_config(patience.handshake))?;
        }
        standing.tell();
        set_serving(&health, ServingStatus::Serving).await;
        let draining = async move {
            tokio::select! {
                () = stop => {}
                () = tell_standing(&health, &standing) => {}
            }
            set_serving(&health, ServingStatus::NotServing).await;
            drain_switch.begin();
        };
        let listener = Listener::new(listener, PLACES);
        let incoming = futures::stream::unfold(listener, move |listener| async move {
            let connection = Awaited::new(listener.accept().await, patience);
            Some((Ok::<_, std::io::Error>(connection), listener))
        });
        let router = transport.layer(GrpcWebLayer::new()).layer(gate).add_routes(routes);
        router.serve_with_incoming_shutdown(incoming, draining).await?;
        Ok(())
    }
}

/// Says whether the server as a whole, and each service of the API, answers.
async fn set_serving(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    for name in service::NAMES {
        health.set_service_status(*name, status).await;
    }
}

/// Says, until it is dropped, whether everything is reached: a process that is cut off does not serve as a
/// whole, and takes no events. The services that answer reads go on, with what is here.
async fn tell_standing(health: &HealthReporter, standing: &Standing) {
    let mut told = true;
    loop {
        standing.changes(told).await;
        told = !told;
        let status = if told { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in ["", service::INTAKE] {
            health.set_service_status(name, status).await;
        }
    }
}

/// Adds both versions of reflection: some clients still ask for the older one.
fn with_reflection(routes: Routes) -> Result<Routes, Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}
