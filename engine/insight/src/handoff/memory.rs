//! The life of a transfer so far: what was known when.

use compact_str::CompactString;
use ontology::{EntityKey, Millis, Vocabulary};

use super::package::Package;

/// How long after acceptance a change of identity, or context that was missing, still reaches the receiver.
pub(super) const FOLLOWED_AFTER_ACCEPTANCE_MS: i64 = 15 * Millis::MINUTE_MS;

/// Where a transfer stands (spec 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum HandoffState {
    /// Asked for.
    Requested,
    /// The package is being put together; the transfer has already happened and is not held.
    Assembling,
    /// Waits for missing context.
    Held,
    /// Released with everything.
    ReleasedComplete,
    /// Released with named gaps.
    ReleasedIncomplete,
    /// The receiver owns the case.
    Accepted,
    /// Called off.
    Cancelled,
    /// The customer left.
    Abandoned,
    /// The receiver refused.
    Returned,
    /// Closed because a second transfer came before it was accepted.
    Superseded,
}

impl Vocabulary for HandoffState {
    const ALL: &'static [(Self, &'static str)] = &[
        (HandoffState::Requested, "requested"),
        (HandoffState::Assembling, "assembling"),
        (HandoffState::Held, "held"),
        (HandoffState::ReleasedComplete, "released_complete"),
        (HandoffState::ReleasedIncomplete, "released_incomplete"),
        (HandoffState::Accepted, "accepted"),
        (HandoffState::Cancelled, "cancelled"),
        (HandoffState::Abandoned, "abandoned"),
        (HandoffState::Returned, "returned"),
        (HandoffState::Superseded, "superseded"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

impl HandoffState {
    /// Whether nothing about the transfer can change any more.
    #[must_use]
    pub fn is_closed(self) -> bool {
        match self {
            HandoffState::Cancelled | HandoffState::Abandoned | HandoffState::Returned | HandoffState::Superseded => {
                true
            }
            HandoffState::Requested
            | HandoffState::Assembling
            | HandoffState::Held
            | HandoffState::ReleasedComplete
            | HandoffState::ReleasedIncomplete
            | HandoffState::Accepted => false,
        }
    }

    /// Whether it is under way: nobody has taken it over yet, and it is not closed.
    #[must_use]
    pub fn may_be_accepted(self) -> bool {
        !self.is_closed() && self != HandoffState::Accepted
    }
}

/// The alert on missing context (11-3) of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapAlert {
    /// When it was raised.
    pub raised_at: Millis,
    /// When its cause went away; none while it fires.
    pub resolved_at: Option<Millis>,
}

/// A transfer's life so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferMemory {
    /// The transfer.
    pub transfer: EntityKey,
    /// The case that it moves.
    pub case: Option<EntityKey>,
    /// The team that hands over.
    pub from_team: CompactString,
    /// The team that takes over.
    pub to_team: CompactString,
    /// When it began, as it was first told.
    pub initiated_at: Millis,
    /// Where it stands.
    pub state: HandoffState,
    /// All versions of its package, oldest first.
    pub versions: Vec<Package>,
    /// Versions below this one are for auditors only, because records that they rest on turned out
    /// to be another customer's.
    pub readable_from: u32,
    /// Until when it is held, at the latest; none unless it is held.
    pub hold_until: Option<Millis>,
    /// When it was released or, if it was not held, judged.
    pub released_at: Option<Millis>,
    /// The version that was current then.
    pub released_version: u32,
    /// Whether that version was complete: what the completeness figure counts. None before release.
    pub was_complete: Option<bool>,
    /// Its alert on missing context, if there ever was one.
    pub gap_alert: Option<GapAlert>,
    /// When the receiving team's supervisor was asked.
    pub escalated_at: Option<Millis>,
    /// When the receiver accepted.
    pub accepted_at: Option<Millis>,
    /// When it was closed without or after acceptance.
    pub closed_at: Option<Millis>,
    /// The transfer that took its place.
    pub superseded_by: Option<EntityKey>,
}

impl TransferMemory {
    /// A transfer that was asked for, and of which nothing is known yet.
    #[must_use]
    pub fn requested(transfer: EntityKey, case: Option<EntityKey>, teams: (&str, &str), initiated_at: Millis) -> Self {
        TransferMemory {
            transfer,
            case,
            from_team: teams.0.into(),
            to_team: teams.1.into(),
            initiated_at,
            state: HandoffState::Requested,
            versions: Vec::new(),
            readable_from: 1,
            hold_until: None,
            released_at: None,
            released_version: 0,
            was_complete: None,
            gap_alert: None,
            escalated_at: None,
            accepted_at: None,
            closed_at: None,
            superseded_by: None,
        }
    }

    /// The newest version of the package.
    #[must_use]
    pub fn newest(&self) -> Option<&Package> {
        self.versions.last()
    }

    /// One version of the package.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<&Package> {
        self.versions.iter().find(|package| package.version == version)
    }

    /// Whether a version may be shown to agents, and not to auditors only.
    #[must_use]
    pub fn is_readable(&self, version: u32) -> bool {
        version >= self.readable_from
    }

    /// Whether it is not released yet.
    #[must_use]
    pub fn is_unreleased(&self) -> bool {
        self.was_complete.is_none() && !self.state.is_closed()
    }

    /// Whether it went out with gaps that the receiver is still told the content of at `now`.
    #[must_use]
    pub fn lacks_context(&self, now: Millis) -> bool {
        let is_followed = |accepted_at| now.since(accepted_at) <= FOLLOWED_AFTER_ACCEPTANCE_MS;
        self.was_complete.is_some()
            && !self.state.is_closed()
            && self.accepted_at.is_none_or(is_followed)
            && self.newest().is_some_and(|newest| newest.content.gaps().next().is_some())
    }

    /// Milliseconds from initiation to acceptance.
    #[must_use]
    pub fn handoff_ms(&self) -> Option<i64> {
        self.accepted_at.map(|accepted_at| accepted_at.since(self.initiated_at))
    }
}
