//! Why two records are, or are not, one customer, as people and programs read it.

use std::collections::BTreeSet;

use ontology::{EntityKey, Vocabulary};
use resolver::{Explanation, LinkState};
use serde::Serialize;

use crate::run::Run;

/// An explanation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// One record.
    pub left: String,
    /// The other.
    pub right: String,
    /// What became of the pair: `linked`, `review`, `below`, `unlinked`, `never compared`.
    pub state: String,
    /// Whether both are one customer, by this pair or by others.
    pub same_customer: bool,
    /// Probability that they are one party.
    pub probability: f64,
    /// Probability from which pairs are linked.
    pub link_min: f64,
    /// Version of the model.
    pub model: String,
    /// Log2 odds before any feature.
    pub prior_bits: f64,
    /// What each feature adds, those that say nothing left out.
    pub features: Vec<ToldFeature>,
    /// Prior and features together.
    pub total_bits: f64,
    /// Rules that applied, and why not linked.
    pub notes: Vec<String>,
    /// The links that made the customer that both are in, surest first.
    pub steps: Vec<Step>,
}

/// One feature of an explanation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToldFeature {
    /// What people call it.
    pub feature: String,
    /// Value of one record in standard form.
    pub left: String,
    /// Value of the other.
    pub right: String,
    /// How well they agree.
    pub level: String,
    /// What it adds to the log2 odds.
    pub bits: f64,
}

/// One link of a customer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// One record.
    pub left: String,
    /// The other.
    pub right: String,
    /// Probability that they are one party.
    pub probability: f64,
}

impl Told {
    /// Tells an explanation of a run's resolver.
    pub(crate) fn of(run: &Run, left: &str, right: &str, found: &Explanation) -> Self {
        let bits = |millibits: i32| f64::from(millibits) / 1e3;
        let probability = |millionths: u32| f64::from(millionths) / 1e6;
        let is_swapped = run.name_of(&found.left).as_deref() != Some(left);
        let features = found.features.iter().filter(|feature| !(feature.left.is_empty() && feature.right.is_empty()));
        let features = features.map(|feature| {
            let (one, other) = (feature.left.to_string(), feature.right.to_string());
            let (one, other) = if is_swapped { (other, one) } else { (one, other) };
            ToldFeature {
                feature: run.loaded.layout.name_of(feature.feature).to_owned(),
                left: one,
                right: other,
                level: feature.level.name().to_owned(),
                bits: bits(feature.contribution_millibits),
            }
        });
        let mut told = Told {
            left: left.to_owned(),
            right: right.to_owned(),
            state: if found.was_candidate { found.state.name().to_owned() } else { "never compared".to_owned() },
            same_customer: found.same_customer,
            probability: probability(found.confidence.0),
            link_min: probability(found.threshold.0),
            model: found.model_version.to_string(),
            prior_bits: bits(found.prior_millibits),
            features: features.collect(),
            total_bits: bits(found.total_millibits),
            notes: Vec::new(),
            steps: if found.same_customer { steps(run, &found.left) } else { Vec::new() },
        };
        told.notes = told.notes(found);
        told
    }

    /// The reason in one line: what became of the pair, its rules, and the features that say most for
    /// it and against it.
    #[must_use]
    pub fn in_short(&self) -> String {
        const SHOWN: usize = 3;
        let mut features: Vec<&ToldFeature> = self.features.iter().filter(|feature| feature.bits != 0.0).collect();
        features.sort_by(|a, b| b.bits.abs().total_cmp(&a.bits.abs()));
        let of = |feature: &&ToldFeature| format!("{} {} {:+.1}", feature.feature, feature.level, feature.bits);
        let features: Vec<String> = features.iter().take(SHOWN).map(of).collect();
        let rules = self.notes.iter().filter(|note| note.starts_with("rule: ") || note.starts_with("veto: "));
        let rules: Vec<&str> = rules.map(String::as_str).collect();
        let parts = [format!("{} at {:.2}", self.state, self.probability), features.join(", "), rules.join(", ")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }

    fn notes(&self, found: &Explanation) -> Vec<String> {
        let mut notes: Vec<String> = found.rules.iter().map(|rule| format!("rule: {}", in_words(rule))).collect();
        notes.extend(found.vetoes.iter().map(|veto| format!("veto: {}", in_words(veto.name()))));
        let met: Vec<String> = found.met_by.iter().map(|kind| in_words(kind.name())).collect();
        if !met.is_empty() {
            notes.push(format!("proposed by: {}", met.join(", ")));
        }
        if !found.was_candidate {
            notes.push(
                "no blocking key is common to both: they share none of the values that pairs are proposed by"
                    .to_owned(),
            );
        }
        if found.state != LinkState::Linked
            && let Some(costliest) = self.features.iter().min_by(|a, b| a.bits.total_cmp(&b.bits))
            && costliest.bits < 0.0
        {
            notes.push(format!("what cost most: {} ({:+.1} bits)", costliest.feature, costliest.bits));
        }
        if found.same_customer && found.state != LinkState::Linked {
            notes.push("they are one customer by way of other records".to_owned());
        }
        notes
    }
}

fn in_words(name: &str) -> String {
    name.replace('_', " ")
}

/// The links that joined the customer's records, surest first; links within what was already one
/// built nothing.
fn steps(run: &Run, member: &EntityKey) -> Vec<Step> {
    let resolver = &run.loaded.resolver;
    let Some(cluster) = resolver.cluster(&resolver.customer_of(member)) else { return Vec::new() };
    let mut links: Vec<_> = cluster.links.iter().collect();
    links.sort_by(|a, b| b.confidence.cmp(&a.confidence).then_with(|| (&a.left, &a.right).cmp(&(&b.left, &b.right))));
    let mut parts: Vec<BTreeSet<&EntityKey>> = cluster.members.iter().map(|member| BTreeSet::from([member])).collect();
    let mut joins = |link: &&resolver::Link| {
        let part_of = |parts: &[BTreeSet<&EntityKey>], key| parts.iter().position(|part| part.contains(key));
        let (Some(one), Some(other)) = (part_of(&parts, &link.left), part_of(&parts, &link.right)) else {
            return false;
        };
        if one == other {
            return false;
        }
        let (kept, gone) = (one.min(other), one.max(other));
        let mut joined = parts.swap_remove(gone);
        parts[kept].append(&mut joined);
        true
    };
    links.retain(|link| joins(link));
    let name = |key: &EntityKey| run.name_of(key).unwrap_or_else(|| key.id.to_string());
    let step = |link: &&resolver::Link| Step {
        left: name(&link.left),
        right: name(&link.right),
        probability: f64::from(link.confidence.0) / 1e6,
    };
    links.iter().map(step).collect()
}
