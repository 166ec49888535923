//! 11-2: RC1, RC2 or RC3 is open. One alert for each case, listing all of the case's.

use ontology::{EntityKey, Millis};

use super::{Alert, AlertRule, AlertState};
use crate::derived::{Derived, Discrepancy, Grounds};

const RULE: AlertRule = AlertRule::ReconciliationMismatch;

pub(super) fn alerts(derived: &Derived) -> Vec<Alert> {
    let open: Vec<(&EntityKey, &Discrepancy)> = derived
        .discrepancies
        .iter()
        .filter(|discrepancy| discrepancy.is_open())
        .filter_map(|discrepancy| Some((discrepancy.case.as_ref()?, discrepancy)))
        .collect();
    let mut cases: Vec<&EntityKey> = open.iter().map(|(case, _)| *case).collect();
    cases.sort();
    cases.dedup();
    cases.into_iter().filter_map(|case| alert(case, &open)).collect()
}

fn alert(case: &EntityKey, open: &[(&EntityKey, &Discrepancy)]) -> Option<Alert> {
    let listed: Vec<&Discrepancy> = open.iter().filter(|(of, _)| *of == case).map(|(_, found)| *found).collect();
    let first = listed.first()?;
    let subject = case.to_string();
    let sentences: Vec<&str> = listed.iter().filter_map(|found| found.sentence.as_deref()).collect();
    Some(Alert {
        id: RULE.id(&subject),
        rule: RULE,
        severity: RULE.severity(),
        subject: subject.into(),
        state: AlertState::Firing,
        since: earliest(&listed, |found| found.since),
        fired_at: earliest(&listed, |found| found.opened_at),
        owner_team: first.owner_team.into(),
        action: "the owning team is told and gets a follow-up task",
        undo: "waive or resolve the discrepancy; the task is completed with a note",
        manual_route: "compare the case with Oracle and SAP on their own screens, and settle it there",
        grounds: grounds(case, &listed),
        sentence: (!sentences.is_empty()).then(|| sentences.join(" ")),
    })
}

fn earliest(listed: &[&Discrepancy], at: impl Fn(&Discrepancy) -> Millis) -> Millis {
    listed.iter().map(|found| at(found)).min().unwrap_or(Millis::MIN)
}

fn grounds(case: &EntityKey, listed: &[&Discrepancy]) -> Grounds {
    let mut grounds = Grounds {
        subjects: vec![case.clone()],
        cited: Vec::new(),
        told: Vec::new(),
        config_version: listed.first().map_or(0, |found| found.grounds.config_version),
        link_confidence: listed.iter().map(|found| found.grounds.link_confidence).min().unwrap_or(0),
    };
    for found in listed {
        grounds.subjects.extend(found.grounds.subjects.iter().filter(|key| *key != case).cloned());
        for cited in &found.grounds.cited {
            if !grounds.cited.contains(cited) {
                grounds.cited.push(cited.clone());
            }
        }
    }
    grounds
}
