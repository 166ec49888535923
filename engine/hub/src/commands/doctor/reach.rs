//! What other machines say: each system that is connected, in short.

use std::net::SocketAddr;
use std::time::Duration;

use connectors::edge::trial::Trial;
use ontology::{System, Vocabulary as _};
use serve::metrics::{self, Metric};

use super::super::connect;
use super::Finding;
use crate::config::ConnectorsConfig;
use crate::outputs::{KafkaOutput, examine};

/// The systems that can be connected, in the order of the findings.
const SYSTEMS: [System; 5] = [System::Salesforce, System::Oracle, System::Wxcc, System::Sap, System::Zendesk];

/// Age of the owner's last word, in seconds, above which it may be gone: it speaks every second.
const SILENT_S_MAX: f64 = 10.0;

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

/// What the hub of this machine is to its store on servers, by its metrics page; none where no hub answers.
pub(super) async fn role(metrics: SocketAddr, wait: Duration) -> Option<Finding> {
    let client = reqwest::Client::builder().timeout(wait).build().ok()?;
    let page = client.get(format!("http://{metrics}/metrics")).send().await.ok()?.text().await.ok()?;
    role_on(&page)
}

fn role_on(page: &str) -> Option<Finding> {
    let gauge = |metric: &Metric| {
        let of = |line: &str| line.strip_prefix(metric.name)?.trim().parse::<f64>().ok();
        page.lines().find_map(of)
    };
    let part = "role";
    if gauge(&metrics::OWNER)? > 0.0 {
        return Some(Finding::good(part, "the hub of this machine owns the store"));
    }
    let facts = gauge(&metrics::REPLICA_LAG_POSITIONS).unwrap_or_default();
    let silent_s = gauge(&metrics::REPLICA_LAG_SECONDS).unwrap_or_default();
    let found =
        format!("the hub of this machine follows the owner: {facts} facts behind, whose last word is {silent_s} s old");
    let next = "see whether an owner lives: `opshub_owner` is 1 at one process; docs/distributed.md";
    Some(if silent_s > SILENT_S_MAX { Finding::doubtful(part, found, next) } else { Finding::good(part, found) })
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
        System::Zendesk => connectors.zendesk.as_ref().map(|zendesk| way(zendesk.export.is_some())),
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
    fn the_role_is_told_with_how_far_a_replica_is_behind() {
        let page = |owner: u8, silent: &str| {
            format!(
                "# TYPE opshub_owner gauge\nopshub_owner {owner}\n\nopshub_replica_lag_positions 3\n\
                 opshub_replica_lag_seconds {silent}\n"
            )
        };
        let grade = |page: &str| role_on(page).map(|found| found.grade);
        assert_eq!(role_on(&page(1, "99")).map(|found| found.found.contains("owns")), Some(true));
        assert_eq!(grade(&page(0, "10")), Some(Grade::Good));
        assert_eq!(grade(&page(0, "10.5")), Some(Grade::Doubtful));
        assert!(role_on(&page(0, "1")).is_some_and(|found| found.found.contains("3 facts behind")));
        assert_eq!((grade(""), grade("opshub_owner none")), (None, None));
    }

    #[test]
    fn nothing_is_asked_of_what_is_not_connected() {
        assert!(!is_any(&ConnectorsConfig::default()));
        assert_eq!(way_in(&ConnectorsConfig::default(), System::Oracle), None);
    }
}
