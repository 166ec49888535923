//! Compares what a story expects with what the hub concludes, and tells each difference.

mod billing;
mod customers;
mod discrepancies;
mod figures;
mod handoffs;
mod identity;
mod scene;
mod work;

use pipeline::Engine;

use super::expect::{AsOf, Expect};
use super::fact::entity;
use super::report::Difference;
use super::stage::Stage;
use super::time::Times;
use crate::as_of::Moment;

pub use scene::Scene;

/// Compares one expectation with the stage. The stage must have settled.
///
/// # Errors
/// When the story asks for something that cannot be: an id that is none, a position that there
/// was not.
pub fn check(expect: &Expect, stage: &Stage, times: &Times, line: Option<usize>) -> anyhow::Result<Vec<Difference>> {
    let earlier = match &expect.as_of {
        Some(as_of) => Some(stage.at(moment(as_of, stage, times)?)?),
        None => None,
    };
    let now = earlier.as_ref().map_or(stage.clock(), Engine::now);
    let scene = Scene::new(stage, earlier.as_ref().unwrap_or(stage.engine()), now, times);
    let mut found = Differences { line, list: Vec::new() };
    compare(expect, &scene, &mut found).map_err(anyhow::Error::msg)?;
    Ok(found.list)
}

fn moment(as_of: &AsOf, stage: &Stage, times: &Times) -> anyhow::Result<Moment> {
    match (&as_of.time, &as_of.before) {
        (Some(time), None) => Moment::at_time(stage.store(), times.instant(time).map_err(anyhow::Error::msg)?),
        (None, Some(name)) => {
            let key = entity(name).map_err(anyhow::Error::msg)?;
            let before = stage.before(&key)?.ok_or_else(|| anyhow::anyhow!("as_of: there was no fact about {key}"))?;
            Moment::at(stage.store(), before)
        }
        (Some(_), Some(_)) | (None, None) => anyhow::bail!("as_of: expected one of time and before"),
    }
}

fn compare(expect: &Expect, scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    // Taken apart, so that a part that is added to the format is not forgotten here.
    let Expect {
        as_of: _,
        links,
        customers,
        records,
        discrepancies,
        alerts,
        correlations,
        anomalies,
        handoffs,
        tasks,
        actions,
        findings,
        quarantine,
        sources,
        latency,
        kpis,
        open,
        digest: _,
    } = expect;
    identity::links(links, scene, found)?;
    customers::customers(customers, scene, found)?;
    customers::records(records, scene, found)?;
    discrepancies::discrepancies(discrepancies, scene, found)?;
    discrepancies::alerts(alerts, scene, found)?;
    billing::correlations(correlations, scene, found)?;
    billing::anomalies(anomalies, scene, found)?;
    handoffs::handoffs(handoffs, scene, found)?;
    work::tasks(tasks, scene, found)?;
    work::actions(actions, scene, found)?;
    work::findings(findings, scene, found)?;
    figures::quarantine(quarantine, scene, found)?;
    figures::sources(sources, scene, found)?;
    figures::latency(latency, scene, found)?;
    figures::kpis(kpis, scene, found)?;
    figures::open(open, scene, found)
}

/// Collects differences of one step.
pub struct Differences {
    line: Option<usize>,
    list: Vec<Difference>,
}

impl Differences {
    /// Notes a difference.
    pub fn note(&mut self, what: impl Into<String>, expected: impl ToString, found: impl ToString) {
        self.list.push(Difference {
            line: self.line,
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }

    /// Compares if something is expected.
    pub fn same<E: ToString, F: ToString>(&mut self, what: &str, expected: Option<E>, found: F) {
        let Some(expected) = expected.map(|expected| expected.to_string()) else { return };
        let found = found.to_string();
        if expected != found {
            self.note(what, expected, found);
        }
    }

    /// Compares words whatever their case.
    pub fn same_word(&mut self, what: &str, expected: Option<&String>, found: &str) {
        if let Some(expected) = expected
            && !expected.eq_ignore_ascii_case(found)
        {
            self.note(what, expected, found);
        }
    }

    /// Compares two sets of names.
    pub fn same_set(&mut self, what: &str, expected: Option<&Vec<String>>, mut found: Vec<String>) {
        let Some(expected) = expected else { return };
        let mut expected = expected.clone();
        expected.sort();
        expected.dedup();
        found.sort();
        found.dedup();
        if expected != found {
            self.note(what, told_set(&expected), told_set(&found));
        }
    }

    /// Something was expected and is not there, or the other way round. True if it is there and
    /// has to be looked at.
    pub fn is_there(&mut self, what: &str, is_expected: bool, is_found: bool, found: impl ToString) -> bool {
        match (is_expected, is_found) {
            (true, false) => self.note(what, "to be there", "nothing"),
            (false, true) => self.note(what, "nothing", found),
            (true, true) | (false, false) => {}
        }
        is_expected && is_found
    }
}

fn told_set(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}
