//! The billing events that are correlated: anomalies, disputes and credit notes, the latter two
//! through their invoice.

use std::sync::Arc;

use jiff::civil::Date;
use ontology::entity::Dispute;
use ontology::{EntityKey, EntityKind, Field, FieldReader, Millis, Money, ObjectId, Vocabulary};
use smallvec::SmallVec;
use state::{Composite, Entity};

use super::ledger::{Bill, Ledger, invoice_of_note};
use super::reuse::Earlier;
use super::{AnomalyKind, Candidate, Verdict, account_id, candidates, verdict};
use crate::context::Context;
use crate::derived::{Anomaly, Cited, Correlation, Derived, Grounds};
use crate::evaluate::Before;
use crate::reconcile::names;
use crate::words;

/// Which way a charge has to be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// That it is so high.
    Up,
    /// That it is so low.
    Down,
    /// That the customer says nothing was delivered.
    Undelivered,
}

/// A billing event to be explained.
pub(super) struct Subject<'a> {
    /// The invoice, dispute or credit note.
    pub entity: &'a Arc<Entity>,
    /// What is out of the ordinary, if the subject is an anomaly.
    pub anomaly: Option<AnomalyKind>,
    /// The invoice, if it has arrived.
    pub bill: Option<&'a Bill<'a>>,
    /// When the invoice was issued.
    pub billed_at: Option<Millis>,
    /// The day of that.
    pub billed_on: Option<Date>,
    /// Which way the charge has to be explained.
    pub direction: Direction,
    /// The amount that has to be explained.
    pub amount: Option<Money>,
    /// Cases that the subject or its invoice belongs to.
    cases: SmallVec<[EntityKey; 2]>,
    composite: &'a Composite,
}

impl<'a> Subject<'a> {
    fn new(entity: &'a Arc<Entity>, bill: Option<&'a Bill<'a>>, ledger: &'a Ledger<'a>) -> Self {
        let billed_at = bill.and_then(|bill| bill.issued_at);
        let mut subject = Subject {
            entity,
            anomaly: None,
            bill,
            billed_at,
            billed_on: billed_at.map(|at| words::civil_date(at, &ledger.context.settings.business_tz)),
            direction: Direction::Up,
            amount: bill.and_then(|bill| bill.amount),
            cases: SmallVec::new(),
            composite: ledger.composite,
        };
        subject.cases = subject.find_cases(ledger);
        subject
    }

    fn of_anomaly(anomaly: &Anomaly, bill: &'a Bill<'a>, ledger: &'a Ledger<'a>) -> Self {
        let mut subject = Subject::new(bill.entity, Some(bill), ledger);
        subject.anomaly = Some(anomaly.kind);
        subject.direction = direction_of(anomaly);
        if matches!(anomaly.kind, AnomalyKind::Spike | AnomalyKind::Drop) {
            subject.amount = change_of(anomaly);
        }
        subject
    }

    fn of_dispute(entity: &'a Arc<Entity>, ledger: &'a Ledger<'a>, anomalies: &[Anomaly]) -> Self {
        let fields = Dispute::read(entity.as_ref());
        let bill = bill_of_dispute(&fields, ledger);
        let mut subject = Subject::new(entity, bill, ledger);
        let is_undelivered = fields.dispute_type.is_some_and(is_non_delivery);
        subject.direction = if is_undelivered { Direction::Undelivered } else { direction_on(bill, anomalies) };
        subject
    }

    fn of_note(entity: &'a Arc<Entity>, ledger: &'a Ledger<'a>, anomalies: &[Anomaly]) -> Self {
        let bill = bill_of_note(entity, ledger);
        let mut subject = Subject::new(entity, bill, ledger);
        subject.direction = direction_on(bill, anomalies);
        subject
    }

    /// What a correlation explains; none if the record is no longer there.
    pub fn of_correlation(correlation: &Correlation, ledger: &'a Ledger<'a>, anomalies: &[Anomaly]) -> Option<Self> {
        let key = &correlation.subject;
        if let Some(kind) = correlation.anomaly {
            let is_it = |anomaly: &&Anomaly| anomaly.kind == kind && anomaly.invoice == *key;
            let anomaly = anomalies.iter().find(is_it)?;
            return Some(Subject::of_anomaly(anomaly, ledger.bill(&key.id)?, ledger));
        }
        let entity = ledger.composite.get(key)?;
        Some(match key.kind {
            EntityKind::Dispute => Subject::of_dispute(entity, ledger, anomalies),
            _ => Subject::of_note(entity, ledger, anomalies),
        })
    }

    /// Whether a line of the invoice names the order.
    pub fn names(&self, order: &str) -> bool {
        self.bill.is_some_and(|bill| bill.lines_for(order).next().is_some())
    }

