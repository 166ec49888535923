//! What hangs below what. A child names its parents in order of preference and hangs below the
//! first that leads to a party record; until one does, it waits under their names.

use ontology::{EntityKey, EntityKind, Field, FieldReader};
use smallvec::SmallVec;

/// The parents that an entity names, most telling first. Party records have none: they are roots.
#[must_use]
pub fn parents_of(kind: EntityKind, fields: &impl FieldReader) -> SmallVec<[EntityKey; 2]> {
    let mut parents = SmallVec::new();
    for (field, parent) in parent_fields(kind) {
        if let Some(id) = fields.text(*field) {
            parents.push(EntityKey::new(*parent, id));
        }
    }
    parents
}

/// Where several systems carry the key of one customer register, it names the account as a last
/// resort.
const REGISTER: (Field, EntityKind) = (Field::CustomerXref, EntityKind::Account);

/// The fields by which an entity of `kind` names another record, and the kind of record each names: its
/// parents, and others that it hangs below nowhere. The key of a register that several systems share is
/// none of them, as nobody said that it is an account's.
pub fn references_of(kind: EntityKind) -> impl Iterator<Item = (Field, EntityKind)> {
    let others: &[(Field, EntityKind)] = match kind {
        EntityKind::Invoice | EntityKind::ServiceOrder => &[(Field::CaseRef, EntityKind::Case)],
        EntityKind::InvoiceLine => &[(Field::ServiceOrderRef, EntityKind::ServiceOrder)],
        EntityKind::Dispute => &[(Field::CreditNoteRef, EntityKind::CreditNote)],
        EntityKind::Transfer => &[(Field::InteractionRef, EntityKind::Interaction)],
        EntityKind::Case
        | EntityKind::Payment
        | EntityKind::CreditNote
        | EntityKind::Interaction
        | EntityKind::FieldDispatch
        | EntityKind::DesktopTelemetry
        | EntityKind::Account
        | EntityKind::ArCustomer
        | EntityKind::BusinessPartner
        | EntityKind::CallerProfile
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry
        | EntityKind::ExchangeRate
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => &[],
    };
    parent_fields(kind).iter().filter(|parent| **parent != REGISTER).chain(others).copied()
}

/// The fields that name a parent of an entity of `kind`, and the kind of parent each names.
#[must_use]
pub fn parent_fields(kind: EntityKind) -> &'static [(Field, EntityKind)] {
    match kind {
        EntityKind::Case => &[(Field::AccountRef, EntityKind::Account), REGISTER],
        EntityKind::Invoice => &[(Field::ArCustomerRef, EntityKind::ArCustomer), REGISTER],
        EntityKind::InvoiceLine => &[(Field::InvoiceRef, EntityKind::Invoice), REGISTER],
        EntityKind::Payment => {
            &[(Field::InvoiceRef, EntityKind::Invoice), (Field::ArCustomerRef, EntityKind::ArCustomer), REGISTER]
        }
        EntityKind::Dispute => {
            &[(Field::InvoiceRef, EntityKind::Invoice), (Field::CaseRef, EntityKind::Case), REGISTER]
        }
        EntityKind::CreditNote => &[
            (Field::InvoiceRef, EntityKind::Invoice),
            (Field::DisputeRef, EntityKind::Dispute),
            (Field::CaseRef, EntityKind::Case),
            REGISTER,
        ],
        EntityKind::Interaction => {
            &[(Field::CaseRef, EntityKind::Case), (Field::CallerRef, EntityKind::CallerProfile), REGISTER]
        }
        EntityKind::ServiceOrder => &[(Field::AccountRef, EntityKind::BusinessPartner), REGISTER],
        EntityKind::FieldDispatch => &[(Field::ServiceOrderRef, EntityKind::ServiceOrder), REGISTER],
        EntityKind::DesktopTelemetry | EntityKind::Transfer => &[(Field::CaseRef, EntityKind::Case)],
        EntityKind::Account
        | EntityKind::ArCustomer
        | EntityKind::BusinessPartner
        | EntityKind::CallerProfile
        | EntityKind::KnowledgeArticle
        | EntityKind::DirectoryEntry
        | EntityKind::ExchangeRate
        | EntityKind::Judgement
        | EntityKind::DiscrepancyDecision
        | EntityKind::AlertDecision
        | EntityKind::Watermark
        | EntityKind::CommandOutcome
        | EntityKind::Configuration => &[],
    }
}
