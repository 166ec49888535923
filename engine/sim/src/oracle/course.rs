//! How a field went over time, by definition: the versions of a row are walked in order, and at
//! each the row is alive or not and the field has a value or not.

use std::collections::BTreeSet;

use ontology::{EntityKind, Fact, Field, Millis, Op, Stamp, ValueRef};

use super::row::{Row, representative};

/// A value over a stretch of event time; none while the row was deleted.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// When it began.
    pub from: Millis,
    /// The value.
    pub value: Option<ValueRef<'a>>,
    /// The delivery that began it.
    pub by: &'a Fact,
}

/// The fields whose course is kept, and the one under which a deletion stands.
#[must_use]
pub fn tracked(kind: EntityKind) -> &'static [Field] {
    match kind {
        EntityKind::Case => &[Field::Status, Field::Priority, Field::OwnerTeam],
        EntityKind::CreditNote | EntityKind::Dispute => &[Field::Status, Field::Amount, Field::CaseRef],
        EntityKind::ServiceOrder | EntityKind::FieldDispatch => &[Field::Status, Field::CaseRef],
        EntityKind::Account => &[Field::Plan],
        EntityKind::ArCustomer
        | EntityKind::BusinessPartner
        | EntityKind::CallerProfile
        | EntityKind::Invoice
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::Interaction
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry
        | EntityKind::ExchangeRate
        | EntityKind::DesktopTelemetry
        | EntityKind::Transfer
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => &[],
    }
}

/// The course of a tracked field. Only the first tracked field of a kind shows deletions.
#[must_use]
pub fn course_of<'a>(row: &Row<'a>, kind: EntityKind, field: Field) -> Vec<Stretch<'a>> {
    let tracked = tracked(kind);
    if !tracked.contains(&field) {
        return Vec::new();
    }
    let shows_deletion = tracked.first() == Some(&field);
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    let (mut is_deleted, mut value) = (false, None);
    for stamp in row.facts().iter().map(|fact| fact.stamp()).collect::<BTreeSet<Stamp>>() {
        let Some(step) = Step::at(row, field, &stamp) else { continue };
        if let Some((said, _)) = step.said {
            value = Some(said);
        }
        if shows_deletion {
            is_deleted = step.deleted.is_some() || (is_deleted && step.revived.is_none());
        }
        let now = if is_deleted { None } else { value };
        if now.is_none() && !is_deleted {
            continue;
        }
        if stretches.last().is_some_and(|last| last.value == now) {
            continue;
        }
        let begun = stretches.last().map_or(Millis::MIN, |last| last.from);
        let by = step.by(is_deleted);
        stretches.push(Stretch { from: by.event_time().max(begun), value: now, by });
    }
    stretches
}

/// What happened to a field at one version of its row.
struct Step<'a> {
    said: Option<(ValueRef<'a>, &'a Fact)>,
    deleted: Option<&'a Fact>,
    revived: Option<&'a Fact>,
}

impl<'a> Step<'a> {
    fn at(row: &Row<'a>, field: Field, stamp: &Stamp) -> Option<Self> {
        let of = |is_meant: fn(Op) -> bool| {
            representative(row.facts().iter().copied().filter(|fact| is_meant(fact.op) && fact.stamp() == *stamp))
        };
        let said = row.cell_at(field, stamp).map(|cell| (cell.value, cell.from));
        let deleted = of(|op| op == Op::Delete);
        let revived = of(|op| matches!(op, Op::Image | Op::Undelete));
        (said.is_some() || deleted.is_some() || revived.is_some()).then_some(Step { said, deleted, revived })
    }

    /// The delivery that stands for the step.
    fn by(&self, is_deleted: bool) -> &'a Fact {
        let said = self.said.map(|(_, fact)| fact);
        let (first, second) = if is_deleted { (self.deleted, said) } else { (said, self.revived) };
        first.or(second).or(self.revived).or(self.deleted).expect("a step has at least one delivery")
    }
}
