//! From levels to a confidence: match weights summed in millibits, rules on top.

use smallvec::SmallVec;

use crate::compare::Subject;
use crate::confidence::Confidence;
use crate::feature::{Feature, FeatureSet, Level, Levels};
use crate::model::Model;
use crate::rules::{self, Effect, Evidence};

/// Name of the ceiling on links that rest on a feature with a blocking data finding.
const BLOCKED_EVIDENCE: &str = "blocked_evidence";

/// Name of the ceiling of what the model claims at most.
const CONFIDENCE_MAX: &str = "confidence_max";

/// A scored pair, with all that an explanation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Score {
    /// What each feature adds, in order, after caps.
    pub(crate) contributions_millibits: [i32; Feature::COUNT],
    pub(crate) prior_millibits: i32,
    pub(crate) total_millibits: i32,
    /// Rules that applied, in order.
    pub(crate) rules: SmallVec<[&'static str; 4]>,
    pub(crate) confidence: Confidence,
}

/// What is compared besides levels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) has_caller: bool,
    pub(crate) are_people: bool,
    pub(crate) blocked: FeatureSet,
}

impl Circumstances {
    pub(crate) fn of(left: &Subject, right: &Subject) -> Self {
        let (a, b) = (&left.standard, &right.standard);
        Circumstances {
            has_caller: a.is_caller || b.is_caller,
            are_people: a.name.is_of_person() && b.name.is_of_person(),
            blocked: a.blocked.union(b.blocked),
        }
    }
}

/// Scores a pair. `is_sole_customer` is known for callers only.
pub(crate) fn score(model: &Model, levels: Levels, given: Circumstances, is_sole_customer: bool) -> Score {
    let mut all = unguarded(model, levels, given, is_sole_customer);
    if !given.blocked.is_empty() && all.confidence >= model.link_min {
        let sound = without(levels, given.blocked);
        let contact_agrees = |f: Feature| sound.of(f) == Level::Exact;
        let still_sole = is_sole_customer && (contact_agrees(Feature::Phone) || contact_agrees(Feature::Email));
        if unguarded(model, sound, given, still_sole).confidence < model.link_min {
            all.rules.push(BLOCKED_EVIDENCE);
            all.confidence = model.link_min.just_below();
        }
    }
    all
}

/// The levels without agreements that rest on blocked features; disagreements stay.
fn without(levels: Levels, blocked: FeatureSet) -> Levels {
    let mut sound = levels;
    for (feature, level) in levels.iter() {
        if blocked.contains(feature) && matches!(level, Level::Exact | Level::Close | Level::Partial) {
            sound.0[feature as usize] = Level::Silent;
        }
    }
    sound
}

fn unguarded(model: &Model, levels: Levels, given: Circumstances, is_sole_customer: bool) -> Score {
    let contributions_millibits = contributions(model, levels);
    let prior_millibits = if given.has_caller { model.caller_prior_millibits } else { model.prior_millibits };
    let total_millibits = prior_millibits + contributions_millibits.iter().sum::<i32>();
    let mut confidence = Confidence::of_millibits(total_millibits);
    let evidence = Evidence { levels, has_caller: given.has_caller, are_people: given.are_people, is_sole_customer };
    let mut applied = SmallVec::new();
    for rule in rules::ALL.iter().filter(|rule| (rule.applies)(&evidence)) {
        let bounded = match rule.effect {
            Effect::Floor(floor) => confidence.max(Confidence(floor)),
            Effect::SoleCustomerFloor => model.sole_customer.map_or(confidence, |floor| confidence.max(floor)),
            Effect::Ceiling => confidence.min(model.link_min.just_below()),
        };
        applied.push(rule.name);
        confidence = bounded;
    }
    if confidence > model.confidence_max {
        applied.push(CONFIDENCE_MAX);
        confidence = model.confidence_max;
    }
    Score { contributions_millibits, prior_millibits, total_millibits, rules: applied, confidence }
}

fn contributions(model: &Model, levels: Levels) -> [i32; Feature::COUNT] {
    let mut found = [0; Feature::COUNT];
    for (feature, level) in levels.iter() {
        found[feature as usize] = model.weight_millibits(feature, level);
    }
    // Phone and address are one piece of evidence told twice; the second gives way.
    let phone = found[Feature::Phone as usize].max(0);
    let address = &mut found[Feature::Address as usize];
    if *address > 0 {
        *address = (*address).min((model.location_millibits_max - phone).max(0));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use Feature::{Address, BirthDate, Email, Key, Name, Phone, TaxId};
    use Level::{Different, Exact, Household, Partial};

    const PLAIN: fn() -> Circumstances =
        || Circumstances { has_caller: false, are_people: false, blocked: FeatureSet::default() };

    fn levels(given: &[(Feature, Level)]) -> Levels {
        let mut all = [Level::Silent; Feature::COUNT];
        for (feature, level) in given {
            all[*feature as usize] = *level;
        }
        Levels(all)
    }

    fn check(given: &[(Feature, Level)], expected: u32) {
        let scored = score(&Model::shipped(), levels(given), PLAIN(), false);
        assert_eq!(scored.confidence, Confidence(expected), "{scored:?}");
    }

    #[test]
    fn floors_and_ceilings_hold() {
        check(&[(Key, Exact), (Phone, Exact), (Name, Different)], 990_000);
        check(&[(Key, Exact)], 990_000);
        check(&[(Key, Exact), (Name, Different), (Address, Different)], 800_000);
        check(&[(TaxId, Exact), (Name, Partial)], 990_000);
        check(&[(TaxId, Exact)], 949_999);
        check(&[(Email, Exact), (Name, Exact)], 990_000);
    }

    #[test]
    fn a_household_stays_below_review() {
        let scored = score(
            &Model::shipped(),
            levels(&[(Name, Household), (Address, Exact), (Phone, Exact), (BirthDate, Different)]),
            Circumstances { are_people: true, ..PLAIN() },
            false,
        );
        assert!(scored.confidence < Model::shipped().review_min, "{scored:?}");
        assert_eq!(scored.contributions_millibits[Address as usize], 3_000);
    }

    #[test]
    fn blocked_evidence_does_not_link_by_itself() {
        let mut blocked = FeatureSet::default();
        blocked.insert(Email);
        let given = Circumstances { blocked, ..PLAIN() };
        let model = Model::shipped();
        let rests_on_it = score(&model, levels(&[(Email, Exact), (Name, Exact)]), given, false);
        assert_eq!(rests_on_it.confidence, Confidence(949_999));
        let stands_without = score(&model, levels(&[(Email, Exact), (Name, Exact), (Key, Exact)]), given, false);
        assert_eq!(stands_without.confidence, Confidence(990_000));
    }
}
