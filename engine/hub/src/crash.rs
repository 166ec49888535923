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

/// Dies here if one of these facts, which are about to be applied, is of the record that
/// `OPSHUB_CRASH_POINT=record:ID` names; only in debug builds.
pub fn facts(facts: &[ontology::Fact]) {
    #[cfg(debug_assertions)]
    {
        static WANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        let wanted = WANTED.get_or_init(|| std::env::var("OPSHUB_CRASH_POINT").ok());
        let record = wanted.as_ref().and_then(|wanted| wanted.strip_prefix("record:"));
        if record.is_some_and(|record| facts.iter().any(|fact| fact.record_id == record)) {
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = facts;
}
