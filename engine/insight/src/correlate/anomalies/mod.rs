//! In which ways invoices are out of the ordinary: one file for each.

mod duplicate;
mod estimate;
mod foreign;
mod unserved;
mod usual;

use std::sync::Arc;

use ontology::{EntityKey, Field, Money, ObjectId, Vocabulary};

use super::AnomalyKind;
use super::ledger::{Bill, Ledger};
use crate::derived::{Anomaly, Cited, Derived, Grounds};

/// One way in which an invoice may be out of the ordinary.
pub struct AnomalyRule {
    /// The kinds that it finds.
    pub kinds: &'static [AnomalyKind],
    find: fn(&Ledger<'_>, &mut Derived),
}

/// All of them.
pub const ALL: &[AnomalyRule] = &[usual::RULE, estimate::RULE, duplicate::RULE, unserved::RULE, foreign::RULE];

/// Applies all of them.
pub(super) fn find_all(ledger: &Ledger<'_>, derived: &mut Derived) {
    for rule in ALL {
        (rule.find)(ledger, derived);
    }
    Arc::make_mut(&mut derived.anomalies)
        .sort_by(|a, b| (a.kind, &a.invoice, &a.order).cmp(&(b.kind, &b.invoice, &b.order)));
}

/// What was expected and what was billed.
struct Measured {
    expected: Option<Money>,
    actual: Option<Money>,
}

/// An anomaly of an invoice, with evidence of it, of the order and of the other invoices that it is
/// measured by.
fn anomaly(
    kind: AnomalyKind,
    bill: &Bill<'_>,
    order: Option<&str>,
    others: &[&Bill<'_>],
    measured: Measured,
    ledger: &Ledger<'_>,
) -> Anomaly {
    let order = order.and_then(|id| ledger.order(id));
    const COMPARED: &[Field] = &[Field::Status, Field::Amount, Field::IssuedAt];
    let mut subjects = vec![bill.entity.key.clone()];
    let mut cited = vec![Cited::new(bill.entity, COMPARED)];
    let mut link_confidence = 1_000_000;
    if let Some(order) = order {
        subjects.push(order.entity.key.clone());
        cited.push(Cited::new(order.entity, &[Field::Status, Field::Type, Field::Estimate]));
        link_confidence = ledger.link_confidence(&bill.entity.key, &order.entity.key);
    }
    cited.extend(others.iter().map(|other| Cited::new(other.entity, COMPARED)));
    let ids: Vec<String> = subjects.iter().map(EntityKey::to_string).collect();
    Anomaly {
        id: ObjectId::new(kind.name(), &ids),
        kind,
        invoice: bill.entity.key.clone(),
        order: order.map(|order| order.entity.key.clone()),
        expected: measured.expected,
        actual: measured.actual,
        at: bill.issued_at,
        began_at: None,
        grounds: Grounds {
            subjects,
            cited,
            told: Vec::new(),
            config_version: ledger.context.settings.config_version,
            link_confidence,
        },
        sentence: None,
    }
}
