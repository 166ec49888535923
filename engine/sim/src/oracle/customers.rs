//! Customers by brute force (spec 4.4): accepted pairs in their order, each union made unless it
//! would hold a pair that must not be together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ontology::status::Verdict;
use ontology::{CustomerId, EntityKey, EntityKind, PartyRecord};
use resolver::Model;
use state::Possible;

use super::pairs::{Pair, Scored, confidence_alone, score_all, shares_one_key};

/// A customer's membership.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Id, from the smallest member.
    pub id: CustomerId,
    /// Members in key order, each with the confidence of its strongest link.
    pub members: Vec<(EntityKey, u32)>,
    /// Which earlier member each was joined to, one link after the other, the strongest first.
    pub joined: Vec<Option<(usize, u32)>>,
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

/// Scores callers again whose number or address belongs to members of exactly one customer, or whose
/// keys belong to members of several: questions to the customers that there are without callers.
fn judge_callers(parties: &[PartyRecord], pairs: &mut BTreeMap<Pair, Scored>, model: &Model) {
    let (callers, others): (Vec<&PartyRecord>, Vec<&PartyRecord>) =
        parties.iter().partition(|party| party.key.kind == EntityKind::CallerProfile);
    let keys: Vec<&EntityKey> = others.iter().map(|party| &party.key).collect();
    let (groups, _) = groups(&keys, pairs, model);
    if model.sole_customer.is_some() {
        for caller in &callers {
            judge_by_contacts(caller, &others, &groups, pairs, model);
        }
    }
    let sole: BTreeMap<&EntityKey, [bool; 2]> =
        callers.iter().map(|caller| (&caller.key, sole_contacts(caller, &others, &groups, pairs, model))).collect();
    let those = |is_meant: &dyn Fn(&PartyRecord) -> bool| -> BTreeSet<&EntityKey> {
        callers.iter().filter(|caller| is_meant(caller)).map(|caller| &caller.key).collect()
    };
    let several = those(&|caller| names_several(caller, &others, &groups, pairs, model));
    let apart = those(&|caller| leads_apart(caller, sole[&caller.key], &others, &groups, pairs));
    for ((left, right), scored) in pairs {
        let is_several = scored.shares_key() && (several.contains(left) || several.contains(right));
        let contacts = sole.get(right).filter(|_| !sole.contains_key(left)).copied().unwrap_or_default();
        let rests_on_sole = (0..2).any(|contact| contacts[contact] && scored.shared_contacts()[contact]);
        if is_several || (rests_on_sole && !scored.shares_key() && apart.contains(right)) {
            scored.confidence = scored.confidence.min(model.link_min.0 - 1);
        }
    }
}

/// Whether the number, and the address, of a caller belongs to members of exactly one customer.
fn sole_contacts(
    caller: &PartyRecord,
    others: &[&PartyRecord],
    groups: &[BTreeSet<EntityKey>],
    pairs: &BTreeMap<Pair, Scored>,
    model: &Model,
) -> [bool; 2] {
    [0, 1].map(|contact| {
        let shares = |other: &&&PartyRecord| pairs[&(other.key.clone(), caller.key.clone())].shared_contacts()[contact];
        let mut sharing = others.iter().filter(shares).peekable();
        let is_shown = model.sole_customer.is_some() && sharing.peek().is_some();
        let sharing: Vec<&EntityKey> = sharing.map(|other| &other.key).collect();
        is_shown && groups.iter().any(|group| sharing.iter().all(|key| group.contains(*key)))
    })
}

/// Whether the keys that a caller entered, of one customer, and a contact that one customer alone shows,
/// or two such contacts, lead to several customers.
fn leads_apart(
    caller: &PartyRecord,
    sole: [bool; 2],
    others: &[&PartyRecord],
    groups: &[BTreeSet<EntityKey>],
    pairs: &BTreeMap<Pair, Scored>,
) -> bool {
    let of = |is_meant: &dyn Fn(&Scored) -> bool| -> BTreeSet<EntityKey> {
        let meant = others.iter().filter(|other| is_meant(&pairs[&(other.key.clone(), caller.key.clone())]));
        meant.map(|other| other.key.clone()).collect()
    };
    let named = of(&|scored| scored.is_met && scored.shares_key());
    let contacts = of(&|scored| (0..2).any(|contact| sole[contact] && scored.shared_contacts()[contact]));
    let are_one = |keys: &BTreeSet<EntityKey>| groups.iter().any(|group| keys.is_subset(group));
    are_one(&named) && !are_one(&named.union(&contacts).cloned().collect())
}

/// Callers sort after all others, so they stand on the right of every pair.
fn judge_by_contacts(
    caller: &PartyRecord,
    others: &[&PartyRecord],
    groups: &[BTreeSet<EntityKey>],
    pairs: &mut BTreeMap<Pair, Scored>,
    model: &Model,
) {
    let shares = |other: &PartyRecord| pairs[&(other.key.clone(), caller.key.clone())].shared_contacts();
    let is_sole = sole_contacts(caller, others, groups, pairs, model);
    let rests_on_sole: Vec<&PartyRecord> = others
        .iter()
        .copied()
        .filter(|other| (0..2).any(|contact| is_sole[contact] && shares(other)[contact]))
        .collect();
    for other in rests_on_sole {
        let confidence = confidence_alone(other, caller, model);
        let scored = pairs.get_mut(&(other.key.clone(), caller.key.clone())).expect("every pair was scored");
        scored.confidence = confidence;
    }
}

/// Whether the keys that a caller entered belong to members of several customers, none of them to all.
fn names_several(
    caller: &PartyRecord,
    others: &[&PartyRecord],
    groups: &[BTreeSet<EntityKey>],
    pairs: &BTreeMap<Pair, Scored>,
    model: &Model,
) -> bool {
    let is_named = |other: &&PartyRecord| {
        let scored = &pairs[&(other.key.clone(), caller.key.clone())];
        scored.is_met && scored.shares_key()
    };
    let named: Vec<&PartyRecord> = others.iter().copied().filter(is_named).collect();
    let are_one = groups.iter().any(|group| named.iter().all(|other| group.contains(&other.key)));
    named.len() > 1 && !are_one && !shares_one_key(caller, &named, model)
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
    let mut inside: Vec<(&Pair, u32)> = pairs
        .iter()
        .filter(|(pair, scored)| inner(pair) && scored.is_accepted(model))
        .map(|(pair, scored)| (pair, scored.link_confidence()))
        .collect();
    inside.sort_by_key(|(_, confidence)| Reverse(*confidence));
    Membership { id, joined: joined(&members, &inside), members, possible }
}

/// Joins members by links, the strongest first: all that are joined already stand below the first of them.
fn joined(members: &[(EntityKey, u32)], links: &[(&Pair, u32)]) -> Vec<Option<(usize, u32)>> {
    let place = |key: &EntityKey| members.iter().position(|(member, _)| member == key).expect("a link of members");
    let mut groups: Vec<usize> = (0..members.len()).collect();
    let mut joined = vec![None; members.len()];
    for ((left, right), confidence) in links {
        let (x, y) = (groups[place(left)], groups[place(right)]);
        let (first, second) = (x.min(y), x.max(y));
        if first != second {
            joined[second] = Some((first, *confidence));
            groups.iter_mut().filter(|group| **group == second).for_each(|group| *group = first);
        }
    }
    joined
}
