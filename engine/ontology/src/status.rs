//! Closed status vocabularies and the derived sets that the rules speak of.

use crate::vocabulary::Vocabulary;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$word_doc])* $word),+ }
        impl Vocabulary for $name {
            const ALL: &'static [(Self, &'static str)] = &[$(($name::$word, $text)),+];
            fn code(self) -> u8 { self as u8 }
        }
    };
}

vocabulary! {
    /// Status of a case.
    CaseStatus {
        /// Just opened.
        New = "New",
        /// Being worked on.
        InProgress = "InProgress",
        /// Waiting for the customer: SLA clocks pause.
        WaitingCustomer = "WaitingCustomer",
        /// Waiting for somebody inside.
        WaitingInternal = "WaitingInternal",
        /// Escalated.
        Escalated = "Escalated",
        /// Resolved.
        Resolved = "Resolved",
        /// Closed.
        Closed = "Closed",
    }
}

impl CaseStatus {
    /// Resolved or Closed.
    #[must_use]
    pub fn is_resolved(self) -> bool {
        match self {
            CaseStatus::Resolved | CaseStatus::Closed => true,
            CaseStatus::New
            | CaseStatus::InProgress
            | CaseStatus::WaitingCustomer
            | CaseStatus::WaitingInternal
            | CaseStatus::Escalated => false,
        }
    }
}

vocabulary! {
    /// Status of an invoice.
    InvoiceStatus {
        /// Not yet issued.
        Draft = "Draft",
        /// Issued and unpaid.
        Open = "Open",
        /// Paid in part.
        PartiallyPaid = "PartiallyPaid",
        /// In dispute.
        Disputed = "Disputed",
        /// Paid.
        Paid = "Paid",
        /// Cancelled.
        Cancelled = "Cancelled",
        /// Written off.
        WrittenOff = "WrittenOff",
    }
}

impl InvoiceStatus {
    /// Open, PartiallyPaid or Disputed.
    #[must_use]
    pub fn is_pending(self) -> bool {
        match self {
            InvoiceStatus::Open | InvoiceStatus::PartiallyPaid | InvoiceStatus::Disputed => true,
            InvoiceStatus::Draft | InvoiceStatus::Paid | InvoiceStatus::Cancelled | InvoiceStatus::WrittenOff => false,
        }
    }
}

vocabulary! {
    /// Status of a payment.
    PaymentStatus {
        /// Received, not applied to an invoice.
        Unapplied = "Unapplied",
        /// Applied.
        Applied = "Applied",
        /// Reversed.
        Reversed = "Reversed",
    }
}

vocabulary! {
    /// Status of a dispute.
    DisputeStatus {
        /// Raised.
        Open = "Open",
        /// Under review.
        UnderReview = "UnderReview",
        /// Closed in the customer's favour.
        ResolvedAccepted = "ResolvedAccepted",
        /// Closed against the customer.
        ResolvedRejected = "ResolvedRejected",
        /// Taken back by the customer.
        Withdrawn = "Withdrawn",
    }
}

impl DisputeStatus {
    /// Open or UnderReview.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            DisputeStatus::Open | DisputeStatus::UnderReview => true,
            DisputeStatus::ResolvedAccepted | DisputeStatus::ResolvedRejected | DisputeStatus::Withdrawn => false,
        }
    }
}

vocabulary! {
    /// Status of a credit note or of the request for one.
    CreditNoteStatus {
        /// Being written.
        Draft = "Draft",
        /// Waiting for approval.
        PendingApproval = "PendingApproval",
        /// Approved.
        Approved = "Approved",
        /// Applied to the invoice.
        Applied = "Applied",
        /// Refused.
        Rejected = "Rejected",
        /// Cancelled.
        Cancelled = "Cancelled",
    }
}

impl CreditNoteStatus {
    /// Draft or PendingApproval.
    #[must_use]
    pub fn is_pending(self) -> bool {
        match self {
            CreditNoteStatus::Draft | CreditNoteStatus::PendingApproval => true,
            CreditNoteStatus::Approved
            | CreditNoteStatus::Applied
            | CreditNoteStatus::Rejected
            | CreditNoteStatus::Cancelled => false,
        }
    }

    /// Approved or Applied.
    #[must_use]
    pub fn is_effective(self) -> bool {
        match self {
            CreditNoteStatus::Approved | CreditNoteStatus::Applied => true,
            CreditNoteStatus::Draft
            | CreditNoteStatus::PendingApproval
            | CreditNoteStatus::Rejected
            | CreditNoteStatus::Cancelled => false,
        }
    }
}

vocabulary! {
    /// Status of an interaction.
    InteractionStatus {
        /// Waiting in a queue.
        Queued = "Queued",
        /// With an agent.
        Active = "Active",
        /// On hold.
        Held = "Held",
        /// The agent is wrapping up.
        WrapUp = "WrapUp",
        /// Over.
        Ended = "Ended",
    }
}

impl InteractionStatus {
    /// Everything but Ended.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            InteractionStatus::Queued
            | InteractionStatus::Active
            | InteractionStatus::Held
            | InteractionStatus::WrapUp => true,
            InteractionStatus::Ended => false,
        }
    }
}

vocabulary! {
    /// How a contact came.
    Channel {
        /// Telephone.
        Call = "call",
        /// Chat or messaging.
        Chat = "chat",
        /// E-mail.
        Email = "email",
        /// A call back that the customer asked for.
        Callback = "callback",
    }
}

