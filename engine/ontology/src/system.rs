//! The systems that facts come from.

use crate::vocabulary::Vocabulary;

/// Where a fact was made. `Engine` and `Human` are the hub itself and the people who use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum System {
    /// Salesforce: cases and accounts.
    Salesforce,
    /// Oracle receivables: invoices, payments, disputes, credit notes, AR customers.
    Oracle,
    /// Webex Contact Center: calls, chats, callers.
    Wxcc,
    /// SAP: service orders, field dispatches, business partners.
    Sap,
    /// The hub itself: configuration versions, command outcomes, timers.
    Engine,
    /// A person deciding through the API.
    Human,
    /// A second service desk that feeds cases by mapping alone.
    Zendesk,
}

impl System {
    /// The four systems whose freshness an answer depends on, in survivorship order.
    pub const SOURCES: [System; 4] = [System::Salesforce, System::Oracle, System::Sap, System::Wxcc];
}

impl Vocabulary for System {
    const ALL: &'static [(Self, &'static str)] = &[
        (System::Salesforce, "salesforce"),
        (System::Oracle, "oracle"),
        (System::Wxcc, "wxcc"),
        (System::Sap, "sap"),
        (System::Engine, "engine"),
        (System::Human, "human"),
        (System::Zendesk, "zendesk"),
    ];
}
