//! Correlation: which service orders explain a billing event (spec 7).
//!
//! Subjects are anomalies, disputes and credit notes. Each is compared with the customer's service
//! orders; what speaks for an order adds up to a score, and the best accepted order gives the
//! verdict on the charge.

mod anomalies;
mod candidates;
mod ledger;
mod reuse;
mod subjects;
#[cfg(test)]
mod tests;
mod verdict;

use compact_str::CompactString;
use ontology::canonical::Json;
use ontology::{EntityKey, EntityKind, Field, FieldReader, System, Vocabulary};
use smallvec::SmallVec;
use state::composite::Micros;
use state::{Composite, Member};

use crate::context::Context;
use crate::derived::{Correlation, Derived};
use crate::evaluate::Before;

pub use anomalies::{ALL, AnomalyRule};
pub use reuse::{KINDS, has_same_kinds};
pub(crate) use reuse::{ORDERS, still_holds, take_over};

/// In which way an invoice is out of the ordinary (spec 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AnomalyKind {
    /// More than 20 % above what the customer is usually billed.
    Spike,
    /// More than 20 % below it.
    Drop,
    /// What is billed for an order is more than 20 % off its estimate.
    EstimateDeviation,
    /// Two invoices for one service order and period.
    DuplicateCharge,
    /// Billed for an order that was cancelled or failed.
    ChargeWithoutService,
    /// Billed for an order of another customer.
    ForeignOrder,
}

impl Vocabulary for AnomalyKind {
    const ALL: &'static [(Self, &'static str)] = &[
        (AnomalyKind::Spike, "spike"),
        (AnomalyKind::Drop, "drop"),
        (AnomalyKind::EstimateDeviation, "estimate_deviation"),
        (AnomalyKind::DuplicateCharge, "duplicate_charge"),
        (AnomalyKind::ChargeWithoutService, "charge_without_service"),
        (AnomalyKind::ForeignOrder, "foreign_order"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

/// What the best accepted order says about a charge (spec 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// The work was done and explains the charge.
    LikelyCorrectCharge,
    /// Only contrary evidence.
    LikelyError,
    /// Evidence both ways, or data that cannot be relied on.
    NeedsReview,
    /// No order is accepted.
    Uncorrelated,
}

impl Vocabulary for Verdict {
    const ALL: &'static [(Self, &'static str)] = &[
        (Verdict::LikelyCorrectCharge, "likely_correct_charge"),
        (Verdict::LikelyError, "likely_error"),
        (Verdict::NeedsReview, "needs_review"),
        (Verdict::Uncorrelated, "uncorrelated"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

impl Verdict {
    /// As sentences say it; none if there is nothing to say.
    #[must_use]
    pub fn words(self) -> Option<&'static str> {
        match self {
            Verdict::LikelyCorrectCharge => Some("likely correct charge, not an error"),
            Verdict::LikelyError => Some("likely billing error"),
            Verdict::NeedsReview => Some("needs billing review"),
            Verdict::Uncorrelated => None,
        }
    }
}

/// What speaks for an order, in the order in which the weights are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Signal {
    /// A line of the invoice names the order.
    ExplicitReference,
    /// Both belong to one case.
    BridgedByCase,
    /// The order works on equipment that the invoice bills for.
    SameAsset,
    /// Work of this type makes bills go that way.
    TypeExplains,
    /// The amount is within 5 % of the estimate.
    AmountWithin5Percent,
    /// The amount is within 20 % of the estimate.
    AmountWithin20Percent,
    /// The order's date is near the invoice's.
    Nearness,
}

