//! What is known: customers, candidates, review, findings, explanations. As of the last drain.

use std::cmp::Reverse;

use ontology::{CustomerId, EntityKey, Finding, FindingKind, FindingSeverity};
use smallvec::SmallVec;

use crate::Confidence;
use crate::answer::{
    Candidate, Cluster, Explanation, FeatureExplanation, LinkState, Member, ReviewItem, WhyNotAutomatic,
};
use crate::drain::judged;
use crate::feature::{Feature, Level};
use crate::graph::{Edge, Node, Party, automatic_veto, pair};
use crate::index::Slot;
use crate::judgement::Judgements;
use crate::resolver::{Resolver, half_of};
use crate::score::{Circumstances, score};
use crate::standard::Part;

impl Resolver {
    /// The customer of a record. A record that was never seen, or is deleted, is a customer of one.
    #[must_use]
    pub fn customer_of(&self, party: &EntityKey) -> CustomerId {
        match self.graph.slot(party) {
            Some(slot) => self.graph.customer_of(slot),
            None => CustomerId::of_member(party),
        }
    }

    /// A current customer by its id.
    #[must_use]
    pub fn cluster(&self, id: &CustomerId) -> Option<Cluster> {
        let slot = self.owner(id)?;
        self.cluster_at(slot)
    }

    /// The current customer of the record that an id was made from: where an old id redirects to.
    #[must_use]
    pub fn redirect(&self, id: &CustomerId) -> Option<CustomerId> {
        self.owner(id).map(|slot| self.graph.customer_of(slot))
    }

    /// The record that an id was made from.
    fn owner(&self, id: &CustomerId) -> Option<Slot> {
        let owners = self.owners.get_or_init(|| {
            let half = |node: &Node| half_of(&CustomerId::of_member(&node.key));
            let slots = (0..).zip(&self.graph.nodes);
            slots.map(|(slot, node)| (half(node), slot)).collect()
        });
        let slot = *owners.get(&half_of(id))?;
        (CustomerId::of_member(&self.graph.node(slot).key) == *id).then_some(slot)
    }

    /// The customer whose smallest member is at `slot`.
    fn cluster_at(&self, slot: Slot) -> Option<Cluster> {
        (self.graph.node(slot).home == Some(slot)).then(|| match self.groups.get(&slot) {
            Some(members) => self.cluster_of(members),
            None => self.cluster_of(&[slot]),
        })
    }

    /// Members of a record's customer in order of keys, each with what holds it there. None if the
    /// record was never seen, or is deleted.
    #[must_use]
    pub fn members_with(&self, party: &EntityKey) -> Option<Vec<Member>> {
        let home = self.graph.node(self.graph.slot(party)?).home?;
        let one = [home];
        let slots = self.groups.get(&home).map_or(&one[..], |members| members);
        let alone = |slot: &Slot| Member { key: self.graph.node(*slot).key.clone(), strongest: None, joined: None };
        let mut members: Vec<Member> = slots.iter().map(alone).collect();
        if members.len() > 1 {
            self.hold_together(slots, &mut members);
        }
        Some(members)
    }

    /// Notes what holds the members at `slots` together: each group of members comes to the larger one
    /// that it has the strongest link with, so that no way through the tree is long.
    fn hold_together(&self, slots: &[Slot], members: &mut [Member]) {
        let mut links: SmallVec<[(Reverse<Confidence>, usize, usize); 8]> = SmallVec::new();
        for (right, slot) in slots.iter().enumerate() {
            for other in &self.graph.node(*slot).neighbours {
                let Some(left) = slots[..right].iter().position(|known| known == other) else { continue };
                let edge = self.graph.edge(*slot, *other).filter(|edge| edge.is_accepted(&self.model));
                let Some(confidence) = edge.map(Edge::link_confidence) else { continue };
                for end in [left, right] {
                    members[end].strongest = members[end].strongest.max(Some(confidence));
                }
                links.push((Reverse(confidence), left, right));
            }
        }
        links.sort_unstable();
        let mut sizes: SmallVec<[usize; 8]> = SmallVec::from_elem(1, members.len());
        for (Reverse(confidence), left, right) in links {
            let (x, y) = (head(members, left), head(members, right));
            if x != y {
                let (from, into) = if sizes[x] < sizes[y] { (x, y) } else { (y, x) };
                members[from].joined = Some((into, confidence));
                sizes[into] += sizes[from];
            }
        }
    }

