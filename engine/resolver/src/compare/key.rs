//! Cross-reference keys: agree if both records carry one key, conflict if both name a record of one
//! scheme and never the same one. Conflicting keys are a veto.

use super::{Comparison, Subject, bits};
use crate::feature::{Feature, Level, Levels};
use crate::standard::Part;

pub(super) const COMPARISON: Comparison = Comparison { needs: bits([Part::Keys]), sets: &[Feature::Key], compare };

fn compare(left: &Subject, right: &Subject, levels: &mut Levels) {
    levels.set(Feature::Key, level(left, right));
}

fn level(left: &Subject, right: &Subject) -> Level {
    if left.telling_keys().any(|key| right.telling_keys().any(|other| other == key)) {
        return Level::Exact;
    }
    if conflicts(left, right) {
        return Level::Different;
    }
    if share_generic(left, right) { Level::Generic } else { Level::Silent }
}

fn share_generic(left: &Subject, right: &Subject) -> bool {
    (left.generic_keys | right.generic_keys) != 0
        && left.standard.values(Part::Keys).any(|key| right.standard.values(Part::Keys).any(|other| other == key))
}

/// Whether the records cannot be one customer by their keys. Two records of one system have ids of
/// their own by nature, so their own scheme is no ground for a conflict. A party that is only
/// described names a number under every scheme, as nobody said of which it is: so it is none either.
/// Nor is what a caller entered: a number that was mistyped supports nothing, and must not part a caller
/// from the customer that everything else leads to.
pub(crate) fn conflicts(left: &Subject, right: &Subject) -> bool {
    let is_said_by_hand = |subject: &Subject| subject.standard.is_described || subject.standard.is_caller;
    if is_said_by_hand(left) || is_said_by_hand(right) {
        return false;
    }
    let same_system = left.standard.own_scheme == right.standard.own_scheme;
    left.telling_keys().any(|(scheme, _)| {
        let is_own = same_system && scheme == left.standard.own_scheme;
        !is_own && names_in(right, scheme) && !agree_in(left, right, scheme)
    })
}

fn names_in(subject: &Subject, scheme: &str) -> bool {
    subject.telling_keys().any(|(other, _)| other == scheme)
}

fn agree_in(left: &Subject, right: &Subject, scheme: &str) -> bool {
    left.telling_keys().any(|key| key.0 == scheme && right.telling_keys().any(|other| other == key))
}
