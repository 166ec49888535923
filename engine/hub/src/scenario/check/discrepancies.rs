//! Discrepancies and alerts.

use insight::alerts::AlertRule;
use insight::derived::Discrepancy;
use insight::reconcile::{DiscrepancyState, Resolution};
use ontology::entity::Decided;
use ontology::status::Decision;
use ontology::{EntityKey, Money, ObjectId, System, Vocabulary};
use pipeline::memory::Opened;

use super::scene::discrepancy_id;
use super::{Differences, Scene};
use crate::scenario::expect::{ExpectAlert, ExpectDiscrepancy};
use crate::scenario::fact::{entity, word};

/// Compares discrepancies.
pub fn discrepancies(expected: &[ExpectDiscrepancy], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let (id, keys) = discrepancy_id(&wanted.rule, &wanted.of)?;
        let what = format!("{} on {}", wanted.rule, wanted.of.join(" and "));
        let customer = keys.iter().find_map(|key| scene.customer(key));
        let known = customer.as_ref().and_then(|c| c.derived.discrepancies.iter().find(|known| known.id == id));
        let told = known.map(|known| known.state.name()).unwrap_or_default();
        if found.is_there(&what, !wanted.none, known.is_some(), told)
            && let Some(known) = known
        {
            one(wanted, &what, known, scene, found)?;
        }
    }
    Ok(())
}

fn one(
    wanted: &ExpectDiscrepancy,
    what: &str,
    known: &Discrepancy,
    scene: &Scene<'_>,
    found: &mut Differences,
) -> Result<(), String> {
    found.same_word(&format!("{what}: state"), wanted.state.as_ref(), known.state.name());
    found.same(&format!("{what}: cause"), wanted.cause.as_ref(), cause(&known.state));
    found.same_word(&format!("{what}: severity"), wanted.severity.as_ref(), known.severity.name());
    found.same(&format!("{what}: owner"), wanted.owner.as_ref(), known.owner_team);
    found.same(&format!("{what}: occurrence"), wanted.occurrence, known.occurrence);
    found.same(&format!("{what}: sentence"), wanted.sentence.as_ref(), known.sentence.as_deref().unwrap_or("none"));
    let amount = known.amount.map_or_else(|| "none".to_owned(), told_money);
    found.same(&format!("{what}: amount"), wanted.amount.as_ref(), amount);
    for (name, text, at) in [("since", &wanted.since, known.since), ("opened at", &wanted.opened_at, known.opened_at)] {
        if let Some(text) = text {
            let asked = scene.times.instant(text)?;
            found.same(&format!("{what}: {name}"), Some(scene.times.told(asked)), scene.times.told(at));
        }
    }
    for name in &wanted.evidence {
        let key = entity(name)?;
        if !known.grounds.evidence().iter().any(|evidence| evidence.entity == key) {
            let has: Vec<String> =
                known.grounds.evidence().iter().map(|evidence| evidence.entity.to_string()).collect();
            found.note(format!("{what}: evidence"), key, has.join(", "));
        }
    }
    Ok(())
}

fn told_money(money: Money) -> String {
    let unit = 10_i64.pow(u32::from(money.currency.decimals()));
    let places = usize::from(money.currency.decimals());
    format!("{}.{:0places$} {}", money.minor / unit, (money.minor % unit).abs(), money.currency.code())
}

fn cause(state: &DiscrepancyState) -> &str {
    match state {
        DiscrepancyState::Resolved(Resolution::Auto { cause, .. }) => cause,
        DiscrepancyState::Resolved(Resolution::Manual { .. }) => "manual",
        DiscrepancyState::Open | DiscrepancyState::Acknowledged { .. } | DiscrepancyState::Waived { .. } => "none",
    }
}

/// Compares alerts with what was notified.
pub fn alerts(expected: &[ExpectAlert], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        word::<AlertRule>("an alert", &wanted.alert)?;
        let what = format!("alert {} on {}", wanted.alert, wanted.of);
        let subject = subject(wanted, scene)?;
        let mut opened = scene.engine.memory().opened();
        let known = opened.find(|(_, known)| known.rule == wanted.alert && Some(&known.subject) == subject.as_ref());
        let told = known.map(|(id, known)| state(id, known, scene)).unwrap_or_default();
        if found.is_there(&what, !wanted.none, known.is_some(), told)
            && let Some((id, known)) = known
        {
            found.same_word(&format!("{what}: state"), wanted.state.as_ref(), state(id, known, scene));
            found.same_word(&format!("{what}: severity"), wanted.severity.as_ref(), &known.severity);
            found.same(&format!("{what}: team"), wanted.team.as_ref(), &known.team);
            found.same(&format!("{what}: openings"), wanted.openings, known.openings);
            if let Some(words) = wanted.says.as_ref().filter(|words| !known.text.contains(words.as_str())) {
                found.note(format!("{what}: text"), format!("to say `{words}`"), &known.text);
            }
        }
    }
    Ok(())
}

/// What an alert is about, as it names it: a source by its partition, a transfer by its case.
fn subject(wanted: &ExpectAlert, scene: &Scene<'_>) -> Result<Option<String>, String> {
    if let Some(system) = System::parse(&wanted.of) {
        return Ok(Some(format!("{}/all", system.name())));
    }
    let key: EntityKey = entity(&wanted.of)?;
    if wanted.alert == "11-3" {
        return Ok(scene.transfer_of(&key.id).map(|(transfer, _)| transfer.to_string()));
    }
    Ok(Some(key.to_string()))
}

fn state(id: &ObjectId, known: &Opened, scene: &Scene<'_>) -> &'static str {
    if !known.is_open {
        return "resolved";
    }
    let customer = known.party.as_ref().and_then(|party| scene.customer(party));
    let alert = customer.as_ref().and_then(|found| found.derived.alerts.iter().find(|alert| alert.id == *id));
    if let Some(alert) = alert {
        return alert.state.name();
    }
    let decision = scene.engine.reference().decisions.get(id);
    let decision =
        decision.map(|decision| Decided::read(decision.as_ref())).filter(|d| d.decided_at >= Some(known.since));
    match decision.and_then(|decision| decision.verdict.known()) {
        Some(Decision::Acknowledged) => "acknowledged",
        Some(Decision::Waived | Decision::Resolved) | None => "firing",
    }
}
