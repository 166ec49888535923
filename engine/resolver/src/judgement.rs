//! Human decisions on pairs of records.

use compact_str::CompactString;
use ontology::Millis;
use ontology::status::Verdict;

/// What a person decided on a pair. The order is the one in which later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Same customer, or not.
    pub verdict: Verdict,
    /// Who decided.
    pub actor: CompactString,
    /// Why, in words.
    pub reason: CompactString,
    /// When it was decided, by the clock of the person's session.
    pub decided_at: Millis,
}

impl Judgement {
    /// By time, then actor; the rest only so that no two judgements tie.
    fn rank(&self) -> (Millis, &str, bool, &str) {
        (self.decided_at, &self.actor, self.verdict == Verdict::Unlink, &self.reason)
    }
}

/// All judgements on one pair; the latest counts, the others stay on record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judgements(Vec<Judgement>);

impl Judgements {
    /// Adds a judgement unless it is there already; whether it was added.
    pub(crate) fn add(&mut self, judgement: Judgement) -> bool {
        match self.0.binary_search_by(|known| known.rank().cmp(&judgement.rank())) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, judgement);
                true
            }
        }
    }

    pub(crate) fn latest(&self) -> Option<&Judgement> {
        self.0.last()
    }

    pub(crate) fn all(&self) -> &[Judgement] {
        &self.0
    }
}
