//! Customers by brute force (spec 4.4): accepted pairs in their order, each union made unless it
//! would hold a pair that must not be together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ontology::status::Verdict;
use ontology::{CustomerId, EntityKey, EntityKind, PartyRecord};
use resolver::Model;
use state::Possible;

use super::pairs::{Pair, Scored, confidence_alone, score_all};

/// A customer's membership.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Id, from the smallest member.
    pub id: CustomerId,
    /// Members in key order, each with the confidence of its strongest link.
    pub members: Vec<(EntityKey, u32)>,
    /// Records in review against a member, in key order.
    pub possible: Vec<Possible>,
}

/// The customers of all living `parties`, which are in key order.
#[must_use]
pub fn customers(parties: &[PartyRecord], verdicts: &BTreeMap<Pair, Verdict>, model: &Model) -> Vec<Membership> {
    let mut pairs = score_all(parties, verdicts, model);
    let keys: Vec<&EntityKey> = parties.iter().map(|party| &party.key).collect();
    judge_callers(parties, &mut pairs, model);
    let (groups, refused) = groups(&keys, &pairs, model);
    groups.into_iter().map(|group| membership(group, &pairs, &refused, model)).collect()
}

/// Scores callers again whose number or address belongs to members of exactly one customer, which
/// is a question to the customers that there are without callers.
fn judge_callers(parties: &[PartyRecord], pairs: &mut BTreeMap<Pair, Scored>, model: &Model) {
    if model.sole_customer.is_none() {
        return;
    }
    let is_caller = |party: &&PartyRecord| party.key.kind == EntityKind::CallerProfile;
    let others: Vec<&PartyRecord> = parties.iter().filter(|party| !is_caller(party)).collect();
    let keys: Vec<&EntityKey> = others.iter().map(|party| &party.key).collect();
    let (groups, _) = groups(&keys, pairs, model);
    // Callers sort after all others, so they stand on the right of every pair.
    for caller in parties.iter().filter(is_caller) {
        let shares = |other: &EntityKey| pairs[&(other.clone(), caller.key.clone())].shared_contacts();
        let is_sole = [0, 1].map(|contact| {
            let sharing = || keys.iter().filter(|key| shares(key)[contact]);
            sharing().next().is_some() && groups.iter().any(|group| sharing().all(|key| group.contains(*key)))
        });
        let rests_on_sole: Vec<&PartyRecord> = others
            .iter()
            .copied()
            .filter(|other| (0..2).any(|contact| is_sole[contact] && shares(&other.key)[contact]))
            .collect();
        for other in rests_on_sole {
            let confidence = confidence_alone(other, caller, model);
            let scored = pairs.get_mut(&(other.key.clone(), caller.key.clone())).expect("every pair was scored");
            scored.confidence = confidence;
        }
    }
}

/// Groups of records, and the accepted pairs that were not made a union.
fn groups(
    keys: &[&EntityKey],
    pairs: &BTreeMap<Pair, Scored>,
    model: &Model,
) -> (Vec<BTreeSet<EntityKey>>, BTreeSet<Pair>) {
    let takes_part = |(left, right): &Pair| keys.contains(&left) && keys.contains(&right);
    let mut accepted: Vec<(&Pair, &Scored)> =
        pairs.iter().filter(|(pair, scored)| takes_part(pair) && scored.is_accepted(model)).collect();
    accepted.sort_by_key(|(pair, scored)| {
        (Reverse(scored.verdict == Some(Verdict::Link)), Reverse(scored.link_confidence()), *pair)
    });
    let mut groups: Vec<BTreeSet<EntityKey>> = keys.iter().map(|key| BTreeSet::from([(*key).clone()])).collect();
    let mut refused = BTreeSet::new();
    for (pair, _) in accepted {
        let place = |key: &EntityKey| groups.iter().position(|group| group.contains(key));
        let (Some(x), Some(y)) = (place(&pair.0), place(&pair.1)) else { continue };
        if x == y {
            continue;
        }
        let union: BTreeSet<EntityKey> = groups[x].union(&groups[y]).cloned().collect();
        let is_forbidden = union.iter().any(|left| {
            union.iter().any(|right| pairs.get(&(left.clone(), right.clone())).is_some_and(Scored::is_forbidden))
        });
        if is_forbidden {
            refused.insert(pair.clone());
            continue;
        }
        groups[x] = union;
        groups.remove(y);
    }
    (groups, refused)
}

fn membership(
    group: BTreeSet<EntityKey>,
    pairs: &BTreeMap<Pair, Scored>,
    refused: &BTreeSet<Pair>,
    model: &Model,
) -> Membership {
    let smallest = group.first().expect("a group has a member");
    let id = CustomerId::of_member(smallest);
    let touches = |pair: &Pair, key: &EntityKey| pair.0 == *key || pair.1 == *key;
    let inner = |pair: &Pair| group.contains(&pair.0) && group.contains(&pair.1);
    let mut members = Vec::new();
    let mut possible = Vec::new();
    for member in &group {
        let links =
            pairs.iter().filter(|(pair, scored)| touches(pair, member) && inner(pair) && scored.is_accepted(model));
        let strongest = links.map(|(_, scored)| scored.link_confidence()).max();
        members.push((member.clone(), strongest.unwrap_or(1_000_000)));
        for (pair, scored) in pairs.iter().filter(|(pair, _)| touches(pair, member) && !inner(pair)) {
            let is_possible = match (scored.verdict, scored.is_accepted(model)) {
                (Some(Verdict::Unlink), _) => false,
                (Some(Verdict::Link) | None, true) => refused.contains(pair),
                (Some(Verdict::Link) | None, false) => scored.is_met && scored.confidence >= model.review_min.0,
            };
            if is_possible {
                let other = if pair.0 == *member { &pair.1 } else { &pair.0 };
                let confidence = scored.link_confidence();
                possible.push(Possible { key: other.clone(), member: member.clone(), confidence });
            }
        }
    }
    possible.sort_by(|a, b| (&a.key, &a.member).cmp(&(&b.key, &b.member)));
    Membership { id, members, possible }
}
