//! RC1: the case is resolved, and the credit note that settles it still waits for approval. The
//! customer was promised money that nobody has released.

use ontology::status::CreditNoteStatus;
use ontology::{Coded, EntityKind, ValueRef};
use state::Entity;

use super::{Rule, RuleCode};
use crate::derived::Severity;

pub(super) const RULE: Rule = Rule {
    code: RuleCode::Rc1,
    id_kind: "rc1",
    severity: Severity::High,
    owner_team: "finance",
    counterparts: &[EntityKind::CreditNote],
    contradicts: is_pending,
    sentence,
};

/// A status outside the vocabulary counts as not finished.
fn is_pending(_: EntityKind, status: ValueRef<'_>) -> bool {
    match status.coded::<CreditNoteStatus>() {
        Coded::Known(status) => status.is_pending(),
        Coded::Unknown(_) => true,
        Coded::Missing => false,
    }
}

fn sentence(case: &str, note: &Entity) -> String {
    format!(
        "Salesforce case {case} marked resolved but Oracle credit note {} still pending approval — flagging for finance review.",
        note.key.id
    )
}
