//! The incremental resolver against the obvious one: every pair compared, clusters by spec 4.4.
#![allow(clippy::unwrap_used)]

mod support;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use ontology::{EntityKey, PartyRecord};
use proptest::prelude::*;
use resolver::{Confidence, Resolver, WhyNotAutomatic};
use support::{account, ar, partner, record, resolved};

const NAMES: &[&str] = &["Acme GmbH", "ACME", "Acme Leeds Ltd", "Zenith Foods", "Zenith Fods", "Orchard Dairy"];
const MAILS: &[&str] = &["a@acme.example", "b@zenith.example", "c@orchard.example", "ops@gmail.com"];

fn records() -> impl Strategy<Value = Vec<PartyRecord>> {
    let one = (0..NAMES.len(), 0..8usize, 0..6usize, 0..5usize, 0..3usize, 0..4usize);
    prop::collection::vec(one, 2..14).prop_map(|rows| {
        let row =
            |(at, (name, mail, phone, tax_id, street, number)): (usize, (usize, usize, usize, usize, usize, usize))| {
                let key = match at % 3 {
                    0 => account(&format!("A{at}")),
                    1 => ar(&format!("R{at}")),
                    _ => partner(&format!("P{at}")),
                };
                let phone = format!("+1212555010{phone}");
                let tax_id = format!("11122233{tax_id}");
                let number = format!("N-{number}");
                let mut fields = vec![("name", NAMES[name]), ("city", "Leeds"), ("phone", phone.as_str())];
                if let Some(mail) = MAILS.get(mail) {
                    fields.push(("email", mail));
                }
                if !tax_id.ends_with(['3', '4']) {
                    fields.push(("tax_id", &tax_id));
                }
                if !number.ends_with(['2', '3']) {
                    fields.push(("customer", &number));
                }
                fields.push(("street", ["12 Mill Lane", "9 Abbey Road", ""][street]));
                record(&key, &fields)
            };
        rows.into_iter().enumerate().map(row).collect()
    })
}

/// Clusters by comparing every pair, keys only.
fn obvious(resolver: &Resolver, keys: &[EntityKey]) -> BTreeSet<BTreeSet<EntityKey>> {
    let mut accepted: Vec<(Reverse<Confidence>, EntityKey, EntityKey)> = Vec::new();
    let mut vetoed: BTreeSet<(EntityKey, EntityKey)> = BTreeSet::new();
    for left in keys {
        for right in keys.iter().filter(|right| left < *right) {
            let explanation = resolver.explain(left, right).unwrap();
            if !explanation.vetoes.is_empty() {
                vetoed.insert((left.clone(), right.clone()));
            } else if explanation.confidence >= explanation.threshold {
                accepted.push((Reverse(explanation.confidence), left.clone(), right.clone()));
            }
        }
    }
    accepted.sort();
    let mut clusters: Vec<BTreeSet<EntityKey>> = keys.iter().map(|key| BTreeSet::from([key.clone()])).collect();
    for (_, left, right) in accepted {
        let of = |key: &EntityKey| clusters.iter().position(|cluster| cluster.contains(key)).unwrap();
        let (x, y) = (of(&left), of(&right));
        let pairs = clusters[x].iter().flat_map(|a| clusters[y].iter().map(move |b| (a.min(b), a.max(b))));
        if x == y || pairs.into_iter().any(|(a, b)| vetoed.contains(&(a.clone(), b.clone()))) {
            continue;
        }
        let moved = std::mem::take(&mut clusters[y]);
        clusters[x].extend(moved);
    }
    clusters.into_iter().filter(|cluster| !cluster.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocking_loses_no_link_and_clusters_are_the_obvious_ones(records in records()) {
        let resolver = resolved(&records);
        let keys: Vec<EntityKey> = records.iter().map(|record| record.key.clone()).collect();
        let found: BTreeSet<BTreeSet<EntityKey>> =
            resolver.clusters().map(|cluster| cluster.members.iter().cloned().collect()).collect();
        prop_assert_eq!(&found, &obvious(&resolver, &keys));
        for item in resolver.review_items() {
            let explanation = resolver.explain(&item.left, &item.right).unwrap();
            prop_assert_eq!(explanation.confidence, item.confidence);
            prop_assert_eq!(explanation.why_not_automatic, Some(item.why_not_automatic));
            let vetoed = !explanation.vetoes.is_empty();
            let expected = matches!(item.why_not_automatic, WhyNotAutomatic::TaxIdVeto | WhyNotAutomatic::KeyVeto);
            prop_assert_eq!(vetoed, expected);
        }
    }
}
