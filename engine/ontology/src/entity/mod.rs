//! The entities: one file each, with its fields and a typed reading of them.

pub mod case;
pub mod credit_note;
pub mod decision;
pub mod desktop_telemetry;
pub mod directory_entry;
pub mod dispute;
pub mod exchange_rate;
pub mod field_dispatch;
pub mod interaction;
pub mod invoice;
pub mod invoice_line;
pub mod judgement;
pub mod knowledge_article;
pub mod party;
pub mod payment;
pub mod service_order;
pub mod transfer;

pub use case::Case;
pub use credit_note::CreditNote;
pub use decision::Decided;
pub use desktop_telemetry::DesktopTelemetry;
pub use directory_entry::DirectoryEntry;
pub use dispute::Dispute;
pub use exchange_rate::ExchangeRate;
pub use field_dispatch::FieldDispatch;
pub use interaction::Interaction;
pub use invoice::Invoice;
pub use invoice_line::InvoiceLine;
pub use judgement::Judgement;
pub use knowledge_article::KnowledgeArticle;
pub use party::Party;
pub use payment::Payment;
pub use service_order::ServiceOrder;
pub use transfer::Transfer;

use crate::field::Field;
use crate::key::EntityKind;

/// One field of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// The field.
    pub field: Field,
    /// Whether rules that need the entity need the field.
    pub is_required: bool,
}

impl FieldSpec {
    const fn required(field: Field) -> Self {
        FieldSpec { field, is_required: true }
    }

    const fn optional(field: Field) -> Self {
        FieldSpec { field, is_required: false }
    }
}

/// The fields of a kind of entity. A watermark, a command outcome and a configuration have none
/// that a mapping fills.
#[must_use]
pub fn fields_of(kind: EntityKind) -> &'static [FieldSpec] {
    match kind {
        EntityKind::Account | EntityKind::ArCustomer | EntityKind::BusinessPartner | EntityKind::CallerProfile => {
            party::FIELDS
        }
        EntityKind::Case => case::FIELDS,
        EntityKind::Invoice => invoice::FIELDS,
        EntityKind::InvoiceLine => invoice_line::FIELDS,
        EntityKind::Payment => payment::FIELDS,
        EntityKind::Dispute => dispute::FIELDS,
        EntityKind::CreditNote => credit_note::FIELDS,
        EntityKind::Interaction => interaction::FIELDS,
        EntityKind::ServiceOrder => service_order::FIELDS,
        EntityKind::FieldDispatch => field_dispatch::FIELDS,
        EntityKind::KnowledgeArticle => knowledge_article::FIELDS,
        EntityKind::DirectoryEntry => directory_entry::FIELDS,
        EntityKind::ExchangeRate => exchange_rate::FIELDS,
        EntityKind::DesktopTelemetry => desktop_telemetry::FIELDS,
        EntityKind::Transfer => transfer::FIELDS,
        EntityKind::Judgement => judgement::FIELDS,
        EntityKind::DiscrepancyDecision | EntityKind::AlertDecision => decision::FIELDS,
        EntityKind::Watermark | EntityKind::CommandOutcome | EntityKind::Configuration => &[],
    }
}
