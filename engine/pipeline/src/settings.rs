//! How the engine is set up.

use insight::Settings;

/// What the engine is started with. None of it may change an answer except `insight`.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// How many shards each stage has. Any number gives the same answers.
    pub shards: usize,
    /// Thresholds of the rules.
    pub insight: Settings,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings { shards: 1, insight: Settings::default() }
    }
}
