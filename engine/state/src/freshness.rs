//! How far behind its source each system's picture may be (spec 5.3).

use ontology::{Millis, System};

/// Whether a system's picture can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemFreshness {
    /// Complete up to within the bound.
    Fresh,
    /// Nothing is known for certain after this instant.
    Stale {
        /// Since when the picture has been older than the bound allows.
        since: Millis,
    },
    /// Never connected.
    Unknown,
    /// Neither heartbeat nor probe is configured: treated as fresh, shown as unmonitored.
    Unmonitored,
}

impl SystemFreshness {
    /// Whether absence of something may be concluded.
    #[must_use]
    pub fn is_fresh(self) -> bool {
        match self {
            SystemFreshness::Fresh | SystemFreshness::Unmonitored => true,
            SystemFreshness::Stale { .. } | SystemFreshness::Unknown => false,
        }
    }
}

/// What is known about one system's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceState {
    /// Up to when everything is known received: the lowest over the system's partitions.
    pub watermark: Option<Millis>,
    /// When the oldest change happened that is known and not applied.
    pub oldest_gap: Option<Millis>,
    /// How many changes are known and not applied.
    pub gap_count: u64,
    /// Whether heartbeat or probe is configured.
    pub is_monitored: bool,
    /// How far the watermark may lag.
    pub lag_max_ms: i64,
}

impl Default for SourceState {
    fn default() -> Self {
        SourceState {
            watermark: None,
            oldest_gap: None,
            gap_count: 0,
            is_monitored: true,
            lag_max_ms: Freshness::LAG_MAX_MS,
        }
    }
}

impl SourceState {
    /// Whether the picture can be relied on at `now`. A lag of exactly the bound still can.
    #[must_use]
    pub fn at(&self, now: Millis) -> SystemFreshness {
        if !self.is_monitored {
            return SystemFreshness::Unmonitored;
        }
        let Some(watermark) = self.watermark else { return SystemFreshness::Unknown };
        let reliable_until = self.oldest_gap.map_or(watermark, |gap| gap.min(watermark)) + self.lag_max_ms;
        if now > reliable_until { SystemFreshness::Stale { since: reliable_until } } else { SystemFreshness::Fresh }
    }

    /// When the picture turns stale if nothing more arrives; one millisecond past the bound.
    #[must_use]
    pub fn stale_at(&self) -> Option<Millis> {
        let watermark = self.watermark.filter(|_| self.is_monitored)?;
        Some(self.oldest_gap.map_or(watermark, |gap| gap.min(watermark)) + (self.lag_max_ms + 1))
    }
}

/// What is known about all sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freshness {
    salesforce: SourceState,
    oracle: SourceState,
    wxcc: SourceState,
    sap: SourceState,
}

impl Freshness {
    /// Bound of spec 5.3 unless a source sets another: 300 s.
    pub const LAG_MAX_MS: i64 = 300_000;

    /// What is known about one source. The service desk counts with Salesforce; the engine and
    /// people are always complete.
    #[must_use]
    pub fn source(&self, system: System) -> &SourceState {
        match system {
            System::Salesforce | System::Zendesk | System::Engine | System::Human => &self.salesforce,
            System::Oracle => &self.oracle,
            System::Wxcc => &self.wxcc,
            System::Sap => &self.sap,
        }
    }

    /// The same, to change it.
    pub fn source_mut(&mut self, system: System) -> &mut SourceState {
        match system {
            System::Salesforce | System::Zendesk | System::Engine | System::Human => &mut self.salesforce,
            System::Oracle => &mut self.oracle,
            System::Wxcc => &mut self.wxcc,
            System::Sap => &mut self.sap,
        }
    }

    /// Whether one system's picture can be relied on at `now`.
    #[must_use]
    pub fn at(&self, system: System, now: Millis) -> SystemFreshness {
        self.source(system).at(now)
    }
}
