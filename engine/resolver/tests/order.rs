//! Order never matters: any history that ends in the same records and judgements ends in the same
//! customers, ids and review queue, drained once or after every step.
#![allow(clippy::unwrap_used)]

mod support;

use compact_str::CompactString;
use ontology::status::Verdict;
use ontology::{EntityKey, EntityKind, PartyRecord};
use proptest::prelude::*;
use resolver::{Cluster, Confidence, Judgement, Member, Model, Resolver};
use support::{account, ar, caller, partner, picture, record, said_by};

/// One input.
#[derive(Debug, Clone)]
enum Step {
    Upsert(Box<PartyRecord>),
    Remove(EntityKey),
    Judge(EntityKey, EntityKey, Judgement),
    Withdraw(CompactString),
}

impl Step {
    fn play(&self, resolver: &mut Resolver) {
        match self {
            Step::Upsert(record) => resolver.upsert((**record).clone()),
            Step::Remove(key) => resolver.remove(key),
            Step::Judge(left, right, judgement) => resolver.judge(left.clone(), right.clone(), judgement.clone()),
            Step::Withdraw(record) => resolver.withdraw(record),
        }
    }
}

fn key() -> impl Strategy<Value = EntityKey> {
    (0..4u8, 0..4u8).prop_map(|(kind, number)| match kind {
        0 => account(&format!("A{number}")),
        1 => ar(&format!("R{number}")),
        2 => partner(&format!("P{number}")),
        _ => caller(&format!("C{number}")),
    })
}

/// Few values, so that records agree, conflict and grow generic often.
fn party() -> impl Strategy<Value = PartyRecord> {
    let maybe = |values: &'static [&'static str]| prop::option::weighted(0.6, prop::sample::select(values));
    (
        key(),
        maybe(&["Acme GmbH", "ACME", "Acme Leeds", "Zenith", "Anna Bauer"]),
        maybe(&["111222333", "999888777"]),
        maybe(&["a@acme.example", "b@zenith.example", "c@acme.example"]),
        maybe(&["+12125550101", "+12125550102", "+12125550103"]),
        maybe(&["N-1", "N-2", "A1"]),
        maybe(&["N-1", "N-2"]),
        maybe(&["12 Mill Lane", "9 Abbey Road"]),
    )
        .prop_map(|(key, name, tax_id, email, phone, number, entered, street)| {
            let named = [
                ("name", name),
                ("tax_id", tax_id),
                ("email", email),
                ("phone", phone),
                ("account", number),
                ("street", street),
            ];
            let mut fields: Vec<(&str, &str)> =
                named.into_iter().filter_map(|(field, value)| value.map(|value| (field, value))).collect();
            fields.push(("city", "Leeds"));
            if key.kind == EntityKind::CallerProfile {
                fields.extend(entered.map(|entered| ("account", entered)));
            }
            record(&key, &fields)
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => party().prop_map(|record| Step::Upsert(Box::new(record))),
        2 => key().prop_map(Step::Remove),
        1 => (key(), key(), any::<bool>(), 0..5i64, 0..3u8).prop_map(|(left, right, link, at, number)| {
            let verdict = if link { Verdict::Link } else { Verdict::Unlink };
            Step::Judge(left, right, said_by(&format!("J-{number}"), verdict, at))
        }),
        1 => (0..3u8).prop_map(|number| Step::Withdraw(format!("J-{number}").into())),
    ];
    prop::collection::vec(step, 1..40)
}

/// A model in which values grow generic and blocks retire after two records.
fn narrow() -> Model {
    let mut model = Model::shipped();
    model.generic_max = 2;
    model.block_max = 3;
    model
}

fn play(steps: &[Step], drain_every: usize) -> Resolver {
    let mut resolver = Resolver::new(narrow());
    for (at, step) in steps.iter().enumerate() {
        step.play(&mut resolver);
        if at % drain_every == drain_every - 1 {
            resolver.drain();
        }
    }
    resolver.drain();
    resolver
}

/// The shortest history with the same end, in the order of `rank`.
fn essence(steps: &[Step], rank: impl Fn(usize) -> u64) -> Vec<Step> {
    let mut last = std::collections::BTreeMap::new();
    let mut said = std::collections::BTreeMap::new();
    for step in steps {
        match step {
            Step::Upsert(record) => {
                last.insert(record.key.clone(), record.clone());
            }
            Step::Remove(key) => {
                last.remove(key);
            }
            Step::Judge(_, _, judgement) => {
                said.insert(judgement.record.clone(), step.clone());
            }
            Step::Withdraw(record) => {
                said.remove(record);
            }
        }
    }
    let mut kept: Vec<Step> = said.into_values().collect();
    kept.extend(last.into_values().map(Step::Upsert));
    let mut ranked: Vec<(u64, Step)> = kept.into_iter().enumerate().map(|(at, step)| (rank(at), step)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, step)| step).collect()
}

