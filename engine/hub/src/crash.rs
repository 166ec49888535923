//! Crash points of the hub, beside those of storage: places at which a test kills the process.

/// The points of this crate, in the order in which a fact passes them.
pub const POINTS: &[&str] = &[
    "writer.received",
    "writer.before_append",
    "writer.after_append",
    "writer.after_reply",
    "writer.after_send",
    "engine.before_step",
    "engine.after_step",
    "engine.after_publish",
    "snapshot.before",
    "snapshot.after",
    "action.before",
    "action.after",
    "recovery.restored",
    "recovery.replayed",
];

/// The points of outputs, which a hub passes only where brokers are configured.
pub const OUTPUT_POINTS: &[&str] = &["output.sent", "output.marked"];

pub use storage::crash::point;
