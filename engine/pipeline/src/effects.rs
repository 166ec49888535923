//! What goes into a step and what comes out of it.

use std::sync::Arc;

use compact_str::CompactString;
use insight::alerts::Alert;
use ontology::{CustomerId, EntityKey, Fact, LogPos, Millis, System};
use state::Freshness;

use crate::action::Action;
use crate::memory::OpenByRule;
use crate::review::ReviewFigures;
use crate::sources::LastEvents;
use crate::view::CustomerView;

/// What the engine is told. Everything comes in by this door.
#[derive(Debug)]
pub enum Input {
    /// Facts of one group commit, in log order, all with the same `ingested_at`.
    Facts {
        /// The facts; positions rise by one.
        facts: Vec<Fact>,
        /// When the log took them.
        ingested_at: Millis,
    },
    /// Time has passed: fire what is due up to and including `now`.
    Tick {
        /// Engine time.
        now: Millis,
    },
}

/// One fact that is now visible, for the latency figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its system.
    pub system: System,
    /// Its entity.
    pub entity: EntityKey,
    /// Its event, unique per delivery source.
    pub event_id: CompactString,
    /// When it happened.
    pub event_time: Millis,
    /// When the hub read it, if it asked for it instead of being told.
    pub read_at: Option<Millis>,
}

/// What became of a customer's membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipEvent {
    /// Several customers became one.
    Merged {
        /// The customers before.
        before: Vec<CustomerId>,
        /// The customer now.
        after: CustomerId,
    },
    /// One customer became several.
    Split {
        /// The customer before.
        before: CustomerId,
        /// The customers now.
        after: Vec<CustomerId>,
    },
}

/// What a step did, for the outside to commit, perform and publish.
#[derive(Debug, Default)]
pub struct Effects {
    /// Everything up to here is applied.
    pub position: LogPos,
    /// Engine time after the step.
    pub now: Millis,
    /// What has to be done in the world, in order.
    pub actions: Vec<Action>,
    /// Customers that look different now.
    pub views: Vec<Arc<CustomerView>>,
    /// Customers that are no more, because their records belong to others now.
    pub retired: Vec<CustomerId>,
    /// Party records that belong to another customer than before, or are new.
    pub memberships: Vec<(EntityKey, CustomerId)>,
    /// Merges and splits.
    pub membership_events: Vec<MembershipEvent>,
    /// Customers that became several, now or earlier, with all records that ever belonged to them then: of
    /// those whose records became more, and of all after a start.
    pub splits: Vec<(CustomerId, Vec<EntityKey>)>,
    /// Entities whose root party record is new.
    pub roots: Vec<(EntityKey, Option<EntityKey>)>,
    /// Facts applied, for the latency figures.
    pub applied: Vec<Applied>,
    /// Facts that changed nothing: repeats and older versions.
    pub unchanged: u64,
    /// Alerts on sources (11-1) as they stand now; none if they were not looked at.
    pub source_alerts: Option<Vec<Alert>>,
    /// What is known about the sources now.
    pub freshness: Freshness,
    /// When the newest event of each source happened.
    pub last_events: LastEvents,
    /// How many alerts and discrepancies are open now, by rule.
    pub open_by_rule: OpenByRule,
    /// How much waits for people to decide who is who.
    pub review: ReviewFigures,
    /// When to tick at the latest.
    pub next_wake: Option<Millis>,
}
