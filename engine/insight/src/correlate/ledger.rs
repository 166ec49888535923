//! What a customer was billed, line by line and net of credits, read once for all rules.

use std::cell::Cell;
use std::sync::Arc;

use jiff::civil::Date;
use ontology::entity::{CreditNote, Dispute, InvoiceLine, ServiceOrder};
use ontology::money::div_half_even;
use ontology::status::{CreditNoteStatus, InvoiceStatus};
use ontology::{Coded, Currency, EntityKey, EntityKind, Field, FieldReader, Millis, Money};
use smallvec::SmallVec;
use state::composite::Micros;
use state::{Composite, Elsewhere, Entity};

use crate::context::Context;
use crate::words;

/// One line of an invoice that is not tax.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The order that it bills for.
    pub order: Option<&'a str>,
    /// The period that it bills for.
    pub period: Option<&'a str>,
    /// Its amount, net of tax.
    pub amount: Money,
    /// What of it effective credit notes take back.
    pub credited_minor: i64,
}

/// An invoice with its lines.
#[derive(Debug, Clone)]
pub(super) struct Bill<'a> {
    pub entity: &'a Arc<Entity>,
    pub status: Coded<'a, InvoiceStatus>,
    pub currency: Option<&'a str>,
    pub issued_at: Option<Millis>,
    pub ar_customer_ref: Option<&'a str>,
    pub billing_type: Option<&'a str>,
    /// The whole amount, with tax.
    pub amount: Option<Money>,
    pub lines: Vec<Line<'a>>,
    /// Whether some credit on it could not be read in its currency.
    pub has_unread_credit: bool,
}

impl<'a> Bill<'a> {
    fn read(entity: &'a Arc<Entity>) -> Self {
        let currency = entity.text(Field::Currency);
        let lines = entity.get(Field::Lines).items().filter_map(|item| {
            let currency = item.find(Field::Currency).text().or(currency);
            let is_tax = item.find(Field::LineType).text().is_some_and(is_tax);
            let amount = words::money(item.find(Field::Amount).decimal(), currency).filter(|_| !is_tax)?;
            let order = item.find(Field::ServiceOrderRef).text();
            Some(Line { order, period: item.find(Field::Period).text(), amount, credited_minor: 0 })
        });
        Bill {
            entity,
            status: entity.coded(Field::Status),
            currency,
            issued_at: entity.time(Field::IssuedAt),
            ar_customer_ref: entity.text(Field::ArCustomerRef),
            billing_type: entity.text(Field::BillingType),
            amount: words::money(entity.get(Field::Amount).decimal(), currency),
            lines: lines.collect(),
            has_unread_credit: false,
        }
    }

    pub fn id(&self) -> &'a str {
        self.entity.key.id.as_str()
    }

    /// Whether its status is known to be there and it is not cancelled.
    pub fn is_standing(&self) -> bool {
        match self.status {
            Coded::Known(status) => status != InvoiceStatus::Cancelled,
            Coded::Unknown(_) => true,
            Coded::Missing => false,
        }
    }

    /// Whether it was issued and is not cancelled.
    pub fn is_billed(&self) -> bool {
        self.is_standing() && self.status != Coded::Known(InvoiceStatus::Draft)
    }

    /// The lines that bill for an order.
    pub fn lines_for(&self, order: &str) -> impl Iterator<Item = &Line<'a>> {
        self.lines.iter().filter(move |line| line.order == Some(order))
    }

    /// Takes an effective credit note off the lines: by amount, half to even, the remainder to the
    /// largest.
    fn credit(&mut self, note: Money) {
        let sum: i128 = self.lines.iter().map(|line| i128::from(line.amount.minor)).sum();
        if sum <= 0 {
            return;
        }
        let mut rest = note.minor;
        for line in &mut self.lines {
            let share = div_half_even(i128::from(note.minor) * i128::from(line.amount.minor), sum);
            let share = i64::try_from(share).unwrap_or(0);
            line.credited_minor = line.credited_minor.saturating_add(share);
            rest = rest.saturating_sub(share);
        }
        if let Some(largest) = self.lines.iter_mut().rev().max_by_key(|line| line.amount.minor) {
            largest.credited_minor = largest.credited_minor.saturating_add(rest);
        }
    }
}

fn is_tax(line_type: &str) -> bool {
    line_type.eq_ignore_ascii_case("TAX")
}

