//! RC2: the case is resolved, and a dispute that belongs to it is still being argued.

use ontology::status::DisputeStatus;
use ontology::{Coded, EntityKind, ValueRef};
use state::Entity;

use super::{Rule, RuleCode};
use crate::derived::Severity;

pub(super) const RULE: Rule = Rule {
    code: RuleCode::Rc2,
    id_kind: "rc2",
    severity: Severity::High,
    owner_team: "billing",
    counterparts: &[EntityKind::Dispute],
    contradicts: is_active,
    sentence,
};

/// A status outside the vocabulary counts as not finished.
fn is_active(_: EntityKind, status: ValueRef<'_>) -> bool {
    match status.coded::<DisputeStatus>() {
        Coded::Known(status) => status.is_active(),
        Coded::Unknown(_) => true,
        Coded::Missing => false,
    }
}

fn sentence(case: &str, dispute: &Entity) -> String {
    format!(
        "Salesforce case {case} marked resolved but dispute {} still open — flagging for billing review.",
        dispute.key.id
    )
}
