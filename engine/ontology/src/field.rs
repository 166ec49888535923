//! The fields that facts carry: one closed list, so that a field has one name everywhere.

use crate::vocabulary::Vocabulary;

/// How carefully a value must be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// For everybody who may use the hub.
    Internal,
    /// Personal data: masked by role, erasable, never in logs, labels or messages.
    Pii,
    /// Money and standing: removed for roles without the right to it.
    Restricted,
}

/// A field. Its number is part of the stored format: fields are appended, never moved or reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// Status of the entity, in the entity's own vocabulary.
    Status,
    /// Full name of a person or an organisation.
    Name,
    /// Given names of a person.
    GivenName,
    /// Family name of a person.
    FamilyName,
    /// Person or organisation.
    PartyType,
    /// Customer tier.
    Tier,
    /// Customer segment.
    Segment,
    /// Life cycle of the account.
    Lifecycle,
    /// The plan that the customer has.
    Plan,
    /// Tax or VAT id.
    TaxId,
    /// D-U-N-S number.
    Duns,
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Street, with the house number if the source does not part them.
    Street,
    /// House number.
    HouseNumber,
    /// City.
    City,
    /// Postal code.
    PostalCode,
    /// Region, state or province.
    Region,
    /// Country, ISO 3166 alpha-2 where known.
    Country,
    /// Web domain.
    WebDomain,
    /// Date of birth of a person, ISO text.
    BirthDate,
    /// Parent account, same kind.
    ParentRef,
    /// The number under which other systems and callers name this record.
    AccountNumber,
    /// Cross-reference to a Salesforce account (id or account number).
    AccountXref,
    /// Cross-reference to an Oracle AR customer.
    ArCustomerXref,
    /// Cross-reference to a SAP business partner.
    PartnerXref,
    /// Key of a customer register that several systems carry.
    CustomerXref,
    /// Receivables balance, decimal in the record's currency.
    ArBalance,
    /// ISO 4217 code of the record's amounts.
    Currency,
    /// Credit standing.
    CreditStatus,
    /// Payment terms.
    PaymentTerms,
    /// The party record that the entity belongs to, in its own system.
    AccountRef,
    /// Type of case or service order.
    Type,
    /// Priority.
    Priority,
    /// How the case came in.
    Origin,
    /// Owner: a person or a queue.
    OwnerId,
    /// Team of the owner.
    OwnerTeam,
    /// Escalation level 0 to 3.
    EscalationLevel,
    /// Category of the issue.
    Category,
    /// Subject line.
    Subject,
    /// Free text.
    Description,
    /// When it was opened.
    OpenedAt,
    /// When it was resolved.
    ResolvedAt,
    /// When it was closed.
    ClosedAt,
    /// How often the source says it was re-opened.
    ReopenCount,
    /// Other entities that the record names.
    RelatedRefs,
    /// Impact.
    Impact,
    /// Failed process, product or record behind it.
    CauseRef,
    /// Amount, decimal in the record's currency.
    Amount,
    /// Tax within the amount.
    Tax,
    /// When it is due.
    DueDate,
    /// When it was issued.
    IssuedAt,
    /// What is still to be paid.
    Outstanding,
    /// What kind of bill: recurring, one-off, milestone.
    BillingType,
    /// Invoice lines within the record: amount, service_order_ref, period.
    Lines,
    /// Billing period of a line.
    Period,
    /// Kind of line: LINE, TAX, FREIGHT.
    LineType,
    /// The AR customer that is billed.
    ArCustomerRef,
    /// The invoice concerned.
    InvoiceRef,
    /// The dispute concerned.
    DisputeRef,
    /// The credit note concerned.
    CreditNoteRef,
    /// The case concerned.
    CaseRef,
    /// The service order concerned.
    ServiceOrderRef,
    /// The interaction concerned.
    InteractionRef,
    /// The caller profile that the contact came from.
    CallerRef,
    /// When the money was received.
    ReceivedAt,
    /// What the dispute is about.
    DisputeType,
    /// What was agreed to be credited.
    AgreedAmount,
    /// Channel of the contact.
    Channel,
    /// Who started the contact.
    Direction,
    /// The agent.
    AgentId,
    /// Duration in seconds.
    DurationS,
    /// How the contact ended.
    Disposition,
    /// Sentiment, decimal in [-1, 1].
    Sentiment,
    /// Start.
    StartedAt,
    /// End.
    EndedAt,
    /// Queue.
    Queue,
    /// Why, in words.
    Reason,
    /// Wrap-up text.
    WrapUp,
    /// What the customer said: at, who, text.
    Statements,
    /// Account or case number that the caller entered.
    EnteredNumber,
    /// When it is planned for.
    ScheduledAt,
    /// When it was completed.
    CompletedAt,
    /// Estimated cost.
    Estimate,
    /// Equipment concerned.
    AssetId,
    /// Whether the work is billed.
    Billable,
    /// How the order is billed: once, milestone.
    BillingPlan,
    /// The technician.
    TechnicianId,
    /// Expected arrival.
    Eta,
    /// What the visit achieved.
    Outcome,
    /// When the technician was sent.
    DispatchedAt,
    /// Arrival.
    ArrivedAt,
    /// Whether there is a hazard on site.
    SafetyFlag,
    /// Title.
    Title,
    /// Service order types that it applies to.
    OrderTypes,
    /// Case categories that it applies to.
    Categories,
    /// Team.
    Team,
    /// Working calendar.
    Calendar,
    /// Roles.
    Roles,
    /// Currency that the rate converts to.
    QuoteCurrency,
    /// Exchange rate, decimal.
    Rate,
    /// Day that the rate is for.
    ValidOn,
    /// System that the agent left.
    FromSystem,
    /// System that the agent went to.
    ToSystem,
    /// When the agent left.
    LeftAt,
    /// Team that hands over.
    FromTeam,
    /// Team that takes over.
    ToTeam,
    /// Agent who takes over.
    ToAgent,
    /// When the transfer began.
    InitiatedAt,
    /// Whether the hub can hold the transfer.
    Controlled,
    /// When the receiver accepted.
    AcceptedAt,
    /// Who accepted.
    AcceptedBy,
    /// When it was cancelled.
    CancelledAt,
    /// When the receiver gave it back.
    ReturnedAt,
    /// First party record of a pair.
    LeftRef,
    /// Second party record of a pair.
    RightRef,
    /// What a person decided.
    Verdict,
    /// Who decided.
    Actor,
    /// When it was decided.
    DecidedAt,
    /// How long a waiver holds.
    Until,
    /// The object that a decision is about.
    SubjectRef,
    /// Free text within a list item.
    Text,
    /// Instant within a list item.
    At,
    /// Speaker within a list item.
    Who,
    /// Entity named within a list item, as kind/id.
    Ref,
    /// Number of the attempt.
    Attempt,
    /// Known reporting lag of a source in milliseconds.
    LagMs,
    /// Who approves.
    Approver,
}

