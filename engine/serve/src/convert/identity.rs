//! Explanations and review items.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ontology::{EntityKey, Millis, Vocabulary};
use pipeline::InReview;
use proto::v1;
use resolver::{Explanation, Feature, FeatureExplanation, Level, LinkState, WhyNotAutomatic};

use super::common::{duration, ratio, source_ref, time};
use super::word;
use crate::reason::{Reason, Refusal};

/// How many of the things that wait on a review item are named.
const WAITING_TOLD_MAX: usize = 50;

/// Why a pair is or is not one customer.
#[must_use]
pub fn explanation(explained: &Explanation) -> v1::MatchExplanation {
    v1::MatchExplanation {
        left: Some(source_ref(&explained.left)),
        right: Some(source_ref(&explained.right)),
        prior_bits: bits(explained.prior_millibits),
        comparisons: explained.features.iter().map(comparison).collect(),
        final_bits: bits(explained.total_millibits),
        match_probability: ratio(explained.confidence.0),
        link_threshold: ratio(explained.threshold.0),
        decision: decision(explained).into(),
        vetoes: explained.vetoes.iter().map(|veto| why(*veto).to_owned()).collect(),
        bounds: explained.rules.iter().map(|rule| (*rule).to_owned()).collect(),
        blocking_keys: Vec::new(),
        judgement: explained.judgements.last().map(judgement),
        model_version: explained.model_version.to_string(),
    }
}

fn comparison(feature: &FeatureExplanation) -> v1::FeatureComparison {
    v1::FeatureComparison {
        feature: feature.feature.name().to_owned(),
        level: feature.level.name().to_owned(),
        left_value: feature.left.to_string(),
        right_value: feature.right.to_string(),
        similarity: None,
        weight_bits: bits(feature.contribution_millibits),
        rarity_bits: 0.0,
        generic: feature.is_generic || feature.level == Level::Generic,
    }
}

fn judgement(judged: &resolver::Judgement) -> v1::Judgement {
    v1::Judgement {
        verdict: word(judged.verdict),
        actor: judged.actor.to_string(),
        reason: judged.reason.to_string(),
        decide_time: time(judged.decided_at),
    }
}

/// A pair that must not be in one customer.
#[must_use]
pub fn held_apart(explained: &Explanation) -> v1::HeldApart {
    v1::HeldApart {
        left: Some(source_ref(&explained.left)),
        right: Some(source_ref(&explained.right)),
        vetoes: explained.vetoes.iter().map(|veto| why(*veto).to_owned()).collect(),
        judgement: explained.judgements.last().map(judgement),
    }
}

/// What an explanation comes to.
#[must_use]
pub fn decision(explained: &Explanation) -> v1::MatchDecision {
    match explained.state {
        LinkState::Linked => v1::MatchDecision::Linked,
        LinkState::Review => v1::MatchDecision::Review,
        LinkState::Unlinked => v1::MatchDecision::Vetoed,
        LinkState::Below if explained.vetoes.is_empty() => v1::MatchDecision::None,
        LinkState::Below => v1::MatchDecision::Vetoed,
    }
}

fn why(why: WhyNotAutomatic) -> &'static str {
    match why {
        WhyNotAutomatic::ReviewBand => "below_threshold",
        WhyNotAutomatic::TaxIdVeto => "different_tax_id",
        WhyNotAutomatic::KeyVeto => "conflicting_key",
        WhyNotAutomatic::ClusterConflict => "cluster_conflict",
    }
}

/// A pair that waits for a person. Its name holds the pair, so that it can be found after it has
/// left the queue.
#[must_use]
pub fn review_item(InReview { item, since }: &InReview, now: Millis, waiting: Vec<String>) -> v1::ReviewItem {
    let reason = why(item.why_not_automatic);
    let features = item.features.iter().filter(|(_, level)| *level != Level::Silent);
    v1::ReviewItem {
        open_time: time(*since),
        age: Some(duration(now.since(*since).max(0))),
        waiting_work_count: i32::try_from(waiting.len()).unwrap_or(i32::MAX),
        waiting_work: waiting.into_iter().take(WAITING_TOLD_MAX).collect(),
        features: features.map(feature_agreement).collect(),
        name: review_name(&item.left, &item.right),
        left: Some(source_ref(&item.left)),
        right: Some(source_ref(&item.right)),
        match_probability: ratio(item.confidence.0),
        reason: reason.to_owned(),
        state: v1::ReviewState::Pending.into(),
        etag: format!("\"{}-{reason}\"", item.confidence.0),
        ..v1::ReviewItem::default()
    }
}

fn feature_agreement((feature, level): &(Feature, Level)) -> v1::FeatureAgreement {
    v1::FeatureAgreement { feature: feature.name().to_owned(), level: level.name().to_owned() }
}

/// The name of the review item about a pair.
#[must_use]
pub fn review_name(left: &EntityKey, right: &EntityKey) -> String {
    format!("reviewItems/{}", URL_SAFE_NO_PAD.encode(format!("{left}\0{right}")))
}

/// The pair that a review item is about.
///
/// # Errors
/// If the name names no pair.
pub fn reviewed_pair(name: &str) -> Result<(EntityKey, EntityKey), Refusal> {
    let pair = || {
        let bytes = URL_SAFE_NO_PAD.decode(name.strip_prefix("reviewItems/")?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (left, right) = text.split_once('\0')?;
        Some((EntityKey::parse(left)?, EntityKey::parse(right)?))
    };
    let pair = pair().filter(|(left, right)| left.kind.is_party() && right.kind.is_party());
    pair.ok_or_else(|| Refusal::new(Reason::ReviewItemNotFound).with("name", name))
}

fn bits(millibits: i32) -> f64 {
    f64::from(millibits) / 1_000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ontology::EntityKind;

    #[test]
    fn a_review_name_holds_its_pair() {
        let left = EntityKey::new(EntityKind::Account, "a/b~c ü");
        let right = EntityKey::new(EntityKind::BusinessPartner, "7");
        assert_eq!(reviewed_pair(&review_name(&left, &right)).unwrap(), (left.clone(), right));
        let case = EntityKey::new(EntityKind::Case, "1");
        for name in ["", "reviewItems/", "reviewItems/!!", "alerts/1", &review_name(&left, &case)] {
            assert_eq!(reviewed_pair(name).unwrap_err().reason(), Reason::ReviewItemNotFound, "{name}");
        }
    }
}
