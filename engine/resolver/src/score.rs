//! From levels to a confidence: match weights summed in millibits, rules on top.
//!
//! Features of one's own add up. What a home shares (name of the family or firm, place, phone) is
//! weighed as a whole against two explanations: that the records are one customer, and that they are
//! two of one home. So a household's address, number and surname are one piece of evidence, and
//! their sum cannot grow beyond how rare such pairs of a home are.

use ontology::Vocabulary;
use smallvec::SmallVec;

use crate::compare::Subject;
use crate::confidence::Confidence;
use crate::feature::{Feature, FeatureSet, Group, Level, Levels, TERM_FEATURES};
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
    /// Rows of tables, which are held to the model alone where the hub's systems are held to more.
    pub(crate) are_rows: bool,
    pub(crate) blocked: FeatureSet,
    /// Rarity of what agrees, in quarters of a bit, in the order of the features with terms.
    pub(crate) rarities: [i8; TERM_FEATURES.len()],
}

impl Circumstances {
    pub(crate) fn of(left: &Subject, right: &Subject) -> Self {
        let (a, b) = (&left.standard, &right.standard);
        Circumstances {
            has_caller: a.is_caller || b.is_caller,
            are_people: a.is_of_person() && b.is_of_person(),
            are_rows: !a.vetoes && !b.vetoes,
            blocked: a.blocked.union(b.blocked),
            // Where values agree exactly, both records have the same rarity.
            rarities: a.rarities,
        }
    }
}

/// Where a pair with a caller stands among the customers that there are without callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// The number or address that agrees belongs to members of exactly one customer.
    pub(crate) is_sole_customer: bool,
    /// A key agrees, and the caller's keys belong to members of several customers.
    pub(crate) names_several: bool,
    /// Such a number or address agrees and no key does, and something else leads to another customer.
    pub(crate) leads_elsewhere: bool,
}

/// Scores a pair; one without a caller has no standing.
pub(crate) fn score(model: &Model, levels: Levels, given: Circumstances, standing: Standing) -> Score {
    let mut all = unguarded(model, levels, given, standing);
    if !given.blocked.is_empty() && all.confidence >= model.link_min {
        let sound = without(levels, given.blocked);
        let contact_agrees = |f: Feature| sound.of(f) == Level::Exact;
        let has_contact = contact_agrees(Feature::Phone) || contact_agrees(Feature::Email);
        let still = Standing { is_sole_customer: standing.is_sole_customer && has_contact, ..standing };
        if unguarded(model, sound, given, still).confidence < model.link_min {
            all.rules.push(BLOCKED_EVIDENCE);
            all.confidence = model.link_min.just_below();
        }
    }
    all
}

/// The levels without agreements that rest on blocked features; disagreements stay.
fn without(levels: Levels, blocked: FeatureSet) -> Levels {
    let mut sound = levels;
    for (feature, level) in levels.spoken() {
        if blocked.contains(feature) && level != Level::Different {
            sound.set(feature, Level::Silent);
        }
    }
    sound
}