/// A service order, read once for all subjects that it may explain.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub entity: &'a Arc<Entity>,
    pub fields: ServiceOrder<'a>,
    /// The day on which it takes effect.
    pub day: Option<Date>,
    /// What it was to cost, in its own currency.
    pub estimate: Option<Money>,
}

impl<'a> Order<'a> {
    fn read(entity: &'a Arc<Entity>, context: &Context<'_>) -> Self {
        let fields = ServiceOrder::read(entity.as_ref());
        // It takes effect when it is completed, else when it is planned for.
        let effective_at = fields.completed_at.or(fields.scheduled_at);
        let day = effective_at.map(|at| words::civil_date(at, &context.settings.business_tz));
        Order { entity, fields, day, estimate: words::money(fields.estimate, fields.currency) }
    }

    pub fn id(&self) -> &'a str {
        self.entity.key.id.as_str()
    }
}

/// Where records stand in a list, by an id.
#[derive(Debug, Default)]
struct Places<'a>(Vec<(&'a str, usize)>);

impl<'a> Places<'a> {
    fn new(places: impl Iterator<Item = (&'a str, usize)>) -> Self {
        let mut places: Vec<(&str, usize)> = places.collect();
        places.sort_unstable();
        places.dedup();
        Places(places)
    }

    /// The places under an id, in order.
    fn of(&self, id: &str) -> impl Iterator<Item = usize> {
        let first = self.0.partition_point(|(known, _)| *known < id);
        self.0[first..].iter().take_while(move |(known, _)| *known == id).map(|(_, place)| *place)
    }
}

/// What was billed for one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Billed {
    /// No issued invoice names it.
    Nothing,
    /// So much, net of tax and credits.
    Amount(Money),
    /// Some amount has no exchange rate on its invoice's day.
    NoRate {
        /// Place of the invoice in the ledger.
        bill: usize,
    },
}

/// Everything that was billed to a customer, with what rules compare it with.
pub(super) struct Ledger<'a> {
    pub composite: &'a Composite,
    pub context: &'a Context<'a>,
    /// In the order of members and ids.
    pub bills: Vec<Bill<'a>>,
    /// Where the bills stand.
    bill_places: Places<'a>,
    /// Where the bills stand of which a line names an order, by the order.
    naming_places: Places<'a>,
    /// Living service orders, in the order of members and ids.
    pub orders: Vec<Order<'a>>,
    /// Where those stand.
    order_places: Places<'a>,
    /// Living cases that list what they are about.
    pub naming_cases: Vec<&'a Arc<Entity>>,
    /// Living credit notes, each with the place of the bill that it is for.
    notes: Vec<(usize, &'a Arc<Entity>)>,
    /// Living disputes that name an invoice, with its id.
    pub disputes: Vec<(&'a str, &'a Arc<Entity>)>,
    /// Whether some amount was to be converted.
    asked_for_rate: Cell<bool>,
}

impl<'a> Ledger<'a> {
    pub fn open(composite: &'a Composite, context: &'a Context<'a>) -> Self {
        let bills: Vec<Bill<'a>> = composite.of_kind(EntityKind::Invoice).map(Bill::read).collect();
        let orders = composite.of_kind(EntityKind::ServiceOrder).map(|order| Order::read(order, context));
        let orders: Vec<Order<'a>> = orders.collect();
        let cases = composite.of_kind(EntityKind::Case);
        let disputes = composite.of_kind(EntityKind::Dispute);
        let mut ledger = Ledger {
            composite,
            context,
            bill_places: Places::new(bills.iter().map(Bill::id).zip(0..)),
            naming_places: Places::default(),
            order_places: Places::new(orders.iter().map(Order::id).zip(0..)),
            bills,
            notes: Vec::new(),
            orders,
            naming_cases: cases.filter(|case| case.lists_related()).collect(),
            disputes: disputes.filter_map(|dispute| Some((dispute.text(Field::InvoiceRef)?, dispute))).collect(),
            asked_for_rate: Cell::new(false),
        };
        ledger.add_line_rows();
        ledger.add_credits();
        let bills = ledger.bills.iter().zip(0..);
        let naming = bills.flat_map(|(bill, at)| bill.lines.iter().filter_map(move |line| Some((line.order?, at))));
        ledger.naming_places = Places::new(naming);
        ledger
    }

