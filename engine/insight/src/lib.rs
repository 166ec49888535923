//! What the hub concludes about one customer: correlations, discrepancies, alerts, handoff
//! packages and figures. Pure functions of a composite state, the configuration and `now`.

pub mod alerts;
pub mod context;
pub mod correlate;
pub mod derived;
mod evaluate;
pub mod findings;
pub mod handoff;
pub mod kpis;
mod rates;
pub mod reconcile;
pub mod timeline;
pub mod values;
pub mod words;

pub use context::{Context, Noticed, Reference, Settings};
pub use derived::Derived;
pub use evaluate::{Before, evaluate, evaluate_after};
pub use rates::{RateKey, Rates};
