//! Sections of a package: what the receiver is told from each system, or why there is nothing.

use compact_str::CompactString;
use ontology::{EntityKey, Evidence, Field, Millis, Vocabulary};

/// The sections of a package, in reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SectionName {
    /// The case with its history.
    Case,
    /// The customer's party records.
    Identity,
    /// Invoices and disputes.
    Billing,
    /// What the customer said before.
    Interaction,
    /// Service orders and dispatches.
    Service,
    /// Service level clocks.
    Sla,
    /// Open discrepancies.
    Discrepancies,
    /// Accepted correlations.
    Correlations,
    /// Published articles that fit the case.
    Knowledge,
}

impl Vocabulary for SectionName {
    const ALL: &'static [(Self, &'static str)] = &[
        (SectionName::Case, "case"),
        (SectionName::Identity, "identity"),
        (SectionName::Billing, "billing"),
        (SectionName::Interaction, "interaction"),
        (SectionName::Service, "service"),
        (SectionName::Sla, "sla"),
        (SectionName::Discrepancies, "discrepancies"),
        (SectionName::Correlations, "correlations"),
        (SectionName::Knowledge, "knowledge"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

impl SectionName {
    /// Whether a package without this section is incomplete.
    #[must_use]
    pub fn is_required(self) -> bool {
        match self {
            SectionName::Case
            | SectionName::Identity
            | SectionName::Billing
            | SectionName::Interaction
            | SectionName::Service => true,
            SectionName::Sla | SectionName::Discrepancies | SectionName::Correlations | SectionName::Knowledge => false,
        }
    }

    /// Whether a transfer waits for this section.
    #[must_use]
    pub fn holds(self) -> bool {
        matches!(self, SectionName::Billing | SectionName::Interaction)
    }
}

/// Why a section has nothing to show though there may be something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Missing {
    /// The source is not up to date, so that nothing can be said.
    SourceDown,
    /// A record of that system may be the customer's; a steward has to decide.
    IdentityInReview,
    /// Known to exist, and its content did not come in time.
    Timeout,
    /// The hub has no rule that fills this section.
    NotEvaluated,
}

impl Vocabulary for Missing {
    const ALL: &'static [(Self, &'static str)] = &[
        (Missing::SourceDown, "source_down"),
        (Missing::IdentityInReview, "identity_in_review"),
        (Missing::Timeout, "timeout"),
        (Missing::NotEvaluated, "not_evaluated"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

/// What became of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionStatus {
    /// There.
    Present,
    /// Known to be empty, from a fresh source.
    ConfirmedEmpty {
        /// Whether that is because the system has no record of the customer at all.
        is_without_counterpart: bool,
    },
    /// The last known content; something newer may exist.
    Stale,
    /// Nothing to show.
    Unavailable(Missing),
    /// There, but not for the reader's role. Assessment never gives it; an answer to a role may.
    Restricted,
}

impl SectionStatus {
    /// Whether the section counts as there.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            SectionStatus::Present | SectionStatus::ConfirmedEmpty { .. } | SectionStatus::Restricted => true,
            SectionStatus::Stale | SectionStatus::Unavailable(_) => false,
        }
    }

    /// The status without its reason: `present`, `confirmed_empty`, `stale`, `unavailable`,
    /// `restricted`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SectionStatus::Present => "present",
            SectionStatus::ConfirmedEmpty { .. } => "confirmed_empty",
            SectionStatus::Stale => "stale",
            SectionStatus::Unavailable(_) => "unavailable",
            SectionStatus::Restricted => "restricted",
        }
    }

    /// Why it is empty or missing; empty text if nothing has to be explained.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            SectionStatus::ConfirmedEmpty { is_without_counterpart: true } => "no_counterpart",
            SectionStatus::Stale => "stale",
            SectionStatus::Unavailable(missing) => missing.name(),
            SectionStatus::Present
            | SectionStatus::ConfirmedEmpty { is_without_counterpart: false }
            | SectionStatus::Restricted => "",
        }
    }
}

/// One thing that an item says: a statement, a step of a history. The field tells who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The field that it was read from.
    pub field: Field,
    /// When it was said or happened; its age follows from the time of reading.
    pub at: Option<Millis>,
    /// The words.
    pub text: CompactString,
}

/// One record in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The record.
    pub entity: EntityKey,
    /// What it says, oldest first.
    pub lines: Vec<Line>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

impl Item {
    /// Whether both say the same, wherever in the log it stands.
    fn says_the_same(&self, other: &Item) -> bool {
        let same = |(a, b): (&Evidence, &Evidence)| {
            (&a.entity, a.field, &a.value, &a.version) == (&b.entity, b.field, &b.value, &b.version)
        };
        self.entity == other.entity
            && self.lines == other.lines
            && self.evidence.len() == other.evidence.len()
            && self.evidence.iter().zip(&other.evidence).all(same)
    }
}

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Which.
    pub name: SectionName,
    /// What became of it.
    pub status: SectionStatus,
    /// Its records, in reading order.
    pub items: Vec<Item>,
}

impl Section {
    /// Whether both say the same, wherever in the log it stands.
    #[must_use]
    pub fn says_the_same(&self, other: &Section) -> bool {
        self.name == other.name
            && self.status == other.status
            && self.items.len() == other.items.len()
            && self.items.iter().zip(&other.items).all(|(a, b)| a.says_the_same(b))
    }
}