impl Vocabulary for Signal {
    const ALL: &'static [(Self, &'static str)] = &[
        (Signal::ExplicitReference, "explicit_reference"),
        (Signal::BridgedByCase, "bridged_by_case"),
        (Signal::SameAsset, "same_asset"),
        (Signal::TypeExplains, "type_explains"),
        (Signal::AmountWithin5Percent, "amount_within_5_percent"),
        (Signal::AmountWithin20Percent, "amount_within_20_percent"),
        (Signal::Nearness, "nearness"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

/// An order of at least this score is accepted.
pub const ACCEPTED_MIN: Micros = 700_000;
/// An order of at least this score is shown.
pub const SUGGESTED_MIN: Micros = 500_000;

/// So many orders that score less are told, the best of them.
pub const REJECTED_MAX: usize = 100;

/// A service order that may explain a billing event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The order.
    pub order: EntityKey,
    /// How sure, in millionths.
    pub score: Micros,
    /// What adds up to the score, each with its weight in millionths.
    pub factors: SmallVec<[(Signal, Micros); 4]>,
    /// Calendar days from the order to the invoice, negative if the invoice came first; none if
    /// either has no date.
    pub gap_days: Option<i32>,
    /// What this order alone says about the charge.
    pub verdict: Verdict,
    /// Confidence that order and subject are the same customer's.
    pub link_confidence: Micros,
}

impl Candidate {
    /// Whether the score is high enough to count.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.score >= ACCEPTED_MIN
    }

    /// Why it does not count, in words; none if it does.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        let share = |micros: Micros| format!("0.{:04}", micros / 100);
        let (score, link) = (self.score, self.link_confidence);
        if self.is_accepted() {
            return None;
        }
        let doubt = if link < 1_000_000 { format!(", with a link of {}", share(link)) } else { String::new() };
        Some(match score >= SUGGESTED_MIN {
            true => format!("scores {}{doubt}: below 0.70 it is a suggestion and does not count", share(score)),
            false => format!("scores {}{doubt}: below 0.50 it is not shown", share(score)),
        })
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let factors = self.factors.iter().map(|(signal, weight)| (signal.name(), Json::Int(i64::from(*weight))));
        Json::object([
            ("order", Json::text(self.order.to_string())),
            ("score", Json::Int(i64::from(self.score))),
            ("factors", Json::object(factors)),
            ("gap_days", self.gap_days.map_or(Json::Null, |days| Json::Int(i64::from(days)))),
            ("verdict", Json::text(self.verdict.name())),
            ("link_confidence", Json::Int(i64::from(self.link_confidence))),
        ])
    }
}

/// The account that people know the customer of a bill by: the one that the bill's receivables customer
/// names, else one that another of them names, else Salesforce's, else the first; without any, the receivables
/// customer. Of two service desks both have an account, and only one of them is what bills are about.
pub(crate) fn account_id(composite: &Composite, subject: &EntityKey) -> Option<CompactString> {
    let of_kind = |kind| composite.members.iter().filter(move |member| member.key.kind == kind);
    let of_bill = composite.member_of(subject).into_iter();
    let mut named = of_bill.chain(&composite.members).filter_map(named_account);
    named
        .find_map(|id| of_kind(EntityKind::Account).find(|account| account.key.id == id))
        .or_else(|| of_kind(EntityKind::Account).find(|account| is_of_salesforce(account)))
        .or_else(|| of_kind(EntityKind::Account).next())
        .or_else(|| of_kind(EntityKind::ArCustomer).next())
        .map(|member| member.key.id.clone())
}

fn is_of_salesforce(member: &Member) -> bool {
    let rows = member.tree.get(&member.key).map(|record| record.rows()).unwrap_or_default();
    rows.iter().any(|row| row.key().system == System::Salesforce)
}

/// The account that a receivables customer says it belongs to.
fn named_account(member: &Member) -> Option<&str> {
    let is_receivables = member.key.kind == EntityKind::ArCustomer;
    is_receivables.then(|| member.tree.get(&member.key))??.text(Field::AccountXref)
}

/// Finds what is out of the ordinary and what explains it. Explanations that an evaluation before of the
/// same members and side inputs gave are taken from it where they stand.
pub(crate) fn evaluate(
    before: Option<&Before<'_>>,
    composite: &Composite,
    context: &Context<'_>,
    derived: &mut Derived,
) {
    let has = |kind| composite.members.iter().any(|member| !member.tree.of_kind(kind).is_empty());
    if !has(EntityKind::Invoice) && !has(EntityKind::Dispute) && !has(EntityKind::CreditNote) {
        return;
    }
    let ledger = ledger::Ledger::open(composite, context);
    anomalies::find_all(&ledger, derived);
    subjects::correlate_all(before, &ledger, derived);
    derived.billing.depends_on_rates = ledger.has_asked_for_rate();
    derived.billing.depends_on_orders = !derived.correlations.is_empty() || ledger.names_orders();
    derived.billing.depends_on_disputes = !ledger.disputes.is_empty();
    derived.billing.unmet_orders = ledger.unmet_orders();
}

/// The service orders that were weighed for a correlation and score too little to be shown, best first: at
/// most [`REJECTED_MAX`]. They are not kept but weighed again, by the same rules, when somebody asks.
/// `derived` is what was concluded from `composite`, with the correlation in it.
#[must_use]
pub fn rejected(
    correlation: &Correlation,
    derived: &Derived,
    composite: &Composite,
    context: &Context<'_>,
) -> Vec<Candidate> {
    let ledger = ledger::Ledger::open(composite, context);
    let subject = subjects::Subject::of_correlation(correlation, &ledger, &derived.anomalies);
    let mut rejected = subject.map(|subject| candidates::rejected(&subject, &ledger)).unwrap_or_default();
    rejected.truncate(REJECTED_MAX);
    rejected
}
