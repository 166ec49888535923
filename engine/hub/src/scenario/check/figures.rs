//! Counts and figures: quarantine, sources, latency, key figures, what stands open.

use std::collections::BTreeMap;

use insight::Context;
use insight::kpis::{self, Contribution, KpiValue, Measure};
use ontology::System;
use state::SystemFreshness;
use storage::QuarantineFilter;

use super::{Differences, Scene};
use crate::scenario::expect::ExpectKpi;
use crate::scenario::fact::{entity, word};
use crate::scenario::time::{duration, told_duration};

/// Quarantined records looked at.
const QUARANTINE_MAX: usize = 10_000;

/// Compares how much is held in quarantine by reason.
pub fn quarantine(
    expected: &BTreeMap<String, usize>,
    scene: &Scene<'_>,
    found: &mut Differences,
) -> Result<(), String> {
    for (reason, count) in expected {
        let filter = QuarantineFilter { reason: Some(reason.clone()), source: None, held_only: true };
        let page = scene.stage.store().list(&filter, None, QUARANTINE_MAX).map_err(|error| error.to_string())?;
        found.same(&format!("quarantine {reason}"), Some(count), page.records.len());
    }
    Ok(())
}

/// Compares the state of sources.
pub fn sources(expected: &BTreeMap<String, String>, scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for (name, state) in expected {
        let system: System = word("a system", name)?;
        let known = match scene.engine.sources().freshness().at(system, scene.now) {
            SystemFreshness::Fresh => "fresh",
            SystemFreshness::Stale { .. } => "stale",
            SystemFreshness::Unknown => "unknown",
            SystemFreshness::Unmonitored => "unmonitored",
        };
        found.same(&format!("source {name}"), Some(state), known);
    }
    Ok(())
}

/// Compares how long the last fact about an entity took.
pub fn latency(expected: &BTreeMap<String, String>, scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for (name, text) in expected {
        let key = entity(name)?;
        let last = scene.stage.samples().iter().rev().find(|sample| sample.entity == key);
        let known =
            last.map_or_else(|| "none".to_owned(), |last| told_duration(last.visible_at.since(last.event_time)));
        found.same(&format!("latency of {key}"), Some(told_duration(duration(text)?)), known);
    }
    Ok(())
}

/// Compares figures.
pub fn kpis(expected: &BTreeMap<String, ExpectKpi>, scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    if expected.is_empty() {
        return Ok(());
    }
    let values = measure(scene);
    for (code, wanted) in expected {
        let Some(known) = values.iter().find(|value| value.kpi.code == code) else {
            let codes: Vec<&str> = values.iter().map(|value| value.kpi.code).collect();
            return Err(format!("kpis: no figure {code}; figures: {}", codes.join(", ")));
        };
        let what = format!("figure {code}");
        found.same(&format!("{what}: numerator"), wanted.numerator, known.numerator);
        found.same(&format!("{what}: denominator"), wanted.denominator, known.denominator);
        let (value, met) = match known.measure {
            Measure::Value { value, is_met } => (value.to_string(), is_met.to_string()),
            Measure::NotMeasured => ("not measured".to_owned(), "not measured".to_owned()),
        };
        found.same(&format!("{what}: value"), wanted.value, value);
        found.same(&format!("{what}: met"), wanted.met, met);
        let is_empty = known.measure == Measure::NotMeasured;
        found.same(&format!("{what}: not measured"), wanted.not_measured, is_empty);
    }
    Ok(())
}

fn measure(scene: &Scene<'_>) -> Vec<KpiValue> {
    let reference = scene.engine.reference();
    let settings = &scene.stage.settings().insight;
    let context = Context::without_memory(settings, reference, scene.now);
    let position = scene.engine.position();
    let contributions: Vec<Contribution> = scene
        .customers()
        .iter()
        .map(|customer| {
            let lives =
                customer.transfers.iter().filter_map(|(transfer, _)| scene.engine.memory().transfer(&transfer.key));
            Contribution::of(&customer.composite, &customer.derived, lives.map(|life| &**life))
        })
        .collect();
    let never_applied = scene.engine.sources().gaps().len() as u64;
    vec![
        scene.stage.latency_record().measure(never_applied, scene.now, position),
        kpis::handoff_completeness::measure(contributions.iter(), &context, position),
        kpis::correlation_rate::measure(contributions.iter(), &context, position),
        kpis::discrepancies::measure(contributions.iter(), &context, position),
    ]
}

/// Compares how much stands open.
pub fn open(expected: &BTreeMap<String, usize>, scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for (what, count) in expected {
        let memory = scene.engine.memory();
        let known = match what.as_str() {
            "discrepancies" => {
                scene.customers().iter().flat_map(|c| &c.derived.discrepancies).filter(|known| known.is_open()).count()
            }
            "alerts" => memory.opened().filter(|(_, known)| known.is_open && known.rule.starts_with("11-")).count(),
            "tasks" => memory.all_tasks().flat_map(|(_, tasks)| tasks).filter(|task| !task.is_done).count(),
            other => return Err(format!("open: expected discrepancies, alerts or tasks, found `{other}`")),
        };
        found.same(&format!("open {what}"), Some(count), known);
    }
    Ok(())
}