    /// Records in review against a record, in no order, each with how sure it is that both are one customer.
    pub fn in_review_against(&self, party: &EntityKey) -> impl Iterator<Item = (&EntityKey, Confidence)> {
        let slot = self.graph.slot(party);
        let pairs = slot.into_iter().flat_map(move |slot| {
            let others = self.graph.node(slot).neighbours.iter();
            others.filter_map(move |other| Some((*other, self.graph.edge(slot, *other)?)))
        });
        let in_review = pairs.filter(|(_, edge)| edge.state(&self.model) == LinkState::Review);
        in_review.map(|(other, edge)| (&self.graph.node(other).key, edge.link_confidence()))
    }

    /// Current customers, in no order.
    pub fn clusters(&self) -> impl Iterator<Item = Cluster> {
        self.slots().filter_map(|slot| self.cluster_at(slot))
    }

    /// Candidate pairs of a record, most confident first, then by key.
    #[must_use]
    pub fn candidates_of(&self, party: &EntityKey) -> Vec<Candidate> {
        let Some(slot) = self.graph.slot(party) else { return Vec::new() };
        let node = self.graph.node(slot);
        let candidate = |other: &Slot| {
            self.graph.edge(slot, *other).map(|edge| Candidate {
                other: self.graph.node(*other).key.clone(),
                confidence: edge.link_confidence(),
                state: edge.state(&self.model),
                why_not_automatic: edge.why_not_automatic(&self.model),
            })
        };
        let mut found: Vec<Candidate> = node.neighbours.iter().filter_map(candidate).collect();
        found.sort_by(|x, y| y.confidence.cmp(&x.confidence).then_with(|| x.other.cmp(&y.other)));
        found
    }

    /// Pairs that wait for a person, sorted by pair.
    pub fn review_items(&self) -> impl Iterator<Item = ReviewItem> {
        let item = |(a, b): &(Slot, Slot)| {
            let edge = self.graph.edge(*a, *b)?;
            let (left, right) = self.graph.by_key((*a, *b));
            Some(ReviewItem {
                left: self.graph.node(left).key.clone(),
                right: self.graph.node(right).key.clone(),
                confidence: edge.confidence,
                features: edge.levels.iter().collect(),
                why_not_automatic: edge.why_not_automatic(&self.model)?,
            })
        };
        let mut items: Vec<ReviewItem> = self.review.iter().filter_map(item).collect();
        items.sort_by(|x, y| (&x.left, &x.right).cmp(&(&y.left, &y.right)));
        items.into_iter()
    }

    /// Pairs that came into review or left it since the last call, each once, in order, with whether it
    /// waits for a person now.
    pub fn take_review_news(&mut self) -> Vec<(EntityKey, EntityKey, bool)> {
        let mut pairs = std::mem::take(&mut self.review_news);
        pairs.sort_unstable();
        pairs.dedup();
        let told = pairs.into_iter().map(|pair| {
            let (left, right) = self.graph.by_key(pair);
            let key = |slot: Slot| self.graph.node(slot).key.clone();
            (key(left), key(right), self.review.contains(&pair))
        });
        let mut told: Vec<(EntityKey, EntityKey, bool)> = told.collect();
        told.sort_unstable();
        told
    }

    /// Defects of a record that identity sees: generic values, duplicates within its system, tax ids
    /// that differ within its customer. Sorted.
    #[must_use]
    pub fn findings(&self, party: &EntityKey) -> Vec<Finding> {
        let Some(slot) = self.graph.slot(party) else { return Vec::new() };
        let Some(record) = self.graph.party(slot) else { return Vec::new() };
        let mut found = generic_values(party, record);
        let group = self.graph.node(slot).home.and_then(|home| self.groups.get(&home));
        let others = || group.map_or(&[][..], |members| members).iter().filter(|member| **member != slot);
        if others().any(|member| self.graph.node(*member).key.kind == party.kind) {
            found.push(finding(party, FindingKind::DuplicateRecord, None, "", FindingSeverity::Warn));
        }
        let conflicts = |member: &Slot| {
            self.graph.party(*member).is_some_and(|other| {
                automatic_veto(&record.subject, &other.subject) == Some(WhyNotAutomatic::TaxIdVeto)
            })
        };
        if others().any(conflicts) {
            let (kind, severity) = (FindingKind::ConflictingValues, FindingSeverity::Block);
            let value = record.subject.standard.shown(Feature::TaxId);
            found.push(finding(party, kind, Some(Feature::TaxId), &value, severity));
        }
        found.sort();
        found
    }

