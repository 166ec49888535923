//! What the resolver answers with: customers, changes of customers, candidates, explanations.

use compact_str::CompactString;
use ontology::{CustomerId, EntityKey, Vocabulary};

use crate::blocking::BlockKinds;
use crate::confidence::Confidence;
use crate::feature::{Feature, Level, Levels};
use crate::judgement::Judgement;

/// A customer: party records that are one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Id, a function of the smallest member.
    pub id: CustomerId,
    /// Members, sorted: Salesforce, Oracle, SAP, Webex, then by id.
    pub members: Vec<EntityKey>,
    /// Accepted pairs within the cluster, sorted by pair.
    pub links: Vec<Link>,
}

/// A member of a customer, and what holds it there. A customer's links form a tree of unions, the
/// strongest first: from a member towards the one that all others came to, confidences never rise, so
/// the last one passed on the way between two members is that of the weakest link they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The record.
    pub key: EntityKey,
    /// Confidence of its strongest accepted link within the customer, if it has one.
    pub strongest: Option<Confidence>,
    /// Place of the member that its group of members came to, and the confidence of the link by which;
    /// none for the one that all others came to.
    pub joined: Option<(usize, Confidence)>,
}

/// An accepted pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The smaller record.
    pub left: EntityKey,
    /// The larger record.
    pub right: EntityKey,
    /// How sure; a person's link is certain.
    pub confidence: Confidence,
    /// Whether a person decided it.
    pub is_human: bool,
}

/// Customers before and after, connected by common members. Merges and splits are read from it;
/// with equal members on both sides a record, a confidence or a candidate of the customer changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterChange {
    /// Customers that were, sorted by smallest member. Their links are not told again.
    pub before: Vec<Cluster>,
    /// Customers that are, sorted by smallest member.
    pub after: Vec<Cluster>,
    /// What brought it about; of several causes the first in the order of [`Cause`].
    pub cause: Cause,
}

/// Why customers changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A person decided on a pair.
    Judged {
        /// The smaller record of the pair.
        left: EntityKey,
        /// The larger record of the pair.
        right: EntityKey,
    },
    /// A record was deleted.
    Removed(EntityKey),
    /// A value became generic or stopped being so.
    Generic,
    /// A record appeared or changed.
    Changed(EntityKey),
}

/// What became of a candidate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkState {
    /// Accepted, and both records are in one customer by it.
    Linked,
    /// A person has to decide.
    Review,
    /// Not alike enough.
    Below,
    /// A person decided that they are not the same.
    Unlinked,
}

/// Why a pair waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhyNotAutomatic {
    /// The confidence lies in the review band.
    ReviewBand,
    /// Tax ids differ.
    TaxIdVeto,
    /// Cross-reference keys name different records.
    KeyVeto,
    /// The union would hold a vetoed pair.
    ClusterConflict,
}

impl Vocabulary for LinkState {
    const ALL: &'static [(Self, &'static str)] = &[
        (LinkState::Linked, "linked"),
        (LinkState::Review, "review"),
        (LinkState::Below, "below"),
        (LinkState::Unlinked, "unlinked"),
    ];
}

impl Vocabulary for WhyNotAutomatic {
    const ALL: &'static [(Self, &'static str)] = &[
        (WhyNotAutomatic::ReviewBand, "review_band"),
        (WhyNotAutomatic::TaxIdVeto, "tax_id_veto"),
        (WhyNotAutomatic::KeyVeto, "key_veto"),
        (WhyNotAutomatic::ClusterConflict, "cluster_conflict"),
    ];
}

/// A candidate pair from the side of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The other record.
    pub other: EntityKey,
    /// How sure.
    pub confidence: Confidence,
    /// What became of the pair.
    pub state: LinkState,
    /// Why it waits, if it is in review.
    pub why_not_automatic: Option<WhyNotAutomatic>,
}

/// A pair that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewItem {
    /// The smaller record.
    pub left: EntityKey,
    /// The larger record.
    pub right: EntityKey,
    /// How sure the resolver is.
    pub confidence: Confidence,
    /// How well each feature agrees.
    pub features: Vec<(Feature, Level)>,
    /// Why it was not decided automatically.
    pub why_not_automatic: WhyNotAutomatic,
}

/// Why two records are, or are not, one customer. Values are personal data: whoever shows them
/// masks them by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The smaller record, unless seen from the other.
    pub left: EntityKey,
    /// The larger record, unless seen from it.
    pub right: EntityKey,
    /// Features that either record has, in order.
    pub features: Vec<FeatureExplanation>,
    /// Log2 odds before any feature, thousandths.
    pub prior_millibits: i32,
    /// Prior and contributions together.
    pub total_millibits: i32,
    /// Floors and ceilings that applied, by name, in order.
    pub rules: Vec<&'static str>,
    /// Automatic vetoes on the pair.
    pub vetoes: Vec<WhyNotAutomatic>,
    /// Judgements on the pair, latest last.
    pub judgements: Vec<Judgement>,
    /// Confidence after rules, before judgements.
    pub confidence: Confidence,
    /// The gate of the automatic link.
    pub threshold: Confidence,
    /// What became of the pair.
    pub state: LinkState,
    /// Why it waits, if it is in review.
    pub why_not_automatic: Option<WhyNotAutomatic>,
    /// Whether blocking proposed the pair or a person named it; other pairs are never decided.
    pub was_candidate: bool,
    /// Kinds of blocks that the records have in common, retired ones left out.
    pub met_by: BlockKinds,
    /// Whether both records are in one customer, by this pair or by others.
    pub same_customer: bool,
    /// Version of the model.
    pub model_version: CompactString,
}

impl Explanation {
    /// The same with `record` on the left, where it is one of the two.
    #[must_use]
    pub fn seen_from(mut self, record: &EntityKey) -> Self {
        if self.right == *record {
            std::mem::swap(&mut self.left, &mut self.right);
            for feature in &mut self.features {
                std::mem::swap(&mut feature.left, &mut feature.right);
            }
        }
        self
    }
}

/// One feature of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureExplanation {
    /// Which feature.
    pub feature: Feature,
    /// Value of the left record in standard form, empty if it has none.
    pub left: CompactString,
    /// Value of the right record in standard form, empty if it has none.
    pub right: CompactString,
    /// How well they agree.
    pub level: Level,
    /// What it adds to the log2 odds, thousandths, after what a home shares was weighed as a whole.
    pub contribution_millibits: i32,
    /// Whether the value is ignored because too many records share it.
    pub is_generic: bool,
    /// Whether a blocking data finding forbids an automatic link to rest on it.
    pub is_blocked: bool,
}

/// How much there is, and how much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Living records.
    pub records: usize,
    /// Pairs kept with their comparison vector.
    pub edges: usize,
    /// Pairs compared since the beginning, again ones included.
    pub compared: u64,
    /// Records and kept pairs looked at to form customers since the beginning, again ones included.
    pub visited: u64,
    /// Records on the redo queue.
    pub pending: usize,
    /// Pairs that wait for a person.
    pub in_review: usize,
    /// Blocks that propose nothing because too many records share them.
    pub retired_blocks: usize,
}

/// A kept pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairDecision<'a> {
    /// The smaller record.
    pub left: &'a EntityKey,
    /// The larger record.
    pub right: &'a EntityKey,
    /// The comparison vector.
    pub levels: Levels,
    /// Prior and contributions together.
    pub total_millibits: i32,
    /// Confidence after rules; a person's link is certain.
    pub confidence: Confidence,
    /// What became of the pair.
    pub state: LinkState,
    /// Whether a person decided to link.
    pub is_human: bool,
}
