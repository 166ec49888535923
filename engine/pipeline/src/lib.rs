//! The journey of one event, from the log to a published view.
//!
//! ```text
//! facts ─▶ record stage ─▶ identity stage ─▶ customer stage ─▶ transition ─▶ actions, views
//!          version gate,   party records      assemble,          raise or
//!          parents, trees  only: resolver     evaluate           clear
//! ```
//!
//! The engine is a pure function of (facts in log order, configuration, ticks): it has no I/O, no
//! clock and no randomness. The outside appends to the log first, then calls [`Engine::step`] with
//! what was appended, commits what [`Effects`] say and performs the actions. Review decisions,
//! configuration changes and ticks come in by the same door as events.
//!
//! Stages are sharded; a stage hands the next one touched keys and a [`marker::Marker`] per shard,
//! and what lies behind the lowest marker is evaluated and published as one cut.

pub mod action;
pub mod customer;
pub mod digest;
pub mod effects;
pub mod engine;
pub mod identity;
pub mod marker;
pub mod memory;
mod naming;
mod noticed;
pub mod opening;
mod question;
pub mod record;
pub mod review;
pub mod settings;
pub mod shard;
pub mod snapshot;
pub mod sources;
pub mod timers;
mod together;
pub mod transition;
mod trees;
pub mod view;

pub use action::{Action, ActionKind};
pub use effects::{Effects, Input};
pub use engine::Engine;
pub use review::InReview;
pub use settings::EngineSettings;
pub use view::{CustomerView, TransferView};
