//! The demo: a seeded world, four vendors that speak their own protocols over sockets, and a hub
//! that cannot tell them from the real ones, all in one process.

mod connect;
mod stage;
mod summary;

pub use stage::{Options, Stage, play};
pub use summary::Summary;
