//! What of a customer concerns a transfer (spec 6.5). Each record appears once, whichever of the
//! rules brought it in.

use std::sync::Arc;

use ontology::entity::{Case, Dispute, Interaction, Invoice, ServiceOrder, Transfer};
use ontology::status::{DisputeStatus, InteractionStatus, InvoiceStatus, ServiceOrderStatus};
use ontology::{Coded, EntityKey, EntityKind, Field, FieldReader, Millis};
use state::{Composite, Entity};

use crate::context::Context;
use crate::words;

/// An invoice with what makes it relevant.
#[derive(Debug, Clone)]
pub struct RelevantInvoice<'a> {
    /// Its id; a dispute may name an invoice that has not arrived.
    pub id: &'a str,
    /// The invoice, if it has.
    pub entity: Option<&'a Arc<Entity>>,
    /// Its active disputes, oldest first.
    pub disputes: Vec<&'a Arc<Entity>>,
}

impl RelevantInvoice<'_> {
    /// When it is due.
    #[must_use]
    pub fn due_date(&self) -> Option<Millis> {
        self.entity.and_then(|entity| entity.time(Field::DueDate))
    }
}

/// A service order with its dispatches, in the order of their ids.
#[derive(Debug, Clone)]
pub struct RelevantOrder<'a> {
    /// The order.
    pub entity: &'a Arc<Entity>,
    /// Its dispatches.
    pub dispatches: Vec<&'a Arc<Entity>>,
}

/// Everything of a customer that concerns a transfer.
#[derive(Debug, Clone)]
pub struct Relevant<'a> {
    /// The case, if it has arrived and was not deleted.
    pub case: Option<&'a Arc<Entity>>,
    /// Disputed invoices first, then by due date, then by id.
    pub invoices: Vec<RelevantInvoice<'a>>,
    /// Oldest first.
    pub interactions: Vec<&'a Arc<Entity>>,
    /// In the order of completion or schedule, those without a date last.
    pub orders: Vec<RelevantOrder<'a>>,
    /// Credit notes that wait for approval and concern the case, a relevant invoice or its dispute.
    pub pending_credits: Vec<&'a Arc<Entity>>,
}

/// What selection looks at.
struct Scope<'a> {
    composite: &'a Composite,
    context: &'a Context<'a>,
    transfer: Transfer<'a>,
    case_id: Option<&'a str>,
    initiated_at: Millis,
    related: Vec<EntityKey>,
}

/// Selects what concerns `transfer`, which was initiated at `initiated_at`.
#[must_use]
pub fn select<'a>(
    transfer: &'a Entity,
    initiated_at: Millis,
    composite: &'a Composite,
    context: &'a Context<'a>,
) -> Relevant<'a> {
    let transfer = Transfer::read(transfer);
    let case = transfer.case_ref.and_then(|id| composite.get(&EntityKey::new(EntityKind::Case, id)));
    let related = case.map(|case| related_refs(case)).unwrap_or_default();
    let scope = Scope { composite, context, transfer, case_id: transfer.case_ref, initiated_at, related };
    let invoices = scope.invoices();
    let pending_credits = scope.pending_credits(&invoices);
    Relevant { case, invoices, interactions: scope.interactions(), orders: scope.orders(), pending_credits }
}

fn related_refs(case: &Entity) -> Vec<EntityKey> {
    let refs = Case::read(case).related_refs;
    refs.items().filter_map(|item| EntityKey::parse(item.text(Field::Ref)?)).collect()
}

impl<'a> Scope<'a> {
    /// Whether the record refers to the case or the case to the record.
    fn is_explicit(&self, key: &EntityKey, case_ref: Option<&str>) -> bool {
        self.names_case(case_ref) || self.related.contains(key)
    }

    fn names_case(&self, case_ref: Option<&str>) -> bool {
        case_ref.is_some() && case_ref == self.case_id
    }