impl Vocabulary for Field {
    const ALL: &'static [(Self, &'static str)] = &[
        (Field::Status, "status"),
        (Field::Name, "name"),
        (Field::GivenName, "given_name"),
        (Field::FamilyName, "family_name"),
        (Field::PartyType, "party_type"),
        (Field::Tier, "tier"),
        (Field::Segment, "segment"),
        (Field::Lifecycle, "lifecycle"),
        (Field::Plan, "plan"),
        (Field::TaxId, "tax_id"),
        (Field::Duns, "duns"),
        (Field::Email, "email"),
        (Field::Phone, "phone"),
        (Field::Street, "street"),
        (Field::HouseNumber, "house_number"),
        (Field::City, "city"),
        (Field::PostalCode, "postal_code"),
        (Field::Region, "region"),
        (Field::Country, "country"),
        (Field::WebDomain, "web_domain"),
        (Field::BirthDate, "birth_date"),
        (Field::ParentRef, "parent_ref"),
        (Field::AccountNumber, "account_number"),
        (Field::AccountXref, "account_xref"),
        (Field::ArCustomerXref, "ar_customer_xref"),
        (Field::PartnerXref, "partner_xref"),
        (Field::CustomerXref, "customer_xref"),
        (Field::ArBalance, "ar_balance"),
        (Field::Currency, "currency"),
        (Field::CreditStatus, "credit_status"),
        (Field::PaymentTerms, "payment_terms"),
        (Field::AccountRef, "account_ref"),
        (Field::Type, "type"),
        (Field::Priority, "priority"),
        (Field::Origin, "origin"),
        (Field::OwnerId, "owner_id"),
        (Field::OwnerTeam, "owner_team"),
        (Field::EscalationLevel, "escalation_level"),
        (Field::Category, "category"),
        (Field::Subject, "subject"),
        (Field::Description, "description"),
        (Field::OpenedAt, "opened_at"),
        (Field::ResolvedAt, "resolved_at"),
        (Field::ClosedAt, "closed_at"),
        (Field::ReopenCount, "reopen_count"),
        (Field::RelatedRefs, "related_refs"),
        (Field::Impact, "impact"),
        (Field::CauseRef, "cause_ref"),
        (Field::Amount, "amount"),
        (Field::Tax, "tax"),
        (Field::DueDate, "due_date"),
        (Field::IssuedAt, "issued_at"),
        (Field::Outstanding, "outstanding"),
        (Field::BillingType, "billing_type"),
        (Field::Lines, "lines"),
        (Field::Period, "period"),
        (Field::LineType, "line_type"),
        (Field::ArCustomerRef, "ar_customer_ref"),
        (Field::InvoiceRef, "invoice_ref"),
        (Field::DisputeRef, "dispute_ref"),
        (Field::CreditNoteRef, "credit_note_ref"),
        (Field::CaseRef, "case_ref"),
        (Field::ServiceOrderRef, "service_order_ref"),
        (Field::InteractionRef, "interaction_ref"),
        (Field::CallerRef, "caller_ref"),
        (Field::ReceivedAt, "received_at"),
        (Field::DisputeType, "dispute_type"),
        (Field::AgreedAmount, "agreed_amount"),
        (Field::Channel, "channel"),
        (Field::Direction, "direction"),
        (Field::AgentId, "agent_id"),
        (Field::DurationS, "duration_s"),
        (Field::Disposition, "disposition"),
        (Field::Sentiment, "sentiment"),
        (Field::StartedAt, "started_at"),
        (Field::EndedAt, "ended_at"),
        (Field::Queue, "queue"),
        (Field::Reason, "reason"),
        (Field::WrapUp, "wrap_up"),
        (Field::Statements, "statements"),
        (Field::EnteredNumber, "entered_number"),
        (Field::ScheduledAt, "scheduled_at"),
        (Field::CompletedAt, "completed_at"),
        (Field::Estimate, "estimate"),
        (Field::AssetId, "asset_id"),
        (Field::Billable, "billable"),
        (Field::BillingPlan, "billing_plan"),
        (Field::TechnicianId, "technician_id"),
        (Field::Eta, "eta"),
        (Field::Outcome, "outcome"),
        (Field::DispatchedAt, "dispatched_at"),
        (Field::ArrivedAt, "arrived_at"),
        (Field::SafetyFlag, "safety_flag"),
        (Field::Title, "title"),
        (Field::OrderTypes, "order_types"),
        (Field::Categories, "categories"),
        (Field::Team, "team"),
        (Field::Calendar, "calendar"),
        (Field::Roles, "roles"),
        (Field::QuoteCurrency, "quote_currency"),
        (Field::Rate, "rate"),
        (Field::ValidOn, "valid_on"),
        (Field::FromSystem, "from_system"),
        (Field::ToSystem, "to_system"),
        (Field::LeftAt, "left_at"),
        (Field::FromTeam, "from_team"),
        (Field::ToTeam, "to_team"),
        (Field::ToAgent, "to_agent"),
        (Field::InitiatedAt, "initiated_at"),
        (Field::Controlled, "controlled"),
        (Field::AcceptedAt, "accepted_at"),
        (Field::AcceptedBy, "accepted_by"),
        (Field::CancelledAt, "cancelled_at"),
        (Field::ReturnedAt, "returned_at"),
        (Field::LeftRef, "left_ref"),
        (Field::RightRef, "right_ref"),
        (Field::Verdict, "verdict"),
        (Field::Actor, "actor"),
        (Field::DecidedAt, "decided_at"),
        (Field::Until, "until"),
        (Field::SubjectRef, "subject_ref"),
        (Field::Text, "text"),
        (Field::At, "at"),
        (Field::Who, "who"),
        (Field::Ref, "ref"),
        (Field::Attempt, "attempt"),
        (Field::LagMs, "lag_ms"),
        (Field::Approver, "approver"),
    ];

    fn code(self) -> u8 {
        self as u8
    }
}