    /// The orders that lines of the invoice name.
    pub fn named_orders(&self) -> impl Iterator<Item = &'a str> {
        self.bill.into_iter().flat_map(|bill| bill.lines.iter().filter_map(|line| line.order))
    }

    /// Whether subject and order belong to one case.
    pub fn shares_case(&self, order: &Entity) -> bool {
        if self.cases.is_empty() {
            return false;
        }
        let named = order.text(Field::CaseRef);
        self.cases.iter().any(|case| {
            named == Some(case.id.as_str()) || self.composite.get(case).is_some_and(|case| names(case, &order.key))
        })
    }

    /// The cases that the subject, its invoice or the invoice's disputes name, and those that name
    /// them.
    fn find_cases(&self, ledger: &Ledger<'a>) -> SmallVec<[EntityKey; 2]> {
        let invoice = self.bill.map(|bill| bill.entity);
        let invoice_id = invoice.map(|invoice| invoice.key.id.as_str());
        let disputes = ledger.disputes.iter().filter(|(named, _)| invoice_id == Some(named));
        let disputes = disputes.map(|(_, dispute)| *dispute);
        let records: SmallVec<[&Arc<Entity>; 4]> =
            std::iter::once(self.entity).chain(invoice).chain(disputes).collect();
        let named = records.iter().filter_map(|record| record.text(Field::CaseRef));
        let mut cases: SmallVec<[EntityKey; 2]> = named.map(|id| EntityKey::new(EntityKind::Case, id)).collect();
        let lists_one = |case: &&&Arc<Entity>| records.iter().any(|record| names(case, &record.key));
        let naming = ledger.naming_cases.iter().filter(lists_one);
        cases.extend(naming.map(|case| case.key.clone()));
        cases.sort();
        cases.dedup();
        cases
    }
}

/// Correlates every subject of a customer, but for those of which an evaluation before said what would be
/// said again.
pub(super) fn correlate_all(before: Option<&Before<'_>>, ledger: &Ledger<'_>, derived: &mut Derived) {
    let anomalies = derived.anomalies.clone();
    let mut earlier = before.and_then(|before| Earlier::of(before, ledger, &anomalies));
    let mut known = |entity, bill: Option<&Bill<'_>>, anomaly| earlier.as_mut()?.take(entity, bill, anomaly);
    let mut found = Vec::new();
    let explain = |subject: Subject<'_>| Arc::new(correlation(&subject, ledger, derived));
    for anomaly in distinct(&anomalies) {
        let Some(bill) = ledger.bill(&anomaly.invoice.id) else { continue };
        let known = known(bill.entity, Some(bill), Some(anomaly.kind));
        found.push(known.unwrap_or_else(|| explain(Subject::of_anomaly(anomaly, bill, ledger))));
    }
    for dispute in ledger.composite.of_kind(EntityKind::Dispute) {
        let known = known(dispute, bill_of_dispute(&Dispute::read(dispute.as_ref()), ledger), None);
        found.push(known.unwrap_or_else(|| explain(Subject::of_dispute(dispute, ledger, &anomalies))));
    }
    for note in ledger.composite.of_kind(EntityKind::CreditNote) {
        let known = known(note, bill_of_note(note, ledger), None);
        found.push(known.unwrap_or_else(|| explain(Subject::of_note(note, ledger, &anomalies))));
    }
    if let Some(next_day) =
        found.iter().find(|c| c.sentence.is_some() && c.is_accepted()).and_then(|_| next_day(ledger.context))
    {
        // What was "3 days ago" is told differently tomorrow.
        derived.wake(next_day);
        derived.billing.wake_at = Some(next_day);
    }
    derived.correlations = Arc::new(found);
}

fn bill_of_dispute<'a>(dispute: &Dispute<'_>, ledger: &'a Ledger<'a>) -> Option<&'a Bill<'a>> {
    dispute.invoice_ref.and_then(|id| ledger.bill(id))
}

fn bill_of_note<'a>(note: &Entity, ledger: &'a Ledger<'a>) -> Option<&'a Bill<'a>> {
    invoice_of_note(note, ledger.composite).and_then(|id| ledger.bill(id))
}

/// When the next calendar day begins; none beyond the last day that calendars reach.
fn next_day(context: &Context<'_>) -> Option<Millis> {
    let zone = &context.settings.business_tz;
    let next = words::civil_date(context.now, zone).tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(Millis(next.timestamp().as_millisecond()))
}

/// One anomaly for each invoice and kind: several orders of one invoice are candidates of one
/// subject.
fn distinct(anomalies: &[Anomaly]) -> impl Iterator<Item = &Anomaly> {
    let is_first = |place: usize, anomaly: &Anomaly| {
        !anomalies[..place].iter().any(|other| other.kind == anomaly.kind && other.invoice == anomaly.invoice)
    };
    anomalies.iter().enumerate().filter(move |(place, anomaly)| is_first(*place, anomaly)).map(|(_, anomaly)| anomaly)
}

