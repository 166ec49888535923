//! What can keep the server from starting or running.

use std::net::SocketAddr;

/// Why the server did not start or had to end. Each of these stops the process: none goes away by
/// trying again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that others can reach needs TLS and authentication.
    #[error("refused to listen on {addr}: an address other than loopback needs {missing}")]
    Exposed {
        /// The address.
        addr: SocketAddr,
        /// What is not configured.
        missing: &'static str,
    },
    /// The address is taken or not ours.
    #[error("could not listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A method of the API has no entry in the policy table.
    #[error("method {method} has no entry in the policy table")]
    MethodWithoutPolicy {
        /// The method's path.
        method: String,
    },
    /// An entry of the policy table names a method that the API does not have.
    #[error("the policy table names {method}, which the API does not have")]
    PolicyWithoutMethod {
        /// The method's path.
        method: String,
    },
    /// The descriptor set compiled into the binary cannot be read.
    #[error("could not read the descriptor set of the api: {0}")]
    Descriptor(#[from] prost_reflect::DescriptorError),
    /// The reflection service refuses the descriptor set.
    #[error("could not set up reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Certificate or key cannot be used, or the transport failed.
    #[error("could not serve: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The metrics page cannot be set up.
    #[error("could not set up metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}
