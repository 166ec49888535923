//! Charge without service: an issued invoice bills for an order that was cancelled or failed, and
//! no credit has taken it back.

use std::sync::Arc;

use ontology::status::ServiceOrderStatus;

use super::{AnomalyRule, Measured, anomaly};
use crate::correlate::AnomalyKind;
use crate::correlate::ledger::Ledger;
use crate::derived::Derived;

pub(super) const RULE: AnomalyRule = AnomalyRule { kinds: &[AnomalyKind::ChargeWithoutService], find };

fn find(ledger: &Ledger<'_>, derived: &mut Derived) {
    for order in &ledger.orders {
        let ended = match order.fields.status.known() {
            Some(ServiceOrderStatus::Cancelled) => "cancelled",
            Some(ServiceOrderStatus::Failed) => "failed",
            Some(
                ServiceOrderStatus::Created
                | ServiceOrderStatus::Scheduled
                | ServiceOrderStatus::InProgress
                | ServiceOrderStatus::Completed,
            )
            | None => continue,
        };
        let id = order.id();
        for bill in ledger.bills_naming(id).filter(|bill| bill.is_billed()) {
            let is_charged = bill.lines_for(id).any(|line| line.amount.minor > line.credited_minor);
            if !is_charged {
                continue;
            }
            let measured = Measured { expected: None, actual: bill.amount };
            let mut found = anomaly(AnomalyKind::ChargeWithoutService, bill, Some(id), &[], measured, ledger);
            found.sentence =
                Some(format!("Oracle invoice #{} bills for SAP service order {id}, which was {ended}.", bill.id()));
            Arc::make_mut(&mut derived.anomalies).push(found);
        }
    }
}
