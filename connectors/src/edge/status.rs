//! What operators see of a connector.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ontology::{Millis, System};

/// How a connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectorState {
    /// Never connected.
    #[default]
    Idle,
    /// Connected, or serving its endpoint.
    Running,
    /// The last attempt failed; it tries again by itself.
    Retrying,
    /// Reading all records again, after the replay window passed.
    Resyncing,
    /// Ended.
    Stopped,
}

/// State, counts and the last trouble of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// The source.
    pub system: System,
    /// How it is doing.
    pub state: ConnectorState,
    /// What went wrong last; empty if nothing did.
    pub last_error: String,
    /// When it went wrong.
    pub last_error_at: Option<Millis>,
    /// When something was last received and stored.
    pub last_delivery_at: Option<Millis>,
    /// Up to when nothing newer is known to be missing.
    pub watermark: Option<Millis>,
    /// Position in the source, in hex.
    pub position: String,
    /// Facts stored since the start.
    pub facts: u64,
    /// Parts put into quarantine since the start.
    pub rejects: u64,
    /// Requests refused at the edge since the start.
    pub refused: u64,
    /// What somebody should look at as long as it holds, by kind.
    pub findings: BTreeMap<&'static str, Finding>,
}

/// Something about the source that is not an error yet. It closes by itself when its cause is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found, and the next step.
    pub text: String,
    /// When it was first seen.
    pub since: Millis,
}

/// A connector's status, shared between its transport and the hub.
#[derive(Debug, Clone)]
pub struct StatusHandle(Arc<Mutex<ConnectorStatus>>);

impl StatusHandle {
    /// The status of a connector that has not run yet.
    #[must_use]
    pub fn new(system: System) -> Self {
        StatusHandle(Arc::new(Mutex::new(ConnectorStatus {
            system,
            state: ConnectorState::Idle,
            last_error: String::new(),
            last_error_at: None,
            last_delivery_at: None,
            watermark: None,
            position: String::new(),
            facts: 0,
            rejects: 0,
            refused: 0,
            findings: BTreeMap::new(),
        })))
    }

    /// The status now.
    #[must_use]
    pub fn get(&self) -> ConnectorStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connector went into `state`.
    pub fn enter(&self, state: ConnectorState) {
        self.change(|status| status.state = state);
    }

    /// Something was stored.
    pub fn delivered(&self, facts: usize, rejects: usize, at: Millis) {
        self.change(|status| {
            status.facts += facts as u64;
            status.rejects += rejects as u64;
            status.last_delivery_at = Some(at);
            if matches!(status.state, ConnectorState::Idle | ConnectorState::Retrying) {
                status.state = ConnectorState::Running;
            }
        });
    }

    /// Something went wrong.
    pub fn failed(&self, error: &str, at: Millis) {
        let label = ontology::Vocabulary::name(self.get().system);
        metrics::counter!("opshub_connector_errors_total", "system" => label).increment(1);
        self.change(|status| {
            error.clone_into(&mut status.last_error);
            status.last_error_at = Some(at);
        });
    }

    /// A request was refused at the edge.
    pub fn refused(&self, code: &'static str) {
        let label = ontology::Vocabulary::name(self.get().system);
        metrics::counter!("opshub_connector_refused_total", "system" => label, "code" => code).increment(1);
        self.change(|status| status.refused += 1);
    }

    /// Opens a finding of this kind, renews its text, or closes it.
    pub fn find(&self, kind: &'static str, text: Option<String>, at: Millis) {
        let label = ontology::Vocabulary::name(self.get().system);
        let is_open = f64::from(u8::from(text.is_some()));
        metrics::gauge!("opshub_connector_findings", "system" => label, "kind" => kind).set(is_open);
        self.change(|status| match text {
            None => drop(status.findings.remove(kind)),
            Some(text) => match status.findings.get_mut(kind) {
                Some(open) => open.text = text,
                None => drop(status.findings.insert(kind, Finding { text, since: at })),
            },
        });
    }

    /// Nothing newer than `until` is missing.
    pub fn watermark(&self, until: Millis) {
        self.change(|status| status.watermark = status.watermark.max(Some(until)));
    }

    /// The source's position is now `position`.
    pub fn position(&self, position: &[u8]) {
        self.change(|status| status.position = hex::encode(position));
    }

    fn change(&self, change: impl FnOnce(&mut ConnectorStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_stays_from_its_first_sight_until_its_cause_is_gone() {
        let status = StatusHandle::new(System::Salesforce);
        let found = || status.get().findings.get("few").map(|found| (found.text.clone(), found.since));
        status.find("few", None, Millis(1));
        assert_eq!(found(), None);
        status.find("few", Some("9 left".to_owned()), Millis(2));
        status.find("few", Some("8 left".to_owned()), Millis(3));
        assert_eq!(found(), Some(("8 left".to_owned(), Millis(2))));
        status.find("few", None, Millis(4));
        assert_eq!(found(), None);
    }
}