vocabulary! {
    /// Which side started a contact.
    Direction {
        /// The customer.
        Inbound = "inbound",
        /// The company.
        Outbound = "outbound",
    }
}

vocabulary! {
    /// Status of a service order.
    ServiceOrderStatus {
        /// Created.
        Created = "Created",
        /// Has a date.
        Scheduled = "Scheduled",
        /// Being carried out.
        InProgress = "InProgress",
        /// Carried out.
        Completed = "Completed",
        /// Cancelled.
        Cancelled = "Cancelled",
        /// Could not be carried out.
        Failed = "Failed",
    }
}

impl ServiceOrderStatus {
    /// Created, Scheduled or InProgress.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        match self {
            ServiceOrderStatus::Created | ServiceOrderStatus::Scheduled | ServiceOrderStatus::InProgress => true,
            ServiceOrderStatus::Completed | ServiceOrderStatus::Cancelled | ServiceOrderStatus::Failed => false,
        }
    }
}

vocabulary! {
    /// What a service order does.
    ServiceOrderType {
        /// First installation.
        Install = "Install",
        /// To a larger plan.
        PlanUpgrade = "PlanUpgrade",
        /// To a smaller plan.
        PlanDowngrade = "PlanDowngrade",
        /// Repair.
        Repair = "Repair",
        /// Replacement of equipment.
        Replacement = "Replacement",
        /// Move to another site.
        Relocation = "Relocation",
        /// Planned maintenance.
        Maintenance = "Maintenance",
        /// End of service.
        Disconnect = "Disconnect",
        /// Anything else.
        Other = "Other",
    }
}

vocabulary! {
    /// Status of a field dispatch.
    DispatchStatus {
        /// Planned, nobody assigned.
        Planned = "Planned",
        /// A technician is assigned.
        Assigned = "Assigned",
        /// Sent out.
        Dispatched = "Dispatched",
        /// On the way.
        EnRoute = "EnRoute",
        /// At the customer's.
        OnSite = "OnSite",
        /// Done.
        Completed = "Completed",
        /// Cancelled.
        Cancelled = "Cancelled",
        /// Could not be done.
        Failed = "Failed",
    }
}

impl DispatchStatus {
    /// Planned up to OnSite.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        match self {
            DispatchStatus::Planned
            | DispatchStatus::Assigned
            | DispatchStatus::Dispatched
            | DispatchStatus::EnRoute
            | DispatchStatus::OnSite => true,
            DispatchStatus::Completed | DispatchStatus::Cancelled | DispatchStatus::Failed => false,
        }
    }
}

vocabulary! {
    /// What a visit achieved.
    DispatchOutcome {
        /// The fault is gone.
        Fixed = "Fixed",
        /// Better, not gone.
        PartiallyFixed = "PartiallyFixed",
        /// Not fixed.
        NotFixed = "NotFixed",
        /// Nobody let the technician in.
        NoAccess = "NoAccess",
        /// Parts are missing.
        PartsNeeded = "PartsNeeded",
    }
}

vocabulary! {
    /// Whether a party record stands for a person or an organisation.
    PartyType {
        /// A person.
        Person = "person",
        /// A company, an authority, an association.
        Organisation = "organisation",
    }
}

vocabulary! {
    /// Credit standing in receivables.
    CreditStatus {
        /// No restriction.
        Good = "Good",
        /// On credit hold.
        Hold = "Hold",
    }
}

vocabulary! {
    /// Life cycle of a customer account.
    Lifecycle {
        /// Not a customer yet.
        Prospect = "Prospect",
        /// A customer.
        Active = "Active",
        /// No longer one.
        Inactive = "Inactive",
    }
}

vocabulary! {
    /// Case priority.
    Priority {
        /// Most urgent.
        P1 = "P1",
        /// Urgent.
        P2 = "P2",
        /// Normal.
        P3 = "P3",
        /// Can wait.
        P4 = "P4",
    }
}

vocabulary! {
    /// A person's decision on a pair of party records.
    Verdict {
        /// They are the same customer.
        Link = "link",
        /// They are not the same.
        Unlink = "unlink",
    }
}

vocabulary! {
    /// What a person did to a discrepancy or an alert.
    Decision {
        /// Seen, being worked on.
        Acknowledged = "acknowledged",
        /// Accepted as it is, until a date.
        Waived = "waived",
        /// Settled by hand.
        Resolved = "resolved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<V: Vocabulary + std::fmt::Debug>() {
        for (place, (word, name)) in V::ALL.iter().enumerate() {
            assert_eq!(usize::from(word.code()), place, "{name}");
            assert_eq!(V::from_code(word.code()), Some(*word));
            assert_eq!(V::parse(&name.to_uppercase()), Some(*word));
        }
        assert_eq!(V::from_code(200), None);
        assert_eq!(V::parse("no such word"), None);
    }

    #[test]
    fn codes_are_places_and_names_read_back() {
        check::<CaseStatus>();
        check::<InvoiceStatus>();
        check::<PaymentStatus>();
        check::<DisputeStatus>();
        check::<CreditNoteStatus>();
        check::<InteractionStatus>();
        check::<Channel>();
        check::<Direction>();
        check::<ServiceOrderStatus>();
        check::<ServiceOrderType>();
        check::<DispatchStatus>();
        check::<DispatchOutcome>();
        check::<PartyType>();
        check::<CreditStatus>();
        check::<Lifecycle>();
        check::<Priority>();
        check::<Verdict>();
        check::<Decision>();
    }
}