impl Field {
    /// Class of the field's values.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Field::Name
            | Field::GivenName
            | Field::FamilyName
            | Field::TaxId
            | Field::Email
            | Field::Phone
            | Field::Street
            | Field::HouseNumber
            | Field::City
            | Field::PostalCode
            | Field::BirthDate
            | Field::Subject
            | Field::Description
            | Field::Reason
            | Field::WrapUp
            | Field::Statements
            | Field::Text => Class::Pii,
            Field::ArBalance
            | Field::CreditStatus
            | Field::PaymentTerms
            | Field::Amount
            | Field::Tax
            | Field::Outstanding
            | Field::Lines
            | Field::AgreedAmount
            | Field::Estimate => Class::Restricted,
            Field::Status
            | Field::PartyType
            | Field::Tier
            | Field::Segment
            | Field::Lifecycle
            | Field::Plan
            | Field::Duns
            | Field::Region
            | Field::Country
            | Field::WebDomain
            | Field::ParentRef
            | Field::AccountNumber
            | Field::AccountXref
            | Field::ArCustomerXref
            | Field::PartnerXref
            | Field::CustomerXref
            | Field::Currency
            | Field::AccountRef
            | Field::Type
            | Field::Priority
            | Field::Origin
            | Field::OwnerId
            | Field::OwnerTeam
            | Field::EscalationLevel
            | Field::Category
            | Field::OpenedAt
            | Field::ResolvedAt
            | Field::ClosedAt
            | Field::ReopenCount
            | Field::RelatedRefs
            | Field::Impact
            | Field::CauseRef
            | Field::DueDate
            | Field::IssuedAt
            | Field::BillingType
            | Field::Period
            | Field::LineType
            | Field::ArCustomerRef
            | Field::InvoiceRef
            | Field::DisputeRef
            | Field::CreditNoteRef
            | Field::CaseRef
            | Field::ServiceOrderRef
            | Field::InteractionRef
            | Field::CallerRef
            | Field::ReceivedAt
            | Field::DisputeType
            | Field::Channel
            | Field::Direction
            | Field::AgentId
            | Field::DurationS
            | Field::Disposition
            | Field::Sentiment
            | Field::StartedAt
            | Field::EndedAt
            | Field::Queue
            | Field::EnteredNumber
            | Field::ScheduledAt
            | Field::CompletedAt
            | Field::AssetId
            | Field::Billable
            | Field::BillingPlan
            | Field::TechnicianId
            | Field::Eta
            | Field::Outcome
            | Field::DispatchedAt
            | Field::ArrivedAt
            | Field::SafetyFlag
            | Field::Title
            | Field::OrderTypes
            | Field::Categories
            | Field::Team
            | Field::Calendar
            | Field::Roles
            | Field::QuoteCurrency
            | Field::Rate
            | Field::ValidOn
            | Field::FromSystem
            | Field::ToSystem
            | Field::LeftAt
            | Field::FromTeam
            | Field::ToTeam
            | Field::ToAgent
            | Field::InitiatedAt
            | Field::Controlled
            | Field::AcceptedAt
            | Field::AcceptedBy
            | Field::CancelledAt
            | Field::ReturnedAt
            | Field::LeftRef
            | Field::RightRef
            | Field::Verdict
            | Field::Actor
            | Field::DecidedAt
            | Field::Until
            | Field::SubjectRef
            | Field::At
            | Field::Who
            | Field::Ref
            | Field::Attempt
            | Field::LagMs
            | Field::Approver => Class::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fields_code_is_its_place_and_its_name_is_unique() {
        let mut names = std::collections::BTreeSet::new();
        for (place, (field, name)) in Field::ALL.iter().enumerate() {
            assert_eq!(usize::from(field.code()), place, "{name}");
            assert_eq!(Field::parse(name), Some(*field));
            assert!(names.insert(name), "{name} is named twice");
        }
    }
}
