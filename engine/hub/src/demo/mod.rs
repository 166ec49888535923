//! The demo: a seeded world, four vendors that speak their own protocols over sockets, and a hub
//! that cannot tell them from the real ones, all in one process. On servers two further processes follow
//! that hub.

mod connect;
mod replicas;
mod stage;
mod summary;

pub use stage::{Options, Stage, play};
pub use summary::{Summary, in_review, linked};
