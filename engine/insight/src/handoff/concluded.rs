//! What a package takes over from the conclusions about its customer.

use ontology::{EntityKey, Evidence};

use crate::correlate::Verdict;
use crate::derived::Derived;

/// One conclusion.
#[derive(Debug, Clone)]
pub(super) struct Conclusion<'a> {
    /// What it is about.
    pub subjects: &'a [EntityKey],
    /// It in words.
    pub sentence: Option<&'a str>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// Whether it is a correlation that speaks for the charge.
    pub is_likely_correct: bool,
}

/// The conclusions that a receiver has to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Concluded<'a> {
    /// Discrepancies that somebody still has to act on.
    pub open_discrepancies: Vec<Conclusion<'a>>,
    /// Correlations that are accepted, whatever their verdict.
    pub accepted_correlations: Vec<Conclusion<'a>>,
}

impl<'a> Concluded<'a> {
    /// Picks them out.
    pub fn read(derived: &'a Derived) -> Self {
        let discrepancy = |discrepancy: &'a crate::derived::Discrepancy| Conclusion {
            subjects: &discrepancy.grounds.subjects,
            sentence: discrepancy.sentence.as_deref(),
            evidence: discrepancy.grounds.evidence(),
            is_likely_correct: false,
        };
        let correlation = |correlation: &'a std::sync::Arc<crate::derived::Correlation>| Conclusion {
            subjects: &correlation.grounds.subjects,
            sentence: correlation.sentence.as_deref(),
            evidence: correlation.grounds.evidence(),
            is_likely_correct: correlation.verdict == Verdict::LikelyCorrectCharge,
        };
        Concluded {
            open_discrepancies: derived.discrepancies.iter().filter(|d| d.is_open()).map(discrepancy).collect(),
            accepted_correlations: derived.correlations.iter().filter(|c| c.is_accepted()).map(correlation).collect(),
        }
    }
}