    pub fn bill(&self, id: &str) -> Option<&Bill<'a>> {
        self.bill_places.of(id).next().map(|place| &self.bills[place])
    }

    pub fn order(&self, id: &str) -> Option<&Order<'a>> {
        self.order_places.of(id).next().map(|place| &self.orders[place])
    }

    /// Whether some invoice names an order.
    pub fn names_orders(&self) -> bool {
        !self.naming_places.0.is_empty()
    }

    /// The orders that some invoice names and that are not among the customer's, in order.
    pub fn unmet_orders(&self) -> Vec<EntityKey> {
        let mut named: Vec<&str> = self.naming_places.0.iter().map(|(order, _)| *order).collect();
        named.dedup();
        let unmet = named.into_iter().filter(|order| self.order(order).is_none());
        unmet.map(|order| EntityKey::new(EntityKind::ServiceOrder, order)).collect()
    }

    /// An order of another customer.
    pub fn elsewhere(&self, order: &str) -> Option<&'a Elsewhere> {
        let all = &self.composite.elsewhere;
        let place = all.binary_search_by(|known| known.record.key.id.as_str().cmp(order));
        place.ok().map(|place| &all[place])
    }

    /// The orders of other customers that a bill names, each once, in the order of its lines.
    pub fn orders_elsewhere(&self, bill: &Bill<'_>) -> SmallVec<[&'a Elsewhere; 1]> {
        let mut found: SmallVec<[&Elsewhere; 1]> = SmallVec::new();
        if self.composite.elsewhere.is_empty() {
            return found;
        }
        for order in bill.lines.iter().filter_map(|line| self.elsewhere(line.order?)) {
            if !found.iter().any(|known| known.record.key == order.record.key) {
                found.push(order);
            }
        }
        found
    }

    /// The bills of which a line bills for an order, in the order of members and ids.
    pub fn bills_naming(&self, order: &str) -> impl Iterator<Item = &Bill<'a>> {
        self.naming_places.of(order).map(|place| &self.bills[place])
    }

    /// Confidence that two of the customer's records are one customer's.
    pub fn link_confidence(&self, left: &EntityKey, right: &EntityKey) -> Micros {
        match self.composite.members.as_slice() {
            [_] => 1_000_000,
            _ => self.composite.link_confidence(left, right),
        }
    }

    /// Lines that arrive as rows of their own stand for those within the invoice.
    fn add_line_rows(&mut self) {
        let mut replaced: SmallVec<[usize; 4]> = SmallVec::new();
        for entity in self.composite.of_kind(EntityKind::InvoiceLine) {
            let row = InvoiceLine::read(entity.as_ref());
            let place = row.invoice_ref.and_then(|id| self.bill_places.of(id).next());
            let Some(place) = place else { continue };
            let bill = &mut self.bills[place];
            if !replaced.contains(&place) {
                replaced.push(place);
                bill.lines.clear();
            }
            let amount = words::money(row.amount, row.currency.or(bill.currency));
            if let Some(amount) = amount.filter(|_| !row.line_type.is_some_and(is_tax)) {
                let (order, period) = (row.service_order_ref, row.period);
                bill.lines.push(Line { order, period, amount, credited_minor: 0 });
            }
        }
    }

    fn add_credits(&mut self) {
        for note in self.composite.of_kind(EntityKind::CreditNote) {
            let Some(invoice) = invoice_of_note(note, self.composite) else { continue };
            let Some(place) = self.bill_places.of(invoice).next() else { continue };
            self.notes.push((place, note));
            let fields = CreditNote::read(note.as_ref());
            if !fields.status.known().is_some_and(CreditNoteStatus::is_effective) {
                continue;
            }
            let bill = &self.bills[place];
            // A note without a readable amount takes nothing back; that it has none is a finding of its own.
            let Some(amount) = words::money(fields.amount, fields.currency.or(bill.currency)) else { continue };
            match self.in_currency_of(bill, amount) {
                Some(amount) => self.bills[place].credit(amount),
                None => self.bills[place].has_unread_credit = true,
            }
        }
    }

    fn in_currency_of(&self, bill: &Bill<'_>, amount: Money) -> Option<Money> {
        self.convert(amount, bill.currency.and_then(Currency::parse)?, bill)
    }

    /// The instants at which credit notes on bills of an order changed, newest first.
    pub fn credit_changes(&self, order: &str) -> Vec<Millis> {
        let notes = self.notes.iter().filter(|(place, _)| self.naming_places.of(order).any(|of| of == *place));
        let mut changes: Vec<Millis> = notes
            .flat_map(|(_, note)| [Field::Status, Field::Amount].map(|field| note.history(field)))
            .flat_map(|history| history.0)
            .map(|stretch| stretch.from)
            .collect();
        changes.sort_unstable_by(|a, b| b.cmp(a));
        changes.dedup();
        changes
    }

    /// What was billed for an order by the bills as they are now and the credit notes as they were just
    /// before an instant; none if some amount has no rate.
    pub fn billed_before(&self, at: Millis, order: &str, currency: Currency) -> Option<i64> {
        let mut sum: i64 = 0;
        for place in self.naming_places.of(order).filter(|place| self.bills[*place].is_billed()) {
            let mut bill = self.bills[place].clone();
            bill.lines.iter_mut().for_each(|line| line.credited_minor = 0);
            for (_, note) in self.notes.iter().filter(|(of, _)| *of == place) {
                if let Some(amount) = credited_before(at, note, &bill) {
                    bill.credit(self.in_currency_of(&bill, amount)?);
                }
            }
            for line in bill.lines_for(order) {
                let net = Money { minor: line.amount.minor.saturating_sub(line.credited_minor), ..line.amount };
                sum = sum.saturating_add(self.convert(net, currency, &bill)?.minor);
            }
        }
        Some(sum)
    }

    /// Whether some amount was to be converted, so that what is concluded depends on rates.
    pub fn has_asked_for_rate(&self) -> bool {
        self.asked_for_rate.get()
    }

    /// What was billed for an order with this estimate's currency.
    pub fn billed_for(&self, order: &str, currency: Currency) -> Billed {
        let mut sum: Option<i64> = None;
        let bills = self.naming_places.of(order).map(|place| (place, &self.bills[place]));
        for (place, bill) in bills.filter(|(_, bill)| bill.is_billed()) {
            for line in bill.lines_for(order) {
                let net = Money { minor: line.amount.minor.saturating_sub(line.credited_minor), ..line.amount };
                let converted = self.convert(net, currency, bill).filter(|_| !bill.has_unread_credit);
                let Some(converted) = converted else { return Billed::NoRate { bill: place } };
                sum = Some(sum.unwrap_or(0).saturating_add(converted.minor));
            }
        }
        sum.map_or(Billed::Nothing, |minor| Billed::Amount(Money::new(minor, currency)))
    }

    /// An amount of a bill in another currency, at the rate of the bill's day.
    pub fn convert(&self, amount: Money, to: Currency, bill: &Bill<'_>) -> Option<Money> {
        if amount.currency == to {
            return Some(amount);
        }
        self.asked_for_rate.set(true);
        let day = words::date(bill.issued_at?, &self.context.settings.business_tz);
        let key = (amount.currency.code().to_owned(), to.code().to_owned(), day);
        amount.convert(to, self.context.reference.rates.get(&key)?)
    }
}