fn direction_of(anomaly: &Anomaly) -> Direction {
    match (anomaly.actual, anomaly.expected) {
        (Some(actual), Some(expected)) if actual.minor < expected.minor => Direction::Down,
        (Some(_) | None, Some(_) | None) => Direction::Up,
    }
}

fn change_of(anomaly: &Anomaly) -> Option<Money> {
    let (actual, expected) = (anomaly.actual?, anomaly.expected?);
    Some(Money::new(actual.minor.checked_sub(expected.minor)?.checked_abs()?, actual.currency))
}

/// The direction of what is out of the ordinary about an invoice; that it is so high if nothing is.
fn direction_on(bill: Option<&Bill<'_>>, anomalies: &[Anomaly]) -> Direction {
    let anomalies = anomalies.iter().filter(|anomaly| bill.is_some_and(|b| b.entity.key == anomaly.invoice));
    anomalies.map(direction_of).next().unwrap_or(Direction::Up)
}

/// Whether a type of dispute says that a service was not delivered.
fn is_non_delivery(dispute_type: &str) -> bool {
    let words = words::plain(dispute_type);
    words.contains("undelivered") || words.contains("deliver") && (words.contains("not") || words.contains("non"))
}

fn correlation(subject: &Subject<'_>, ledger: &Ledger<'_>, derived: &Derived) -> Correlation {
    let is_foreign = subject.anomaly == Some(AnomalyKind::ForeignOrder);
    let question = derived
        .anomalies
        .iter()
        .find(|it| is_foreign && it.kind == AnomalyKind::ForeignOrder && it.invoice == subject.entity.key);
    // What others' orders are charged to a customer for, its own do not explain.
    let mut candidates = if is_foreign { Vec::new() } else { candidates::rank(subject, ledger) };
    let verdict = verdict::judge(&mut candidates, subject, ledger, derived);
    let key = &subject.entity.key;
    let kind = subject.anomaly.map_or(key.kind.name(), Vocabulary::name);
    let billed_at = subject.billed_at;
    let opened_at = subject.entity.time(Field::OpenedAt).filter(|_| key.kind == EntityKind::Dispute);
    let at = opened_at.or(billed_at);
    Correlation {
        id: ObjectId::new("correlation", &[kind, &key.to_string()]),
        subject: key.clone(),
        anomaly: subject.anomaly,
        verdict,
        at,
        grounds: question.map_or_else(|| grounds(subject, &candidates, ledger), |question| question.grounds.clone()),
        sentence: match question {
            Some(question) => question.sentence.clone(),
            None => sentence(subject, &candidates, verdict, ledger),
        },
        candidates,
    }
}

fn grounds(subject: &Subject<'_>, candidates: &[Candidate], ledger: &Ledger<'_>) -> Grounds {
    let mut subjects = vec![subject.entity.key.clone()];
    let mut cited = Vec::new();
    if subject.entity.key.kind != EntityKind::Invoice {
        cited.push(Cited::new(subject.entity, &[Field::Status, Field::InvoiceRef, Field::Amount]));
        subjects.extend(subject.bill.map(|bill| bill.entity.key.clone()));
    }
    if let Some(bill) = subject.bill {
        cited.push(Cited::new(bill.entity, &[Field::Status, Field::Amount, Field::IssuedAt]));
    }
    let accepted = candidates.first();
    for order in candidates.iter().filter_map(|candidate| ledger.order(&candidate.order.id)) {
        subjects.push(order.entity.key.clone());
        cited.push(Cited::new(
            order.entity,
            &[Field::Type, Field::Status, Field::CompletedAt, Field::ScheduledAt, Field::Estimate],
        ));
    }
    Grounds {
        subjects,
        cited,
        told: Vec::new(),
        config_version: ledger.context.settings.config_version,
        link_confidence: accepted.map_or(1_000_000, |candidate| candidate.link_confidence),
    }
}

/// The sentence of spec 7.6, for an invoice above or below the usual that an executed order
/// explains.
fn sentence(subject: &Subject<'_>, candidates: &[Candidate], verdict: Verdict, ledger: &Ledger<'_>) -> Option<String> {
    let what = match subject.anomaly? {
        AnomalyKind::Spike => "spike",
        AnomalyKind::Drop => "drop",
        AnomalyKind::EstimateDeviation
        | AnomalyKind::DuplicateCharge
        | AnomalyKind::ChargeWithoutService
        | AnomalyKind::ForeignOrder => return None,
    };
    let best = candidates.first().filter(|candidate| candidate.is_accepted())?;
    let order = ledger.order(&best.order.id)?;
    let type_words = words::coded(order.fields.type_name)?;
    let context = ledger.context;
    let executed = words::when(order.fields.completed_at?, context.now, &context.settings.business_tz);
    Some(format!(
        "Invoice {what} for Account {} correlates with SAP service order {} ({type_words}) executed {executed} — {}.",
        account_id(ledger.composite, &subject.entity.key)?,
        order.id(),
        verdict.words()?,
    ))
}
