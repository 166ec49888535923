//! Values for the fields of any kind of entity, drawn from small sets so that they meet.

use ontology::entity::{FieldSpec, ValueKind, fields_of};
use ontology::status::{CaseStatus, CreditNoteStatus, DisputeStatus, ServiceOrderStatus};
use ontology::{
    EntityKey, EntityKind, Field, Fields, FieldsBuilder, ListBuilder, Millis, System, ValueRef, Vocabulary,
};

use super::{Draft, NOON};

/// The system and object that records of a kind come from.
pub(super) fn origin(kind: EntityKind) -> (System, &'static str) {
    match kind {
        EntityKind::Account | EntityKind::Case => (System::Salesforce, "object"),
        EntityKind::ArCustomer
        | EntityKind::Invoice
        | EntityKind::InvoiceLine
        | EntityKind::Payment
        | EntityKind::Dispute
        | EntityKind::CreditNote
        | EntityKind::ExchangeRate => (System::Oracle, "header"),
        EntityKind::BusinessPartner | EntityKind::ServiceOrder | EntityKind::FieldDispatch => (System::Sap, "document"),
        EntityKind::CallerProfile | EntityKind::Interaction | EntityKind::DesktopTelemetry => (System::Wxcc, "task"),
        EntityKind::Transfer
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry => (System::Human, "decision"),
        EntityKind::Watermark | EntityKind::CommandOutcome | EntityKind::Configuration => (System::Engine, "engine"),
    }
}

/// The name of the `number`th entity of a kind.
pub(super) fn named(kind: EntityKind, number: usize) -> EntityKey {
    EntityKey::new(kind, format!("{kind:?}-{number}"))
}

/// The kinds that fields refer to.
const REFERENCES: &[(Field, EntityKind)] = &[
    (Field::AccountRef, EntityKind::Account),
    (Field::ArCustomerRef, EntityKind::ArCustomer),
    (Field::CallerRef, EntityKind::CallerProfile),
    (Field::InvoiceRef, EntityKind::Invoice),
    (Field::DisputeRef, EntityKind::Dispute),
    (Field::CreditNoteRef, EntityKind::CreditNote),
    (Field::CaseRef, EntityKind::Case),
    (Field::ServiceOrderRef, EntityKind::ServiceOrder),
    (Field::InteractionRef, EntityKind::Interaction),
];

/// The kind that a field of `kind` refers to.
fn target(kind: EntityKind, field: Field) -> Option<EntityKind> {
    if kind == EntityKind::ServiceOrder && field == Field::AccountRef {
        return Some(EntityKind::BusinessPartner);
    }
    REFERENCES.iter().find(|(named, _)| *named == field).map(|(_, target)| *target)
}

/// Statuses that contradict each other, so that discrepancies are frequent.
fn telling_status(kind: EntityKind) -> Option<u8> {
    let telling = [
        (EntityKind::Case, CaseStatus::Resolved.code()),
        (EntityKind::CreditNote, CreditNoteStatus::PendingApproval.code()),
        (EntityKind::Dispute, DisputeStatus::Open.code()),
        (EntityKind::ServiceOrder, ServiceOrderStatus::InProgress.code()),
    ];
    telling.into_iter().find(|(known, _)| *known == kind).map(|(_, code)| code)
}

const CURRENCIES: &[&str] = &["USD", "USD", "EUR"];

const WORDS: &[&str] = &["alpha", "beta", "gamma"];

impl Draft {
    /// Values for an entity: all fields of its kind, absent ones null, or a few of them.
    pub(super) fn values(&mut self, key: &EntityKey, is_image: bool) -> Fields {
        let mut fields = FieldsBuilder::default();
        for spec in fields_of(key.kind) {
            if is_image || self.chance.is(25) {
                self.value(key, spec, &mut fields);
            }
        }
        fields.build()
    }

    fn value(&mut self, key: &EntityKey, spec: &FieldSpec, fields: &mut FieldsBuilder) {
        let field = spec.field;
        let absent = if spec.is_required { 3 } else { 30 };
        if key.kind.is_party() {
            self.party_value(key, field, fields);
        } else if self.chance.is(absent) {
            fields.set(field, ValueRef::Null);
        } else if let Some(kind) = target(key.kind, field) {
            // One more name than there are entities, so that some references lead nowhere.
            let number = self.chance.below(if kind.is_party() { self.customers } else { self.names } + 1);
            fields.text(field, Some(&named(kind, number).id));
        } else {
            let telling = telling_status(key.kind).filter(|_| field == Field::Status && self.chance.is(50));
            let is_done = key.kind == EntityKind::ServiceOrder && self.chance.is(40);
            if let Some(code) = telling.map(|code| if is_done { ServiceOrderStatus::Completed.code() } else { code }) {
                fields.set(field, ValueRef::Code(code));
            } else {
                self.plain_value(spec, fields);
            }
        }
    }

    /// A value of the field's type; now and then one that the mapping could not read.
    pub(super) fn plain_value(&mut self, spec: &FieldSpec, fields: &mut FieldsBuilder) {
        let field = spec.field;
        let chance = &mut self.chance;
        if chance.is(2) {
            fields.set(field, ValueRef::Bad("?!"));
            return;
        }
        match spec.kind {
            ValueKind::Text if field == Field::Currency => fields.text(field, Some(*chance.pick(CURRENCIES))),
            ValueKind::Text => fields.text(field, Some(*chance.pick(WORDS))),
            ValueKind::Int => fields.set(field, ValueRef::Int(chance.between(0, 4))),
            ValueKind::Bool => fields.set(field, ValueRef::Bool(chance.is(50))),
            ValueKind::Time => fields.set(field, ValueRef::Time(NOON + chance.between(-40, 3) * Millis::DAY_MS)),
            ValueKind::Decimal => {
                fields.set(field, ValueRef::Decimal { mantissa: *chance.pick(&[0, 9_000, 10_000, 14_000]), scale: 2 })
            }
            ValueKind::List => {
                let mut list = ListBuilder::default();
                for _ in 0..chance.below(3) {
                    let order = named(EntityKind::ServiceOrder, chance.below(3));
                    let mut item = FieldsBuilder::default();
                    item.set(Field::Amount, ValueRef::Decimal { mantissa: *chance.pick(&[5_000, 12_100]), scale: 2 });
                    item.text(Field::ServiceOrderRef, Some(&order.id)).text(Field::Ref, Some(&order.to_string()));
                    list.push(&item.build());
                }
                fields.set(field, list.value())
            }
            ValueKind::Word { .. } if chance.is(3) => fields.set(field, ValueRef::Unknown("Geparkt")),
            ValueKind::Word { name, .. } => {
                let words = (0..=u8::MAX).take_while(|code| name(*code).is_some()).count();
                let code = u8::try_from(chance.below(words)).expect("a vocabulary has fewer than 256 words");
                fields.set(field, ValueRef::Code(code))
            }
        };
    }
}
