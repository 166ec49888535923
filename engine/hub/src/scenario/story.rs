//! The file format of stories. Doc comments here are the descriptions in the JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::step::Step;

/// A story: what happens, in order, and what the hub must make of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// What the story tells, in one sentence.
    pub name: String,
    /// The requirement that it shows, for example `A03`.
    #[serde(default)]
    pub spec: Option<String>,
    /// The instant called T. Times in the story are absolute (`2026-03-09`, `2026-03-09T14:00:00Z`)
    /// or relative to it (`+60s`, `T-3d`).
    #[serde(default = "default_start")]
    pub start: String,
    /// Thresholds that differ from the defaults.
    #[serde(default)]
    pub settings: StorySettings,
    /// How far each source lags: `fresh` (the default), `lag 400s`, `stopped`, `unmonitored`.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// Story files, relative to this one, whose facts are delivered too. Needs `deliver`.
    #[serde(default)]
    pub facts_of: Vec<String>,
    /// Delivers all facts of the story in many orders with the clock held, and compares the results.
    #[serde(default)]
    pub deliver: Option<Deliver>,
    /// What happens, in order. Each step does one thing.
    #[serde(default)]
    pub steps: Vec<Step>,
}

fn default_start() -> String {
    "2026-03-10T15:00:00Z".to_owned()
}

/// Thresholds that a story may set. Absent ones keep their default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorySettings {
    /// IANA name of the zone that calendar words are read in (UTC unless said).
    #[serde(default)]
    pub business_tz: Option<String>,
    /// How long a contradiction must hold before it opens (60s unless said).
    #[serde(default)]
    pub grace: Option<String>,
    /// How long a transfer waits for missing context (60s unless said).
    #[serde(default)]
    pub hold: Option<String>,
    /// Minor units that two amounts may differ by and still be equal (1 unless said).
    #[serde(default)]
    pub tolerance_minor: Option<i64>,
    /// How far back ended interactions count for a handoff (30d unless said).
    #[serde(default)]
    pub interaction_window: Option<String>,
    /// How far back finished service orders count for a handoff (30d unless said).
    #[serde(default)]
    pub order_window: Option<String>,
    /// Number of shards of the engine; any number must give the same answers (1 unless said).
    #[serde(default)]
    pub shards: Option<usize>,
}

/// How the facts of a story are shuffled and repeated.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// In how many orders.
    pub shuffles: u32,
    /// How often each fact is delivered at most; each time at least once.
    #[serde(default = "default_repeats")]
    pub repeats: u32,
    /// Seed of the orders: the same seed gives the same orders.
    #[serde(default)]
    pub seed: u64,
    /// Where the clock stands during the delivery.
    pub hold_at: String,
    /// To where it is stepped after the delivery, before results are compared.
    pub until: String,
}

fn default_repeats() -> u32 {
    1
}