/// What a credit note took back just before an instant; none if it was not effective then.
fn credited_before(at: Millis, note: &Entity, bill: &Bill<'_>) -> Option<Money> {
    let then = |field| {
        let stretches = note.history(field).0;
        stretches.into_iter().rev().find(|stretch| stretch.from < at)
    };
    let status = then(Field::Status)?.value()?.coded::<CreditNoteStatus>().known();
    let amount = then(Field::Amount)?.value()?.decimal();
    let currency = note.text(Field::Currency).or(bill.currency);
    status.filter(|status| status.is_effective()).and(words::money(amount, currency))
}

/// The invoice that a credit note is for: the one that it names, else that of its dispute.
pub(super) fn invoice_of_note<'a>(note: &'a Entity, composite: &'a Composite) -> Option<&'a str> {
    let fields = CreditNote::read(note);
    let of_dispute = |dispute: &'a Arc<Entity>| Dispute::read(dispute.as_ref()).invoice_ref;
    let named = || composite.get(&EntityKey::new(EntityKind::Dispute, fields.dispute_ref?)).and_then(of_dispute);
    let naming = || {
        let mut disputes = composite.of_kind(EntityKind::Dispute);
        disputes.find(|d| d.text(Field::CreditNoteRef) == Some(note.key.id.as_str())).and_then(of_dispute)
    };
    fields.invoice_ref.or_else(named).or_else(naming)
}
