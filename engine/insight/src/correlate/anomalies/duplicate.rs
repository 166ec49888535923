//! Duplicate charge: two invoices bill for one service order and period. The later one is out of
//! the ordinary.

use std::sync::Arc;

use super::{AnomalyRule, Measured, anomaly};
use crate::correlate::AnomalyKind;
use crate::correlate::ledger::{Bill, Ledger};
use crate::derived::Derived;

pub(super) const RULE: AnomalyRule = AnomalyRule { kinds: &[AnomalyKind::DuplicateCharge], find };

fn find(ledger: &Ledger<'_>, derived: &mut Derived) {
    for order in &ledger.orders {
        let id = order.id();
        let naming = ledger.bills_naming(id).filter(|bill| bill.is_standing());
        let mut bills: Vec<&Bill<'_>> = naming.collect();
        bills.sort_by_key(|bill| (bill.issued_at, bill.id()));
        for (place, bill) in bills.iter().enumerate() {
            let Some(first) = bills[..place].iter().copied().find(|other| shares_period(other, bill, id)) else {
                continue;
            };
            let measured = Measured { expected: None, actual: bill.amount };
            let mut found = anomaly(AnomalyKind::DuplicateCharge, bill, Some(id), &[first], measured, ledger);
            found.sentence = Some(format!(
                "Oracle invoices #{} and #{} both bill for SAP service order {id} and the same period.",
                first.id(),
                bill.id(),
            ));
            Arc::make_mut(&mut derived.anomalies).push(found);
        }
    }
}

/// Lines without a period may be parts of one bill; only equal periods are the same charge.
fn shares_period(one: &Bill<'_>, other: &Bill<'_>, order: &str) -> bool {
    let mut periods = one.lines_for(order).filter_map(|line| line.period);
    periods.any(|period| other.lines_for(order).any(|line| line.period == Some(period)))
}
