//! Correlations and anomalies.

use insight::derived::Correlation;
use ontology::Vocabulary;

use super::{Differences, Scene};
use crate::scenario::expect::{ExpectAnomaly, ExpectCorrelation};
use crate::scenario::fact::entity;

/// Compares correlations.
pub fn correlations(expected: &[ExpectCorrelation], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let key = entity(&wanted.of)?;
        let what = format!("correlation of {key}");
        let customer = scene.customer(&key);
        let of_subject =
            customer.iter().flat_map(|c| c.derived.correlations.iter()).filter(|known| known.subject == key);
        let is_asked = |known: &&std::sync::Arc<Correlation>| {
            wanted
                .anomaly
                .as_ref()
                .is_none_or(|kind| known.anomaly.is_some_and(|a| a.name().eq_ignore_ascii_case(kind)))
        };
        let known = of_subject.filter(is_asked).find(|known| wanted.anomaly.is_some() || !known.candidates.is_empty());
        let told = known.map(|known| known.verdict.name()).unwrap_or_default();
        if found.is_there(&what, !wanted.none, known.is_some(), told)
            && let Some(known) = known
        {
            one(wanted, &what, known, found)?;
        }
    }
    Ok(())
}

fn one(wanted: &ExpectCorrelation, what: &str, known: &Correlation, found: &mut Differences) -> Result<(), String> {
    let best = known.candidates.first();
    if let Some(name) = &wanted.order {
        let order = best.map_or_else(|| "none".to_owned(), |best| best.order.to_string());
        found.same(&format!("{what}: order"), Some(entity(name)?), order);
    }
    if let Some(score) = wanted.score {
        let wanted = score.to_string();
        let places = wanted.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let score = best.map_or_else(|| "none".to_owned(), |best| format!("{:.places$}", f64::from(best.score) / 1e6));
        found.same(&format!("{what}: score"), Some(wanted), score);
    }
    found.same(&format!("{what}: accepted"), wanted.accepted, known.is_accepted());
    found.same_word(&format!("{what}: verdict"), wanted.verdict.as_ref(), known.verdict.name());
    found.same(&format!("{what}: sentence"), wanted.sentence.as_ref(), known.sentence.as_deref().unwrap_or("none"));
    Ok(())
}

/// Compares anomalies.
pub fn anomalies(expected: &[ExpectAnomaly], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let key = entity(&wanted.of)?;
        let what = format!("{} of {key}", wanted.kind);
        let customer = scene.customer(&key);
        let mut of_invoice =
            customer.iter().flat_map(|c| c.derived.anomalies.iter()).filter(|known| known.invoice == key);
        let known = of_invoice.find(|known| known.kind.name().eq_ignore_ascii_case(&wanted.kind));
        let told = known.map(|known| format!("{:?} where {:?} was expected", known.actual, known.expected));
        if found.is_there(&what, !wanted.none, known.is_some(), told.unwrap_or_default())
            && let Some(known) = known
            && let Some(name) = &wanted.order
        {
            let order = known.order.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            found.same(&format!("{what}: order"), Some(entity(name)?), order);
        }
    }
    Ok(())
}
