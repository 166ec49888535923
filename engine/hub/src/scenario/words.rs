//! Words of a story that are compared with what the hub says. A misspelt one would never be found, so
//! an expectation that there is none would hold whatever the hub does: such words are refused, and so is
//! an expectation that compares nothing.

use std::collections::BTreeMap;

use connectors::RejectCode;
use insight::alerts::AlertRule;
use insight::correlate::AnomalyKind;
use insight::reconcile::{self, RuleCode};
use ontology::finding::FindingKind;
use ontology::{EntityKey, EntityKind, System, Vocabulary};
use pipeline::ActionKind;

use super::expect::{Expect, ExpectAlert, ExpectDiscrepancy};
use super::fact::{entity, word};

/// Why something is held in quarantine.
const REASONS: [RejectCode; 4] =
    [RejectCode::Malformed, RejectCode::Oversized, RejectCode::NoIdentity, RejectCode::ContractBreach];

/// Looks at every word of an expectation that names one of a few kinds, and that each entry compares something.
pub(super) fn check(expect: &Expect) -> Result<(), String> {
    expect.quarantine.keys().try_for_each(|text| reason(text))?;
    for wanted in &expect.discrepancies {
        of_rule(word("a rule", &wanted.rule.to_ascii_uppercase())?, &wanted.of)?;
        let ExpectDiscrepancy { rule, of: _, none, state, cause, severity, owner, occurrence, .. } = wanted;
        let says = [state, cause, severity, owner].iter().any(|it| it.is_some()) || occurrence.is_some();
        let ExpectDiscrepancy { since, opened_at, sentence, amount, evidence, .. } = wanted;
        let says = says || [since, opened_at, sentence, amount].iter().any(|it| it.is_some()) || !evidence.is_empty();
        alone(*none, says, rule)?;
    }
    for wanted in &expect.alerts {
        of_alert(word("an alert", &wanted.alert)?, std::slice::from_ref(&wanted.of))?;
        let ExpectAlert { alert, of: _, none, state, severity, team, says, openings } = wanted;
        alone(*none, [state, severity, team, says].iter().any(|it| it.is_some()) || openings.is_some(), alert)?;
    }
    for wanted in &expect.correlations {
        let kinds = [EntityKind::Invoice, EntityKind::Dispute, EntityKind::CreditNote];
        of_kinds("a correlation", std::slice::from_ref(&wanted.of), &[&kinds])?;
        if let Some(kind) = &wanted.anomaly {
            word::<AnomalyKind>("a kind of anomaly", kind)?;
        }
        let says = [&wanted.order, &wanted.verdict, &wanted.sentence].iter().any(|it| it.is_some());
        alone(wanted.none, says || wanted.score.is_some() || wanted.accepted.is_some(), "a correlation")?;
    }
    for wanted in &expect.anomalies {
        word::<AnomalyKind>("a kind of anomaly", &wanted.kind)?;
        of_kinds(&wanted.kind, std::slice::from_ref(&wanted.of), &[&[EntityKind::Invoice]])?;
        alone(wanted.none, wanted.order.is_some(), &wanted.kind)?;
    }
    for wanted in &expect.findings {
        word::<FindingKind>("a kind of finding", &wanted.kind)?;
        alone(wanted.none, wanted.severity.is_some(), &wanted.kind)?;
    }
    for wanted in &expect.tasks {
        of_rule(word("a rule", &wanted.rule.to_ascii_uppercase())?, &wanted.of)?;
    }
    expect.actions.iter().try_for_each(|wanted| verb(&wanted.action))?;
    for (code, wanted) in &expect.kpis {
        let numbers = [wanted.numerator, wanted.denominator].iter().any(|it| it.is_some()) || wanted.value.is_some();
        if !numbers && wanted.met.is_none() && wanted.not_measured.is_none() {
            return Err(format!("kpis: nothing of {code} is compared; write value, met or not_measured"));
        }
    }
    Ok(())
}

/// That there is none leaves nothing else to say.
fn alone(none: bool, says_more: bool, what: &str) -> Result<(), String> {
    if none && says_more {
        return Err(format!("{what}: none: true says that there is none; leave out what it would be like"));
    }
    Ok(())
}

/// Records of which an expectation says that there is nothing about them.
pub(super) fn absent(expect: &Expect) -> impl Iterator<Item = &String> {
    let discrepancies = expect.discrepancies.iter().filter(|it| it.none).flat_map(|it| &it.of);
    let is_source = |name: &String| System::parse(name).is_some();
    let alerts = expect.alerts.iter().filter(|it| it.none).map(|it| &it.of).filter(move |of| !is_source(of));
    let correlations = expect.correlations.iter().filter(|it| it.none).map(|it| &it.of);
    let anomalies = expect.anomalies.iter().filter(|it| it.none).map(|it| &it.of);
    let findings = expect.findings.iter().filter(|it| it.none).map(|it| &it.of);
    discrepancies.chain(alerts).chain(correlations).chain(anomalies).chain(findings)
}

