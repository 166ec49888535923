//! What the hub concludes about one customer: correlations, discrepancies, alerts, handoff
//! packages and figures. Pure functions of a composite state, the configuration and `now`.

pub mod context;
pub mod words;

pub use context::{Context, Reference, Settings};
