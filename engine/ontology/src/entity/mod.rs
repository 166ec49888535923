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
use crate::vocabulary::Vocabulary;

/// One field of an entity.
#[derive(Debug, Clone, Copy)]
pub struct FieldSpec {
    /// The field.
    pub field: Field,
    /// Whether rules that need the entity need the field.
    pub is_required: bool,
    /// What kind of value it takes.
    pub kind: ValueKind,
}

/// What kind of value a field of an entity takes.
#[derive(Debug, Clone, Copy)]
pub enum ValueKind {
    /// Text.
    Text,
    /// Whole number.
    Int,
    /// Truth value.
    Bool,
    /// Instant.
    Time,
    /// Exact decimal.
    Decimal,
    /// List of items with fields of their own.
    List,
    /// Word of a vocabulary.
    Word {
        /// The code of a word, by name.
        parse: fn(&str) -> Option<u8>,
        /// The name of a word, by code.
        name: fn(u8) -> Option<&'static str>,
    },
}

impl ValueKind {
    const fn word<V: Vocabulary>() -> Self {
        ValueKind::Word { parse: |name| V::parse(name).map(V::code), name: |code| V::from_code(code).map(V::name) }
    }
}

impl FieldSpec {
    const fn required(field: Field, kind: ValueKind) -> Self {
        FieldSpec { field, is_required: true, kind }
    }

    const fn optional(field: Field, kind: ValueKind) -> Self {
        FieldSpec { field, is_required: false, kind }
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

/// The description of one field of a kind of entity; none if the kind does not have it.
#[must_use]
pub fn field_of(kind: EntityKind, field: Field) -> Option<&'static FieldSpec> {
    fields_of(kind).iter().find(|spec| spec.field == field)
}

/// The name of the word that a code stands for in a field of a kind of entity.
#[must_use]
pub fn word_name(kind: EntityKind, field: Field, code: u8) -> Option<&'static str> {
    match field_of(kind, field)?.kind {
        ValueKind::Word { name, .. } => name(code),
        ValueKind::Text | ValueKind::Int | ValueKind::Bool | ValueKind::Time | ValueKind::Decimal | ValueKind::List => {
            None
        }
    }
}