/// Digests are compared with each other, which takes two.
pub(super) fn digests(expected: &[&Expect]) -> Result<(), String> {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for name in expected.iter().filter_map(|expect| expect.digest.as_deref()) {
        *uses.entry(name).or_default() += 1;
    }
    match uses.iter().find(|(_, count)| **count == 1) {
        Some((name, _)) => {
            Err(format!("digest {name} is named once, and compared with nothing; name it a second time"))
        }
        None => Ok(()),
    }
}

/// The records of a discrepancy: a case, and one that the rule compares cases with.
pub(super) fn of_rule(rule: RuleCode, of: &[String]) -> Result<Vec<EntityKey>, String> {
    let known = reconcile::ALL.iter().find(|known| known.code == rule);
    let counterparts = known.map(|known| known.counterparts).unwrap_or_default();
    of_kinds(rule.name(), of, &[&[EntityKind::Case], counterparts])
}

/// The records that an alert is about; none where it is about a source.
pub(super) fn of_alert(rule: AlertRule, of: &[String]) -> Result<Vec<EntityKey>, String> {
    match (rule, of) {
        (AlertRule::SyncFailure, [one]) if System::parse(one).is_some() => Ok(Vec::new()),
        (AlertRule::SyncFailure, [one]) => Ok(vec![entity(one)?]),
        (AlertRule::SyncFailure, _) => Err("11-1 is about one source or one record".to_owned()),
        (AlertRule::ReconciliationMismatch | AlertRule::HandoffContextGap, _) => {
            of_kinds(rule.name(), of, &[&[EntityKind::Case]])
        }
        (AlertRule::BillingServiceAnomaly, [_]) => of_kinds(rule.name(), of, &[&[EntityKind::Invoice]]),
        (AlertRule::BillingServiceAnomaly, _) => {
            of_kinds(rule.name(), of, &[&[EntityKind::Invoice], &[EntityKind::ServiceOrder]])
        }
    }
}

/// Reads records, of which there must be one of each place, in any order.
fn of_kinds(what: &str, of: &[String], places: &[&[EntityKind]]) -> Result<Vec<EntityKey>, String> {
    let keys: Vec<EntityKey> = of.iter().map(|text| entity(text)).collect::<Result<_, _>>()?;
    let is_filled = |place: &&[EntityKind]| keys.iter().any(|key| place.contains(&key.kind));
    if keys.len() == places.len() && places.iter().all(is_filled) {
        return Ok(keys);
    }
    let told = |place: &&[EntityKind]| place.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ");
    let needed: Vec<String> = places.iter().map(told).collect();
    Err(format!("{what} is about {}, found [{}]", needed.join(" and "), of.join(", ")))
}

/// Looks whether anything is ever done that is called so.
fn verb(text: &str) -> Result<(), String> {
    if ActionKind::VERBS.contains(&text) {
        return Ok(());
    }
    Err(format!("expected an action, one of {}, found `{text}`", ActionKind::VERBS.join(", ")))
}

