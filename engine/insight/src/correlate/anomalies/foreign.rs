//! Foreign order: an issued invoice bills for an order of another customer (spec 7.2). Either the reference
//! is wrong, or two customers are one and nobody has said so; both are for a person to decide. Such an order
//! explains nothing: it is no candidate, and what rests on the invoice needs review.

use std::sync::Arc;

use ontology::Field;

use super::{AnomalyRule, Measured, anomaly};
use crate::correlate::AnomalyKind;
use crate::correlate::ledger::{Bill, Ledger};
use crate::derived::{Anomaly, Cited, Derived};

pub(super) const RULE: AnomalyRule = AnomalyRule { kinds: &[AnomalyKind::ForeignOrder], find };

fn find(ledger: &Ledger<'_>, derived: &mut Derived) {
    if ledger.composite.elsewhere.is_empty() {
        return;
    }
    for bill in ledger.bills.iter().filter(|bill| bill.is_billed()) {
        Arc::make_mut(&mut derived.anomalies).extend(foreign(bill, ledger));
    }
}

/// One anomaly for a bill, however many orders of others it names: they are one question.
fn foreign(bill: &Bill<'_>, ledger: &Ledger<'_>) -> Option<Anomaly> {
    let orders = ledger.orders_elsewhere(bill);
    let first = orders.first()?;
    let measured = Measured { expected: None, actual: bill.amount };
    let mut found = anomaly(AnomalyKind::ForeignOrder, bill, None, &[], measured, ledger);
    found.order = Some(first.record.key.clone());
    found.grounds.cited.push(Cited::new(bill.entity, &[Field::ArCustomerRef]));
    for order in &orders {
        found.grounds.subjects.push(order.record.key.clone());
        found.grounds.cited.push(Cited::new(&order.record, &[Field::AccountRef]));
    }
    let named: Vec<String> = orders.iter().map(|order| format!("{} of {}", order.record.key.id, order.party)).collect();
    found.sentence = Some(format!(
        "Oracle invoice #{} bills for SAP service order {}, which is another customer's — flagging for billing review.",
        bill.id(),
        named.join(" and "),
    ));
    Some(found)
}