fn unguarded(model: &Model, levels: Levels, given: Circumstances, standing: Standing) -> Score {
    let contributions_millibits = contributions(model, levels, &given.rarities);
    let prior_millibits = if given.has_caller { model.caller_prior_millibits } else { model.prior_millibits };
    let total_millibits = prior_millibits + contributions_millibits.iter().sum::<i32>();
    let mut confidence = model.confidence_of(total_millibits);
    let evidence = Evidence {
        levels,
        has_caller: given.has_caller,
        are_people: given.are_people,
        are_rows: given.are_rows,
        standing,
        weighs_given_names: model.weighs_given_names,
    };
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

fn contributions(model: &Model, levels: Levels, rarities: &[i8; TERM_FEATURES.len()]) -> [i32; Feature::COUNT] {
    let mut found = [0; Feature::COUNT];
    // How much likelier a home is than strangers, given what it shares.
    let mut home = model.home_millibits;
    for (feature, level) in levels.spoken() {
        let rarity = match feature.term_place() {
            Some(place) if level == Level::Exact => i32::from(rarities[place]) * 250,
            Some(_) | None => 0,
        };
        found[feature as usize] = model.weight_millibits(feature, level) + rarity;
        if feature.group() == Group::Home {
            home += model.home_weight_millibits(feature, level) + rarity;
        }
    }
    limit_moving(model, &mut found);
    take_off_home(&mut found, home_discount_millibits(home));
    found
}

/// Different streets and places together cost what a move costs, not each its own.
fn limit_moving(model: &Model, found: &mut [i32; Feature::COUNT]) {
    let (address, place) = (found[Feature::Address as usize], found[Feature::Place as usize]);
    let both = address + place;
    if address <= 0 && place <= 0 && both < model.moved_millibits {
        found[Feature::Address as usize] = address.max(model.moved_millibits);
        found[Feature::Place as usize] = model.moved_millibits - found[Feature::Address as usize];
    }
}

/// What evidence of a home loses because two of that home would show it as well: log2(1 + 2^home).
fn home_discount_millibits(home_millibits: i32) -> i32 {
    if home_millibits < -12_000 {
        return 0;
    }
    let odds = (f64::from(home_millibits) / 1000.0).exp2();
    // Below 64 features of 64 bits.
    ((1.0 + odds).log2() * 1000.0).round_ties_even() as i32
}

/// Takes the discount off what the home's features add, the last first.
fn take_off_home(found: &mut [i32; Feature::COUNT], mut discount: i32) {
    for (feature, _) in Feature::ALL.iter().rev().filter(|(feature, _)| feature.group() == Group::Home) {
        let contribution = &mut found[*feature as usize];
        let taken = discount.min((*contribution).max(0));
        *contribution -= taken;
        discount -= taken;
    }
    // More than all together add: two of a home are the better explanation.
    found[Feature::FamilyName as usize] -= discount;
}

#[cfg(test)]
mod tests {
    use super::*;
    use Feature::{Address, BirthDate, Email, FamilyName, GivenName, Key, Name, Phone, Place, TaxId};
    use Level::{Different, Exact, Partial};

    const PLAIN: fn() -> Circumstances = || Circumstances {
        has_caller: false,
        are_people: false,
        are_rows: false,
        blocked: FeatureSet::default(),
        rarities: [0; TERM_FEATURES.len()],
    };

    fn levels(given: &[(Feature, Level)]) -> Levels {
        given.iter().fold(Levels::default(), |levels, (feature, level)| levels.with(*feature, *level))
    }

    fn check(given: &[(Feature, Level)], expected: u32) {
        let scored = score(&Model::shipped(), levels(given), PLAIN(), Standing::default());
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
    fn a_household_stays_below_review_and_is_one_piece_of_evidence() {
        let people = Circumstances { are_people: true, ..PLAIN() };
        let model = Model::shipped();
        let shared = [(FamilyName, Exact), (Address, Exact), (Place, Exact), (Phone, Exact)];
        let home = score(&model, levels(&shared), people, Standing::default());
        let apart: i32 = shared.iter().map(|(feature, level)| model.weight_millibits(*feature, *level)).sum();
        let together: i32 = home.contributions_millibits.iter().sum();
        assert!(together < 14_000 && apart > 26_000, "{together} {apart}");
        assert!(home.confidence < model.review_min, "{home:?}");
        let mut sisters = shared.to_vec();
        sisters.push((GivenName, Different));
        assert!(score(&model, levels(&sisters), people, Standing::default()).confidence < Confidence(10_000));
        let mut one = shared.to_vec();
        one.extend([(GivenName, Exact), (BirthDate, Exact)]);
        assert_eq!(score(&model, levels(&one), people, Standing::default()).confidence, model.confidence_max);
    }

    #[test]
    fn what_is_told_adds_up() {
        let all = levels(&[(Name, Exact), (Address, Exact), (Place, Exact), (Phone, Exact)]);
        let scored = score(&Model::shipped(), all, PLAIN(), Standing::default());
        let sum: i32 = scored.contributions_millibits.iter().sum();
        assert_eq!(scored.total_millibits, scored.prior_millibits + sum);
    }

    #[test]
    fn a_move_costs_once() {
        let moved =
            score(&Model::shipped(), levels(&[(Address, Different), (Place, Different)]), PLAIN(), Standing::default());
        assert_eq!(
            moved.contributions_millibits[Address as usize] + moved.contributions_millibits[Place as usize],
            -3_000
        );
    }

    #[test]
    fn a_rare_value_counts_more() {
        let mut rare = PLAIN();
        rare.rarities[Feature::GivenName.term_place().unwrap_or_default()] = 8;
        let model = Model::shipped();
        let usual = score(&model, levels(&[(GivenName, Exact)]), PLAIN(), Standing::default());
        let told = score(&model, levels(&[(GivenName, Exact)]), rare, Standing::default());
        assert_eq!(told.total_millibits - usual.total_millibits, 2_000);
    }

    #[test]
    fn blocked_evidence_does_not_link_by_itself() {
        let mut blocked = FeatureSet::default();
        blocked.insert(Email);
        let given = Circumstances { blocked, ..PLAIN() };
        let model = Model::shipped();
        let rests_on_it = score(&model, levels(&[(Email, Exact), (Name, Exact)]), given, Standing::default());
        assert_eq!(rests_on_it.confidence, Confidence(949_999));
        let stands_without =
            score(&model, levels(&[(Email, Exact), (Name, Exact), (Key, Exact)]), given, Standing::default());
        assert_eq!(stands_without.confidence, Confidence(990_000));
    }
}
