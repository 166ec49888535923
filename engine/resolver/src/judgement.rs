//! Human decisions on pairs of records.

use compact_str::CompactString;
use ontology::status::Verdict;
use ontology::{EntityKey, Millis};

use crate::answer::Cause;
use crate::graph::{Graph, Pair, pair};
use crate::resolver::Resolver;

/// What a person decided on a pair. The order is the one in which later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The record that says so. It says one thing at a time: what it said before counts no more.
    pub record: CompactString,
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
    fn rank(&self) -> (Millis, &str, bool, &str, &str) {
        (self.decided_at, &self.actor, self.verdict == Verdict::Unlink, &self.reason, &self.record)
    }
}

/// What all records say of one pair now; the latest counts, the others are told beside it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judgements(Vec<Judgement>);

impl Judgements {
    pub(crate) fn latest(&self) -> Option<&Judgement> {
        self.0.last()
    }

    pub(crate) fn all(&self) -> &[Judgement] {
        &self.0
    }

    fn add(&mut self, judgement: Judgement) {
        let at = self.0.partition_point(|known| known.rank() < judgement.rank());
        self.0.insert(at, judgement);
    }
}

impl Resolver {
    /// Takes what a record of a person's decision says now, in place of what it said before. The
    /// records of the pair need not have been seen yet. Of several decisions on a pair the latest by
    /// time, then actor, counts; a repeat changes nothing.
    pub fn judge(&mut self, left: EntityKey, right: EntityKey, judgement: Judgement) {
        if left == right {
            return self.withdraw(&judgement.record);
        }
        let pair = pair(self.intern(&left), self.intern(&right));
        let known = self.graph.sayings.get(&judgement.record);
        if known == Some(&pair) && self.graph.judgements.get(&pair).is_some_and(|all| all.0.contains(&judgement)) {
            return;
        }
        self.withdraw(&judgement.record);
        self.graph.sayings.insert(judgement.record.clone(), pair);
        self.graph.add_judgement(pair, judgement);
        self.mark_judged(pair);
    }

    /// When people last decided on a pair; none if nobody did.
    #[must_use]
    pub fn last_judged(&self, left: &EntityKey, right: &EntityKey) -> Option<Millis> {
        let pair = pair(self.graph.slot(left)?, self.graph.slot(right)?);
        Some(self.graph.judgements.get(&pair)?.latest()?.decided_at)
    }

    /// Forgets what a record of a person's decision said: it was deleted, or says nothing any more.
    pub fn withdraw(&mut self, record: &str) {
        let Some(pair) = self.graph.sayings.remove(record) else { return };
        self.graph.take_judgement(pair, record);
        self.mark_judged(pair);
    }

    fn mark_judged(&mut self, (a, b): Pair) {
        let (left, right) = self.graph.by_key((a, b));
        let key = |slot| self.graph.node(slot).key.clone();
        let cause = Cause::Judged { left: key(left), right: key(right) };
        self.mark(a, cause.clone());
        self.mark(b, cause);
    }
}

impl Graph {
    fn add_judgement(&mut self, pair: Pair, judgement: Judgement) {
        self.judgements.entry(pair).or_default().add(judgement);
        for (one, other) in [pair, (pair.1, pair.0)] {
            let judged = self.judged.entry(one).or_default();
            if !judged.contains(&other) {
                judged.push(other);
            }
        }
    }

    fn take_judgement(&mut self, pair: Pair, record: &str) {
        let Some(judgements) = self.judgements.get_mut(&pair) else { return };
        judgements.0.retain(|judgement| judgement.record != record);
        if !judgements.0.is_empty() {
            return;
        }
        self.judgements.remove(&pair);
        for (one, other) in [pair, (pair.1, pair.0)] {
            if let Some(judged) = self.judged.get_mut(&one) {
                judged.retain(|known| *known != other);
            }
        }
    }
}
