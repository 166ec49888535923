//! Tasks, actions and findings.

use ontology::{Finding, Vocabulary};
use pipeline::{Action, ActionKind};

use super::scene::discrepancy_id;
use super::{Differences, Scene};
use crate::scenario::expect::{ExpectAction, ExpectFinding, ExpectTask};
use crate::scenario::fact::entity;

/// Compares the tasks that were issued for discrepancies.
pub fn tasks(expected: &[ExpectTask], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let (id, _) = discrepancy_id(&wanted.rule, &wanted.of)?;
        let what = format!("tasks of {} on {}", wanted.rule, wanted.of.join(" and "));
        let issued = scene.engine.memory().tasks(&id);
        if wanted.issued.is_none() && wanted.open.is_none() && !found.is_there(&what, true, !issued.is_empty(), "") {
            continue;
        }
        found.same(&format!("{what}: issued"), wanted.issued, issued.len());
        found.same(&format!("{what}: open"), wanted.open, issued.iter().filter(|task| !task.is_done).count());
        let teams = scene.stage.actions().filter_map(|action| match &action.kind {
            ActionKind::CreateTask { subject, team, .. } if *subject == id => Some(team.clone()),
            ActionKind::CreateTask { .. }
            | ActionKind::Notify { .. }
            | ActionKind::CompleteTask { .. }
            | ActionKind::HoldTransfer { .. }
            | ActionKind::ReleaseTransfer { .. }
            | ActionKind::PushPackage { .. }
            | ActionKind::Escalate { .. }
            | ActionKind::FlagInvoice { .. } => None,
        });
        found.same_set(&format!("{what}: team"), wanted.team.clone().map(|team| vec![team]).as_ref(), teams.collect());
    }
    Ok(())
}

/// Compares what was decided in the story so far.
pub fn actions(expected: &[ExpectAction], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let about = match &wanted.of {
            Some(text) => {
                let key = entity(text)?;
                let transfer = scene.transfer_of(&key.id).map(|(transfer, _)| transfer.to_string());
                Some([Some(key.to_string()), transfer])
            }
            None => None,
        };
        let is_asked = |action: &&Action| {
            let subject = subject(action);
            action.verb() == wanted.action && about.as_ref().is_none_or(|names| names.contains(&Some(subject)))
        };
        let known: Vec<&Action> = scene.stage.actions().filter(is_asked).collect();
        let what = format!(
            "actions {}{}",
            wanted.action,
            wanted.of.as_ref().map(|of| format!(" on {of}")).unwrap_or_default()
        );
        found.same(&format!("{what}: count"), wanted.count, known.len());
        if wanted.count.is_none() && wanted.delivered.is_none() {
            found.is_there(&what, true, !known.is_empty(), "");
        }
        let delivered = known.iter().filter(|action| scene.stage.deliveries(action) > 0).count();
        found.same(&format!("{what}: delivered"), wanted.delivered, delivered);
    }
    Ok(())
}

fn subject(action: &Action) -> String {
    match &action.kind {
        ActionKind::Notify { subject, .. } | ActionKind::CreateTask { subject, .. } => subject.to_string(),
        ActionKind::CompleteTask { task, .. } => task.to_string(),
        ActionKind::HoldTransfer { transfer, .. }
        | ActionKind::ReleaseTransfer { transfer, .. }
        | ActionKind::PushPackage { transfer, .. } => transfer.to_string(),
        ActionKind::Escalate { subject, .. } => subject.to_string(),
        ActionKind::FlagInvoice { invoice, .. } => invoice.to_string(),
    }
}

/// Compares findings, those of records and those of identity.
pub fn findings(expected: &[ExpectFinding], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let key = entity(&wanted.of)?;
        let what = format!("finding {} on {key}", wanted.kind);
        let known = scene.engine.findings(&key, scene.now);
        let is_asked = |known: &&Finding| {
            known.kind.name() == wanted.kind
                && wanted.field.as_ref().is_none_or(|field| known.field.is_some_and(|f| f.name() == field))
        };
        let asked = known.iter().find(is_asked);
        let told = known.iter().map(|known| known.kind.name()).collect::<Vec<_>>().join(", ");
        if found.is_there(&what, !wanted.none, asked.is_some(), told)
            && let Some(known) = asked
        {
            found.same_word(&format!("{what}: severity"), wanted.severity.as_ref(), known.severity.name());
        }
    }
    Ok(())
}
