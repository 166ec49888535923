//! How good an outcome is, against the truth.
//!
//! Pairs: of the links, how many are right (precision); of the true pairs, how many are linked
//! (recall). Clusters: the same over all pairs of a customer, linked or not (*closed*), and B-cubed:
//! per record, how much of its customer is its own, and how much of its own is in its customer
//! (Bagga and Baldwin, 1998).

mod calibration;
mod clusters;
mod interval;
mod mistakes;
mod pairs;
mod truth;

use serde::Serialize;

use crate::outcome::Outcome;
use crate::records::Records;

pub use calibration::Bin;
pub use clusters::ClusterQuality;
pub use interval::wilson;
pub use mistakes::{Mistake, Mistaken, mistaken, mistakes};
pub use pairs::{Automatic, Quality, SourcePair};
pub use truth::{Labels, Truth};

/// The figures of one outcome. Shares are between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Records with a known truth; others are left out of every figure.
    pub records: usize,
    /// True pairs among them, of two sources if only those may be linked.
    pub true_pairs: u64,
    /// Links against true pairs.
    pub pairwise: Quality,
    /// Closed customers against true ones.
    pub clusters: ClusterQuality,
    /// Links with the interval of their precision.
    pub automatic: Automatic,
    /// Links and true pairs by the sources of their records.
    pub by_sources: Vec<SourcePair>,
    /// The largest share of true pairs among the most probable pairs of which 99 in 100 are right.
    pub recall_at_precision_99: f64,
    /// Pairs that were compared.
    pub candidates: u64,
    /// Share of true pairs that were compared; none if the run did not keep its candidates.
    pub blocking_recall: Option<f64>,
    /// Promised against observed probability.
    pub calibration: Vec<Bin>,
}

/// Compares an outcome with the truth.
#[must_use]
pub fn evaluate(records: &Records, truth: &Truth, outcome: &Outcome, candidates: u64, across_only: bool) -> Evaluation {
    let judged = pairs::Judged::of(records, truth, outcome, across_only);
    let automatic = judged.automatic();
    Evaluation {
        records: truth.known(),
        true_pairs: judged.true_pairs,
        pairwise: Quality::of(judged.links_right, judged.links, judged.true_pairs),
        clusters: ClusterQuality::of(truth, &outcome.customers),
        automatic,
        by_sources: judged.by_sources(records),
        recall_at_precision_99: judged.recall_at(0.99),
        candidates,
        blocking_recall: outcome.has_candidates.then(|| judged.blocking_recall()),
        calibration: calibration::bins(judged.ranked()),
    }
}
