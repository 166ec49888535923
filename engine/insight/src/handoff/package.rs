//! Packages: what a receiver gets, version by version.

use compact_str::CompactString;
use ontology::{CustomerId, EntityKey, Evidence, LogPos, Millis, Vocabulary};

use super::section::{Section, SectionName};
use crate::words;

/// One part of the narrative's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The section that it speaks of.
    pub section: SectionName,
    /// What it says.
    pub text: CompactString,
    /// What it says to a role that may not see amounts; the same if it names none.
    pub text_without_money: CompactString,
}

/// The one sentence that a receiver reads first, kept in parts so that parts can be left out for a
/// role without leaving a trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Narrative {
    /// The receiving team.
    pub team: CompactString,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

impl Narrative {
    /// The whole sentence.
    #[must_use]
    pub fn text(&self) -> String {
        self.compose(|part| Some(&part.text))
    }

    /// The sentence as `wording` wants each part, none to leave a part out.
    pub fn compose<'a>(&'a self, wording: impl Fn(&'a Part) -> Option<&'a CompactString>) -> String {
        let parts: Vec<&CompactString> = self.parts.iter().filter_map(wording).collect();
        if parts.is_empty() {
            return format!("Transferring to {} team.", self.team);
        }
        format!("Transferring to {} team — attaching {}.", self.team, words::join(&parts))
    }
}

/// What a recommendation advises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Advice {
    /// An accepted correlation says that the charge is likely correct.
    VerifyBeforeCredit,
    /// A credit is on its way.
    CreditPending,
    /// A service order is in flight.
    ServiceInFlight,
    /// The customer is unhappy.
    LowSentiment,
    /// A service level is close to its limit.
    SlaAtRisk,
    /// A record that may be the customer's awaits a steward.
    IdentityInReview,
    /// Systems contradict each other.
    OpenDiscrepancy,
}

impl Vocabulary for Advice {
    const ALL: &'static [(Self, &'static str)] = &[
        (Advice::VerifyBeforeCredit, "verify_before_credit"),
        (Advice::CreditPending, "credit_pending"),
        (Advice::ServiceInFlight, "service_in_flight"),
        (Advice::LowSentiment, "low_sentiment"),
        (Advice::SlaAtRisk, "sla_at_risk"),
        (Advice::IdentityInReview, "identity_in_review"),
        (Advice::OpenDiscrepancy, "open_discrepancy"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

/// Advice to the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommendation {
    /// What it advises.
    pub code: Advice,
    /// Why, in one sentence that names nothing without evidence.
    pub reason: CompactString,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}

/// What a package says, before it has a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageContent {
    /// The sections, in reading order.
    pub sections: Vec<Section>,
    /// The sentence that sums them up.
    pub narrative: Narrative,
    /// Advice.
    pub recommendations: Vec<Recommendation>,
    /// The customer's party records, in survivorship order.
    pub members: Vec<EntityKey>,
}

impl PackageContent {
    /// One section.
    #[must_use]
    pub fn section(&self, name: SectionName) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The required sections that are stale or unavailable, in reading order.
    pub fn gaps(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.name.is_required() && !section.status.is_settled())
    }

    /// How many of the required sections are there, and how many there should be.
    #[must_use]
    pub fn completeness(&self) -> (usize, usize) {
        let required = self.sections.iter().filter(|section| section.name.is_required()).count();
        (required - self.gaps().count(), required)
    }

    /// All evidence of all sections, in reading order.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.sections.iter().flat_map(|section| &section.items).flat_map(|item| &item.evidence)
    }

    /// Whether both say the same. Words that follow from the calendar alone, such as `yesterday`,
    /// are not compared, or every midnight would make a new version.
    #[must_use]
    pub fn says_the_same(&self, other: &PackageContent) -> bool {
        let advice = |content: &PackageContent| content.recommendations.iter().map(|r| r.code).collect::<Vec<_>>();
        self.members == other.members
            && self.sections.len() == other.sections.len()
            && self.sections.iter().zip(&other.sections).all(|(a, b)| a.says_the_same(b))
            && advice(self) == advice(other)
    }
}

/// What a change of the customer's identity did to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IdentityChange {
    /// Records joined the customer.
    Merged,
    /// Records left the customer; what came from them is retracted.
    Split,
}

impl Vocabulary for IdentityChange {
    const ALL: &'static [(Self, &'static str)] =
        &[(IdentityChange::Merged, "merged"), (IdentityChange::Split, "split")];
    fn code(self) -> u8 {
        self as u8
    }
}

/// One immutable version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Counts from 1.
    pub version: u32,
    /// The customer that it was made for.
    pub customer: CustomerId,
    /// When it was made; what it says is as of then.
    pub as_of: Millis,
    /// The position that it reflects.
    pub log_pos: LogPos,
    /// What a change of identity did to it, since the version before.
    pub identity_changed: Option<IdentityChange>,
    /// What it says.
    pub content: PackageContent,
}
