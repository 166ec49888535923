//! RC3: the case is resolved, and work that belongs to it is still under way: a service order or a
//! technician's visit.

use ontology::status::{DispatchStatus, ServiceOrderStatus};
use ontology::{Coded, EntityKind, Field, FieldReader, ValueRef};
use state::Entity;

use super::{Rule, RuleCode};
use crate::derived::Severity;
use crate::words;

pub(super) const RULE: Rule = Rule {
    code: RuleCode::Rc3,
    id_kind: "rc3",
    severity: Severity::High,
    owner_team: "field-ops",
    counterparts: &[EntityKind::ServiceOrder, EntityKind::FieldDispatch],
    contradicts: is_in_flight,
    sentence,
};

/// A status outside the vocabulary counts as not finished.
fn is_in_flight(kind: EntityKind, status: ValueRef<'_>) -> bool {
    let known = if kind == EntityKind::FieldDispatch {
        status.coded::<DispatchStatus>().known().map(DispatchStatus::is_in_flight)
    } else {
        status.coded::<ServiceOrderStatus>().known().map(ServiceOrderStatus::is_in_flight)
    };
    known.unwrap_or(matches!(status.coded::<ServiceOrderStatus>(), Coded::Unknown(_)))
}

fn sentence(case: &str, work: &Entity) -> String {
    let (noun, status) = if work.key.kind == EntityKind::FieldDispatch {
        ("field dispatch", words::coded(work.coded::<DispatchStatus>(Field::Status)))
    } else {
        ("service order", words::coded(work.coded::<ServiceOrderStatus>(Field::Status)))
    };
    format!(
        "Salesforce case {case} marked resolved but SAP {noun} {} still {} — flagging for field-ops review.",
        work.key.id,
        status.as_deref().unwrap_or("in flight"),
    )
}