/// Looks whether anything is ever held in quarantine for this.
pub(super) fn reason(text: &str) -> Result<(), String> {
    if REASONS.iter().any(|known| known.name() == text) {
        return Ok(());
    }
    let known = REASONS.map(RejectCode::name).join(", ");
    Err(format!("expected a reason of quarantine, one of {known}, found `{text}`"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use crate::scenario::Loaded;
    use crate::scenario::plan::Plan;

    fn plan(head: &str, step: &str) -> Result<(), String> {
        let some = "expect: { open: { tasks: 0 } }";
        let text = format!("name: n\n{head}steps:\n  - until: +1s\n  - {step}\n  - {some}\n");
        let loaded = Loaded::parse(&text, Path::new("story.yaml")).unwrap();
        Plan::of(&loaded).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn words_that_nothing_is_called_are_refused_with_their_line() {
        for (right, wrong) in [
            ("expect: { quarantine: { malformed: 0 } }", "expect: { quarantine: { malformedd: 0 } }"),
            (
                "expect: { findings: [{ kind: version_conflict, of: case/SF-1, none: true }] }",
                "expect: { findings: [{ kind: version_conflct, of: case/SF-1, none: true }] }",
            ),
            (
                "expect: { anomalies: [{ kind: spike, of: invoice/I-1, none: true }] }",
                "expect: { anomalies: [{ kind: spikee, of: invoice/I-1, none: true }] }",
            ),
            ("replay_quarantine: { reason: contract_breach }", "replay_quarantine: { reason: contract_brech }"),
            (
                "expect: { actions: [{ action: flag_invoice, count: 0 }] }",
                "expect: { actions: [{ action: flag_invoic, count: 0 }] }",
            ),
            (
                "expect: { correlations: [{ of: invoice/I-1, anomaly: spike, none: true }] }",
                "expect: { correlations: [{ of: invoice/I-1, anomaly: spke, none: true }] }",
            ),
        ] {
            assert_eq!(plan("", right), Ok(()));
            let error = plan("", wrong).unwrap_err();
            assert!(error.contains("story.yaml, line 4: expected") && error.contains("one of"), "{error}");
        }
    }

    #[test]
    fn too_few_records_and_those_of_other_kinds_are_refused() {
        let expect = |part: &str| plan("", &format!("expect: {{ {part} }}"));
        for (right, wrong) in [
            (
                "discrepancies: [{ rule: RC1, of: [credit_note/N, case/C] }]",
                "discrepancies: [{ rule: RC1, of: [case/C] }]",
            ),
            (
                "discrepancies: [{ rule: RC3, of: [case/C, field_dispatch/D] }]",
                "discrepancies: [{ rule: RC1, of: [] }]",
            ),
            ("tasks: [{ rule: RC2, of: [case/C, dispute/D] }]", "tasks: [{ rule: RC1, of: [case/C, dispute/D] }]"),
            ("alerts: [{ alert: \"11-2\", of: case/C }]", "alerts: [{ alert: \"11-2\", of: invoice/I }]"),
            ("alerts: [{ alert: \"11-1\", of: oracle }]", "alerts: [{ alert: \"11-4\", of: case/C }]"),
            ("anomalies: [{ of: invoice/I, kind: spike }]", "anomalies: [{ of: case/C, kind: spike }]"),
            ("correlations: [{ of: dispute/D }]", "correlations: [{ of: service_order/S }]"),
        ] {
            assert_eq!(expect(right), Ok(()));
            let error = expect(wrong).unwrap_err();
            assert!(error.contains("story.yaml, line 4: ") && error.contains(" is about "), "{error}");
        }
        assert!(plan("", "decide: { rule: RC1, of: [case/C], verdict: waived }").unwrap_err().contains("credit_note"));
        assert!(plan("", "decide: { alert: \"11-1\", of: [oracle], verdict: resolved }").is_ok());
    }

    #[test]
    fn what_compares_nothing_is_refused() {
        let expect = |part: &str| plan("", &format!("expect: {{ {part} }}"));
        assert!(expect("digest: once").unwrap_err().contains("named once"));
        assert!(expect("digest: twice }\n  - expect: { digest: twice").is_ok());
        assert!(expect("kpis: { customer_link_coverage: {} }").unwrap_err().contains("nothing of"));
        let none = "anomalies: [{ of: invoice/I, kind: spike, none: true, order: service_order/S }]";
        assert!(expect(none).unwrap_err().contains("leave out"));
        let none = "alerts: [{ alert: \"11-2\", of: case/C, none: true, state: firing }]";
        assert!(expect(none).unwrap_err().contains("leave out"));
        let none = "discrepancies: [{ rule: RC1, of: [case/C, credit_note/N], none: true, amount: 1.00 USD }]";
        assert!(expect(none).unwrap_err().contains("leave out"));
    }

    #[test]
    fn a_story_that_compares_nothing_is_refused() {
        let refused = |text: &str| {
            let loaded = Loaded::parse(text, Path::new("story.yaml")).unwrap();
            Plan::of(&loaded).unwrap_err().to_string()
        };
        assert!(refused("name: n\n").contains("it has no steps"));
        assert!(refused("name: n\nsteps: []\n").contains("line 2: it has no steps"));
        assert!(refused("name: n\nsteps:\n  - until: +1s\n").contains("none of its steps is an expect"));
    }

    #[test]
    fn errors_of_the_head_have_their_line() {
        for (head, line, expected) in [
            ("start: yesterday\n", 2, "start: expected an instant"),
            ("settings:\n  hold: 1m\n  grace: 5x\n", 4, "settings.grace: expected a duration"),
            ("settings: { business_tz: Mars }\n", 2, "no time zone `Mars`"),
            ("spec: x\nsources: { siebel: fresh }\n", 3, "sources: expected a system"),
            ("deliver: { shuffles: 0, hold_at: +1s, until: +2s }\n", 2, "deliver: expected shuffles"),
            ("facts_of: [a.yaml]\n", 2, "facts_of: it needs deliver"),
        ] {
            let error = plan(head, "until: +2s").unwrap_err();
            assert!(error.contains(&format!("story.yaml, line {line}: ")) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn settings_that_a_configuration_refuses_are_refused() {
        let expect = "expect: { open: { alerts: 0 } }";
        assert_eq!(plan("settings: { tolerance_minor: 0, shards: 1 }\n", expect), Ok(()));
        assert!(plan("settings: { tolerance_minor: -1 }\n", expect).unwrap_err().contains("tolerance_minor is -1"));
        assert!(plan("settings: { shards: 0 }\n", expect).unwrap_err().contains("shards is 0"));
        assert!(plan("settings: { shards: 65 }\n", expect).unwrap_err().contains("shards is 65"));
    }
}
