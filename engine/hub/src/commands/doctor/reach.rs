//! What other machines say: each system that is connected, in short.

use std::time::Duration;

use connectors::edge::trial::Trial;
use ontology::{System, Vocabulary as _};

use super::super::connect;
use super::Finding;
use crate::config::ConnectorsConfig;
use crate::outputs::{KafkaOutput, examine};

/// The systems that can be connected, in the order of the findings.
const SYSTEMS: [System; 5] = [System::Salesforce, System::Oracle, System::Wxcc, System::Sap, System::Zendesk];

/// Whether any system is connected.
pub(super) fn is_any(connectors: &ConnectorsConfig) -> bool {
    SYSTEMS.into_iter().any(|system| way_in(connectors, system).is_some())
}

/// Asks every system that can be asked, each for at most `wait`.
pub(super) async fn systems(mut connectors: ConnectorsConfig, wait: Duration) -> Vec<Finding> {
    // A second installation is refused, and harmless: the first one stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut findings = Vec::new();
    for system in SYSTEMS {
        let name = system.name();
        match way_in(&connectors, system) {
            None => {}
            Some(Way::Pushed) => {
                let found = "it pushes, so there is nothing to ask; `opshub connect check` waits for an event";
                findings.push(Finding::good(name, found));
            }
            Some(Way::Asked) => {
                let asked = tokio::time::timeout(wait, connect::reach(system, &mut connectors)).await;
                findings.push(match asked {
                    Ok(trials) => sum_up(name, &trials),
                    Err(_) => Finding::wrong(
                        name,
                        format!("no answer within {} s", wait.as_secs()),
                        format!("see whether this machine may reach it, then `opshub connect check {name}`"),
                    ),
                });
            }
        }
    }
    findings
}

/// Asks the brokers that events are written to, if there are any.
pub(super) async fn outputs(kafka: Option<&KafkaOutput>, wait: Duration) -> Option<Finding> {
    let part = "outputs to Kafka";
    let next = "see whether this machine may reach the brokers; docs/outputs.md";
    Some(match tokio::time::timeout(wait, examine(kafka?)).await {
        Ok(Ok(found)) => Finding::good(part, found),
        Ok(Err(wrong)) => Finding::wrong(part, wrong, next),
        Err(_) => Finding::wrong(part, format!("no answer within {} s", wait.as_secs()), next),
    })
}

/// How a system is tried.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Asked,
    Pushed,
}

/// How a connected system is tried; none of one that is not connected.
fn way_in(connectors: &ConnectorsConfig, system: System) -> Option<Way> {
    let way = |can_ask: bool| if can_ask { Way::Asked } else { Way::Pushed };
    match system {
        System::Salesforce => connectors.salesforce.as_ref().map(|_| Way::Asked),
        System::Oracle => {
            let of = |oracle: &crate::config::OracleSetup| {
                way(oracle.list.is_some() || oracle.kafka.is_some() || oracle.queue.is_some())
            };
            connectors.oracle.as_ref().map(of)
        }
        System::Wxcc => connectors.wxcc.as_ref().map(|wxcc| way(wxcc.search.is_some())),
        System::Sap => connectors.sap.as_ref().map(|sap| way(sap.list.is_some() || sap.folder.is_some())),
        System::Zendesk => connectors.zendesk.as_ref().map(|_| Way::Pushed),
        System::Engine | System::Human => None,
    }
}

/// All trials of a system as one line: what is wrong, or what was tried.
fn sum_up(name: &str, trials: &[Trial]) -> Finding {
    let wrong: Vec<String> = trials
        .iter()
        .filter_map(|trial| trial.result.as_ref().err().map(|wrong| format!("{}: {wrong}", trial.what)))
        .collect();
    if wrong.is_empty() {
        let tried: Vec<&str> = trials.iter().map(|trial| trial.what.as_str()).collect();
        return Finding::good(name, format!("tried {}", tried.join(", ")));
    }
    Finding::wrong(name, wrong.join("; "), format!("`opshub connect check {name}` tells more"))
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[test]
    fn a_system_is_well_when_all_that_was_tried_is() {
        let trials = [Trial::good("login", "accepted"), Trial::bad("topic", "is not there")];
        let found = sum_up("oracle", &trials);
        assert_eq!((found.grade, found.found.as_str()), (Grade::Wrong, "topic: is not there"));
        assert!(found.next.contains("connect check oracle"));
        assert_eq!(sum_up("oracle", &trials[..1]), Finding::good("oracle", "tried login"));
    }

    #[test]
    fn nothing_is_asked_of_what_is_not_connected() {
        assert!(!is_any(&ConnectorsConfig::default()));
        assert_eq!(way_in(&ConnectorsConfig::default(), System::Oracle), None);
    }
}
