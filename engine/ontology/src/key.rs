//! Names of things: which entity, and which row of which source said something about it.

use compact_str::CompactString;

use crate::system::System;
use crate::vocabulary::Vocabulary;

/// What kind of thing an entity is. The four party kinds come first and in the order in which they
/// name a customer (Salesforce < Oracle < SAP < WXCC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntityKind {
    /// Salesforce Account.
    Account,
    /// Oracle AR customer.
    ArCustomer,
    /// SAP business partner.
    BusinessPartner,
    /// Webex CC caller profile: a number or an address that contacts come from.
    CallerProfile,
    /// Service-desk case.
    Case,
    /// Receivables invoice.
    Invoice,
    /// One line of an invoice.
    InvoiceLine,
    /// Payment.
    Payment,
    /// Billing dispute.
    Dispute,
    /// Credit note or the request for one.
    CreditNote,
    /// Call, chat, e-mail or callback.
    Interaction,
    /// Service order.
    ServiceOrder,
    /// Field dispatch.
    FieldDispatch,
    /// Knowledge article.
    KnowledgeArticle,
    /// Agent, team, calendar or role.
    DirectoryEntry,
    /// One dated exchange rate.
    ExchangeRate,
    /// One change of system by an agent at a desktop.
    DesktopTelemetry,
    /// Request to move a case to another team.
    Transfer,
    /// Human decision on a pair of party records.
    Judgement,
    /// Human decision on a discrepancy.
    DiscrepancyDecision,
    /// Human decision on an alert.
    AlertDecision,
    /// How far a source partition is known received.
    Watermark,
    /// Outcome of a command that the engine sent out.
    CommandOutcome,
    /// One version of the configuration.
    Configuration,
}

impl EntityKind {
    /// The four kinds that identity is resolved over, in survivorship order.
    pub const PARTIES: [EntityKind; 4] =
        [EntityKind::Account, EntityKind::ArCustomer, EntityKind::BusinessPartner, EntityKind::CallerProfile];

    /// Whether records of this kind stand for a customer.
    #[must_use]
    pub fn is_party(self) -> bool {
        Self::PARTIES.contains(&self)
    }

    /// The system of record of a party kind.
    #[must_use]
    pub fn party_system(self) -> Option<System> {
        match self {
            EntityKind::Account => Some(System::Salesforce),
            EntityKind::ArCustomer => Some(System::Oracle),
            EntityKind::BusinessPartner => Some(System::Sap),
            EntityKind::CallerProfile => Some(System::Wxcc),
            EntityKind::Case
            | EntityKind::Invoice
            | EntityKind::InvoiceLine
            | EntityKind::Payment
            | EntityKind::Dispute
            | EntityKind::CreditNote
            | EntityKind::Interaction
            | EntityKind::ServiceOrder
            | EntityKind::FieldDispatch
            | EntityKind::KnowledgeArticle
            | EntityKind::DirectoryEntry
            | EntityKind::ExchangeRate
            | EntityKind::DesktopTelemetry
            | EntityKind::Transfer
            | EntityKind::Judgement
            | EntityKind::DiscrepancyDecision
            | EntityKind::AlertDecision
            | EntityKind::Watermark
            | EntityKind::CommandOutcome
            | EntityKind::Configuration => None,
        }
    }
}

impl Vocabulary for EntityKind {
    const ALL: &'static [(Self, &'static str)] = &[
        (EntityKind::Account, "account"),
        (EntityKind::ArCustomer, "ar_customer"),
        (EntityKind::BusinessPartner, "business_partner"),
        (EntityKind::CallerProfile, "caller_profile"),
        (EntityKind::Case, "case"),
        (EntityKind::Invoice, "invoice"),
        (EntityKind::InvoiceLine, "invoice_line"),
        (EntityKind::Payment, "payment"),
        (EntityKind::Dispute, "dispute"),
        (EntityKind::CreditNote, "credit_note"),
        (EntityKind::Interaction, "interaction"),
        (EntityKind::ServiceOrder, "service_order"),
        (EntityKind::FieldDispatch, "field_dispatch"),
        (EntityKind::KnowledgeArticle, "knowledge_article"),
        (EntityKind::DirectoryEntry, "directory_entry"),
        (EntityKind::ExchangeRate, "exchange_rate"),
        (EntityKind::DesktopTelemetry, "desktop_telemetry"),
        (EntityKind::Transfer, "transfer"),
        (EntityKind::Judgement, "judgement"),
        (EntityKind::DiscrepancyDecision, "discrepancy_decision"),
        (EntityKind::AlertDecision, "alert_decision"),
        (EntityKind::Watermark, "watermark"),
        (EntityKind::CommandOutcome, "command_outcome"),
        (EntityKind::Configuration, "configuration"),
    ];
}

/// One entity. Ids are normalised by the connector's mapping (leading zeros, 18-character forms).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey {
    /// What kind of thing it is.
    pub kind: EntityKind,
    /// Its id within the kind.
    pub id: CompactString,
}

impl EntityKey {
    /// Names an entity.
    pub fn new(kind: EntityKind, id: impl AsRef<str>) -> Self {
        EntityKey { kind, id: CompactString::new(id) }
    }

    /// Reads the form that [`std::fmt::Display`] writes: `case/SF-2026-8831`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        if id.is_empty() {
            return None;
        }
        Some(EntityKey::new(EntityKind::parse(kind)?, id))
    }
}

impl From<&EntityKey> for EntityKey {
    fn from(key: &EntityKey) -> Self {
        key.clone()
    }
}

impl std::fmt::Display for EntityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.id)
    }
}

/// One row of one source: what versions and images belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// The system that owns the row.
    pub system: System,
    /// The object, table or document type in that system.
    pub object: CompactString,
    /// The row's id there.
    pub record_id: CompactString,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_reads_back_what_it_writes() {
        let key = EntityKey::new(EntityKind::Case, "SF-2026/8831");
        assert_eq!(EntityKey::parse(&key.to_string()).unwrap(), key);
        assert_eq!(EntityKey::parse("case/"), None);
        assert_eq!(EntityKey::parse("nothing/1"), None);
        assert_eq!(EntityKey::parse("case"), None);
    }

    #[test]
    fn parties_name_a_customer_in_survivorship_order() {
        let mut sorted = EntityKind::PARTIES;
        sorted.sort();
        assert_eq!(sorted, EntityKind::PARTIES);
    }
}
