//! How the engine is set up.

use insight::Settings;
use state::freshness::LagBounds;

/// What the engine is started with. None of it may change an answer except `insight` and `lag_max`.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// How many shards each stage has. Any number gives the same answers.
    pub shards: usize,
    /// Thresholds of the rules.
    pub insight: Settings,
    /// How far the watermark of each source may lag.
    pub lag_max: LagBounds,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings { shards: 1, insight: Settings::default(), lag_max: LagBounds::default() }
    }
}
