//! Links: what became of pairs of party records.

use ontology::Vocabulary;
use resolver::{Explanation, LinkState, WhyNotAutomatic};

use super::{Differences, Scene};
use crate::scenario::expect::ExpectLink;
use crate::scenario::fact::entity;

/// Compares pairs with what the resolver explains about them.
pub fn links(expected: &[ExpectLink], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for link in expected {
        let (left, right) = (entity(&link.pair[0])?, entity(&link.pair[1])?);
        let what = format!("link {left} and {right}");
        match scene.engine.identity().resolver().explain(&left, &right) {
            Some(explanation) => one(link, &what, &explanation, found),
            None => found.note(what, "both records to be known", "one of them is not"),
        }
    }
    Ok(())
}

fn one(expected: &ExpectLink, what: &str, explanation: &Explanation, found: &mut Differences) {
    let confidence = f64::from(explanation.confidence.0) / 1e6;
    let state = state_name(explanation.state);
    if expected.state.as_deref().is_some_and(|expected| expected != state) {
        let why = explanation.why_not_automatic.map(why_name).unwrap_or_default();
        let state = format!("{state} at {confidence} {why}, rules {:?}", explanation.rules);
        found.note(format!("{what}: state"), expected.state.clone().unwrap_or_default(), state);
    }
    if let Some(bound) = expected.at_least.filter(|bound| confidence < *bound) {
        found.note(format!("{what}: confidence"), format!("at least {bound}"), confidence);
    }
    if let Some(bound) = expected.below.filter(|bound| confidence >= *bound) {
        found.note(format!("{what}: confidence"), format!("below {bound}"), confidence);
    }
    let why = explanation.why_not_automatic.or(explanation.vetoes.first().copied()).map(why_name).unwrap_or("none");
    found.same(&format!("{what}: why"), expected.why.as_ref(), why);
    found.same(&format!("{what}: same customer"), expected.same_customer, explanation.same_customer);
    let judge = explanation.judgements.last().map_or("nobody", |judgement| judgement.actor.as_str());
    found.same(&format!("{what}: judged by"), expected.judged_by.as_ref(), judge);
    let generic = explanation.features.iter().filter(|feature| feature.is_generic);
    let generic = generic.map(|feature| feature.feature.name().to_owned()).collect();
    found.same_set(&format!("{what}: generic"), expected.generic.as_ref(), generic);
}

fn state_name(state: LinkState) -> &'static str {
    match state {
        LinkState::Linked => "linked",
        LinkState::Review => "review",
        LinkState::Below => "below",
        LinkState::Unlinked => "unlinked",
    }
}

fn why_name(why: WhyNotAutomatic) -> &'static str {
    match why {
        WhyNotAutomatic::ReviewBand => "review_band",
        WhyNotAutomatic::TaxIdVeto => "tax_id_veto",
        WhyNotAutomatic::KeyVeto => "key_veto",
        WhyNotAutomatic::ClusterConflict => "cluster_conflict",
    }
}
