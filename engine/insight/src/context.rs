//! What an evaluation may look at besides the customer itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use ontology::{Millis, ObjectId};
use state::Entity;

use crate::rates::Rates;

/// Thresholds and switches, one configuration version at a time. Defaults are those of the spec.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Version of the configuration.
    pub config_version: u32,
    /// Zone that calendar words are read in.
    pub business_tz: TimeZone,
    /// How long a predicate must hold before a discrepancy opens.
    pub grace_ms: i64,
    /// How long a transfer is held for missing context.
    pub hold_max_ms: i64,
    /// How many minor units two amounts may differ by and still be equal.
    pub tolerance_minor: i64,
    /// How far back ended interactions count for a handoff.
    pub interaction_window_ms: i64,
    /// How far back finished service orders count for a handoff.
    pub order_window_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            config_version: 1,
            business_tz: TimeZone::UTC,
            grace_ms: 60 * Millis::SECOND_MS,
            hold_max_ms: 60 * Millis::SECOND_MS,
            tolerance_minor: 1,
            interaction_window_ms: 30 * Millis::DAY_MS,
            order_window_ms: 30 * Millis::DAY_MS,
        }
    }
}

/// Side inputs that belong to no customer.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// Rises with every change of the others: what was concluded at another revision may be wrong.
    pub revision: u64,
    /// Exchange rates.
    pub rates: Rates,
    /// Knowledge articles, by id.
    pub articles: BTreeMap<String, Arc<Entity>>,
    /// People's decisions on derived objects (kind `discrepancy_decision`, `alert_decision`).
    pub decisions: BTreeMap<ObjectId, Arc<Entity>>,
}

/// Since when contradictions hold as the hub saw it: the instant at which the records first stood together
/// in contradiction, whatever brought them together. A status tells when it came; a link between two records,
/// or a case that lists another, does not. Without a memory the records alone tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noticed<'a>(Option<(&'a BTreeMap<ObjectId, Millis>, Millis)>);

impl<'a> Noticed<'a> {
    /// What is remembered, by discrepancy; what is not in it is noticed at `now`.
    #[must_use]
    pub fn new(remembered: &'a BTreeMap<ObjectId, Millis>, now: Millis) -> Self {
        Noticed(Some((remembered, now)))
    }

    /// When a contradiction that holds was noticed; none without a memory.
    pub(crate) fn at(&self, discrepancy: &ObjectId) -> Option<Millis> {
        self.0.map(|(remembered, now)| remembered.get(discrepancy).copied().unwrap_or(now))
    }
}

/// Everything that an evaluation may look at besides the customer itself.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Thresholds.
    pub settings: &'a Settings,
    /// Side inputs.
    pub reference: &'a Reference,
    /// The instant that the answer is for.
    pub now: Millis,
    /// Since when contradictions hold.
    pub noticed: Noticed<'a>,
}

impl<'a> Context<'a> {
    /// What may be looked at where nothing is remembered: the records alone tell since when contradictions hold.
    #[must_use]
    pub fn without_memory(settings: &'a Settings, reference: &'a Reference, now: Millis) -> Self {
        Context { settings, reference, now, noticed: Noticed::default() }
    }

    /// The same with what is remembered of contradictions.
    #[must_use]
    pub fn remembering(self, noticed: Noticed<'a>) -> Self {
        Context { noticed, ..self }
    }
}
