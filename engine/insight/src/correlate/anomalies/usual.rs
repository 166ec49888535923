//! Spike and drop: an invoice differs by more than 20 % from what the customer is usually billed,
//! the median of up to six earlier invoices of the same receivables customer, currency and kind of
//! billing.

use std::cmp::Ordering;
use std::sync::Arc;

use ontology::money::div_half_even;
use ontology::{Millis, Money};
use smallvec::SmallVec;

use super::{AnomalyRule, Measured, anomaly};
use crate::correlate::AnomalyKind;
use crate::correlate::ledger::{Bill, Ledger};
use crate::derived::Derived;

pub(super) const RULE: AnomalyRule = AnomalyRule { kinds: &[AnomalyKind::Spike, AnomalyKind::Drop], find };

/// The usual is taken from at most this many invoices.
const EARLIER_MAX: usize = 6;
/// With fewer there is no usual.
const EARLIER_MIN: usize = 3;

fn find(ledger: &Ledger<'_>, derived: &mut Derived) {
    if ledger.bills.len() <= EARLIER_MIN {
        return;
    }
    let mut dated: Vec<(Millis, Money, &Bill<'_>)> = ledger
        .bills
        .iter()
        .filter(|bill| bill.is_standing())
        .filter_map(|bill| Some((bill.issued_at?, bill.amount?, bill)))
        .collect();
    dated.sort_by(|a, b| (a.0, a.2.id()).cmp(&(b.0, b.2.id())));
    for (place, (at, amount, bill)) in dated.iter().enumerate() {
        let is_alike = |other: &&(Millis, Money, &Bill<'_>)| {
            other.0 < *at
                && other.1.currency == amount.currency
                && other.2.ar_customer_ref == bill.ar_customer_ref
                && other.2.billing_type == bill.billing_type
        };
        let earlier: SmallVec<[&(Millis, Money, &Bill<'_>); EARLIER_MAX]> =
            dated[..place].iter().rev().filter(is_alike).take(EARLIER_MAX).collect();
        if earlier.len() < EARLIER_MIN {
            continue;
        }
        let twice_usual = twice_median(earlier.iter().map(|(_, amount, _)| amount.minor).collect());
        let Some(kind) = kind_of(i128::from(amount.minor), twice_usual) else { continue };
        let usual = i64::try_from(div_half_even(twice_usual, 2)).unwrap_or(i64::MAX);
        let expected = Money::new(usual, amount.currency);
        let others: SmallVec<[&Bill<'_>; EARLIER_MAX]> = earlier.iter().rev().map(|(_, _, bill)| *bill).collect();
        let measured = Measured { expected: Some(expected), actual: Some(*amount) };
        let mut found = anomaly(kind, bill, None, &others, measured, ledger);
        let side = if kind == AnomalyKind::Spike { "above" } else { "below" };
        found.sentence =
            Some(format!("Invoice {} of {} is {side} the usual {}.", bill.id(), amount.display(), expected.display()));
        Arc::make_mut(&mut derived.anomalies).push(found);
    }
}

/// Twice the median, which is whole even if the median is not.
fn twice_median(mut amounts: SmallVec<[i64; EARLIER_MAX]>) -> i128 {
    amounts.sort_unstable();
    let (below, above) = (amounts[(amounts.len() - 1) / 2], amounts[amounts.len() / 2]);
    i128::from(below) + i128::from(above)
}

/// Exactly 20 % off is still usual.
fn kind_of(amount: i128, twice_usual: i128) -> Option<AnomalyKind> {
    let gap = 2 * amount - twice_usual;
    match (5 * gap.abs() > twice_usual.abs(), gap.cmp(&0)) {
        (true, Ordering::Greater) => Some(AnomalyKind::Spike),
        (true, Ordering::Less) => Some(AnomalyKind::Drop),
        (true, Ordering::Equal) | (false, _) => None,
    }
}