/// The weakest link on the way between two members through the tree of unions.
fn weakest_between(members: &[Member], left: usize, right: usize) -> Option<Confidence> {
    let way = |mut place: usize| {
        let mut way = vec![(place, Confidence::CERTAIN)];
        while let Some((to, confidence)) = members[place].joined {
            assert!(confidence <= way[way.len() - 1].1, "the strongest links join first");
            way.push((to, confidence));
            place = to;
        }
        way
    };
    let (one, other) = (way(left), way(right));
    let meet = one.iter().find(|(place, _)| other.iter().any(|(known, _)| known == place))?.0;
    let until = |way: &[(usize, Confidence)]| {
        let end = way.iter().position(|(place, _)| *place == meet).unwrap();
        way[..=end].iter().map(|(_, confidence)| *confidence).min().unwrap()
    };
    Some(until(&one).min(until(&other)))
}

/// The same by trying: the highest confidence from which on the links connect the two.
fn bottleneck(cluster: &Cluster, left: usize, right: usize) -> Option<Confidence> {
    let mut floors: Vec<Confidence> = cluster.links.iter().map(|link| link.confidence).collect();
    floors.sort();
    floors.into_iter().rev().find(|floor| {
        let mut reached = vec![&cluster.members[left]];
        let mut at = 0;
        while let Some(from) = reached.get(at).copied() {
            at += 1;
            for link in cluster.links.iter().filter(|link| link.confidence >= *floor) {
                for (one, other) in [(&link.left, &link.right), (&link.right, &link.left)] {
                    if one == from && !reached.contains(&other) {
                        reached.push(other);
                    }
                }
            }
        }
        reached.contains(&&cluster.members[right])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_records_and_judgements_give_the_same_customers(
        steps in steps(),
        seed in any::<u64>(),
        drain_every in 1..8usize,
    ) {
        let expected = picture(&play(&steps, 1));
        prop_assert_eq!(&picture(&play(&steps, drain_every)), &expected);
        let shuffled = essence(&steps, |at| (at as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        prop_assert_eq!(&picture(&play(&shuffled, drain_every)), &expected);
        prop_assert_eq!(&picture(&play(&shuffled, usize::MAX)), &expected);
    }

    #[test]
    fn changes_told_one_by_one_add_up_to_the_customers(steps in steps()) {
        let mut told = std::collections::BTreeMap::new();
        let mut resolver = Resolver::new(narrow());
        for step in &steps {
            step.play(&mut resolver);
            for change in resolver.drain() {
                for cluster in change.before {
                    let known = told.remove(&cluster.id).map(|known: resolver::Cluster| known.members);
                    prop_assert_eq!(known, Some(cluster.members));
                }
                for cluster in change.after {
                    told.insert(cluster.id.clone(), cluster);
                }
            }
        }
        for cluster in told.values() {
            let known = resolver.cluster(&cluster.id);
            prop_assert_eq!(known.as_ref(), Some(cluster));
            let strongest = |member: &EntityKey| {
                let links = cluster.links.iter().filter(|link| link.left == *member || link.right == *member);
                (member.clone(), links.map(|link| link.confidence).max())
            };
            let members: Vec<_> = cluster.members.iter().map(strongest).collect();
            let held = resolver.members_with(&cluster.members[0]).unwrap();
            for (left, right) in (0..held.len()).flat_map(|right| (0..right).map(move |left| (left, right))) {
                prop_assert_eq!(weakest_between(&held, left, right), bottleneck(cluster, left, right));
            }
            for member in &cluster.members {
                prop_assert_eq!(&resolver.customer_of(member), &cluster.id);
                let told = resolver.members_with(member).unwrap();
                prop_assert_eq!(&told, &held);
                let told: Vec<_> = told.into_iter().map(|member| (member.key, member.strongest)).collect();
                prop_assert_eq!(&told, &members);
                let all = resolver.candidates_of(member).into_iter();
                let mut waiting: Vec<_> = all
                    .filter(|candidate| candidate.state == resolver::LinkState::Review)
                    .map(|candidate| (candidate.other, candidate.confidence))
                    .collect();
                waiting.sort();
                let mut told: Vec<_> =
                    resolver.in_review_against(member).map(|(other, sure)| (other.clone(), sure)).collect();
                told.sort();
                prop_assert_eq!(told, waiting);
            }
        }
        prop_assert_eq!(told.len(), resolver.clusters().count());
    }
}