    fn invoices(&self) -> Vec<RelevantInvoice<'a>> {
        let mut disputes: Vec<&'a Arc<Entity>> = self
            .composite
            .of_kind(EntityKind::Dispute)
            .filter(|entity| is_active(Dispute::read(entity.as_ref()).status))
            .collect();
        disputes.sort_by_key(|entity| (nones_last(entity.time(Field::OpenedAt)), &entity.key));
        let mut found: Vec<RelevantInvoice<'a>> = Vec::new();
        for dispute in disputes {
            let Some(id) = dispute.text(Field::InvoiceRef) else { continue };
            match found.iter_mut().find(|invoice| invoice.id == id) {
                Some(invoice) => invoice.disputes.push(dispute),
                None => {
                    let entity = self.composite.get(&EntityKey::new(EntityKind::Invoice, id));
                    found.push(RelevantInvoice { id, entity, disputes: vec![dispute] });
                }
            }
        }
        for entity in self.composite.of_kind(EntityKind::Invoice) {
            let id = entity.key.id.as_str();
            let invoice = Invoice::read(entity.as_ref());
            let is_relevant = self.is_explicit(&entity.key, invoice.case_ref) || self.is_past_due(&invoice);
            if is_relevant && !found.iter().any(|known| known.id == id) {
                found.push(RelevantInvoice { id, entity: Some(entity), disputes: Vec::new() });
            }
        }
        found.sort_by_key(|invoice| (invoice.disputes.is_empty(), nones_last(invoice.due_date()), invoice.id));
        found
    }

    /// Whether money is still owed on an invoice whose due day is over.
    fn is_past_due(&self, invoice: &Invoice<'_>) -> bool {
        let is_unpaid = match invoice.status {
            Coded::Known(status) => InvoiceStatus::is_pending(status),
            Coded::Unknown(_) => true,
            Coded::Missing => false,
        };
        let is_settled = invoice.outstanding.is_some_and(|(mantissa, _)| mantissa <= 0);
        let tz = &self.context.settings.business_tz;
        // A due date is a day, kept as its first instant in UTC.
        let is_over = invoice.due_date.is_some_and(|due| {
            words::civil_date(due, &jiff::tz::TimeZone::UTC) < words::civil_date(self.context.now, tz)
        });
        is_unpaid && !is_settled && is_over
    }

    fn interactions(&self) -> Vec<&'a Arc<Entity>> {
        let mut found: Vec<(Millis, &'a Arc<Entity>)> = self
            .composite
            .of_kind(EntityKind::Interaction)
            .filter_map(|entity| Some((self.relevant_end(entity)?, entity)))
            .collect();
        found.sort_by_key(|(ended_at, entity)| (*ended_at, &entity.key));
        found.into_iter().map(|(_, entity)| entity).collect()
    }

    /// When an interaction ended, if that makes it relevant.
    fn relevant_end(&self, entity: &Entity) -> Option<Millis> {
        let interaction = Interaction::read(entity);
        let ended_at = interaction.ended_at?;
        let is_ended = interaction.status == Coded::Known(InteractionStatus::Ended);
        let is_live = self.transfer.interaction_ref == Some(entity.key.id.as_str());
        let is_ours = interaction.case_ref.is_none() || self.names_case(interaction.case_ref);
        let is_recent = self.initiated_at.since(ended_at) <= self.context.settings.interaction_window_ms;
        (is_ended && !is_live && is_ours && is_recent && ended_at <= self.initiated_at).then_some(ended_at)
    }

    fn orders(&self) -> Vec<RelevantOrder<'a>> {
        let mut found: Vec<RelevantOrder<'a>> = self
            .composite
            .of_kind(EntityKind::ServiceOrder)
            .filter(|entity| self.is_relevant_order(entity))
            .map(|entity| RelevantOrder { entity, dispatches: self.dispatches_of(entity) })
            .collect();
        found.sort_by_key(|order| (nones_last(order_date(order.entity)), &order.entity.key));
        found
    }

    fn is_relevant_order(&self, entity: &Entity) -> bool {
        let order = ServiceOrder::read(entity);
        if self.is_explicit(&entity.key, order.case_ref) {
            return true;
        }
        match order.status {
            Coded::Known(status) if status.is_in_flight() => true,
            Coded::Unknown(_) => true,
            Coded::Known(_) => finished_at(entity)
                .is_some_and(|at| self.initiated_at.since(at) <= self.context.settings.order_window_ms),
            Coded::Missing => false,
        }
    }

    fn dispatches_of(&self, order: &Entity) -> Vec<&'a Arc<Entity>> {
        let of_order = |dispatch: &&Arc<Entity>| dispatch.text(Field::ServiceOrderRef) == Some(order.key.id.as_str());
        self.composite.of_kind(EntityKind::FieldDispatch).filter(of_order).collect()
    }

    fn pending_credits(&self, invoices: &[RelevantInvoice<'a>]) -> Vec<&'a Arc<Entity>> {
        let concerns = |note: &&Arc<Entity>| {
            let note = ontology::entity::CreditNote::read(note.as_ref());
            let is_pending = match note.status {
                Coded::Known(status) => status.is_pending(),
                Coded::Unknown(_) | Coded::Missing => false,
            };
            let is_of_invoice = invoices.iter().any(|invoice| {
                note.invoice_ref == Some(invoice.id)
                    || invoice.disputes.iter().any(|dispute| note.dispute_ref == Some(dispute.key.id.as_str()))
            });
            is_pending && (self.names_case(note.case_ref) || is_of_invoice)
        };
        self.composite.of_kind(EntityKind::CreditNote).filter(concerns).collect()
    }
}

/// A dispute counts as active until the source says otherwise in a word that we know.
fn is_active(status: Coded<'_, DisputeStatus>) -> bool {
    match status {
        Coded::Known(status) => status.is_active(),
        Coded::Unknown(_) => true,
        Coded::Missing => false,
    }
}

/// When an order came to its end: its completion date, else since when its status has stood.
#[must_use]
pub fn finished_at(entity: &Entity) -> Option<Millis> {
    let order = ServiceOrder::read(entity);
    let is_over = order.status.known().is_some_and(|status: ServiceOrderStatus| !status.is_in_flight());
    if !is_over {
        return None;
    }
    order.completed_at.or_else(|| entity.history(Field::Status).0.last().map(|stretch| stretch.from))
}

/// The date that an order is told by: its end if it is over, else its schedule.
#[must_use]
pub fn order_date(entity: &Entity) -> Option<Millis> {
    finished_at(entity).or_else(|| entity.time(Field::ScheduledAt))
}

/// Seconds that an interaction took; none if the record contradicts itself.
#[must_use]
pub fn duration_s(entity: &Entity) -> Option<i64> {
    let interaction = Interaction::read(entity);
    let between = || {
        let length_ms = interaction.ended_at?.since(interaction.started_at?);
        (length_ms >= 0).then_some(length_ms / Millis::SECOND_MS)
    };
    interaction.duration_s.filter(|seconds| *seconds >= 0).or_else(between)
}

fn nones_last(at: Option<Millis>) -> Millis {
    at.unwrap_or(Millis::MAX)
}
