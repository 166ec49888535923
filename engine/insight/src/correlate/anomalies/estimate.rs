//! Estimate deviation (spec 7.4): what is billed for an order, net of tax and effective credits,
//! is more than 20 % off its estimate. An order without an estimate is not evaluated, nor one
//! whose amounts have no exchange rate.

use std::sync::Arc;

use ontology::entity::ServiceOrder;
use ontology::{Currency, EntityKey, Field, FindingKind, Millis, Money};

use super::{AnomalyRule, Measured, anomaly};
use crate::correlate::AnomalyKind;
use crate::correlate::ledger::{Bill, Billed, Ledger, Order};
use crate::derived::Derived;
use crate::findings::finding;
use crate::words;

pub(super) const RULE: AnomalyRule = AnomalyRule { kinds: &[AnomalyKind::EstimateDeviation], find };

fn find(ledger: &Ledger<'_>, derived: &mut Derived) {
    for order in &ledger.orders {
        let key = &order.entity.key;
        let Some(estimate) = estimate_of(order, ledger) else { continue };
        let billed = match ledger.billed_for(&key.id, estimate.currency) {
            Billed::Nothing => continue,
            Billed::NoRate { bill } => {
                let bill = &ledger.bills[bill];
                let value = bill.currency.unwrap_or_default().into();
                derived.findings.push(finding(bill.entity, FindingKind::FxRateMissing, Some(Field::Currency), value));
                continue;
            }
            Billed::Amount(billed) => billed,
        };
        let only_overrun = is_milestone(&order.fields) && !has_final_bill(key, ledger);
        let is_off = |billed: i64| deviates(billed, estimate.minor) && !(only_overrun && billed < estimate.minor);
        if !is_off(billed.minor) {
            continue;
        }
        let Some((bill, others)) = bills_for(key, ledger) else { continue };
        let measured = Measured { expected: Some(estimate), actual: Some(billed) };
        let mut found = anomaly(AnomalyKind::EstimateDeviation, bill, Some(&key.id), &others, measured, ledger);
        found.sentence = Some(sentence(bill, order, billed, estimate));
        found.began_at = began_at(&key.id, estimate.currency, is_off, ledger);
        Arc::make_mut(&mut derived.anomalies).push(found);
    }
}

/// When it began to be off, if credit notes had brought it in line before; how else it may have been is not
/// remembered.
fn began_at(order: &str, currency: Currency, is_off: impl Fn(i64) -> bool, ledger: &Ledger<'_>) -> Option<Millis> {
    let mut changes = ledger.credit_changes(order).into_iter();
    changes.find(|at| ledger.billed_before(*at, order, currency).is_some_and(|billed| !is_off(billed)))
}

/// Strictly more than 20 % off; against an estimate of nothing, anything billed is.
fn deviates(billed: i64, estimate: i64) -> bool {
    5 * (i128::from(billed) - i128::from(estimate)).abs() > i128::from(estimate)
}

/// The order's estimate; an order without a currency has that of the invoices that name it.
fn estimate_of(order: &Order<'_>, ledger: &Ledger<'_>) -> Option<Money> {
    let naming = || ledger.bills_naming(order.id()).next();
    let estimate = match order.fields.currency {
        Some(_) => order.estimate,
        None => words::money(order.fields.estimate, naming().and_then(|bill| bill.currency)),
    };
    estimate.filter(|estimate| estimate.minor >= 0)
}

fn is_milestone(fields: &ServiceOrder<'_>) -> bool {
    fields.billing_plan.is_some_and(|plan| plan.eq_ignore_ascii_case("milestone"))
}

fn has_final_bill(order: &EntityKey, ledger: &Ledger<'_>) -> bool {
    let mut billed = ledger.bills_naming(&order.id).filter(|bill| bill.is_billed());
    billed.any(|bill| bill.billing_type.is_some_and(|kind| kind.eq_ignore_ascii_case("final")))
}

/// The newest issued invoice that bills for an order, and the others that do.
fn bills_for<'l, 'a>(order: &EntityKey, ledger: &'l Ledger<'a>) -> Option<(&'l Bill<'a>, Vec<&'l Bill<'a>>)> {
    let naming = ledger.bills_naming(&order.id).filter(|bill| bill.is_billed());
    let mut bills: Vec<&Bill<'a>> = naming.collect();
    bills.sort_by_key(|bill| (bill.issued_at, bill.id()));
    let newest = bills.pop()?;
    Some((newest, bills))
}

fn sentence(bill: &Bill<'_>, order: &Order<'_>, billed: Money, estimate: Money) -> String {
    let type_words = words::coded(order.fields.type_name).map(|words| format!(" ({words})")).unwrap_or_default();
    format!(
        "Oracle invoice #{} bills {} for SAP service order {}{type_words} against an estimate of {} — flagging for billing review.",
        bill.id(),
        billed.display(),
        order.id(),
        estimate.display(),
    )
}
