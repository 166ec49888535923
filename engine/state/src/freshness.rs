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
        let reliable_until = self.reliable_until(watermark);
        if now > reliable_until { SystemFreshness::Stale { since: reliable_until } } else { SystemFreshness::Fresh }
    }

    /// When the picture turns stale if nothing more arrives; one millisecond past the bound.
    #[must_use]
    pub fn stale_at(&self) -> Option<Millis> {
        let watermark = self.watermark.filter(|_| self.is_monitored)?;
        Some(self.reliable_until(watermark) + 1)
    }

    /// The bound of the watermark is the source's own, that of a single change is the same for all.
    fn reliable_until(&self, watermark: Millis) -> Millis {
        let until = watermark + self.lag_max_ms;
        self.oldest_gap.map_or(until, |gap| until.min(gap + Freshness::GAP_MAX_MS))
    }
}

/// How far the watermark of each source may lag, in the order of [`System::SOURCES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagBounds([i64; System::SOURCES.len()]);

impl Default for LagBounds {
    fn default() -> Self {
        LagBounds([Freshness::LAG_MAX_MS; System::SOURCES.len()])
    }
}

impl LagBounds {
    /// The bound of a source, in milliseconds.
    #[must_use]
    pub fn of(&self, source: System) -> i64 {
        place_of(source).map_or(Freshness::LAG_MAX_MS, |place| self.0[place])
    }

    /// Sets the bound of a source. The engine and people have none.
    pub fn set(&mut self, source: System, lag_max_ms: i64) {
        if let Some(place) = place_of(source) {
            self.0[place] = lag_max_ms;
        }
    }
}

fn place_of(source: System) -> Option<usize> {
    System::SOURCES.iter().position(|known| *known == source)
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
    /// How far a watermark may lag unless its source has another bound: 300 s.
    pub const LAG_MAX_MS: i64 = 300_000;
    /// How long a change may be known and not applied: 300 s.
    pub const GAP_MAX_MS: i64 = 300_000;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_own_bound_and_a_single_change_has_that_of_all() {
        let source = |gap: Option<i64>| SourceState {
            watermark: Some(Millis(0)),
            oldest_gap: gap.map(Millis),
            lag_max_ms: 480_000,
            ..SourceState::default()
        };
        let stale = |since| SystemFreshness::Stale { since: Millis(since) };
        assert_eq!(source(None).at(Millis(480_000)), SystemFreshness::Fresh);
        assert_eq!(source(None).at(Millis(480_001)), stale(480_000));
        assert_eq!(source(None).stale_at(), Some(Millis(480_001)));
        assert_eq!(source(Some(100_000)).at(Millis(400_000)), SystemFreshness::Fresh);
        assert_eq!(source(Some(100_000)).at(Millis(400_001)), stale(400_000));
        assert_eq!(source(Some(100_000)).stale_at(), Some(Millis(400_001)));
    }

    #[test]
    fn a_bound_is_set_for_one_source_alone() {
        let mut bounds = LagBounds::default();
        bounds.set(System::Wxcc, 480_000);
        bounds.set(System::Human, 1);
        let told = System::SOURCES.map(|source| bounds.of(source));
        assert_eq!(told, System::SOURCES.map(|source| if source == System::Wxcc { 480_000 } else { 300_000 }));
        assert_eq!(bounds.of(System::Human), 300_000);
    }
}
