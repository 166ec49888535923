//! Which cases a billing or service record belongs to, and what that rests on (spec 2).

use std::cell::OnceCell;
use std::sync::Arc;

use ontology::entity::{CreditNote, Dispute, Invoice};
use ontology::{EntityKey, EntityKind, Field, FieldReader};
use smallvec::SmallVec;
use state::{Composite, Entity};

use crate::derived::{Basis, Correlation};

/// Cases that a record belongs to.
pub(super) type Cases<'a> = SmallVec<[&'a Arc<Entity>; 1]>;

/// A customer with those of its cases that list what they are about: they are asked once for all
/// records that are compared.
pub(super) struct Related<'a> {
    pub(super) composite: &'a Composite,
    naming: SmallVec<[&'a Arc<Entity>; 4]>,
    correlations: &'a [Arc<Correlation>],
    /// What is correlated with an order that belongs to cases, with those; read once it is asked for.
    inferring: OnceCell<Vec<(&'a EntityKey, Cases<'a>)>>,
}

impl<'a> Related<'a> {
    pub(super) fn new(composite: &'a Composite, correlations: &'a [Arc<Correlation>]) -> Self {
        let cases = composite.members.iter().flat_map(|member| member.tree.of_kind(EntityKind::Case));
        let naming = cases.filter(|case| case.lists_related()).collect();
        Related { composite, naming, correlations, inferring: OnceCell::new() }
    }

    /// The cases of `record` on the strongest basis that gives any: a stored reference, else a
    /// common neighbour, else an accepted correlation. Weaker bases are not asked, or an invoice
    /// that an old case once named would tie every later dispute to that case.
    pub(super) fn cases_of(&self, record: &Entity) -> Option<(Basis, Cases<'a>)> {
        let found = |basis, mut cases: Cases<'a>| {
            cases.sort_by(|a, b| a.key.cmp(&b.key));
            cases.dedup_by(|a, b| a.key == b.key);
            (!cases.is_empty()).then_some((basis, cases))
        };
        found(Basis::Explicit, self.referring(record)).or_else(|| {
            let neighbours = neighbours(record, self.composite);
            let bridged = || neighbours.iter().flat_map(|key| self.cases_of_key(key)).collect();
            found(Basis::Bridged, bridged()).or_else(|| found(Basis::Inferred, self.inferred(record, &neighbours)))
        })
    }

    /// The case that the record names and the cases that name it.
    fn referring(&self, record: &Entity) -> Cases<'a> {
        let key = |id| EntityKey::new(EntityKind::Case, id);
        let named = record.text(Field::CaseRef).and_then(|id| find(self.composite, &key(id)));
        let naming = self.naming.iter().copied().filter(|case| names(case, &record.key));
        named.into_iter().chain(naming).collect()
    }

    fn cases_of_key(&self, key: &EntityKey) -> Cases<'a> {
        find(self.composite, key).map_or_else(SmallVec::new, |record| self.referring(record))
    }

    /// The cases of the service orders that the record, or its invoice, is accepted to follow from.
    fn inferred(&self, record: &Entity, neighbours: &[EntityKey]) -> Cases<'a> {
        let inferring = self.inferring.get_or_init(|| {
            let accepted = self.correlations.iter().filter_map(|it| Some((&it.subject, it.accepted()?)));
            let with_cases = accepted.map(|(subject, order)| (subject, self.cases_of_key(&order.order)));
            with_cases.filter(|(_, cases)| !cases.is_empty()).collect()
        });
        let about = inferring.iter().filter(|(subject, _)| **subject == record.key || neighbours.contains(subject));
        about.flat_map(|(_, cases)| cases.iter().copied()).collect()
    }
}

/// Any entity of the customer, a deleted one too: its history still tells when it contradicted.
fn find<'a>(composite: &'a Composite, key: &EntityKey) -> Option<&'a Arc<Entity>> {
    composite.members.iter().find_map(|member| member.tree.get(key))
}

/// Whether the case lists the record among what it is about.
pub(crate) fn names(case: &Entity, key: &EntityKey) -> bool {
    case.get(Field::RelatedRefs)
        .items()
        .any(|item| item.find(Field::Ref).text().and_then(EntityKey::parse).as_ref() == Some(key))
}

/// Whether a record belongs to a case because it names it, and for no other reason.
pub(super) fn is_tied_by_reference(case: &Entity, record: &Entity) -> bool {
    record.text(Field::CaseRef) == Some(case.key.id.as_str()) && !names(case, &record.key)
}

/// The records that `record` refers to, and the disputes that refer to a credit note.
fn neighbours(record: &Entity, composite: &Composite) -> SmallVec<[EntityKey; 3]> {
    let key = |kind, id: Option<&str>| id.map(|id| EntityKey::new(kind, id));
    let mut found: SmallVec<[EntityKey; 3]> = SmallVec::new();
    match record.key.kind {
        EntityKind::CreditNote => {
            let note = CreditNote::read(record);
            found.extend(key(EntityKind::Dispute, note.dispute_ref));
            found.extend(key(EntityKind::Invoice, note.invoice_ref));
            let disputes = composite.of_kind(EntityKind::Dispute);
            let settled = disputes.filter(|d| d.text(Field::CreditNoteRef) == Some(record.key.id.as_str()));
            found.extend(settled.map(|dispute| dispute.key.clone()));
        }
        EntityKind::Dispute => {
            let dispute = Dispute::read(record);
            found.extend(key(EntityKind::Invoice, dispute.invoice_ref));
            found.extend(key(EntityKind::CreditNote, dispute.credit_note_ref));
        }
        EntityKind::FieldDispatch => {
            found.extend(key(EntityKind::ServiceOrder, record.text(Field::ServiceOrderRef)));
        }
        kind => debug_assert!(kind == EntityKind::ServiceOrder, "no rule compares a case with a {kind:?}"),
    }
    found
}

/// The amount that a record is about, with its currency or that of its invoice.
pub(super) fn amount_of(record: &Entity, composite: &Composite) -> Option<ontology::Money> {
    let field = if record.key.kind == EntityKind::ServiceOrder { Field::Estimate } else { Field::Amount };
    let amount = record.get(field).decimal();
    if let Some(currency) = record.text(Field::Currency) {
        return crate::words::money(amount, Some(currency));
    }
    let invoice = find(composite, &EntityKey::new(EntityKind::Invoice, record.text(Field::InvoiceRef)?))?;
    crate::words::money(amount, Invoice::read(invoice.as_ref()).currency)
}

/// What a discrepancy compares of a record: its status, the field in which it names what ties it to
/// the case, its amount.
pub(super) fn compared_fields(record: &Entity) -> &'static [Field] {
    const BY_REFERENCE: [(Field, &[Field]); 4] = [
        (Field::CaseRef, &[Field::Status, Field::CaseRef, Field::Amount]),
        (Field::DisputeRef, &[Field::Status, Field::DisputeRef, Field::Amount]),
        (Field::InvoiceRef, &[Field::Status, Field::InvoiceRef, Field::Amount]),
        (Field::ServiceOrderRef, &[Field::Status, Field::ServiceOrderRef, Field::Amount]),
    ];
    let named = BY_REFERENCE.iter().find(|(field, _)| record.text(*field).is_some());
    named.unwrap_or(&BY_REFERENCE[0]).1
}
