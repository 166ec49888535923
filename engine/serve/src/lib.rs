//! The hub's API: gRPC services, watches, health, reflection and the metrics page.
//!
//! Reads come from published views and never wait for a writer. Writes hand facts to the
//! [`Backend`](backend::Backend) and answer with the position at which a read will see them.

pub mod auth;
pub mod backend;
pub mod connections;
pub mod convert;
pub mod decide;
pub mod drain;
pub mod error;
pub mod filter;
mod fitting;
pub mod gate;
mod kept;
pub mod listen;
pub mod mask;
pub mod metrics;
pub mod owner;
pub mod page;
pub mod page_server;
pub mod patience;
pub mod policy;
pub mod quota;
pub mod reason;
pub mod request_id;
pub mod server;
pub mod service;
pub mod standing;
pub mod token;
mod turns;
pub mod view;
pub mod views;
pub mod walk;
pub mod watch;

pub use error::Error;
