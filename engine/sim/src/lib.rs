//! Histories out of a seed, a slow obvious fold of them, and the engine played against it.
//!
//! ```text
//! seed ─▶ history ─┬─▶ oracle: keeps every fact, asks all questions anew ──────┐
//!                  └─▶ delivery: shuffled, repeated, cut ─▶ pipeline::Engine ──┴─▶ one digest
//! ```
//!
//! The [`oracle`] shares no record stage, trees, clusters, timers or caches with the engine. It
//! does share what is pure and has tests of its own: how a pair of party records is scored, the
//! rules of `insight`, and the writing of canonical JSON.

pub mod chance;
pub mod delivery;
pub mod difference;
pub mod history;
pub mod oracle;
pub mod play;
pub mod seeds;

pub use chance::Chance;
pub use history::History;
pub use oracle::Oracle;
