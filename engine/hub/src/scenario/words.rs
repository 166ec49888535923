//! Words of a story that are compared with what the hub says. A misspelt one would never be found, so
//! an expectation that there is none would hold whatever the hub does: such words are refused.

use connectors::RejectCode;
use insight::correlate::AnomalyKind;
use ontology::finding::FindingKind;

use super::expect::Expect;
use super::fact::word;

/// Why something is held in quarantine.
const REASONS: [RejectCode; 4] =
    [RejectCode::Malformed, RejectCode::Oversized, RejectCode::NoIdentity, RejectCode::ContractBreach];

/// Looks at every word of an expectation that names one of a few kinds.
pub(super) fn check(expect: &Expect) -> Result<(), String> {
    expect.quarantine.keys().try_for_each(|text| reason(text))?;
    expect.findings.iter().try_for_each(|wanted| word::<FindingKind>("a kind of finding", &wanted.kind).map(drop))?;
    expect.anomalies.iter().try_for_each(|wanted| word::<AnomalyKind>("a kind of anomaly", &wanted.kind).map(drop))
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
        let text = format!("name: n\n{head}steps:\n  - until: +1s\n  - {step}\n");
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
        ] {
            assert_eq!(plan("", right), Ok(()));
            let error = plan("", wrong).unwrap_err();
            assert!(error.contains("story.yaml, line 4: expected") && error.contains("one of"), "{error}");
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