    /// Why two records are, or are not, one customer; also for pairs that were never candidates.
    /// None if one of them is not known.
    #[must_use]
    pub fn explain(&self, one: &EntityKey, other: &EntityKey) -> Option<Explanation> {
        let (x, y) = (self.graph.slot(one)?, self.graph.slot(other)?);
        let (a, b) = self.graph.by_key(pair(x, y));
        let (left, right) = (self.graph.party(a)?, self.graph.party(b)?);
        let known = self.graph.edge(a, b);
        let standing = known.map(|edge| edge.standing).unwrap_or_default();
        let edge: Edge = match known {
            Some(edge) => *edge,
            None => judged(&self.graph, &self.model, pair(a, b), standing)?,
        };
        let circumstances = Circumstances::of(&left.subject, &right.subject);
        let scored = score(&self.model, edge.levels, circumstances, standing);
        let was_candidate = known.is_some() || self.are_proposed(a, b);
        let state = if was_candidate { edge.state(&self.model) } else { LinkState::Below };
        Some(Explanation {
            left: self.graph.node(a).key.clone(),
            right: self.graph.node(b).key.clone(),
            features: features(left, right, &edge, &scored.contributions_millibits),
            prior_millibits: scored.prior_millibits,
            total_millibits: scored.total_millibits,
            rules: scored.rules.to_vec(),
            vetoes: edge.veto.into_iter().collect(),
            judgements: self.graph.judgements.get(&pair(a, b)).map(Judgements::all).unwrap_or_default().to_vec(),
            confidence: scored.confidence,
            threshold: self.model.link_min,
            state,
            why_not_automatic: if was_candidate { edge.why_not_automatic(&self.model) } else { None },
            was_candidate,
            met_by: self.met_by(a, b),
            same_customer: self.graph.customer_of(a) == self.graph.customer_of(b),
            model_version: self.model.version.clone(),
        })
    }
}

/// The member that the group of one has come to.
fn head(members: &[Member], mut place: usize) -> usize {
    while let Some((to, _)) = members[place].joined {
        place = to;
    }
    place
}

fn features(
    left: &Party,
    right: &Party,
    edge: &Edge,
    contributions: &[i32; Feature::COUNT],
) -> Vec<FeatureExplanation> {
    let (a, b) = (&left.subject, &right.subject);
    let explained = |(feature, level): (Feature, Level)| FeatureExplanation {
        feature,
        left: a.standard.shown(feature),
        right: b.standard.shown(feature),
        level,
        contribution_millibits: contributions[feature as usize],
        is_generic: level == Level::Generic,
        is_blocked: a.standard.blocked.contains(feature) || b.standard.blocked.contains(feature),
    };
    let all = edge.levels.iter().map(explained);
    all.filter(|told| told.level != Level::Silent || !told.left.is_empty() || !told.right.is_empty()).collect()
}

fn generic_values(party: &EntityKey, record: &Party) -> Vec<Finding> {
    let subject = &record.subject;
    if subject.generic.is_empty() && subject.generic_keys == 0 {
        return Vec::new();
    }
    let all = <Feature as ontology::Vocabulary>::ALL.iter().map(|(feature, _)| *feature);
    let mut found: Vec<Finding> = all
        .filter(|feature| subject.generic.contains(*feature))
        .map(|feature| {
            let value = subject.standard.shown(feature);
            finding(party, FindingKind::GenericValue, Some(feature), &value, FindingSeverity::Warn)
        })
        .collect();
    for (at, key) in subject.standard.values(Part::Keys).enumerate().take(64) {
        if subject.generic_keys & (1 << at) != 0 {
            let value = key.split_once(':').map_or(key, |(_, value)| value);
            found.push(finding(party, FindingKind::GenericValue, Some(Feature::Key), value, FindingSeverity::Warn));
        }
    }
    found
}

fn finding(
    party: &EntityKey,
    kind: FindingKind,
    feature: Option<Feature>,
    value: &str,
    severity: FindingSeverity,
) -> Finding {
    Finding { kind, entity: party.clone(), field: feature.and_then(Feature::field), value: value.into(), severity }
}
