//! Reconciliation: records of different systems that contradict each other (spec 8).
//!
//! A rule names the kinds of record that it compares and says, of one status, whether it takes
//! part in the contradiction. When and how often the contradiction held then follows from the
//! status histories of both records, so that late facts take their place between the others.

mod life;
mod rc1;
mod rc2;
mod rc3;
mod related;
mod spans;
#[cfg(test)]
mod tests;

use compact_str::CompactString;
use ontology::canonical::Json;
use ontology::{EntityKind, Millis, ValueRef, Vocabulary};
use state::{Composite, Entity};

use crate::context::Context;
use crate::correlate;
use crate::derived::{Derived, Severity};
use crate::evaluate::Before;

pub(crate) use related::names;
pub use spans::Span;

/// Code of a rule, as the table of spec 8 numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleCode {
    /// Case resolved, credit note pending.
    Rc1,
    /// Case resolved, dispute active.
    Rc2,
    /// Case resolved, service order or dispatch in flight.
    Rc3,
}

impl Vocabulary for RuleCode {
    const ALL: &'static [(Self, &'static str)] =
        &[(RuleCode::Rc1, "RC1"), (RuleCode::Rc2, "RC2"), (RuleCode::Rc3, "RC3")];
    fn code(self) -> u8 {
        self as u8
    }
}

/// One rule: what it compares a resolved case with, and what follows.
pub struct Rule {
    /// Its code.
    pub code: RuleCode,
    /// Kind in the ids of its discrepancies.
    pub id_kind: &'static str,
    /// How bad it is if the relation between the records is certain.
    pub severity: Severity,
    /// The team that has to act.
    pub owner_team: &'static str,
    /// The kinds of record that a case is compared with.
    pub counterparts: &'static [EntityKind],
    /// Whether a counterpart with this status contradicts a resolved case.
    pub contradicts: fn(EntityKind, ValueRef<'_>) -> bool,
    /// The contradiction in one sentence: case id, counterpart.
    pub sentence: fn(&str, &Entity) -> String,
}

/// All rules, in the order of their codes.
pub const ALL: &[Rule] = &[rc1::RULE, rc2::RULE, rc3::RULE];

/// Where a discrepancy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscrepancyState {
    /// Somebody has to act.
    Open,
    /// Somebody is acting.
    Acknowledged {
        /// Who.
        by: CompactString,
    },
    /// It is over.
    Resolved(Resolution),
    /// Accepted as it is.
    Waived {
        /// By whom.
        by: CompactString,
        /// Why.
        reason: CompactString,
        /// Until when; none if for good.
        until: Option<Millis>,
    },
}

/// How a discrepancy ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The records agree again.
    Auto {
        /// What made them, for example `case_reopened` or `credit_note_approved`.
        cause: CompactString,
        /// When, in event time.
        at: Millis,
    },
    /// A person says that it is settled.
    Manual {
        /// Who.
        by: CompactString,
        /// When.
        at: Millis,
    },
}

impl DiscrepancyState {
    /// Whether somebody still has to act.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            DiscrepancyState::Open | DiscrepancyState::Acknowledged { .. } => true,
            DiscrepancyState::Resolved(_) | DiscrepancyState::Waived { .. } => false,
        }
    }

    /// The state in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            DiscrepancyState::Open => "open",
            DiscrepancyState::Acknowledged { .. } => "acknowledged",
            DiscrepancyState::Resolved(_) => "resolved",
            DiscrepancyState::Waived { .. } => "waived",
        }
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let name = ("state", Json::text(self.name()));
        match self {
            DiscrepancyState::Open => Json::object([name]),
            DiscrepancyState::Acknowledged { by } => Json::object([name, ("by", Json::text(by))]),
            DiscrepancyState::Resolved(Resolution::Auto { cause, at }) => {
                Json::object([name, ("cause", Json::text(cause)), ("at_ms", Json::Int(at.0))])
            }
            DiscrepancyState::Resolved(Resolution::Manual { by, at }) => {
                Json::object([name, ("by", Json::text(by)), ("at_ms", Json::Int(at.0))])
            }
            DiscrepancyState::Waived { by, reason, until } => Json::object([
                name,
                ("by", Json::text(by)),
                ("reason", Json::text(reason)),
                ("until_ms", until.map_or(Json::Null, |until| Json::Int(until.0))),
            ]),
        }
    }
}

/// Whether what was concluded about contradictions still holds for the same members, side inputs
/// and conclusions about billing: those rest on every kind that rules compare, but for cases and, where
/// orders explain nothing, orders and visits. Without cases nothing is contradicted.
pub(crate) fn still_holds(before: &Before<'_>, composite: &Composite, context: &Context<'_>) -> bool {
    let has_cases = || composite.members.iter().any(|member| !member.tree.of_kind(EntityKind::Case).is_empty());
    before.derived.wake_at.is_none_or(|at| at > context.now)
        && before.has_same(composite, EntityKind::Case)
        && (correlate::ORDERS.into_iter().all(|kind| before.has_same(composite, kind)) || !has_cases())
}

/// Applies every rule to a customer. Correlations must have been concluded before: a relation may
/// be inferred from one.
pub(crate) fn evaluate(composite: &Composite, context: &Context<'_>, derived: &mut Derived) {
    if composite.members.iter().all(|member| member.tree.of_kind(EntityKind::Case).is_empty()) {
        return;
    }
    // Aside while the rest of what is concluded grows: no rule adds to them.
    let correlations = std::mem::take(&mut derived.correlations);
    let related = related::Related::new(composite, &correlations);
    for rule in ALL {
        for kind in rule.counterparts {
            for entity in composite.members.iter().flat_map(|member| member.tree.of_kind(*kind)) {
                life::judge(rule, entity, &related, context, derived);
            }
        }
    }
    drop(related);
    derived.correlations = correlations;
}
