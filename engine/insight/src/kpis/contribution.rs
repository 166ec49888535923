//! What one customer adds to the figures: dated entries, no sums.

use compact_str::CompactString;
use ontology::entity::Dispute;
use ontology::status::DisputeStatus;
use ontology::{Coded, EntityKey, EntityKind, Field, FieldReader, Millis, ObjectId};
use state::{Composite, Entity};

use crate::derived::{Derived, Discrepancy};
use crate::handoff::TransferMemory;
use crate::reconcile::{DiscrepancyState, Resolution};

/// A dispute, for the correlation rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeEntry {
    /// The dispute.
    pub dispute: EntityKey,
    /// When it was opened.
    pub opened_at: Millis,
    /// Whether a service order is accepted for it, whatever the verdict.
    pub is_correlated: bool,
    /// What it is about.
    pub category: CompactString,
}

/// A discrepancy, for the count of open ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscrepancyEntry {
    /// The discrepancy.
    pub id: ObjectId,
    /// The first record that it is about.
    pub record: EntityKey,
    /// The team that has to act.
    pub team: CompactString,
    /// When the newest occurrence opened.
    pub opened_at: Millis,
    /// When it was over; none while somebody has to act.
    pub closed_at: Option<Millis>,
}

/// A released transfer, for the completeness of handoffs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoffEntry {
    /// The transfer.
    pub transfer: EntityKey,
    /// The receiving team.
    pub team: CompactString,
    /// Category of the case.
    pub category: CompactString,
    /// When it was released or judged.
    pub released_at: Millis,
    /// Whether its package was complete then.
    pub is_complete: bool,
}

/// What one customer adds to the figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contribution {
    /// Its disputes, Withdrawn ones excluded.
    pub disputes: Vec<DisputeEntry>,
    /// Its discrepancies.
    pub discrepancies: Vec<DiscrepancyEntry>,
    /// Its released transfers.
    pub handoffs: Vec<HandoffEntry>,
}

impl Contribution {
    /// What a customer adds, with the lives of its transfers.
    #[must_use]
    pub fn of<'a>(
        composite: &Composite,
        derived: &Derived,
        transfers: impl IntoIterator<Item = &'a TransferMemory>,
    ) -> Self {
        Contribution {
            disputes: composite.of_kind(EntityKind::Dispute).filter_map(|e| dispute_entry(e, derived)).collect(),
            discrepancies: derived.discrepancies.iter().filter_map(discrepancy_entry).collect(),
            handoffs: transfers.into_iter().filter_map(|memory| handoff_entry(memory, composite)).collect(),
        }
    }

    /// Whether the customer adds nothing, as most do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.disputes.is_empty() && self.discrepancies.is_empty() && self.handoffs.is_empty()
    }
}

fn dispute_entry(entity: &Entity, derived: &Derived) -> Option<DisputeEntry> {
    let dispute = Dispute::read(entity);
    if matches!(dispute.status, Coded::Known(DisputeStatus::Withdrawn) | Coded::Missing) {
        return None;
    }
    let is_correlated = derived.correlations.iter().any(|c| c.subject == entity.key && c.is_accepted());
    Some(DisputeEntry {
        dispute: entity.key.clone(),
        opened_at: dispute.opened_at?,
        is_correlated,
        category: dispute.dispute_type.unwrap_or_default().into(),
    })
}

fn discrepancy_entry(discrepancy: &Discrepancy) -> Option<DiscrepancyEntry> {
    let closed_at = match &discrepancy.state {
        DiscrepancyState::Open | DiscrepancyState::Acknowledged { .. } => None,
        DiscrepancyState::Resolved(Resolution::Auto { at, .. } | Resolution::Manual { at, .. }) => Some(*at),
        // What is accepted as it is was never a contradiction that somebody had to settle.
        DiscrepancyState::Waived { .. } => return None,
    };
    Some(DiscrepancyEntry {
        id: discrepancy.id.clone(),
        record: discrepancy.grounds.subjects.first()?.clone(),
        team: discrepancy.owner_team.into(),
        opened_at: discrepancy.opened_at,
        closed_at: closed_at.map(|at| at.max(discrepancy.opened_at)),
    })
}

/// A transfer that was released. Those that were cancelled, superseded or abandoned before that
/// were never judged.
fn handoff_entry(memory: &TransferMemory, composite: &Composite) -> Option<HandoffEntry> {
    let case = memory.case.as_ref().and_then(|key| composite.get(key));
    Some(HandoffEntry {
        transfer: memory.transfer.clone(),
        team: memory.to_team.clone(),
        category: case.and_then(|case| case.text(Field::Category)).unwrap_or_default().into(),
        released_at: memory.released_at?,
        is_complete: memory.was_complete?,
    })
}
